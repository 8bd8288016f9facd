//! Tables for people: columns as wide as their widest cell.

use anstyle::Style;

use crate::{
    console::{Console, PLAIN, STRONG},
    failure::Failure,
    terminal::{Escaped, columns},
};

/// What stands between two columns.
const GAP: usize = 2;

/// A table; the last column is not filled up.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<(Style, String)>>,
}

impl Table {
    /// A table with a row of titles.
    pub(crate) fn new<const N: usize>(titles: [&str; N]) -> Self {
        Self { rows: vec![titles.map(|title| (STRONG, title.to_owned())).to_vec()] }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.styled(cells.map(|cell| (PLAIN, cell)));
    }

    /// Adds a row whose cells have styles.
    pub(crate) fn styled<const N: usize>(&mut self, cells: [(Style, String); N]) {
        // Escapes are visible and have a width; the console finds nothing more to escape.
        self.rows.push(cells.map(|(style, text)| (style, Escaped(&text).to_string())).to_vec());
    }

    /// Writes the table.
    pub(crate) fn print(&self, console: &mut Console) -> Result<(), Failure> {
        let widths = self.widths();
        for row in &self.rows {
            let mut spans = Vec::with_capacity(2 * row.len());
            for (number, (style, text)) in row.iter().enumerate() {
                spans.push((*style, text.clone()));
                if number + 1 < row.len() {
                    spans.push((PLAIN, " ".repeat(widths[number] - columns(text) + GAP)));
                }
            }
            console.spans(&spans)?;
        }
        Ok(())
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, (_, text)) in widths.iter_mut().zip(row) {
                *width = columns(text).max(*width);
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_any_script() {
        let mut table = Table::new(["peer", "name"]);
        table.row(["cn".into(), "国家".into()]);
        table.row(["国家网".into(), "x\u{1b}".into()]);
        let (mut console, captured) = Console::captured(None);
        table.print(&mut console).unwrap();
        assert_eq!(captured.out(), "peer    name\ncn      国家\n国家网  x\\u{1b}\n");
    }
}
