//! What an input is, by its beginning.

/// The formats that can be told to `mithaq push --from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Told by what it looks like
    Auto,
    /// STIX 2.1, or STIX 2.0 that is brought to 2.1
    Stix,
    /// A MISP event, an array of events, an answer of its API, or the folder of a feed
    Misp,
    /// A table with commas, semicolons, tabs or bars between
    Csv,
    /// A list of values, running text, or a mail
    Text,
}

/// What an input looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sniffed {
    /// STIX 2.1, and whatever else begins as JSON.
    Stix,
    /// A STIX 2.0 bundle.
    Stix20,
    /// MISP.
    Misp,
    /// A table.
    Csv,
    /// A mail.
    Mail,
    /// Any other text.
    Text,
}

/// How many lines of the beginning are looked at.
const LINES_MAX: usize = 20;
/// The headers of which a mail has two.
const HEADERS: [&str; 12] = [
    "from:",
    "to:",
    "subject:",
    "date:",
    "received:",
    "return-path:",
    "mime-version:",
    "message-id:",
    "delivered-to:",
    "content-type:",
    "dkim-signature:",
    "x-mailer:",
];

/// Tells what the beginning of an input looks like.
pub(crate) fn head_kind(head: &[u8]) -> Sniffed {
    let (text, _) = super::decode(head);
    let text = text.trim_start();
    if text.starts_with(['{', '[']) && !text.starts_with("[.") && is_json(text) {
        return json(text);
    }
    if text.is_empty() || text.parse::<f64>().is_ok() || text.starts_with('\0') {
        return Sniffed::Stix;
    }
    if is_mail(text) {
        return Sniffed::Mail;
    }
    if is_table(text) { Sniffed::Csv } else { Sniffed::Text }
}

/// `[` and `{` begin a list of defanged values or patterns too; JSON goes on with one of these.
fn is_json(text: &str) -> bool {
    let next = text[1..].trim_start().chars().next();
    next.is_none_or(|c| matches!(c, '"' | '{' | '[' | ']' | '}') || c.is_ascii_digit())
}

fn json(text: &str) -> Sniffed {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let begins = |start: &str| plain.strip_prefix('[').unwrap_or(&plain).starts_with(start);
    let is_event = begins(r#"{"Event":"#) || begins(r#"{"response":"#) || begins(r#"{"Attribute":"#);
    let is_bare_event =
        plain.contains(r#""Attribute":["#) && plain.contains(r#""info":""#) && !plain.contains(r#""type":"bundle""#);
    if is_event || is_bare_event {
        return Sniffed::Misp;
    }
    if plain.contains(r#""spec_version":"2.0""#) { Sniffed::Stix20 } else { Sniffed::Stix }
}

fn is_mail(text: &str) -> bool {
    let header = |line: &&str| {
        let lower = line.to_ascii_lowercase();
        HEADERS.iter().any(|header| lower.starts_with(header))
    };
    text.lines().take_while(|line| !line.trim().is_empty()).take(LINES_MAX).filter(header).count() >= 2
}

/// The same number of separators in each of the first lines, and at least one.
fn is_table(text: &str) -> bool {
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).take(LINES_MAX).collect();
    // The last line that was read may be cut.
    let whole = &lines[..lines.len().saturating_sub(usize::from(lines.len() > 2))];
    let is_even = |separator: char| {
        let counts: Vec<usize> = whole.iter().map(|line| line.matches(separator).count()).collect();
        counts.first().is_some_and(|first| *first > 0 && counts.iter().all(|count| count == first))
    };
    let is_headed = || whole.first().is_some_and(|line| super::table::is_header_line(line));
    (whole.len() > 1 && [',', ';', '\t', '|'].into_iter().any(is_even)) || is_headed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_told_by_their_beginning() {
        let check = |text: &str, expect| assert_eq!(head_kind(text.as_bytes()), expect, "{text}");
        check("", Sniffed::Stix);
        check(" \n", Sniffed::Stix);
        check("7", Sniffed::Stix);
        check("[1]", Sniffed::Stix);
        check("\u{feff}{\"type\":\"bundle\"}", Sniffed::Stix);
        check(r#"{"type":"bundle","spec_version": "2.0"}"#, Sniffed::Stix20);
        check(r#"{ "Event": {"info":"x"}}"#, Sniffed::Misp);
        check(r#"[{"Event":{}}]"#, Sniffed::Misp);
        check(r#"{"response":[{"Event":{}}]}"#, Sniffed::Misp);
        check("value,type\nevil.example,domain\n", Sniffed::Csv);
        check("evil.example;x\nbad.example;y\nworse.example;z\n", Sniffed::Csv);
        check("indicator\nevil.example\n", Sniffed::Csv);
        check("From: a@b\nSubject: x\n\nevil.example", Sniffed::Mail);
        check("evil[.]example\n", Sniffed::Text);
        check("[ evil ]", Sniffed::Text);
        check("The host, evil.example, was seen.\nIt is bad.\n", Sniffed::Text);
    }
}
