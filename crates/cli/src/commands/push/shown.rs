//! What was made of an input, shown before anything is sent.

use anstyle::Style;
use serde::Serialize;

use super::intake::Made;
use crate::{
    console::{BAD, Console, FAINT, GOOD, PLAIN, STRONG, WARN},
    failure::Failure,
    intake::{Intake, LeftOut, Outcome, What},
    table::Table,
    terminal::cut,
};

/// How many rows people are shown, unless they ask for all.
const ROWS_MAX: usize = 40;
/// How wide the columns of what stood there and what it became are.
const FOUND_COLUMNS: usize = 36;
const MADE_COLUMNS: usize = 60;

/// A line for programs.
#[derive(Serialize)]
#[serde(tag = "intake", rename_all = "kebab-case")]
enum Line<'a> {
    Made { place: &'a str, found: &'a str, id: Option<&'a str>, made: String, notes: Vec<&'a str> },
    LeftOut { place: &'a str, found: &'a str, reason: &'a str, refused: bool },
    Lost { field: &'a str, count: usize, first: &'a [String] },
}

/// Shows what was made of each value, what was left out and why, and what is lost.
pub(super) fn show(made: &Intake, rows: &[Made<'_>], verbose: bool, console: &mut Console) -> Result<(), Failure> {
    let nothing: Vec<LeftOut> = rows.iter().filter_map(left_out).collect();
    if console.is_json() {
        return json(made, rows, &nothing, console);
    }
    let rows_max = if verbose { usize::MAX } else { ROWS_MAX };
    table(rows, rows_max, console)?;
    let left: Vec<&LeftOut> = made.losses.left_out().iter().chain(&nothing).collect();
    for LeftOut { place, found, reason, refused } in left.iter().take(rows_max) {
        let (style, word) = if *refused { (BAD, "refused ") } else { (FAINT, "left out") };
        let found = cut(found, FOUND_COLUMNS).into_owned();
        console.spans(&[(style, word.to_owned()), (PLAIN, format!("  {place}: {found}  {reason}"))])?;
    }
    more(left.len(), rows_max, console)?;
    for (field, loss) in made.losses.fields() {
        let first = cut(&loss.first.join(" · "), MADE_COLUMNS).into_owned();
        console.spans(&[
            (WARN, "not carried".to_owned()),
            (PLAIN, format!("  {field}: {} times, such as {first}", loss.count)),
        ])?;
    }
    let sent = rows.len() - nothing.len() + made.objects.len();
    let (left, refused) = (made.losses.left_out_count() + nothing.len(), made.losses.refused());
    console.styled(STRONG, format_args!("{sent} objects made, {left} values left out, {refused} of them refused"))
}

fn json(made: &Intake, rows: &[Made<'_>], nothing: &[LeftOut], console: &mut Console) -> Result<(), Failure> {
    for row in rows {
        let Made { draft, id, outcome, .. } = row;
        if matches!(outcome, Outcome::Object(_)) {
            let (place, found, made) = (&draft.place, &draft.found, becomes(&draft.what));
            console.json(&Line::Made { place, found, id: id.as_deref(), made, notes: row.notes() })?;
        }
    }
    for LeftOut { place, found, reason, refused } in made.losses.left_out().iter().chain(nothing) {
        console.json(&Line::LeftOut { place, found, reason, refused: *refused })?;
    }
    for (field, loss) in made.losses.fields() {
        console.json(&Line::Lost { field, count: loss.count, first: &loss.first })?;
    }
    Ok(())
}

fn left_out(row: &Made<'_>) -> Option<LeftOut> {
    let Outcome::Nothing(reason) = row.outcome else { return None };
    let (place, found) = (row.draft.place.clone(), row.draft.found.clone());
    Some(LeftOut { place, found, reason: reason.to_owned(), refused: false })
}

fn table(rows: &[Made<'_>], rows_max: usize, console: &mut Console) -> Result<(), Failure> {
    let made: Vec<_> = rows.iter().filter(|row| matches!(row.outcome, Outcome::Object(_))).collect();
    if made.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["where", "what stood there", "becomes", "look at"]);
    for row in made.iter().take(rows_max) {
        let (draft, notes) = (row.draft, row.notes());
        let style: Style = if notes.is_empty() { GOOD } else { WARN };
        table.styled([
            (FAINT, cut(&draft.place, FOUND_COLUMNS).into_owned()),
            (PLAIN, cut(&draft.found, FOUND_COLUMNS).into_owned()),
            (style, cut(&becomes(&draft.what), MADE_COLUMNS).into_owned()),
            (WARN, notes.join("; ")),
        ]);
    }
    table.print(console)?;
    more(made.len(), rows_max, console)
}

fn more(rows: usize, rows_max: usize, console: &mut Console) -> Result<(), Failure> {
    match rows.checked_sub(rows_max) {
        Some(more @ 1..) => console.styled(FAINT, format_args!("… and {more} more; --verbose shows all")),
        _ => Ok(()),
    }
}

fn becomes(what: &What) -> String {
    match what {
        What::Indicator { pattern, .. } => pattern.clone(),
        What::Observable(observable) => format!("{} {}", observable.kind, observable.value),
        What::Report(members) => format!("report on {} objects", members.len()),
    }
}
