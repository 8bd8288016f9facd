#![allow(clippy::unwrap_used)]

use super::ObservableKind::*;
use super::*;
use crate::Object;

#[track_caller]
fn check(kind: ObservableKind, text: &str, expect: impl Into<Option<(ObservableKind, &'static str)>>) {
    let found = Observable::new(kind, text);
    assert_eq!(found.as_ref().map(|found| (found.kind, found.value.as_str())), expect.into(), "{kind} {text}");
    if let Some(Observable { kind, value }) = found {
        assert_eq!(Observable::new(kind, &value), Some(Observable { kind, value }), "normal forms stay");
    }
}

#[test]
fn addresses() {
    check(Ipv4, "198.51[.]100.7", (Ipv4, "198.51.100.7"));
    check(Ipv4, "198.51.100.7/24", (Ipv4Cidr, "198.51.100.0/24"));
    check(Ipv4, "198.51.100.7/32", (Ipv4, "198.51.100.7"));
    check(Ipv4, "198.51.100.7/0", (Ipv4Cidr, "0.0.0.0/0"));
    check(Ipv4, "198.51.100.7/33", None);
    check(Ipv4, "198.51.100.7/+8", None);
    check(Ipv4, "198.051.100.7", None);
    check(Ipv4, "١٩٨.٥١.١٠٠.٧", None);
    check(Ipv6, "2001:DB8:0:0::1", (Ipv6, "2001:db8::1"));
    check(Ipv6, "2001[:]db8::/33", (Ipv6Cidr, "2001:db8::/33"));
    check(Ipv6, "2001:db8:ffff::1/33", (Ipv6Cidr, "2001:db8:8000::/33"));
    check(Ipv6, "::/0", (Ipv6Cidr, "::/0"));
}

#[test]
fn domains() {
    check(Domain, "WWW[.]Evil(.)Example.", (Domain, "www.evil.example"));
    check(Domain, "bücher[dot]example", (Domain, "xn--bcher-kva.example"));
    check(Domain, "موقع.مثال", (Domain, "xn--4gbrim.xn--mgbh0fb"));
    check(Domain, "例え。テスト", (Domain, "xn--r8jz45g.xn--zckzah"));
    check(Domain, "_dmarc.r3---sn-x.example", (Domain, "_dmarc.r3---sn-x.example"));
    check(Domain, "203.0.113.9", (Ipv4, "203.0.113.9"));
    check(Domain, "203.0.113.999", None);
    check(Domain, "٢٠٣.٠.١١٣.٩", None);
    check(Domain, "evil..example", None);
    check(Domain, "evil.example/x", None);
    check(Domain, "a b.example", None);
    check(Domain, "", None);
}

#[test]
fn urls() {
    check(Url, "hXXps[:]//Evil[.]Example:443/A?q=[.]", (Url, "https://evil.example/A?q=."));
    check(Url, "hxxp[://]evil.example", (Url, "http://evil.example/"));
    check(Url, "http://[2001:DB8::1]/", (Url, "http://[2001:db8::1]/"));
    check(Url, "http://bücher.example/ü", (Url, "http://xn--bcher-kva.example/%C3%BC"));
    check(Url, "Evil.Example/Path", (Url, "evil.example/Path"));
    check(Url, "evil.example:8080/x", (Url, "evil.example:8080/x"));
    check(Url, "mailto:a@b.example", (Url, "mailto:a@b.example"));
    check(Url, "http://", None);
    check(Url, "not a url", None);
}

#[test]
fn a_normal_form_is_its_own() {
    check(Url, "\0hxxps://evil.example/", (Url, "https://evil.example/"));
    check(Url, "http://evil.example/a[[dot]]b", (Url, "http://evil.example/a.b"));
    check(Url, "http://evil.example/[/./]\\[\\]", (Url, "http://evil.example////"));
    check(Url, "evil[.]example/a\\:/\\b", (Url, "evil.example/a/://b"));
    check(Url, "evil.example/a/://b", (Url, "evil.example/a/://b"));
}

#[test]
fn the_rest() {
    check(Email, "John.Doe[at]Evil[.]Example", (Email, "john.doe@evil.example"));
    check(Email, "@evil.example", None);
    check(Md5, "D41D8CD98F00B204E9800998ECF8427E", (Md5, "d41d8cd98f00b204e9800998ecf8427e"));
    check(Sha256, "d41d8cd98f00b204e9800998ecf8427e", None);
    check(Mac, "00-1B-44-11-3A-B7", (Mac, "00:1b:44:11:3a:b7"));
    check(Mac, "001b.4411.3ab7", (Mac, "00:1b:44:11:3a:b7"));
    check(Mac, "00:1b:44:11:3a", None);
    check(Asn, "AS64496", (Asn, "64496"));
    check(Asn, "64496", (Asn, "64496"));
    check(Asn, "AS4294967296", None);
    check(FileName, "a[.]exe", (FileName, "a[.]exe"));
    check(Mutex, r"Global\x\\y", (Mutex, r"Global\x\\y"));
    check(RegistryKey, r"HKLM\Software\X", (RegistryKey, r"hkey_local_machine\software\x"));
}

#[track_caller]
fn guesses(text: &str, expect: &[(ObservableKind, &str)]) {
    let found = Observable::from_query(text);
    let found: Vec<_> = found.iter().map(|found| (found.kind, found.value.as_str())).collect();
    assert_eq!(found, expect, "{text}");
}

#[test]
fn queries() {
    guesses("\u{2003}198[.]51[.]100[.]7 ", &[(Ipv4, "198.51.100.7")]);
    guesses("198.51.100.0/24", &[(Ipv4Cidr, "198.51.100.0/24")]);
    guesses("<hxxp://evil[.]example/a>", &[(Url, "http://evil.example/a")]);
    guesses("a@evil.example", &[(Email, "a@evil.example")]);
    guesses("00-1B-44-11-3A-B7", &[(Mac, "00:1b:44:11:3a:b7")]);
    guesses("١٩٨.٥١.١٠٠.٧", &[]);
    guesses("", &[]);
    let sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    guesses(&sha1.to_uppercase(), &[(Sha1, sha1), (CertificateSha1, sha1)]);
    let domain = Observable::from_query("evil[.]example");
    assert_eq!(domain[0], Observable { kind: Domain, value: "evil.example".to_owned() });
    let asn = Observable::from_query("as64496");
    assert!(asn.contains(&Observable { kind: Asn, value: "64496".to_owned() }));
}

#[track_caller]
fn pattern(pattern: &str, expect: &[(ObservableKind, &str)]) {
    let mut text = String::from_utf8(crate::json::canonical(&pattern.into())).unwrap();
    text = format!(
        r#"{{"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        "created":"2024-05-01T00:00:00Z","modified":"2024-05-01T00:00:00Z","pattern_type":"stix","pattern":{text}}}"#
    );
    let found = Object::parse(text.as_bytes()).unwrap().observables();
    let found: Vec<_> = found.iter().map(|found| (found.kind, found.value.as_str())).collect();
    assert_eq!(found, expect, "{pattern}");
}

#[test]
fn patterns() {
    pattern("[domain-name:value = 'Evil[.]Example']", &[(Domain, "evil.example")]);
    pattern("[ipv4-addr:value IN ('198.51.100.1','198.51.100.2')]", &[(Ipv4, "198.51.100.1"), (Ipv4, "198.51.100.2")]);
    pattern("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", &[(Ipv4Cidr, "198.51.100.0/24")]);
    pattern("[url:value != 'http://good.example/' AND url:value NOT = 'http://fine.example/']", &[]);
    pattern("[url:value LIKE 'http://%']", &[]);
    pattern("[network-traffic:dst_ref.value = '203.0.113.5']", &[(Ipv4, "203.0.113.5")]);
    pattern("[email-message:from_ref.value = 'A@evil.example']", &[(Email, "a@evil.example")]);
    pattern("[autonomous-system:number = 64496]", &[(Asn, "64496")]);
    pattern("[file:hashes.sha256 = 'zz' OR file:name = 'it\\'s.exe']", &[(FileName, "it's.exe")]);
    let md5 = "d41d8cd98f00b204e9800998ecf8427e";
    pattern(&format!("[file:hashes.'MD5' = '{}']", md5.to_uppercase()), &[(Md5, md5)]);
    pattern("[not a pattern", &[]);
}

#[track_caller]
fn object(members: &str, expect: &[(ObservableKind, &str)]) {
    let found = of_object(
        &crate::json::parse(members.as_bytes()).unwrap().get("type").unwrap().as_str().unwrap(),
        &crate::json::parse(members.as_bytes()).unwrap(),
    );
    let found: Vec<_> = found.iter().map(|found| (found.kind, found.value.as_str())).collect();
    assert_eq!(found, expect, "{members}");
}

#[test]
fn observable_objects() {
    object(r#"{"type":"domain-name","value":"EVIL.example"}"#, &[(Domain, "evil.example")]);
    object(r#"{"type":"autonomous-system","number":64496}"#, &[(Asn, "64496")]);
    let md5 = "d41d8cd98f00b204e9800998ecf8427e";
    let file = format!(r#"{{"type":"file","name":"a","hashes":{{"MD5":"{md5}","SHA-1":"odd"}}}}"#);
    object(&file, &[(Md5, "d41d8cd98f00b204e9800998ecf8427e"), (FileName, "a")]);
    object(
        r#"{"type":"observed-data","objects":{"0":{"type":"ipv4-addr","value":"203.0.113.5"}}}"#,
        &[(Ipv4, "203.0.113.5")],
    );
    object(r#"{"type":"tool","name":"x","value":"203.0.113.5"}"#, &[]);
}

#[track_caller]
fn lies(kind: ObservableKind, text: &str, expect: Option<&str>) {
    let observable = Observable::new(kind, text).unwrap();
    let found = observable.place().map(|place| match place {
        Place::Network(network) => network.observable().value,
        Place::Name(name) => name.into_owned(),
    });
    assert_eq!(found.as_deref(), expect, "{kind} {text}");
}

#[test]
fn observables_lie_in_networks_and_at_names() {
    lies(Ipv4, "192.0.2.1", Some("192.0.2.1"));
    lies(Ipv4, "192.0.2.1/25", Some("192.0.2.0/25"));
    lies(Ipv6, "2001:db8::1/32", Some("2001:db8::/32"));
    lies(Domain, "a.Example", Some("a.example"));
    lies(Email, "x@A.example", Some("a.example"));
    lies(Url, "http://u:p@a.example:81/x@b.example", Some("a.example"));
    lies(Url, "https://192.0.2.1/", Some("192.0.2.1"));
    lies(Url, "http://[2001:db8::1]:8080/", Some("2001:db8::1"));
    lies(Url, "a.example/x?u=http://b.example", Some("a.example"));
    lies(Url, "foo://A.example/", Some("a.example"));
    lies(Url, "mailto:a@b.example", None);
    lies(Md5, &"0".repeat(32), None);
}

#[test]
fn networks_contain_each_other() {
    let net = |text: &str| match Observable::new(Ipv4, text).unwrap().place() {
        Some(Place::Network(network)) => network,
        other => panic!("{other:?}"),
    };
    let wide = net("10.0.0.0/8");
    assert!(wide.contains(&net("10.255.255.255")) && wide.overlaps(&net("0.0.0.0/0")) && wide.contains(&wide));
    assert!(!wide.contains(&net("11.0.0.0")) && !wide.overlaps(&net("::/0")) && !wide.contains(&net("10.0.0.0/7")));
    assert_eq!((wide.last().to_string(), net("::/0").last().is_ipv6()), ("10.255.255.255".to_owned(), true));
    let wider: Vec<_> = net("192.0.2.128/25").wider().map(|net| net.observable().value).collect();
    assert_eq!((wider.len(), &*wider[0], &*wider[24]), (25, "192.0.2.0/24", "0.0.0.0/0"));
    assert_eq!(net("2001:db8::1").wider().count(), 128);
    assert!(net("2001:db8::1").wider().all(|wide| wide.contains(&net("2001:db8::1"))));
}
