//! Comma-separated values (RFC 4180), for people and for whatever reads tables.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula, and what it
//! shows comes from strangers. Such a cell gets an apostrophe in front, and so does one that begins with apostrophes and then
//! with one of these, so that taking one away always gives the value back.

use super::{Context, ExportError, Listed, Output};

/// What a file begins with for programs that would take it for another encoding.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Writes the file.
pub(super) fn write(listed: &Listed, context: &Context, out: &mut dyn Output) -> Result<(), ExportError> {
    begin("mithaq.csv", context, out)?;
    row(&["type", "value", "tlp", "certs", "origins", "confidence", "earliest", "newest"], out)?;
    for (key, word) in listed {
        let confidence = word.confidence.map(|confidence| confidence.to_string()).unwrap_or_default();
        let (tlp, certs, origins) = (word.tlp.to_string(), word.certs.len().to_string(), context.names.of(word, " "));
        let (earliest, newest) = (word.earliest.to_string(), word.newest.to_string());
        row(&[key.list, &guarded(&key.text), &tlp, &certs, &guarded(&origins), &confidence, &earliest, &newest], out)?;
    }
    Ok(())
}

/// Begins a file, with a byte order mark if one is asked for.
pub(super) fn begin(name: &str, context: &Context, out: &mut dyn Output) -> Result<(), ExportError> {
    out.begin(name)?;
    if context.query.bom { out.text(BYTE_ORDER_MARK) } else { Ok(()) }
}

/// A text that no spreadsheet takes for a formula.
pub(super) fn guarded(text: &str) -> String {
    let is_formula = |c: char| matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠');
    if text.trim_start_matches('\'').starts_with(is_formula) { format!("'{text}") } else { text.to_owned() }
}

/// Writes a row.
pub(super) fn row(cells: &[&str], out: &mut dyn Output) -> Result<(), ExportError> {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    out.text(&(cells.join(",") + "\r\n"))
}

/// A cell: in quotes if it has what ends a cell, its own quotes doubled.
fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ') {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
