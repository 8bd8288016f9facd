"""Reads a CERT's TAXII collection with `taxii2-client`, page by page, and says what it got.

Prints {"objects":N,"unique":N,"pages":P}. Exit status 0: the number of objects is the expected one, each came once,
the manifest tells of the same, and the first object is found by its id. 1: something of this is not so, said on
standard error.
"""

import argparse
import json
import sys

from taxii2client.v21 import Server, as_pages


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="such as http://127.0.0.1:8771/taxii2/")
    parser.add_argument("--token", required=True, help="the listener's token")
    parser.add_argument("--expect", required=True, type=int, help="how many objects there are")
    parser.add_argument("--limit", type=int, default=0, help="objects in a page; 0 leaves it to the server")
    return parser.parse_args()


def ids_of(pages, key):
    """The objects of all pages by what tells them apart, page by page."""
    return [[key(thing) for thing in page.get("objects", [])] for page in pages]


def flat(pages):
    return [thing for page in pages for thing in page]


def check(collection, objects, expect):
    """What is wrong, a sentence each."""
    ids = flat(objects)
    if len(ids) != expect:
        yield f"expected {expect} objects, got {len(ids)}"
    if len(set(ids)) != len(ids):
        yield f"{len(ids) - len(set(ids))} objects came twice"
    listed = flat(ids_of(as_pages(collection.get_manifest), lambda record: record["id"]))
    if listed != ids:
        yield f"the manifest tells of {len(listed)} objects, or in another order"
    if ids and [found["id"] for found in collection.get_object(ids[0])["objects"]] != ids[:1]:
        yield f"{ids[0]} is not found by its id"
    if ids and not collection.object_versions(ids[0])["versions"]:
        yield f"{ids[0]} has no version"


def main():
    options = arguments()
    server = Server(options.url, user="siem", password=options.token)
    (collection,) = server.default.collections
    objects = ids_of(as_pages(collection.get_objects, options.limit), lambda thing: thing["id"])
    ids = flat(objects)
    summary = {"objects": len(ids), "unique": len(set(ids)), "pages": len(objects)}
    print(json.dumps(summary, separators=(",", ":")))
    problems = list(check(collection, objects, options.expect))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
