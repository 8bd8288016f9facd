//! `mithaq search`: objects that are found by a value, by words, or by filters alone.

use mithaq_api::{
    client::{Client, ClientError, with_query},
    home::Home,
    http::{SEARCH_LIMIT_MAX, SearchQuery},
};
use mithaq_core::{code::Code, time::Time};

use super::show;
use crate::{clock, console::Console, daemon, exit::Exit, failure::Failure};

/// How many results are shown unless asked otherwise.
const LIMIT: u32 = 100;

/// The most pages that are asked for; each looks at a bounded part of what is held.
const PAGES_MAX: usize = 50;

/// Search for an address, a network, a domain, a URL, a hash or a name, defanged or not.
///
/// An address or a network also finds the networks that contain it, what lies in it, and URLs on it. A domain also finds
/// URLs and mail addresses at it; .example.com finds what lies below it. --exact finds the value alone. Without a value,
/// filters alone list what was added here, the oldest first.
///
/// Ends with status 6 if nothing is found, and 3 if nothing was found yet: the cursor that it tells goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq search 192.0.2.1
  mithaq search 192.0.2.0/24 --type indicator,ipv4-addr
  mithaq search 'hxxps://evil[.]example/login'
  mithaq search .evil.example --origin cn --since 7d
  mithaq search --text 'lockbit black'
  mithaq search --since 2026-11-20 --tlp green,amber --limit 1000 --json | jq -r .object.id
  mithaq search مثال.إختبار --json | jq -r .object.id")]
pub(crate) struct Args {
    /// The value to look for
    #[arg(conflicts_with = "text")]
    value: Option<String>,
    /// Words of names, aliases, ids and descriptions, or of a translation of these, in any order
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// The value alone, not what lies in it, on it or around it
    #[arg(long)]
    exact: bool,
    /// Only objects of these STIX types, with commas between
    #[arg(long = "type", value_name = "TYPE")]
    object_type: Option<String>,
    /// Only what this CERT signed: a peer's name, `us`, or the first 8 digits of an id
    #[arg(long, value_name = "NAME|CERT")]
    origin: Option<String>,
    /// Only what was released at these levels, with commas between
    #[arg(long, value_name = "LEVEL")]
    tlp: Option<String>,
    /// Only what was released as of this category
    #[arg(long, value_name = "CATEGORY")]
    category: Option<String>,
    /// Only what was released as of this sector
    #[arg(long, value_name = "SECTOR")]
    sector: Option<String>,
    /// Only what was added here since: 90m, 24h, 7d, 2026-11-20, or a time in UTC
    #[arg(long, value_name = "TIME", value_parser = time_of)]
    since: Option<Time>,
    /// Only what was added here before
    #[arg(long, value_name = "TIME", value_parser = time_of)]
    until: Option<Time>,
    /// Go on behind the result with this cursor
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// The most results, 100 unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=SEARCH_LIMIT_MAX as i64))]
    limit: Option<u32>,
}

/// Reads a time: so long ago, a day, or a time of RFC 3339.
fn time_of(text: &str) -> Result<Time, String> {
    let unit = |unit: char| match unit {
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    };
    let ago = text.char_indices().next_back().and_then(|(at, last)| {
        let number: i64 = text[..at].parse().ok().filter(|number| (0..=1_000_000).contains(number))?;
        Some(number * unit(last)?)
    });
    match ago {
        Some(seconds) => Ok(clock::seconds_before(clock::now(), seconds)),
        None if text.len() == "2026-11-20".len() => format!("{text}T00:00:00Z").parse().map_err(|_| wrong_time()),
        None => text.parse().map_err(|_| wrong_time()),
    }
}

fn wrong_time() -> String {
    "a time is 90m, 24h or 7d ago, a day such as 2026-11-20, or a time such as 2026-11-20T08:00:00Z".to_owned()
}

impl Args {
    fn query(&self) -> SearchQuery {
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok());
        SearchQuery {
            value: self.value.clone(),
            text: self.text.clone(),
            exact: self.exact,
            object_type: self.object_type.clone(),
            origin: self.origin.clone(),
            tlp: self.tlp.clone(),
            category: self.category.clone(),
            sector: self.sector.clone(),
            since: self.since,
            until: self.until,
            after: self.after.clone(),
            limit,
        }
    }

    /// What was looked for, for people.
    fn what(&self) -> &str {
        self.value.as_deref().or(self.text.as_deref()).unwrap_or("this search")
    }
}

/// Searches.
pub(crate) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let (found, next) = daemon::block_on(all_pages(&client, args.query(), console))?;
    match (found, next) {
        (0, None) => {
            let hint = args
                .text
                .as_ref()
                .map_or("", |_| "; indicators and observables have no words of their own: search for their values");
            console.note(format_args!("nothing is held here for {}{hint}", args.what()))?;
            Ok(Exit::NotFound)
        }
        (_, None) => Ok(Exit::Ok),
        (found, Some(next)) => {
            let said = if found == 0 { "nothing was found yet" } else { "there may be more" };
            console.note(format_args!("{said}: go on with the same search and --after {next}"))?;
            Ok(if found == 0 { Exit::Degraded } else { Exit::Ok })
        }
    }
}

/// Prints page after page until there is as much as was asked for; gives how much that was, and where more begins.
async fn all_pages(
    client: &Client,
    mut query: SearchQuery,
    console: &mut Console,
) -> Result<(usize, Option<String>), Failure> {
    let limit = query.limit.unwrap_or(LIMIT as usize);
    let mut found = 0;
    for _ in 0..PAGES_MAX {
        let mut lines = match client.lines(&with_query("/v1/search", &query)?).await {
            Err(ClientError::Problem(problem)) if problem.code == Code::NOT_FOUND.to_string() => {
                return Ok((found, None));
            }
            other => other?,
        };
        while let Some(line) = lines.next().await? {
            show::take(&line, show::print_found, console)?;
            found += 1;
        }
        console.flush()?;
        query.after = lines.next_page().map(str::to_owned);
        query.limit = Some(limit.saturating_sub(found));
        if query.after.is_none() || found >= limit {
            break;
        }
    }
    Ok((found, query.after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_given_as_people_think_of_them() {
        let micros = |text| time_of(text).map(Time::as_micros).ok();
        let ago = |text, seconds: i64| {
            let expect = clock::seconds_before(clock::now(), seconds).as_micros();
            assert!(micros(text).is_some_and(|micros| (expect - micros).abs() < 5_000_000), "{text}");
        };
        ago("0m", 0);
        ago("90m", 5_400);
        ago("24h", 86_400);
        ago("7d", 7 * 86_400);
        assert_eq!(micros("2026-11-20"), micros("2026-11-20T00:00:00Z"));
        for text in ["", "d", "7", "-1d", "7w", "٧d", "2026-13-01", "99999999d", "yesterday"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }
}
