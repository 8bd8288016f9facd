use super::*;
use mithaq_core::stix::{Observable, ObservableKind as Kind};

fn lists(texts: &[&str]) -> WarningLists {
    let dir = tempfile::tempdir().unwrap();
    for (number, text) in texts.iter().enumerate() {
        let folder = dir.path().join("lists").join(number.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("list.json"), text).unwrap();
    }
    WarningLists::of_folder(dir.path()).unwrap()
}

#[track_caller]
fn check(lists: &WarningLists, kind: Kind, value: &str, expect: &[&str]) {
    let hits = lists.check(&[Observable::new(kind, value).unwrap()]);
    let names: Vec<_> = hits.iter().map(|hit| hit.list.as_str()).collect();
    assert_eq!(names, expect, "{value}");
}

#[test]
fn networks_match_both_ways() {
    let lists =
        lists(&[r#"{"name":"n","type":"cidr","list":["198.18.0.0/15","8.8.8.8","2001:4860::/32","nonsense"]}"#]);
    check(&lists, Kind::Ipv4, "198.19.255.255", &["n"]);
    check(&lists, Kind::Ipv4, "198.20.0.0", &[]);
    check(&lists, Kind::Ipv4Cidr, "198.18.4.0/24", &["n"]);
    check(&lists, Kind::Ipv4Cidr, "198.0.0.0/8", &["n"]);
    check(&lists, Kind::Ipv4Cidr, "8.8.8.0/24", &["n"]);
    check(&lists, Kind::Ipv4Cidr, "8.8.9.0/24", &[]);
    check(&lists, Kind::Ipv4Cidr, "0.0.0.0/0", &["n"]);
    check(&lists, Kind::Ipv6, "2001:4860:4860::8888", &["n"]);
    check(&lists, Kind::Ipv6Cidr, "2001::/16", &["n"]);
    check(&lists, Kind::Url, "http://8.8.8.8:8080/x", &["n"]);
    check(&lists, Kind::Domain, "8.8.8.8.example", &[]);
}

#[test]
fn every_type_of_list_matches_as_its_format_says() {
    let lists = lists(&[
        r#"{"name":"host","type":"hostname","list":["Google.com",".bücher.example"]}"#,
        r#"{"name":"string","type":"string","list":["exact.example","AABBCCDDEEFF00112233445566778899"]}"#,
        r#"{"name":"substring","type":"substring","list":["/wp-admin/"]}"#,
        r#"{"name":"regex","type":"regex","list":["/^.*\\.ads\\.example$/i"]}"#,
        r#"{"name":"urls only","type":"hostname","matching_attributes":["url","x-unknown"],"list":["cdn.example"]}"#,
        r#"{"name":"of nothing","type":"hostname","matching_attributes":["x-unknown"],"list":["cdn.example"]}"#,
    ]);
    check(&lists, Kind::Domain, "mail.google.com", &["host"]);
    check(&lists, Kind::Domain, "notgoogle.com", &[]);
    check(&lists, Kind::Domain, "bücher.example", &["host"]);
    check(&lists, Kind::Url, "https://user@google.com:443/?q", &["host"]);
    check(&lists, Kind::Email, "someone@google.com", &["host"]);
    check(&lists, Kind::Domain, "exact.example", &["string"]);
    check(&lists, Kind::Domain, "not.exact.example", &[]);
    check(&lists, Kind::Md5, "aabbccddeeff00112233445566778899", &["string"]);
    check(&lists, Kind::Url, "http://evil.example/wp-admin/x", &["substring"]);
    check(&lists, Kind::Domain, "x.ads.example", &["regex"]);
    check(&lists, Kind::Url, "http://a.cdn.example/", &["urls only"]);
    check(&lists, Kind::Domain, "a.cdn.example", &[]);
}

#[test]
fn our_own_list_knows_what_is_nobodys() {
    let lists = WarningLists::default().with_builtin().with_domains("our own domains", &["ncert.gov.pk"]);
    check(&lists, Kind::Ipv4, "10.1.2.3", &["private addresses"]);
    check(
        &lists,
        Kind::Ipv4Cidr,
        "0.0.0.0/0",
        &[
            "addresses for documentation",
            "addresses of no host",
            "link-local addresses",
            "loopback addresses",
            "private addresses",
        ],
    );
    check(&lists, Kind::Ipv6, "fe80::1", &["link-local addresses"]);
    check(&lists, Kind::Domain, "www.example.org", &["names for documentation"]);
    check(&lists, Kind::Domain, "co.uk", &["public suffixes"]);
    check(&lists, Kind::Domain, "中国", &["public suffixes"]);
    check(&lists, Kind::Domain, "evil.co.uk", &[]);
    check(&lists, Kind::Domain, "mail.ncert.gov.pk", &["our own domains"]);
    check(&lists, Kind::Md5, "d41d8cd98f00b204e9800998ecf8427e", &["hashes of the empty file"]);
}

#[test]
fn what_is_no_list_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = WarningLists::of_folder(dir.path()).unwrap_err();
    assert!(matches!(error, WarningListError::Empty { .. }), "{error}");
    std::fs::write(dir.path().join("own.json"), r#"{"name":"x","type":"sound","list":[]}"#).unwrap();
    let error = WarningLists::of_folder(dir.path()).unwrap_err().to_string();
    assert!(error.contains("own.json is no warning list: unknown variant `sound`"), "{error}");
    std::fs::write(dir.path().join("own.json"), r#"{"name":"x","type":"regex","list":["("]}"#).unwrap();
    assert!(WarningLists::of_folder(dir.path()).unwrap_err().to_string().contains("the expression \"(\""));
    assert!(matches!(WarningLists::of_folder(&dir.path().join("none")), Err(WarningListError::Read { .. })));
}
