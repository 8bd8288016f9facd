//! `mithaq explain`: what a code means and what to do.

use mithaq_core::code::{Code, Explanation};

use crate::{
    console::{Console, PLAIN, STRONG},
    exit::Exit,
    failure::Failure,
    table::Table,
    terminal::columns,
};

/// How wide explanations are set.
const COLUMNS: usize = 80;

/// STIX 2.0 was refused.
pub(crate) const STIX_2_0: Code = Code::new(1013);

/// The command that deals with what a code says, as a sentence.
pub(crate) fn remedy(code: Code) -> Option<&'static str> {
    (code == STIX_2_0).then_some(
        "`mithaq upgrade FILE` converts it and reports what STIX 2.1 cannot carry; `mithaq push FILE --from stix` does \
         that and pushes the result.",
    )
}

/// Say what a code means and what to do; without a code, list them all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq explain MQ-2010
  mithaq explain 2010
  mithaq explain                      every code there is
  mithaq explain --json | jq -r .title")]
pub(crate) struct Args {
    /// The code, such as MQ-2010
    code: Option<Code>,
}

/// Explains one code or lists all.
pub(crate) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    match args.code {
        Some(code) => one(code, console)?,
        None => all(console)?,
    }
    Ok(Exit::Ok)
}

fn one(code: Code, console: &mut Console) -> Result<(), Failure> {
    let explanation = code.explain().ok_or(Failure::UnknownCode { code })?;
    if console.is_json() {
        return console.json(&explanation);
    }
    let title = format!("{code}: {}", explanation.title);
    wrap(&title).into_iter().try_for_each(|line| console.styled(STRONG, line))?;
    let paragraphs = [Some(explanation.text), remedy(code)];
    paragraphs.into_iter().flatten().flat_map(wrap).try_for_each(|line| console.line(line))
}

fn all(console: &mut Console) -> Result<(), Failure> {
    let explanations: Vec<Explanation> = Code::all().into_iter().filter_map(Code::explain).collect();
    if console.is_json() {
        return explanations.iter().try_for_each(|explanation| console.json(explanation));
    }
    let mut table = Table::new(["code", "meaning"]);
    for explanation in explanations {
        table.styled([(PLAIN, explanation.code.to_string()), (PLAIN, explanation.title.to_owned())]);
    }
    table.print(console)
}

/// Sets a text in lines.
fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if columns(line) + 1 + columns(word) <= COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(code: Option<Code>, json: bool) -> (Result<Exit, Failure>, String) {
        let (mut console, captured) = Console::captured(None);
        console.set_json(json);
        (run(&Args { code }, &mut console), captured.out())
    }

    #[test]
    fn every_code_is_explained_within_the_page() {
        for code in Code::all() {
            let (end, out) = explain(Some(code), false);
            assert_eq!(end.unwrap(), Exit::Ok);
            assert!(out.starts_with(&format!("{code}: ")) && out.lines().count() > 1, "{out}");
            assert!(out.lines().all(|line| columns(line) <= COLUMNS), "{out}");
        }
        let (_, all) = explain(None, true);
        assert_eq!(all.lines().count(), Code::all().len());
    }

    #[test]
    fn stix_2_0_is_explained_with_its_command() {
        let (_, out) = explain(Some(STIX_2_0), false);
        assert!(out.starts_with("MQ-1013: STIX 2.0\n") && out.contains("`mithaq upgrade FILE`"), "{out}");
    }

    #[test]
    fn an_unknown_code_is_not_found() {
        let (end, _) = explain(Some(Code::new(9999)), false);
        assert_eq!(end.unwrap_err().exit(), Exit::NotFound);
    }
}
