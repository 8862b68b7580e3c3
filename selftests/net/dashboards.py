#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Asks a Prometheus all that dashboards ask, as Grafana does, and says which queries have no answer.

	dashboards.py URL START END SCRAPE EMPTY FILE...

START and END are Unix seconds, SCRAPE is the interval of scrapes in seconds. FILE is a dashboard of Grafana's (.json) or a list of
queries (.tsv: dashboards-istio.tsv says how). A variable of many values has all of them, one of a single value each in turn: a query
has an answer if it has one, a number, at any of these. EMPTY lists the queries that may have none: dashboard, panel, a part of
the query ("*": any) and why, separated by tabs. A reason for what has an answer is an error, too.
"""
import collections
import dataclasses
import json
import pathlib
import re
import sys
import urllib.parse
import urllib.request


@dataclasses.dataclass
class Variable:
	name: str
	many: bool
	query: str        # "query_result(...)", or values with commas between
	regex: str = ""

	@property
	def inner(self):
		found = re.fullmatch(r"query_result\((.*)\)", self.query)
		return found and found[1]


@dataclasses.dataclass
class Query:
	panel: str
	expr: str
	answered: bool = False


@dataclasses.dataclass
class Dashboard:
	name: str
	variables: list = dataclasses.field(default_factory=list)
	queries: list = dataclasses.field(default_factory=list)


# ---- dashboards ----

def panels_of(node):
	for panel in node.get("panels", ()):
		yield panel
		yield from panels_of(panel)


def text_of(query):
	return query["query"] if isinstance(query, dict) else query


def from_json(path):
	content = json.loads(path.read_text())
	dashboard = Dashboard(path.stem)
	for variable in content["templating"]["list"]:
		if variable["type"] != "datasource":
			dashboard.variables.append(Variable(variable["name"], variable["multi"], text_of(variable["query"]), variable.get("regex", "")))
	for panel in panels_of(content):
		for target in panel.get("targets", ()):
			dashboard.queries.append(Query(panel["title"], target["expr"]))
	return [dashboard]


def rows_of(path):
	for line in path.read_text().splitlines():
		if line and not line.startswith("#"):
			yield line.split("\t")


def from_tsv(path):
	found = {}
	for name, what, *rest in rows_of(path):
		dashboard = found.setdefault(name, Dashboard("istio-" + name))
		if what.startswith("$"):
			many, regex, query = rest
			dashboard.variables.append(Variable(what[1:], many == "many", query, regex))
		else:
			dashboard.queries.append(Query(what, rest[0]))
	return list(found.values())


# ---- Prometheus ----

class Prometheus:
	def __init__(self, url, start, end, scrape):
		self.url, self.start, self.end = url, start, end
		self.scrape = scrape
		self.known = {}

	def ask(self, path, **parameters):
		data = urllib.parse.urlencode(parameters).encode()
		with urllib.request.urlopen(f"{self.url}/api/v1/{path}", data, timeout=30) as answer:
			return json.load(answer)["data"]["result"]

	def series(self, expr):
		"""As query_result() has them: label="value" in braces."""
		for series in self.ask("query", query=expr, time=self.end):
			yield "{" + ",".join(f'{name}="{value}"' for name, value in series["metric"].items()) + "}"

	def has_number(self, expr):
		expr = expr.replace("$__rate_interval", f"{int(4 * self.scrape)}s")
		if expr not in self.known:
			result = self.ask("query_range", query=expr, start=self.start, end=self.end, step=self.scrape)
			self.known[expr] = any(value != "NaN" for series in result for _, value in series["values"])
		return self.known[expr]


# ---- variables ----

def put(text, chosen):
	"""As Grafana puts values in: what may have many becomes an expression."""
	def value(found):
		values = chosen.get(found[1] or found[2])
		if values is None:
			return found[0]
		if isinstance(values, str):
			return values.replace("\\", "\\\\").replace('"', '\\"')
		escaped = [re.sub(r"([\\^$.*+?()[\]{}|])", r"\\\\\1", each) for each in values]
		return escaped[0] if len(escaped) == 1 else "(" + "|".join(escaped) + ")"
	return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, text)


def values_of(prometheus, variable, chosen):
	if not variable.inner:
		return variable.query.split(",")
	pattern = variable.regex.strip("/")
	found = (re.search(pattern, series) for series in prometheus.series(put(variable.inner, chosen)))
	return sorted({each[1] for each in found if each and each[1]})


def choices(prometheus, variables, chosen, said):
	"""All ways to choose the values of the variables."""
	if not variables:
		yield chosen
		return
	first, *rest = variables
	values = values_of(prometheus, first, chosen)
	said[first.name].update(values)
	for value in [values] if first.many else values:
		yield from choices(prometheus, rest, {**chosen, first.name: value or [".*"]}, said)


# ---- what is told ----

def run(prometheus, dashboard):
	said = collections.defaultdict(set)
	for chosen in choices(prometheus, dashboard.variables, {}, said):
		for query in dashboard.queries:
			query.answered = query.answered or prometheus.has_number(put(query.expr, chosen))
	for variable in dashboard.variables:
		print(f"{dashboard.name}: ${variable.name}: {' '.join(sorted(said[variable.name])) or '(none)'}")
	return [variable.name for variable in dashboard.variables if not said[variable.name]]


def is_meant(reason, dashboard, query):
	name, panel, part, _ = reason
	return name == dashboard.name and panel in ("*", query.panel) and (part == "*" or part in query.expr)


def judge(dashboard, reasons):
	"""How many queries have no answer for no reason, or one in spite of one."""
	wrong = 0
	counts = collections.Counter()
	for query in dashboard.queries:
		reason = next((each for each in reasons if is_meant(each, dashboard, query)), None)
		counts["answered" if query.answered else "empty"] += 1
		if query.answered == (reason is None):
			continue
		wrong += 1
		print(f"FAIL: {dashboard.name}: {query.panel}: {'an answer, in spite of: ' + reason[3] if reason else 'no answer'}: {query.expr}")
	print(f"{dashboard.name}: {len(dashboard.queries)} queries, {counts['answered']} have an answer, "
		f"{counts['empty']} have none, {wrong} of all are not as they should be")
	return wrong


def main():
	if len(sys.argv) < 7:
		sys.exit(__doc__)
	url, start, end, scrape, empty, *files = sys.argv[1:]
	prometheus = Prometheus(url, float(start), float(end), float(scrape))
	reasons = [row for row in rows_of(pathlib.Path(empty))]
	wrong = 0
	for path in map(pathlib.Path, files):
		for dashboard in from_json(path) if path.suffix == ".json" else from_tsv(path):
			nothing = run(prometheus, dashboard)
			for name in nothing:
				print(f"FAIL: {dashboard.name}: ${name} has no value")
			wrong += len(nothing) + judge(dashboard, reasons)
	sys.exit(wrong > 0)


if __name__ == "__main__":
	main()
