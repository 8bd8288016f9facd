//! SIEMs that cannot read a unix socket: the loopback listener with its token, and a client that others wrote.

use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::{Cert, Daemon, Place, bundle, corpus, get_tcp, indicators, root, skipped};
use crate::sockets::check_sockets;

const TOKEN: &str = "a-token-of-the-test-that-is-long-enough-0123456789";

/// `any:TOKEN` in base64, as Basic has it.
const BASIC: &str = "Basic YW55OmEtdG9rZW4tb2YtdGhlLXRlc3QtdGhhdC1pcy1sb25nLWVub3VnaC0wMTIzNDU2Nzg5";

/// A CERT with a loopback listener.
fn with_listener(place: &Place) -> (Cert, u16) {
    let pk = Cert::init(place, "pk");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let token = pk.home.join("keys/siem.token");
    fs::write(&token, TOKEN.to_owned() + "\n").unwrap();
    fs::set_permissions(&token, PermissionsExt::from_mode(0o600)).unwrap();
    let table = format!("[siem.tcp]\nlisten = \"127.0.0.1:{port}\"\ntoken_file = \"keys/siem.token\"\n\n[policy]");
    pk.configure("[policy]", &table);
    (pk, port)
}

#[test]
fn the_loopback_listener_wants_its_token() {
    let place = Place::new();
    let (pk, port) = with_listener(&place);
    let daemon = Daemon::start(&pk);
    check_sockets(&pk, &daemon, Some(port));
    pk.push(bundle(&indicators(1, 0..3)), &[]).exits(0);
    let address = format!("127.0.0.1:{port}");
    let ask = |path: &str, token: Option<&str>| {
        let headers: Vec<_> = token.map(|token| ("authorization", token)).into_iter().collect();
        get_tcp(&address, path, &headers)
    };
    for path in ["/v1/stream", "/taxii2/", "/nowhere", "/v1/status"] {
        for token in [None, Some("Bearer wrong"), Some("Basic YTpi"), Some("Bearer "), Some("nonsense")] {
            let answer = ask(path, token);
            assert_eq!(answer.status, 401, "{path} {token:?}: {answer:?}");
            assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
        }
    }
    for token in [format!("Bearer {TOKEN}"), BASIC.to_owned()] {
        let answer = ask("/v1/stream", Some(&token));
        assert_eq!((answer.status, answer.text().lines().count()), (200, 3), "{answer:?}");
        // What is for analysts is not here.
        assert_eq!(ask("/v1/status", Some(&token)).status, 404);
    }
    drop(daemon);
    // A token that others may read is none.
    fs::set_permissions(pk.home.join("keys/siem.token"), PermissionsExt::from_mode(0o644)).unwrap();
    let refused = Daemon::refuse(&pk.home, &[]).refused(64, "MQ-6001");
    assert!(refused.stderr.contains("siem.token"), "{refused:#?}");
}

/// A Python that has `taxii2-client`: the one that MITHAQ_PYTHON names, or an environment that is made here.
pub(crate) fn python() -> Option<PathBuf> {
    if let Some(python) = env::var_os("MITHAQ_PYTHON") {
        return Some(python.into());
    }
    let folder = root().join("tests/e2e/python");
    let venv = env::current_exe().unwrap().ancestors().nth(3).unwrap().join("python");
    let python = venv.join("bin/python");
    let why_not = |mut command: Command| match command.output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Some(error.to_string()),
    };
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&venv);
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    install.arg(folder.join("requirements.txt"));
    match why_not(make).or_else(|| why_not(install)) {
        None => Some(python),
        Some(why) => {
            skipped("the TAXII client in Python", why.trim());
            None
        }
    }
}

/// Runs one of the clients in Python, which says by its exit status whether it got what it expected.
#[track_caller]
fn run_client(python: &Path, script: &str, args: &[&str]) {
    let mut client = Command::new(python);
    client.arg(root().join("tests/e2e/python").join(script)).args(args);
    let output = client.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {text}");
}

#[test]
fn clients_that_others_wrote_read_everything_once() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let (pk, port) = with_listener(&place);
    let _daemon = Daemon::start(&pk);
    pk.push(corpus(&["indicators/mvt-intellexa_predator-predator.stix2"]), &["--tlp", "green"]).exits(0);
    let (url, count) = (format!("http://127.0.0.1:{port}/taxii2/"), pk.objects().to_string());
    let args = ["--url", &url, "--token", TOKEN, "--limit", "100", "--expect", &count];
    run_client(&python, "taxii_client.py", &args);
}

#[test]
fn the_stix2_library_finds_objects_and_their_versions() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let (pk, port) = with_listener(&place);
    let _daemon = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..250)), &[]).exits(0);
    let mut newer = indicators(1, 7..8).remove(0);
    newer["modified"] = "2026-03-20T04:30:00.000Z".into();
    pk.push(bundle(&[newer.clone()]), &[]).exits(0);
    let url = format!("http://127.0.0.1:{port}/taxii2/");
    let id = newer["id"].as_str().unwrap();
    let args = ["--url", &url, "--token", TOKEN, "--expect", "250", "--id", id, "--versions", "2"];
    run_client(&python, "stix2_source.py", &args);
}

#[test]
fn elastic_takes_everything_in_by_its_own_way_of_asking() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let _daemon = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..250)), &[]).exits(0);
    let socket = pk.siem_socket();
    let args = ["--socket", socket.to_str().unwrap(), "--limit", "40", "--expect", "250"];
    run_client(Path::new("python3"), "elastic_intake.py", &args);
}
