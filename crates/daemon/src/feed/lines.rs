//! Items as lines of the stream.

use std::fmt::Write;

use mithaq_core::{stix::object::Object, time::Time};

use super::{Cursor, Item, Provenance, Source, What};
use crate::node::Node;

/// Writes items as lines of the stream, each with its cursor.
pub(crate) fn write_lines(node: &Node, items: &[Item], out: &mut Vec<u8>) {
    items.iter().for_each(|item| write_line(node, item, out));
}

/// Writes one item as a line of the stream, its end included.
pub(crate) fn write_line(node: &Node, item: &Item, out: &mut Vec<u8>) {
    let mut head = String::with_capacity(512);
    let Source { release, manifest, provenance, .. } = &*item.release;
    let Provenance { origin, published_at } = provenance;
    // INVARIANT: writing to a string does not fail, and none of these values needs escaping in JSON.
    let _ = write!(
        head,
        r#"{{"cursor":"{}","op":"{}","added":"{}","origin":"{origin}","published":"{published_at}","release":"{release}","tlp":"{}","content":"{}","#,
        Cursor::behind(node, item),
        operation(&item.what),
        Time::from_micros(item.added_micros),
        manifest.label.tlp,
        item.content,
    );
    out.extend_from_slice(head.as_bytes());
    match &item.what {
        What::Put(body) => {
            out.extend_from_slice(b"\"object\":");
            out.extend_from_slice(body);
        }
        What::Withdraw { stix_id, reason } => {
            let (id, reason) = (serde_json::json!(stix_id), serde_json::json!(reason));
            out.extend_from_slice(format!("\"id\":{id},\"reason\":{reason}").as_bytes());
        }
        What::Expire { stix_id } => {
            out.extend_from_slice(format!("\"id\":{}", serde_json::json!(stix_id)).as_bytes());
        }
    }
    out.extend_from_slice(b"}\n");
}

/// What the reader is to do, as the stream names it. A revoked object is one that its owner calls so.
pub(crate) fn operation(what: &What) -> &'static str {
    match what {
        What::Withdraw { .. } => "withdraw",
        What::Expire { .. } => "expire",
        What::Put(body) if is_revoked(body) => "revoke",
        What::Put(_) => "put",
    }
}

/// Whether an object says, in its canonical bytes, that it is revoked.
pub(crate) fn is_revoked(body: &[u8]) -> bool {
    /// Where a canonical object says so; a string that holds the same text has its quotes escaped.
    const REVOKED: &[u8] = b"\"revoked\":true";
    let may_be_revoked = memchr::memmem::find(body, REVOKED).is_some();
    may_be_revoked && Object::parse(body).is_ok_and(|object| object.revoked())
}
