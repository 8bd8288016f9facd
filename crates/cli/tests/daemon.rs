//! The commands that ask the daemon, against a socket that answers as a daemon would.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    thread,
};

use support::{Cert, Run};

const INDICATOR: &str = r#"{"type":"indicator","id":"indicator--x","pattern":"[url:value = '\u202e']"}"#;

/// What was asked: the request line, and the body.
type Request = (String, Vec<u8>);

/// Answers the requests that come with these statuses and bodies, in turn, and hands back what was asked.
fn serve(cert: &Cert, answers: Vec<(u16, String)>) -> thread::JoinHandle<Vec<Request>> {
    let socket = cert.home().control_socket(&cert.home().config().unwrap()).unwrap();
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || answers.iter().map(|answer| answer_one(&listener, answer)).collect())
}

fn answer_one(listener: &UnixListener, (status, body): &(u16, String)) -> Request {
    let mut stream = listener.accept().unwrap().0;
    let request = read_request(&mut BufReader::new(&stream));
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // A client that has seen enough may be gone.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    request
}

fn read_request(reader: &mut BufReader<&UnixStream>) -> Request {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut is_chunked = false;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        match header.trim_end() {
            "" => break,
            header => is_chunked |= header.eq_ignore_ascii_case("transfer-encoding: chunked"),
        }
    }
    let body = if is_chunked { read_chunks(reader) } else { Vec::new() };
    (line.trim_end().to_owned(), body)
}

fn read_chunks(reader: &mut BufReader<&UnixStream>) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// Runs a command against one answer: how it ended, and what was asked.
fn ask(args: &[&str], status: u16, body: &str) -> (Run, String) {
    let cert = Cert::new("CNCERT", "CN");
    let server = serve(&cert, vec![(status, body.to_owned())]);
    let run = cert.run(args);
    let request = server.join().unwrap().remove(0);
    (run, request.0)
}

fn id() -> String {
    "ab".repeat(32)
}

fn held() -> String {
    let id = id();
    format!(
        r#"{{"id":"indicator--x","type":"indicator","content":"{id}","current":true,"releases":[],"object":{INDICATOR}}}"#
    )
}

fn stream_line(cursor: &str) -> String {
    let id = id();
    format!(
        r#"{{"cursor":"{cursor}","op":"put","added":"2026-01-02T03:04:05.000000Z","origin":"{id}","release":"{id}","tlp":"amber","content":"{id}","object":{INDICATOR}}}"#
    )
}

#[test]
fn a_push_sends_the_file_and_ends_as_the_summary_says() {
    let cert = Cert::new("CNCERT", "CN");
    let summary = r#"{"stored":1,"duplicate":0,"refused":1,"releases":1,"seconds":0.5}"#;
    let refused = r#"{"index":1,"status":"refused","code":"MQ-1001","message":"no id"}"#;
    let answer = format!("{{\"index\":0,\"status\":\"stored\"}}\n{refused}\n{summary}\n");
    let server = serve(&cert, vec![(200, answer.clone()), (200, answer.clone())]);
    let file = cert.file("bundle.json");
    let content = format!("[{}]", " ".repeat(700_000));
    fs::write(&file, &content).unwrap();
    let run = cert.run(&["push", &file, "--tlp", "TLP:GREEN", "--atomic", "--json"]);
    let with_warnings = answer.replace(r#""seconds":0.5}"#, r#""seconds":0.5,"warnings":0,"looked_at":1}"#);
    assert_eq!((run.exit, run.out), (1, with_warnings));
    let run = cert.run(&["push", &file, "-n"]);
    assert_eq!(run.exit, 1);
    assert!(run.out.starts_with("refused    #1 (no id)  MQ-1001: no id\n1 would be stored, "), "{}", run.out);
    let requests = server.join().unwrap();
    assert_eq!(requests[0].0, "POST /v1/push?atomic=true&dry_run=false&force=false&tlp=green HTTP/1.1");
    assert_eq!(requests[1].0, "POST /v1/push?atomic=false&dry_run=true&force=false HTTP/1.1");
    assert!(requests[0].1 == content.as_bytes());
}

#[test]
fn a_push_that_is_refused_as_a_whole_says_why() {
    let cert = Cert::new("CNCERT", "CN");
    let server = serve(&cert, vec![(507, r#"{"code":"MQ-5001","message":"the disk is full"}"#.into())]);
    let file = cert.file("bundle.json");
    fs::write(&file, "{}").unwrap();
    let run = cert.run(&["push", &file]);
    assert_eq!(run.exit, 75);
    assert_eq!(run.err, "error: MQ-5001: the disk is full\nhelp: mithaq explain MQ-5001\n");
    server.join().unwrap();
}

#[test]
fn a_file_that_is_too_large_is_never_sent() {
    let cert = Cert::new("CNCERT", "CN");
    let file = cert.file("huge.json");
    fs::File::create(&file).unwrap().set_len(1 << 30).unwrap();
    let run = cert.run(&["push", &file]);
    assert_eq!(run.exit, 1);
    assert!(run.err.starts_with("error: MQ-1052: "), "{}", run.err);
}

#[test]
fn a_search_finds_or_ends_in_status_6() {
    let (run, request) = ask(&["search", "hxxp://مثال", "--limit", "5", "--json"], 200, &(held() + "\n"));
    assert_eq!((run.exit, run.out), (0, held() + "\n"));
    assert_eq!(request, "GET /v1/search?limit=5&value=hxxp%3A%2F%2F%D9%85%D8%AB%D8%A7%D9%84 HTTP/1.1");
    let (run, _) = ask(&["search", "x\u{1b}[2J", "--json"], 200, "");
    assert_eq!((run.exit, run.out.as_str()), (6, ""));
    assert_eq!(run.err, "nothing is held here for x\\u{1b}[2J\n");
}

#[test]
fn what_is_shown_cannot_command_the_terminal() {
    let (run, request) = ask(&["show", "indicator--x"], 200, &held());
    assert_eq!(run.exit, 0);
    assert_eq!(request, "GET /v1/show/indicator--x HTTP/1.1");
    assert!(run.out.contains(r"[url:value = '\u{202e}']") && !run.out.contains('\u{202e}'), "{}", run.out);
    let problem = r#"{"code":"MQ-6008","message":"nothing is held"}"#;
    assert_eq!(ask(&["show", "indicator--y"], 404, problem).0.exit, 6);
}

#[test]
fn why_ends_as_the_rule_decides() {
    let why = |released: bool| {
        let reason = format!(r#"{{"code":"MQ-2010","text":"TLP","ok":{released}}}"#);
        let body = format!(r#"{{"released":{released},"reasons":[{reason}]}}"#);
        let (run, request) = ask(&["why", "indicator--x", "--peer", "qa", "--json"], 200, &body);
        assert_eq!(run.out, body + "\n");
        assert_eq!(request, "GET /v1/why?id=indicator--x&peer=qa HTTP/1.1");
        run.exit
    };
    assert_eq!((why(true), why(false)), (0, 4));
}

#[test]
fn a_tail_follows_from_the_end_or_from_a_cursor() {
    let cert = Cert::new("CNCERT", "CN");
    let lines = |cursors: &[&str]| cursors.iter().map(|cursor| stream_line(cursor) + "\n").collect::<String>();
    let answers = vec![(200, lines(&["c", "d"])), (200, lines(&["e"]))];
    let server = serve(&cert, answers);
    let run = cert.run(&["tail", "--lines", "1", "--json"]);
    assert_eq!((run.exit, run.out), (0, lines(&["c"])));
    let run = cert.run(&["tail", "--cursor", "d"]);
    assert_eq!(run.exit, 7);
    assert!(run.out.starts_with("2026-01-02 03:04:05Z  abababab  TLP:amber "), "{}", run.out);
    assert!(run.err.contains("go on with `mithaq tail --cursor e`"), "{}", run.err);
    let requests: Vec<String> = server.join().unwrap().into_iter().map(|request| request.0).collect();
    let expect = ["GET /v1/stream?cursor=end&follow=true", "GET /v1/stream?cursor=d&follow=true"];
    assert_eq!(requests, expect.map(|path| format!("{path} HTTP/1.1")));
}

#[test]
fn a_store_check_ends_in_1_when_something_is_damaged() {
    let (run, request) = ask(&["store", "check", "--json"], 200, r#"{"ok":true,"objects":3,"problems":[]}"#);
    assert_eq!((run.exit, request.as_str()), (0, "POST /v1/check HTTP/1.1"));
    let (run, _) = ask(&["store", "check"], 200, r#"{"ok":false,"objects":3,"problems":["object ab is damaged"]}"#);
    assert_eq!(run.exit, 1);
    assert!(run.out.starts_with("object ab is damaged\n"), "{}", run.out);
}

#[test]
fn a_status_is_degraded_only_where_it_is_asked() {
    let purposes = ["control", "manifests", "bodies", "receipts", "documents"];
    let traffic = purposes.map(|purpose| format!(r#""{purpose}":{{"sent":0,"received":0}}"#)).join(",");
    let link = r#"{"round_trip_us":0,"window_bytes":0,"packets_sent":0,"packets_lost":0}"#;
    let peer = format!(
        r#"{{"name":"qa","cert":"{id}","state":"connecting","lag":1,"sent":0,"received":0,"objects_sent":0,"objects_received":0,"objects_deduplicated":0,"bytes_sent":0,"bytes_received":0,"traffic":{{{traffic}}},"link":{link},"agreement":"{id}"}}"#,
        id = id()
    );
    let status = format!(
        r#"{{"cert":"{}","name":"CNCERT","version":"0.1.0","objects":1,"releases":1,"references":1,"store_bytes":1,"body_bytes":1,"uptime_seconds":1,"listen":"[::]:8770","peers":[{peer}],"read_only":false}}"#,
        id()
    );
    let (run, _) = ask(&["status", "--json"], 200, &status);
    assert_eq!((run.exit, run.out), (0, status.clone() + "\n"));
    assert_eq!(ask(&["status", "--check"], 200, &status).0.exit, 3);
}

#[test]
fn a_running_daemon_takes_up_an_activated_peer() {
    let pair = support::Pair::signed();
    pair.pk.ok(&["peer", "verify", "qa", "--agreement", &pair.pact, "--groups", &pair.groups()]);
    let server = serve(&pair.pk, vec![(200, r#"{"peers":1}"#.into()), (200, r#"{"peers":1}"#.into())]);
    let out = pair.pk.ok(&["peer", "activate", "qa", "--agreement", &pair.pact, "--json"]);
    assert!(out.contains(r#""reloaded":true"#), "{out}");
    assert_eq!(pair.pk.ok(&["reload"]), "reloaded; 1 peers are known\n");
    assert!(server.join().unwrap().iter().all(|request| request.0 == "POST /v1/reload HTTP/1.1"));
}

#[test]
fn a_ledger_that_is_whole_or_not_ends_in_the_status_that_scripts_expect() {
    let check = |ok: bool, problems: &str, exit: u8| {
        let answer = format!(r#"{{"ok":{ok},"entries":3,"problems":[{problems}],"peers":[]}}"#);
        let (run, request) = ask(&["ledger", "verify", "--json"], 200, &answer);
        assert_eq!(
            (run.exit, run.out.trim_end(), request.as_str()),
            (exit, answer.as_str(), "POST /v1/ledger/verify HTTP/1.1")
        );
    };
    check(true, "", 0);
    check(false, r#""cn: entry 2 is not what was signed""#, 5);
}

#[test]
fn entries_of_the_ledger_are_asked_for_by_peer_and_place() {
    let line = format!(
        r#"{{"peer":"cn","index":7,"kind":"disclosure","at":"2026-05-01T10:00:00.000000Z","agreement":"{0}","release":"{0}","rule":1}}"#,
        id()
    );
    let args = ["ledger", "show", "--peer", "cn", "--after", "6", "--limit", "2", "--json"];
    let (run, request) = ask(&args, 200, &format!("{line}\n"));
    assert_eq!((run.exit, run.out), (0, format!("{line}\n")));
    assert_eq!(request, "GET /v1/ledger?after=6&limit=2&peer=cn HTTP/1.1");
    let (run, _) = ask(&["ledger", "show"], 200, "");
    assert_eq!((run.exit, run.out.as_str(), run.err.as_str()), (0, "", "nothing was disclosed\n"));
}

#[test]
fn a_report_is_asked_for_by_month_and_printed_in_one_form() {
    let answer = format!(
        r#"{{"peer":"cn","cert":"{0}","month":"2026-05","head":{{"peer":"cn","cert":"{0}","store":"{1}","size":0,"root":"{0}"}},"rows":[]}}"#,
        id(),
        "cd".repeat(16)
    );
    let (run, request) = ask(&["ledger", "report", "--peer", "cn", "--month", "2026-05", "--csv"], 200, &answer);
    assert_eq!(request, "GET /v1/ledger/report?month=2026-05&peer=cn HTTP/1.1");
    assert!(run.exit == 0 && run.out.starts_with("peer,entry,") && run.out.ends_with("\r\n"), "{}", run.out);
    let cert = Cert::new("CNCERT", "CN");
    let run = cert.run(&["ledger", "report", "--peer", "cn", "--month", "2026-05", "--csv", "--json"]);
    assert_eq!(run.exit, 2, "{}", run.err);
    assert_eq!(cert.run(&["ledger", "report", "--peer", "cn", "--month", "May"]).exit, 2);
}

#[test]
fn a_proof_that_does_not_hold_is_not_handed_on() {
    let answer = format!(
        r#"{{"schema":"mithaq-ledger-proof/1","peer":"cn","index":0,"entry":"{{}}","size":1,"root":"{0}","path":[],"checkpoint":"rubbish"}}"#,
        id()
    );
    let (run, request) = ask(&["ledger", "prove", &id(), "--peer", "cn"], 200, &answer);
    assert_eq!(request, format!("GET /v1/ledger/proof?peer=cn&release={} HTTP/1.1", id()));
    assert_eq!((run.exit, run.out.as_str()), (5, ""));
    assert!(run.err.starts_with("error: MQ-4017: the daemon's answer proves nothing: "), "{}", run.err);
}
