#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a collector has received, of which each line of FILE is a request's JSON.

	tracing.py FILE count [NAME=VALUE...]   so many spans, those with these attributes alone (`kind`, `name`, `status`, `service` are told, too)
	tracing.py FILE tree TRACE              the tree of a trace, a line for each span, the children of one by the time they began
	tracing.py FILE traces [NAME=VALUE...]  the ids of the traces that such spans are of

A tree that is none (no root or several, a parent that is missing, an id that is there twice, a child's time that is not within its
parent's) is told, with status 1.
"""
import json
import sys

KINDS = {2: "SERVER", 3: "CLIENT"}
CLOCKS = 2_000_000 # nanoseconds: two threads of weft-proxy look at the time when they turn to a socket


def attributes(of):
	return {a["key"]: a["value"].get("stringValue") for a in of.get("attributes", [])}


def spans(path):
	with open(path, encoding="utf-8") as lines:
		for line in lines:
			for resource in json.loads(line).get("resourceSpans", []):
				of = attributes(resource["resource"])
				for scope in resource["scopeSpans"]:
					for span in scope["spans"]:
						told = {**of, **attributes(span), "service": of["service.name"], "name": span["name"],
							"kind": KINDS[span["kind"]], "status": str(span.get("status", {}).get("code", 0))}
						yield span, told


def chosen(path, pairs):
	wanted = dict(pair.split("=", 1) for pair in pairs)
	return [(span, told) for span, told in spans(path) if all(told.get(k) == v for k, v in wanted.items())]


def wrong(why):
	print(why)
	sys.exit(1)


def within(child, parent):
	return int(child["startTimeUnixNano"]) >= int(parent["startTimeUnixNano"]) - CLOCKS \
		and int(child["endTimeUnixNano"]) <= int(parent["endTimeUnixNano"]) + CLOCKS


def show(at, children, depth):
	span, told = at
	print(f'{"  " * depth}{told["kind"]} {told["service"]} {span["name"]} {told["http.status_code"]} {told["status"]}')
	for child in sorted(children.get(span["spanId"], []), key=lambda c: int(c[0]["startTimeUnixNano"])):
		if not within(child[0], span):
			wrong(f'{child[0]["name"]} is not within {span["name"]}')
		show(child, children, depth + 1)


def tree(path, trace):
	there = [(span, told) for span, told in spans(path) if span["traceId"] == trace]
	ids = [span["spanId"] for span, _ in there]
	roots = [at for at in there if not at[0].get("parentSpanId")]
	children = {}
	if len(set(ids)) != len(ids):
		wrong("an id is there twice")
	for at in there:
		parent = at[0].get("parentSpanId")
		if parent and parent not in ids:
			wrong(f'the parent of {at[0]["name"]} is missing')
		if parent:
			children.setdefault(parent, []).append(at)
	if len(roots) != 1:
		wrong(f"{len(roots)} roots")
	show(roots[0], children, 0)


def main():
	path, what, *rest = sys.argv[1:]
	if what == "count":
		print(len(chosen(path, rest)))
	elif what == "traces":
		print(*dict.fromkeys(span["traceId"] for span, _ in chosen(path, rest)), sep="\n")
	else:
		tree(path, rest[0])


if __name__ == "__main__":
	main()
