"""What is signed, as it travels in the peer protocol: section 10 of docs/PROTOCOL.md, and the notes of docs/LEDGER.md.

Signatures are checked with the package `cryptography`; without it they are counted in `frames.skipped`.
"""
import base64
import datetime
import functools
import re

from check import canonical, counts, key_id, pae, parse, sha256
from frames import Violation, need, skipped

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey = None

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
MARKING = re.compile(r"marking-definition--[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


# --- Shapes: of each member, whether a value may stand there ---


def when(time):
    """A time in microseconds since the Unix epoch."""
    parsed = datetime.datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    return (parsed - EPOCH) // datetime.timedelta(microseconds=1)


def written(micros):
    return (EPOCH + datetime.timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_time(value):
    return isinstance(value, str) and written(when(value)) == value


def is_text(most, unsafe=UNSAFE):
    return lambda value: isinstance(value, str) and len(value.encode()) <= most and not unsafe.search(value)


def is_like(pattern):
    return lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value))


def is_number(value):
    return type(value) is int and 0 <= value < 2**53


def one_of(*values):
    return lambda value: any(type(value) is type(one) and value == one for one in values)


def list_of(shape, least=0, most=64, order=None):
    """A list; with an `order` it is a set, and ascends by that."""
    def check(value):
        fits = isinstance(value, list) and least <= len(value) <= most and all(map(shape, value))
        keys = [order(member) for member in value] if fits and order else []
        return fits and all(one < other for one, other in zip(keys, keys[1:]))
    return check


def shaped(members, optional=None):
    """An object with these members, and perhaps the optional ones."""
    every = {**members, **(optional or {})}

    def check(value):
        need(isinstance(value, dict) and members.keys() <= value.keys() <= every.keys(), "not the listed members")
        for name, member in value.items():
            need(every[name](member), f"{name} is {str(member)[:60]!r}")
        return True
    return check


def itself(value):
    return value


is_id = is_like("[0-9a-f]{64}")
is_bool = one_of(True, False)
CATEGORIES = ("custom", "identity", "meta", "mitigation", "observable", "report", "sighting", "threat", "vulnerability")
TLP = one_of("clear", "green", "amber", "amber+strict", "red")
CLASSES = list_of(one_of(*CATEGORIES), 1, 9, itself)


def is_time_or_null(value):
    return value is None or is_time(value)


IEP = shaped({
    "tlp": TLP, "start": is_time_or_null, "end": is_time_or_null,
    "permitted_actions": one_of("none", "contact-for-instruction", "internally-visible-actions",
                                "externally-visible-indirect-actions", "externally-visible-direct-actions"),
    "attribution": one_of("may", "must", "must-not"), "unmodified_resale": is_bool})
LABEL = shaped({
    "tlp": TLP, "categories": CLASSES, "sectors": list_of(is_text(250, CONTROL), order=str.encode),
    "markings": list_of(is_like(MARKING), order=itself),
}, {"confidence": one_of("none", "low", "med", "high"), "personal": one_of(True), "statements": one_of(True),
    "pap": one_of("clear", "green", "amber", "red"), "iep": IEP})
MANIFEST = shaped({
    "schema": one_of("mithaq-release/1"), "suite": one_of("ed25519"), "origin": is_id, "key": is_id,
    "kind": one_of("publish", "withdraw"), "published_at": is_time, "label": LABEL,
    "objects": lambda value: is_number(value) and 1 <= value <= 1_000, "tree": is_id,
}, {"recipients": list_of(is_id, 1, 64, itself)})
DATED = shaped({"suite": one_of("ed25519"), "public": is_id, "not_before": is_time, "not_after": is_time})
CARD = shaped({
    "schema": one_of("mithaq-card/1"), "name": is_text(512), "country": is_like("[A-Z]{2}"),
    "contacts": list_of(is_text(512)), "serial": is_number, "issued_at": is_time, "root": is_id,
    "signing_keys": list_of(DATED, 1), "tls_keys": list_of(DATED, 1),
    "identities": list_of(is_like("identity--.{36}"), order=itself), "endpoints": list_of(is_text(512)),
}, {"revoked_keys": list_of(shaped({"key": is_id, "since": is_time}), 1, 64, lambda revoked: revoked["key"])})


NOTICE = shaped({
    "type": one_of("x-mithaq-notice"), "id": is_like("x-mithaq-notice--.{36}"), "spec_version": one_of("2.1"),
    "created": is_time, "modified": is_time, "contents": list_of(is_id, 1, 10_000, itself), "reason": is_text(1_000)})


def is_scope(value):
    if isinstance(value, dict) and "releases" in value:
        return shaped({"releases": list_of(is_id, 1, 1_000, itself)})(value)
    return value == "all" or shaped({"class": shaped({"tlp_max": TLP, "categories": CLASSES})})(value)


# By kind of document: its type, who signs it, and its members.
STATEMENTS = {
    4: ("termination", "by", shaped({
        "schema": one_of("mithaq-termination/1"), "by": is_id, "agreement": is_id, "at": is_time,
        "reason": is_text(1_000)})),
    5: ("consent-request", "from", shaped({
        "schema": one_of("mithaq-consent-request/1"), "from": is_id, "to": is_id, "third": is_id, "what": is_scope,
        "at": is_time, "reason": is_text(1_000)})),
    6: ("consent", "origin", shaped({
        "schema": one_of("mithaq-consent/1"), "origin": is_id, "to": is_id, "third": is_id, "what": is_scope,
        "answer": one_of("grant", "deny"), "until": is_time, "at": is_time})),
    7: ("purge", "by", shaped({
        "schema": one_of("mithaq-purge/1"), "by": is_id, "agreement": is_id, "at": is_time, "releases": is_number,
        "objects": is_number})),
}


# --- Signatures and documents ---


@functools.lru_cache(maxsize=None)
def verify(public, signature, message):
    if Ed25519PublicKey is None:
        skipped["signature"] += 1
        return
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, message)
    except InvalidSignature as error:
        raise Violation("a signature that does not fit") from error


def type_of(what):
    return f"application/vnd.mithaq.{what}+json;version=1"


def signed_by(card, key, at, what, payload, signature):
    """Checks a signature by a signing key that the card names for that time."""
    need(counts(card, key, at), "a key that the card does not name for that time")
    public = next(dated["public"] for dated in card["signing_keys"] if key_id(dated["public"]) == key)
    verify(public, signature, pae(type_of(what), payload.decode()))


@functools.lru_cache(maxsize=None)
def read_document(payload, shape):
    value = parse(payload.decode())
    need(canonical(value).encode() == payload, "a document that is not canonical")
    shape(value)
    return value


def read_envelope(text, what):
    """The payload of an envelope with one signature, the key's id and the signature."""
    envelope = parse(text.decode())
    signature = shaped({"keyid": is_id, "sig": is_text(100)})
    shaped({"payload": is_text(len(text)), "payloadType": one_of(type_of(what)),
            "signatures": list_of(signature, 1, 1)})(envelope)
    signed = envelope["signatures"][0]
    return (base64.b64decode(envelope["payload"], validate=True), signed["keyid"],
            base64.b64decode(signed["sig"], validate=True))


def read_manifest(payload):
    manifest = read_document(payload, MANIFEST)
    sectors = sum(len(sector.encode()) for sector in manifest["label"]["sectors"])
    need(sectors <= 4_096, "sectors of more than 4,096 bytes")
    need(manifest["kind"] == "publish" or manifest["objects"] == 1, "a withdrawal of more than one object")
    return manifest


def read_notice(body):
    """What a notice takes back, for the transcript: one that cannot be read is void, and breaks nothing."""
    try:
        notice = read_document(body, NOTICE)
        need(notice["created"] == notice["modified"], "a notice of two times")
    except ValueError as reason:
        return f"a notice that is void: {reason}"
    return f"takes back {' '.join(content[:8] for content in notice['contents'])}"


@functools.lru_cache(maxsize=None)
def read_card(text):
    """A card, and the id of its CERT."""
    payload, key, signature = read_envelope(text, "card")
    card = read_document(payload, CARD)
    cert = key_id(card["root"])
    need(key == cert, "a card that its root key did not sign")
    need(all(revoked["key"] != cert for revoked in card.get("revoked_keys", [])), "a card that revokes its root key")
    verify(card["root"], signature, pae(type_of("card"), payload.decode()))
    return card, cert


def read_statement(kind, text, card, signer, receiver):
    """Checks a document of the kinds 4 to 7, which `signer` sends; others are passed over."""
    if kind not in STATEMENTS:
        return f"of the unknown kind {kind}, passed over"
    what, role, shape = STATEMENTS[kind]
    payload, key, signature = read_envelope(text, what)
    says = read_document(payload, shape)
    need(says[role] == signer and says.get("to", receiver) == receiver, f"a {what} of or to another CERT")
    need("third" not in says or says["third"] not in (signer, receiver), f"a {what} of fewer than three CERTs")
    need("until" not in says or says["at"] < says["until"], f"a {what} that has ended when it is said")
    signed_by(card, key, says["at"], what, payload, signature)
    return what


# --- Ledgers: checkpoints and cosignatures ---


def note_signature(line, kind, card, cert, at):
    """What stands behind the key's hash in a signature line of `cert`, and the key that it names."""
    mark, name, blob = line.split(" ")
    blob = base64.b64decode(blob, validate=True)
    need(mark == "\u2014" and name == cert, "a signature line of another")
    for dated in card["signing_keys"]:
        public = bytes.fromhex(dated["public"])
        if sha256(cert.encode(), b"\n", bytes([kind]), public)[:4] == blob[:4]:
            need(counts(card, key_id(dated["public"]), at(blob)), "a key that the card does not name for that time")
            return blob[4:], dated["public"]
    raise Violation("a signature line of an unknown key")


def read_checkpoint(body, card, cert, origin):
    """The size, root, text and consistency proof of the checkpoint of a ledger."""
    exchange = parse(body.decode())
    shaped({"note": is_text(131_072, re.compile("[\x00-\x09\x0b-\x1f]")), "proof": list_of(is_id)})(exchange)
    text, blank, line = exchange["note"].rpartition("\n\n")
    text += "\n"
    found, size, root, at = text.split("\n")[:4]
    need(blank and found == origin, "a checkpoint of another ledger")
    need(str(int(size)) == size and is_number(int(size)), "a size that is written otherwise")
    need(at.startswith("at ") and is_time(at[3:]), "a checkpoint without its time")
    signature, public = note_signature(line.rstrip("\n"), 1, card, cert, lambda _: at[3:])
    verify(public, signature, text.encode())
    return int(size), base64.b64decode(root, validate=True), text, [bytes.fromhex(one) for one in exchange["proof"]]


def read_cosignature(line, card, cert, text):
    def seconds(blob):
        return int.from_bytes(blob[4:12], "big")

    signed, public = note_signature(line.decode(), 4, card, cert, lambda blob: written(seconds(blob) * 1_000_000))
    stamp = int.from_bytes(signed[:8], "big")
    verify(public, signed[8:], f"cosignature/v1\ntime {stamp}\n{text}".encode())


def follows(old, old_root, new, new_root, proof):
    """Checks the consistency proof of RFC 6962, section 2.1.2."""
    if old == 0 or old == new:
        need(not proof and (old == 0 or old_root == new_root), "another ledger of the same size, or a needless proof")
        return
    need(old < new, "a ledger that was rolled back")
    hashes = ([old_root] if old & (old - 1) == 0 else []) + proof
    need(hashes, "a checkpoint without its proof")
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = hashes[0]
    for one in hashes[1:]:
        need(last, "a proof that is too long")
        if place & 1 or place == last:
            before, after = sha256(b"\1", one, before), sha256(b"\1", one, after)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            after = sha256(b"\1", after, one)
        place, last = place >> 1, last >> 1
    need(not last and before == old_root and after == new_root, "a proof that does not hold")
