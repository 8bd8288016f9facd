//! The way back: a line for each object and a summary last.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;
use mithaq_api::{
    client::ClientError,
    http::{Preview, PushLine, PushStatus, PushSummary, PushedObject},
};
use serde::Serialize;

use super::check::{Check, Counts};
use crate::{
    commands::explain::remedy,
    console::{BAD, Console, FAINT, GOOD, PLAIN, WARN},
    exit::Exit,
    failure::Failure,
    table::Table,
};

/// The summary for programs.
#[derive(Serialize)]
struct WithCounts<'a> {
    #[serde(flatten)]
    summary: &'a PushSummary,
    #[serde(flatten)]
    counts: Counts,
}

/// How many objects that were refused for one reason, or stand on lists, are named, unless all are asked for.
const SHOWN_ALIKE_MAX: usize = 20;

/// Takes the lines of an answer as they come.
pub(super) struct Answer<'a> {
    verbose: bool,
    dry_run: bool,
    console: &'a mut Console,
    summary: Option<PushSummary>,
    check: Check,
    /// What to do about what was refused, by its code.
    remedies: BTreeSet<&'static str>,
    /// How many were refused for one reason, or stand on lists.
    alike: BTreeMap<String, usize>,
    /// What was refused before anything was sent.
    also_refused: usize,
}

impl<'a> Answer<'a> {
    pub(super) fn new(verbose: bool, dry_run: bool, check: Check, console: &'a mut Console) -> Self {
        let (remedies, alike) = Default::default();
        Self { verbose, dry_run, console, summary: None, check, remedies, alike, also_refused: 0 }
    }

    /// Counts what was refused before anything was sent.
    pub(super) fn also_refused(mut self, refused: usize) -> Self {
        self.also_refused = refused;
        self
    }

    /// Takes one line.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<(), Failure> {
        let parsed = serde_json::from_slice(line).map_err(|error| ClientError::Answer(error.to_string()))?;
        let is_json = self.console.is_json();
        // The summary goes out last, with what is added to it.
        if is_json && !matches!(parsed, PushLine::Summary(_)) {
            self.console.json_line(line)?;
        }
        if let PushLine::Object(PushedObject { index, status: PushStatus::Refused, .. }) = &parsed {
            self.check.forget(*index);
        }
        match parsed {
            PushLine::Object(object) if !is_json => self.print_object(&object),
            PushLine::Object(_) => Ok(()),
            PushLine::Summary(summary) => {
                self.summary = Some(summary);
                Ok(())
            }
            PushLine::Problem(problem) if is_json => Err(Failure::Answered(problem)),
            PushLine::Problem(problem) => Err(ClientError::Problem(problem).into()),
        }
    }

    /// Says how it ended.
    pub(super) fn end(&mut self) -> Result<Exit, Failure> {
        // An answer without a last line was cut off: what became of the rest is not known.
        let mut summary = self.summary.take().ok_or(Failure::PushCut)?;
        summary.refused += self.also_refused;
        if self.console.is_json() {
            self.console.json(&WithCounts { summary: &summary, counts: self.check.counts() })?;
        } else {
            self.print_unnamed()?;
            self.check.print(self.console)?;
            self.print_preview(&summary.preview)?;
            self.print_summary(&summary)?;
            self.remedies.iter().try_for_each(|remedy| self.console.line(remedy))?;
        }
        Ok(if summary.refused == 0 { Exit::Ok } else { Exit::Failure })
    }

    fn print_object(&mut self, object: &PushedObject) -> Result<(), Failure> {
        let (style, status) = match object.status {
            PushStatus::Stored => (GOOD, "stored   "),
            PushStatus::Duplicate => (FAINT, "duplicate"),
            PushStatus::Refused => (BAD, "refused  "),
        };
        if !self.is_named(object) {
            return Ok(());
        }
        let id = object.id.as_deref().unwrap_or("(no id)");
        let mut spans = vec![(style, status.to_owned()), (PLAIN, format!("  #{} {id}", object.index))];
        if let Some(problem) = &object.problem {
            self.remedies.extend(problem.code.parse().ok().and_then(remedy));
            spans.push((PLAIN, format!("  {}: {}", problem.code, problem.message)));
        } else if !object.listed.is_empty() {
            spans.push((WARN, format!("  {}", object.listed.join("; "))));
        }
        self.console.spans(&spans)
    }

    /// Whether an object is to be named: one that was refused or stands on a list is, as long as there are not too many.
    fn is_named(&mut self, object: &PushedObject) -> bool {
        let alike = match &object.problem {
            Some(problem) => format!("with {}", problem.code),
            None if !object.listed.is_empty() => "on warning lists".to_owned(),
            None => return self.verbose || object.status == PushStatus::Refused,
        };
        let alike = self.alike.entry(alike).or_default();
        *alike += 1;
        self.verbose || *alike <= SHOWN_ALIKE_MAX
    }

    /// How many more there are than were named.
    fn print_unnamed(&mut self) -> Result<(), Failure> {
        for (alike, count) in self.alike.iter().filter(|_| !self.verbose) {
            if let more @ 1.. = count.saturating_sub(SHOWN_ALIKE_MAX) {
                self.console.styled(FAINT, format_args!("… and {more} more {alike}; --verbose names all"))?;
            }
        }
        Ok(())
    }

    fn print_preview(&mut self, preview: &[Preview]) -> Result<(), Failure> {
        if preview.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(["peer", "objects", "label", "would be"]);
        for row in preview {
            let (style, verdict) = verdict(row);
            let objects = (PLAIN, row.objects.to_string());
            table.styled([(PLAIN, row.peer.clone()), objects, (PLAIN, row.label.clone()), (style, verdict)]);
        }
        table.print(self.console)
    }

    fn print_summary(&mut self, summary: &PushSummary) -> Result<(), Failure> {
        let PushSummary { stored, duplicate, refused, releases, seconds, .. } = summary;
        if stored + duplicate + refused == 0 {
            // A pipe whose other end failed must not look like a push that was done.
            return self.console.note("the input holds no object: nothing was stored");
        }
        let (would, stored_word) = if self.dry_run { ("would be ", "nothing was stored") } else { ("", "durable") };
        let text = format!("{stored} {would}stored, {duplicate} duplicate, ");
        let rest = format!(" in {releases} releases, {seconds:.2} s; {stored_word}");
        let style = if *refused == 0 { PLAIN } else { BAD };
        let listed = match (summary.listed, summary.forced) {
            (0, _) => String::new(),
            (listed, 0) => format!("; {listed} on warning lists"),
            (listed, forced) => format!("; {listed} on warning lists, {forced} of them forced, which is recorded"),
        };
        self.console.spans(&[(PLAIN, text), (style, format!("{refused} refused")), (PLAIN, rest), (WARN, listed)])
    }
}

/// Whether a peer would get what has this label, and what keeps it back.
fn verdict(row: &Preview) -> (Style, String) {
    if row.released {
        return (GOOD, "released".to_owned());
    }
    let against = row.reasons.iter().filter(|reason| !reason.ok);
    let reasons: Vec<String> = against.map(|reason| format!("{} {}", reason.code, reason.text)).collect();
    (WARN, format!("withheld: {}", reasons.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mithaq_core::code::Code;

    const SUMMARY: &str = r#"{"stored":2,"duplicate":1,"refused":0,"releases":1,"seconds":0.125}"#;

    /// Feeds lines to an answer: its end, standard output.
    fn feed(lines: &[&str], verbose: bool, json: bool) -> (Result<Exit, Failure>, String) {
        let (mut console, captured) = Console::captured(None);
        console.set_json(json);
        let mut answer = Answer::new(verbose, false, Check::default(), &mut console);
        let end = lines.iter().try_for_each(|line| answer.take(line.as_bytes())).and_then(|()| answer.end());
        (end, captured.out())
    }

    #[test]
    fn refused_objects_are_named_and_end_in_status_1() {
        let refused = r#"{"index":7,"id":"tool--x","status":"refused","code":"MQ-1001","message":"no \u001bid"}"#;
        let stored = r#"{"index":8,"id":"tool--y","status":"stored"}"#;
        let summary = SUMMARY.replace(r#""refused":0"#, r#""refused":1"#);
        let (end, out) = feed(&[refused, stored, &summary], false, false);
        assert_eq!(end.unwrap(), Exit::Failure);
        let expect = "refused    #7 tool--x  MQ-1001: no \\u{1b}id\n2 stored, 1 duplicate, 1 refused in 1 releases, 0.12 s; durable\n";
        assert_eq!(out, expect);
        let (_, out) = feed(&[refused, stored, &summary], true, false);
        assert!(out.contains("stored     #8 tool--y\n"), "{out}");
    }

    #[test]
    fn what_stands_on_a_warning_list_is_named_though_it_was_stored() {
        let listed = r#"{"index":7,"id":"tool--x","status":"stored","listed":["8.8.8.8 is on the list \"a\u001b\""]}"#;
        let summary = SUMMARY.replace(r#""refused":0"#, r#""refused":0,"listed":1"#);
        let (end, out) = feed(&[listed, &summary], false, false);
        assert_eq!(end.unwrap(), Exit::Ok);
        assert!(out.starts_with("stored     #7 tool--x  8.8.8.8 is on the list \"a\\u{1b}\"\n"), "{out}");
        assert!(out.ends_with("durable; 1 on warning lists\n"), "{out}");
        let forced = summary.replace(r#""listed":1"#, r#""listed":1,"forced":1"#);
        let (_, out) = feed(&[listed, &forced], false, false);
        assert!(out.contains("1 on warning lists, 1 of them forced, which is recorded\n"), "{out}");
    }

    #[test]
    fn an_empty_input_is_no_push_that_was_done() {
        let (mut console, captured) = Console::captured(None);
        let mut answer = Answer::new(false, false, Check::default(), &mut console);
        answer.take(br#"{"stored":0,"duplicate":0,"refused":0,"releases":0,"seconds":0}"#).unwrap();
        assert_eq!(answer.end().unwrap(), Exit::Ok);
        assert!(captured.out().is_empty() && captured.err().contains("holds no object"), "{captured:?}");
    }

    #[test]
    fn stix_2_0_is_refused_with_its_remedy_once() {
        let refused = r#"{"index":7,"id":"tool--x","status":"refused","code":"MQ-1013","message":"STIX 2.0"}"#;
        let (_, out) = feed(&[refused, refused, SUMMARY], false, false);
        assert_eq!(out.matches("`mithaq upgrade FILE`").count(), 1, "{out}");
        let (_, out) = feed(&[refused, SUMMARY], false, true);
        assert!(!out.contains("upgrade"), "{out}");
    }

    #[test]
    fn many_objects_that_are_refused_alike_are_counted_and_not_all_named() {
        let refused =
            |index: usize| format!(r#"{{"index":{index},"status":"refused","code":"MQ-1001","message":"no"}}"#);
        let other = r#"{"index":99,"status":"refused","code":"MQ-1020","message":"no type"}"#.to_owned();
        let lines: Vec<String> = (0..50).map(refused).chain([other, SUMMARY.to_owned()]).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (_, out) = feed(&lines, false, false);
        assert_eq!(out.matches("MQ-1001: no").count(), SHOWN_ALIKE_MAX, "{out}");
        assert!(out.contains("… and 30 more with MQ-1001; --verbose names all\n") && out.contains("no type"), "{out}");
        let (_, out) = feed(&lines, true, false);
        assert!(out.matches("MQ-1001: no").count() == 50 && !out.contains("more with"), "{out}");
        let (_, out) = feed(&lines, false, true);
        assert_eq!(out.matches("MQ-1001").count(), 50, "{out}");
    }

    #[test]
    fn json_lines_pass_through_and_the_summary_is_last() {
        let stored = r#"{"index":8,"id":"tool--y","status":"stored"}"#;
        let (end, out) = feed(&[stored, SUMMARY], false, true);
        assert_eq!(end.unwrap(), Exit::Ok);
        let summary = SUMMARY.replace('}', r#","warnings":0,"looked_at":0}"#);
        assert_eq!(out, format!("{stored}\n{summary}\n"));
    }

    #[test]
    fn an_answer_that_is_cut_off_is_no_success() {
        let (end, _) = feed(&[r#"{"index":8,"status":"stored"}"#], false, false);
        assert_eq!(end.unwrap_err().code(), Code::OUTCOME_UNKNOWN);
        let problem = r#"{"code":"MQ-5001","message":"the disk is full"}"#;
        for json in [false, true] {
            let (end, _) = feed(&[problem], false, json);
            assert_eq!(end.unwrap_err().exit(), Exit::TryAgain);
        }
        let (end, _) = feed(&["not json"], false, false);
        assert_eq!(end.unwrap_err().code(), Code::INTERNAL);
    }

    #[test]
    fn a_preview_says_who_gets_what_and_why_not() {
        let preview = r#"{"stored":1,"duplicate":0,"refused":0,"releases":1,"seconds":0,"preview":[
            {"peer":"cn","label":"amber threat","objects":3,"released":true,"reasons":[]},
            {"peer":"qa","label":"amber threat","objects":3,"released":false,"reasons":[
              {"code":"MQ-2001","text":"agreement","ok":true},{"code":"MQ-2010","text":"over the ceiling","ok":false}]}]}"#;
        let (end, out) = feed(&[&preview.replace('\n', "")], false, false);
        assert_eq!(end.unwrap(), Exit::Ok);
        assert!(out.contains("cn    3        amber threat  released\n"), "{out}");
        assert!(out.contains("qa    3        amber threat  withheld: MQ-2010 over the ceiling\n"), "{out}");
    }
}
