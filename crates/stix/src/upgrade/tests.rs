use super::*;
use crate::json::parse;

const TIMES: &str = r#""created":"2018-05-01T00:00:00.000Z","modified":"2018-05-01T00:00:00.000Z""#;
const UUID: &str = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f";

/// An object of STIX 2.0 with the members that each has.
fn object(object_type: &str, members: &str) -> String {
    format!(r#"{{"type":"{object_type}","id":"{object_type}--{UUID}",{TIMES},{members}}}"#)
}

fn observed(objects: &str, members: &str) -> String {
    let common =
        r#""first_observed":"2018-05-01T00:00:00Z","last_observed":"2018-05-01T00:00:00Z","number_observed":1"#;
    object("observed-data", &format!(r#"{common},"objects":{objects}{members}"#))
}

fn run(text: &str) -> Upgraded {
    let upgraded = upgrade(text.as_bytes()).unwrap();
    for object in &upgraded.objects {
        Object::parse(object).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(object)));
    }
    assert_eq!(upgrade(text.as_bytes()).unwrap(), upgraded, "the same input gives the same output");
    let again = upgrade(&upgraded.objects.join(&b"\n"[..])).unwrap();
    assert_eq!((again.objects, again.changes), (upgraded.objects.clone(), vec![]), "what is STIX 2.1 stays as it is");
    upgraded
}

/// What stands at `pointer` in the object of type `object_type`.
#[track_caller]
fn at(upgraded: &Upgraded, object_type: &str, pointer: &str) -> Option<String> {
    let objects = upgraded.objects.iter().map(|text| parse(text).unwrap());
    let is_wanted = |value: &Value<'_>| value.get("type") == Some(&Value::from(object_type));
    let object = objects.into_iter().find(is_wanted).unwrap_or_else(|| panic!("no {object_type}"));
    let found = pointer.split('/').skip(1).try_fold(&object, |value, name| match value {
        Value::Array(values) => values.get(name.parse::<usize>().unwrap()),
        value => value.get(name),
    });
    found.map(|value| String::from_utf8(canonical(value)).unwrap())
}

/// The report in short: kinds and pointers.
fn report(upgraded: &Upgraded) -> Vec<String> {
    upgraded.changes.iter().map(|change| format!("{} {}", change.kind, change.pointer)).collect()
}

#[track_caller]
fn check(text: &str, object_type: &str, expect: &[(&str, Option<&str>)], changes: &[&str]) {
    let upgraded = run(text);
    for (pointer, value) in expect {
        assert_eq!(at(&upgraded, object_type, pointer).as_deref(), *value, "{pointer} of {text}");
    }
    assert_eq!(report(&upgraded), changes, "{:#?}", upgraded.changes);
}

#[test]
fn labels_become_kinds_where_the_standard_knows_them() {
    check(
        &object("tool", r#""name":"x","labels":["remote-access","ours"]"#),
        "tool",
        &[
            ("/spec_version", Some(r#""2.1""#)),
            ("/tool_types", Some(r#"["remote-access"]"#)),
            ("/labels", Some(r#"["ours"]"#)),
        ],
        &["moved /labels/0", "kept /labels/1"],
    );
    check(
        &object("malware", r#""name":"x","labels":["trojan"]"#),
        "malware",
        &[("/malware_types", Some(r#"["trojan"]"#)), ("/labels", None), ("/is_family", Some("false"))],
        &["moved /labels/0", "assumed /is_family"],
    );
    check(
        &object("identity", r#""name":"x","identity_class":"class","labels":["ceo"],"sectors":["defence","energy"]"#),
        "identity",
        &[("/roles", Some(r#"["ceo"]"#)), ("/labels", None), ("/sectors", Some(r#"["defense","energy"]"#))],
        &["moved /labels", "moved /sectors/0"],
    );
    check(
        &object("campaign", r#""name":"x","labels":["trojan"]"#),
        "campaign",
        &[("/labels", Some(r#"["trojan"]"#))],
        &[],
    );
}

#[test]
fn indicators_say_their_language() {
    let indicator = |pattern: &str| {
        object(
            "indicator",
            &format!(r#""labels":["benign"],"pattern":"{pattern}","valid_from":"2018-05-01T00:00:00Z""#),
        )
    };
    check(
        &indicator("[file:name =  'a']"),
        "indicator",
        &[
            ("/pattern_type", Some(r#""stix""#)),
            ("/pattern_version", None),
            ("/pattern", Some(r#""[file:name =  'a']""#)),
        ],
        &["moved /labels/0"],
    );
    check(
        &indicator("[directory:created = 't']"),
        "indicator",
        &[("/pattern", Some(r#""[directory:ctime = 't']""#))],
        &["moved /labels/0", "moved /pattern"],
    );
    check(
        &indicator("[process:name  = 'a']"),
        "indicator",
        &[("/pattern", Some(r#""[process:name  = 'a']""#)), ("/pattern_version", Some(r#""2.0""#))],
        &["moved /labels/0", "kept /pattern"],
    );
    check(
        &indicator("[process:pid"),
        "indicator",
        &[("/pattern", Some(r#""[process:pid""#))],
        &["moved /labels/0", "kept /pattern"],
    );
}

#[test]
fn versions_get_their_milliseconds() {
    let text = object("campaign", r#""name":"x""#).replace("00:00:00.000Z\",\"mod", "00:00:00Z\",\"mod");
    let created = Some(r#""2018-05-01T00:00:00.000Z""#);
    check(&text, "campaign", &[("/created", created)], &["derived /created"]);
}

#[test]
fn observables_become_objects_with_the_standards_ids() {
    let objects = r#"{"0":{"type":"ipv4-addr","value":"198.51.100.2"},
        "1":{"type":"network-traffic","src_ref":"0","protocols":["tcp"],"dst_ref":"9"}}"#;
    let upgraded = run(&observed(objects, ""));
    let ip = "ipv4-addr--9cf4a8ec-7640-5f40-a006-79942896168b";
    assert_eq!(at(&upgraded, "ipv4-addr", "/id"), Some(format!("\"{ip}\"")));
    assert_eq!(at(&upgraded, "network-traffic", "/src_ref"), Some(format!("\"{ip}\"")));
    assert_eq!(at(&upgraded, "network-traffic", "/dst_ref"), None);
    // Of src_ref and protocols, with the id in the place of the key.
    let traffic = parse(upgraded.objects[1].as_slice()).unwrap();
    let id = crate::sco_id::sco_id("network-traffic", traffic.as_object().unwrap()).unwrap();
    assert_eq!(at(&upgraded, "observed-data", "/object_refs"), Some(format!("[\"{ip}\",\"{id}\"]")));
    assert_eq!(at(&upgraded, "observed-data", "/objects"), None);
    assert_eq!(report(&upgraded), ["moved /objects/0", "lost /objects/1/dst_ref", "moved /objects/1"]);
}

#[test]
fn observables_change_their_properties() {
    let file = r#"{"0":{"type":"file","name":"a","created":"2016-01-01T00:00:00Z","is_encrypted":true,
        "decryption_key":"infected","hashes":{"ssdeep":"3:a:b"},
        "extensions":{"archive-ext":{"contains_refs":["1"],"version":"5"},
        "raster-image-ext":{"image_compression_algorithm":"x"}}},"1":{"type":"file","name":"b"}}"#;
    check(
        &observed(file, ""),
        "file",
        &[
            ("/ctime", Some(r#""2016-01-01T00:00:00Z""#)),
            ("/created", None),
            ("/is_encrypted", None),
            ("/decryption_key", None),
            ("/hashes", Some(r#"{"SSDEEP":"3:a:b"}"#)),
            ("/extensions/raster-image-ext", None),
            ("/extensions/archive-ext/version", None),
        ],
        &[
            "moved /objects/0/created",
            "lost /objects/0/is_encrypted",
            "lost /objects/0/decryption_key",
            "lost /objects/0/extensions/archive-ext/version",
            "lost /objects/0/extensions/raster-image-ext/image_compression_algorithm",
            "moved /objects/0/hashes/ssdeep",
            "moved /objects/0",
            "moved /objects/1",
        ],
    );
    let mail = r#"{"0":{"type":"email-message","is_multipart":false,
        "additional_header_fields":{"Reply-To":"a@example.com","X":["b"],"in_ref":"7"}}}"#;
    check(
        &observed(mail, ""),
        "email-message",
        &[("/additional_header_fields", Some(r#"{"Reply-To":["a@example.com"],"X":["b"],"in_ref":["7"]}"#))],
        &[
            "moved /objects/0/additional_header_fields/Reply-To",
            "moved /objects/0/additional_header_fields/in_ref",
            "moved /objects/0",
        ],
    );
    let process = r#"{"0":{"type":"process","name":"gedit-bin","arguments":["--new-window","a b"],"binary_ref":"1",
        "created":"2016-01-01T00:00:00Z"},"1":{"type":"file","name":"gedit-bin"}}"#;
    check(
        &observed(process, ""),
        "process",
        &[
            ("/command_line", Some(r#""gedit-bin --new-window \"a b\"""#)),
            ("/name", None),
            ("/arguments", None),
            ("/created_time", Some(r#""2016-01-01T00:00:00Z""#)),
            ("/image_ref", Some(r#""file--83d404f9-ab9d-5b37-b149-49b5f5839d18""#)),
        ],
        &[
            "moved /objects/0/created",
            "moved /objects/0/binary_ref",
            "moved /objects/0/name",
            "moved /objects/0/arguments",
            "moved /objects/0",
            "moved /objects/1",
        ],
    );
}

#[test]
fn a_process_has_an_id_of_its_observation() {
    let process =
        r#"{"0":{"type":"process","pid":7,"parent_ref":"1"},"1":{"type":"process","pid":1,"child_refs":["0"]}}"#;
    let upgraded = run(&observed(process, ""));
    let ids = [0, 1].map(|at| parse(&upgraded.objects[at]).unwrap().get("id").unwrap().as_str().unwrap().into_owned());
    assert_ne!(ids[0], ids[1]);
    assert!(ids.iter().all(|id| id.as_bytes()[id.len() - 22] == b'4'), "the standard demands version 4: {ids:?}");
    assert_eq!(at(&upgraded, "process", "/parent_ref"), Some(format!("\"{}\"", ids[1])));
    let other = run(&observed(process, "").replace(UUID, "00000000-17d4-4cbf-938f-98ee46b3cd3f"));
    assert_ne!(at(&other, "process", "/id"), at(&upgraded, "process", "/id"));
}

#[test]
fn circles_and_chains_of_contributing_references_end() {
    let circle = r#"{"0":{"type":"file","name":"a","parent_directory_ref":"1"},
        "1":{"type":"file","name":"b","parent_directory_ref":"0"}}"#;
    assert_eq!(run(&observed(circle, "")).objects.len(), 3);
    let link = |at: usize| format!(r#""{at}":{{"type":"file","name":"a","parent_directory_ref":"{}"}}"#, at + 1);
    let chain: Vec<_> = (0..5_000).map(link).collect();
    assert_eq!(run(&observed(&format!("{{{}}}", chain.join(",")), "")).objects.len(), 5_001);
}

#[test]
fn an_observable_seen_twice_is_one_object() {
    let first = observed(r#"{"0":{"type":"url","value":"http://a.example/","x_a":1}}"#, "");
    let second = observed(r#"{"0":{"type":"url","value":"http://a.example/","x_a":2,"x_b":3}}"#, "")
        .replace(UUID, "00000000-17d4-4cbf-938f-98ee46b3cd3f");
    let upgraded = run(&format!("{first}\n{second}"));
    assert_eq!(upgraded.objects.len(), 3);
    assert_eq!(at(&upgraded, "url", "/x_a").as_deref(), Some("1"));
    assert_eq!(at(&upgraded, "url", "/x_b").as_deref(), Some("3"));
    assert_eq!(report(&upgraded), ["moved /objects/0", "moved /objects/0", "lost /objects/0/x_a"]);
}

/// Whoever may not see the whole may not see its parts either.
#[test]
fn markings_go_where_what_they_mark_goes() {
    const RED: &str = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed";
    const AMBER: &str = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";
    let objects = r#"{"0":{"type":"file","name":"a","created":"2016-01-01T00:00:00Z"},"1":{"type":"url","value":"u"}}"#;
    let markings = format!(
        r#","object_marking_refs":["{AMBER}"],"granular_markings":[{{"marking_ref":"{RED}",
        "selectors":["objects.0.created","objects.1","number_observed"]}}]"#
    );
    let upgraded = run(&observed(objects, &markings));
    let marked = |selectors: &str| Some(format!(r#"[{{"marking_ref":"{RED}","selectors":{selectors}}}]"#));
    assert_eq!(at(&upgraded, "file", "/granular_markings"), marked(r#"["ctime"]"#));
    assert_eq!(at(&upgraded, "file", "/object_marking_refs"), Some(format!("[\"{AMBER}\"]")));
    assert_eq!(at(&upgraded, "url", "/object_marking_refs"), Some(format!("[\"{AMBER}\",\"{RED}\"]")));
    assert_eq!(at(&upgraded, "observed-data", "/granular_markings"), marked(r#"["number_observed"]"#));

    let marking = format!(r#""granular_markings":[{{"marking_ref":"{RED}","selectors":["labels.[1]"]}}]"#);
    let tool = object("tool", &format!(r#""name":"x","labels":["remote-access","ours"],{marking}"#));
    assert_eq!(at(&run(&tool), "tool", "/granular_markings"), marked(r#"["tool_types","labels"]"#));
}

/// Each marking of the whole is written out for every observable: a small object must not fill the memory.
#[test]
fn markings_of_many_observables_are_bounded() {
    let objects: Vec<_> = (0..1_500).map(|i| format!(r#""{i}":{{"type":"mutex","name":"m{i}"}}"#)).collect();
    let red = r#""marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed""#;
    let markings = format!(r#","object_marking_refs":[{}]"#, [red; 1_000].join(","));
    let text = observed(&format!("{{{}}}", objects.join(",")), &markings);
    let upgraded = upgrade(text.as_bytes()).unwrap();
    assert!(upgraded.objects.is_empty());
    assert_eq!(upgraded.changes.last().unwrap().kind, ChangeKind::Refused);
}

#[test]
fn tlp_definitions_get_their_names() {
    let text = r#"{"type":"marking-definition","id":"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
        "created":"2017-01-20T00:00:00.000Z","definition_type":"tlp","definition":{"tlp":"green"}}"#;
    check(text, "marking-definition", &[("/name", Some(r#""TLP:GREEN""#))], &["derived /name"]);
}

#[test]
fn what_is_stix_2_1_is_not_touched() {
    let malware = object("malware", r#""name":"x","is_family":true,"labels":["trojan"],"spec_version":"2.1""#);
    let url = r#"{"type":"url","id":"url--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","value":"u"}"#;
    let bundle = format!(r#"{{"type":"bundle","spec_version":"2.0","objects":[{malware},{url}]}}"#);
    check(&malware, "malware", &[("/labels", Some(r#"["trojan"]"#)), ("/malware_types", None)], &[]);
    check(url, "url", &[("/spec_version", None)], &[]);
    let upgraded = run(&bundle);
    assert_eq!(at(&upgraded, "malware", "/labels").as_deref(), Some(r#"["trojan"]"#));
}

#[test]
fn what_the_standards_do_not_know_passes_through() {
    let custom = object("x-case", r#""x_number":7.50,"x_ref":"0","labels":["trojan"]"#);
    let expect = [("/x_number", Some("7.5")), ("/x_ref", Some(r#""0""#)), ("/labels", Some(r#"["trojan"]"#))];
    check(&format!(r#"{{"type":"bundle","spec_version":"2.0","objects":[{custom}]}}"#), "x-case", &expect, &[]);
    let note = object("note", r#""content":"x","object_refs":[]"#);
    check(&note, "note", &[("/content", Some(r#""x""#))], &["assumed /spec_version"]);
}

#[test]
fn what_cannot_be_read_says_why_and_the_others_go_on() {
    let good = object("campaign", r#""name":"x""#);
    let bad = [
        r#"{"type":"campaign"}"#.to_owned(),
        good.replace("campaign--", "tool--"),
        good.replace("2018", "20018"),
        good.replace("\"name\"", "\"spec_version\":\"1.2\",\"name\""),
        good.replace("\"name\":\"x\"", "\"name\":9007199254740993"),
        observed("{}", ""),
        observed("[]", ""),
        observed(r#"{"0":{"type":"process","name":7}}"#, ""),
        object("observed-data", r#""number_observed":1"#),
        "7".to_owned(),
    ];
    for bad in bad {
        let upgraded = run(&format!(r#"{{"type":"bundle","spec_version":"2.0","objects":[{bad},{good}]}}"#));
        assert_eq!(upgraded.objects.len(), 1, "{bad}");
        let last = upgraded.changes.last().unwrap();
        assert_eq!((last.kind, last.index, last.pointer.as_str()), (ChangeKind::Refused, 0, ""), "{bad}: {last:?}");
        assert!(!last.message.is_empty());
    }
}

#[test]
fn a_bundle_whose_version_comes_last_is_heard() {
    let good = object("campaign", r#""name":"x""#);
    let upgraded = run(&format!(r#"{{"type":"bundle","objects":[{good}],"spec_version":"2.0"}}"#));
    assert_eq!((upgraded.objects.len(), upgraded.changes.len()), (1, 0));
}

#[test]
fn what_is_lost_is_quoted_in_short() {
    let key = format!("\u{1b}[2J{}", "x".repeat(10_000));
    let text = observed(
        &format!(r#"{{"0":{{"type":"file","name":"a","decryption_key":"\u001b{key}"}}}}"#).replace('\u{1b}', ""),
        "",
    );
    let upgraded = run(&text);
    let lost = upgraded.changes.iter().find(|change| change.kind == ChangeKind::Lost).unwrap();
    assert!(lost.message.len() < 300 && lost.message.contains("\\u{1b}[2J"), "{}", lost.message);
}

#[test]
fn the_report_has_an_end_and_says_so() {
    let labels = (0..CHANGES_MAX + 9).map(|i| format!("\"own-{i}\"")).collect::<Vec<_>>().join(",");
    let text = format!(
        r#"{{"type":"bundle","id":"bundle--b7ab1e7c-8a4c-4c6f-9d84-d6b2a3dc1f02","spec_version":"2.0","objects":[
        {{"type":"malware","id":"malware--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2018-05-01T00:00:00.000Z",
        "modified":"2018-05-01T00:00:00.000Z","name":"a","labels":[{labels}]}}]}}"#
    );
    let upgraded = upgrade(text.as_bytes()).unwrap();
    assert_eq!((upgraded.objects.len(), upgraded.changes.len()), (1, CHANGES_MAX + 1));
    assert_eq!(upgraded.changes.last().unwrap().kind, ChangeKind::Lost);
}

#[test]
fn a_selector_that_would_take_an_hour_is_refused() {
    let text = format!(
        r#"{{"type":"malware","id":"malware--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2018-05-01T00:00:00.000Z",
        "modified":"2018-05-01T00:00:00.000Z","name":"a","labels":["rootkit"],
        "granular_markings":[{{"marking_ref":"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9","selectors":["{}"]}}]}}"#,
        "a.".repeat(1 << 20)
    );
    let upgraded = upgrade(text.as_bytes()).unwrap();
    assert_eq!((upgraded.objects.len(), upgraded.changes[0].kind), (0, ChangeKind::Refused));
}

#[test]
fn the_whole_report_has_an_end_too() {
    let upgraded = upgrade("{},".repeat(REPORT_MAX + 9).replace(',', "\n").as_bytes()).unwrap();
    assert_eq!((upgraded.objects.len(), upgraded.changes.len()), (0, REPORT_MAX + 1));
    assert_eq!(upgraded.changes.last().unwrap().kind, ChangeKind::Refused);
}
