#!/usr/bin/env python3
"""Follows recorded sessions of the peer protocol with docs/PROTOCOL.md and nothing of Mithaq's own code.

    decode.py [--quiet] [recording ...]     without a name: all of the folder `sessions`
    decode.py --self-test                   sees refused what must be: every recording, changed in many ways

Prints a line for each frame and one of counts. Exits with 1 at the first frame that breaks the protocol, and says which
and why. A recording tells both cards, the clock, the secret of its connections and whether releases of third origins
are taken, then a line for each frame in the order in which they were sent: microseconds, sender, channel, bytes. What
no frame tells stands before its session: the ids in the journal that is sketched, those that the sink holds, and the
contents that a sink holds of what it is released.

What takes all of STIX is left out: whether a body is valid, and covered by its release's label.
"""
import collections
import pathlib
import sys

import frames
import mutations
import signed
from bodies import BODIES_TO_COME, Bodies, is_signed
from check import canonical, sha256
from frames import Violation, bits, need, read_frame, split
from journals import Side, chain
from reconcile import Reconciling
from trees import Trees
from signed import (follows, read_card, read_checkpoint, read_cosignature, read_manifest, read_statement,
                    signed_by, when, written)

HERE = pathlib.Path(__file__).parent
RELEASES = {"Manifest", "Bodies", "Gone"}
CHANNELS = {"control": frames.NAMES - {"Manifest", "Bodies", "Rest"}, "urgent": RELEASES, "live": RELEASES,
            "backfill": RELEASES | {"Rest"}}
BEFORE_START = {"Hello", "Start", "Want", "WantBodies", "WantCells", "Missing", "Ack", "Document", "Tree", "Twins"}


class Follower(Bodies, Reconciling, Trees):
    """Follows both sides; each frame has a method of its name, which gives what the transcript tells of it."""

    def __init__(self, sides, facts):
        self.sides, self.clock, self.secret = sides, when(facts["clock"]), bytes.fromhex(facts["secret"])
        self.third_party = facts["third-party"] == "accept"

    def frame(self, sender, channel, data):
        name, message = read_frame(data)
        us, peer = self.sides[sender], self.sides["B" if sender == "A" else "A"]
        need(name in CHANNELS.get(channel, ()), f"a {name} on the stream {channel}")
        need(name == "Hello" or us.hello and peer.hello, "a frame before the hellos")
        need(name in BEFORE_START or us.start is not None, "a frame before the start")
        return name, getattr(self, name.lower())(us, peer, message, channel)

    def hello(self, us, peer, said, _channel):
        need(us.hello is None, "a second hello")
        need(said.protocol == 1, "another version")
        need(peer.hello is None or peer.hello.agreement == said.agreement, "another agreement")
        is_enough = said.window_bytes >= frames.WINDOW_LEAST and said.releases_open_max >= 1
        need(said.frame_bytes_max >= frames.FRAME and is_enough, "limits that are too small for one release")
        us.hello, index = said, int.from_bytes(said.cursor[16:24], "big")
        if said.cursor:
            need(index <= peer.passed, "a cursor over what is not durable")
            links = chain(peer.journals.get(said.cursor[:16], {}), index)
            need(links in (said.cursor[24:], None), "a cursor of another chain")
        size, store, root = us.accepted or (0, b"", b"")
        need(said.seen == (size.to_bytes(8, "big") + store[:4] + root[:8] if size else b""), "another checkpoint seen")
        return f"store {said.store.hex()[:8]}, cursor {index if said.cursor else 'none'}, ledger {said.ledger_size}"

    def start(self, source, sink, said, _channel):
        need(source.start is None, "a second start")
        cursor = sink.hello.cursor
        index = int.from_bytes(cursor[16:24], "big") if cursor[:16] == source.hello.store else 0
        need(said.after in (0, index), "a start at an entry that the sink did not name")
        source.start = said.after
        source.keep_journal_to(said.after)
        return f"after {said.after}"

    def offer(self, source, _sink, said, _channel):
        named = split(said.ids)
        for index, release in enumerate(named, said.first):
            source.name_entry(index, release)
        source.offers[said.first] = len(named)
        return f"{said.first}..{said.first + len(named) - 1}: {' '.join(one.hex()[:8] for one in named)}"

    def want(self, sink, source, said, _channel):
        need(source.offers.pop(said.first, None) == said.count, "a want that answers no offer")
        wanted = bits(said.bitmap, said.count)
        for index, bit in enumerate(wanted, said.first):
            entry = source.entries[index]
            entry.state = "wanted" if bit else "held"
            sink.has.update(() if bit else (entry.id,))
        return f"{said.first}..{said.first + said.count - 1}: {sum(wanted)} of {said.count}"

    def manifest(self, source, sink, said, channel):
        data = self.piece(source, sink, said.manifest, said, channel) if said.size else said.manifest
        if data is None:
            return self.unread_manifest(source, said)
        manifest, release = read_manifest(data), sha256(data)
        is_asked = said.index in source.entries
        entry = source.entry(said.index, "wanted") if is_asked else source.name_entry(said.index, release)
        self.recognise(source, said.index, entry, release)
        fresh = "urgent" if manifest["kind"] == "withdraw" else "live"
        is_prompt = said.bodies and (not is_asked or said.index in source.lazy)
        need(channel == (fresh if is_prompt else "backfill"), f"a release, asked for or not, on {channel}")
        open_most = min(frames.OPEN, source.hello.releases_open_max, sink.hello.releases_open_max)
        need(source.open() < open_most, "too many releases at once")
        need(not said.bodies or not said.contents, "contents beside their bodies")
        found = self.group(sink, said.bodies, said.dictionary) if said.bodies else None
        contents = split(said.contents, frames.PREFIX) or [sha256(body)[:frames.PREFIX] for body in found or ()]
        count = len(contents) if found or not said.bodies else manifest["objects"]
        need(count == manifest["objects"], "more or fewer contents than objects")
        card = self.card_of(source, sink, manifest, said.card, channel)
        need(when(manifest["published_at"]) <= self.clock + 300_000_000, "a release from the future")
        need(sink.cert.hex() in manifest.get("recipients", [sink.cert.hex()]), "a release that is for others")
        signed_by(card, manifest["key"], manifest["published_at"], "release", data, said.signature)
        entry.state, entry.channel, entry.kind, how = "open", channel, manifest["kind"], "no bodies yet"
        entry.tree = manifest["tree"]
        self.name(entry, contents)
        need(said.bodies or said.size or not said.dictionary, "a dictionary without a group")
        need(not said.bodies or not said.size, "a piece of a run with bodies beside it")
        if said.bodies:
            entry.state, entry.wanted = "asked", collections.deque(range(len(contents)))
            entry.asked = [True] * len(contents)
            how = self.take(source, sink, entry, found) + " inline"
            need(entry.state == "delivered", "a release with some of its bodies")
            need(entry.bytes <= frames.INLINE, "bodies inline over their limit")
        origin = "" if card is source.card else f", of {card['name']}{' with its card' if said.card else ''}"
        return f"{said.index}: {manifest['kind']} {release.hex()[:8]} of {len(contents)}, {how}{origin}"

    def unread_manifest(self, source, said):
        """All that can be told of one without zstandard."""
        is_asked, release = said.index in source.entries, source.journal.get(said.index)
        entry = source.entry(said.index, "wanted") if is_asked else source.name_entry(said.index, release)
        entry.state, entry.channel, entry.kind = "open", "backfill", "publish"
        self.name(entry, split(said.contents, frames.PREFIX))
        return f"{said.index}: a release of {len(entry.contents)}, no bodies yet"

    def card_of(self, source, sink, manifest, shown, channel):
        """The card of the origin: the source's, or the last of a third origin that was shown, on this stream too."""
        origin = manifest["origin"]
        if origin == source.cert.hex():
            return source.card
        need(origin != sink.cert.hex(), "a release of the sink's own")
        need(self.third_party or manifest["kind"] == "withdraw", "a release of a third origin, which is not taken")
        if shown:
            card, cert = read_card(shown)
            need(cert == origin, "a card with a release of another origin")
            if source.origins.get(cert, card)["serial"] <= card["serial"]:
                source.origins[cert] = card
            source.shown.add((channel, cert))
        need((channel, origin) in source.shown, "a release of an origin whose card was not shown on its stream")
        need(len(source.origins) <= frames.ORIGINS, "cards of too many origins")
        return source.origins[origin]

    def gone(self, source, _sink, said, channel):
        is_named = said.index in source.entries
        states = ("wanted", *BODIES_TO_COME)
        entry = source.entry(said.index, *states) if is_named else source.name_entry(said.index, said.id)
        self.recognise(source, said.index, entry, said.id)
        need(channel == entry.channel, "a gone on another stream than the manifest")
        entry.state, source.begun = "gone", None if source.begun == said.index else source.begun
        return f"{said.index}: {said.id.hex()[:8]}"

    def ack(self, sink, source, said, _channel):
        entries = []
        statuses = [{1: "received", 2: "applied", 3: "held"}.get(status) for status in said.statuses]
        for index in said.indexes:
            # An open release of which no bodies were wanted was held by the sink.
            entries.append(source.entry(index, *(("open", "delivered") if said.signature else ("gone",))))
            if entries[-1].state == "open":
                self.hold(sink, entries[-1], [False] * len(entries[-1].contents))
            need(entries[-1].state == "gone" or frames.zstandard is None or is_signed(entries[-1]),
                 "a receipt for other contents than were signed")
            entries[-1].state = "settled"
            source.window -= entries[-1].bytes
            sink.has.update((entries[-1].id,) if said.signature and entries[-1].id else ())
        if not said.signature:
            need(entries and not (said.statuses or said.at or said.key), "an unsigned ack with more than indexes")
            return f"{' '.join(map(str, said.indexes))}: gone"
        need(len(statuses) == len(entries) and None not in statuses, "statuses that do not fit")
        need(said.at <= self.clock + 300_000_000, "a receipt from the future")
        if any(entry.id is None for entry in entries):
            return f"{' '.join(map(str, said.indexes))}: of releases that could not be read"
        receipt = {
            "agreement": source.hello.agreement.hex(), "at": written(said.at),
            "entries": sorted([index, entry.id.hex(), status]
                              for index, entry, status in zip(said.indexes, entries, statuses)),
            "from": sink.cert.hex(), "key": said.key.hex(), "schema": "mithaq-receipt/1",
            "store": source.hello.store.hex(), "suite": "ed25519", "to": source.cert.hex()}
        signed_by(sink.card, receipt["key"], receipt["at"], "receipt", canonical(receipt).encode(), said.signature)
        return ", ".join(f"{index} {status}" for index, status in zip(said.indexes, statuses)) + ": signed"

    def document(self, us, peer, said, _channel):
        if said.kind == 1:
            card, cert = read_card(said.body)
            need(cert == us.cert.hex() and card["serial"] >= us.card["serial"], "another CERT's card, or an older one")
            need(card["serial"] > us.card["serial"] or card == us.card, "two cards of one serial")
            us.card = card
            return f"card, serial {card['serial']}"
        if said.kind == 2:
            origin = f"mithaq.ledger/{us.cert.hex()}/{peer.cert.hex()}/{us.hello.store.hex()}"
            size, root, text, proof = read_checkpoint(said.body, us.card, us.cert.hex(), origin)
            seen, store, seen_root = peer.accepted if peer.hello.seen else (0, b"", b"")
            follows(seen if store == us.hello.store else 0, seen_root, size, root, proof)
            us.checkpoint = (size, us.hello.store, root), text
            return f"checkpoint of {size} entries, from {seen}"
        if said.kind == 3:
            need(peer.checkpoint, "a cosignature of no checkpoint")
            read_cosignature(said.body, us.card, us.cert.hex(), peer.checkpoint[1])
            us.accepted = peer.checkpoint[0]
            return f"cosignature of {us.accepted[0]} entries"
        return read_statement(said.kind, said.body, us.card, us.cert.hex(), peer.cert.hex())

    def finish(self):
        """Nothing may be open where a recording ends."""
        for side in self.sides.values():
            need(side.start is not None and not side.offers, "an offer without its want at the end")
            need(not side.sketch or side.sketch.stage != "compared", "a sketch without its answer at the end")
            last = side.done_up_to("held", "settled")
            need(last == max(side.entries, default=side.start), f"entry {last + 1} is not settled at the end")


def follow(text, tell=lambda line: None):
    """Follows a recording; gives how many frames of each kind there are. Its lines are told as a transcript."""
    sides, facts, counts, follower = {}, {}, collections.Counter(), None
    for number, line in enumerate(text.splitlines(), 1):
        word, _, rest = line.partition(" ")
        if word == "card":
            sides[rest[0]] = Side(rest[0], read_card(rest[2:].encode())[0])
        elif word == "session":
            follower = follower or Follower(sides, facts)
            for side in sides.values():
                side.begin()
            tell("session")
        elif word == "journal":
            sides[rest[0]].told = split(bytes.fromhex(rest[2:]))
        elif word == "holds":
            sides[rest[0]].has.update(split(bytes.fromhex(rest[2:])))
        elif word == "contents":
            sides[rest[0]].contents.update((one[:frames.PREFIX], one) for one in split(bytes.fromhex(rest[2:])))
        elif not word.isdigit():
            facts[word] = rest
        else:
            sender, channel, data = rest.split()
            try:
                name, told = follower.frame(sender, channel, bytes.fromhex(data))
            except ValueError as reason:
                raise Violation(f"frame {sum(counts.values()) + 1} in line {number}, of {sender}: {reason}") from reason
            counts[name] += 1
            tell(f"{int(word) / 1e6:.6f} {sender} {channel:8} {name:10} {told}")
    need(follower, "a recording without a session")
    follower.finish()
    return counts


def self_test(paths):
    if frames.zstandard is None or signed.Ed25519PublicKey is None:
        sys.exit("The self-test needs the Python packages `zstandard` and `cryptography`.")
    for path in paths:
        count, accepted = mutations.check(path, follow, Violation)
        if accepted:
            sys.exit("\n".join(["NOT REFUSED:", *accepted]))
        print(f"{path.name}: {count} changes, each refused")


def main(arguments):
    everything = sorted((HERE / "sessions").glob("*.txt"))
    names = [name for name in arguments if not name.startswith("--")] or everything
    if "--self-test" in arguments:
        return self_test(everything)
    counts = collections.Counter()
    for path in map(pathlib.Path, names):
        print(f"== {path.name}")
        try:
            counts += follow(path.read_text(encoding="utf-8"), print if "--quiet" not in arguments else lambda _: None)
        except Violation as violation:
            sys.exit(f"REFUSED: {path.name}, {violation}")
    absent = frames.NAMES - counts.keys() if names == everything else set()
    if absent:
        sys.exit(f"INCOMPLETE: no recording shows {', '.join(sorted(absent))}")
    for what, count in frames.skipped.items():
        package = {"group": "zstandard", "piece": "zstandard", "signature": "cryptography"}[what]
        print(f"\n*** NOT CHECKED: {count} {what}s. Install the Python package `{package}` ***\n", file=sys.stderr)
    kinds = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{len(names)} recordings, {sum(counts.values())} frames: {kinds}"
          + "".join(f"; {count} {what}s NOT CHECKED" for what, count in frames.skipped.items()))


if __name__ == "__main__":
    main(sys.argv[1:])
