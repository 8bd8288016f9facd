"""The two sides of recorded sessions and their journals: section 6 of docs/PROTOCOL.md, and what entries go through."""
import types

from check import sha256
from frames import AHEAD, need


class Side:
    """One side: a source of its journal, and a sink of the other's."""

    def __init__(self, name, card):
        self.name, self.card, self.cert = name, card, sha256(bytes.fromhex(card["root"]))
        self.journals = {}      # by store: the ids that were named, by number
        self.told = []          # the journal, as the recording tells it for a sketch
        self.has = set()        # what it has of the peer's releases, as far as that is known
        self.contents = {}      # the contents that it has, as far as that is known, by their prefixes
        self.accepted = None    # the last checkpoint of the peer that was cosigned
        self.start, self.passed = None, 0
        self.begin()

    def begin(self):
        """A session begins: what was under way is forgotten."""
        if self.start is not None:
            self.passed = self.done_up_to("held", "delivered", "gone", "settled")
            if self.sketch and self.sketch.stage == "told" and self.passed < self.sketch.through:
                self.passed = self.start
        self.hello = self.start = self.begun = self.checkpoint = self.sketch = self.run = None
        self.entries, self.offers, self.shown, self.origins, self.window = {}, {}, set(), {}, 0
        self.pruned, self.lazy = {}, {}

    @property
    def journal(self):
        return self.journals.setdefault(self.hello.store, {})

    def keep_journal_to(self, index):
        """Forgets what was named behind an entry: a journal of this store may go on otherwise, or be another."""
        self.journals[self.hello.store] = {number: one for number, one in self.journal.items() if number <= index}

    def done_up_to(self, *states, after=None):
        index = self.start if after is None else after
        while index + 1 in self.entries and self.entries[index + 1].state in states:
            index += 1
        return index

    def name_entry(self, index, release):
        """Notes an entry of this journal that the sink is told of for the first time."""
        need(index not in self.entries, f"entry {index} is named twice")
        after = self.start
        if self.sketch and index <= self.sketch.through:
            need(self.sketch.stage == "listed", f"entry {index} is named beside a sketch of it")
            need(self.journal[index] == release, "another release than was sketched")
        elif self.sketch:
            need(self.sketch.is_answered, f"entry {index} could overtake the sketch")
            after = self.sketch.through
        oldest = self.done_up_to("held", "settled", after=after) + 1
        need(oldest <= index < oldest + AHEAD, f"entry {index} is outside the window from {oldest}")
        return self.add_entry(index, release, "offered")

    def add_entry(self, index, release, state):
        self.journal[index] = release
        self.entries[index] = types.SimpleNamespace(id=release, state=state, channel="control", bytes=0, asked=None)
        return self.entries[index]

    def asked_sketch(self):
        need(self.sketch and self.sketch.stage == "compared", "no sketch is compared")
        return self.sketch

    def entry(self, index, *states):
        found = self.entries.get(index)
        need(found and found.state in states, f"entry {index} is {found.state if found else 'not named'}")
        return found

    def open(self):
        return sum(entry.state in ("open", "asked", "delivered") for entry in self.entries.values())


def chain(journal, index):
    link = bytes(32)
    for number in range(1, index + 1):
        need(number in journal, "a cursor over entries that were not named")
        if journal[number] is None:  # it could not be read
            return None
        link = sha256(link, journal[number])
    return link
