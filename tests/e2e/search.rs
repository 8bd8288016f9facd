//! Searching and showing on the real binary: both directions of networks, names below a domain, words, filters, pages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Cert, Daemon, Place, bundle, id_of, indicator, indicators, pair, settle};

/// An indicator with another pattern.
fn about(series: u32, number: u32, pattern: &str) -> Value {
    let mut object = indicator(series, number);
    object["pattern"] = json!(format!("[{pattern}]"));
    object
}

fn malware(number: u32, name: &str) -> Value {
    let mut object = indicator(9, number);
    let members = object.as_object_mut().unwrap();
    ["pattern", "pattern_type", "valid_from"].iter().for_each(|member| drop(members.remove(*member)));
    members.extend([
        ("type".to_owned(), json!("malware")),
        ("id".to_owned(), json!(format!("malware--00000009-0000-4000-8000-{number:012x}"))),
        ("name".to_owned(), json!(name)),
        ("is_family".to_owned(), json!(true)),
    ]);
    object
}

fn translation(of: &Value, language: &str, name: &str) -> Value {
    let mut object = malware(100, "");
    let members = object.as_object_mut().unwrap();
    ["name", "is_family"].iter().for_each(|member| drop(members.remove(*member)));
    members.extend([
        ("type".to_owned(), json!("language-content")),
        ("id".to_owned(), json!("language-content--00000009-0000-4000-8000-000000000064")),
        ("object_ref".to_owned(), of["id"].clone()),
        ("contents".to_owned(), json!({language: {"name": name}})),
    ]);
    object
}

/// The ids that a search finds.
#[track_caller]
fn found(cert: &Cert, args: &[&str]) -> BTreeSet<String> {
    let output = cert.run(&[&["search", "--json"], args].concat());
    assert!(matches!(output.exit, 0 | 6), "{output:#?}");
    let lines = output.lines();
    assert_eq!(output.exit == 6, lines.is_empty(), "{output:#?}");
    lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn check(cert: &Cert, args: &[&str], expect: &[&Value]) {
    assert_eq!(found(cert, args), expect.iter().map(|object| id_of(object)).collect(), "search {args:?}");
}

#[test]
fn analysts_find_by_network_name_words_and_filters() {
    let place = Place::new();
    let certs = ["pk", "cn"].map(|name| Cert::init(&place, name));
    let [pk, cn] = &certs;
    pair(pk, cn, &[]);
    let _daemons = certs.each_ref().map(Daemon::start);
    let address = about(1, 1, "ipv4-addr:value = '10.1.2.3'");
    let network = about(1, 2, "ipv4-addr:value = '10.1.0.0/16'");
    let url = about(1, 3, "url:value = 'http://10.1.2.3/x'");
    let far = about(1, 4, "ipv4-addr:value = '192.0.2.1'");
    let v6 = about(1, 5, "ipv6-addr:value = '2001:db8::1'");
    let name = about(1, 6, "domain-name:value = 'evil.example'");
    let below = about(1, 7, "domain-name:value = 'a.b.evil.example'");
    let page = about(1, 8, "url:value = 'https://evil.example/login'");
    let family = malware(1, "LockBit\u{202e} Black");
    let said = translation(&family, "fa", "لاک‌بیت\u{1b}[2J");
    let ours = [&address, &network, &url, &far, &v6, &name, &below, &page, &family, &said].map(Value::clone);
    pk.push(bundle(&ours), &[]).exits(0);
    let theirs = about(2, 1, "ipv4-addr:value = '10.1.2.3'");
    cn.push(bundle(std::slice::from_ref(&theirs)), &[]).exits(0);
    settle(cn, pk, 1);

    check(pk, &["10.1.2.3"], &[&address, &network, &url, &theirs]);
    check(pk, &["10[.]1[.]2[.]3", "--exact"], &[&address, &theirs]);
    check(pk, &["10.0.0.0/8"], &[&address, &network, &url, &theirs]);
    check(pk, &["10.1.2.0/24", "--origin", "cn"], &[&theirs]);
    check(pk, &["10.1.2.0/24", "--origin", "us", "--limit", "1"], &[&address]);
    check(pk, &["10.1.200.1"], &[&network]);
    check(pk, &["0.0.0.0/0"], &[&address, &network, &url, &theirs, &far]);
    check(pk, &["2001:db8::/32"], &[&v6]);
    check(pk, &["evil.example"], &[&name, &page]);
    check(pk, &["evil.example", "--exact"], &[&name]);
    check(pk, &["*.evil.example"], &[&below]);
    check(pk, &[".example", "--origin", "us"], &[&name, &below, &page]);
    check(pk, &["--text", "BLACK lockbit"], &[&family]);
    check(pk, &["--text", "black", "--type", "report,indicator"], &[]);
    // A translation is found as what it translates, and as itself by its type.
    check(pk, &["--text", "لاک‌بیت"], &[&family]);
    check(pk, &["--text", "لاک‌بیت", "--type", "malware"], &[&family]);
    check(pk, &["--text", "لاک‌بیت", "--type", "indicator"], &[]);
    check(pk, &["--text", "لاک‌بیت", "--type", "language-content"], &[&said]);
    check(pk, &["--text", "لاک‌بیت", "--origin", "cn"], &[]);
    let text = pk.run(&["search", "--text", "لاک‌بیت"]).exits(0).stdout;
    assert!(text.contains("Black") && text.contains("in fa by us: name لاک") && !text.contains('\u{1b}'), "{text}");
    check(pk, &["--origin", "cn", "--type", "indicator"], &[&theirs, &indicator(0xfeed, 1)]);
    check(pk, &["--since", "1h", "--type", "malware,language-content"], &[&family, &said]);
    check(pk, &["--until", "2020-01-01"], &[]);
    check(pk, &["10.1.2.3", "--since", "2020-01-01", "--tlp", "green,amber"], &[]);
    check(pk, &["10.1.2.3", "--tlp", "TLP:CLEAR", "--category", "threat"], &[&address, &network, &url, &theirs]);
    check(pk, &["10.1.2.3", "--sector", "energy"], &[]);
    for (args, exit, code) in [
        (&["10.0.0.0/33"][..], 2, "MQ-6070"),
        (&["."], 2, "MQ-6070"),
        (&[], 2, "MQ-6070"),
        (&["--type", "malware"], 2, "MQ-6070"),
        (&["10.1.2.3", "--after", "x"], 2, "MQ-6071"),
        (&["10.1.2.3", "--tlp", "blue"], 2, "MQ-6006"),
        (&["10.1.2.3", "--origin", "nobody"], 6, "MQ-3007"),
    ] {
        pk.run(&[&["search"], args].concat()).refused(exit, code);
    }

    // What is known around an object, and nothing of it commands the terminal.
    let shown = pk.run(&["show", &id_of(&address), "--json"]).exits(0).last();
    let expect = json!([{"kind": "ipv4-addr", "value": "10.1.2.3", "origins": ["cn", "us"], "objects": 2}]);
    assert_eq!(shown["corroboration"], expect, "{shown}");
    let shown = pk.run(&["show", &id_of(&family), "--json"]).exits(0).last();
    assert_eq!(shown["translations"][0]["object"]["id"], said["id"], "{shown}");
    assert_eq!(shown["translations"][0]["from"], json!(["us"]), "{shown}");
    let text = pk.run(&["show", &id_of(&family)]).exits(0).stdout;
    assert!(text.contains("in fa by us: name لاک") && !text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    let text = pk.run(&["show", &id_of(&address)]).exits(0).stdout;
    assert!(text.contains("ipv4-addr 10.1.2.3  said by cn, us in 2 objects"), "{text}");
    assert!(text.contains("given to cn: "), "{text}");
}

#[test]
fn a_large_answer_comes_in_pages_that_outlive_a_restart() {
    let place = Place::new();
    let cert = Cert::init(&place, "pk");
    let daemon = Daemon::start(&cert);
    cert.push(bundle(&indicators(1, 0..600)), &[]).exits(0);
    let all = found(&cert, &[".s1.example", "--limit", "10000"]);
    assert_eq!(all.len(), 600);
    let first = cert.run(&["search", ".s1.example", "--limit", "250", "--json"]).exits(0);
    assert!(first.stderr.contains("--after"), "{first:#?}");
    let cursor = first.last()["cursor"].as_str().unwrap().to_owned();
    daemon.terminate();
    let _daemon = Daemon::start(&cert);
    let rest = found(&cert, &[".s1.example", "--limit", "10000", "--after", &cursor]);
    let begun: BTreeSet<_> = first.lines().iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((begun.len(), rest.len(), begun.union(&rest).count()), (250, 350, 600));
    // The same in the order of the log.
    let listed = cert.run(&["search", "--since", "1h", "--limit", "250", "--json"]).exits(0);
    let cursor = listed.last()["cursor"].as_str().unwrap().to_owned();
    assert_eq!(found(&cert, &["--since", "1h", "--limit", "10000", "--origin", "us"]), all);
    assert_eq!(found(&cert, &["--since", "1h", "--limit", "10000", "--after", &cursor]).len(), 350);
    cert.run(&["search", ".s1.example", "--after", &cursor]).refused(2, "MQ-6071");
}
