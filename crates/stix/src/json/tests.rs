#![allow(clippy::unwrap_used)]

use super::*;

#[track_caller]
fn check(input: &str, expect: &str) {
    let value = parse(input.as_bytes()).unwrap();
    let written = canonical(&value);
    assert_eq!(String::from_utf8_lossy(&written), expect, "of {input}");
    assert_eq!(is_canonical(input.as_bytes()), input == expect, "is_canonical of {input}");
    assert!(is_canonical(&written), "what was written is canonical: {expect}");
}

#[track_caller]
fn refused(input: impl AsRef<[u8]>, kind: JsonErrorKind, offset: usize) {
    let input = input.as_ref();
    assert_eq!(parse(input).err(), Some(JsonError { kind, offset }), "{}", String::from_utf8_lossy(input));
}

#[test]
fn canonical_form_is_recognised_and_written() {
    check("null", "null");
    check(" [ true , false ] ", "[true,false]");
    check(r#"{"b":1,"a":{}}"#, r#"{"a":{},"b":1}"#);
    check(r#"{"a":{},"b":[]}"#, r#"{"a":{},"b":[]}"#);
    check(r#""\/\u0041\u000A\u001F\"\\""#, r#""/A\n\u001f\"\\""#);
    check(r#""\u001f\n\b\t\f\r""#, r#""\u001f\n\b\t\f\r""#);
    check(r#""\ud83d\ude00 \u20ac""#, "\"😀 €\"");
    check("\"\u{7f}\u{2028}<\"", "\"\u{7f}\u{2028}<\"");
}

#[test]
fn numbers_take_their_ecmascript_form() {
    check("-0", "0");
    check("1.0", "1");
    check("1E30", "1e+30");
    check("4.50", "4.5");
    check("2e-3", "0.002");
    check("1e-7", "1e-7");
    check("1e21", "1e+21");
    check("0.000001", "0.000001");
    check("9007199254740991", "9007199254740991");
    check("-9007199254740991.0", "-9007199254740991");
    check("333333333.33333329", "333333333.3333333");
}

#[test]
fn members_sort_by_utf16_code_units() {
    check("{\"\u{ff61}\":1,\"😀\":2,\"z\":3,\"é\":4}", "{\"z\":3,\"é\":4,\"😀\":2,\"\u{ff61}\":1}");
    check(r#"{"ab":1,"a":2,"":3}"#, r#"{"":3,"a":2,"ab":1}"#);
    check(r#"{"\u0062":1,"a":2}"#, r#"{"a":2,"b":1}"#);
}

#[test]
fn what_readers_could_understand_differently_is_refused() {
    use JsonErrorKind::*;
    refused(r#"{"tlp":"red","tlp":"clear"}"#, DuplicateKey, 14);
    refused(r#"{"a":1,"b":2,"\u0061":3}"#, DuplicateKey, 14);
    refused(r#"["\ud800"]"#, LoneSurrogate, 2);
    refused(r#"["\ude00\ud83d"]"#, LoneSurrogate, 2);
    refused(r#"["\ud83dx"]"#, LoneSurrogate, 2);
    refused("9007199254740992", IntegerRange, 0);
    refused("[18446744073709551616]", IntegerRange, 1);
    refused("1e17", IntegerRange, 0);
    refused("1e999", NumberOverflow, 0);
    refused("[".repeat(65) + &"]".repeat(65), Depth, 64);
    refused(b"[\"\xff\"]", InvalidUtf8, 2);
    assert!(parse(("[".repeat(64) + &"]".repeat(64)).as_bytes()).is_ok());
}

#[test]
fn broken_text_is_refused() {
    use JsonErrorKind::*;
    refused("", UnexpectedEnd, 0);
    refused("[1", UnexpectedEnd, 2);
    refused("{} {}", TrailingData, 3);
    refused("[01]", InvalidNumber, 1);
    refused("[1.]", InvalidNumber, 3);
    refused("[-]", InvalidNumber, 1);
    refused("\"a\nb\"", ControlCharacter, 2);
    refused(r#""\x""#, InvalidEscape, 1);
    refused(r#""\u12g4""#, InvalidEscape, 1);
    refused("[1,]", UnexpectedByte(b']'), 3);
    refused("{'a':1}", UnexpectedByte(b'\''), 1);
    refused("nul", UnexpectedEnd, 3);
    refused("\u{feff}1", UnexpectedByte(0xef), 0);
}

#[test]
fn an_error_knows_its_line_and_column() {
    let input = "{\n \"ä\": 01}".as_bytes();
    let error = parse(input).unwrap_err();
    assert_eq!(error.line_column(input), (2, 7));
    assert_eq!(error.to_string(), "malformed number at byte 9");
}

#[test]
fn lookups_go_by_text() {
    let value = parse(r#"{"n\u0061me":"x","count":5e1,"list":[1],"yes":true}"#.as_bytes()).unwrap();
    assert_eq!(value.get("name").unwrap().as_str().as_deref(), Some("x"));
    assert_eq!(value.get("count").unwrap().as_i64(), Some(50));
    assert_eq!(value.get("list").unwrap().as_array().map(<[_]>::len), Some(1));
    assert_eq!(value.get("yes").unwrap().as_bool(), Some(true));
    assert!(value.get("absent").is_none());
}

#[test]
fn own_documents_are_written_canonically() {
    let value = Value::object([("z", Value::from("say \"hi\"\n")), ("a", Value::from(7)), ("z", Value::from("\\"))]);
    assert_eq!(canonical(&value), br#"{"a":7,"z":"\\"}"#);
}
