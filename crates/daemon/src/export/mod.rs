//! Exports: the state of a collection in the formats of products that do not read the stream or TAXII.
//!
//! [`prepare`] gathers the values that a collection shows and finds what is gone since the export before; a format writes
//! them, one module each. `request` serves the control socket, `job` makes again and again what the configuration has, and
//! `schedule` goes by the configuration as it is.

mod csv;
mod gather;
mod hook;
mod job;
mod misp;
mod request;
mod rpz;
mod schedule;
mod socket;
mod splunk;
mod state;
mod suricata;
#[cfg(test)]
mod tests;
mod uuid;
mod value;
mod wazuh;
mod zeek;

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::digest;
use mithaq_api::{
    config::COLLECTION_DEFAULT,
    export::{Before, ExportFormat, ExportQuery, ExportSummary},
    home::HomeError,
    http::Problem,
};
use mithaq_core::{
    code::Code,
    id::{ContentId, to_hex},
    stix::observable::Observable,
    time::Time,
};
use mithaq_store::StoreError;

pub(crate) use job::Board;
pub(crate) use request::export;
pub(crate) use schedule::replace;
use state::{Gone, State};
use value::{Names, Word};

use crate::{
    feed::{Feed, Visibility},
    node::Node,
};

/// How many bodies of a bundle are read at a time.
const BODIES: usize = 64;

/// What every product is told that the values come from.
const SOURCE: &str = "mithaq";

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("{0}")]
    Query(String),
    #[error("there is no collection {name:?}: `default` and the tables [collection.NAME] of mithaq.toml are")]
    Collection { name: String },
    #[error("the collection shows more than one export can hold: nothing was written")]
    TooLarge,
    #[error("the store was restored from a backup and is still told what was withdrawn meanwhile")]
    CatchingUp,
    #[error("the daemon is stopping: nothing was written")]
    Stopping,
    #[error("whoever asked for the export is gone")]
    NobodyListens,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Output(#[from] HomeError),
}

impl ExportError {
    pub(crate) fn problem(&self) -> Problem {
        let code = match self {
            Self::Query(_) => Code::BAD_REQUEST,
            Self::Collection { .. } => Code::NO_COLLECTION,
            Self::TooLarge => Code::EXPORT_TOO_LARGE,
            Self::CatchingUp => Code::CATCHING_UP,
            Self::Stopping | Self::NobodyListens => Code::INTERNAL,
            Self::Store(error) => return crate::push::store_problem(error),
            Self::Output(error) => error.code(),
        };
        Problem::new(code, self.to_string())
    }
}

/// Why something is left out of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// Its owner has revoked the object.
    Revoked,
    /// The object was valid until before now.
    Expired,
    /// An indicator in another language than STIX patterns.
    Language,
    /// An indicator that needs more than one value to match, or looks for something else than values.
    Pattern,
    /// The format has no place for values of this kind.
    Kind,
    /// The value is longer than the format can have it, or has a character that it cannot have.
    Form,
    /// A network so wide, or a name so short, that a list that blocks must not have it.
    Wide,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "objects that are revoked",
            Self::Expired => "indicators that are valid no longer",
            Self::Language => "indicators in another language than STIX patterns",
            Self::Pattern => "indicators that one value cannot stand for",
            Self::Kind => "values of a kind that the format has no place for",
            Self::Form => "values that the format cannot write",
            Self::Wide => "networks or names too wide to block",
        }
    }
}

/// How much is left out, by reason.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeftOut(BTreeMap<Reason, u64>);

impl LeftOut {
    fn count(&mut self, reason: Reason) {
        *self.0.entry(reason).or_default() += 1;
    }

    fn to_texts(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(reason, count)| (reason.as_str().to_owned(), *count)).collect()
    }
}

/// Where a value stands in a format: in which of its lists, and as which text before anything is escaped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) list: &'static str,
    pub(crate) text: String,
}

/// The values of an export as its format has them, in order.
pub(crate) type Listed = BTreeMap<Key, Word>;

/// Where an export goes.
pub(crate) trait Output {
    /// Begins a file.
    fn begin(&mut self, name: &str) -> Result<(), ExportError>;
    /// Begins the state for the next export.
    fn begin_state(&mut self) -> Result<(), ExportError>;
    /// A piece of what was begun last.
    fn text(&mut self, text: &str) -> Result<(), ExportError>;
}

/// What formats know beside the values.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) query: ExportQuery,
    pub(crate) names: Names,
    pub(crate) now: Time,
    /// A number that is greater with every export.
    pub(crate) serial: u32,
}

impl Context {
    /// The source that products are told, one for each collection.
    pub(crate) fn source(&self) -> String {
        match self.query.collection() {
            COLLECTION_DEFAULT => SOURCE.to_owned(),
            other => format!("{SOURCE}-{other}"),
        }
    }
}

/// What an export consists of.
#[derive(Debug)]
enum Content {
    Values(Listed),
    Objects(Vec<ContentId>),
}

impl Content {
    fn len(&self) -> usize {
        match self {
            Self::Values(listed) => listed.len(),
            Self::Objects(contents) => contents.len(),
        }
    }

    /// What changes whenever the export does.
    fn digest(&self, context: &Context) -> String {
        let mut hasher = digest::Context::new(&digest::SHA256);
        // INVARIANT: a query has scalars under strings alone, so it serialises.
        hasher.update(&serde_json::to_vec(&context.query).unwrap_or_default());
        match self {
            Self::Objects(contents) => contents.iter().for_each(|content| hasher.update(content.as_bytes())),
            Self::Values(listed) => {
                for (key, word) in listed {
                    let Word { earliest, first, newest, .. } = word;
                    let said = context.names.describe(word);
                    let said = format!("\n{}\0{}\0{said}\0{earliest}\0{first}\0{newest}", key.list, key.text);
                    hasher.update(said.as_bytes());
                }
            }
        }
        to_hex(hasher.finish().as_ref())
    }
}

/// What came and went since the export before.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) added: Vec<Key>,
    pub(crate) removed: Vec<Key>,
}

/// An export that is ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    context: Context,
    content: Content,
    /// What the format still says to be gone.
    gone: Vec<Gone>,
    digest: String,
    /// Whether the export before was the same.
    pub(crate) is_unchanged: bool,
    /// What came and went, if the format tells it and the export before is known.
    pub(crate) changes: Changes,
    pub(crate) summary: ExportSummary,
    /// When something of it will be valid no longer.
    pub(crate) next_expiry: Option<Time>,
}

/// Gathers what is to be exported. Blocks.
pub(crate) fn prepare(
    node: &Arc<Node>,
    query: &ExportQuery,
    before: Option<&[u8]>,
    now: Time,
) -> Result<Prepared, ExportError> {
    query.check().map_err(ExportError::Query)?;
    if node.gate.is_closed() {
        return Err(ExportError::CatchingUp);
    }
    let visibility = visibility(node, query)?;
    let gathered = gather::gather(node, gather::Scope { visibility, observables: query.observables, now })?;
    let next_expiry = gathered.next_expiry;
    let names = gathered.certs.names(|cert| node.name_of(cert));
    let mut left_out = LeftOut::default();
    let mut special = 0;
    let content = if query.format == ExportFormat::StixBundle {
        Content::Objects(gathered.into_contents(&mut left_out))
    } else {
        let (values, _) = gathered.into_values(&mut left_out);
        Content::Values(list(values, query, &mut left_out, &mut special))
    };
    let context = Context { query: query.clone(), names, now, serial: 0 };
    let state = before.map(|text| State::parse(text, query, lists(query.format)));
    Ok(finish(context, content, state, left_out, special, next_expiry))
}

/// What the collection shows, narrowed to what was asked for.
fn visibility(node: &Node, query: &ExportQuery) -> Result<Visibility, ExportError> {
    let name = query.collection();
    let unknown = || ExportError::Collection { name: name.chars().take(80).collect() };
    let collection = node.collections.named(name).ok_or_else(unknown)?;
    let tlp_max = query.tlp_max().map_err(ExportError::Query)?;
    Ok(tlp_max.map_or_else(|| collection.visibility.clone(), |tlp_max| collection.visibility.narrowed(tlp_max)))
}

/// Joins what is there now with what was there before.
fn finish(
    mut context: Context,
    content: Content,
    state: Option<Option<State>>,
    left_out: LeftOut,
    special: u64,
    next_expiry: Option<Time>,
) -> Prepared {
    let before = match &state {
        None => Before::Nothing,
        Some(None) => Before::Unusable,
        Some(Some(_)) => Before::Known,
    };
    let digest = content.digest(&context);
    let state = state.flatten();
    context.serial = state::next_serial(state.as_ref(), context.now);
    let is_unchanged = state.as_ref().is_some_and(|state| state.digest == digest);
    let (changes, gone) = match (state, &content) {
        (Some(state), Content::Values(listed)) => state.compare(listed, context.now),
        _ => (Changes::default(), Vec::new()),
    };
    let summary = ExportSummary {
        format: context.query.format,
        collection: context.query.collection().to_owned(),
        values: content.len() as u64,
        removed: changes.removed.len() as u64,
        left_out: left_out.to_texts(),
        special,
        before,
    };
    Prepared { context, content, gone, digest, is_unchanged, changes, summary, next_expiry }
}

/// Gives every value its place in the format; values that have one place become one.
fn list(values: BTreeMap<Observable, Word>, query: &ExportQuery, left_out: &mut LeftOut, special: &mut u64) -> Listed {
    let mut listed = Listed::new();
    for (value, word) in values {
        match place(&value, query) {
            Ok(key) => {
                *special += u64::from(value::network(&value).is_some_and(|(address, _)| value::is_special(address)));
                listed.entry(key).and_modify(|known| known.merge(&word)).or_insert(word);
            }
            Err(reason) => left_out.count(reason),
        }
    }
    listed
}

fn place(value: &Observable, query: &ExportQuery) -> Result<Key, Reason> {
    match query.format {
        ExportFormat::SuricataDataset => suricata::place_in_dataset(value),
        ExportFormat::SuricataIprep => suricata::place_in_iprep(value),
        ExportFormat::ZeekIntel => zeek::place(value),
        ExportFormat::Rpz => rpz::place(value, rpz::zone(query)),
        ExportFormat::WazuhCdb => wazuh::place(value),
        ExportFormat::SplunkCsv => splunk::place(value),
        ExportFormat::MispFeed => misp::place(value),
        // Of all kinds, by name.
        _ => Ok(Key { list: value.kind.as_str(), text: value.value.clone() }),
    }
}

/// The lists of a format that tells what is gone, so that its state has the values.
fn lists(format: ExportFormat) -> &'static [&'static str] {
    match format {
        ExportFormat::SuricataDataset => &suricata::DATASETS,
        ExportFormat::ZeekIntel => &zeek::TYPES,
        _ => &[],
    }
}

impl Prepared {
    /// The source that products are told.
    fn source(&self) -> String {
        self.context.source()
    }

    /// Writes the export, and the state for the next one. Blocks.
    pub(crate) fn write(&self, node: &Arc<Node>, out: &mut dyn Output) -> Result<(), ExportError> {
        match &self.content {
            Content::Values(listed) => self.write_values(listed, out),
            Content::Objects(contents) => {
                self.write_bundle(node, contents, out)?;
                out.begin_state()?;
                state::write(&self.context, &self.digest, None, &[], out)
            }
        }
    }

    fn write_values(&self, listed: &Listed, out: &mut dyn Output) -> Result<(), ExportError> {
        let context = &self.context;
        match context.query.format {
            ExportFormat::SuricataDataset => suricata::write_datasets(listed, context, out)?,
            ExportFormat::SuricataIprep => suricata::write_iprep(listed, context, out)?,
            ExportFormat::ZeekIntel => zeek::write(listed, &self.gone, context, out)?,
            ExportFormat::Rpz => rpz::write(listed, context, out)?,
            ExportFormat::WazuhCdb => wazuh::write(listed, context, out)?,
            ExportFormat::SplunkCsv => splunk::write(listed, context, out)?,
            ExportFormat::MispFeed => misp::write(listed, context, out)?,
            _ => csv::write(listed, context, out)?,
        }
        out.begin_state()?;
        let told = context.query.format.tells_removals().then_some(listed);
        state::write(context, &self.digest, told, &self.gone, out)
    }

    /// One bundle of the objects as their producers wrote them.
    fn write_bundle(&self, node: &Arc<Node>, contents: &[ContentId], out: &mut dyn Output) -> Result<(), ExportError> {
        let feed = Feed::new(Arc::clone(node), visibility(node, &self.context.query)?);
        out.begin("mithaq.json")?;
        out.text(&format!(r#"{{"type":"bundle","id":"bundle--{}","objects":["#, uuid::of("bundle", &self.digest)))?;
        let mut separator = "\n";
        for contents in contents.chunks(BODIES) {
            for body in feed.bodies_of_shown(contents)?.into_iter().flatten() {
                // Canonical bytes are UTF-8; the store has checked them against their hash.
                let Ok(body) = std::str::from_utf8(&body) else { continue };
                out.text(separator)?;
                out.text(body)?;
                separator = ",\n";
            }
        }
        out.text("\n]}\n")
    }
}
