"""Reads a CERT's collection as Elastic's custom threat intelligence integration does, over a unix socket.

Its URL `http+unix:///path/of/the.sock` is both the socket and the path that it asks for. The first page is asked for with
`added_after` and `limit`; each further one with `next` and `limit` alone; `body.objects` is read without a look whether it
is there; the last `X-TAXII-Date-Added-Last` becomes the next `added_after`; what it takes in is kept by STIX id.

Prints {"objects":N,"pages":P,"again":M}. Exit status 0: the expected number of ids came, and the next round, after the last
time, brought nothing. 1: something of this is not so. Standard library only.
"""

import argparse
import http.client
import json
import socket
import sys
import urllib.parse

MEDIA_TYPE = "application/taxii+json;version=2.1"


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.socket_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.socket_path)


def ask(path, parameters):
    """One page, and when its last object was added."""
    connection = UnixConnection(path)
    connection.request("GET", f"{path}/?{urllib.parse.urlencode(parameters)}", headers={"Accept": MEDIA_TYPE})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise SystemExit(f"status {answer.status}: {text.decode()}")
    return json.loads(text), answer.headers["X-TAXII-Date-Added-Last"]


def take_in(path, added_after, limit):
    """One round: what came, by id, how many pages it took, and the next cursor."""
    objects, pages, last = {}, 0, added_after
    parameters = {"added_after": added_after, "limit": limit}
    while True:
        page, date = ask(path, parameters)
        pages += 1
        for thing in page["objects"]:
            objects[thing["id"]] = thing
        last = date or last
        if not page["more"]:
            return objects, pages, last
        parameters = {"next": page["next"], "limit": limit}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--socket", required=True, help="the collection's socket")
    parser.add_argument("--limit", type=int, default=100, help="objects in a page")
    parser.add_argument("--expect", required=True, type=int, help="how many ids there are")
    options = parser.parse_args()
    objects, pages, last = take_in(options.socket, "2020-01-01T00:00:00Z", options.limit)
    again, _, _ = take_in(options.socket, last, options.limit)
    print(json.dumps({"objects": len(objects), "pages": pages, "again": len(again)}, separators=(",", ":")))
    if len(objects) != options.expect or again:
        print(f"expected {options.expect} objects and nothing in the next round", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
