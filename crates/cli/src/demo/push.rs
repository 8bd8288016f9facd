//! Pushes by the command, as analysts do them.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, bail};
use mithaq_api::http::{PushLine, PushStatus, PushSummary};
use mithaq_core::id::ContentId;

use super::{
    certs::Cert,
    program::{Answer, Program, shown},
    screen::Screen,
};

/// What became of a push.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    /// The summary.
    pub(super) summary: PushSummary,
    /// What was stored or held already.
    pub(super) accepted: BTreeSet<ContentId>,
    /// What was refused: id and reason.
    pub(super) refused: Vec<String>,
}

/// Asks what a push would release to whom; nothing is stored.
pub(super) async fn preview(
    program: &Program,
    cert: &Cert,
    file: &Path,
    screen: &mut Screen,
) -> anyhow::Result<PushSummary> {
    Ok(run(program, cert, file, &["-n"], screen).await?.summary)
}

/// Pushes a file.
pub(super) async fn push(program: &Program, cert: &Cert, file: &Path, screen: &mut Screen) -> anyhow::Result<Pushed> {
    run(program, cert, file, &[], screen).await
}

async fn run(
    program: &Program,
    cert: &Cert,
    file: &Path,
    flags: &[&str],
    screen: &mut Screen,
) -> anyhow::Result<Pushed> {
    let file = file.to_str().with_context(|| format!("{} is not UTF-8", file.display()))?;
    let args: Vec<String> = [&["push", file], flags, &["--json"]].concat().into_iter().map(str::to_owned).collect();
    screen.command(&shown(cert.dir(), &args));
    let waiting = screen.waiting("pushing");
    let (answer, errors) = program.run(cert.dir(), &args).await?;
    waiting.finish_and_clear();
    let pushed = read(&answer.out).with_context(|| format!("{} said {errors:?}", shown(cert.dir(), &args)))?;
    check_status(&answer, &pushed)?;
    Ok(pushed)
}

/// A push ends in 0 if all was taken, in 1 if something was refused.
fn check_status(answer: &Answer, pushed: &Pushed) -> anyhow::Result<()> {
    let expected = i32::from(pushed.summary.refused > 0);
    if answer.status != expected {
        bail!("the push ended with status {}, expected {expected}", answer.status);
    }
    Ok(())
}

/// Reads the lines that a push prints.
fn read(out: &str) -> anyhow::Result<Pushed> {
    let mut pushed = Pushed::default();
    let mut summary = None;
    for line in out.lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str(line)
            .with_context(|| format!("a line of the answer was not understood: {line:.200}"))?
        {
            PushLine::Summary(last) => summary = Some(last),
            PushLine::Problem(problem) => return Err(problem.into()),
            PushLine::Object(object) if object.status == PushStatus::Refused => {
                let why = object.problem.map(|problem| problem.to_string()).unwrap_or_default();
                pushed
                    .refused
                    .push(format!("{} {why}", object.id.unwrap_or_else(|| format!("object {}", object.index))));
            }
            PushLine::Object(object) => pushed.accepted.extend(object.content),
        }
    }
    pushed.summary = summary.context("the answer has no summary")?;
    Ok(pushed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_push_is_read() {
        let content = ContentId::of(b"{}");
        let out = format!(
            "{{\"index\":0,\"id\":\"url--1\",\"status\":\"stored\",\"content\":\"{content}\"}}\n\
             {{\"index\":1,\"status\":\"refused\",\"code\":\"MQ-1001\",\"message\":\"no id\"}}\n\
             {{\"stored\":1,\"duplicate\":0,\"refused\":1,\"releases\":1,\"seconds\":0.5}}\n"
        );
        let pushed = read(&out).unwrap();
        assert_eq!((pushed.summary.stored, pushed.summary.refused), (1, 1));
        assert_eq!(pushed.accepted, BTreeSet::from([content]));
        assert_eq!(pushed.refused, ["object 1 MQ-1001: no id"]);
        check_status(&Answer { status: 1, out: String::new() }, &pushed).unwrap();
        check_status(&Answer { status: 0, out: String::new() }, &pushed).unwrap_err();
    }

    #[test]
    fn a_push_that_failed_on_the_way_is_an_error() {
        let error = read("{\"code\":\"MQ-5001\",\"message\":\"the disk is full\"}").unwrap_err();
        assert!(error.to_string().contains("MQ-5001"), "{error}");
        assert!(read("").is_err());
    }
}
