//! `[link.PEER]`: what is known of the link to a peer.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de};

/// The slowest link that can be configured, in bits a second: below it not even a session's timeouts can be kept.
pub const RATE_MIN: u64 = 8_000;

/// The fastest link that can be configured, in bits a second.
pub const RATE_MAX: u64 = 100_000_000_000;

/// The longest round trip that can be configured.
pub const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// What an operator knows of the link to a peer. Both sides configure what they send themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// How fast we may send to the peer, as the line's contract says it.
    pub rate: Rate,
    /// How long a datagram takes there and back, if the line is far slower than the usual third of a second.
    #[serde(default, deserialize_with = "round_trip")]
    pub round_trip: Option<Duration>,
}

/// Bits a second; written as `10Mbit/s`, `256 kbit/s` or `1.5Mbit/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

/// Why a text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a rate such as \"10Mbit/s\" or \"256kbit/s\", from 8kbit/s to 100Gbit/s")]
pub struct NoRate;

impl Rate {
    /// Bits a second.
    #[must_use]
    pub fn bits_per_second(self) -> u64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let units = [("kbit/s", 1_000), ("Mbit/s", 1_000_000), ("Gbit/s", 1_000_000_000)];
        let with_unit = |(unit, factor)| Some((text.strip_suffix(unit)?, factor));
        let (number, factor) = units.into_iter().find_map(with_unit).ok_or(NoRate)?;
        let bits = decimal(number.trim_end(), factor).ok_or(NoRate)?;
        if (RATE_MIN..=RATE_MAX).contains(&bits) { Ok(Self(bits)) } else { Err(NoRate) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_000_000_000, "Gbit/s"), (1_000_000, "Mbit/s")];
        match units.into_iter().find(|(factor, _)| self.0.is_multiple_of(*factor)) {
            Some((factor, unit)) => write!(f, "{}{unit}", self.0 / factor),
            None if self.0.is_multiple_of(1_000) => write!(f, "{}kbit/s", self.0 / 1_000),
            None => write!(f, "{}.{:03}kbit/s", self.0 / 1_000, self.0 % 1_000),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A number with up to three digits behind the point, times `factor`, which three zeros end.
fn decimal(text: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(thousandths * (factor / 1_000))
}

fn round_trip<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed =
        text.strip_suffix("ms").and_then(|number| decimal(number.trim_end(), 1_000)).map(Duration::from_micros);
    let fits = |duration: &Duration| !duration.is_zero() && *duration <= ROUND_TRIP_MAX;
    let problem = || de::Error::custom("not a round trip such as \"600ms\", at most 10000ms");
    parsed.filter(fits).map(Some).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written() {
        let check = |text: &str, bits, shown: &str| {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.bits_per_second(), rate.to_string()), (bits, shown.into()));
        };
        check("10Mbit/s", 10_000_000, "10Mbit/s");
        check("256 kbit/s", 256_000, "256kbit/s");
        check("1.5Mbit/s", 1_500_000, "1500kbit/s");
        check("33.612kbit/s", 33_612, "33.612kbit/s");
        check("100Gbit/s", RATE_MAX, "100Gbit/s");
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in ["", "10", "10M", "Mbit/s", "-1Mbit/s", "1e3kbit/s", "7.999kbit/s", "101Gbit/s", "1.0001Mbit/s"] {
            assert_eq!(text.parse::<Rate>(), Err(NoRate), "{text}");
        }
    }
}
