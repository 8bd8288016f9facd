//! Readers as strict as the formats' documentation has them, written without a look at what writes.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};

/// Zeek's ASCII reader: the fields of every line, escapes undone.
pub(super) fn zeek(text: &str) -> Vec<Vec<String>> {
    let mut lines = text.split_terminator('\n');
    let header = lines.next().unwrap().strip_prefix("#fields\t").unwrap();
    let columns = header.split('\t').count();
    let mut rows = Vec::new();
    for line in lines {
        assert!(!line.starts_with('#') && !line.is_empty(), "a line that Zeek passes over: {line:?}");
        let fields: Vec<_> = line.split('\t').map(zeek_field).collect();
        assert_eq!(fields.len(), columns, "{line:?}");
        rows.push(fields);
    }
    rows
}

fn zeek_field(field: &str) -> String {
    assert!(!field.is_empty() && !field.contains(char::is_control), "{field:?}");
    let mut bytes = Vec::new();
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = rest[at..].strip_prefix("\\x").unwrap_or_else(|| panic!("{field:?} has an odd escape"));
        bytes.push(u8::from_str_radix(&escape[..2], 16).unwrap());
        rest = &escape[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).unwrap()
}

/// Wazuh's lists: keys and values.
pub(super) fn wazuh(text: &str) -> Vec<(String, String)> {
    let mut keys = BTreeSet::new();
    let mut rows = Vec::new();
    for line in text.split_terminator('\n') {
        let (key, value) = match line.strip_prefix('"') {
            Some(quoted) => {
                let (key, rest) = quoted.split_once('"').unwrap();
                (key, rest.strip_prefix(':').unwrap_or_else(|| panic!("{line:?} has no colon behind its key")))
            }
            None => line.split_once(':').unwrap(),
        };
        assert!(!key.is_empty() && keys.insert(key.to_owned()), "{key:?} is not unique");
        assert!(!value.contains([':', '"']) && !line.contains(char::is_control), "{line:?}");
        rows.push((key.to_owned(), value.to_owned()));
    }
    rows
}

/// RFC 4180: rows of cells, each row as long as the first.
pub(super) fn csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut chars = text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable();
    let mut is_quoted = false;
    while let Some(c) = chars.next() {
        let row = rows.last_mut().unwrap();
        let cell = row.last_mut().unwrap();
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => cell.push(chars.next().unwrap()),
            '"' if is_quoted => {
                is_quoted = false;
                assert!(matches!(chars.peek(), Some(',' | '\r')), "text behind a quote");
            }
            '"' if cell.is_empty() => is_quoted = true,
            '"' => panic!("a quote within a cell that has none around it"),
            ',' if !is_quoted => row.push(String::new()),
            '\r' if !is_quoted => {
                assert_eq!(chars.next(), Some('\n'));
                rows.push(vec![String::new()]);
            }
            '\n' if !is_quoted => panic!("a line ends within a row"),
            c => cell.push(c),
        }
    }
    assert_eq!(rows.pop().unwrap(), [String::new()], "the last row has no end");
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "rows differ in length");
    rows
}

/// A cell as it was before it was guarded; what a spreadsheet would reckon with is no cell.
pub(super) fn unguarded(cell: &str) -> String {
    const FORMULAS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];
    assert!(!cell.starts_with(FORMULAS), "a spreadsheet reckons with {cell:?}");
    match cell.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(FORMULAS) => rest.to_owned(),
        Some(rest) if rest.trim_start_matches('\'').starts_with(['＝', '＋', '－', '＠']) => rest.to_owned(),
        _ => cell.to_owned(),
    }
}

/// A dataset of strings.
pub(super) fn base64_lines(text: &str) -> Vec<String> {
    let decode = |line: &str| String::from_utf8(STANDARD.decode(line).unwrap()).unwrap();
    text.split_terminator('\n').map(decode).collect()
}

/// The triggers of a policy zone, and its serial. Every name must fit below the zone and resolve to nothing.
pub(super) fn rpz(text: &str) -> (u32, Vec<String>) {
    let mut lines = text.split_terminator('\n');
    let origin = lines.next().unwrap().strip_prefix("$ORIGIN ").unwrap().to_owned();
    assert!(lines.next().unwrap().starts_with("$TTL "));
    let soa: Vec<_> = lines.next().unwrap().split(' ').collect();
    assert_eq!(soa[..3], ["@", "IN", "SOA"]);
    assert_eq!(lines.next().unwrap().split(' ').take(3).collect::<Vec<_>>(), ["@", "IN", "NS"]);
    let mut names = BTreeSet::new();
    for line in lines {
        let name = line.strip_suffix(" CNAME .").unwrap_or_else(|| panic!("{line:?}"));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*');
        assert!(name.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(is_plain)), "{name}");
        assert!(!name.trim_start_matches("*.").contains('*'), "{name}");
        assert!(format!("{name}.{origin}").len() < 255, "{name} is too long");
        assert!(names.insert(name.to_owned()), "{name} stands twice");
    }
    let apexes = names.iter().filter(|name| !name.starts_with("*.")).cloned().collect::<Vec<_>>();
    for name in apexes.iter().filter(|name| !name.ends_with(".rpz-ip")) {
        assert!(names.contains(&format!("*.{name}")), "{name} has no wildcard");
    }
    (soa[5].parse().unwrap(), apexes)
}
