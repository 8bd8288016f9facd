//! Response policy zones: names and addresses that a resolver answers with "no such name".
//!
//! The form of the triggers is that of draft-vixie-dnsop-dns-rpz; the zone is a master file (RFC 1035 §5). Removal is
//! absence: a resolver loads the whole zone when its serial has grown.

use std::{fmt::Write, net::IpAddr};

use mithaq_api::export::ExportQuery;
use mithaq_core::stix::observable::{Observable, ObservableKind as Kind};

use super::{
    Context, ExportError, Key, Listed, Output, Reason,
    value::{is_too_wide, network},
};

/// The zone's name unless another is asked for.
const ZONE: &str = "rpz.mithaq";

/// The longest name in the form of the wire (RFC 1035 §2.3.4).
const NAME_OCTETS_MAX: usize = 255;

/// How long resolvers keep what they answer, in seconds.
const TTL: u32 = 300;

/// The name of the zone.
pub(super) fn zone(query: &ExportQuery) -> &str {
    query.zone.as_deref().unwrap_or(ZONE)
}

/// Where a value stands: its trigger, relative to the zone.
pub(super) fn place(value: &Observable, zone: &str) -> Result<Key, Reason> {
    match value.kind {
        Kind::Domain => name(&value.value, zone).map(|text| Key { list: "name", text }),
        Kind::Ipv4 | Kind::Ipv6 | Kind::Ipv4Cidr | Kind::Ipv6Cidr => {
            let (address, bits) = network(value).ok_or(Reason::Form)?;
            if is_too_wide(address, bits) {
                return Err(Reason::Wide);
            }
            Ok(Key { list: "rpz-ip", text: trigger(address, bits) })
        }
        _ => Err(Reason::Kind),
    }
}

/// The trigger of a name: the name itself, if the zone can have it and its subdomains.
fn name(domain: &str, zone: &str) -> Result<String, Reason> {
    let Some((_, last)) = domain.rsplit_once('.') else {
        // A whole top-level domain.
        return Err(Reason::Wide);
    };
    // A name below these would be a trigger for addresses, name servers or clients.
    if last.starts_with("rpz-") {
        return Err(Reason::Form);
    }
    // On the wire each of the three has a length before each label; the whole ends in a zero.
    let octets = "*.".len() + (domain.len() + 1) + (zone.len() + 1) + 1;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if octets > NAME_OCTETS_MAX || !domain.bytes().all(is_plain) {
        return Err(Reason::Form);
    }
    Ok(domain.to_owned())
}

/// An address or network from back to front, behind the length of its prefix.
fn trigger(address: IpAddr, bits: u8) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{bits}.{d}.{c}.{b}.{a}.rpz-ip")
        }
        IpAddr::V6(address) => format!("{bits}.{}.rpz-ip", groups(address.segments())),
    }
}

/// The groups of an address from back to front, with `zz` for the first of the longest runs of zeros, as `::` stands.
fn groups(segments: [u16; 8]) -> String {
    let run = |start: usize| segments[start..].iter().take_while(|segment| **segment == 0).count();
    let longest = (0..8).map(run).max().filter(|length| *length > 1);
    let zeros =
        longest.and_then(|length| (0..8).find(|start| run(*start) == length).map(|start| start..start + length));
    let mut parts = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        match &zeros {
            Some(zeros) if at == zeros.start => parts.push("zz".to_owned()),
            Some(zeros) if zeros.contains(&at) => {}
            _ => parts.push(format!("{segment:x}")),
        }
    }
    parts.reverse();
    parts.join(".")
}

/// Writes the zone.
pub(super) fn write(listed: &Listed, context: &Context, out: &mut dyn Output) -> Result<(), ExportError> {
    let (zone, serial) = (zone(&context.query), context.serial);
    out.begin(&format!("{zone}.zone"))?;
    out.text(&format!(
        "$ORIGIN {zone}.\n$TTL {TTL}\n@ IN SOA localhost. hostmaster.localhost. {serial} 300 60 604800 {TTL}\n\
        @ IN NS localhost.\n"
    ))?;
    let mut lines = String::new();
    for key in listed.keys() {
        lines.clear();
        // INVARIANT: writing to a string does not fail.
        let _ = match key.list {
            "name" => writeln!(lines, "{0} CNAME .\n*.{0} CNAME .", key.text),
            _ => writeln!(lines, "{} CNAME .", key.text),
        };
        out.text(&lines)?;
    }
    Ok(())
}
