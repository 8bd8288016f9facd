"""Changes a recording in ways that break the protocol, so that it is seen that each is refused."""
from frames import FRAMES, read_frame

# Numbers that are the sender's own affair: another one breaks nothing. A store may be new in any session.
FREE = {("Hello", field) for field in (
    "store", "card_serial", "frame_bytes_max", "window_bytes", "releases_open_max", "held_card_serial",
    "ledger_size", "held", "ahead_max")}

# Without these the session does not go on as it was recorded.
NEEDED = {"Hello", "Offer", "LazyOffer", "Twins", "Want", "Manifest", "Bodies", "Gone", "Reconcile", "WantCells",
          "Cells", "Missing"}

# These answer something, and are too early before it.
ANSWERS = {"Want", "Twins", "WantBodies", "Bodies", "Ack", "WantCells", "Cells", "Missing"}


def varint(number):
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(data) + bytes([number])


def field(number, value):
    if isinstance(value, list):
        value = b"".join(map(varint, value))
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value if value else b""
    return varint(number << 3) + varint(value) if value else b""


def whole(frame):
    return varint(len(frame)) + frame


def encode(name, message):
    number, fields = next((number, fields) for number, (other, _, fields) in FRAMES.items() if other == name)
    body = b"".join(field(place, getattr(message, one)) for place, (one, _) in sorted(fields.items()))
    return whole(field(number, body) or varint(number << 3 | 2) + b"\0")


def other_values(value, is_packed=False):
    """What else a field might say. In the middle of what is packed, a change may say the same in another way."""
    if isinstance(value, int):
        return [value + 1]
    if value == []:
        return [[2]]
    if isinstance(value, list):
        return [value[:-1] + [value[-1] + 1], value + value[-1:]]
    places = ({0, len(value) - 1} if is_packed else {0, len(value) // 2, len(value) - 1}) if value else ()
    flipped = [value[:at] + bytes([value[at] ^ 1]) + value[at + 1:] for at in places]
    return flipped + [value + b"\0"] + ([value[:-2]] if len(value) > 2 else [])


def is_free(name, one, message, ours, theirs):
    if name == "Document" and message.kind >= 7:
        return one == "kind" or message.kind > 7
    if (name, one) == ("Hello", "instance"):  # it keys a sketch
        return not any(kind == "Reconcile" for kind, _ in ours + theirs)
    if (name, one) == ("Hello", "dictionaries"):  # what the other side compresses with
        return not any(getattr(said, "dictionary", b"") for _, said in theirs)
    # How contents begin counts once the bodies are there.
    if (name, one) == ("Manifest", "contents") and not any(
            kind == "Ack" and said.signature and message.index in said.indexes for kind, said in theirs):
        return True
    # A card with a release of the source's own is passed over.
    return (name, one) in FREE or (name, one) == ("Manifest", "card") and not message.card


def changed_fields(data, ours, theirs):
    name, message = read_frame(data)
    for one in vars(message):
        kept = getattr(message, one)
        is_packed = one in ("group", "bodies", "manifest") and (name == "Bodies" or one == "bodies" or message.size)
        for value in other_values(kept, is_packed) if not is_free(name, one, message, ours, theirs) else []:
            setattr(message, one, value)
            yield f"another {one}", encode(name, message)
        setattr(message, one, kept)


def changed_frames(data):
    skip = next(place for place, byte in enumerate(data) if byte < 0x80) + 1
    frame, longer = data[skip:], data[:skip - 1] + bytes([data[skip - 1] | 0x80, 0])
    yield "cut", data[:-1]
    yield "longer than it says", data + b"\0"
    yield "a length that is not the shortest", longer + frame
    yield "two fields", whole(frame + frame)
    yield "a field beside it", whole(frame + b"\x78\x01")
    yield "empty", b"\0"
    yield "an unknown kind", whole(b"\xfa\x01" + frame[2 if frame[0] > 0x7F else 1:])
    yield "another wire type", whole(bytes([frame[0] ^ 1]) + frame[1:])


def rest_of_session(lines, place):
    """What the sender and what the other side says after a frame, before the session ends."""
    rest, said = lines[place + 1:], {True: [], False: []}
    for line in rest[:rest.index("session")] if "session" in rest else rest:
        parts = line.split(" ")
        if parts[0].isdigit():
            said[parts[1] == lines[place].split(" ")[1]].append(read_frame(bytes.fromhex(parts[3])))
    return said[True], said[False]


def is_idle(name, message, later):
    """Whether nothing depends on which bodies are wanted, or come: the release is gone before all are there."""
    return name in ("WantBodies", "Bodies") and any(
        kind == "Gone" and said.index == message.index for kind, said in later)


def mutations(text):
    """Each change by a name, and the recording with it."""
    lines = text.splitlines()
    session = 0
    for place, line in enumerate(lines):
        if line == "session":
            session = place
        parts = line.split(" ")
        if not parts[0].isdigit():
            continue
        data = bytes.fromhex(parts[3])
        name, message = read_frame(data)

        def told(what, *instead, name=name, place=place):
            return f"{name} in line {place + 1}: {what}", "\n".join(lines[:place] + list(instead) + lines[place + 1:])

        ours, theirs = rest_of_session(lines, place)
        idle = is_idle(name, message, ours + theirs)
        fields = [] if idle and name == "WantBodies" else changed_fields(data, ours, theirs)
        for what, other in [*fields, *changed_frames(data)]:
            yield told(what, " ".join(parts[:3] + [other.hex()]))
        if name == "Hello" and any(kind == "Reconcile" for kind, _ in theirs):
            message.held = 0
            yield told("that wants no sketch", " ".join(parts[:3] + [encode(name, message).hex()]))
        if name in NEEDED and theirs and not idle:
            yield told("missing")
        if name != "Document" or message.kind <= 7:
            yield told("of the other side", " ".join([parts[0], "AB"[parts[1] == "A"], *parts[2:]]))
        if name != "Document" and (name != "WantBodies" or any(message.bitmap)):  # without a bit it says later
            yield told("twice", line, line)
        for channel in {"control", "live", "backfill", "nowhere"} - {parts[2]}:
            yield told(f"on {channel}", " ".join([*parts[:2], channel, parts[3]]))
        if name in ANSWERS or name == "Manifest" and parts[2] == "backfill":
            early = lines[:session + 3] + [line] + lines[session + 3:place] + lines[place + 1:]
            yield f"{name} in line {place + 1}: too early", "\n".join(early)


def check(path, follow, refusal):
    """How many changes of a recording are refused, and which are not."""
    count, accepted = 0, []
    for what, text in mutations(path.read_text(encoding="utf-8")):
        count += 1
        try:
            follow(text)
            accepted.append(f"{path.name}, {what}")
        except refusal:
            pass
    return count, accepted
