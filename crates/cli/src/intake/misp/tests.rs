use super::*;

fn read(text: &str) -> Intake {
    let mut intake = Intake::default();
    misp(text.as_bytes(), &mut intake).unwrap();
    intake
}

/// What the event's drafts are, a line each.
fn said(intake: &Intake) -> Vec<String> {
    let line = |draft: &Draft| match &draft.what {
        What::Indicator { pattern, .. } => pattern.clone(),
        What::Observable(observable) => format!("{} {}", observable.kind, observable.value),
        What::Report(members) => format!("report {members:?}"),
    };
    intake.drafts().iter().map(line).collect()
}

const EVENT: &str = r#"{"Event":{"uuid":"0f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11","info":"حملة تصيد","date":"2026-01-02","timestamp":"1767312000",
  "distribution":"1","threat_level_id":"2","Orgc":{"name":"x"},
  "Tag":[{"name":"tlp:green"},{"name":"misp-galaxy:threat-actor=\"APT 1\""},{"name":"phishing"}],
  "Galaxy":[{"type":"threat-actor","GalaxyCluster":[{"value":"APT 1","uuid":"x"},{"value":"Sofacy"}]}],
  "Attribute":[
    {"uuid":"1f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11","type":"domain","value":"Evil.Example","to_ids":true,"comment":"seen","timestamp":"1767312001","Tag":[{"name":"tlp:amber"}]},
    {"uuid":"2f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11","type":"ip-dst","value":"192.0.2.1","to_ids":false,"category":"Network activity"},
    {"uuid":"3f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11","type":"domain|ip","value":"bad.example|192.0.2.2","to_ids":true},
    {"uuid":"4f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11","type":"ip-dst|port","value":"192.0.2.3|8080","to_ids":true},
    {"uuid":"5f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11","type":"url","value":"http://old.example/","deleted":true,"to_ids":1},
    {"uuid":"6f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11","type":"yara","value":"rule x {}","to_ids":"1"},
    {"uuid":"7f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11","type":"md5","value":"nonsense","to_ids":true,"last_seen":"2026-01-01"}],
  "Object":[{"name":"file","uuid":"8f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11","ObjectReference":[{"x":1}],"Attribute":[
    {"type":"filename","object_relation":"filename","value":"invoice.exe","to_ids":false},
    {"type":"md5","value":"d41d8cd98f00b204e9800998ecf8427e","to_ids":true},
    {"type":"sha1","value":"da39a3ee5e6b4b0d3255bfef95601890afd80709","to_ids":true},
    {"type":"size-in-bytes","value":"17"}]}]}}"#;

#[test]
fn an_event_becomes_indicators_observables_and_a_report() {
    let intake = read(EVENT);
    let expect = [
        "[domain-name:value = 'evil.example']",
        "ipv4-addr 192.0.2.1",
        "[domain-name:value = 'bad.example' AND domain-name:resolves_to_refs[*].value = '192.0.2.2']",
        "[network-traffic:dst_ref.value = '192.0.2.3' AND network-traffic:dst_port = 8080]",
        "[url:value = 'http://old.example/']",
        "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e' OR file:hashes.'SHA-1' = 'da39a3ee5e6b4b0d3255bfef95601890afd80709']",
        "report [0, 1, 2, 3, 4, 5]",
    ];
    assert_eq!(said(&intake), expect);
    for draft in intake.drafts() {
        if let What::Indicator { pattern, .. } = &draft.what {
            assert!(crate::intake::value::is_pattern(pattern), "{pattern}");
        }
    }
    let says = |number: usize| &intake.drafts()[number].says;
    assert_eq!((says(0).tlp, says(2).tlp), (Some(Tlp::Amber), Some(Tlp::Green)), "the strictest of both");
    assert_eq!(says(0).description.as_deref(), Some("seen"));
    let labels: Vec<_> = says(0).labels.iter().map(String::as_str).collect();
    assert_eq!(labels, ["APT 1", "Sofacy", "phishing"]);
    assert!(says(4).revoked && !says(3).revoked);
    assert_eq!(says(5).name.as_deref(), Some("invoice.exe"));
    assert_eq!(says(6).name.as_deref(), Some("حملة تصيد"));
    let lost: Vec<_> = intake.losses.fields().keys().map(String::as_str).collect();
    let expect = [
        "attributes of type yara",
        "distribution",
        "file: ObjectReference",
        "file: size-in-bytes",
        "last_seen",
        "threat_level_id",
    ];
    assert_eq!(lost, expect);
    assert_eq!(intake.losses.refused(), 1, "{:?}", intake.losses);
}

#[test]
fn answers_of_the_api_and_arrays_are_read() {
    let event = r#"{"Event":{"info":"x","Attribute":[{"type":"domain","value":"evil.example"}]}}"#;
    for text in [format!("[{event}]"), format!(r#"{{"response":[{event}]}}"#), format!("\u{feff}{event}")] {
        assert_eq!(read(&text).drafts().len(), 2, "{text}");
    }
    let flat = r#"{"response":{"Attribute":[{"type":"domain","value":"evil.example"}]}}"#;
    assert_eq!(read(flat).drafts().len(), 1);
    assert_eq!(read("[1]").losses.refused(), 1);
}

#[test]
fn what_misp_confines_is_confined() {
    let event = |distribution: u8, tag: &str| {
        let text = format!(
            r#"{{"Event":{{"distribution":"{distribution}","Tag":[{{"name":"{tag}"}}],"Attribute":[{{"type":"domain","value":"evil.example","distribution":5}}]}}}}"#
        );
        read(&text).drafts()[0].says.tlp
    };
    assert_eq!(event(0, "x"), Some(Tlp::Red));
    assert_eq!(event(4, "x"), Some(Tlp::Red));
    assert_eq!(event(3, "x"), None);
    assert_eq!(event(0, "tlp:white"), Some(Tlp::Clear));
    assert_eq!(event(3, "tlp:ex:chr"), Some(Tlp::Red), "an unknown level is the strictest");
}

#[test]
fn a_manifest_names_files_of_its_own_folder_only() {
    assert_eq!(
        event_file("0f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11").unwrap(),
        "0f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11.json"
    );
    assert_eq!(event_file("../../../../../../../../etc/passwd-xyz"), None);
    assert_eq!(event_file(""), None);
}
