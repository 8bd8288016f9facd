//! `mithaq show` and `mithaq search`: objects that are held, with the releases that name them.

use mithaq_api::{
    client::{Client, ClientError, percent_encode, with_query},
    home::Home,
    http::{Given, Held, HeldBack, HeldRelease, SEARCH_LIMIT_MAX, SearchQuery},
};
use mithaq_core::code::Code;

use super::ledger::status_name;
use crate::{
    clock,
    console::{Console, FAINT, GOOD, PLAIN, STRONG, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
    object::Headline,
};

/// Show an object with the releases that name it.
///
/// Ends with status 6 if nothing with that id is held.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq show indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f
  mithaq show indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f --json | jq .object")]
pub(crate) struct ShowArgs {
    /// A STIX id, for all its versions, or a content id
    id: String,
}

/// Search for an address, a domain, a URL or a hash, defanged or not.
///
/// Ends with status 6 if nothing is found.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq search 192.0.2.1
  mithaq search 'hxxps://evil[.]example/login'
  mithaq search مثال.إختبار --json | jq -r .object.id")]
pub(crate) struct SearchArgs {
    /// The value to look for
    value: String,
    /// The most results
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=SEARCH_LIMIT_MAX as i64))]
    limit: Option<u32>,
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

/// Searches.
pub(crate) fn search(args: &SearchArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let limit = args.limit.and_then(|limit| usize::try_from(limit).ok());
    let path = with_query("/v1/search", &SearchQuery { value: args.value.clone(), limit })?;
    each(&daemon::client(home)?, &path, &args.value, print_headline, console)
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

fn take(
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

fn print_headline(held: &Held, console: &mut Console) -> Result<(), Failure> {
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
    let value: serde_json::Value =
        serde_json::from_str(held.object.get()).map_err(|error| ClientError::Answer(error.to_string()))?;
    let pretty = serde_json::to_string_pretty(&value).map_err(|error| ClientError::Answer(error.to_string()))?;
    pretty.lines().try_for_each(|line| console.line(line))
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
