#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""weft's dashboards for Grafana: dashboards.py DIR writes weft-{mesh,service,workload,agent}.json there, each in one line.

Panels are laid out from left to right, as wide as they say, in a grid of 24 columns. What a query may have in it: $datasource, the
variables of its dashboard and $__rate_interval. The names of metrics are Istio's; those of weft_* are in docs/metrics.md.
"""
import json
import pathlib
import sys

WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
QUANTILES = (("0.50", "P50"), ("0.90", "P90"), ("0.99", "P99"))
RED_AT_ONE = [("green", None), ("red", 1)]
SHARE = [("red", None), ("yellow", 0.95), ("green", 0.99)] # of what is well
FILL = [("green", None), ("yellow", 0.8), ("red", 0.9)]


# ---- queries ----

def selector(*parts):
	return "{" + ",".join(part for part in parts if part) + "}"


def rate(metric, *parts):
	return f"rate({metric}{selector(*parts)}[$__rate_interval])"


def total(inner, by=""):
	return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def quantile(q, metric, by, *parts):
	inner = total(rate(f"{metric}_bucket", *parts), "le" + (f", {by}" if by else ""))
	return f"histogram_quantile({q}, {inner})"


def share(good, metric, by, *parts):
	"""Of what the metric counts, how much has the label values of `good`."""
	return f"{total(rate(metric, *parts, good), by)} / {total(rate(metric, *parts), by)}"


def well(by, *parts):
	return share('response_code!~"5.."', "istio_requests_total", by, *parts)


def quantiles(metric, by, legend, *parts):
	return [(quantile(q, metric, by, *parts), f"{legend} {name}".strip()) for q, name in QUANTILES]


# ---- panels ----

def steps(thresholds):
	return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in thresholds]}


def targets(queries, **more):
	return [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend, **more}
		for i, (expr, legend) in enumerate(queries)]


def panel(kind, title, width, height, queries, defaults, options, about="", **more):
	return {"type": kind, "title": title, **({"description": about} if about else {}), "datasource": SOURCE,
		"gridPos": {"w": width, "h": height}, "targets": queries,
		"fieldConfig": {"defaults": defaults, "overrides": []}, "options": options, **more}


def stat(title, query, unit="short", thresholds=(("blue", None),), width=6, about=""):
	return panel("stat", title, width, 4, targets([(query, "")]),
		{"unit": unit, "color": {"mode": "thresholds"}, "thresholds": steps(thresholds), "noValue": "–"},
		{"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area", "colorMode": "value", "justifyMode": "auto", "orientation": "auto",
			"textMode": "auto", "wideLayout": True, "showPercentChange": False, "percentChangeColorMode": "standard"}, about)


def graph(title, queries, unit="short", width=12, about="", most=None, **custom):
	return panel("timeseries", title, width, 8, targets(queries),
		{"unit": unit, "min": 0, **({"max": most} if most else {}), "color": {"mode": "palette-classic"},
			"custom": {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", **custom}},
		{"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}, "tooltip": {"mode": "multi", "sort": "desc"}}, about)


def override(field, **properties):
	return {"matcher": {"id": "byName", "options": field},
		"properties": [{"id": name.replace("_", "."), "value": value} for name, value in properties.items()]}


def table(title, columns, hidden=(), renamed=(), height=12):
	"""columns: (name, query, unit, thresholds); the labels of all queries are the rows' keys."""
	queries = [{"refId": name, "datasource": SOURCE, "expr": query, "format": "table", "instant": True}
		for name, query, _, _ in columns]
	made = panel("table", title, WIDTH, height, queries, {"decimals": 2}, {"showHeader": True, "frameIndex": 0},
		transformations=[{"id": "merge", "options": {}}])
	overrides = made["fieldConfig"]["overrides"]
	for name, _, unit, thresholds in columns:
		color = {"custom_cellOptions": {"type": "color-background", "mode": "basic"}, "thresholds": steps(thresholds)} if thresholds else {}
		overrides.append(override(f"Value #{name}", displayName=name, unit=unit, **color))
	overrides += [override(field, custom_hidden=True) for field in ("Time", *hidden)]
	overrides += [override(field, displayName=name) for field, name in renamed]
	return made


def row(title):
	return {"type": "row", "title": title, "collapsed": False, "gridPos": {"w": WIDTH, "h": 1}, "panels": []}


def lay_out(panels):
	x = y = height = 0
	for number, made in enumerate(panels, 1):
		grid = made["gridPos"]
		if x + grid["w"] > WIDTH:
			x, y, height = 0, y + height, 0
		grid.update(x=x, y=y)
		made["id"] = number
		x, height = x + grid["w"], max(height, grid["h"])
	return panels


# ---- dashboards ----

DATASOURCE = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {"text": "", "value": ""}}


def variable(name, label, query, label_name, many=False):
	"""The values that a label has in the answer to a query."""
	return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "refresh": 2, "sort": 1,
		"query": {"query": f"query_result({query})", "refId": name}, "definition": f"query_result({query})",
		"regex": f'/{label_name}="([^"]*)"/', "multi": many, "includeAll": many,
		"current": {"text": ["All"], "value": ["$__all"]} if many else {"text": "", "value": ""}}


def reporters():
	options = [{"text": text, "value": text, "selected": text == "source"} for text in ("source", "destination")]
	return {"name": "reporter", "label": "Reported by", "type": "custom", "query": "source,destination", "multi": True,
		"includeAll": False, "options": options, "current": {"text": ["source"], "value": ["source"]}}


def links(*others):
	return [{"type": "link", "title": title, "url": f"/d/weft-{name}", "keepTime": True, "includeVars": True, "icon": "dashboard", "tooltip": "",
		"tags": [], "asDropdown": False, "targetBlank": False} for name, title in others]


def dashboard(name, title, about, variables, panels):
	others = [(key, f"weft {key}") for key in ("mesh", "service", "workload", "agent") if key != name]
	return {"uid": f"weft-{name}", "title": title, "description": about, "tags": ["weft"], "schemaVersion": 39, "version": 1,
		"editable": True, "graphTooltip": 1, "refresh": "15s", "time": {"from": "now-15m", "to": "now"}, "timezone": "browser",
		"links": links(*others), "templating": {"list": [DATASOURCE, *variables]}, "annotations": {"list": []},
		"panels": lay_out(panels)}


# ---- the mesh ----

# Each request is counted by the side of the caller where that is weft's, so that it is counted once.
CALLER = 'reporter=~"source|waypoint"'
DEST_WORKLOAD = "destination_workload, destination_workload_namespace"
RENAMED = (("destination_workload", "Workload"), ("destination_workload_namespace", "Namespace"), ("destination_service", "Service"))


def open_connections(*parts):
	opened, closed = (total(f"istio_tcp_connections_{what}_total{selector(*parts)}") for what in ("opened", "closed"))
	return f"{opened} - {closed}"


def workloads_http():
	def q(number):
		return quantile(number, "istio_request_duration_milliseconds", DEST_WORKLOAD, CALLER)
	return table("HTTP and gRPC workloads", (
		("Requests", total(rate("istio_requests_total", CALLER), f"{DEST_WORKLOAD}, destination_service"), "reqps", None),
		("P50", q("0.50"), "ms", None), ("P90", q("0.90"), "ms", None), ("P99", q("0.99"), "ms", None),
		("Well", well(DEST_WORKLOAD, CALLER), "percentunit", SHARE)), renamed=RENAMED)


def workloads_tcp():
	def of(metric):
		return total(rate(metric, CALLER), f"{DEST_WORKLOAD}, destination_service")
	return table("TCP workloads", (
		("Connections", of("istio_tcp_connections_opened_total"), "cps", None),
		("Received", of("istio_tcp_received_bytes_total"), "Bps", None),
		("Sent", of("istio_tcp_sent_bytes_total"), "Bps", None)), renamed=RENAMED)


def mesh():
	requests = "istio_requests_total"
	panels = [
		stat("Requests", total(rate(requests, CALLER)), "reqps"),
		stat("Success (non-5xx)", well("", CALLER), "percentunit", SHARE),
		stat("4xx", total(rate(requests, CALLER, 'response_code=~"4.."')) + " or vector(0)", "reqps"),
		stat("5xx", total(rate(requests, CALLER, 'response_code=~"5.."')) + " or vector(0)", "reqps", RED_AT_ONE),
		stat("P99", quantile("0.99", "istio_request_duration_milliseconds", "", CALLER), "ms"),
		stat("By mutual TLS", share('connection_security_policy="mutual_tls"', requests, "", CALLER) + " or vector(0)", "percentunit",
			about="The share of requests that went by mutual TLS: between nodes, where a rule or a policy asks for it."),
		stat("TCP connections open", open_connections(CALLER), "short"),
		stat("TCP bytes", total(rate("istio_tcp_received_bytes_total", CALLER)) + " + " + total(rate("istio_tcp_sent_bytes_total", CALLER)), "Bps"),
		graph("Requests by service", [(total(rate(requests, CALLER), "destination_service"), "{{destination_service}}")], "reqps"),
		graph("P99 by service", [(quantile("0.99", "istio_request_duration_milliseconds", "destination_service", CALLER), "{{destination_service}}")], "ms"),
		graph("Failures by service, code and flags",
			[(total(rate(requests, CALLER, 'response_code=~"5..|0"'), "destination_service, response_code, response_flags"),
				"{{destination_service}}: {{response_code}} {{response_flags}}")], "reqps",
			about="5xx and requests that got no response (code 0). Flags are Envoy's: UF no connection, UH no endpoint that is healthy, UO a limit, NR no route, UT a timeout, FI a fault of a rule, DC the client went away."),
		graph("Who calls which service", [(total(rate(requests, CALLER), "source_workload, destination_service"), "{{source_workload}} → {{destination_service}}")], "reqps"),
		workloads_http(), workloads_tcp(),
		graph("Versions of weft", [("sum by (component, tag) (istio_build)", "{{component}} {{tag}}")], width=WIDTH),
	]
	return dashboard("mesh", "weft mesh", "What all services of the mesh do.", [], panels)


# ---- one service, one workload ----

SECURED = "connection_security_policy"
LOCKED = "({{connection_security_policy}})"


def traffic(by, legend, *parts):
	"""What HTTP and TCP do, by the labels `by`."""
	key, shown = f"{by}, {SECURED}", f"{legend} {LOCKED}"
	duration, request, response = "istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"
	return [
		graph("Requests by response code", [(total(rate("istio_requests_total", *parts), f"{key}, response_code"), f"{legend}: {{{{response_code}}}} {LOCKED}")], "reqps"),
		graph("Success (non-5xx)", [(well(key, *parts), shown)], "percentunit", most=1),
		graph("Duration", quantiles(duration, key, shown, *parts), "ms"),
		graph("Failures by flags", [(total(rate("istio_requests_total", *parts, 'response_flags!="-"'), f"{by}, response_code, response_flags"), f"{legend}: {{{{response_code}}}} {{{{response_flags}}}}")], "reqps",
			about="Requests that weft or the connection ended, not the application: Envoy's response flags."),
		graph("Request size", quantiles(request, key, shown, *parts), "decbytes"),
		graph("Response size", quantiles(response, key, shown, *parts), "decbytes"),
		graph("TCP bytes received", [(total(rate("istio_tcp_received_bytes_total", *parts), key), shown)], "Bps", about="From the caller to the endpoint."),
		graph("TCP bytes sent", [(total(rate("istio_tcp_sent_bytes_total", *parts), key), shown)], "Bps", about="From the endpoint to the caller."),
		graph("TCP connections opened", [(total(rate("istio_tcp_connections_opened_total", *parts), key), shown)], "cps"),
		graph("TCP connections open", [(f"sum by ({by}) (istio_tcp_connections_opened_total{selector(*parts)}) - sum by ({by}) (istio_tcp_connections_closed_total{selector(*parts)})", legend)]),
	]


def summary(who, *parts):
	return [
		stat(f"Requests {who}", total(rate("istio_requests_total", *parts)), "reqps"),
		stat("Success (non-5xx)", well("", *parts), "percentunit", SHARE),
		stat("P99", quantile("0.99", "istio_request_duration_milliseconds", "", *parts), "ms"),
		stat("TCP bytes", total(rate("istio_tcp_received_bytes_total", *parts)) + " + " + total(rate("istio_tcp_sent_bytes_total", *parts)), "Bps"),
	]


def either(label, *parts):
	"""The values of a label among requests and among connections."""
	return f"sum by ({label}) (istio_requests_total{selector(*parts)}) or sum by ({label}) (istio_tcp_sent_bytes_total{selector(*parts)})"


def service():
	callee = 'destination_service="$service"'
	reported, by_endpoint = 'reporter=~"$reporter"', 'reporter="destination"'
	variables = [
		variable("service", "Service", either("destination_service"), "destination_service"),
		reporters(),
		variable("srcns", "Caller's namespace", either("source_workload_namespace", reported, callee), "source_workload_namespace", True),
		variable("srcwl", "Caller", either("source_workload", reported, callee, 'source_workload_namespace=~"$srcns"'), "source_workload", True),
		variable("dstwl", "Workload of the service", either("destination_workload", by_endpoint, callee), "destination_workload", True),
	]
	callers = (reported, callee, 'source_workload=~"$srcwl"', 'source_workload_namespace=~"$srcns"')
	endpoints = (by_endpoint, callee, 'destination_workload=~"$dstwl"')
	panels = [row("As callers see it"), *summary("of callers", reported, callee),
		row("As its endpoints see it"), *summary("at endpoints", by_endpoint, callee),
		row("Callers"), *traffic("source_workload, source_workload_namespace", "{{source_workload}}.{{source_workload_namespace}}", *callers),
		row("Workloads of the service"), *traffic("destination_workload, destination_version", "{{destination_workload}} {{destination_version}}", *endpoints)]
	return dashboard("service", "weft service", "One service: who calls it, and what its versions do.", variables, panels)


def workload():
	reported, by_caller = 'reporter=~"$reporter"', 'reporter="source"'
	called = ('destination_workload="$workload"', 'destination_workload_namespace="$namespace"')
	calls = ('source_workload="$workload"', 'source_workload_namespace="$namespace"')
	namespaces = f"({either('destination_workload_namespace')}) or label_replace({either('source_workload_namespace')}, \"destination_workload_namespace\", \"$1\", \"source_workload_namespace\", \"(.*)\")"
	workloads = f"({either('destination_workload', called[1])}) or label_replace({either('source_workload', calls[1])}, \"destination_workload\", \"$1\", \"source_workload\", \"(.*)\")"
	variables = [
		variable("namespace", "Namespace", namespaces, "destination_workload_namespace"),
		variable("workload", "Workload", workloads, "destination_workload"),
		reporters(),
		variable("srcwl", "Caller", either("source_workload", reported, *called), "source_workload", True),
		variable("dstsvc", "Called service", either("destination_service", by_caller, *calls), "destination_service", True),
	]
	panels = [row("Called"), *summary("that come in", reported, *called),
		row("Calls"), *summary("that go out", by_caller, *calls),
		row("By caller"), *traffic("source_workload, source_workload_namespace", "{{source_workload}}.{{source_workload_namespace}}", reported, *called, 'source_workload=~"$srcwl"'),
		row("By called service"), *traffic("destination_service", "{{destination_service}}", by_caller, *calls, 'destination_service=~"$dstsvc"')]
	return dashboard("workload", "weft workload", "One workload: who calls it, and what it calls.", variables, panels)


# ---- the agents ----

# Tables that make room by themselves are meant to be full.
NOT_LRU = 'map!~"affinity|frags|protect_buckets|protect_proven|proxied|shortcuts"'
NODE_AGENT = 'app="weft"' # of what Prometheus says itself, and what processes of others have, too

def average(family, *parts):
	"""Of a family that has a sum and a count."""
	return f"{rate(family + '_sum', *parts)} / ({rate(family + '_count', *parts)} > 0)"


def of_node(query, legend="{{node}}"):
	return [(query, legend)]


def agent():
	node = 'node=~"$node"'
	variables = [variable("node", "Node", "sum by (node) (weft_generation)", "node", True)]
	agents = f'up{selector(NODE_AGENT, node)}'
	full = f"weft_map_entries{selector(node, NOT_LRU)} / weft_map_max_entries{selector(node)}"
	panels = [
		row("State"),
		stat("Agents that answer", f"sum({agents}) or vector(0)"),
		stat("Agents that do not", f"count({agents} == 0) or vector(0)", thresholds=RED_AT_ONE),
		stat("Nodes without weft-proxy", f"count(weft_proxy_running{selector(node)} == 0) or vector(0)", thresholds=RED_AT_ONE),
		stat("Fullest table", f"max({full})", "percentunit", FILL),
		graph("Generation of rules", of_node(f"weft_generation{selector(node)}"), about="It goes up with each change of rules. Nodes count for themselves."),
		graph("Changes", [(total(rate("weft_changes_total", node), "node, result"), "{{node}} {{result}}")], "ops",
			about="Changes of objects that came into force, and those that were refused."),
		graph("How long changes took", [(average("weft_apply_duration_seconds", node), "{{node}} average"), (f"weft_apply_last_seconds{selector(node)}", "{{node}} last")], "s"),
		graph("Objects", [(f"sum by (node) (weft_objects{selector(node)})", "{{node}} known"), (f"sum by (node, kind) (weft_objects_rejected{selector(node)})", "{{node}} rejected: {{kind}}")]),
		graph("Versions", [(f"sum by (node, tag) (istio_build{selector(node)})", "{{node}} {{tag}}")]),
		graph("Pods", [(f"weft_pods{selector(node)}", "{{node}} {{state}}")], about="Here: on the node. mesh: of the mesh. unseen: steered by their packets only."),
		row("Connections"),
		graph("Connections open", [(f"weft_connections{selector(node)}", "{{node}} by {{by}}")]),
		graph("Refused, by reason", [(total(rate("weft_refusals_total", node), "node, reason") + " > 0", "{{node}} {{reason}}")], "cps"),
		graph("Endpoints put out", [(f"weft_ejected_endpoints{selector(node)}", "{{node}} out"), (rate("weft_ejections_total", node), "{{node}} put out per second")]),
		graph("Forwarded by XDP", [(rate("weft_xdp_forwarded_bytes_total", node), "{{node}}")], "Bps"),
		row("weft-proxy"),
		graph("Started again", of_node(f"increase(weft_proxy_restarts_total{selector(node)}[$__rate_interval])"), about="Beside upgrades, each loses the requests under way."),
		graph("Requests under way", [(f"weft_proxy_requests{selector(node)}", "{{node}} {{state}}")]),
		graph("Tries again, and limits reached", [(rate("weft_proxy_retries_total", node), "{{node}} tries again"), (rate("weft_proxy_overflows_total", node), "{{node}} refused by a limit")], "reqps"),
		graph("Earlier ones that drain", of_node(f"weft_proxy_draining{selector(node)}")),
		row("Tables in the kernel"),
		graph("How full tables are", [(full, "{{node}} {{map}}")], "percentunit", most=1),
		graph("Memory of maps", [(f"topk(10, sum by (map) (weft_map_memory_bytes{selector(node)}))", "{{map}}")], "bytes", stacking={"mode": "normal"}),
		graph("A sweep over the connections", of_node(average("weft_sweep_duration_seconds", node)), "s"),
		graph("Put back", [(f"increase(weft_guard_restored_total{selector(node)}[$__rate_interval]) > 0", "{{node}} {{kind}}")],
			about="What others took out of the kernel: programs, routes, rules, tables."),
		row("API server, DNS, certificates"),
		graph("Watches", [(f"sum by (node, phase) (weft_kubernetes_watch{selector(node)})", "{{node}} {{phase}}")], about="Kinds of objects, by the phase that their watch is in."),
		graph("Changes of objects", [(total(rate("weft_kubernetes_events_total", node), "node, resource") + " > 0", "{{node}} {{resource}}")], "ops"),
		graph("Names asked of DNS", [(total(rate("weft_dns_queries_total", node), "node, result"), "{{node}} {{result}}")], "ops"),
		graph("Certificates for mutual TLS", [(f"weft_identity_certificates{selector(node)}", "{{node}} {{state}}")]),
		row("What it costs"),
		graph("Processor time", [(rate("process_cpu_seconds_total", node, NODE_AGENT), "{{node}} weftd"), (rate("weft_proxy_cpu_seconds_total", node), "{{node}} weft-proxy")], "s", about="Seconds per second."),
		graph("Memory", [(f"process_resident_memory_bytes{selector(node, NODE_AGENT)}", "{{node}} weftd"), (f"weft_proxy_resident_memory_bytes{selector(node)}", "{{node}} weft-proxy")], "bytes"),
		graph("Descriptors", [(f"process_open_fds{selector(node, NODE_AGENT)}", "{{node}} weftd"), (f"weft_proxy_open_fds{selector(node)}", "{{node}} weft-proxy")]),
		graph("Series of these metrics", [(f"weft_metrics_series{selector(node)}", "{{node}}"), (f"weft_metrics_folded_total{selector(node)}", "{{node}} folded")],
			about="Folded: label sets for which there was no room, counted with unknown labels."),
		graph("A scrape", [(f"weft_metrics_scrape_seconds{selector(node)}", "{{node}}")], "s"),
	]
	return dashboard("agent", "weft node agent", "weft itself, on each node.", variables, panels)


def main():
	if len(sys.argv) != 2:
		sys.exit(__doc__)
	directory = pathlib.Path(sys.argv[1])
	directory.mkdir(parents=True, exist_ok=True)
	for made in (mesh(), service(), workload(), agent()):
		text = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
		(directory / f"{made['uid']}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
	main()
