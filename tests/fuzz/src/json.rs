//! The JSON reader and the canonical form.

use mithaq_stix::json::{canonical, is_canonical, parse};
use serde_json::Value;

/// Strict reading: what is accepted has one canonical form that stays, and means to another reader what it means to us;
/// what is refused as no JSON at all is none for the other reader either.
pub fn json(data: &[u8]) {
    let theirs = serde_json::from_slice::<Value>(data);
    match parse(data) {
        Ok(value) => {
            let written = canonical(&value);
            let again = parse(&written).unwrap();
            assert_eq!(again, value, "the canonical form means something else");
            assert_eq!(canonical(&again), written, "the canonical form does not stay");
            assert!(is_canonical(&written), "what was written is not recognised");
            assert_eq!(is_canonical(data), data == written, "the input is taken for what it is not");
            let ours = serde_json::from_slice(&written).unwrap();
            assert!(is_same(&theirs.unwrap(), &ours), "another reader reads something else");
        }
        Err(error) => {
            assert!(error.offset <= data.len() && !error.to_string().is_empty());
            let (line, column) = error.line_column(data);
            assert!(line > 0 && column > 0);
            assert!(theirs.is_err() || !error.kind.is_syntax(), "another reader takes it: {error}");
        }
    }
}

/// Equal but for the last bits of a number: the other reader parses long ones its own way.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= a.abs().max(f64::MIN_POSITIVE) * 4.0 * f64::EPSILON
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_same(a, b)))
        }
        (a, b) => a == b,
    }
}
