//! Tables: CSV with any separator, whose columns are told or guessed from their names.

use std::collections::BTreeMap;

use csv::{ByteRecord, ReaderBuilder, StringRecord};
use mithaq_core::stix::ObservableKind as Kind;

use super::{
    Intake, Says, date,
    draft::some,
    misp::kind_named,
    text::{decode, draft},
    value,
};

/// How many rows are looked at to find the separator, and the column of values.
const LOOKED_AT_MAX: usize = 20;
/// The most columns of a table.
const COLUMNS_MAX: usize = 256;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Value,
    ValueOf(Kind),
    Kind,
    Name,
    Description,
    Labels,
    Sectors,
    Tlp,
    Confidence,
    From,
    Until,
    ChangedAt,
    ToIds,
}

/// The names that may be given to `--map`, and by which columns are guessed.
const NAMES: [(Field, &[&str]); 12] = [
    (Field::Value, &["value", "ioc", "indicator", "observable", "iocvalue", "indicatorvalue", "artifact", "ioc_value"]),
    (Field::Kind, &["type", "kind", "ioctype", "indicatortype", "datatype"]),
    (Field::Name, &["name", "title", "malware", "malwareprintable", "threat", "family"]),
    (Field::Description, &["description", "comment", "comments", "note", "notes", "desc", "details", "info"]),
    (Field::Labels, &["labels", "label", "tags", "tag", "threattype"]),
    (Field::Sectors, &["sectors", "sector"]),
    (Field::Tlp, &["tlp", "marking", "tlplevel"]),
    (Field::Confidence, &["confidence", "confidencelevel", "score"]),
    (Field::From, &["valid_from", "firstseen", "firstseenutc", "dateadded", "date", "seen"]),
    (Field::Until, &["valid_until", "expires", "expiry", "expiration"]),
    (Field::ChangedAt, &["modified", "lastmodified", "updated", "timestamp"]),
    (Field::ToIds, &["to_ids", "ids", "detect"]),
];

/// Which column holds what, as `--map value=ioc,type=kind` says it; what is not said is guessed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Map(Vec<(Field, String)>);

/// Why a table cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MapError {
    /// The map is not understood.
    #[error("{found:?} is not FIELD=COLUMN with one of the fields {}", field_names())]
    Syntax {
        /// What stood there.
        found: String,
    },
    /// There is no such column.
    #[error("there is no column {column:?}; the columns are: {columns}")]
    NoColumn {
        /// What was asked for.
        column: String,
        /// What there is.
        columns: String,
    },
    /// No column holds values.
    #[error("no column is known to hold values: say which with --map value=COLUMN; the columns are: {columns}")]
    NoValues {
        /// What there is.
        columns: String,
    },
}

fn field_names() -> String {
    let names: Vec<&str> = NAMES.iter().map(|(_, names)| names[0]).collect();
    names.join(", ")
}

impl Map {
    /// Reads what `--map` says.
    ///
    /// # Errors
    /// When a part names no field.
    pub(crate) fn parse(text: &str) -> Result<Self, MapError> {
        let part = |part: &str| {
            let syntax = || MapError::Syntax { found: part.to_owned() };
            let (field, column) = part.split_once('=').ok_or_else(syntax)?;
            let field = field_of(field).ok_or_else(syntax)?;
            if column.trim().is_empty() { Err(syntax()) } else { Ok((field, column.trim().to_owned())) }
        };
        text.split(',').map(part).collect::<Result<_, _>>().map(Self)
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn field_of(name: &str) -> Option<Field> {
    let name = plain(name);
    let known = NAMES.iter().find(|(_, names)| names.iter().any(|known| plain(known) == name));
    let of_kind = || kind_named(&name).map(Field::ValueOf);
    known.map(|(field, _)| *field).or_else(of_kind)
}

/// Whether a line is a table's first and names columns.
pub(super) fn is_header_line(line: &str) -> bool {
    let mut fields = line.split([',', ';', '\t', '|']).map(|name| field_of(name.trim_matches('"')));
    fields.any(|field| matches!(field, Some(Field::Value | Field::ValueOf(_))))
}

/// Takes what a table holds.
///
/// # Errors
/// When no column is known to hold values, or the map names one that there is not.
pub(crate) fn csv(bytes: &[u8], map: &Map, into: &mut Intake) -> Result<(), MapError> {
    let (text, broken) = decode(bytes);
    if broken > 0 {
        into.losses.field("characters that are no UTF-8", &broken.to_string());
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .delimiter(separator(&text))
        .from_reader(text.as_bytes());
    let mut table: Option<Table> = None;
    let mut lines = Lines { text: &text, byte: 0, line: 1 };
    let mut record = ByteRecord::new();
    // The reader reads from memory and takes rows of any length: what it can fail at, UTF-8, is not asked of it.
    while reader.read_byte_record(&mut record).unwrap_or(false) && !into.is_full() {
        let row = StringRecord::from_byte_record_lossy(record.clone());
        let line = record.position().map_or(0, |position| lines.at(position.byte()));
        match &table {
            Some(table) => table.row(&row, line, into),
            None => {
                let found = Table::of(&row, map)?;
                if !found.is_headed {
                    found.row(&row, line, into);
                }
                table = Some(found);
            }
        }
    }
    Ok(())
}

/// Counts lines as far as rows have come.
struct Lines<'a> {
    text: &'a str,
    byte: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the row that follows a place; the reader tells the place before blank lines and comments.
    fn at(&mut self, byte: u64) -> u64 {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX);
        // Of CR LF, the reader takes the second for the next row's first.
        let byte = byte.saturating_add(usize::from(self.text.as_bytes().get(byte) == Some(&b'\n')));
        while let Some(rest) = self.text.as_bytes().get(self.byte..).filter(|rest| !rest.is_empty()) {
            let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
            let is_passed = self.byte + end <= byte || rest.starts_with(b"#") || rest[..end].trim_ascii().is_empty();
            if !is_passed {
                break;
            }
            self.byte += end;
            self.line += 1;
        }
        self.line
    }
}

/// The separator that stands most often, and evenly, in the first rows.
fn separator(text: &str) -> u8 {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).take(LOOKED_AT_MAX).collect();
    let score = |separator: &u8| {
        let count = |line: &&str| unquoted(line).filter(|byte| byte == separator).count();
        let counts: Vec<usize> = lines.iter().map(count).collect();
        let first = counts.first().copied().unwrap_or_default();
        let even = counts.iter().filter(|count| first > 0 && **count == first).count();
        (even, first)
    };
    [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(score).unwrap_or(b',')
}

fn unquoted(line: &str) -> impl Iterator<Item = u8> + '_ {
    let mut quoted = false;
    line.bytes().filter(move |byte| {
        quoted ^= *byte == b'"';
        !quoted
    })
}

/// A table whose columns are known.
struct Table {
    names: Vec<String>,
    fields: BTreeMap<usize, Field>,
    is_headed: bool,
}

impl Table {
    fn of(first: &StringRecord, map: &Map) -> Result<Self, MapError> {
        let names: Vec<String> = first.iter().take(COLUMNS_MAX).map(|name| name.trim().to_owned()).collect();
        let columns = || names.join(", ");
        let mut fields = BTreeMap::new();
        for (field, column) in &map.0 {
            let by_name = names.iter().position(|name| plain(name) == plain(column) && !plain(name).is_empty());
            let by_number = || column.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let number = by_name.or_else(by_number).filter(|number| *number < names.len());
            let no_column = || MapError::NoColumn { column: column.clone(), columns: columns() };
            fields.insert(number.ok_or_else(no_column)?, *field);
        }
        let holds_value = |name: &String| value::value(name, None).is_ok();
        let is_headed = !names.iter().any(holds_value);
        for (number, name) in names.iter().enumerate() {
            let is_told = |field: &Field| map.0.iter().any(|(told, _)| told == field);
            match field_of(name).filter(|field| is_headed && !is_told(field)) {
                Some(field) if !fields.values().any(|known| *known == field) => {
                    fields.entry(number).or_insert(field);
                }
                _ => {}
            }
        }
        let has_values =
            |fields: &BTreeMap<_, _>| fields.values().any(|field| matches!(field, Field::Value | Field::ValueOf(_)));
        if !has_values(&fields)
            && let Some(number) = names.iter().position(holds_value)
        {
            fields.insert(number, Field::Value);
        }
        if has_values(&fields) {
            Ok(Self { names, fields, is_headed })
        } else {
            Err(MapError::NoValues { columns: columns() })
        }
    }

    fn cell<'r>(&self, row: &'r StringRecord, field: Field) -> Option<&'r str> {
        let number = self.fields.iter().find(|(_, known)| **known == field)?.0;
        row.get(*number).map(str::trim).filter(|cell| !cell.is_empty())
    }

    fn name(&self, number: usize) -> String {
        match self.names.get(number).filter(|_| self.is_headed) {
            Some(name) if !name.is_empty() => format!("column {name}"),
            _ => format!("column {}", number + 1),
        }
    }

    fn row(&self, row: &StringRecord, line: u64, into: &mut Intake) {
        if row.iter().all(|cell| cell.trim().is_empty()) {
            return;
        }
        let place = format!("line {line}");
        let says = self.says(row, &place, into);
        let kind = self.cell(row, Field::Kind);
        let detect =
            self.cell(row, Field::ToIds).is_none_or(|cell| !matches!(plain(cell).as_str(), "0" | "false" | "no"));
        let mut holds_none = true;
        for (number, field) in &self.fields {
            let Some(cell) = row.get(*number).map(str::trim).filter(|cell| !cell.is_empty()) else { continue };
            let kind = match field {
                Field::Value => kind.and_then(|kind| self.kind(kind, cell)),
                Field::ValueOf(kind) => Some(*kind),
                _ => continue,
            };
            holds_none = false;
            self.value(cell, kind, &place, detect, says.clone(), into);
        }
        if holds_none {
            into.losses.refuse(&place, &row.iter().collect::<Vec<_>>().join(" "), "holds no value");
        }
        self.lost(row, into);
    }

    /// The kind that a cell names, unless it says no more than the value does.
    fn kind(&self, name: &str, cell: &str) -> Option<Kind> {
        let named = kind_named(&plain(name))?;
        let says_more = value::value(cell, None).map_or(true, |found| found.observable.kind != named);
        says_more.then_some(named)
    }

    fn value(&self, cell: &str, kind: Option<Kind>, place: &str, detect: bool, says: Says, into: &mut Intake) {
        match value::value(cell, kind) {
            Ok(found) => {
                into.take(draft(place, cell, found, detect, says));
            }
            Err(error) => into.losses.refuse(place, cell, error.to_string()),
        }
    }

    fn says(&self, row: &StringRecord, place: &str, into: &mut Intake) -> Says {
        let mut says = Says {
            name: self.cell(row, Field::Name).and_then(some),
            description: self.cell(row, Field::Description).and_then(some),
            ..Says::default()
        };
        for label in self.cell(row, Field::Labels).into_iter().flat_map(|cell| cell.split([',', ';', '|'])) {
            says.label(label);
        }
        let sectors = self.cell(row, Field::Sectors).into_iter().flat_map(|cell| cell.split([',', ';', '|']));
        says.sectors.extend(sectors.filter_map(some));
        let mut read = |field: Field, name: &str| {
            let cell = self.cell(row, field)?;
            let time = date::read(cell);
            if time.is_none() {
                into.losses.field(&format!("{name} that is no date"), &format!("{place}: {cell}"));
            }
            time
        };
        says.valid_from = read(Field::From, "a beginning");
        says.valid_until = read(Field::Until, "an end");
        says.changed_at = read(Field::ChangedAt, "a change");
        if let Some(cell) = self.cell(row, Field::Confidence) {
            says.confidence = confidence(cell);
            if says.confidence.is_none() {
                into.losses.field("confidence that is no number from 0 to 100", &format!("{place}: {cell}"));
            }
        }
        if let Some(cell) = self.cell(row, Field::Tlp) {
            says.tlp = Some(super::misp::level(cell).unwrap_or_else(|| {
                into.losses.field("TLP levels that are not known, taken for red", &format!("{place}: {cell}"));
                mithaq_core::stix::marking::Tlp::Red
            }));
        }
        says
    }

    fn lost(&self, row: &StringRecord, into: &mut Intake) {
        for (number, cell) in row.iter().enumerate() {
            if !self.fields.contains_key(&number) && !cell.trim().is_empty() {
                into.losses.field(&self.name(number.min(COLUMNS_MAX)), cell.trim());
            }
        }
    }
}

/// A confidence as a number, or as one of the words of STIX 2.1, appendix A.
fn confidence(text: &str) -> Option<u8> {
    match text.to_lowercase().as_str() {
        "none" => Some(0),
        "low" => Some(15),
        "medium" | "med" | "moderate" => Some(50),
        "high" => Some(85),
        other => other.trim_end_matches('%').trim().parse().ok().filter(|number| *number <= 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{Draft, What};
    use mithaq_core::stix::marking::Tlp;

    fn read(text: &[u8], map: &str) -> Intake {
        let map = if map.is_empty() { Map::default() } else { Map::parse(map).unwrap() };
        let mut intake = Intake::default();
        csv(text, &map, &mut intake).unwrap();
        intake
    }

    fn values(intake: &Intake) -> Vec<String> {
        let value = |draft: &Draft| match &draft.what {
            What::Indicator { observables, .. } => observables[0].value.clone(),
            other => format!("{other:?}"),
        };
        intake.drafts().iter().map(value).collect()
    }

    #[test]
    fn columns_are_guessed_from_their_names() {
        let text = "\u{feff}Type;IOC;Comment;TLP;Tags;Reference;First Seen\r\n\
            domain;evil[.]example;\"said\ntwice; \"\"here\"\"\";TLP:GREEN;c2, phishing;https://x.example;2026-01-02\r\n\
            ip;192.0.2.1;;purple;;;soon\r\n;;;;;;\r\nmd5;evil;;;;;\r\n";
        let intake = read(text.as_bytes(), "");
        assert_eq!(values(&intake), ["evil.example", "192.0.2.1"]);
        let says = &intake.drafts()[0].says;
        assert_eq!(says.description.as_deref(), Some("said\ntwice; \"here\""));
        assert_eq!((says.tlp, says.labels.len()), (Some(Tlp::Green), 2));
        assert_eq!(date::stix(says.valid_from.unwrap()), "2026-01-02T00:00:00.000Z");
        assert_eq!(intake.drafts()[1].says.tlp, Some(Tlp::Red), "what is not understood is not let out");
        assert_eq!(intake.drafts()[0].place, "line 2");
        assert_eq!(intake.losses.fields()["column Reference"].first, ["https://x.example"]);
        assert_eq!(intake.losses.left_out()[0].reason, "is no file-md5");
        assert_eq!(intake.losses.refused(), 1);
    }

    #[test]
    fn columns_can_be_told_by_name_or_number() {
        let intake = read(b"a,b,c\nx,evil.example,y\n", "value=b,name=3");
        assert_eq!(values(&intake), ["evil.example"]);
        assert_eq!(intake.drafts()[0].says.name.as_deref(), Some("y"));
        let mut intake = Intake::default();
        let error = csv(b"a,b\n1,2\n", &Map::parse("value=z").unwrap(), &mut intake).unwrap_err();
        assert!(error.to_string().contains("the columns are: a, b"), "{error}");
        let error = csv(b"a,b\n1,2\n", &Map::default(), &mut intake).unwrap_err();
        assert!(error.to_string().contains("--map value=COLUMN"), "{error}");
        assert!(Map::parse("colour=a").unwrap_err().to_string().contains("value, type, name"));
    }

    #[test]
    fn tables_without_names_and_with_a_column_for_each_kind_are_read() {
        assert_eq!(values(&read(b"x,evil.example,y\nx,bad.example,y\n", "")), ["evil.example", "bad.example"]);
        assert_eq!(
            values(&read(b"2026-01-01|evil.example\n2026-01-01|bad.example\n", "")),
            ["evil.example", "bad.example"]
        );
        let intake = read(b"value,to_ids\nevil.example,0\nbad.example,1\n", "");
        assert!(matches!(intake.drafts()[0].what, What::Observable(_)) && intake.drafts().len() == 2);
        let hash = "a".repeat(64);
        let text = format!("md5,sha256,domain\n{},{hash},evil.example\n", "b".repeat(32));
        assert_eq!(values(&read(text.as_bytes(), "")), ["b".repeat(32), hash, "evil.example".to_owned()]);
    }
}
