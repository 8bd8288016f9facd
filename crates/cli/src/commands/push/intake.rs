//! From an input in any format to the objects that are sent, with everything in between shown.

use std::{collections::BTreeMap, fs, io, path::Path};

use mithaq_api::{
    client::{Client, ClientError},
    home::Home,
    http::{PUBLISHED_IDS_MAX, PUSH_BYTES_MAX, Published},
    warning_lists::WarningLists,
};
use mithaq_core::stix::Observable;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{settings::Settings, source::Opened, upload::is_too_large};
use crate::{
    clock, daemon,
    failure::Failure,
    intake::{self, Draft, Format, Intake, Origin, Outcome, Sniffed, What},
};

/// The name of the list of domains that are ours.
const OWN_DOMAINS: &str = "our own domains";

/// What is to be pushed.
pub(super) enum Source {
    /// STIX 2.1, which is sent as it is.
    Stix(Opened),
    /// What was made of something else, and what the input is called.
    Made(String, Box<Intake>),
}

/// Opens an input and, unless it is STIX 2.1, makes of it what it says.
pub(super) fn open(path: &Path, settings: &Settings) -> Result<Source, Failure> {
    let may_be_feed = matches!(settings.format, None | Some(Format::Auto | Format::Misp));
    if may_be_feed && path.is_dir() && path.join("manifest.json").is_file() {
        return Ok(Source::Made(path.display().to_string(), Box::new(feed(path)?)));
    }
    if path.is_dir() {
        let problem = "it is a folder without a manifest.json: name a file, or the folder of a MISP feed";
        let source = io::Error::new(io::ErrorKind::IsADirectory, problem);
        return Err(Failure::File { action: "read", path: path.to_owned(), source });
    }
    let opened = Opened::open(path)?;
    let looks = intake::head_kind(&opened.head);
    let kind = match (settings.format, looks) {
        // Whoever did not ask for a conversion hears that STIX 2.0 is refused.
        (None, Sniffed::Stix20) => Sniffed::Stix,
        (None | Some(Format::Auto), looks) => looks,
        (Some(Format::Stix), Sniffed::Stix20) => Sniffed::Stix20,
        (Some(Format::Stix), _) => Sniffed::Stix,
        (Some(Format::Misp), _) => Sniffed::Misp,
        (Some(Format::Csv), _) => Sniffed::Csv,
        (Some(Format::Text), Sniffed::Mail) => Sniffed::Mail,
        (Some(Format::Text), _) => Sniffed::Text,
    };
    if kind == Sniffed::Stix {
        return Ok(Source::Stix(opened));
    }
    let name = opened.name.clone();
    let made = convert(kind, &name, &opened.whole()?, settings)?;
    Ok(Source::Made(name, Box::new(made)))
}

fn convert(kind: Sniffed, name: &str, bytes: &[u8], settings: &Settings) -> Result<Intake, Failure> {
    let mut made = Intake::default();
    let not_read = |problem: String| Failure::Intake { input: name.to_owned(), problem };
    match kind {
        Sniffed::Misp => intake::misp(bytes, &mut made).map_err(|error| not_read(error.to_string()))?,
        Sniffed::Csv => intake::csv(bytes, &settings.map, &mut made).map_err(|error| not_read(error.to_string()))?,
        Sniffed::Mail => intake::mail(bytes, &mut made),
        Sniffed::Text => intake::text(bytes, &mut made),
        Sniffed::Stix | Sniffed::Stix20 => intake::stix_2_0(bytes, &mut made).map_err(|error| {
            let (line, column) = error.line_column(bytes);
            Failure::NotJson { input: name.to_owned(), line, column, error }
        })?,
    }
    if made.is_full() {
        return Err(not_read(format!("it says more than {} things: split it", intake::DRAFTS_MAX)));
    }
    Ok(made)
}

/// The events of a feed's folder, as its manifest lists them.
fn feed(path: &Path) -> Result<Intake, Failure> {
    let manifest = Opened::open(&path.join("manifest.json"))?;
    let name = manifest.name.clone();
    let not_read = |problem: String| Failure::Intake { input: name.clone(), problem };
    let listed: BTreeMap<String, Value> =
        serde_json::from_slice(&manifest.whole()?).map_err(|error| not_read(error.to_string()))?;
    let mut made = Intake::default();
    for uuid in listed.keys() {
        let Some(file) = intake::event_file(uuid) else {
            made.losses.refuse("the manifest", uuid, "is no UUID of an event");
            continue;
        };
        let file = path.join(file);
        if !fs::metadata(&file).is_ok_and(|metadata| metadata.is_file()) {
            made.losses.refuse("the manifest", uuid, "has no file in the folder: fetch the feed again");
            continue;
        }
        let bytes = Opened::open(&file)?.whole()?;
        if let Err(error) = intake::misp(&bytes, &mut made) {
            made.losses.refuse(&format!("event {uuid}"), &file.display().to_string(), format!("is not read: {error}"));
        }
        if made.is_full() {
            return Err(not_read(format!(
                "the feed says more than {} things: push its events one by one",
                intake::DRAFTS_MAX
            )));
        }
    }
    Ok(made)
}

/// Adds what is said of all, and what to look at.
pub(super) fn complete(made: &mut Intake, settings: &Settings, home: &Home) -> Result<(), Failure> {
    let card = home.card()?;
    let own = own_domains(&card.card().contacts, &card.card().endpoints);
    let lists = WarningLists::default().with_builtin().with_domains(OWN_DOMAINS, &own);
    let until = settings.expires.map(|span| intake::date::end_after(clock::now(), span));
    for draft in made.drafts_mut() {
        let is_indicator = matches!(draft.what, What::Indicator { .. });
        let says = &mut draft.says;
        says.tlp = says.tlp.or(settings.tlp);
        says.confidence = says.confidence.or(settings.confidence);
        says.sectors.extend(settings.sectors.iter().cloned());
        settings.labels.iter().for_each(|label| says.label(label));
        says.valid_until = says.valid_until.or(until).filter(|_| is_indicator);
        draft.notes.extend(lists.check(observables(&draft.what)).iter().map(ToString::to_string));
    }
    Ok(())
}

fn observables(what: &What) -> &[Observable] {
    match what {
        What::Indicator { observables, .. } => observables,
        What::Observable(observable) => std::slice::from_ref(observable),
        What::Report(_) => &[],
    }
}

/// The domains that our card names: those of mail addresses and of endpoints.
fn own_domains(contacts: &[String], endpoints: &[String]) -> Vec<String> {
    let of_mail = contacts.iter().filter_map(|contact| contact.rsplit_once('@')).map(|(_, host)| host);
    let of_endpoint = endpoints.iter().filter_map(|endpoint| endpoint.rsplit_once(':')).map(|(host, _)| host);
    let is_name = |host: &&str| host.contains('.') && host.contains(|c: char| c.is_alphabetic());
    of_mail
        .chain(of_endpoint)
        .map(|host| host.trim_matches(['>', '.', ' ']))
        .filter(is_name)
        .map(str::to_owned)
        .collect()
}

/// What becomes of a draft.
pub(super) struct Made<'a> {
    pub(super) draft: &'a Draft,
    pub(super) id: Option<String>,
    pub(super) outcome: Outcome,
    /// Whether we withdrew what we published of it.
    withdrawn: bool,
}

impl Made<'_> {
    /// What a person should look at before it is sent.
    pub(super) fn notes(&self) -> Vec<&str> {
        let again = self.withdrawn.then_some("was withdrawn by us: to send it publishes it again");
        self.draft.notes.iter().map(String::as_str).chain(again).collect()
    }
}

/// What we published under an id.
#[derive(Clone)]
struct Known {
    object: Value,
    withdrawn: bool,
}

/// Makes the objects, beside what the daemon holds of them.
pub(super) fn objects<'a>(made: &'a Intake, home: &Home, client: &Client) -> Result<Vec<Made<'a>>, Failure> {
    let card = home.card()?;
    let identity = card.card().identities.first().ok_or(Failure::NoIdentity)?;
    let origin = Origin::new(identity, clock::now());
    let ids: Vec<Option<String>> = made.drafts().iter().map(|draft| origin.id(draft)).collect();
    let held = daemon::block_on(held(client, made.drafts(), &ids))?;
    let rows = made.drafts().iter().zip(&ids).zip(held);
    let object = |((draft, id), held): ((&'a Draft, &Option<String>), Option<Known>)| {
        let outcome = origin.object(draft, &ids, held.as_ref().map(|held| &held.object));
        Made { draft, id: id.clone(), outcome, withdrawn: held.is_some_and(|held| held.withdrawn) }
    };
    Ok(rows.map(object).collect())
}

/// For each draft the newest version that we have published under its id. Observables have no versions.
async fn held(client: &Client, drafts: &[Draft], ids: &[Option<String>]) -> Result<Vec<Option<Known>>, Failure> {
    let is_versioned = |draft: &Draft| !matches!(draft.what, What::Observable(_));
    let asked = |(draft, id): (&Draft, &Option<String>)| id.clone().filter(|_| is_versioned(draft));
    let asked: Vec<Option<String>> = drafts.iter().zip(ids).map(asked).collect();
    let wanted: Vec<&str> = asked.iter().flatten().map(String::as_str).collect();
    let known = published(client, &wanted).await?;
    Ok(asked.into_iter().map(|id| known.get(&id?).cloned()).collect())
}

/// What we published under these ids, a page at a time.
async fn published(client: &Client, mut ids: &[&str]) -> Result<BTreeMap<String, Known>, Failure> {
    let mut known = BTreeMap::new();
    while !ids.is_empty() {
        let page = &ids[..ids.len().min(PUBLISHED_IDS_MAX)];
        let mut lines = client.post_text("/v1/published", page.join("\n")).await?;
        let answered = match lines.next_page() {
            Some(count) => count.parse().ok().filter(|count| (1..page.len()).contains(count)),
            None => Some(page.len()),
        };
        let answered = answered.ok_or_else(|| ClientError::Answer("it does not say where to go on".to_owned()))?;
        while let Some(line) = lines.next().await? {
            let Published { id, object, withdrawn } = from_json(&line)?;
            known.insert(id, Known { object: from_json(object.get().as_bytes())?, withdrawn });
        }
        ids = &ids[answered..];
    }
    Ok(known)
}

fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(text).map_err(|error| ClientError::Answer(error.to_string()))
}

/// The objects as lines, as a push takes them.
pub(super) fn lines(name: &str, made: &Intake, rows: &[Made<'_>]) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let objects = rows.iter().filter_map(|row| match &row.outcome {
        Outcome::Object(object) => Some(object.to_string().into_bytes()),
        Outcome::Nothing(_) => None,
    });
    for object in made.objects.iter().cloned().chain(objects) {
        out.extend_from_slice(&object);
        out.push(b'\n');
        if is_too_large(out.len() as u64) {
            return Err(Failure::TooLarge { input: name.to_owned(), bytes: PUSH_BYTES_MAX as u64 + 1 });
        }
    }
    Ok(out)
}
