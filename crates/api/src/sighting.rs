//! What SIEMs and analysts say they saw: the types of `POST /v1/sightings`.

use mithaq_core::{id::CertId, time::Time};
use serde::{Deserialize, Serialize};

use crate::http::{Preview, Problem};

/// The most reports in one request.
pub const SIGHTING_REPORTS_MAX: usize = 10_000;

/// The most bytes of one request.
pub const SIGHTING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most bytes of a note.
pub const SIGHTING_NOTE_BYTES_MAX: usize = 1_000;

/// Query of `POST /v1/sightings`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SightingsQuery {
    /// The TLP level of the sightings, if that of what was seen is not stricter; the configured default without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tlp: Option<String>,
    /// The collection in which it was seen; that of the socket without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
}

/// One line of a request: an indicator was seen, or is a false positive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SightingReport {
    /// The value that was seen, such as an address; every indicator here that carries it is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// In its place, the STIX id of what was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How many times; once if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// When first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Time>,
    /// When last. With it, a request that is sent twice is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// That what was seen was harmless: its origin is told, and nobody else.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub false_positive: bool,
    /// What else there is to say, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SightingStatus {
    /// It became sightings.
    Sighted,
    /// It became feedback to the origins.
    FalsePositive,
    /// Nothing that the reader is shown carries it.
    Unknown,
    /// It was refused.
    Refused,
}

/// A line of the answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SightingLine {
    /// What became of one report.
    Report(SightingTold),
    /// The last line.
    Summary(SightingSummary),
    /// The last line, if nothing was done.
    Problem(Problem),
}

/// What became of one report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SightingTold {
    /// The report's number, from 0.
    pub index: usize,
    /// What became of it.
    pub status: SightingStatus,
    /// The STIX ids of what was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<String>,
    /// Why it was refused.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// The last line of the answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SightingSummary {
    /// Reports that became sightings.
    pub sighted: usize,
    /// Reports that became feedback.
    pub false_positives: usize,
    /// Reports of what nothing here carries.
    pub unknown: usize,
    /// Reports that were refused.
    pub refused: usize,
    /// Objects that were stored for them.
    pub stored: usize,
    /// Objects that we had stored before.
    pub duplicate: usize,
    /// The CERTs that feedback is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<CertId>,
    /// Why objects that reports were to become were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// On the control socket: what the rule keeps from whom it was for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Preview>,
}
