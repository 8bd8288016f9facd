#!/usr/bin/env python3
"""Checks the vectors beside this file with nothing of Mithaq's own code.

Needs Python 3.9 and its standard library. Ed25519 signatures are checked if the package `cryptography` is there;
otherwise the last line says that they were not.
"""
import base64
import hashlib
import json
import pathlib
import sys

import sketches

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
except ImportError:
    Ed25519PrivateKey = None

HERE = pathlib.Path(__file__).parent


def load(name):
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def same(found, expected, what):
    if found != expected:
        sys.exit(f"FAILED: {what}\n  found    {found!r}\n  expected {expected!r}")


# --- Strict JSON and its canonical form (RFC 7493, RFC 8785) ---


def members(pairs):
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


def integer(token):
    if token != "-0" and abs(int(token)) > 2**53 - 1:
        raise ValueError("an integer that readers round")
    return int(token)


def real(token):
    value = float(token)
    if value in (float("inf"), float("-inf")) or 2**53 <= abs(value) < 1e21:
        raise ValueError("a number that readers round or cannot hold")
    return value


def refuse(token):
    raise ValueError(token)


def parse(text):
    value = json.loads(text, object_pairs_hook=members, parse_int=integer, parse_float=real, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair fails here
    return value


def number(value):
    """The number as ECMAScript writes it."""
    if value == 0:
        return "0"
    if value < 0:
        return "-" + number(-value)
    if isinstance(value, int):
        return str(value)
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0").rstrip("0")
    leading = len(fraction) - len((whole + fraction).lstrip("0"))
    point = int(exponent or 0) - leading  # the value is 0.digits times ten to the power of point
    if 0 < point <= 21:
        return digits.ljust(point, "0") if len(digits) <= point else digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    return digits[0] + ("." + digits[1:] if digits[1:] else "") + f"e{point - 1:+d}"


def canonical(value):
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


# --- Signatures, trees and codes ---


def pae(payload_type, payload):
    payload_type, payload = payload_type.encode(), payload.encode()
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type, len(payload), payload)


def check_document(document):
    payload = document["payload"]
    same(canonical(parse(payload)), payload, "payload in canonical form")
    signed = pae(document["type"], payload)
    same(signed.hex(), document["pae"], "pre-authentication encoding")
    if Ed25519PrivateKey:
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(document["seed"]))
        same(key.public_key().public_bytes_raw().hex(), document["public"], "public key of the seed")
        same(key.sign(signed).hex(), document["signature"], "signature")
        key.public_key().verify(bytes.fromhex(document["signature"]), signed)
    return parse(payload)


def check_envelope(envelope, documents):
    document = documents[0]
    same(envelope["payloadType"], document["type"], "type of the envelope")
    same(base64.b64decode(envelope["payload"]).decode(), document["payload"], "payload of the envelope")
    expected = [(key_id(doc["public"]), doc["signature"]) for doc in documents]
    found = [(entry["keyid"], base64.b64decode(entry["sig"]).hex()) for entry in envelope["signatures"]]
    same(found, expected, "signatures of the envelope")


STATEMENT_SCHEMAS = {
    "termination": "mithaq-termination/1",
    "attestation": "mithaq-purge/1",
    "consent_request": "mithaq-consent-request/1",
    "consent": "mithaq-consent/1",
}


def check_agreement(agreement):
    says = [check_document(document) for document in agreement["signatures"]][0]
    same(sha256(agreement["signatures"][0]["payload"].encode()).hex(), agreement["agreement_id"], "agreement id")
    certs = [party["cert"] for party in says["parties"]]
    same(sorted(set(certs)), certs, "order of the parties")
    check_envelope(agreement["envelope"], agreement["signatures"])
    return says


def key_id(public):
    return sha256(bytes.fromhex(public)).hex()


def counts(card, key, at):
    """Whether a signing key of a card counts at a time; times have one form, so they compare as text."""
    since = {entry["key"]: entry["since"] for entry in card.get("revoked_keys", [])}.get(key, "9999")
    return any(key_id(dated["public"]) == key and dated["not_before"] <= at <= dated["not_after"] and at < since
               for dated in card["signing_keys"])


def tree(leaves):
    """The Merkle tree hash of RFC 6962, section 2.1."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return sha256(b"\0", leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", tree(leaves[:split]), tree(leaves[split:]))


def inclusion(leaves, index):
    """The audit path of RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return inclusion(leaves[:split], index) + [tree(leaves[split:])]
    return inclusion(leaves[split:], index - split) + [tree(leaves[:split])]


def consistency(leaves, old, is_known=True):
    """The consistency proof of RFC 6962, section 2.1.2; none is needed to go on from an empty tree."""
    if old == 0:
        return []
    if old == len(leaves):
        return [] if is_known else [tree(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return consistency(leaves[:split], old, is_known) + [tree(leaves[split:])]
    return consistency(leaves[split:], old - split, False) + [tree(leaves[:split])]


def hexed(hashes):
    return [one.hex() for one in hashes]


# --- Signed notes: checkpoints and cosignatures (C2SP signed-note, tlog-checkpoint, tlog-cosignature) ---


def signature_line(signer, kind, signed, prefix=b""):
    """The line under a note that `signer` writes, or None if nothing here can sign."""
    name, public = signer["cert_id"], bytes.fromhex(signer["public"])
    if not Ed25519PrivateKey:
        return None
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(signer["seed"]))
    key_hash = sha256(name.encode(), b"\n", bytes([kind]), public)[:4]
    blob = key_hash + prefix + key.sign(signed.encode())
    return f"\u2014 {name} {base64.b64encode(blob).decode()}"


def check_checkpoint(note, signer):
    """Checks the first signature of a checkpoint; gives its lines and all signature lines."""
    text, _, signatures = note.rpartition("\n\n")
    text, signatures = text + "\n", signatures.rstrip("\n").split("\n")
    expected = signature_line(signer, 1, text)
    if expected:
        same(signatures[0], expected, "signature of the checkpoint")
    origin, size, root, at = text.rstrip("\n").split("\n")
    same(origin.split("/")[:2], ["mithaq.ledger", signer["cert_id"]], "origin of the checkpoint")
    return {"text": text, "size": int(size), "root": base64.b64decode(root), "at": at, "signatures": signatures}


def check_ledger(ledger):
    leaves = [entry.encode() for entry in ledger["entries"]]
    for entry in ledger["entries"]:
        same(canonical(parse(entry)), entry, "entry in canonical form")
    same(hexed(tree(leaves[:size]) for size in range(len(leaves) + 1)), ledger["roots"], "roots of the ledger")
    for index, path in enumerate(ledger["inclusion"]):
        same(hexed(inclusion(leaves, index)), path, f"inclusion proof of entry {index}")
    for old, proof in enumerate(ledger["consistency"]):
        same(hexed(consistency(leaves, old)), proof, f"consistency proof from {old} entries")

    head = check_checkpoint(ledger["note"], ledger["signer"])
    same(head["text"], ledger["text"], "text of the checkpoint")
    same((head["size"], head["root"]), (len(leaves), tree(leaves)), "size and root of the checkpoint")
    seconds = ledger["cosigned_at"]
    signed = f"cosignature/v1\ntime {seconds}\n{head['text']}"
    expected = signature_line(ledger["cosigner"], 4, signed, seconds.to_bytes(8, "big"))
    if expected:
        same(head["signatures"][1], expected, "cosignature")

    # 7 entries fall into subtrees of 4, 2 and 1.
    peaks = [tree(leaves[:4]), tree(leaves[4:6]), tree(leaves[6:])]
    same((7).to_bytes(8, "big").hex() + "".join(hexed(peaks)), ledger["frontier"], "frontier")


def check_local_ledger(ledger):
    heads = parse(ledger["heads"])
    same(canonical(heads), ledger["heads"], "heads in canonical form")
    same(sorted(heads, key=lambda head: (head["peer"], head["store"])), heads, "order of the heads")
    head = check_checkpoint(ledger["note"], ledger["signer"])
    leaves = [canonical(head).encode() for head in heads]
    same((head["size"], head["root"]), (len(leaves), tree(leaves)), "size and root of the local ledger")


def check_evidence(vectors):
    for found in vectors["found"]:
        evidence = parse(found["text"])
        same(canonical(evidence) + "\n", found["text"], "evidence in canonical form")
        earlier, later = [check_checkpoint(exhibit["signed"], vectors["signer"]) for exhibit in evidence["exhibits"]]
        same(earlier["text"].split("\n")[0], later["text"].split("\n")[0], "origins of the two checkpoints")
        if evidence["kind"] == "checkpoint-fork":
            holds = earlier["size"] == later["size"] and earlier["root"] != later["root"]
        else:
            holds = earlier["at"] < later["at"] and earlier["size"] > later["size"]
        same(holds, True, evidence["kind"])
        documents = sorted(sha256(canonical(exhibit).encode()) for exhibit in evidence["exhibits"])
        name = f"{evidence['kind']}-{evidence['accused'][:8]}-{sha256(*documents)[:8].hex()}"
        same(name, found["name"], "name of the evidence")


DAMM = [[int(digit) for digit in row] for row in (
    "0317598642 7092154863 4206871359 1750983426 6123045978 3674209581 5869720134 8945362017 9438617205 2581436790"
).split()]


def pairing_group(low, high, agreement, index):
    digest = sha256(b"mithaq-pairing/1\0", low, high, agreement, bytes([index]))
    digits = f"{int.from_bytes(digest[:8], 'big') % 10_000:04}"
    check = 0
    for digit in digits:
        check = DAMM[check][int(digit)]
    return digits + str(check)


def main():
    vectors = load("canonical.json")
    for case in vectors["accepted"]:
        found = canonical(parse(case["input"]))
        same(found, case["canonical"], case["name"])
        same(sha256(found.encode()).hex(), case["sha256"], case["name"])
    for case in vectors["refused"]:
        try:
            parse(case["input"])
        except ValueError:
            continue
        sys.exit(f"FAILED: {case['name']} must be refused: {case['input']}")

    for case in load("content-id.json"):
        found = canonical(parse(case["input"]))
        same(found, case["canonical"], case["name"])
        same(sha256(found.encode()).hex(), case["content_id"], case["name"])

    for case in load("pae.json"):
        same(pae(case["type"], case["payload"]).hex(), case["pae"], "pre-authentication encoding")

    for case in load("tree.json"):
        leaves = [sha256(n.to_bytes(4, "big")) for n in range(case["size"])]
        same(tree(leaves).hex(), case["root"], f"tree of {case['size']} leaves")

    for name in ("card.json", "card-revoked.json"):
        card = load(name)
        says = check_document(card)
        same(says["root"], card["public"], "root key of the card")
        same(key_id(says["root"]), card["cert_id"], "id of the CERT")
        check_envelope(card["envelope"], [card])
        revoked = [entry["key"] for entry in says.get("revoked_keys", [])]
        same(sorted(set(revoked)), revoked, "order of the revoked keys")
        for case in card.get("signing_keys", []):
            same(counts(says, case["key"], case["at"]), case["counts"], f"key {case['key']} at {case['at']}")

    agreement = load("agreement.json")
    says = check_agreement(agreement)
    same([flow["from"] for flow in says["flows"]], [party["cert"] for party in says["parties"]], "flows of two")
    says = check_agreement(agreement["group"])
    same(["from" in flow for flow in says["flows"]], [False], "the one flow of a group")
    same(1 <= says["group"]["threshold"] <= len(says["parties"]), True, "threshold of the group")
    for name, statement in agreement["statements"].items():
        says = check_document(statement)
        check_envelope(statement["envelope"], [statement])
        same(says["schema"], STATEMENT_SCHEMAS[name], f"schema of the {name}")
        if "agreement" in says:
            same(says["agreement"], agreement["agreement_id"], f"agreement of the {name}")

    alike = [sha256(line) for line in (HERE / "alike.jsonl").read_bytes().splitlines()]
    same((len(set(alike)), len({content[:8] for content in alike})), (2, 1), "contents of one prefix")

    release = load("release.json")
    says = check_document(release)
    contents = [bytes.fromhex(content) for content in release["contents"]]
    same(sorted(set(contents)), contents, "order of the content ids")
    same(says["objects"], len(contents), "number of objects")
    same(says["tree"], tree(contents).hex(), "tree hash of the release")
    same(says["key"], key_id(release["public"]), "key of the release")
    same(sha256(release["payload"].encode()).hex(), release["release_id"], "release id")

    check_ledger(load("ledger.json"))
    check_local_ledger(load("local-ledger.json"))
    check_evidence(load("evidence.json"))

    sketches.check_vectors(load("sketch.json"), same)

    receipt = load("receipt.json")
    says = check_document(receipt)
    same({"receipt": says, "signature": receipt["signature"]}, receipt["whole"], "receipt as it rests")
    same(says["key"], key_id(receipt["public"]), "key of the receipt")
    same(says["entries"], sorted(says["entries"]), "order of the receipt's entries")

    for case in load("pairing.json"):
        low, high = sorted(bytes.fromhex(key_id(root)) for root in case["roots"])
        agreement_id = bytes.fromhex(case["agreement_id"])
        groups = [pairing_group(low, high, agreement_id, index) for index in range(12)]
        same(groups, case["groups"], "pairing code")

    print("all vectors hold" if Ed25519PrivateKey else
          "all other vectors hold, BUT SIGNATURES WERE NOT CHECKED: install the Python package `cryptography`")


if __name__ == "__main__":
    main()
