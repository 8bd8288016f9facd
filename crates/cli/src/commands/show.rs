//! `mithaq show`: an object that is held, with the releases that name it and what is known around it.

use mithaq_api::{
    client::{Client, ClientError, percent_encode},
    home::Home,
    http::{Corroboration, Given, Held, HeldBack, HeldRelease, Translation},
};
use mithaq_core::code::Code;
use serde_json::Value;

use super::ledger::status_name;
use crate::{
    clock,
    console::{Console, FAINT, GOOD, PLAIN, STRONG, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
    object::{COLUMNS_MAX, Headline},
    terminal::cut,
};

/// Show an object with the releases that name it.
///
/// Each version is shown with the CERTs that signed it, their labels, the peers that were given it and their receipts, what
/// holds it back, the other objects that carry its values, and its translations.
///
/// Ends with status 6 if nothing with that id is held.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq show indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f
  mithaq show indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f --json | jq .object")]
pub(crate) struct ShowArgs {
    /// A STIX id, for all its versions, or a content id
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
}

/// Shows an object.
pub(crate) fn show(args: &ShowArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let mut path = String::from("/v1/show/");
    percent_encode(&args.id, &mut path);
    each(&daemon::client(home)?, &path, &args.id, print_whole, console)
}

/// Shows the object with a content id.
pub(super) fn object(content: &str, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    show(&ShowArgs { id: content.to_owned() }, home, console)
}

/// Prints every object of an answer. To find nothing is an answer and no error: programs get no line.
fn each(
    client: &Client,
    path: &str,
    what: &str,
    print: fn(&Held, &mut Console) -> Result<(), Failure>,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let found = daemon::block_on(async {
        let mut lines = match client.lines(path).await {
            Err(ClientError::Problem(problem)) if problem.code == Code::NOT_FOUND.to_string() => return Ok(0_usize),
            other => other?,
        };
        let mut found = 0;
        while let Some(line) = lines.next().await? {
            take(&line, print, console)?;
            found += 1;
        }
        Ok(found)
    })?;
    if found == 0 {
        console.note(format_args!("nothing is held here for {what}"))?;
    }
    Ok(if found == 0 { Exit::NotFound } else { Exit::Ok })
}

pub(super) fn take(
    line: &[u8],
    print: fn(&Held, &mut Console) -> Result<(), Failure>,
    console: &mut Console,
) -> Result<(), Failure> {
    if console.is_json() {
        return console.json_line(line);
    }
    let held = serde_json::from_slice(line).map_err(|error| ClientError::Answer(error.to_string()))?;
    print(&held, console)
}

pub(super) fn print_headline(held: &Held, console: &mut Console) -> Result<(), Failure> {
    let headline = Headline::of(held.object.get());
    let stands = held.releases.iter().any(|release| release.held.is_none());
    let version = match (held.current, stands) {
        (true, _) => "",
        (false, true) => " (older version)",
        (false, false) => " (not served)",
    };
    console.spans(&[
        (STRONG, headline.kind),
        (PLAIN, format!("  {}", headline.text)),
        (WARN, version.to_owned()),
        (FAINT, format!("  {}", headline.id)),
    ])?;
    held.releases.iter().try_for_each(|release| print_release(release, console))
}

/// An object that a search found, with the translation that has the words.
pub(super) fn print_found(held: &Held, console: &mut Console) -> Result<(), Failure> {
    print_headline(held, console)?;
    held.translations.iter().try_for_each(|translation| print_translation(translation, console))
}

fn print_release(release: &HeldRelease, console: &mut Console) -> Result<(), Failure> {
    let (published, added) = (clock::for_people(release.published_at), clock::for_people(release.added_at));
    let rest =
        format!("  {}  published {published}, here {added}, release {}", release.label, release.release.fmt_short());
    console.spans(&[(PLAIN, "  from ".to_owned()), (GOOD, release.from.clone()), (PLAIN, rest)])?;
    if let Some(HeldBack { code, reason, since }) = &release.held {
        let since = clock::for_people(*since);
        // The hold of what was in quarantine stays, and tells that an operator decided.
        let is_served = *code == Code::ACCEPTED.to_string();
        let (style, verb) = if is_served { (PLAIN, "served again") } else { (WARN, "not served") };
        console.spans(&[(style, format!("    {verb} since {since}: {code}")), (PLAIN, format!("  {reason}"))])?;
    }
    release.given.iter().try_for_each(|given| print_given("given to", given, console))?;
    let told = release.withdrawal.iter().flat_map(|withdrawal| &withdrawal.given);
    told.into_iter().try_for_each(|given| print_given("withdrawn from", given, console))
}

/// A peer that was given a release, with what its last receipt says.
fn print_given(what: &str, given: &Given, console: &mut Console) -> Result<(), Failure> {
    let said = match (given.status, given.at) {
        (Some(status), Some(at)) => format!("{} {}", status_name(status), clock::for_people(at)),
        _ => "no receipt yet".to_owned(),
    };
    console.line(format_args!("    {what} {}: {said}", given.peer))
}

fn print_whole(held: &Held, console: &mut Console) -> Result<(), Failure> {
    print_headline(held, console)?;
    console.line(format_args!("  content id {}", held.content))?;
    held.corroboration.iter().try_for_each(|value| print_corroboration(value, console))?;
    held.translations.iter().try_for_each(|translation| print_translation(translation, console))?;
    let value: Value =
        serde_json::from_str(held.object.get()).map_err(|error| ClientError::Answer(error.to_string()))?;
    let pretty = serde_json::to_string_pretty(&value).map_err(|error| ClientError::Answer(error.to_string()))?;
    pretty.lines().try_for_each(|line| console.line(line))
}

/// Who speaks of a value, under whatever id.
fn print_corroboration(of: &Corroboration, console: &mut Console) -> Result<(), Failure> {
    let Corroboration { kind, value, origins, objects, more } = of;
    let by = if origins.is_empty() { "nobody".to_owned() } else { origins.join(", ") };
    let least = if *more { "at least " } else { "" };
    let objects = match objects {
        1 => "1 object".to_owned(),
        count => format!("{least}{count} objects"),
    };
    console.spans(&[(PLAIN, format!("  {kind} {value}  said by ")), (GOOD, by), (PLAIN, format!(" in {objects}"))])
}

/// What a translation says, a line for each language and text.
fn print_translation(translation: &Translation, console: &mut Console) -> Result<(), Failure> {
    let object: Value =
        serde_json::from_str(translation.object.get()).map_err(|error| ClientError::Answer(error.to_string()))?;
    let by = translation.from.join(", ");
    for (language, texts) in object["contents"].as_object().into_iter().flatten() {
        let texts = texts.as_object().into_iter().flatten();
        for (member, text) in texts {
            let text = match text {
                Value::String(text) => text.clone(),
                Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
                _ => continue,
            };
            console.line(format_args!("  in {language} by {by}: {member} {}", cut(&text, COLUMNS_MAX)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> String {
        let id = "ab".repeat(32);
        format!(
            r#"{{"id":"malware--x","type":"malware","content":"{id}","current":false,"releases":[{{"release":"{id}","origin":"{id}","from":"cn",
            "label":"amber threat","published_at":"2026-01-02T03:04:05.000000Z","added_at":"2026-01-02T03:04:06.000000Z"}}],
            "object":{{"type":"malware","id":"malware--x","name":"\u202eevil"}}}}"#
        )
        .replace('\n', "")
    }

    #[test]
    fn objects_are_shown_with_their_releases_and_without_obeying_them() {
        let (mut console, captured) = Console::captured(None);
        take(held().as_bytes(), print_headline, &mut console).unwrap();
        let expect = "malware  \\u{202e}evil (older version)  malware--x\n  \
            from cn  amber threat  published 2026-01-02 03:04:05Z, here 2026-01-02 03:04:06Z, release abababab\n";
        assert_eq!(captured.out(), expect);
        let (mut console, captured) = Console::captured(None);
        take(held().as_bytes(), print_whole, &mut console).unwrap();
        assert!(captured.out().contains("\n  \"name\": \"\\u{202e}evil\",\n"), "{}", captured.out());
    }

    #[test]
    fn programs_get_the_line_as_it_is() {
        let (mut console, captured) = Console::captured(None);
        console.set_json(true);
        take(held().as_bytes(), print_whole, &mut console).unwrap();
        assert_eq!(captured.out(), held() + "\n");
    }
}
