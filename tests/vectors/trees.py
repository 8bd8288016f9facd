"""Trees of third origins: section 7 of docs/PROTOCOL.md, as a part of what follows a session."""
from check import sha256
from frames import need, split


def numbers(steps):
    """Numbers of entries, each told as what it is more than the one before."""
    number, found = 0, []
    for step in steps:
        number += step >> 1 ^ -(step & 1)
        need(1 <= number <= 1 << 63, "an entry of a number that there is not")
        found.append(number)
    need(len(found) <= 1_024, "more entries than one frame may name")
    return found


class Trees:
    """What a sink says of an origin, what a source offers because of it, and what both have."""

    def tree(self, _sink, source, said, _channel):
        origin = said.origin.hex()
        need(origin in source.origins, "a place in the tree of an origin whose card was not shown")
        is_pruned = source.pruned.get(origin, False)
        need(is_pruned == bool(said.eager), "a branch that is pruned or grafted twice")
        source.pruned[origin] = not is_pruned
        return f"{source.origins[origin]['name']}: {'unasked' if said.eager else 'offered'}"

    def brief(self, release):
        return release[:4] + sha256(self.secret, release)[:4]

    def lazyoffer(self, source, sink, said, _channel):
        entries, briefs = numbers(said.entries), split(said.briefs, 8)
        need(len(entries) == len(briefs) > 0, "a lazy offer with more or fewer ids than numbers")
        need(source.pruned, "a lazy offer to a sink that has pruned nothing")
        # Which release it is that the sink holds is told by no frame: it is one of those that it may say that it holds.
        known = {self.brief(one): one for one in sink.has.union(sink.journal.values()) if one}
        for index, brief in zip(entries, briefs):
            source.name_entry(index, known.get(brief))
            source.offers[index], source.lazy[index] = 1, brief
        return f"{' '.join(map(str, entries))}: {' '.join(brief.hex() for brief in briefs)}"

    def twins(self, sink, source, said, _channel):
        offered, own = numbers(said.offered), numbers(said.own)
        need(len(offered) > 0 and len(own) <= len(offered), "an answer with more entries than were offered")
        need(not own or sink.start is not None, "an entry before the start")
        for index in offered:
            need(index in source.lazy and source.offers.pop(index, None), "an answer to what was not offered lazily")
            entry = source.entry(index, "offered")
            need(entry.id, f"entry {index} is held, which the sink is not known to hold")
            entry.state = "held"
            sink.has.add(entry.id)
        for index, twin in zip(own, offered):
            sink.name_entry(index, source.entries[twin].id).state = "held"
        return ", ".join([f"{one} is {other}" for one, other in zip(offered, own)] + list(map(str, offered[len(own):])))

    def recognise(self, source, index, entry, release):
        """Holds a release that comes, or is gone, against what was offered."""
        if index in source.lazy:
            need(self.brief(release) == source.lazy[index], "another release than was offered")
            entry.id = source.journal[index] = release
        need(entry.id in (release, None), "another release than was named")
