#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tables.py BPFFS-DIR: prints what the generation in force does, from the kernel's own tables, without anything that depends on how it
came to be: names in place of ids and of places in tables, and the addresses of who is meant in place of namespaces and labels. Two
agents that have been told of the same objects print the same.
"""
import ipaddress
import json
import subprocess
import sys

DIR = sys.argv[1]
ACTIONS = ("route", "pass", "refuse", "proxy", "admit")


def bpftool(*arguments):
    return json.loads(subprocess.run(["bpftool", "-j", "map", *arguments], check=True, stdout=subprocess.PIPE).stdout)


def rows(*where):
    """Keys and values, by bpftool's reading of the types."""
    return [(row["formatted"]["key"], row["formatted"]["value"]) for row in bpftool("dump", *where)]


def pinned(name):
    return rows("pinned", f"{DIR}/{name}")


def word(octets):
    return int.from_bytes(bytes(int(octet, 16) for octet in octets), sys.byteorder)


def table(name):
    """Of the generation in force: the value of its slot is an inner map's id."""
    for row in bpftool("dump", "pinned", f"{DIR}/gen_{name}"):
        if word(row["key"]) == SLOT:
            return rows("id", str(word(row["value"])))
    sys.exit(f"tables: there is no gen_{name} in force")


def number(thing):
    return thing if isinstance(thing, int) else int(str(thing), 0)


def address(value):
    while isinstance(value, dict):
        value = next(iter(value.values()))
    raw = b"".join(number(part).to_bytes(16 // len(value), sys.byteorder) for part in value)
    out = ipaddress.IPv6Address(raw)
    return str(out.ipv4_mapped or out)


def text(value):
    return value if isinstance(value, str) else bytes(number(c) & 255 for c in value).split(b"\0")[0].decode()


def names(name):
    return {key: text(value["name"]) for key, value in pinned(name)}


SLOT = pinned("generation")[0][1] % 4
CLUSTER, ROUTE = names("clusters"), names("routes")
ARRAY = {name: dict(table(name)) for name in ("rules", "admits", "routes", "dests", "clusters", "endpoints")}
SOURCES = [(address(key), value) for key, value in table("sources")]
SELECTED = {(key["workload"], key["selector"]) for key, _ in table("selected")}


def who(ns, selector):
    if not ns and not selector:
        return "any"
    return sorted(ip for ip, source in SOURCES if (not ns or source["ns"] == ns) and
                  (not selector or (source["workload"], selector) in SELECTED))


def cluster(at):
    row = dict(ARRAY["clusters"][at])
    first, count = row.pop("ep_first"), row.pop("ep_count")
    ends = [ARRAY["endpoints"][first + i] for i in range(count)]
    row["name"] = CLUSTER[row.pop("id")]
    row["endpoints"] = sorted(f"{address(end['addr'])} {end['port']}" for end in ends)
    return row


def route(at):
    row, before, dests = ARRAY["routes"][at], 0, []
    for i in range(row["dest_count"]):
        dest = ARRAY["dests"][row["dest_first"] + i]
        dests.append([dest["end"] - before, cluster(dest["cluster"])])
        before = dest["end"]
    return {"name": ROUTE[row["id"]], "total": row["total"], "dests": dests}


def rule(at):
    row = ARRAY["rules"][at]
    action = ACTIONS[row["action"]]
    what = {"who": who(row["ns"], row["selector"]), "action": action}
    if action == "route":
        what["route"] = route(row["route"])
    if action == "admit":
        what["from"] = [address(ARRAY["admits"][row["route"]][part]) for part in ("from", "mask")]
    return what


def services():
    for key, value in table("services"):
        yield {"address": address(key["addr"]), "port": key["port"], "scope": key["scope"], "callers": who(key["ns"], 0),
               "affinity": value["affinity_s"], "flags": value["flags"],
               "rules": [rule(value["rule_first"] + i) for i in range(value["rule_count"])]}


for line in sorted(json.dumps(service, sort_keys=True) for service in services()):
    print(line)
for line in sorted(ip for ip, _ in SOURCES):
    print(line)
