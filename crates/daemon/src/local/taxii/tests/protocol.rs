//! Paths, methods, media types, errors, the socket's alias and the token.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;
use crate::local::token::{self, TokenFile};

#[tokio::test]
async fn a_client_finds_its_way_from_discovery() {
    let cert = Cert::new(1);
    let discovery = cert.get("/taxii2/").await;
    assert_eq!(discovery.header("content-type"), "application/taxii+json;version=2.1");
    assert_eq!(discovery.json["default"], discovery.json["api_roots"][0]);
    assert_eq!(discovery.json["title"], "CERT of Testland (Mithaq)");
    assert_eq!(discovery.json["contact"], "soc@cert.example");
    let root = cert.get("/taxii2/mithaq/").await.json;
    assert_eq!(root["versions"], serde_json::json!(["application/taxii+json;version=2.1"]));
    assert!(root["max_content_length"].as_u64().unwrap() > 0);
    let path = cert.collection().await;
    let collection = cert.get(&path).await.json;
    assert_eq!((&collection["can_read"], &collection["can_write"]), (&true.into(), &false.into()));
    assert_eq!(collection, cert.get("/taxii2/mithaq/collections/default/").await.json);
    assert_eq!(
        collection,
        cert.get(&path.to_uppercase().replace("/TAXII2/MITHAQ/COLLECTIONS", "/taxii2/mithaq/collections")).await.json
    );
}

#[tokio::test]
async fn the_collections_id_is_a_uuid_that_lasts_as_long_as_the_store() {
    let id = |path: String| path.split('/').nth(4).unwrap().to_owned();
    let (a, again, b) = (Cert::new(1), Cert::new(1), Cert::new(2));
    let (a, again, b) = (id(a.collection().await), id(again.collection().await), id(b.collection().await));
    assert_eq!(a, again);
    assert_ne!(a, b);
    for id in [a, b] {
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(id[14..].starts_with('4') && "89ab".contains(&id[19..20]), "{id}");
    }
}

#[tokio::test]
async fn paths_work_with_and_without_their_slash() {
    let cert = Cert::new(1);
    cert.release(Tlp::Clear, &indicators(0..2));
    let path = cert.collection().await;
    let object = format!("{path}objects/{}/", id(0));
    for path in ["/taxii2/", "/taxii2/mithaq/", "/taxii2/mithaq/collections/", &path, &object] {
        let (with, without) = (cert.get(path).await, cert.get(path.trim_end_matches('/')).await);
        assert_eq!((with.status, &with.text), (StatusCode::OK, &without.text), "{path}");
    }
    for listing in ["objects", "manifest", &format!("objects/{}/versions", id(0))] {
        let (with, without) =
            (cert.page(&format!("{listing}/?limit=1")).await, cert.page(&format!("{listing}?limit=1")).await);
        assert_eq!(with.text, without.text, "{listing}");
    }
}

#[tokio::test]
async fn other_paths_and_other_media_types_are_refused() {
    let cert = Cert::new(1);
    let path = cert.collection().await;
    for path in [
        "/",
        "/taxii2/other/",
        "/taxii2/mithaq/status/2d086da7-4bdc-4f91-900e-d77486753710/",
        "/taxii2/mithaq/collections/91a7b528-80eb-42ed-a74d-c6fbd5a26116/objects/",
        "/taxii2/mithaq/collections/%ff/objects/",
        &format!("{path}objects/%00/"),
        &format!("{path}objects/indicator/"),
        &format!("{path}objects/{}/versions/", id(1)),
        &format!("{path}nothing/"),
    ] {
        cert.get(path).await.is_error(404, "MQ-6008");
    }
    for path in ["/taxii2/", "/taxii2/mithaq/", &path, &format!("{path}objects/")] {
        for accept in [None, Some("*/*"), Some("text/html, application/taxii+json")] {
            assert_eq!(cert.send(Method::GET, path, accept).await.status, StatusCode::OK, "{path} {accept:?}");
        }
        cert.send(Method::GET, path, Some("application/json")).await.is_error(406, "MQ-6022");
    }
}

#[tokio::test]
async fn nothing_can_be_written() {
    let cert = Cert::new(1);
    let path = cert.collection().await;
    for path in [format!("{path}objects/"), format!("{path}objects"), format!("{path}objects/{}/", id(0)), path] {
        for method in [Method::POST, Method::DELETE, Method::PUT, Method::PATCH] {
            let answer = cert.send(method, &path, Some("text/html")).await;
            answer.is_error(405, "MQ-6009");
            assert_eq!(answer.header("allow"), "GET, HEAD");
        }
    }
}

#[tokio::test]
async fn malformed_parameters_and_foreign_cursors_are_refused() {
    let (cert, other) = (Cert::new(1), Cert::new(2));
    for cert in [&cert, &other] {
        cert.release(Tlp::Clear, &indicators(0..2));
    }
    let path = cert.collection().await;
    let object = format!("objects/{}/", id(0));
    for listing in ["objects/", "manifest/", &object, &format!("{object}versions/")] {
        for query in
            ["limit=0", "limit=x", "added_after=x", "next=x", "match[version]=x", "match[type]=", "match[id]=x"]
        {
            cert.get(&format!("{path}{listing}?{query}")).await.is_error(400, "MQ-6006");
        }
        let next = other.page("objects/?limit=1").await.json["next"].as_str().unwrap().to_owned();
        let answer = cert.get(&format!("{path}{listing}?next={next}")).await;
        answer.is_error(400, "MQ-6007");
        assert!(answer.json["description"].as_str().unwrap().contains("start again"), "{}", answer.text);
        assert_eq!(cert.get(&format!("{path}{listing}?colour=blue&limit=1")).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn next_outlives_a_restart() {
    let (before, after) = (Cert::new(1), Cert::new(1));
    for cert in [&before, &after] {
        cert.release(Tlp::Clear, &indicators(0..5));
    }
    let first = before.page("objects/?limit=2").await;
    let rest = after.pages(&format!("objects/?next={}", first.json["next"].as_str().unwrap())).await;
    let mut ids = [first.ids(), ids_of(&rest)].concat();
    ids.sort_unstable();
    assert_eq!(ids, (0..5).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_sockets_own_path_is_an_alias_of_its_objects() {
    let cert = Cert::with_socket(1, Some(Path::new("/run/ميثاق {1}/100%/default.sock")));
    cert.release(Tlp::Clear, &indicators(0..2));
    let objects = cert.page("objects/?limit=1").await.text;
    let encoded = "/run/%D9%85%D9%8A%D8%AB%D8%A7%D9%82%20%7B1%7D/100%25/default.sock";
    for path in
        [encoded.to_owned(), format!("{encoded}/"), encoded.replace("%25", "%"), encoded.replace("sock", "%73ock")]
    {
        let answer = cert.get(&format!("{path}?limit=1")).await;
        assert_eq!((answer.status, answer.text), (StatusCode::OK, objects.clone()), "{path}");
    }
    cert.send(Method::GET, encoded, Some("text/html")).await.is_error(406, "MQ-6022");
    cert.send(Method::POST, encoded, None).await.is_error(405, "MQ-6009");
    cert.get(&format!("{encoded}/x")).await.is_error(404, "MQ-6008");
    cert.get(&format!("{encoded}//")).await.is_error(404, "MQ-6008");
    Cert::new(1).get(encoded).await.is_error(404, "MQ-6008");
}

#[tokio::test]
async fn the_token_opens_every_path_and_nothing_else_does() {
    let mut cert = Cert::new(1);
    let secret = "0123456789abcdef0123456789abcdef";
    let file = cert._home.path().join("token");
    create_file(&file, format!("{secret}\n").as_bytes(), 0o600).unwrap();
    cert.router = token::guard(cert.bare_router(), Arc::clone(&cert.node), TokenFile::open(file).unwrap());
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let good = [
        format!("Bearer {secret}"),
        format!("bearer  {secret} "),
        basic(&format!("siem:{secret}")),
        basic(&format!(":{secret}")),
    ];
    let bad = [
        String::new(),
        secret.into(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Bearer {secret}0"),
        format!("Basic {secret}"),
        basic(secret),
        basic(&format!("{secret}:")),
        basic(&format!("siem:x:{secret}")),
        format!("Digest {secret}"),
    ];
    for (value, status) in good.iter().map(|value| (value, 200)).chain(bad.iter().map(|value| (value, 401))) {
        let request = Request::get("/taxii2/").header(header::AUTHORIZATION, value);
        let response = cert.router.clone().oneshot(request.body(HttpBody::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{value}");
    }
    for path in ["/taxii2/", "/nothing", "/taxii2/mithaq/collections/x/objects/"] {
        let answer = cert.get(path).await;
        let told = if path.starts_with("/taxii2/") { "error_code" } else { "code" };
        assert_eq!((answer.status, &answer.json[told]), (StatusCode::UNAUTHORIZED, &"MQ-6010".into()));
        assert_eq!(answer.header("www-authenticate"), r#"Basic realm="mithaq", Bearer"#);
    }
}
