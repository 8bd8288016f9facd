"""Sketches of sets of releases: section 12 of docs/PROTOCOL.md, with integers alone and the standard library."""
import hashlib
import math

CELLS_MAX = 262_144
WORD = 2**64 - 1


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def key_of(agreement, source, sink):
    return sha256(b"mithaq-sketch/1\0", agreement, source, sink)


def mark(key, release):
    """The short id of a release and what it adds to a digest."""
    digest = sha256(key, release)
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")


def draws(state):
    """SplitMix64."""
    while True:
        state = state + 0x9E3779B97F4A7C15 & WORD
        word = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & WORD
        word = (word ^ word >> 27) * 0x94D049BB133111EB & WORD
        yield word ^ word >> 31


def cells_of(short, end):
    """The cells before `end` that an item is in."""
    cell = 0
    for draw in draws(short):
        if cell >= end:
            return
        yield cell
        u = (draw >> 40) + 1
        root = math.isqrt(-(-(4 * (cell + 1) * (cell + 2) << 24) // u))
        cell = max(cell + 1, (root - 1) // 2)


def check_value(short):
    return next(draws(short ^ WORD)) >> 40


def sketch(shorts, end):
    """Of each cell: the sum of short ids, the sum of check values, the count."""
    cells = [[0, 0, 0] for _ in range(end)]
    for short in shorts:
        for place in cells_of(short, end):
            change(cells[place], short, 1)
    return cells


def change(cell, short, count):
    cell[:] = cell[0] ^ short, cell[1] ^ check_value(short), cell[2] + count & 0xFF


def written(cell):
    return cell[0].to_bytes(8, "big") + cell[1].to_bytes(3, "big") + cell[2].to_bytes(1, "big")


def decode(theirs, ours):
    """What they have and we lack, and the other way round; None if these cells do not tell."""
    cells = [[a[0] ^ b[0], a[1] ^ b[1], a[2] - b[2] & 0xFF] for a, b in zip(theirs, ours)]
    unread, told = list(range(len(cells))), {}
    while unread:
        place = unread.pop()
        short, check, count = cells[place]
        is_single = count in (1, 255) and check == check_value(short) and place in cells_of(short, place + 1)
        if is_single and short not in told:
            told[short] = count
            for other in cells_of(short, len(cells)):
                change(cells[other], short, -count)
                unread.append(other)
    if not cells or any(map(any, cells)):
        return None
    return tuple(sorted(short for short, count in told.items() if count == sign) for sign in (1, 255))


def check_vectors(vectors, same):
    """Makes every value again; `same` compares two of them and says what they are."""
    key = key_of(*(bytes.fromhex(vectors[name]) for name in ("agreement", "source_instance", "sink_instance")))

    def marks(numbers):
        return [mark(key, sha256(number.to_bytes(4, "big"))) for number in range(*numbers)]

    for case in vectors["marks"]:
        found = "{:016x} {:016x}".format(*mark(key, bytes.fromhex(case["release"])))
        same(found, f"{case['short']} {case['digest']}", "mark of a release")
    for case in vectors["items"]:
        short = int(case["short"], 16)
        same(list(cells_of(short, CELLS_MAX)), case["cells"], f"cells of {case['short']}")
        same(written(sketch([short], 1)[0]).hex(), case["cell"], f"first cell of {case['short']}")
    for case in vectors["sets"]:
        items = marks(case["numbers"])
        digest = len(items).to_bytes(8, "big") + (sum(add for _, add in items) & WORD).to_bytes(8, "big")
        same(digest.hex(), case["digest"], "digest of a set")
        cells = sketch([short for short, _ in items], len(case["cells"]))
        same([written(cell).hex() for cell in cells], case["cells"], "cells of a set")
    for case in vectors["differences"]:
        sides = [[short for short, _ in marks(case[side])] for side in ("source", "sink")]
        theirs, ours = (sketch(side, case["fewest_cells"]) for side in sides)
        told = tuple([int(short, 16) for short in case[side]] for side in ("missing", "extra"))
        same(decode(theirs, ours), told, "difference of two sets")
        same(decode(theirs[:-1], ours[:-1]), None, "difference told by too few cells")
        theirs[0][0] ^= 1
        same(decode(theirs, ours), None, "difference told by a wrong cell")
