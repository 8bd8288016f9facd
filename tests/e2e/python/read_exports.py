"""Reads exports as the products that they are for read them, and says what it got.

The tables are read by Python's csv module, the feed by pymisp, the rest by readers written from the formats'
documentation. Every reader must find the expected values and no others.

Prints {"read":N}. Exit status 0: all is as expected. 1: something is not, said on standard error.
"""

import argparse
import base64
import csv
import ipaddress
import json
import pathlib
import re
import sys
import uuid

from pymisp import MISPEvent

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def unguarded(cell):
    """A cell as it was; one that a spreadsheet would reckon with is refused."""
    if cell.startswith(FORMULA):
        raise ValueError(f"a formula: {cell!r}")
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA) else cell


def rows(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, strict=True))


def read_csv(folder):
    return {(row["type"], unguarded(row["value"])) for row in rows(folder / "csv")}


def read_splunk(folder):
    found = set()
    for row in rows(folder / "splunk-csv/ip_intel.csv"):
        ipaddress.ip_network(row["ip"])
        found.add(row["ip"])
    found |= {row["domain"] for row in rows(folder / "splunk-csv/domain_intel.csv")}
    found |= {unguarded(row["url"]) for row in rows(folder / "splunk-csv/http_intel.csv")}
    for row in rows(folder / "splunk-csv/file_intel.csv"):
        found.add(unguarded(row["file_hash"] or row["file_name"]))
        assert 1 <= int(row["weight"]) <= 100
    return found


def read_zeek(folder):
    lines = (folder / "zeek-intel").read_bytes().decode().split("\n")
    assert lines.pop() == "", "the last line has no end"
    columns = lines.pop(0).split("\t")
    assert columns[0] == "#fields"
    found = set()
    for line in lines:
        fields = dict(zip(columns[1:], line.split("\t"), strict=True))
        assert not line.startswith("#"), line
        assert fields["indicator_type"].startswith("Intel::") and fields["meta.source"] == "mithaq"
        assert fields["meta.remove"] in "TF"
        text = re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), fields["indicator"])
        found.add((fields["indicator_type"], text))
    return found


def read_wazuh(folder):
    found = set()
    for path in (folder / "wazuh-cdb").glob("mithaq-*"):
        for line in path.read_text().splitlines():
            match = re.fullmatch(r'(?:"([^"]+)"|([^":]+)):([^":]*)', line)
            key = match[1] or match[2]
            assert key not in found, f"{key} is not unique"
            found.add(key)
    return found


def read_suricata(folder):
    found = set()
    for name, kind in (("domains", str), ("urls", str), ("ips", None), ("md5", 32), ("sha1", 40), ("sha256", 64)):
        for line in (folder / f"suricata-dataset/mithaq-{name}.lst").read_text().splitlines():
            if kind is str:
                found.add(base64.b64decode(line, validate=True).decode())
            elif kind is None:
                found.add(str(ipaddress.ip_address(line)))
            else:
                assert re.fullmatch(f"[0-9a-f]{{{kind}}}", line), line
                found.add(line)
    return found


def read_iprep(folder):
    number, short, _ = (folder / "suricata-iprep/categories.txt").read_text().strip().split(",", 2)
    assert 1 <= int(number) <= 60 and len(short) <= 32
    found = set()
    for line in (folder / "suricata-iprep/mithaq.list").read_text().splitlines():
        address, category, score = line.split(",")
        assert category == number and 1 <= int(score) <= 127
        found.add(str(ipaddress.ip_network(address) if "/" in address else ipaddress.ip_address(address)))
    return found


def read_misp(folder):
    manifest = json.loads((folder / "misp-feed/manifest.json").read_text())
    files = {path.stem for path in (folder / "misp-feed").glob("*.json")} - {"manifest"}
    assert files == set(manifest), "the manifest names other events than there are"
    found = set()
    for name, head in manifest.items():
        event = MISPEvent()
        event.load_file(folder / f"misp-feed/{name}.json")
        assert event.uuid == name == str(uuid.UUID(name)) and event.info == head["info"]
        assert event.Orgc.name == head["Orgc"]["name"]
        assert [tag.name for tag in event.tags] == [tag["name"] for tag in head["Tag"]]
        for attribute in event.attributes:
            assert attribute.to_ids and attribute.category, attribute
            found.add((attribute.type, attribute.value))
    return found


def check(folder, expected):
    """What is wrong, a sentence each."""

    def differ(what, found, expect):
        if found != expect:
            yield f"{what}: lacks {sorted(expect - found)}, has {sorted(found - expect)}"

    def of(*kinds):
        return {value for kind, value in expected if kind in kinds}

    addresses, networks = of("ipv4-addr", "ipv6-addr"), of("ipv4-cidr", "ipv6-cidr")
    hashes = of("file-md5", "file-sha1", "file-sha256")
    yield from differ("csv", read_csv(folder), expected)
    splunk = addresses | networks | hashes | of("domain-name", "url", "file-name")
    yield from differ("splunk-csv", read_splunk(folder), splunk)
    sets = addresses | hashes | of("domain-name", "url")
    yield from differ("suricata-dataset", read_suricata(folder), sets)
    yield from differ("suricata-iprep", read_iprep(folder), addresses | networks)
    zeek = read_zeek(folder)
    for name, kinds in (
        ("Intel::ADDR", ["ipv4-addr", "ipv6-addr"]),
        ("Intel::SUBNET", ["ipv4-cidr", "ipv6-cidr"]),
        ("Intel::DOMAIN", ["domain-name"]),
        ("Intel::EMAIL", ["email-addr"]),
        ("Intel::FILE_HASH", ["file-md5", "file-sha1", "file-sha256"]),
    ):
        yield from differ(name, {value for kind, value in zeek if kind == name}, of(*kinds))
    urls = {re.sub(r"^https?://|#.*", "", url) for url in of("url") if re.match("https?://", url)}
    yield from differ("Intel::URL", {value for kind, value in zeek if kind == "Intel::URL"}, urls)
    prefixes = {re.sub(r"0/24$", "", network) for network in of("ipv4-cidr") if network.endswith("/24")}
    writable = {value for value in sets if '"' not in value}
    yield from differ("wazuh-cdb", read_wazuh(folder), writable | prefixes)
    yield from differ("misp-feed", {value for _, value in read_misp(folder)}, {value for _, value in expected})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", required=True, type=pathlib.Path, help="one export a format, named by it")
    parser.add_argument("--expect", required=True, help='the values, [["domain-name","evil.example"],...]')
    arguments = parser.parse_args()
    expected = {tuple(value) for value in json.loads(arguments.expect)}
    problems = list(check(arguments.folder, expected))
    for problem in problems:
        print(problem, file=sys.stderr)
    print(json.dumps({"read": len(expected)}))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
