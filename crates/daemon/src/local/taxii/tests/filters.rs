//! `match[...]`, versions, and what the collection does not show.

use super::*;

const OLD: &str = "2020-01-01T00:00:00.000Z";
const NEW: &str = "2021-01-01T00:00:00.5Z";
const NEWEST: &str = "2022-01-01T00:00:00Z";

fn sco(uuid_end: usize) -> String {
    format!(
        r#"{{"id":"domain-name--00000000-0000-4000-8000-{uuid_end:012}","type":"domain-name","value":"a.example"}}"#
    )
}

async fn versions(cert: &Cert, query: &str) -> Vec<String> {
    let pages = cert.pages(query).await;
    let objects = pages.iter().flat_map(|page| page.json["objects"].as_array().unwrap().clone());
    objects.map(|object| object["modified"].as_str().unwrap().to_owned()).collect()
}

/// One object in three versions, the newest of which the collection does not show, and another in one.
fn revised() -> Cert {
    let cert = Cert::new(1);
    cert.release(Tlp::Clear, &[indicator(1, NEW), indicator(2, OLD)]);
    cert.release(Tlp::Clear, &[indicator(1, OLD)]);
    cert.release(Tlp::Red, &[indicator(1, NEWEST)]);
    cert
}

#[tokio::test]
async fn versions_are_chosen_among_those_that_are_shown() {
    let cert = revised();
    for (version, expect) in [
        ("", vec![NEW, OLD]),
        ("match[version]=last&", vec![NEW, OLD]),
        ("match[version]=first&", vec![OLD, OLD]),
        ("match%5Bversion%5D=all&", vec![NEW, OLD, OLD]),
        ("match[version]=first,last&", vec![NEW, OLD, OLD]),
        ("match[version]=2021-01-01T00:00:00.500Z&", vec![NEW]),
        ("match[version]=2022-01-01T00:00:00Z&", vec![]),
    ] {
        for limit in [1, 2, 10] {
            for listing in [String::from("objects/?"), format!("objects/?match[id]={},{}&", id(1), id(2))] {
                let mut found = versions(&cert, &format!("{listing}{version}limit={limit}")).await;
                found.sort_unstable_by(|a, b| b.cmp(a));
                assert_eq!(found, expect, "{listing} {version} {limit}");
            }
        }
    }
}

#[tokio::test]
async fn of_versions_with_one_time_the_smaller_content_is_last() {
    let cert = Cert::new(1);
    let other = indicator(1, OLD).replace("a.example", "b.example");
    cert.release(Tlp::Clear, &[indicator(1, OLD), other.clone(), indicator(2, OLD)]);
    assert_eq!(cert.page("objects/").await.ids().len(), 2);
    let shown = cert.page(&format!("objects/{}/", id(1))).await.text;
    let is_smaller = |text: &str| Body::of(&Object::parse(text.as_bytes()).unwrap()).unwrap().id();
    let smaller = [indicator(1, OLD), other].into_iter().min_by_key(|text| is_smaller(text)).unwrap();
    assert!(shown.contains(&smaller), "{shown}");
}

#[tokio::test]
async fn an_object_is_found_by_its_id() {
    let cert = revised();
    let path = format!("objects/{}", id(1));
    assert_eq!(versions(&cert, &path).await, [NEW]);
    assert_eq!(versions(&cert, &format!("{path}/?match[version]=all&limit=1")).await, [NEW, OLD]);
    assert_eq!(cert.page(&format!("{path}/?match[version]=2000-01-01T00:00:00Z")).await.ids(), [""; 0]);
    assert_eq!(cert.page(&format!("objects/{}/", id(1).to_uppercase())).await.ids(), [id(1)]);
    let told = cert.page(&format!("{path}/versions/")).await;
    assert_eq!(told.json["versions"], serde_json::json!([NEW, OLD]));
    let after = told.header("x-taxii-date-added-first").to_owned();
    let told = cert.page(&format!("{path}/versions/?limit=1&added_after={after}")).await;
    assert_eq!(told.json, serde_json::json!({"more": false, "versions": [OLD]}));
    let told = cert.page(&format!("{path}/versions/?match[spec_version]=2.0")).await;
    assert_eq!(told.json, serde_json::json!({"more": false}));
}

#[tokio::test]
async fn types_ids_and_spec_versions_are_filters() {
    let cert = Cert::new(1);
    cert.release(Tlp::Clear, &[indicator(1, OLD), sco(2), indicator(3, OLD)]);
    let sco_id = "domain-name--00000000-0000-4000-8000-000000000002".to_owned();
    for (query, mut expect) in [
        ("match[type]=indicator", vec![id(1), id(3)]),
        ("match[type]=domain-name,malware", vec![sco_id.clone()]),
        ("match[type]=malware", vec![]),
        ("match[spec_version]=2.1", vec![id(1), sco_id.clone(), id(3)]),
        ("match[spec_version]=2.0", vec![]),
        ("match[spec_version]=2.0,2.1&match[type]=indicator", vec![id(1), id(3)]),
        (&format!("match[id]={},{sco_id},{}", id(1), id(9)), vec![id(1), sco_id.clone()]),
        (&format!("match[id]={}&match[type]=domain-name", id(1)), vec![]),
        (&format!("match[id]={0},{0}", id(1).to_uppercase().replace("INDICATOR", "indicator")), vec![id(1)]),
        ("match[colour]=blue", vec![id(1), id(3), sco_id.clone()]),
    ] {
        let mut ids = ids_of(&cert.pages(&format!("objects/?{query}&limit=1")).await);
        ids.sort_unstable();
        expect.sort_unstable();
        assert_eq!(ids, expect, "{query}");
    }
    let manifest = cert.page(&format!("manifest/?match[id]={sco_id},{}", id(3))).await.json;
    let told = manifest["objects"].as_array().unwrap().iter();
    let versions: Vec<_> = told.map(|record| record["version"].as_str().unwrap()).collect();
    assert!(versions.contains(&OLD) && versions.contains(&"1970-01-01T00:00:00.000000Z"), "{versions:?}");
    assert_eq!(manifest["objects"][0]["media_type"], "application/stix+json;version=2.1");
}

#[tokio::test]
async fn a_filter_that_lets_little_through_still_moves_on() {
    let cert = Cert::new(1);
    for release in 0..25 {
        cert.release(Tlp::Clear, &indicators(release * 1_000..(release + 1) * 1_000));
    }
    cert.release(Tlp::Clear, &[sco(1)]);
    let pages = cert.pages("objects/?match[type]=domain-name&limit=5").await;
    assert_eq!(pages.iter().map(|page| page.ids().len()).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(cert.pages("objects/?match[type]=malware").await.len(), 2);
}

#[tokio::test]
async fn what_is_not_shown_leaves_no_trace() {
    let shown = Cert::new(1);
    shown.release(Tlp::Clear, &indicators(0..3));
    let more = Cert::new(1);
    more.release(Tlp::Clear, &indicators(0..3));
    more.release(Tlp::Red, &indicators(3..6));
    more.release(Tlp::Red, &[indicator(0, NEW)]);
    let paths = [
        "objects/".to_owned(),
        "objects/?limit=3".into(),
        "objects/?match[version]=all".into(),
        "objects/?added_after=2026-09-21T14:13:20.000002Z".into(),
        "manifest/".into(),
        format!("objects/{}/", id(0)),
        format!("objects/{}/versions/", id(0)),
        format!("objects/{}/", id(3)),
        format!("objects/{}/", id(9)),
        format!("objects/{}/versions/", id(3)),
        format!("objects/?match[id]={}", id(3)),
    ];
    let collection = shown.collection().await;
    assert_eq!(collection, more.collection().await);
    for path in &paths {
        let (a, b) = (shown.get(&format!("{collection}{path}")).await, more.get(&format!("{collection}{path}")).await);
        assert_eq!((a.status, &a.headers, &a.text), (b.status, &b.headers, &b.text), "{path}");
    }
    more.get(&format!("{collection}objects/{}/", id(3))).await.is_error(404, "MQ-6008");
    // Nor does it between pages: next names a time that the client has.
    let (a, b) = (Cert::new(1), Cert::new(1));
    for cert in [&a, &b] {
        cert.release(Tlp::Clear, &indicators(0..3));
    }
    let next = |answer: &Answer| answer.json["next"].clone();
    b.release(Tlp::Red, &indicators(3..6));
    a.release(Tlp::Clear, &indicators(6..9));
    b.release(Tlp::Clear, &indicators(6..9));
    assert_eq!(next(&a.page("objects/?limit=3").await), next(&b.page("objects/?limit=3").await));
}
