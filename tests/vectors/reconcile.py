"""Follows sketches of journals: section 7 (Reconcile) of docs/PROTOCOL.md, with the arithmetic of its section 12.

Frames cannot tell which releases a sketch is of. A recording tells it before the session, in lines of their own: the
journal of the source, and what the sink has of the source's releases.
"""
import functools

import sketches
from frames import need, split
from journals import chain

COMPARISONS, SHORTS = 16, 4_096


@functools.lru_cache(maxsize=64)
def marks(key, releases):
    """The short id of each release, and the digest of all."""
    found = [sketches.mark(key, release) for release in releases]
    total = sum(digest for _, digest in found) & sketches.WORD
    return tuple(short for short, _ in found), len(found).to_bytes(8, "big") + total.to_bytes(8, "big")


@functools.lru_cache(maxsize=64)
def cells(shorts, end):
    return b"".join(map(sketches.written, sketches.sketch(shorts, end)))


@functools.lru_cache(maxsize=64)
def difference(theirs, ours, end):
    return sketches.decode(sketches.sketch(theirs, end), sketches.sketch(ours, end))


class Sketch:
    """What is said of the sketch of one journal."""

    def __init__(self, key, journal, has):
        self.through, self.stage = len(journal), "compared"
        self.theirs, self.digest = marks(key, tuple(journal))
        self.ours, _ = marks(key, tuple(sorted(has)))
        self.cells = self.asked = self.comparisons = 0
        self.is_answered, self.named = False, []

    def take(self, data):
        """Takes the next cells, each of which must be that of the journal."""
        end = self.cells + len(data) // 12
        need(data == cells(self.theirs, end)[12 * self.cells:], "cells of another set")
        self.cells = end
        return end

    def compare(self):
        """What the sink lacks, or nothing if these cells do not tell."""
        need(self.stage == "compared" and self.cells >= self.asked, "an answer to a sketch that is not whole")
        self.comparisons += 1
        told = difference(self.theirs, self.ours, self.cells)
        return told and told[0]

    def is_useless(self):
        """Whether the cells cost what offers would."""
        cells_most = min(32 * self.through // 12, sketches.CELLS_MAX)
        return self.cells >= cells_most or self.comparisons >= COMPARISONS


class Reconciling:
    """The part of the follower that has the frames about sketches."""

    def reconcile(self, source, sink, said, _channel):
        need(source.start == 0 and source.sketch is None and not source.entries, "a sketch out of turn")
        need(sink.hello.held, "a sketch for a sink that wants everything")
        need(1 <= said.through <= len(source.told), "a sketch of more than the journal")
        source.journal.update(enumerate(source.told[:said.through], 1))
        need(chain(source.journal, said.through) == said.chain, "the chain of another journal")
        key = sketches.key_of(source.hello.agreement, source.hello.instance, sink.hello.instance)
        source.sketch = Sketch(key, source.told[:said.through], sink.has)
        need(source.sketch.digest == said.digest, "the digest of another journal")
        return f"1..{said.through}, {source.sketch.take(said.cells)} cells"

    def wantcells(self, _sink, source, said, _channel):
        sketch = source.asked_sketch()
        need(sketch.compare() is None, "a want of cells that are not needed")
        need(not sketch.is_useless(), "a want of cells that cost more than offers")
        need(said.from_ == sketch.cells and said.count, "a want of other cells than the next")
        sketch.is_answered, sketch.asked = True, sketch.cells + said.count
        need(sketch.asked <= sketches.CELLS_MAX, "a want of more cells than there are")
        return f"{said.count} from {said.from_}"

    def cells(self, source, _sink, said, _channel):
        sketch = source.asked_sketch()
        need(said.from_ == sketch.cells, "other cells than the next")
        need(sketch.cells + len(said.cells) // 12 <= sketch.asked, "cells that were not asked for")
        return f"{said.from_}..{sketch.take(said.cells) - 1}"

    def missing(self, _sink, source, said, _channel):
        sketch = source.asked_sketch()
        lacks = sketch.compare()
        sketch.is_answered = True
        if said.give_up:
            need(not (said.shorts or said.last), "a sketch given up with more than that")
            need(lacks is None and sketch.is_useless(), "a sketch given up that could tell")
            sketch.stage = "listed"
            return f"not told by {sketch.cells} cells: offers"
        need(lacks is not None, "short ids from cells that do not tell")
        shorts = [int.from_bytes(short, "big") for short in split(said.shorts, 8)]
        need(said.last or len(shorts) == SHORTS, "short ids that do not fill their frame")
        sketch.named += shorts
        if said.last:
            need(sorted(sketch.named) == list(lacks), "other short ids than those of what lacks")
            sketch.stage = "told"
            for index, short in enumerate(sketch.theirs, 1):
                source.add_entry(index, source.journal[index], "wanted" if short in sketch.named else "held")
        return f"{len(shorts)} of {sketch.through} by {sketch.cells} cells"
