//! CSV as RFC 4180 has it, for spreadsheets.

/// A record without its end.
pub(super) fn record<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    cells.into_iter().map(cell).collect::<Vec<_>>().join(",")
}

/// One cell. A spreadsheet takes what begins with one of these characters for a formula, which may call programs; an
/// apostrophe before it makes it text.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{feff}']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        let check = |cells: &[&str], expect: &str| assert_eq!(record(cells.iter().copied()), expect);
        check(&["a", "b c", ""], "a,b c,");
        check(&["a,b", "say \"x\"", "two\r\nlines"], "\"a,b\",\"say \"\"x\"\"\",\"two\r\nlines\"");
        check(&["=1+1", "+1", "-1", "@x", "\tx"], "'=1+1,'+1,'-1,'@x,'\tx");
        check(&["=HYPERLINK(\"http://x\",\"y\")"], "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
        check(&["\u{feff}x", "قومی"], "'\u{feff}x,قومی");
    }
}
