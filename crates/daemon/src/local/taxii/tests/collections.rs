//! Several collections: what each shows, and that it shows nothing of the others.

use mithaq_core::id::ContentId;

use super::*;
use crate::standing;

pub(super) const TABLES: &str = r#"
[collection.green]
title = "What the community may see"
tlp_max = "green"

[collection.urls]
types = ["url"]

[collection.ours]
origins = ["own"]

[collection.seen]
tlp_max = "amber"
corroboration_min = 2
"#;

fn url(number: usize, path: &str) -> String {
    format!(
        r#"{{"id":"url--00000000-0000-4000-8000-{number:012}","spec_version":"2.1","type":"url","value":"https://a.example/{path}"}}"#
    )
}

pub(super) fn ipv4(number: usize, value: &str) -> String {
    let name = format!("ipv4-addr--00000000-0000-4000-8000-{number:012}");
    format!(r#"{{"id":"{name}","spec_version":"2.1","type":"ipv4-addr","value":"{value}"}}"#)
}

impl Cert {
    pub(super) async fn objects_of(&self, collection: &str) -> Vec<String> {
        let answer = self.get(&format!("/taxii2/mithaq/collections/{collection}/objects/")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.ids()
    }

    /// What the reader of one collection gets of a path beside TAXII.
    pub(super) async fn streamed(&self, collection: &str, path: &str) -> Answer {
        let collections = self.node.collections.named(collection).into_iter().collect();
        let access = Access::new("uid:0", collections);
        let router = open(crate::local::siem::router(Arc::clone(&self.node), None), access);
        let request = Request::get(path).body(HttpBody::empty()).unwrap();
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text, json: serde_json::Value::Null }
    }

    /// Counts what the log brought for collections that ask for it.
    pub(super) fn count(&self) {
        crate::corroboration::count_all(&self.node).unwrap();
    }
}

#[tokio::test]
async fn each_collection_has_its_rule_its_id_and_its_name() {
    let cert = Cert::configured(1, None, TABLES);
    let listed = cert.get("/taxii2/mithaq/collections/").await.json;
    let listed = listed["collections"].as_array().unwrap();
    let names: Vec<_> = listed.iter().map(|collection| collection["alias"].as_str().unwrap()).collect();
    assert_eq!(names, ["default", "green", "ours", "seen", "urls"]);
    assert_eq!(listed[1]["title"], "What the community may see");
    cert.release(Tlp::Green, &[url(1, "a")]);
    cert.release(Tlp::Amber, &[indicator(2, "2020-01-01T00:00:00.000Z")]);
    cert.release_of(9, Tlp::Green, &[url(3, "b"), ipv4(4, "192.0.2.1")]);
    for (name, expect) in [("default", 4), ("green", 3), ("urls", 2), ("ours", 2), ("seen", 0)] {
        let by_name = cert.objects_of(name).await;
        let id = listed.iter().find(|collection| collection["alias"] == name).unwrap()["id"].as_str().unwrap();
        assert_eq!(by_name.len(), expect, "{name}: {by_name:?}");
        assert_eq!(by_name, cert.objects_of(id).await, "{name}");
    }
    let next = cert.get("/taxii2/mithaq/collections/default/objects/?limit=1").await.json["next"].clone();
    let elsewhere = format!("/taxii2/mithaq/collections/green/objects/?next={}", next.as_str().unwrap());
    cert.get(&elsewhere).await.is_error(400, "MQ-6007");
}

#[tokio::test]
async fn a_collection_that_the_reader_may_not_see_is_as_one_that_is_not_there() {
    let mut cert = Cert::configured(1, None, TABLES);
    cert.release(Tlp::Green, &[url(1, "a")]);
    let green = cert.node.collections.named("green").unwrap();
    let hidden = cert.node.collections.named("urls").unwrap().id.clone();
    let access = Access::new("token:x", vec![green]);
    cert.router = open(cert.bare_router(), access);
    let listed = cert.get("/taxii2/mithaq/collections/").await;
    assert_eq!(listed.json["collections"].as_array().unwrap().len(), 1);
    let id = "url--00000000-0000-4000-8000-000000000001";
    for path in ["", "objects/", "manifest/", &format!("objects/{id}/"), &format!("objects/{id}/versions/")] {
        let no_such = cert.get(&format!("/taxii2/mithaq/collections/nowhere/{path}")).await;
        no_such.is_error(404, "MQ-6008");
        for name in ["urls", "default", &hidden] {
            let answer = cert.get(&format!("/taxii2/mithaq/collections/{name}/{path}")).await;
            assert_eq!((answer.status, &answer.text), (no_such.status, &no_such.text), "{name}/{path}");
        }
    }
    let nothing = Access::new("token:y", Vec::new());
    cert.router = open(cert.bare_router(), nothing);
    let listed = cert.get("/taxii2/mithaq/collections/").await;
    assert_eq!((listed.status, listed.text.as_str()), (StatusCode::OK, "{}\n"));
}

#[tokio::test]
async fn what_enough_certs_have_seen_appears_from_then_on() {
    let cert = Cert::configured(1, None, TABLES);
    cert.release(Tlp::Green, &[ipv4(1, "192.0.2.1"), ipv4(2, "192.0.2.2")]);
    // The same again, of the same CERT: nobody else has seen it.
    cert.release(Tlp::Clear, &[ipv4(3, "192.0.2.1")]);
    // What the collection may not see counts for nothing.
    cert.release_of(9, Tlp::Red, &[ipv4(4, "192.0.2.2")]);
    cert.count();
    assert_eq!(cert.objects_of("seen").await.len(), 0);
    let page = cert.get("/taxii2/mithaq/collections/default/manifest/").await.json;
    let before = page["objects"].as_array().unwrap().last().unwrap()["date_added"].as_str().unwrap().to_owned();
    cert.release_of(9, Tlp::Amber, &[ipv4(5, "192.0.2.1")]);
    cert.count();
    let mut seen = cert.objects_of("seen").await;
    seen.sort();
    assert_eq!(seen.iter().map(|id| &id[id.len() - 1..]).collect::<Vec<_>>(), ["1", "3", "5"]);
    // A reader that was there before is shown all of them, the old ones too.
    let later = cert.get(&format!("/taxii2/mithaq/collections/seen/manifest/?added_after={before}")).await;
    assert_eq!(later.ids().len(), 3);
    let dates: Vec<_> = later.json["objects"].as_array().unwrap().iter().map(|row| row["date_added"].clone()).collect();
    assert!(dates.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()), "{dates:?}");
    // Counting again shows nothing twice, and the others see no row more.
    let head = cert.node.store.head();
    cert.count();
    assert_eq!((cert.node.store.head(), cert.objects_of("default").await.len()), (head, 4));
    // One more that carries the value is there at once.
    cert.release(Tlp::Green, &[ipv4(6, "192.0.2.1")]);
    cert.count();
    assert_eq!(cert.objects_of("seen").await.len(), 4);
}

/// Takes what a CERT has released of a content from our readers.
fn take_back(cert: &Cert, origin: CertId, content: ContentId) {
    for row in cert.node.store.rows_of(content).unwrap() {
        let (row, _, manifest) = cert.node.release_at(row).unwrap().unwrap();
        if manifest.origin == origin && manifest.kind.publishes() {
            standing::expire(&cert.node, row.release, vec![content], manifest.label, "over").unwrap();
        }
    }
}

#[tokio::test]
async fn what_all_took_back_comes_again_once_enough_publish_it_again() {
    let cert = Cert::configured(1, None, TABLES);
    let object = [ipv4(1, "192.0.2.1")];
    let content = Body::of(&Object::parse(object[0].as_bytes()).unwrap()).unwrap().id();
    let [us, other] = [cert.node.us, CertId::from_bytes([9; 32])];
    cert.release(Tlp::Green, &object);
    cert.release_of(9, Tlp::Green, &object);
    cert.count();
    // What one of two took back stays, and is not told anew when that one publishes it again.
    take_back(&cert, us, content);
    cert.release_at(Time::from_micros(NOW.as_micros() + 1), Tlp::Green, &object);
    cert.count();
    assert_eq!(cert.objects_of("seen").await.len(), 1);
    let mut told = cert.streamed("seen", "/v1/stream").await.text;
    assert_eq!(told.lines().count(), 1, "{told}");
    for second in 1..3 {
        let at = Time::from_micros(NOW.as_micros() + second * 1_000_000);
        let line: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        let cursor = line["cursor"].as_str().unwrap().to_owned();
        take_back(&cert, us, content);
        take_back(&cert, other, content);
        // Again by one alone: that is not enough.
        cert.release_at(at, Tlp::Green, &object);
        cert.count();
        assert_eq!(cert.objects_of("seen").await.len(), 0);
        cert.release_of_at(9, at, Tlp::Green, &object);
        cert.count();
        assert_eq!(cert.objects_of("seen").await.len(), 1);
        told = cert.streamed("seen", &format!("/v1/stream?cursor={cursor}")).await.text;
        let ops: Vec<_> = told.lines().map(|line| line.contains(r#""op":"put""#)).collect();
        assert_eq!(ops.last(), Some(&true), "{told}");
        assert_eq!(cert.streamed("seen", "/v1/stream").await.text.matches(r#""op":"put""#).count(), 1);
    }
}

#[tokio::test]
async fn two_stores_that_differ_in_hidden_objects_alone_answer_alike() {
    let [with, without] = [true, false].map(|hidden| {
        let cert = Cert::configured(1, None, TABLES);
        for number in 0..6 {
            if hidden {
                cert.release_of(9, Tlp::Red, &[ipv4(100 + number, "192.0.2.1"), url(200 + number, "hidden")]);
            }
            cert.release(Tlp::Amber, &[indicator(number, "2020-01-01T00:00:00.000Z"), url(10 + number, "x")]);
            if hidden {
                // Newer versions, and the same objects once more.
                let newer = indicator(number, "2020-01-02T00:00:00.000Z");
                cert.release_of(9, Tlp::Red, &[newer, url(10 + number, "x")]);
            }
        }
        cert.count();
        cert
    });
    // Times differ with the clock alone; the ids of collections go by the store, which is the same here.
    let times = |text: &str| {
        let mut parts: Vec<String> = text.split('"').map(str::to_owned).collect();
        for at in 0..parts.len() {
            let is_time = parts[at].len() == 27 && parts[at].starts_with("20") && parts[at].ends_with('Z');
            let is_place = at >= 2 && matches!(&*parts[at - 2], "next");
            if is_time || is_place {
                parts[at] = "…".into();
            }
        }
        parts.join("\"")
    };
    let id = id(1);
    for name in ["default", "green", "urls", "ours", "seen"] {
        for path in [
            "",
            "objects/?limit=3",
            "objects/",
            "manifest/?limit=1",
            "manifest/?match[version]=all",
            "objects/?match[type]=ipv4-addr",
            "objects/url--00000000-0000-4000-8000-000000000203/",
            "objects/ipv4-addr--00000000-0000-4000-8000-000000000103/versions/",
            &format!("objects/{id}/"),
            &format!("objects/{id}/versions/"),
            "objects/?limit=x",
        ] {
            let path = format!("/taxii2/mithaq/collections/{name}/{path}");
            let (left, right) = (with.get(&path).await, without.get(&path).await);
            assert_eq!((left.status, times(&left.text)), (right.status, times(&right.text)), "{path}");
            let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(names(&left), names(&right), "{path}");
        }
    }
}

#[tokio::test]
async fn streams_and_snapshots_tell_nothing_of_what_is_hidden() {
    let over = |number: usize| {
        let indicator = indicator(number, "2020-01-01T00:00:00.000Z");
        indicator.replace(r#""valid_from":"#, r#""valid_until":"2021-01-01T00:00:00Z","valid_from":"#)
    };
    let [with, without] = [true, false].map(|hidden| {
        let cert = Cert::configured(1, None, TABLES);
        for number in 0..4 {
            if hidden {
                cert.release_of(9, Tlp::Red, &[over(100 + number), url(200 + number, "hidden"), url(10 + number, "x")]);
            }
            cert.release(Tlp::Amber, &[over(number), url(10 + number, "x")]);
        }
        cert.count();
        crate::expiry::tell(&cert.node).unwrap();
        cert
    });
    // Cursors and `added` tell times, and releases are signed anew.
    let plain = |answer: &Answer| -> Vec<String> {
        let line = |line: &str| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            ["cursor", "added", "release"].iter().for_each(|name| drop(line.as_object_mut().unwrap().remove(*name)));
            line.to_string()
        };
        answer.text.lines().map(line).collect()
    };
    for name in ["default", "green", "urls", "ours", "seen"] {
        for path in ["/v1/stream", "/v1/stream?limit=1", "/v1/snapshot", "/v1/stream?cursor=end", "/v1/stream?limit=0"]
        {
            let (left, right) = (with.streamed(name, path).await, without.streamed(name, path).await);
            assert_eq!((left.status, plain(&left)), (right.status, plain(&right)), "{name} {path}");
            let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(names(&left), names(&right), "{name} {path}");
        }
    }
    let told = with.streamed("default", "/v1/stream").await.text;
    assert_eq!((told.matches(r#""op":"put""#).count(), told.matches(r#""op":"expire""#).count()), (8, 4));
    assert_eq!(with.streamed("urls", "/v1/snapshot").await.text.lines().count(), 5);
    assert_eq!(with.streamed("default", "/v1/snapshot").await.text.lines().count(), 5);
    // Telling again tells nothing twice.
    let head = with.node.store.head();
    crate::expiry::tell(&with.node).unwrap();
    assert_eq!(with.node.store.head(), head);
    // Each line's cursor goes on right behind it.
    let lines: Vec<&str> = told.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let path = format!("/v1/stream?cursor={}", line["cursor"].as_str().unwrap());
        let rest = with.streamed("default", &path).await.text;
        assert_eq!(rest.lines().collect::<Vec<_>>(), lines[number + 1..], "behind line {number}");
    }
}

#[tokio::test]
async fn a_cursor_that_is_made_up_tells_nothing_of_what_is_hidden() {
    let [with, without] = [true, false].map(|hidden| {
        let cert = Cert::configured(1, None, TABLES);
        cert.release(Tlp::Green, &[url(1, "a"), url(2, "b")]);
        if hidden {
            cert.release(Tlp::Red, &[url(3, "c"), url(4, "d"), url(5, "e")]);
        }
        cert
    });
    let told = with.streamed("default", "/v1/stream").await.text;
    let line: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let cursor = line["cursor"].as_str().unwrap();
    let [tag, time, _] = cursor.split('-').collect::<Vec<_>>()[..] else { panic!("{cursor}") };
    let time: i64 = time.parse().unwrap();
    assert_eq!(without.streamed("default", &format!("/v1/stream?cursor={cursor}")).await.status, StatusCode::OK);
    let last = with.node.store.log(1, 1).unwrap()[0].added_at.as_micros();
    // Between the rows, inside the last one, and behind it.
    for made_up in [time + 1, last - 1, last + 1, last + 9] {
        for path in [format!("/v1/stream?cursor={tag}-{made_up}-0"), format!("/v1/stream?cursor={tag}-{made_up}-7")] {
            let (left, right) = (with.streamed("default", &path).await, without.streamed("default", &path).await);
            assert_eq!((left.status, &left.text), (right.status, &right.text), "{path}");
        }
    }
    // One before what the reader is shown is as good as one of a row that was lost.
    let path = format!("/v1/stream?cursor={tag}-{}-0", time - 1);
    assert_eq!(with.streamed("default", &path).await.text.lines().count(), 2);
}

#[tokio::test]
async fn exports_of_two_stores_that_differ_in_hidden_objects_alone_are_alike() {
    use mithaq_api::export::ExportFormat::{Csv, MispFeed, SplunkCsv, StixBundle, SuricataIprep};
    let pattern =
        |number: usize, value: &str| indicator(number, "2020-01-01T00:00:00.000Z").replace("a.example", value);
    let [with, without] = [true, false].map(|hidden| {
        let cert = Cert::configured(1, None, TABLES);
        for number in 0..4 {
            if hidden {
                cert.release_of(
                    9,
                    Tlp::Red,
                    &[pattern(100 + number, "hidden.example"), pattern(200 + number, "x.example")],
                );
            }
            cert.release(
                Tlp::Amber,
                &[pattern(number, "x.example"), pattern(10 + number, &format!("{number}.example"))],
            );
            if hidden {
                let newer = pattern(number, "y.example").replace("\"modified\":\"2020", "\"modified\":\"2021");
                cert.release_of(9, Tlp::Red, &[newer]);
            }
        }
        cert
    });
    for format in [Csv, MispFeed, SplunkCsv, StixBundle, SuricataIprep] {
        for name in ["default", "green", "urls", "ours"] {
            let (left, right) = (with.exported(format, name).await, without.exported(format, name).await);
            assert_eq!(left, right, "{format:?} {name}");
        }
    }
    assert!(with.exported(Csv, "default").await.contains("x.example"));
}

#[tokio::test]
async fn deliveries_are_noted_by_reader_and_collection() {
    let cert = Cert::configured(1, None, TABLES);
    cert.release(Tlp::Green, &indicators(0..3));
    cert.objects_of("default").await;
    cert.objects_of("green").await;
    cert.objects_of("green").await;
    let rows = cert.node.collections.deliveries.list();
    let told: Vec<_> = rows.iter().map(|row| (row.collection.as_str(), row.answers, row.objects)).collect();
    assert_eq!(told, [("default", 1, 3), ("green", 2, 6)]);
    assert!(rows.iter().all(|row| row.reader == "uid:0" && row.up_to.is_some()));
}
