//! Whatever goes in, a strict reader of a format reads back the values and nothing else.

use std::collections::BTreeSet;

use mithaq_api::export::{Before, ExportFormat, ExportQuery};
use mithaq_core::{
    stix::observable::{Observable, ObservableKind as Kind},
    time::Time,
};
use proptest::prelude::*;

use super::{NOW, Prepared, prepared, readers, written};

const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
const SHA1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

fn value(kind: Kind, text: &str) -> Observable {
    Observable::new(kind, text).unwrap_or_else(|| panic!("{text:?} is no {kind}"))
}

/// Values that have broken exports of others, or would break one that is careless.
fn hostile() -> Vec<Observable> {
    let long = format!("{}.example", ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(50)].join("."));
    let texts = [
        (Kind::FileName, "=cmd|' /C calc'!A0"),
        (Kind::FileName, "+1\"2,3"),
        (Kind::FileName, "-1\t@x"),
        (Kind::FileName, "@sum(1)\r\n,next"),
        (Kind::FileName, "'=already"),
        (Kind::FileName, "'''+quoted"),
        (Kind::FileName, "'plain"),
        (Kind::FileName, "＝full width"),
        (Kind::FileName, "a\u{1b}[2J\u{202e}b\0"),
        (Kind::FileName, "#fields\tindicator"),
        (Kind::Mutex, "\"\n\"evil\":\"x"),
        (Kind::RegistryKey, "HKLM\\Software\\\"x\"\nnext"),
        (Kind::Email, "\"a\"b#@evil.example"),
        (Kind::Email, "-@evil.example"),
        (Kind::Domain, "-evil.example"),
        (Kind::Domain, "evil.example"),
        (Kind::Domain, "t.co"),
        (Kind::Domain, "com"),
        (Kind::Domain, "32.8.8.8.8.rpz-ip"),
        (Kind::Domain, "evil.rpz-nsdname"),
        (Kind::Domain, "bücher.example"),
        (Kind::Domain, &long),
        (Kind::Url, "http://evil.example/a"),
        (Kind::Url, "https://evil.example/a"),
        (Kind::Url, "evil.example/a"),
        (Kind::Url, "http://evil.example/\\x41#f\\x09"),
        (Kind::Url, "mailto:\"x y\"@evil.example"),
        (Kind::Url, "ftp://evil.example/a:b"),
        (Kind::Url, "http://localhost/x"),
        (Kind::Url, "http://[2001:db8::1]:8080/"),
        (Kind::Ipv4, "198.51.100.7"),
        (Kind::Ipv4, "198.51.100.0/24"),
        (Kind::Ipv4, "198.51.96.0/20"),
        (Kind::Ipv4, "0.0.0.0/0"),
        (Kind::Ipv6, "2001:db8::1"),
        (Kind::Ipv6, "2001:db8::/32"),
        (Kind::Ipv6, "::/0"),
        (Kind::Md5, MD5),
        (Kind::Sha1, SHA1),
        (Kind::CertificateSha1, SHA1),
        (Kind::Mac, "00-1B-44-11-3A-B7"),
        (Kind::Asn, "AS64496"),
    ];
    texts.into_iter().map(|(kind, text)| value(kind, text)).collect()
}

fn of_kinds<'a>(values: &'a [Observable], kinds: &[Kind]) -> BTreeSet<&'a str> {
    values.iter().filter(|value| kinds.contains(&value.kind)).map(|value| value.value.as_str()).collect()
}

/// What each reader makes of an export of these values.
fn check(values: &[Observable]) {
    check_csv(values);
    check_splunk(values);
    check_zeek(values);
    check_wazuh(values);
    check_suricata(values);
    check_rpz(values);
    check_misp(values);
}

fn check_csv(values: &[Observable]) {
    let out = written(ExportFormat::Csv, values);
    let rows = readers::csv(out.text());
    let read: BTreeSet<_> = rows[1..].iter().map(|row| (row[0].clone(), readers::unguarded(&row[1]))).collect();
    let expect: BTreeSet<_> = values.iter().map(|value| (value.kind.to_string(), value.value.clone())).collect();
    assert_eq!((rows.len() - 1, read), (expect.len(), expect));
}

fn check_splunk(values: &[Observable]) {
    let out = written(ExportFormat::SplunkCsv, values);
    let mut read = BTreeSet::new();
    for (file, columns) in
        [("ip_intel.csv", &[1][..]), ("domain_intel.csv", &[1]), ("http_intel.csv", &[3]), ("file_intel.csv", &[1, 2])]
    {
        let rows = readers::csv(&out.files[file]);
        assert_eq!(rows[0].first().map(String::as_str), Some("description"));
        for row in &rows[1..] {
            let cells: Vec<_> =
                columns.iter().map(|column| row[*column].as_str()).filter(|cell| !cell.is_empty()).collect();
            let [cell] = cells[..] else { panic!("{row:?}") };
            let is_domain = file == "domain_intel.csv";
            read.insert(if is_domain { cell.to_owned() } else { readers::unguarded(cell) });
            assert!((1..=100).contains(&row.last().unwrap().parse::<u8>().unwrap()));
        }
    }
    let kinds = [
        Kind::Ipv4,
        Kind::Ipv6,
        Kind::Ipv4Cidr,
        Kind::Ipv6Cidr,
        Kind::Domain,
        Kind::Url,
        Kind::Md5,
        Kind::Sha1,
        Kind::FileName,
    ];
    let expect: BTreeSet<_> = of_kinds(values, &kinds).into_iter().map(ToOwned::to_owned).collect();
    assert_eq!(read, expect);
}

fn check_zeek(values: &[Observable]) {
    let out = written(ExportFormat::ZeekIntel, values);
    let rows = readers::zeek(out.text());
    for kind in [Kind::Domain, Kind::Email, Kind::Ipv4] {
        let name = match kind {
            Kind::Domain => "Intel::DOMAIN",
            Kind::Email => "Intel::EMAIL",
            _ => "Intel::ADDR",
        };
        let kinds = if kind == Kind::Ipv4 { &[Kind::Ipv4, Kind::Ipv6][..] } else { &[kind] };
        let read: BTreeSet<_> = rows.iter().filter(|row| row[1] == name).map(|row| row[0].as_str()).collect();
        assert_eq!(read, of_kinds(values, kinds), "{name}");
    }
    let urls: BTreeSet<_> = rows.iter().filter(|row| row[1] == "Intel::URL").map(|row| &row[0]).collect();
    assert!(urls.iter().all(|url| !url.starts_with("http://") && !url.starts_with("https://") && !url.contains('#')));
    let distinct: BTreeSet<_> = rows.iter().map(|row| (&row[0], &row[1])).collect();
    assert_eq!(distinct.len(), rows.len(), "a value stands twice");
    assert!(rows.iter().all(|row| row[2] == "mithaq" && row[4] == "-" && row[5] == "F"));
}

fn check_wazuh(values: &[Observable]) {
    let out = written(ExportFormat::WazuhCdb, values);
    let keys = |file: &str| readers::wazuh(&out.files[file]).into_iter().map(|(key, _)| key).collect::<BTreeSet<_>>();
    let owned = |set: BTreeSet<&str>| set.into_iter().map(ToOwned::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(keys("mithaq-domains"), owned(of_kinds(values, &[Kind::Domain])));
    let mut urls = owned(of_kinds(values, &[Kind::Url]));
    urls.retain(|url| !url.contains('"') && url.len() <= 2048);
    assert_eq!(keys("mithaq-urls"), urls);
    assert_eq!(keys("mithaq-hashes"), owned(of_kinds(values, &[Kind::Md5, Kind::Sha1, Kind::Sha256])));
    let ips = keys("mithaq-ips");
    assert!(of_kinds(values, &[Kind::Ipv4, Kind::Ipv6]).into_iter().all(|address| ips.contains(address)));
}

fn check_suricata(values: &[Observable]) {
    let out = written(ExportFormat::SuricataDataset, values);
    let read = |file: &str| readers::base64_lines(&out.files[file]);
    let expect = |kind| of_kinds(values, &[kind]).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>();
    assert_eq!(read("mithaq-domains.lst"), expect(Kind::Domain));
    assert_eq!(read("mithaq-urls.lst"), expect(Kind::Url));
    assert!(out.files["mithaq-md5.lst"].lines().all(|line| line.len() == 32));
    let reputation = written(ExportFormat::SuricataIprep, values);
    for line in reputation.files["mithaq.list"].lines() {
        let [address, category, score] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        assert!(address.split('/').next().unwrap().parse::<std::net::IpAddr>().is_ok(), "{line:?}");
        assert_eq!((category, score), ("1", "80"));
    }
}

fn check_rpz(values: &[Observable]) {
    let out = written(ExportFormat::Rpz, values);
    let (_, triggers) = readers::rpz(out.text());
    let names: BTreeSet<_> = triggers.iter().filter(|name| !name.ends_with(".rpz-ip")).map(String::as_str).collect();
    let mut expect = of_kinds(values, &[Kind::Domain]);
    expect.retain(|name| {
        name.len() <= 240 && name.contains('.') && !name.rsplit('.').next().unwrap().starts_with("rpz-")
    });
    assert_eq!(names, expect);
}

fn check_misp(values: &[Observable]) {
    let out = written(ExportFormat::MispFeed, values);
    let manifest: serde_json::Value = serde_json::from_str(&out.files["manifest.json"]).unwrap();
    assert_eq!(manifest.as_object().unwrap().len() + 1, out.files.len());
    let mut read = BTreeSet::new();
    for uuid in manifest.as_object().unwrap().keys() {
        let event: serde_json::Value = serde_json::from_str(&out.files[&format!("{uuid}.json")]).unwrap();
        assert_eq!(event["Event"]["uuid"], uuid.as_str());
        assert_eq!(event["Event"]["Tag"][0]["name"], "tlp:amber");
        for attribute in event["Event"]["Attribute"].as_array().unwrap() {
            let value = attribute["value"].as_str().unwrap();
            assert!(read.insert((attribute["type"].to_string(), value.to_owned())), "{value:?} stands twice");
        }
    }
    let texts: BTreeSet<_> = read.iter().map(|(_, value)| value.as_str()).collect();
    assert!(of_kinds(values, &[Kind::Domain, Kind::FileName, Kind::Mutex, Kind::Url, Kind::Md5]).is_subset(&texts));
}

#[test]
fn hostile_values_come_out_as_they_went_in() {
    check(&hostile());
    check(&[]);
}

#[test]
fn what_is_left_out_is_counted() {
    let left_out = |format| prepared(&ExportQuery::new(format), &hostile(), None, NOW).summary.left_out;
    let count = |format, reason: &str| left_out(format).get(reason).copied().unwrap_or(0);
    assert!(left_out(ExportFormat::Csv).is_empty());
    assert_eq!(count(ExportFormat::Rpz, "networks or names too wide to block"), 3);
    // Two names that would be triggers of another sort, and one that is too long.
    assert_eq!(count(ExportFormat::Rpz, "values that the format cannot write"), 3);
    assert_eq!(count(ExportFormat::SuricataIprep, "networks or names too wide to block"), 2);
    for format in ExportFormat::ALL {
        let prepared = prepared(&ExportQuery::new(format), &hostile(), None, NOW);
        let merged = if format == ExportFormat::ZeekIntel { 2 } else { 0 };
        let counted = prepared.summary.values + prepared.summary.left_out.values().sum::<u64>() + merged;
        assert_eq!(counted, hostile().len() as u64, "{format}");
    }
}

#[test]
fn addresses_of_a_policy_zone_stand_from_back_to_front() {
    let triggers = |kind, text| readers::rpz(written(ExportFormat::Rpz, &[value(kind, text)]).text()).1;
    assert_eq!(triggers(Kind::Ipv4, "10.0.0.2"), ["32.2.0.0.10.rpz-ip"]);
    assert_eq!(triggers(Kind::Ipv4, "10.1.0.0/16"), ["16.0.0.1.10.rpz-ip"]);
    assert_eq!(triggers(Kind::Ipv6, "2001:db8::1"), ["128.1.zz.db8.2001.rpz-ip"]);
    assert_eq!(triggers(Kind::Ipv6, "2001:db8::/32"), ["32.zz.db8.2001.rpz-ip"]);
    assert_eq!(triggers(Kind::Ipv6, "2001:db8:0:1:0:0:0:1"), ["128.1.zz.1.0.db8.2001.rpz-ip"]);
    assert_eq!(triggers(Kind::Ipv6, "2001:0:0:1:0:0:1:1"), ["128.1.1.0.0.1.zz.2001.rpz-ip"]);
    assert_eq!(triggers(Kind::Ipv6, "1:2:3:4:5:6:7:8"), ["128.8.7.6.5.4.3.2.1.rpz-ip"]);
}

#[test]
fn networks_of_a_list_of_wazuh_are_beginnings() {
    let out =
        written(ExportFormat::WazuhCdb, &[value(Kind::Ipv4, "198.51.100.0/24"), value(Kind::Ipv6, "2001:db8::1")]);
    assert_eq!(
        out.files["mithaq-ips"],
        "198.51.100.:tlp=amber certs=2 confidence=80\n\"2001:db8::1\":tlp=amber certs=2 confidence=80\n"
    );
}

#[test]
fn a_byte_order_mark_is_there_if_asked_for() {
    let query = ExportQuery { bom: true, ..ExportQuery::new(ExportFormat::Csv) };
    assert!(prepared(&query, &[], None, NOW).captured().text().starts_with("\u{feff}type,value,"));
    assert!(written(ExportFormat::Csv, &[]).text().starts_with("type,value,"));
}

fn later(seconds: i64) -> Time {
    Time::from_micros(NOW.as_micros() + seconds * 1_000_000)
}

/// An export of Zeek behind another, and the values that it says to be gone.
fn zeek_after(values: &[Observable], before: &str, now: Time) -> (Prepared, Vec<String>) {
    let prepared = prepared(&ExportQuery::new(ExportFormat::ZeekIntel), values, Some(before), now);
    let rows = readers::zeek(prepared.captured().text());
    let gone = rows.into_iter().filter(|row| row[5] == "T").map(|row| row[0].clone()).collect();
    (prepared, gone)
}

#[test]
fn what_is_gone_is_said_for_a_day_unless_it_comes_back() {
    let [a, b] = [value(Kind::Domain, "a.example"), value(Kind::Domain, "b.example")];
    let first = written(ExportFormat::ZeekIntel, &[a.clone(), b.clone()]);
    let (second, gone) = zeek_after(std::slice::from_ref(&a), &first.state, later(60));
    assert_eq!((gone, second.summary.removed, second.summary.before), (vec!["b.example".into()], 1, Before::Known));
    let (third, gone) = zeek_after(std::slice::from_ref(&a), &second.captured().state, later(3600));
    assert_eq!((gone, third.summary.removed, third.is_unchanged), (vec!["b.example".to_owned()], 0, true));
    let (_, gone) = zeek_after(&[a.clone(), b], &third.captured().state, later(3601));
    assert!(gone.is_empty(), "it is back");
    let (_, gone) = zeek_after(std::slice::from_ref(&a), &third.captured().state, later(25 * 3600));
    assert!(gone.is_empty(), "a day is over");
}

#[test]
fn a_state_that_cannot_be_used_means_a_full_snapshot() {
    let a = value(Kind::Domain, "a.example");
    let good = written(ExportFormat::ZeekIntel, &[a.clone(), value(Kind::Domain, "b.example")]).state;
    let other = written(ExportFormat::SuricataDataset, std::slice::from_ref(&a)).state;
    let torn = good[..good.len() - 3].to_owned();
    let newer = good.replace("_state\":1", "_state\":2");
    for state in ["", "\n", "nonsense", &other, &torn, &newer, &good.replace("Intel::DOMAIN", "Intel::X")] {
        let (prepared, gone) = zeek_after(std::slice::from_ref(&a), state, later(60));
        assert_eq!((prepared.summary.before, gone.len()), (Before::Unusable, 0), "{state:?}");
    }
}

#[test]
fn changes_of_datasets_are_told_both_ways() {
    let query = ExportQuery::new(ExportFormat::SuricataDataset);
    let first = prepared(&query, &[value(Kind::Domain, "a.example")], None, NOW);
    assert!(first.changes.added.is_empty(), "nobody knows what Suricata has");
    let second = prepared(&query, &[value(Kind::Domain, "b.example")], Some(&first.captured().state), later(1));
    let texts = |keys: &[super::super::Key]| keys.iter().map(|key| key.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&second.changes.added), ["b.example"]);
    assert_eq!(texts(&second.changes.removed), ["a.example"]);
}

#[test]
fn a_serial_grows_even_if_the_clock_does_not() {
    let query = ExportQuery::new(ExportFormat::Rpz);
    let mut state = None;
    let mut last = 0;
    for now in [NOW, NOW, later(-3600), later(10), later(5)] {
        let out = prepared(&query, &[], state.as_deref(), now).captured();
        let (serial, _) = readers::rpz(out.text());
        assert!(serial > last, "{serial} after {last}");
        (last, state) = (serial, Some(out.state));
    }
}

fn any_value() -> impl Strategy<Value = Observable> {
    let nasty = prop::sample::select(vec![
        "=", "+", "-", "@", "\t", "\r", "\n", "\"", "'", ",", ":", ";", "\\", "#", "%", "\0", "\u{1b}", "\u{202e}",
        "é", "م", "\u{2003}", "/", "?", "(", ")", "$", "*", "xn--", "-", "(empty)", "\\x09", "rpz-ip",
    ]);
    let text = prop::collection::vec(prop_oneof![nasty.prop_map(str::to_owned), "[a-z0-9.]{1,8}"], 1..8);
    let kinds = prop::sample::select(Kind::ALL.to_vec());
    (kinds, text).prop_filter_map("no observable", |(kind, parts)| {
        let text = parts.concat();
        let text = match kind {
            Kind::Domain => format!("{text}.example"),
            Kind::Url => format!("http://evil.example/{text}"),
            Kind::Email => format!("{text}@evil.example"),
            _ => text,
        };
        Observable::new(kind, &text)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_values_come_out_as_they_went_in(values in prop::collection::vec(any_value(), 0..20)) {
        check(&values);
    }
}
