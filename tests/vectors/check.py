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


def key_id(public):
    return sha256(bytes.fromhex(public)).hex()


def tree(leaves):
    """The Merkle tree hash of RFC 6962, section 2.1."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return sha256(b"\0", leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", tree(leaves[:split]), tree(leaves[split:]))


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

    card = load("card.json")
    says = check_document(card)
    same(says["root"], card["public"], "root key of the card")
    same(key_id(says["root"]), card["cert_id"], "id of the CERT")
    check_envelope(card["envelope"], [card])

    agreement = load("agreement.json")
    says = [check_document(document) for document in agreement["signatures"]][0]
    same(sha256(agreement["signatures"][0]["payload"].encode()).hex(), agreement["agreement_id"], "agreement id")
    same(sorted(says["parties"]), says["parties"], "order of the parties")
    check_envelope(agreement["envelope"], agreement["signatures"])

    release = load("release.json")
    says = check_document(release)
    contents = [bytes.fromhex(content) for content in release["contents"]]
    same(sorted(set(contents)), contents, "order of the content ids")
    same(says["objects"], len(contents), "number of objects")
    same(says["tree"], tree(contents).hex(), "tree hash of the release")
    same(says["key"], key_id(release["public"]), "key of the release")
    same(sha256(release["payload"].encode()).hex(), release["release_id"], "release id")

    for case in load("pairing.json"):
        low, high = sorted(bytes.fromhex(key_id(root)) for root in case["roots"])
        agreement_id = bytes.fromhex(case["agreement_id"])
        groups = [pairing_group(low, high, agreement_id, index) for index in range(12)]
        same(groups, case["groups"], "pairing code")

    print("all vectors hold" if Ed25519PrivateKey else
          "all other vectors hold, BUT SIGNATURES WERE NOT CHECKED: install the Python package `cryptography`")


if __name__ == "__main__":
    main()
