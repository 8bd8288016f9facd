//! Randomness from the system.

use crate::failure::Failure;

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::NoRandomness)?;
    Ok(bytes)
}

/// A random UUID (RFC 9562, version 4).
pub(crate) fn uuid() -> Result<String, Failure> {
    let mut bytes = bytes::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = mithaq_core::id::to_hex(&bytes);
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// `count` different numbers from 1 to `max`, in random order.
pub(crate) fn distinct(count: usize, max: usize) -> Result<Vec<usize>, Failure> {
    let mut numbers: Vec<usize> = (1..=max).collect();
    for at in (1..max).rev() {
        // 64 bits over a handful: the bias is nowhere to be seen.
        let random = u64::from_le_bytes(bytes()?);
        let other = usize::try_from(random % (at as u64 + 1)).unwrap_or(0);
        numbers.swap(at, other);
    }
    numbers.truncate(count);
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn uuids_are_of_version_4() {
        let id = format!("identity--{}", uuid().unwrap());
        assert!(mithaq_core::stix::id::StixId::parse(&id).is_ok(), "{id}");
        assert_eq!(id.as_bytes()[24], b'4', "{id}");
        assert!(matches!(id.as_bytes()[29], b'8' | b'9' | b'a' | b'b'), "{id}");
    }

    #[test]
    fn distinct_numbers_are_distinct_and_in_range() {
        for _ in 0..100 {
            let numbers: BTreeSet<_> = distinct(3, 12).unwrap().into_iter().collect();
            assert_eq!(numbers.len(), 3);
            assert!(numbers.iter().all(|number| (1..=12).contains(number)));
        }
    }
}
