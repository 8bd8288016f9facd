//! What third parties do with a proof or a piece of evidence: tried on the committed vectors, without a daemon.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Nobody is paired here.
mod support;

use std::fs;

use serde_json::{Value, json};
use support::Cert;

fn vector(name: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A folder with the cards of both CERTs of the vectors.
fn folder(vector: &Value) -> Cert {
    let folder = Cert::nowhere();
    for who in ["signer", "cosigner"] {
        fs::write(folder.file(&format!("{who}.json")), vector[who]["card"].to_string()).unwrap();
    }
    folder
}

/// The proof of an entry of the ledger of the vectors.
fn proof(ledger: &Value, index: usize) -> Value {
    let size = ledger["entries"].as_array().unwrap().len();
    json!({
        "schema": "mithaq-ledger-proof/1",
        "peer": "cn",
        "index": index,
        "entry": ledger["entries"][index],
        "size": size,
        "root": ledger["roots"][size],
        "path": ledger["inclusion"][index],
        "checkpoint": ledger["note"],
    })
}

/// Checks a proof with both cards: the exit status and what was printed.
fn check(folder: &Cert, proof: &Value) -> (u8, String) {
    let (file, card, peer) = (folder.file("proof.json"), folder.file("signer.json"), folder.file("cosigner.json"));
    fs::write(&file, proof.to_string()).unwrap();
    let run = folder.run(&["ledger", "check-proof", &file, "--card", &card, "--peer-card", &peer, "--json"]);
    (run.exit, run.out)
}

#[test]
fn a_proof_is_checked_with_cards_alone() {
    let ledger = vector("ledger.json");
    let folder = folder(&ledger);
    for index in 0..7 {
        let (exit, out) = check(&folder, &proof(&ledger, index));
        let said: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((exit, &said["ok"], &said["index"]), (0, &json!(true), &json!(index)), "{out}");
        assert_eq!(said["to"], ledger["cosigner"]["cert_id"]);
        assert!(said["cosigned_at"].is_string());
        assert_eq!(said["entry"].to_string(), ledger["entries"][index].as_str().unwrap());
    }
    let (file, card) = (folder.file("proof.json"), folder.file("signer.json"));
    let run = folder.run(&["ledger", "check-proof", &file, "--card", &card]);
    assert!(run.exit == 0 && run.out.starts_with("proven: entry 6 of 7 in the ledger of "), "{}{}", run.out, run.err);
    assert!(run.out.ends_with("no cosignature of the peer was checked\n"), "{}", run.out);
}

#[test]
fn a_proof_that_was_changed_is_refused() {
    let ledger = vector("ledger.json");
    let folder = folder(&ledger);
    let check = |name: &str, value: Value| {
        let mut proof = proof(&ledger, 3);
        assert_ne!(proof[name], value);
        proof[name] = value;
        assert_eq!(check(&folder, &proof).0, 5, "{name}");
    };
    check("schema", json!("mithaq-ledger-proof/2"));
    check("index", json!(2));
    check("size", json!(6));
    check("root", ledger["roots"][6].clone());
    check("entry", ledger["entries"][2].clone());
    check("entry", json!(ledger["entries"][3].as_str().unwrap().replace("held", "applied")));
    check("path", json!([]));
    check("extra", json!(1));
    let note = ledger["note"].as_str().unwrap();
    check("checkpoint", json!(note.replacen("\n7\n", "\n8\n", 1)));
    let (head, cosignature) = note.trim_end().rsplit_once(' ').unwrap();
    let middle = cosignature.len() / 2;
    let other = if cosignature.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let changed = [&cosignature[..middle], other, &cosignature[middle + 1..]].concat();
    check("checkpoint", json!(format!("{head} {changed}\n")));

    fs::write(folder.file("signer.json"), ledger["cosigner"]["card"].to_string()).unwrap();
    assert_eq!(self::check(&folder, &proof(&ledger, 3)).0, 5, "another CERT's card");
}

#[test]
fn evidence_is_listed_exported_and_checked_by_others() {
    let vectors = vector("evidence.json");
    let cert = Cert::new("Qatar", "QA");
    let card = cert.file("their-card.json");
    fs::write(&card, vectors["signer"]["card"].to_string()).unwrap();
    assert_eq!(cert.run(&["evidence", "list"]).err, "no contradicting documents were noticed\n");
    let kept = cert.home().dir().join("evidence");
    fs::create_dir(&kept).unwrap();
    for found in vectors["found"].as_array().unwrap() {
        let file = kept.join(format!("{}.json", found["name"].as_str().unwrap()));
        fs::write(file, found["text"].as_str().unwrap()).unwrap();
    }
    let listed = cert.ok(&["evidence", "list"]);
    assert_eq!(listed.matches("cannot be checked here").count(), 2, "{listed}");
    cert.ok(&["peer", "add", "pk", &card]);
    let listed = cert.ok(&["evidence", "list", "--json"]);
    let lines: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["kind"], &lines[0]["cert"]), (&json!("checkpoint-fork"), &json!("pk")));
    assert_eq!((&lines[1]["kind"], &lines[1]["proven"]), (&json!("ledger-rollback"), &json!(true)));

    let out = cert.file("fork.json");
    cert.ok(&["evidence", "export", lines[0]["name"].as_str().unwrap(), "--out", &out]);
    let elsewhere = Cert::nowhere();
    let said = elsewhere.ok(&["evidence", "verify", &out, "--card", &card]);
    assert!(said.contains("signed two different histories of its ledger"), "{said}");
    assert_eq!(elsewhere.run(&["evidence", "verify", &out, "--card", &cert.card()]).exit, 5, "another CERT's card");
    let changed = fs::read_to_string(&out).unwrap().replace("checkpoint-fork", "ledger-rollback");
    fs::write(&out, changed).unwrap();
    let run = elsewhere.run(&["evidence", "verify", &out, "--card", &card]);
    assert!(run.exit == 5 && run.err.contains("MQ-4016"), "{}", run.err);

    for name in ["nothing", "../card", "", "a/../../card"] {
        assert_eq!(cert.run(&["evidence", "export", name, "--out", &out]).exit, 6, "{name}");
    }
    fs::write(kept.join("rubbish.json"), "{}").unwrap();
    let run = cert.run(&["evidence", "list"]);
    assert!(run.exit == 0 && run.err.starts_with("rubbish: "), "{}", run.err);
}
