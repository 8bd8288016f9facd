//! `mithaq init`: a CERT's home, made whole or not at all.
//!
//! Keys and card are made in a folder of their own inside the home and moved into place at the end, keys first and the
//! card last. Whatever a crash leaves behind, the next `init` finishes or starts over, and keys that a card may have
//! named are never overwritten: new keys would be another CERT, and a second first card a sign of fraud.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use mithaq_api::{
    config::Config,
    home::{Home, HomeError, KeyName, create_file, create_private_dir},
};
use mithaq_core::{
    card::{CardDetails, DatedKey, VerifiedCard},
    keys::{SecretKey, Suite},
    time::Time,
};
use serde_json::json;

use crate::{
    clock,
    commands::key::{CLOCK_SKEW_SECONDS, new_key},
    console::{Console, STRONG},
    exit::Exit,
    failure::Failure,
    people::fingerprint,
    random,
};

/// The configuration that a new home gets, every key with its default.
const CONFIG_SAMPLE: &str = include_str!("../../../../config/mithaq.toml");

/// The line of the sample that `--listen` replaces.
const LISTEN_LINE: &str = "\naddress = \"[::]:8770\"\n";

/// How long signing and TLS keys are valid.
const KEY_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Where keys and card are made before they are moved into place.
const STAGING_DIR: &str = "init.new";

/// Make a CERT: its home with keys, card and configuration.
///
/// The root key names the CERT for good; keep a copy of keys/root.key where no network reaches it. Signing and TLS keys
/// are valid for a year. Nothing that is there is overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq --home ./pk init                  asks for what it needs
  mithaq --home ./pk init --name 'Pakistan NCERT' --country PK \\
      --contact 'soc@ncert.example' --contact '+92 51 0000000' --endpoint cert.example:8770
  mithaq --home ./pk init --name Lab --country PK --listen 127.0.0.1:8770")]
pub(crate) struct Args {
    /// The CERT's name, in any language
    #[arg(long)]
    name: Option<String>,
    /// Its country, an ISO 3166-1 code of two letters
    #[arg(long, value_name = "CC")]
    country: Option<String>,
    /// How people reach it: an address or a telephone number; may be repeated
    #[arg(long = "contact", value_name = "CONTACT")]
    contacts: Vec<String>,
    /// A STIX identity that the CERT publishes under; may be repeated. A new one is made if none is given
    #[arg(long = "identity", value_name = "IDENTITY_ID")]
    identities: Vec<String>,
    /// The UDP address for peers, written to the configuration
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where peers reach the daemon, written to the card; may be repeated. None if it only calls others
    #[arg(long = "endpoint", value_name = "HOST:PORT")]
    endpoints: Vec<String>,
}

/// Makes the home.
pub(crate) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    refuse_existing(home)?;
    let card = match unfinished(home)? {
        Some(card) => {
            console
                .note("an earlier `mithaq init` was cut short and is finished now, with the card that it had made")?;
            card
        }
        None => stage(args, home, console)?,
    };
    move_into_place(home)?;
    announce(&card, home, console)?;
    Ok(Exit::Ok)
}

fn refuse_existing(home: &Home) -> Result<(), Failure> {
    let path = home.card_path();
    if path.exists() { Err(HomeError::Exists { path }.into()) } else { Ok(()) }
}

/// The card of an `init` that was cut short after its keys had moved into place.
fn unfinished(home: &Home) -> Result<Option<VerifiedCard>, Failure> {
    if !keys_dir(home).exists() {
        return Ok(None);
    }
    let keys_without_card = || Failure::KeysWithoutCard { dir: home.dir().to_owned() };
    let card = staging(home).card().map_err(|_| keys_without_card())?;
    let root = home.key(KeyName::Root)?;
    if card.card().root == root.public() { Ok(Some(card)) } else { Err(keys_without_card()) }
}

/// Makes everything that is new, none of it in its place but the configuration.
fn stage(args: &Args, home: &Home, console: &mut Console) -> Result<VerifiedCard, Failure> {
    let answers = Answers::take(args, console)?;
    let staging = staging(home);
    remove_dir(staging.dir())?;
    let (keys, card) = make_keys_and_card(args, answers)?;
    make_private(home.dir())?;
    create_private_dir(&home.peers_dir())?;
    write_config(home, args.listen)?;
    create_private_dir(&keys_dir(&staging))?;
    for (name, key) in &keys {
        staging.create_key(*name, key)?;
    }
    create_file(&staging.card_path(), &card.envelope().to_json(), 0o600)?;
    sync_dir(&keys_dir(&staging))?;
    sync_dir(staging.dir())?;
    Ok(card)
}

fn move_into_place(home: &Home) -> Result<(), Failure> {
    let staging = staging(home);
    let (keys, card) = (keys_dir(&staging), staging.card_path());
    if !keys_dir(home).exists() {
        fs::rename(&keys, keys_dir(home)).map_err(file_error("move", &keys))?;
        sync_dir(home.dir())?;
    }
    fs::rename(&card, home.card_path()).map_err(file_error("move", &card))?;
    sync_dir(home.dir())?;
    remove_dir(staging.dir())
}

/// What a card says and only people know.
struct Answers {
    name: String,
    country: String,
    contacts: Vec<String>,
}

impl Answers {
    /// Takes what the flags give and asks for the rest.
    fn take(args: &Args, console: &mut Console) -> Result<Self, Failure> {
        let was_asked = args.name.is_none() || args.country.is_none();
        let name = match &args.name {
            Some(name) => name.clone(),
            None => console.require("the CERT's name", "--name", "Name of the CERT, in any language:")?,
        };
        let country = match &args.country {
            Some(country) => country.clone(),
            None => console.require("the country", "--country", "Country, two letters such as PK:")?,
        };
        let mut contacts = args.contacts.clone();
        if was_asked && contacts.is_empty() {
            let contact = console.ask("How people reach it (mail or telephone; empty for none):")?;
            contacts.extend(contact.filter(|contact| !contact.is_empty()));
        }
        Ok(Self { name, country: country.to_ascii_uppercase(), contacts })
    }
}

fn make_keys_and_card(args: &Args, answers: Answers) -> Result<([(KeyName, SecretKey); 3], VerifiedCard), Failure> {
    let [root, signing, tls] = [new_key()?, new_key()?, new_key()?];
    let now = clock::now();
    let mut identities: BTreeSet<String> = args.identities.iter().cloned().collect();
    if identities.is_empty() {
        identities.insert(format!("identity--{}", random::uuid()?));
    }
    let details = CardDetails {
        name: answers.name,
        country: answers.country,
        contacts: answers.contacts,
        serial: 1,
        issued_at: now,
        signing_keys: vec![dated(&signing, now)],
        tls_keys: vec![dated(&tls, now)],
        revoked_keys: Vec::new(),
        identities,
        endpoints: args.endpoints.clone(),
    };
    let card = VerifiedCard::sign(&root, details)?;
    Ok(([(KeyName::Root, root), (KeyName::Signing, signing), (KeyName::Tls, tls)], card))
}

fn dated(key: &SecretKey, now: Time) -> DatedKey {
    DatedKey {
        suite: Suite::Ed25519,
        public: key.public(),
        not_before: clock::seconds_before(now, CLOCK_SKEW_SECONDS),
        not_after: now.plus(KEY_LIFE),
    }
}

/// Writes the sample configuration; one that is there already stays, if it listens where it should.
fn write_config(home: &Home, listen: Option<SocketAddr>) -> Result<(), Failure> {
    let path = home.config_path();
    if path.exists() {
        let config = Config::load(&path).map_err(HomeError::from)?;
        let fits = listen.is_none_or(|listen| listen == config.listen.address);
        return if fits { Ok(()) } else { Err(Failure::ConfigExists { path }) };
    }
    Ok(create_file(&path, config_text(listen).as_bytes(), 0o600)?)
}

fn config_text(listen: Option<SocketAddr>) -> String {
    match listen {
        Some(listen) => CONFIG_SAMPLE.replacen(LISTEN_LINE, &format!("\naddress = \"{listen}\"\n"), 1),
        None => CONFIG_SAMPLE.to_owned(),
    }
}

fn staging(home: &Home) -> Home {
    Home::at(home.dir().join(STAGING_DIR))
}

fn keys_dir(home: &Home) -> std::path::PathBuf {
    home.dir().join("keys")
}

/// Makes the home's folder for its owner alone. A folder with something in it keeps its mode: it may have been named by
/// mistake, and everything secret lies in a private folder inside.
fn make_private(dir: &Path) -> Result<(), Failure> {
    create_private_dir(dir)?;
    let is_empty = fs::read_dir(dir).map_err(file_error("read", dir))?.next().is_none();
    if is_empty {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(file_error("set the mode of", dir))?;
    }
    Ok(())
}

fn remove_dir(dir: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error("remove", dir)(error)),
        _ => Ok(()),
    }
}

fn sync_dir(dir: &Path) -> Result<(), Failure> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(file_error("sync", dir))
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Failure::File { action, path, source }
}

fn announce(card: &VerifiedCard, home: &Home, console: &mut Console) -> Result<(), Failure> {
    let details = card.card();
    if console.is_json() {
        return console.json(&json!({
            "home": home.dir(),
            "cert": card.cert_id(),
            "name": details.name,
            "country": details.country,
            "identities": details.identities,
            "endpoints": details.endpoints,
        }));
    }
    let dir = home.dir().display();
    console.styled(STRONG, format_args!("{} ({}) lives in {dir}", details.name, details.country))?;
    console.line(format_args!("  fingerprint   {}", fingerprint(card.cert_id())))?;
    for identity in &details.identities {
        console.line(format_args!("  STIX identity {identity}"))?;
    }
    console.line(format_args!("  configuration {}", home.config_path().display()))?;
    console.line("")?;
    console.line("Next: keep a copy of keys/root.key where no network reaches it, then pair with a CERT:")?;
    console.line(format_args!("  mithaq --home {dir} peer invite --out our-card.json     and send it to them"))?;
    console.line(format_args!("  mithaq --home {dir} peer add NAME their-card.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn args(name: Option<&str>, country: Option<&str>) -> Args {
        Args {
            name: name.map(Into::into),
            country: country.map(Into::into),
            contacts: Vec::new(),
            identities: Vec::new(),
            listen: None,
            endpoints: Vec::new(),
        }
    }

    fn quiet() -> Console {
        Console::captured(None).0
    }

    fn temporary() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        (dir, home)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_sample_is_the_default_and_documents_every_key() {
        let parse = |text: &str| Config::parse(text, Path::new("mithaq.toml")).unwrap();
        assert_eq!(parse(CONFIG_SAMPLE), Config::default());
        let optional = ["# [siem.tcp]", "# listen =", "# token_file ="];
        let uncommented = optional.iter().fold(CONFIG_SAMPLE.to_owned(), |text, line| text.replace(line, &line[2..]));
        assert!(parse(&uncommented).siem.tcp.is_some());
        let (_, table) = CONFIG_SAMPLE.split_once("# [collection.banks]").unwrap();
        let (table, _) = table.split_once("\n\n").unwrap();
        let keys = table.lines().filter(|line| line.contains(" = ")).map(|line| line.trim_start_matches("# "));
        let sample = keys.fold("[collection.banks]\n".to_owned(), |text, line| text + line + "\n");
        assert_eq!(parse(&sample).collection.values().next().map(|table| table.corroboration_min), Some(2));
        for line in CONFIG_SAMPLE.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')) {
            let (key, value) = line.split_once(" = ").unwrap();
            assert!(CONFIG_SAMPLE.contains(&format!("# Default: {value}.\n{line}\n")), "{key} has no default above it");
        }
    }

    #[test]
    fn listen_is_written_to_the_configuration() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 4711));
        let config = Config::parse(&config_text(Some(listen)), Path::new("mithaq.toml")).unwrap();
        assert_eq!(config.listen.address, listen);
    }

    #[test]
    fn a_home_is_private_and_whole() {
        let (_dir, home) = temporary();
        run(&args(Some("Qatar CERT"), Some("qa")), &home, &mut quiet()).unwrap();
        let card = home.card().unwrap();
        assert_eq!(
            (card.card().name.as_str(), card.card().country.as_str(), card.card().serial),
            ("Qatar CERT", "QA", 1)
        );
        assert_eq!(card.card().identities.len(), 1);
        assert_eq!(home.key(KeyName::Root).unwrap().public().cert_id(), card.cert_id());
        let now = clock::now();
        let signing = home.key(KeyName::Signing).unwrap().public();
        assert!(card.signing_key(signing.id(), Suite::Ed25519, now).is_some());
        assert!(card.has_tls_key(home.key(KeyName::Tls).unwrap().public(), now));
        assert_eq!(home.config().unwrap(), Config::default());
        assert!(home.peers().unwrap().is_empty());
        assert_eq!((mode(home.dir()), mode(&keys_dir(&home))), (0o700, 0o700));
        assert_eq!(mode(&home.key_path(KeyName::Root)), 0o600);
        assert!(!staging(&home).dir().exists());
    }

    #[test]
    fn nothing_is_overwritten() {
        let (_dir, home) = temporary();
        run(&args(Some("A"), Some("PK")), &home, &mut quiet()).unwrap();
        let before = fs::read(home.card_path()).unwrap();
        let failure = run(&args(Some("B"), Some("PK")), &home, &mut quiet()).unwrap_err();
        assert_eq!(failure.code(), mithaq_core::code::Code::EXISTS);
        assert_eq!(fs::read(home.card_path()).unwrap(), before);
        fs::remove_file(home.card_path()).unwrap();
        let failure = run(&args(Some("B"), Some("PK")), &home, &mut quiet()).unwrap_err();
        assert!(matches!(failure, Failure::KeysWithoutCard { .. }), "{failure}");
    }

    #[test]
    fn an_init_that_was_cut_short_anywhere_is_taken_up_again() {
        let first = args(Some("First"), Some("PK"));
        let (_dir, home) = temporary();
        stage(&first, &home, &mut quiet()).unwrap();
        run(&args(Some("Second"), Some("PK")), &home, &mut quiet()).unwrap();
        assert_eq!(home.card().unwrap().card().name, "Second", "before the keys were in place it starts over");

        let (_dir, home) = temporary();
        stage(&first, &home, &mut quiet()).unwrap();
        fs::rename(keys_dir(&staging(&home)), keys_dir(&home)).unwrap();
        run(&args(Some("Second"), Some("PK")), &home, &mut quiet()).unwrap();
        assert_eq!(home.card().unwrap().card().name, "First", "after that it is finished");
    }

    #[test]
    fn a_person_is_asked_for_what_is_missing() {
        let (_dir, home) = temporary();
        let (mut console, captured) = Console::captured(Some("مركز قطر\nqa\nsoc@example.qa\n"));
        run(&args(None, None), &home, &mut console).unwrap();
        let card = home.card().unwrap();
        assert_eq!((card.card().name.as_str(), card.card().country.as_str()), ("مركز قطر", "QA"));
        assert_eq!(card.card().contacts, ["soc@example.qa"]);
        assert!(captured.err().starts_with("Name of the CERT, in any language: Country"), "{}", captured.err());
        let (_dir, home) = temporary();
        assert_eq!(run(&args(None, None), &home, &mut quiet()).unwrap_err().exit(), Exit::Usage);
        assert!(!home.dir().exists());
    }

    #[test]
    fn what_cannot_stand_in_a_card_changes_nothing() {
        let (_dir, home) = temporary();
        let failure = run(&args(Some("A"), Some("Pakistan")), &home, &mut quiet()).unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.message().contains("ISO 3166-1"), "{failure}");
        assert!(!home.dir().exists());
    }
}
