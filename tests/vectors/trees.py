"""Trees of third origins: section 7 of docs/PROTOCOL.md, as a part of what follows a session."""
from frames import need


class Trees:
    """What a sink says of an origin, and what a source offers because of it."""

    def tree(self, _sink, source, said, _channel):
        origin = said.origin.hex()
        need(origin in source.origins, "a place in the tree of an origin whose card was not shown")
        is_pruned = source.pruned.get(origin, False)
        need(is_pruned == bool(said.eager), "a branch that is pruned or grafted twice")
        source.pruned[origin] = not is_pruned
        return f"{source.origins[origin]['name']}: {'unasked' if said.eager else 'offered'}"

    def note_lazy(self, source, said, entries):
        need(not said.lazy or entries == 1, "a lazy offer of more than one entry")
        need(not said.lazy or source.pruned, "a lazy offer to a sink that has pruned nothing")
        source.lazy.update((said.first,) if said.lazy else ())
