"""Frames, bitmaps, groups and runs of the peer protocol: sections 4, 5 and 8 of docs/PROTOCOL.md.

A frame that is to come needs a line in `FRAMES`, a field one within it, a dictionary one in `DICTIONARIES`.
"""
import collections
import functools
import hashlib
import pathlib
import types

from check import canonical, parse

try:
    import zstandard
except ImportError:
    zstandard = None

# By the names of section 5.
SYNC = pathlib.Path(__file__).parent.parent.parent / "crates/sync"
DICTIONARIES = {bytes.fromhex("48a68dd22fd11ac6"): (SYNC / "dictionary/stix-1.zdict").read_bytes()}

# What could not be checked, for want of a package, and how often.
skipped = collections.Counter()


class Violation(ValueError):
    """Something breaks the protocol."""


def need(holds, reason):
    if not holds:
        raise Violation(reason)


# --- Section 8: limits ---

FRAME, CONTROL, DOCUMENT, DOCUMENT_BODY = 2_097_152, 65_536, 262_208, 262_144
WINDOW, WINDOW_LEAST, OPEN, AHEAD, ORIGINS = 16_777_216, 9_703_328, 256, 4_096, 1_024
RELEASE, BODY, INLINE, GROUP, GROUP_UNPACKED = 8_388_608, 1_048_576, 65_536, 262_144, 1_314_720
MANIFEST, RUN_WINDOW = 16_384, 524_288
# How many bytes of a content id a manifest names it by.
PREFIX = 8

# --- Section 4: frames ---


def exactly(*sizes):
    return lambda size: size in sizes


def at_most(most):
    return lambda size: size <= most


def several(bytes_each, most, least=1):
    return lambda size: size % bytes_each == 0 and least <= size // bytes_each <= most


# Of each frame: name, most bytes, and its fields by number. A field is of bytes, with what their length may be, or a
# number below a bound; a list of one bound is a repeated number.
U32, U64 = 1 << 32, 1 << 64
FRAMES = {
    1: ("Hello", CONTROL, {
        1: ("protocol", U32), 2: ("agreement", exactly(32)), 3: ("store", exactly(16)), 4: ("instance", exactly(16)),
        5: ("card_serial", U64), 6: ("cursor", exactly(0, 56)), 7: ("frame_bytes_max", U64), 8: ("window_bytes", U64),
        9: ("releases_open_max", U64), 10: ("held_card_serial", U64), 11: ("ledger_size", U64),
        12: ("seen", exactly(0, 20)), 13: ("held", U64), 14: ("dictionaries", several(8, 16, 0)),
        15: ("ahead_max", U64)}),
    2: ("Start", CONTROL, {1: ("after", U64)}),
    3: ("Offer", CONTROL, {1: ("first", U64), 2: ("ids", several(32, 1_024))}),
    4: ("Want", CONTROL, {1: ("first", U64), 2: ("bitmap", at_most(128)), 3: ("count", U32)}),
    5: ("Manifest", FRAME, {
        1: ("index", U64), 2: ("manifest", at_most(MANIFEST + 64)), 3: ("signature", exactly(64)),
        4: ("contents", several(PREFIX, 1_000, 0)), 5: ("bodies", at_most(FRAME)), 6: ("card", at_most(FRAME)),
        7: ("dictionary", exactly(0, 8)), 8: ("size", MANIFEST + 1)}),
    6: ("Gone", CONTROL, {1: ("index", U64), 2: ("id", exactly(32))}),
    7: ("WantBodies", CONTROL, {1: ("index", U64), 2: ("bitmap", at_most(125))}),
    8: ("Bodies", FRAME, {
        1: ("index", U64), 2: ("group", at_most(FRAME)), 3: ("dictionary", exactly(0, 8)),
        4: ("size", GROUP_UNPACKED + 1)}),
    9: ("Ack", CONTROL, {
        1: ("indexes", [U64]), 2: ("statuses", at_most(4_096)), 3: ("at", U64), 4: ("key", exactly(0, 32)),
        5: ("signature", exactly(0, 64))}),
    10: ("Document", DOCUMENT, {1: ("kind", U32), 2: ("body", at_most(DOCUMENT_BODY))}),
    11: ("Reconcile", CONTROL, {
        1: ("through", U64), 2: ("chain", exactly(32)), 3: ("digest", exactly(16)), 4: ("cells", several(12, 4_096))}),
    12: ("Cells", CONTROL, {1: ("from_", U64), 2: ("cells", several(12, 4_096))}),
    13: ("WantCells", CONTROL, {1: ("from_", U64), 2: ("count", 32_769)}),
    14: ("Missing", CONTROL, {1: ("shorts", several(8, 4_096, 0)), 2: ("last", 2), 3: ("give_up", 2)}),
    15: ("Tree", CONTROL, {1: ("origin", exactly(32)), 2: ("eager", 2)}),
    16: ("Rest", CONTROL, {}),
    17: ("LazyOffer", CONTROL, {1: ("entries", [U64]), 2: ("briefs", several(8, 1_024))}),
    18: ("Twins", CONTROL, {1: ("offered", [U64]), 2: ("own", [U64])}),
}
NAMES = {name for name, _, _ in FRAMES.values()}


def varint(data, at, bytes_most=10):
    value = 0
    for place, byte in enumerate(data[at:at + bytes_most]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            need(byte or not place, "a varint that is longer than it must be")
            return value, at + place + 1
    raise Violation("a varint that is cut or too long")


def fields(message):
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        need(key & 7 in (0, 1, 2, 5), "a field of an unknown wire type")
        length = {1: 8, 5: 4}.get(key & 7)
        if length is None:
            length, at = varint(message, at)
        if key & 7 == 0:
            yield key >> 3, length
            continue
        need(at + length <= len(message), "a field that is cut")
        yield key >> 3, message[at:at + length]
        at += length


def read_frame(data):
    """The name of a frame, and its message with a member for each field."""
    length, at = varint(data, 0, 4)
    frame = data[at:]
    need(length == len(frame) > 1, "a frame that is not as long as it says")
    key, at = varint(frame, 0)
    need(key & 7 == 2 and key >> 3 in FRAMES, "a frame of an unknown kind")
    name, bytes_most, known = FRAMES[key >> 3]
    need(length <= bytes_most, "a frame over its limit")
    size, at = varint(frame, at)
    need(size == len(frame) - at, "a frame that is not exactly one field")
    message = {field: [] if isinstance(rule, list) else b"" if callable(rule) else 0 for field, rule in known.values()}
    last = 0
    for number, value in fields(frame[at:]):
        field, rule = known.get(number, (None, None))
        need(number > last, "fields that do not ascend")
        last = number
        if isinstance(rule, list) and isinstance(value, bytes):  # repeated numbers travel packed
            end = 0
            while end < len(value):
                one, end = varint(value, end)
                message[field].append(one)
        elif field:
            need(isinstance(value, bytes) == callable(rule), f"a wire type that {field} does not have")
            message[field] = value
    for field, rule in known.values():
        value = message[field]
        fits = rule(len(value)) if callable(rule) else all(n < U64 for n in value) if rule == [U64] else value < rule
        need(fits, f"{field} of {len(value)} bytes" if callable(rule) else f"a number in {field} over its limit")
    return name, types.SimpleNamespace(**message)


# --- Section 5: bitmaps, groups and runs ---


def bits(bitmap, count):
    number = int.from_bytes(bitmap, "little")
    need(len(bitmap) == (count + 7) // 8 and number >> count == 0, "a bitmap of the wrong length")
    return [bool(number >> place & 1) for place in range(count)]


def split(data, size=32):
    return [data[at:at + size] for at in range(0, len(data), size)]


@functools.lru_cache(maxsize=None)
def dictionary_of(name):
    need(name in DICTIONARIES, "an unknown dictionary")
    data = DICTIONARIES[name]
    need(hashlib.sha256(data).digest()[:8] == name, "a dictionary that is not the one of its name")
    return data


def decompressor(dictionary, **kind):
    data = zstandard.ZstdCompressionDict(dictionary_of(dictionary), **kind) if dictionary else None
    return zstandard.ZstdDecompressor(dict_data=data)


class Run:
    """One zstd frame in pieces, of which each is whole blocks and none the last."""

    def __init__(self, dictionary, begin):
        try:
            header = zstandard.get_frame_parameters(begin)
        except zstandard.ZstdError as error:
            raise Violation(f"a run that is not zstd: {error}") from error
        need(header.window_size <= RUN_WINDOW, "a run with a window over the limit")
        need(header.content_size in (0, 2**64 - 1), "a run that states its size")
        need(not header.has_checksum, "a run with a checksum")
        need(header.dict_id == 0, "a run that names a dictionary in its own header")
        self.header = zstandard.frame_header_size(begin)
        self.reader = decompressor(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT).decompressobj()

    def unpack(self, piece, size):
        at, self.header = self.header, 0
        while at < len(piece):
            block = int.from_bytes(piece[at:at + 3], "little")
            need(not block & 1, "the last block of a run")
            at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
        need(at == len(piece), "a piece that does not end with a block")
        try:
            raw = self.reader.decompress(piece)
        except zstandard.ZstdError as error:
            raise Violation(f"a piece that is not zstd: {error}") from error
        need(len(raw) == size, "a piece that states another size")
        return raw


@functools.lru_cache(maxsize=None)
def unpack(group, dictionary):
    """The bodies of a group."""
    try:
        header = zstandard.get_frame_parameters(group)
        need(header.content_size <= GROUP_UNPACKED, "a group that does not state its size, or one over the limit")
        need(header.dict_id == 0 or dictionary, "a group with a dictionary that is not named")
        reader = decompressor(dictionary).decompressobj()
        raw = reader.decompress(group)
    except zstandard.ZstdError as error:
        raise Violation(f"a group that is not zstd: {error}") from error
    need(reader.eof and not reader.unused_data, "a group that is not one zstd frame")
    need(len(raw) == header.content_size, "a group that states another size")
    return apart(raw)


def apart(raw):
    """Bodies one behind the other, each checked as far as it can be without knowing which it should be."""
    bodies = []
    while raw:
        need(len(raw) >= 4, "a group that is cut")
        length = int.from_bytes(raw[:4], "big")
        need(length <= min(BODY, len(raw) - 4), "a body that is cut or too large")
        bodies.append(raw[4:4 + length])
        raw = raw[4 + length:]
        stix = parse(bodies[-1].decode())
        need(isinstance(stix, dict) and canonical(stix).encode() == bodies[-1], "a body that is not canonical")
        need(str(stix.get("id")).startswith(f"{stix.get('type')}--"), "a body whose id is not of its type")
    need(1 <= len(bodies) <= 1_000, "a group of no bodies or too many")
    need(sum(map(len, bodies[:-1])) < GROUP, "a group that goes on after it is full")
    return bodies
