#![allow(clippy::unwrap_used)]

use super::*;

/// Reads and prints: what is printed reads as the same pattern.
#[track_caller]
fn check(text: &str, printed: &str) {
    let pattern = Pattern::parse(text).unwrap();
    assert_eq!(pattern.to_string(), printed);
    assert_eq!(Pattern::parse(printed).unwrap(), pattern, "{printed}");
}

#[track_caller]
fn refused(text: &str, kind: PatternErrorKind, offset: usize) {
    assert_eq!(Pattern::parse(text), Err(PatternError { kind, offset }), "{text}");
}

#[test]
fn one_form_for_each_meaning() {
    check("[ ipv4-addr:value=='198.51.100.1' ]", "[ipv4-addr:value = '198.51.100.1']");
    check("[a:b<>1 /* why */ AND a:c <= -1.5]// end", "[a:b != 1 AND a:c <= -1.5]");
    check("[a:b = 'it\\'s \\\\ here']", "[a:b = 'it\\'s \\\\ here']");
    check("[file:hashes.'SHA-256' IN ('a','b')]", "[file:hashes.'SHA-256' IN ('a', 'b')]");
    check("[a:'b'.'c'[0][*].'IN' NOT LIKE '%']", "[a:b.c[0][*].'IN' NOT LIKE '%']");
    check("[NOT EXISTS a:b OR EXISTS a:c]", "[NOT EXISTS a:b OR EXISTS a:c]");
    check("[(a:b=1 OR a:c=2) AND (a:d=3 AND a:e=4)]", "[(a:b = 1 OR a:c = 2) AND (a:d = 3 AND a:e = 4)]");
    check("[((a:b=1))]", "[a:b = 1]");
    check("[a:b=h'0aFF' OR a:b=b'AAE=' OR a:b=true]", "[a:b = h'0aFF' OR a:b = b'AAE=' OR a:b = true]");
    check("[a:b>t'2020-01-01T00:00:00Z']", "[a:b > t'2020-01-01T00:00:00Z']");
    check("[a:b\u{2003}=\u{a0}'مرحبا']", "[a:b = 'مرحبا']");
}

#[test]
fn observations_join_and_are_limited() {
    check("[a:b=1]AND[a:b=2]OR[a:b=3]FOLLOWEDBY[a:b=4]", "[a:b = 1] AND [a:b = 2] OR [a:b = 3] FOLLOWEDBY [a:b = 4]");
    check("([a:b=1]FOLLOWEDBY[a:b=2])WITHIN 5 SECONDS", "([a:b = 1] FOLLOWEDBY [a:b = 2]) WITHIN 5 SECONDS");
    check("[a:b=1] AND [a:b=2] REPEATS 3 TIMES", "[a:b = 1] AND [a:b = 2] REPEATS 3 TIMES");
    check(
        "[a:b=1] START t'2020-01-01T00:00:00Z' STOP t'2020-01-01T00:00:00.1Z' WITHIN 1.5 SECONDS",
        "[a:b = 1] START t'2020-01-01T00:00:00Z' STOP t'2020-01-01T00:00:00.1Z' WITHIN 1.5 SECONDS",
    );
}

#[test]
fn a_quote_inside_a_literal_ends_nothing() {
    let pattern =
        Pattern::parse(r"[file:name = '\' OR url:value = \'http://decoy.example' AND file:size = 1]").unwrap();
    let tests: Vec<_> = pattern.tests().map(ToString::to_string).collect();
    assert_eq!(tests, [r"file:name = '\' OR url:value = \'http://decoy.example'", "file:size = 1"]);
}

#[test]
fn broken_patterns_are_refused_where_they_break() {
    use PatternErrorKind::*;
    refused("", Expected("[ or ("), 0);
    refused("[a:b = 1", Expected("] or an operator"), 8);
    refused("[a:b = 'x]", UnclosedString, 7);
    refused("[a:b = 'x\\n']", InvalidEscape, 7);
    refused("[a:b = 01]", InvalidLiteral, 7);
    refused("[a:b = h'0']", InvalidLiteral, 7);
    refused("[a:b = b'A']", InvalidLiteral, 7);
    refused("[a:b = t'2020-02-30T00:00:00Z']", InvalidLiteral, 7);
    refused("[a:b > true]", Expected("a value that has an order"), 7);
    refused("[a:b-c = 1]", Expected("a property name: one with hyphens stands in single quotes"), 3);
    refused("[a:b = \"x\"]", UnexpectedCharacter, 7);
    refused("[a:b = 1] WITHIN 0 SECONDS", Expected("a number of seconds"), 17);
    refused("[a:b = 1] START t'2020-01-01T00:00:00Z' STOP t'2020-01-01T00:00:00Z'", StartNotBeforeStop, 10);
    refused("[a:b = 'x\u{202e}y']", BidiControl, 9);
    refused("[a:b = 1] [a:b = 2]", Expected("the end of the pattern or an operator"), 10);
}

#[test]
fn size_and_depth_are_limited() {
    let nested = |depth| format!("[{}a:b=1{}]", "(".repeat(depth), ")".repeat(depth));
    assert!(Pattern::parse(&nested(NESTING_MAX)).is_ok());
    refused(&nested(NESTING_MAX + 1), PatternErrorKind::Nesting, NESTING_MAX + 2);
    refused(&" ".repeat(PATTERN_BYTES_MAX + 1), PatternErrorKind::TooLong, PATTERN_BYTES_MAX);
    refused(&"(".repeat(PATTERN_BYTES_MAX), PatternErrorKind::Nesting, NESTING_MAX + 1);
}
