//! The RFC 8785 writer.

use super::Value;

/// The canonical bytes of `value`.
#[must_use]
pub fn canonical(value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_canonical(value, &mut out);
    out
}

/// Appends the canonical bytes of `value` to `out`.
///
/// The tree already holds what is hard about the form (members in order, numbers read, escapes classified), so that
/// this is mostly copying.
pub fn write_canonical(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => number.write(out),
        Value::String(text) => text.write(out),
        Value::Array(values) => {
            out.push(b'[');
            for (i, element) in values.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_canonical(element, out);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            out.push(b'{');
            for (i, member) in map.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                member.key.write(out);
                out.push(b':');
                write_canonical(&member.value, out);
            }
            out.push(b'}');
        }
    }
}
