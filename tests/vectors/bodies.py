"""Bodies and runs: sections 5 and 7 of docs/PROTOCOL.md, as a part of what follows a session."""
import collections

import frames
from check import sha256
from frames import Run, apart, bits, need, split, unpack
from signed import read_notice

# Without zstandard nobody can tell which bodies are still to come.
BODIES_TO_COME = ("asked",) if frames.zstandard else ("asked", "delivered")


class Bodies:
    """What a sink lacks of a release, and what its source sends of it."""

    def wantbodies(self, _sink, source, said, _channel):
        entry = source.entry(said.index, "open")
        wanted = bits(said.bitmap, len(entry.contents))
        if not any(wanted):
            return f"{said.index}: later"
        entry.wanted = collections.deque(content for content, bit in zip(entry.contents, wanted) if bit)
        entry.state = "asked"
        return f"{said.index}: {sum(wanted)} of {len(wanted)}"

    def bodies(self, source, sink, said, channel):
        entry = source.entry(said.index, *BODIES_TO_COME)
        need(entry.channel == channel, "bodies on another stream than their manifest")
        need(source.begun in (None, said.index), "bodies of a release before those of another are complete")
        if said.size:
            raw = self.piece(source, sink, said.group, said, channel)
            found = None if raw is None else apart(raw)
        else:
            found = self.group(sink, said.group, said.dictionary)
        told = self.take(source, sink, entry, found)
        source.begun = said.index if entry.state == "asked" else None
        return f"{said.index}: {told} in {len(said.group)}"

    def rest(self, source, _sink, _said, _channel):
        need(source.run, "the end of a run that was not begun")
        source.run = None
        return "the run is over"

    def piece(self, source, sink, data, said, channel):
        """What a piece of the source's run unpacks to."""
        need(channel == "backfill", f"a piece of a run on {channel}")
        need(not said.dictionary or not source.run, "a dictionary within a run")
        need(said.dictionary in (b"", *split(sink.hello.dictionaries, 8)), "a dictionary that the sink did not list")
        if frames.zstandard is None:
            frames.skipped["piece"] += 1
            source.run = True
            return None
        source.run = source.run or Run(said.dictionary, data)
        return source.run.unpack(data, said.size)

    def group(self, sink, group, dictionary):
        need(dictionary in (b"", *split(sink.hello.dictionaries, 8)), "a dictionary that the sink did not list")
        if frames.zstandard is None:
            frames.skipped["group"] += 1
            return None
        return unpack(group, dictionary)

    def take(self, source, sink, entry, found):
        if found is None:
            entry.state = "delivered"
            return "a group"
        for body in found:
            need(entry.wanted and sha256(body) == entry.wanted.popleft(), "a body that is not the next that was wanted")
        size = sum(map(len, found))
        need(not entry.wanted or size >= frames.GROUP, "a group that is not full, and not the last")
        entry.bytes, source.window = entry.bytes + size, source.window + size
        need(entry.bytes <= frames.RELEASE, "a release that is too large")
        window = min(frames.WINDOW, source.hello.window_bytes, sink.hello.window_bytes)
        need(source.window <= window, "more than the window")
        entry.state = "asked" if entry.wanted else "delivered"
        notice = f", {read_notice(found[0])}" if entry.kind == "withdraw" else ""
        return f"{len(found)} bodies, {size} bytes{notice}"
