//! What SIEMs see of a daemon: collections with sockets, rights and tokens of their own, and streams in every form.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::harness::{
    Answer, Cert, Daemon, Place, bundle, get, get_tcp, id_of, indicator, indicators, open_stream, pair, settle,
    skipped, unmarked, until,
};

/// A Python that other users may run too.
const PYTHON: &str = "/usr/bin/python3";

/// How many streams a daemon serves at once.
const STREAMS_AT_ONCE: usize = 256;

fn socket(cert: &Cert, collection: &str) -> PathBuf {
    cert.home.join(format!("run/siem/{collection}.sock"))
}

#[track_caller]
fn ask(socket: &Path, path: &str, headers: &[(&str, &str)]) -> Answer {
    get(UnixStream::connect(socket).unwrap(), path, headers).unwrap()
}

/// The lines of a collection's stream behind a cursor.
#[track_caller]
fn lines(socket: &Path, cursor: &str) -> Vec<Value> {
    let from = if cursor.is_empty() { String::new() } else { format!("cursor={cursor}") };
    stream(socket, &from)
}

fn stream(socket: &Path, query: &str) -> Vec<Value> {
    let answer = ask(socket, &format!("/v1/stream?{query}"), &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| line["object"]["id"].as_str().or(line["id"].as_str()).unwrap().to_owned()).collect()
}

fn ops(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["op"].as_str().unwrap()).collect()
}

fn cursor_of(line: &Value) -> String {
    line["cursor"].as_str().unwrap().to_owned()
}

#[test]
fn collections_come_and_go_with_a_reload() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    pk.configure_more("[collection.green]\ntlp_max = \"green\"\ntitle = \"For all\"");
    let _daemon = Daemon::start(&pk);
    pk.push(bundle(&[unmarked(1, 1)]), &["--tlp", "green"]).exits(0);
    pk.push(bundle(&[unmarked(1, 2)]), &["--tlp", "amber"]).exits(0);
    assert_eq!(ids(&lines(&socket(&pk, "green"), "")), [id_of(&unmarked(1, 1))]);
    assert_eq!(lines(&pk.siem_socket(), "").len(), 2);
    let taxii = ask(&socket(&pk, "green"), "/taxii2/mithaq/collections/", &[]).json();
    let listed = taxii["collections"].as_array().unwrap();
    assert_eq!((listed.len(), &listed[0]["alias"], &listed[0]["title"]), (1, &json!("green"), &json!("For all")));
    // Elastic asks for the socket's own path.
    let own = socket(&pk, "green");
    let answer =
        ask(&own, &format!("{}/?limit=10", own.display()), &[("accept", "application/taxii+json;version=2.1")]);
    assert_eq!(answer.json()["objects"].as_array().unwrap().len(), 1);
    // One that is looser shows more, one that is gone ends whoever reads it.
    let mut follower = open_stream(&own, "/v1/stream?follow=true");
    let mut line = String::new();
    follower.read_line(&mut line).unwrap();
    pk.configure("[collection.green]\ntlp_max = \"green\"", "[collection.amber]\ntlp_max = \"amber\"");
    pk.run(&["reload"]).exits(0);
    until("the old socket is gone", || (!own.exists()).then_some(()));
    assert_eq!(lines(&socket(&pk, "amber"), "").len(), 2);
    let mut rest = String::new();
    follower.read_to_string(&mut rest).unwrap();
    let readers = pk.run(&["siem", "readers", "--json"]).exits(0).lines();
    let green = readers.iter().find(|row| row["collection"] == "green").unwrap();
    assert!(green["objects"].as_u64() >= Some(2) && green["reader"].as_str().unwrap().starts_with("uid:"), "{green}");
    // A configuration that is not understood changes nothing.
    pk.configure("[collection.amber]", "[collection.Amber]");
    assert_ne!(pk.run(&["reload"]).exit, 0);
    assert_eq!(lines(&socket(&pk, "amber"), "").len(), 2);
}

#[test]
fn what_several_certs_have_seen_is_shown_from_then_on() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    pair(pk, cn, &[]);
    cn.configure_more("[collection.seen]\ncorroboration_min = 2\n\n[collection.pk]\norigins = [\"pk\"]");
    let _daemons = [Daemon::start(pk), Daemon::start(cn)];
    settle(pk, cn, 1);
    let seen = socket(cn, "seen");
    let mut follower = open_stream(&seen, "/v1/stream?follow=true");
    // The same value under another id, by the other CERT.
    let theirs = lines(&cn.siem_socket(), "").pop().unwrap();
    let mut ours = theirs["object"].clone();
    ours["id"] = json!("indicator--00000000-0000-4000-8000-00000000abcd");
    let before = lines(&socket(cn, "pk"), "").len();
    assert_eq!(lines(&seen, "").len(), 0);
    cn.push(bundle(&[ours.clone()]), &[]).exits(0);
    let mut shown: Vec<Value> = Vec::new();
    for _ in 0..2 {
        let mut line = String::new();
        while !line.starts_with('{') {
            line.clear();
            assert_ne!(follower.read_line(&mut line).unwrap(), 0, "the stream ended");
        }
        shown.push(serde_json::from_str(&line).unwrap());
    }
    let mut shown_ids = ids(&shown);
    shown_ids.sort();
    let mut expected = vec![id_of(&ours), id_of(&theirs["object"])];
    expected.sort();
    assert_eq!(shown_ids, expected);
    let line = shown.iter().find(|line| line["object"]["id"] == theirs["object"]["id"]).unwrap();
    for member in ["origin", "release", "tlp", "content"] {
        assert_eq!(line[member], theirs[member], "{member}");
    }
    assert!(line["added"].as_str() > theirs["added"].as_str());
    assert_eq!(lines(&socket(cn, "pk"), "").len(), before);
    // What is taken back is taken from those who were shown it, and from nobody else.
    let cursor = shown.last().map(cursor_of).unwrap();
    pk.withdraw(&id_of(&theirs["object"]));
    let taken = until("the withdrawal is told", || Some(lines(&seen, &cursor)).filter(|lines| !lines.is_empty()));
    assert_eq!((ops(&taken), ids(&taken)), (vec!["withdraw"], vec![id_of(&theirs["object"])]));
}

fn seconds_from_now(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    let micros = i64::try_from(now).unwrap() + seconds * 1_000_000;
    mithaq_core::time::Time::from_micros(micros).to_string()
}

#[test]
fn what_is_over_is_told_once_and_outlives_a_restart() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let daemon = Daemon::start(&pk);
    let until_time = |number: u32, time: Option<String>| {
        let mut object = indicator(1, number);
        time.into_iter().for_each(|time| object["valid_until"] = json!(time));
        object
    };
    let [past, soon] = [until_time(1, Some(seconds_from_now(-60))), until_time(2, Some(seconds_from_now(4)))];
    let [never, far] = [until_time(3, None), until_time(4, Some(seconds_from_now(100_000)))];
    // A newer version that is valid for longer keeps the older one from being over.
    let mut newer = until_time(2, Some(seconds_from_now(100_000)));
    newer["id"] = json!("indicator--00000005-0000-4000-8000-000000000005");
    let mut older = until_time(2, Some(seconds_from_now(-30)));
    older["id"] = newer["id"].clone();
    newer["modified"] = json!("2026-03-20T04:30:00.000Z");
    let objects = [past.clone(), soon.clone(), never.clone(), far.clone(), older, newer.clone()];
    pk.push(bundle(&objects), &[]).exits(0);
    let siem = pk.siem_socket();
    let told = lines(&siem, "");
    // What came too late is over in the line behind it, and a reader that takes one line at a time misses neither.
    let at = told.iter().position(|line| line["op"] == "expire").unwrap();
    assert_eq!(
        (ops(&told).len(), told[at]["id"] == past["id"], id_of(&told[at - 1]["object"])),
        (7, true, id_of(&past))
    );
    assert_eq!(told[at]["content"], told[at - 1]["content"]);
    assert!(told[at].get("object").is_none(), "{}", told[at]);
    let mut one_by_one = stream(&siem, "limit=1");
    while let [line] = &stream(&siem, &format!("limit=1&cursor={}", cursor_of(one_by_one.last().unwrap())))[..] {
        one_by_one.push(line.clone());
    }
    assert_eq!(one_by_one, told);
    daemon.terminate();
    let daemon = Daemon::start(&pk);
    let cursor = cursor_of(&told[6]);
    let later = until("the other is over", || Some(lines(&siem, &cursor)).filter(|lines| !lines.is_empty()));
    assert_eq!((ops(&later), ids(&later)), (vec!["expire"], vec![id_of(&soon)]));
    assert!(later[0]["added"].as_str() >= soon["valid_until"].as_str(), "{later:?}");
    assert_eq!(ops(&lines(&siem, "")).len(), 8);
    // TAXII shows objects as they were signed, those that are over too.
    let page = ask(&siem, "/taxii2/mithaq/collections/default/objects/", &[]).json();
    assert_eq!(page["objects"].as_array().unwrap().len(), 5);
    // A snapshot has what counts now, and the cursor to go on with.
    let snapshot = ask(&siem, "/v1/snapshot", &[]);
    let mut rows: Vec<Value> = snapshot.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = rows.pop().unwrap();
    assert_eq!((&end["op"], cursor_of(&end)), (&json!("end"), cursor_of(&later[0])));
    let mut shown = ids(&rows);
    shown.sort();
    assert_eq!(shown, [id_of(&never), id_of(&far), id_of(&newer)]);
    let etag = snapshot.header("etag").unwrap().to_owned();
    let again = ask(&siem, "/v1/snapshot", &[("if-none-match", &etag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    pk.push(bundle(&[indicator(2, 1)]), &[]).exits(0);
    let fresh = ask(&siem, "/v1/snapshot", &[("if-none-match", &etag)]);
    assert_eq!((fresh.status, fresh.text().lines().count()), (200, 5));
    assert_eq!(lines(&siem, &cursor_of(&end)).len(), 1);
    // What is to be over another day keeps nobody busy until then.
    daemon.idles();
}

#[test]
fn events_go_on_behind_the_last_one() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let _daemon = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..3)), &[]).exits(0);
    let read = |last: Option<&str>, count: usize| -> Vec<(String, String, Value)> {
        let mut stream = UnixStream::connect(pk.siem_socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        write!(stream, "GET /v1/stream HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n{last}\r\n").unwrap();
        let (mut events, mut event) = (Vec::new(), (String::new(), String::new(), Value::Null));
        let mut head = String::new();
        for line in BufReader::new(stream).lines().map(Result::unwrap) {
            head += &line;
            match line.split_once(": ") {
                Some(("id", id)) => event.0 = id.to_owned(),
                Some(("event", name)) => event.1 = name.to_owned(),
                Some(("data", data)) => event.2 = serde_json::from_str(data).unwrap(),
                _ if line.is_empty() && !event.2.is_null() => events.push(std::mem::take(&mut event)),
                _ => {}
            }
            if events.len() == count {
                assert!(head.to_lowercase().contains("content-type: text/event-stream"), "{head}");
                return events;
            }
        }
        panic!("the events ended: {head}");
    };
    let events = read(None, 3);
    for (id, name, data) in &events {
        assert_eq!((id.as_str(), name.as_str()), (data["cursor"].as_str().unwrap(), data["op"].as_str().unwrap()));
    }
    pk.push(bundle(&indicators(2, 0..1)), &[]).exits(0);
    let behind = read(Some(&events[1].0), 2);
    assert_eq!(behind[0].0, events[2].0);
    assert_eq!(behind[1].2["object"]["id"], indicator(2, 0)["id"]);
}

#[test]
fn cursors_of_others_are_answered_with_the_way_to_begin_anew() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    let _daemons = [Daemon::start(pk), Daemon::start(cn)];
    for (cert, series) in [(pk, 1), (cn, 2)] {
        cert.push(bundle(&indicators(series, 0..2)), &[]).exits(0);
    }
    let foreign = cursor_of(&lines(&pk.siem_socket(), "")[0]);
    let gone = ask(&cn.siem_socket(), &format!("/v1/stream?cursor={foreign}"), &[]);
    assert_eq!((gone.status, gone.json()["code"].as_str()), (410, Some("MQ-6007")));
    assert_eq!(gone.json()["snapshot"], "/v1/snapshot");
    assert!(gone.header("link").unwrap().contains("</v1/snapshot>"), "{gone:?}");
    let own = cursor_of(&lines(&cn.siem_socket(), "")[0]);
    let (store, _) = own.split_once('-').unwrap();
    let refused = [
        (format!("cursor={store}-9223372036854775807-0"), 410),
        (format!("cursor={store}-1"), 400),
        (format!("cursor={store}-1-18446744073709551616"), 400),
        ("cursor=".to_owned(), 400),
        ("cursor=%00".to_owned(), 400),
        ("cursor=end&cursor=end".to_owned(), 400),
        (format!("cursor={}", "9".repeat(10_000)), 400),
        ("limit=0".to_owned(), 400),
        ("limit=-1".to_owned(), 400),
        ("wait=301".to_owned(), 400),
        ("follow=perhaps".to_owned(), 400),
        ("colour=red".to_owned(), 400),
        ("collection=banks".to_owned(), 404),
        ("collection=../default".to_owned(), 404),
    ];
    for (query, status) in refused {
        let answer = ask(&cn.siem_socket(), &format!("/v1/stream?{query}"), &[]);
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        assert!(answer.json()["code"].as_str().unwrap().starts_with("MQ-60"), "{query}: {answer:?}");
    }
    // A place that never was is one between two others: nothing is shown twice or left out.
    let row: i64 = own.split('-').nth(1).unwrap().parse().unwrap();
    assert_eq!(lines(&cn.siem_socket(), &format!("{store}-{}-5", row - 1)).len(), 2);
    assert_eq!(lines(&cn.siem_socket(), &format!("{store}-{row}-18446744073709551615")).len(), 0);
    // The largest page that can be asked for.
    let page = ask(&cn.siem_socket(), "/taxii2/mithaq/collections/default/objects/?limit=99999999999999999999", &[]);
    assert_eq!(page.json()["objects"].as_array().unwrap().len(), 2);
}

#[test]
fn tokens_open_their_collections_and_come_and_go_without_a_restart() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    pk.configure("[policy]", &format!("[siem.tcp]\nlisten = \"127.0.0.1:{port}\"\n\n[policy]"));
    pk.configure_more("[collection.green]\ntlp_max = \"green\"\n\n[collection.ours]\norigins = [\"own\"]");
    let token = |name: &str, collections: &[&str]| {
        let flags = collections.iter().flat_map(|collection| ["--collection", collection]);
        let args: Vec<_> = ["siem", "token", "add", name, "--json"].into_iter().chain(flags).collect();
        let made = pk.run(&args).exits(0).last();
        made["token"].as_str().unwrap().to_owned()
    };
    let green = token("splunk", &["green"]);
    let file = fs::read_to_string(pk.home.join("keys/siem.token")).unwrap();
    assert!(!file.contains(&green), "{file}");
    let _daemon = Daemon::start(&pk);
    pk.push(bundle(&[unmarked(1, 1)]), &["--tlp", "green"]).exits(0);
    pk.push(bundle(&[unmarked(1, 2)]), &["--tlp", "amber"]).exits(0);
    let address = format!("127.0.0.1:{port}");
    let ask = |token: &str, path: &str| get_tcp(&address, path, &[("authorization", &format!("Bearer {token}"))]);
    let names = |token: &str| -> Vec<String> {
        let listed = ask(token, "/taxii2/mithaq/collections/").json();
        let collections = listed["collections"].as_array().cloned().unwrap_or_default();
        collections.iter().map(|collection| collection["alias"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&green), ["green"]);
    assert_eq!(ask(&green, "/v1/stream").text().lines().count(), 1);
    assert_eq!(ask(&green, "/v1/stream?collection=green").text().lines().count(), 1);
    for path in ["/v1/stream?collection=default", "/v1/stream?collection=nowhere", "/v1/snapshot?collection=default"] {
        assert_eq!(ask(&green, path).status, 404, "{path}");
    }
    // Another one is good at once, and opens what it is for.
    let both = token("qradar", &["green", "ours"]);
    assert_eq!(names(&both), ["green", "ours"]);
    let which = ask(&both, "/v1/stream");
    assert_eq!(which.status, 400);
    assert!(which.json()["message"].as_str().unwrap().contains("green, ours"), "{which:?}");
    assert_eq!(ask(&both, "/v1/stream?collection=ours").text().lines().count(), 2);
    pk.run(&["siem", "token", "remove", "splunk"]).exits(0);
    assert_eq!(ask(&green, "/v1/stream").status, 401);
    let refused = ask(&green, "/taxii2/").json();
    assert_eq!((&refused["http_status"], &refused["error_code"]), (&json!("401"), &json!("MQ-6010")));
    pk.run(&["siem", "token", "remove", "splunk"]).exits(6);
    pk.run(&["siem", "token", "add", "x", "--collection", "nowhere"]).exits(6);
    pk.run(&["siem", "token", "add", "qradar"]).exits(1);
    let listed = pk.run(&["siem", "token", "list", "--json"]).exits(0).lines();
    assert_eq!((listed.len(), &listed[0]["name"]), (1, &json!("qradar")));
    let readers = pk.run(&["siem", "readers", "--json"]).exits(0).lines();
    assert!(readers.iter().any(|row| row["reader"] == "token:splunk" && row["collection"] == "green"), "{readers:?}");
}

/// Reads lines from a socket that only writes.
fn lines_socket(cert: &Cert) -> BufReader<UnixStream> {
    let stream = UnixStream::connect(cert.home.join("run/siem/default.lines.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    BufReader::new(stream)
}

fn read_cursors(stream: &mut impl BufRead, count: usize) -> Vec<String> {
    let read = |_| {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        cursor_of(&serde_json::from_str(&line).unwrap())
    };
    (0..count).map(read).collect()
}

#[test]
fn lines_go_on_where_the_last_program_was() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let daemon = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..1_000)), &[]).exits(0);
    let all: Vec<_> = lines(&pk.siem_socket(), "").iter().map(cursor_of).collect();
    let mut program = lines_socket(&pk);
    assert_eq!(read_cursors(&mut program, 1_000), all);
    pk.push(bundle(&indicators(1, 1_000..1_001)), &[]).exits(0);
    read_cursors(&mut program, 1);
    drop(program);
    // Some lines come again, since nobody knows which were read, and none is left out; also after a restart.
    daemon.terminate();
    let _daemon = Daemon::start(&pk);
    let all: Vec<_> = lines(&pk.siem_socket(), "").iter().map(cursor_of).collect();
    let mut program = lines_socket(&pk);
    let first = read_cursors(&mut program, 1).remove(0);
    let at = all.iter().position(|cursor| *cursor == first).unwrap();
    assert!((1..1_001).contains(&at), "begins with line {at}");
    assert_eq!(read_cursors(&mut program, all.len() - at - 1), all[at + 1..]);
    pk.push(bundle(&indicators(2, 0..1)), &[]).exits(0);
    assert_eq!(read_cursors(&mut program, 1)[0], cursor_of(lines(&pk.siem_socket(), "").last().unwrap()));
}

#[test]
fn a_reader_without_rights_is_refused_at_the_socket() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    pk.configure_more("[collection.banks]\nuids = [54321]\ngids = [54322]");
    let _daemon = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..1)), &[]).exits(0);
    // Our own user may always read.
    assert_eq!(lines(&socket(&pk, "banks"), "").len(), 1);
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !is_root || Command::new("setpriv").arg("--version").output().is_err() || !Path::new(PYTHON).exists() {
        return skipped(
            "readers of other users",
            "only root can be somebody else, with setpriv and the system's Python",
        );
    }
    for folder in [place.path(), &pk.home, &pk.home.join("run"), &pk.home.join("run/siem")] {
        fs::set_permissions(folder, PermissionsExt::from_mode(0o711)).unwrap();
    }
    let as_user = |uid: u32, gid: u32, collection: &str| {
        let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ntry:\n s.connect(sys.argv[1])\nexcept PermissionError:\n \
                      print('no way in'); sys.exit()\ns.sendall(b'GET /v1/stream HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n')\n\
                      print(s.recv(64).split()[1].decode())";
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups", PYTHON, "-c", script]);
        let output = command.arg(socket(&pk, collection)).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(as_user(54321, 1, "banks"), "200");
    assert_eq!(as_user(1, 54322, "banks"), "200");
    assert_eq!(as_user(1, 1, "banks"), "403");
    assert_eq!(as_user(54321, 54322, "default"), "no way in");
}

/// The memory that a process has in use, in KiB.
fn rss_kib(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn readers_that_stand_still_hold_up_nobody_and_little_memory() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let daemon = Daemon::start(&pk);
    for first in (0..5_000).step_by(1_000) {
        pk.push(bundle(&indicators(1, first..first + 1_000)), &[]).exits(0);
    }
    let ask = || {
        let mut stream = UnixStream::connect(pk.siem_socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET /v1/stream?follow=true HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        (stream, String::from_utf8_lossy(&status[9..]).into_owned())
    };
    let before = rss_kib(&daemon);
    let mut readers: Vec<_> = (0..100).map(|_| ask()).collect();
    assert!(readers.iter().all(|(_, status)| status == "200"));
    pk.push(bundle(&indicators(2, 0..1_000)), &[]).exits(0);
    let after = rss_kib(&daemon);
    let told = (after / 1024, before / 1024);
    let _ =
        writeln!(std::io::stderr(), "RSS with 100 readers that stand still: {} MiB, {} MiB without", told.0, told.1);
    assert!(after - before < 200 * 1024, "100 readers that stand still cost {} KiB", after - before);
    // There is a last one, and whoever comes later is told to come again.
    readers.extend((0..900).map(|_| ask()));
    let served = readers.iter().filter(|(_, status)| status == "200").count();
    assert_eq!(served, STREAMS_AT_ONCE);
    assert!(readers.iter().all(|(_, status)| status == "200" || status == "503"));
    pk.push(bundle(&indicators(3, 0..10)), &[]).exits(0);
    // TAXII goes on, and a place that is free is given away again.
    let page = get(UnixStream::connect(pk.siem_socket()).unwrap(), "/taxii2/mithaq/collections/default/objects/", &[]);
    assert_eq!(page.unwrap().json()["objects"].as_array().unwrap().len(), 1_000);
    readers.clear();
    until("a place is free", || (ask().1 == "200").then_some(()));
}
