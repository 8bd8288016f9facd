//! Exports: read by the parsers that others wrote, made again and again, and undone where something is gone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    harness::{Cert, Daemon, Place, bundle, domain, get, id_of, indicator, indicators, root, skipped, until},
    taxii::python,
};

const FORMATS: [&str; 9] = [
    "suricata-dataset",
    "suricata-iprep",
    "zeek-intel",
    "rpz",
    "wazuh-cdb",
    "csv",
    "splunk-csv",
    "misp-feed",
    "stix-bundle",
];

/// Values that would break a careless export: the type, the value, and the pattern that looks for it.
fn hostile() -> Vec<(&'static str, String, String)> {
    let (md5, sha256) =
        ("d41d8cd98f00b204e9800998ecf8427e", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let values = [
        ("ipv4-addr", "198.51.100.7", "ipv4-addr:value"),
        ("ipv4-cidr", "198.51.100.0/24", "ipv4-addr:value"),
        ("ipv6-addr", "2001:db8::1", "ipv6-addr:value"),
        ("ipv6-cidr", "2001:db8:8000::/33", "ipv6-addr:value"),
        ("domain-name", "t.co", "domain-name:value"),
        ("domain-name", "-evil.example", "domain-name:value"),
        ("domain-name", "xn--4gbrim.xn--mgbh0fb", "domain-name:value"),
        ("url", "http://evil.example/a,b;c'd?x=\\x41&y=%22#f", "url:value"),
        ("url", "ftp://evil.example/=1+1", "url:value"),
        ("email-addr", "\"a\"b#@evil.example", "email-addr:value"),
        ("file-md5", md5, "file:hashes.MD5"),
        ("file-sha256", sha256, "file:hashes.'SHA-256'"),
        ("file-name", "=cmd|' /C calc'!A0", "file:name"),
        ("file-name", "'+1,\"2\"", "file:name"),
        ("file-name", "a\tb\nc\u{1b}[2J", "file:name"),
        ("mutex", "-\"\n\"evil\":\"x", "mutex:name"),
    ];
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    values.map(|(kind, value, path)| (kind, value.to_owned(), format!("[{path} = '{}']", quoted(value)))).into()
}

fn with_pattern(number: u32, pattern: &str) -> Value {
    let mut object = indicator(9, number);
    object["pattern"] = pattern.into();
    object
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Exports everything in every format, into one folder; each is named by its format.
fn export_all(cert: &Cert, folder: &Path) {
    for format in FORMATS {
        let output = folder.join(format);
        cert.run(&["export", "--format", format, "--output", output.to_str().unwrap()]).exits(0);
    }
}

/// Whether a program ran and was content; what it said if not. `None` if it is not there.
fn is_content(mut command: Command, what: &str) -> Option<()> {
    match command.output() {
        Err(error) => skipped(what, &error.to_string()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{what}: {text}");
            return Some(());
        }
    }
    None
}

#[test]
fn the_parsers_of_others_read_what_went_in() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let _daemon = Daemon::start(&pk);
    let values = hostile();
    let objects: Vec<_> = (0..).zip(&values).map(|(number, (_, _, pattern))| with_pattern(number, pattern)).collect();
    pk.push(bundle(&objects), &[]).exits(0);
    let folder = place.path().join("exports");
    export_all(&pk, &folder);

    let zone = folder.join("rpz");
    let mut checker = Command::new("named-checkzone");
    checker.args(["-i", "local", "rpz.mithaq"]).arg(&zone);
    is_content(checker, "the check of policy zones by BIND");
    let zone = text(&zone);
    for line in ["t.co CNAME .", "*.t.co CNAME .", "32.7.100.51.198.rpz-ip CNAME .", "128.1.zz.db8.2001.rpz-ip CNAME ."]
    {
        assert!(zone.lines().any(|found| found == line), "{line} is not in {zone}");
    }
    let exported: Value = serde_json::from_str(&text(&folder.join("stix-bundle"))).unwrap();
    assert_eq!(exported["objects"].as_array().unwrap().len(), values.len());

    let Some(python) = python() else { return };
    let mut reader = Command::new(python);
    reader.arg(root().join("tests/e2e/python/read_exports.py")).arg("--folder").arg(&folder);
    let expected: Vec<_> = values.iter().map(|(kind, value, _)| json!([kind, value])).collect();
    reader.arg("--expect").arg(json!(expected).to_string());
    is_content(reader, "the readers of exports in Python").unwrap();
}

#[test]
fn the_next_export_says_what_is_gone() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let _daemon = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..3)), &[]).exits(0);
    let output = place.path().join("intel.dat");
    let path = output.to_str().unwrap().to_owned();
    let export = |more: &[&str]| {
        pk.run(&[&["export", "--format", "zeek-intel", "--output", &path, "--json"], more].concat()).exits(0)
    };
    let row = |number| text(&output).lines().find(|line| line.starts_with(&domain(1, number))).map(ToOwned::to_owned);
    assert_eq!((&export(&[]).last()["values"], &export(&[]).last()["before"]), (&json!(3), &json!("known")));
    pk.withdraw(&id_of(&indicator(1, 2)));
    assert_eq!(export(&[]).last()["removed"], 1);
    assert!(row(2).unwrap().ends_with("\tT") && row(1).unwrap().ends_with("\tF"));
    // Without the state nothing is said to be gone, and that is told.
    fs::remove_file(place.path().join(".intel.dat.mithaq-export-state")).unwrap();
    let told = pk.run(&["export", "--format", "zeek-intel", "--output", &path]).exits(0);
    assert!(told.stderr.contains("nothing is said to be gone"), "{told:?}");
    assert!(row(2).is_none());
    // To standard output goes the file and nothing else.
    let shown = pk.run(&["export", "--format", "zeek-intel"]).exits(0);
    assert_eq!(shown.stdout, text(&output));
}

#[test]
fn what_cannot_be_exported_is_refused_and_leaves_files_as_they_are() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let output = place.write("x.csv", "as it was");
    pk.run(&["export", "--format", "csv", "--output", &output]).exits(7);
    let _daemon = Daemon::start(&pk);
    pk.run(&["export", "--format", "csv", "--output", &output, "--collection", "finance"]).refused(6, "MQ-6024");
    pk.run(&["export", "--format", "csv", "--output", &format!("{output}/y")]).refused(1, "MQ-6012");
    pk.run(&["export", "--format", "misp-feed"]).exits(2);
    pk.run(&["export", "--format", "misp-feed", "--output", "-"]).exits(2);
    pk.run(&["export", "--format", "csv", "--zone", "x"]).exits(2);
    pk.run(&["export", "--format", "pdf"]).exits(2);
    assert_eq!(text(Path::new(&output)), "as it was");
    assert_eq!(
        fs::read_dir(place.path())
            .unwrap()
            .filter(|file| {
                let name = file.as_ref().unwrap().file_name();
                name.to_string_lossy().starts_with(".x.csv")
            })
            .count(),
        0,
        "something was left beside the output"
    );
}

fn export_named(cert: &Cert, name: &str) -> Value {
    let status = cert.status();
    let found = status["exports"].as_array().unwrap().iter().find(|export| export["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no export {name} in {status}"))
}

#[test]
fn jobs_follow_what_changes_and_show_how_they_fare() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let (output, hooked) = (place.path().join("out/zeek.intel"), place.path().join("hooked"));
    // A file where a folder is wanted.
    let blocked = PathBuf::from(place.write("blocked", ""));
    pk.configure_more(&format!(
        "[export.zeek]\nformat = \"zeek-intel\"\noutput = {output:?}\non_change = \"1s\"\n\
        run = [\"cp\", {output:?}, {hooked:?}]\n\
        [export.feed]\nformat = \"misp-feed\"\noutput = {blocked:?}\nevery = \"1h\"\n\
        [export.command]\nformat = \"csv\"\noutput = \"out/x.csv\"\nevery = \"1h\"\nrun = [\"false\"]\n",
    ));
    let daemon = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..3)), &[]).exits(0);
    let has = |path: &Path, part: &str| fs::read_to_string(path).is_ok_and(|text| text.contains(part)).then_some(());
    until("the export that was handed on", || has(&hooked, &domain(1, 2)));
    until("its good end", || (export_named(&pk, "zeek")["hook_status"] == 0).then_some(()));
    pk.withdraw(&id_of(&indicator(1, 2)));
    until("the removal", || has(&hooked, "\tT\n"));
    assert_eq!(export_named(&pk, "zeek")["state"], "ok");

    let failing = until("the failure", || Some(export_named(&pk, "feed")).filter(|feed| feed["state"] == "failing"));
    assert_eq!(failing["problem"]["code"], "MQ-6012", "{failing}");
    let command = until("the command", || Some(export_named(&pk, "command")).filter(|job| job["state"] == "failing"));
    assert_eq!((&command["problem"]["code"], &command["hook_status"]), (&json!("MQ-6052"), &json!(1)));
    assert!(pk.home.join("out/x.csv").exists(), "the file is there, whatever the command does");
    pk.run(&["status", "--check"]).exits(3);
    let socket = std::os::unix::net::UnixStream::connect(pk.control_socket()).unwrap();
    let metrics = get(socket, "/metrics", &[]).unwrap();
    let line = "mithaq_export_ok{export=\"feed\",format=\"misp-feed\"} 0";
    assert!(metrics.text().lines().any(|found| found == line), "{}", metrics.text());
    // It is tried again, and nobody has to ask for it.
    fs::remove_file(&blocked).unwrap();
    until("the feed", || (export_named(&pk, "feed")["state"] == "ok").then_some(()));
    assert!(blocked.join("manifest.json").exists());
    // Over a restart it goes on where it was.
    drop(daemon);
    let _daemon = Daemon::start(&pk);
    until("the export behind the restart", || (export_named(&pk, "zeek")["state"] == "ok").then_some(()));
    assert_eq!(export_named(&pk, "zeek")["written"], 0, "nothing had changed");
    has(&output, "\tT\n").unwrap();
}

#[test]
fn a_reload_takes_up_exports_and_an_error_leaves_them_as_they_are() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    pk.configure_more("[export.one]\nformat = \"csv\"\noutput = \"out/one.csv\"\nevery = \"1s\"\n");
    let daemon = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..1)), &[]).exits(0);
    let has = |name: &str, number: u32| {
        let text = fs::read_to_string(pk.home.join("out").join(name)).unwrap_or_default();
        text.contains(&domain(1, number)).then_some(())
    };
    until("the first export", || has("one.csv", 0));
    pk.configure("[export.one]", "[export.One]");
    daemon.hang_up();
    until("the refusal", || daemon.log().contains("not reloaded").then_some(()));
    pk.configure("[export.One]", "[export.one]");
    pk.push(bundle(&indicators(1, 1..2)), &[]).exits(0);
    until("the export by the old configuration", || has("one.csv", 1));
    pk.configure(
        "[export.one]\nformat = \"csv\"\noutput = \"out/one.csv\"",
        "[export.two]\nformat = \"csv\"\noutput = \"out/two.csv\"",
    );
    pk.run(&["reload"]).exits(0);
    until("the new export", || has("two.csv", 1));
    until("its good end", || (export_named(&pk, "two")["state"] == "ok").then_some(()));
    assert_eq!(pk.status()["exports"].as_array().unwrap().len(), 1);
}
