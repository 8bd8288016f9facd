"""Bodies and runs: sections 5 and 7 of docs/PROTOCOL.md, as a part of what follows a session."""
import collections

import frames
from check import sha256, tree
from frames import Run, apart, bits, need, split, unpack
from signed import read_notice

# Without zstandard nobody can tell which bodies are still to come.
BODIES_TO_COME = ("asked",) if frames.zstandard else ("asked", "delivered")


def is_signed(entry):
    """Whether all contents are known and are those that were signed."""
    return None not in entry.ids and tree(entry.ids).hex() == entry.tree


class Bodies:
    """What a sink lacks of a release, and what its source sends of it."""

    def name(self, entry, contents):
        """Notes how the contents of a release begin."""
        need(contents == sorted(contents), "contents that do not ascend")
        entry.contents, entry.ids = contents, [None] * len(contents)

    def hold(self, sink, entry, asked):
        """What is not asked for the sink has, as far as it can tell by how it begins."""
        entry.asked = asked
        entry.ids = [None if bit else sink.contents.get(prefix) for prefix, bit in zip(entry.contents, asked)]
        need(frames.zstandard is None or all(bit or one for one, bit in zip(entry.ids, asked)),
             "a body that is not asked for and not held")

    def wantbodies(self, sink, source, said, _channel):
        entry = source.entry(said.index, "open", "delivered")
        wanted = bits(said.bitmap, len(entry.contents))
        if entry.asked is None and not any(wanted):
            return f"{said.index}: later"
        again = entry.asked is not None
        if again:
            need(any(wanted) and wanted == [not bit for bit in entry.asked], "a second want of the same bodies")
            need(frames.zstandard is None or not is_signed(entry), "a second want where nothing was mistaken")
            entry.asked = [True] * len(wanted)
        else:
            self.hold(sink, entry, wanted)
        entry.wanted = collections.deque(position for position, bit in enumerate(wanted) if bit)
        entry.state = "asked"
        return f"{said.index}: {sum(wanted)} of {len(wanted)}{', once more' if again else ''}"

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
            position, content = entry.wanted.popleft() if entry.wanted else None, sha256(body)
            need(position is not None and content.startswith(entry.contents[position]),
                 "a body that is not the next that was wanted")
            entry.ids[position] = sink.contents[content[:frames.PREFIX]] = content
        size = sum(map(len, found))
        need(not entry.wanted or size >= frames.GROUP, "a group that is not full, and not the last")
        entry.bytes, source.window = entry.bytes + size, source.window + size
        need(entry.bytes <= frames.RELEASE, "a release that is too large")
        window = min(frames.WINDOW, source.hello.window_bytes, sink.hello.window_bytes)
        need(source.window <= window, "more than the window")
        entry.state = "asked" if entry.wanted else "delivered"
        notice = f", {read_notice(found[0])}" if entry.kind == "withdraw" else ""
        return f"{len(found)} bodies, {size} bytes{notice}"
