"""Reads a CERT's TAXII collection as programs on the `stix2` library do, through its TAXIICollectionSource.

Prints {"objects":N,"versions":V}. Exit status 0: all expected objects come, an object is found by its id in its newest
version, all of its versions are told, and a filter on the type and one on the id let through what they should. 1: something
of this is not so, said on standard error.
"""

import argparse
import json
import sys

import stix2
from taxii2client.v21 import Server


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="such as http://127.0.0.1:8771/taxii2/")
    parser.add_argument("--token", required=True, help="the listener's token")
    parser.add_argument("--expect", required=True, type=int, help="how many objects there are, each version counted once")
    parser.add_argument("--id", required=True, help="an object that has several versions")
    parser.add_argument("--versions", required=True, type=int, help="how many versions it has")
    return parser.parse_args()


def check(source, options):
    """What is wrong, a sentence each."""
    every = source.query([stix2.Filter("type", "=", "indicator")])
    if len({thing["id"] for thing in every}) != options.expect:
        yield f"expected {options.expect} indicators, got {len(every)}"
    if source.query([stix2.Filter("type", "=", "malware")]):
        yield "there is malware where there should be none"
    versions = source.all_versions(options.id)
    if len(versions) != options.versions:
        yield f"expected {options.versions} versions of {options.id}, got {len(versions)}"
    newest = max((thing["modified"] for thing in versions), default=None)
    found = source.get(options.id)
    if found is None or found["modified"] != newest:
        yield f"{options.id} is not found in its newest version"
    if source.get("indicator--ffffffff-ffff-4fff-8fff-ffffffffffff") is not None:
        yield "an object is found that is not there"
    if [thing["id"] for thing in source.query([stix2.Filter("id", "=", options.id)])] != [options.id]:
        yield f"a filter on the id lets through something else than {options.id}"
    print(json.dumps({"objects": len(every), "versions": len(versions)}, separators=(",", ":")))


def main():
    options = arguments()
    # By its id: the client refuses a collection whose URL has the alias.
    (collection,) = Server(options.url, user="siem", password=options.token).default.collections
    source = stix2.TAXIICollectionSource(collection, allow_custom=True)
    problems = list(check(source, options))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
