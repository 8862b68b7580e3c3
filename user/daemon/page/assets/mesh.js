// SPDX-License-Identifier: Apache-2.0
// What is known of the mesh: nodes and edges of the traffic graph (feed.h has the messages), the routes that are in force, and
// clusters that have limits. Tells of changes by events: "shape" (other nodes or edges), "values", "rules", "state".

const HISTORY = 60; // turns
const BREAKER_OPEN_MS = 6000; // after it last refused something

export const nodeKey = (kind, ns, name, version = "", app = "") => [kind, ns, name, version, app].join("|");

// "outbound|9080|v1|reviews.default.svc.cluster.local"
export function clusterParts(name) {
	const [, port = "", subset = "", host = ""] = (name || "").split("|");
	return { port, subset, host };
}

export function hostOf(node) {
	return node.ns === "unknown" || node.name.includes(".") ? node.name : `${node.name}.${node.ns}.svc.cluster.local`;
}

export class Mesh extends EventTarget {
	constructor() {
		super();
		this.turn = -1;
		this.age = 0; // rises when ids begin anew
		this.forget();
		this.routes = [];
		this.routesOf = new Map(); // host -> routes
		this.services = [];
		this.pods = [];
		this.rules = [];
		this.clusters = {};
		this.clustersAt = new Map(); // host -> names of clusters
		this.weightsOf = new Map(); // cluster -> [{weight, conditions, route}]
		this.refused = new Map(); // cluster -> {count, at}
		this.nodeName = "";
		this.idle = false; // also what has no traffic
	}

	forget() {
		this.nodes = new Map(); // key -> node
		this.edges = new Map(); // id -> edge
		this.byId = [];
	}

	watch(address = "/api/events") {
		const source = new EventSource(address);
		const on = (name, take) => source.addEventListener(name, (event) => take.call(this, JSON.parse(event.data)));
		on("traffic", this.takeTraffic);
		on("mesh", this.takeMesh);
		on("pods", this.takePods);
		on("clusters", this.takeClusters);
		on("trouble", (data) => this.setState("bad", data.error));
		source.addEventListener("error", () => this.setState("bad", "no connection to weftd"));
		this.source = source;
	}

	setState(state, words) {
		if (this.state === state && this.words === words) return;
		this.state = state;
		this.words = words;
		this.dispatchEvent(new Event("state"));
	}

	// ---- traffic ----

	takeNode([id, kind, ns, name, version, app]) {
		const key = nodeKey(kind, ns, name, version, app);
		const node = this.nodes.get(key) || { key, kind, ns, name, version, app, in: new Set(), out: new Set() };
		this.nodes.set(key, node);
		this.byId[id] = node;
	}

	takeEdge([id, from, to, protocol, cluster]) {
		if (this.edges.has(id)) return;
		const edge = {
			id, from: this.byId[from], to: this.byId[to], protocol, cluster,
			rate: 0, clientErrors: 0, failed: 0, p50: null, p99: null, in: 0, out: 0, open: 0, mtls: null, flags: {}, active: false,
			past: new Float32Array(HISTORY), // a ring: see historyOf()
		};
		edge.from.out.add(edge);
		edge.to.in.add(edge);
		this.edges.set(id, edge);
	}

	takeValue([id, rate, clientErrors, failed, p50, p99, bytesIn, bytesOut, open, mtls, flags]) {
		const edge = this.edges.get(id);
		edge.rate = rate;
		edge.clientErrors = clientErrors;
		edge.failed = failed;
		edge.p50 = p50;
		edge.p99 = p99;
		edge.in = bytesIn;
		edge.out = bytesOut;
		edge.open = open;
		edge.mtls = mtls;
		edge.flags = flags;
		edge.active = rate > 0 || bytesIn + bytesOut > 0 || open > 0;
	}

	takeTraffic(data) {
		if (data.full) {
			this.age++;
			this.forget();
			this.addServices();
		}
		const before = this.nodes.size + this.edges.size;
		data.nodes.forEach((n) => this.takeNode(n));
		data.edges.forEach((e) => this.takeEdge(e));
		data.values.forEach((v) => this.takeValue(v));
		this.turn++;
		for (const edge of this.edges.values()) edge.past[this.turn % HISTORY] = edge.rate || edge.in + edge.out;
		this.setState("ok", "live");
		const visible = this.visibleKey(), other = data.full || this.nodes.size + this.edges.size !== before || this.visible !== visible;
		this.visible = visible;
		if (other) this.dispatchEvent(new Event("shape"));
		this.dispatchEvent(new Event("values"));
	}

	// What tells one set of visible edges from another.
	visibleKey() {
		let count = 0, sum = 0;
		for (const edge of this.edges.values()) {
			if (!edge.active) continue;
			count++;
			sum = (sum * 31 + edge.id) | 0;
		}
		return `${count} ${sum}`;
	}

	// ---- rules ----

	addServices() {
		for (const [ns, name, ports] of this.services) {
			const key = nodeKey("service", ns, name);
			const node = this.nodes.get(key) || { key, kind: "service", ns, name, version: "", app: "", in: new Set(), out: new Set() };
			node.ports = ports;
			this.nodes.set(key, node);
		}
	}

	// [[NAMESPACE, NAME]...], for forms alone
	takePods(data) {
		this.pods = data;
	}

	takeMesh(data) {
		if (!data.routes) return;
		this.routes = data.routes;
		this.routesOf = new Map();
		for (const route of data.routes) {
			if (!this.routesOf.has(route.host)) this.routesOf.set(route.host, []);
			this.routesOf.get(route.host).push(route);
		}
		this.weightsOf = new Map();
		for (const route of data.routes)
			for (const [cluster, weight] of route.destinations || []) {
				if (!this.weightsOf.has(cluster)) this.weightsOf.set(cluster, []);
				this.weightsOf.get(cluster).push({ weight, conditions: route.conditions || "", route });
			}
		this.services = data.services;
		this.rules = data.rules;
		this.nodeName = data.node;
		this.addServices();
		this.dispatchEvent(new Event("rules"));
		this.dispatchEvent(new Event("shape"));
	}

	takeClusters(data) {
		const now = Date.now();
		for (const [name, cluster] of Object.entries(data)) {
			const count = (cluster.requests_refused || 0) + (cluster.connections_refused || 0);
			const had = this.refused.get(name);
			this.refused.set(name, { count, at: had && count > had.count ? now : had ? had.at : 0 });
		}
		this.clusters = data;
		this.clustersAt = new Map();
		for (const name of Object.keys(data)) {
			const { host } = clusterParts(name);
			this.clustersAt.set(host, [...(this.clustersAt.get(host) || []), name]);
		}
		this.dispatchEvent(new Event("values"));
	}

	// ---- what follows ----

	// Whether the cluster refuses at present, by its limits.
	isOpen(name) {
		const cluster = this.clusters[name], refused = this.refused.get(name);
		if (!cluster) return false;
		return Boolean(refused && refused.at && Date.now() - refused.at < BREAKER_OPEN_MS);
	}

	ejected(name) {
		return (this.clusters[name] && this.clusters[name].ejected) || [];
	}

	clustersOf(host) {
		return this.clustersAt.get(host) || [];
	}

	// [{weight, conditions, route}] of the rules that lead to a cluster.
	weights(name) {
		return this.weightsOf.get(name) || [];
	}

	routesAt(node) {
		return node.kind === "service" ? this.routesOf.get(hostOf(node)) || [] : [];
	}

	// "ok", "warn", "bad", "idle"
	health(edge) {
		if (!edge.active) return "idle";
		if ((this.clustersAt.size && this.troubles(edge).length) || (edge.rate && edge.failed / edge.rate > 0.001)) return "bad";
		return edge.rate && edge.clientErrors / edge.rate > 0.01 ? "warn" : "ok";
	}

	// Limits that were reached, and endpoints that are out, behind an edge to a workload or to a service.
	troubles(edge) {
		if (edge.members) return edge.members.flatMap((member) => this.troubles(member));
		const names = edge.cluster ? [edge.cluster] : this.clustersOf(hostOf(edge.to));
		return names.flatMap((name) => {
			const list = [];
			if (this.isOpen(name)) list.push({ kind: "open", cluster: name, words: "limit reached: calls are refused" });
			const out = this.ejected(name);
			if (out.length) list.push({ kind: "ejected", cluster: name, words: `${out.length} of ${this.clusters[name].endpoints} ejected` });
			return list;
		});
	}

	// "delay 7 s", "abort 500", ...
	faults(node) {
		return this.routesAt(node).flatMap((route) => {
			const list = [], on = route.conditions ? ` if ${route.conditions}` : "";
			if (route.delay_ms) list.push(`delay ${Number((route.delay_ms / 1000).toPrecision(3))} s (${Number(route.delay_percent.toPrecision(3))} %)${on}`);
			if (route.abort_status) list.push(`abort ${route.abort_status} (${Number(route.abort_percent.toPrecision(3))} %)${on}`);
			return list;
		});
	}

	// What edges had together in the last turns, the oldest first.
	historyOf(edges) {
		const turns = Math.min(HISTORY, this.turn + 1), all = edges.flatMap((e) => e.members || [e]);
		return Array.from({ length: turns }, (_, i) => all.reduce((sum, e) => sum + e.past[(this.turn - turns + 1 + i) % HISTORY], 0));
	}

	// The node or edge itself, or after ids have begun anew the one that has taken its place, if there is one.
	now(thing) {
		if (thing.key) return this.nodes.get(thing.key) || thing;
		if (thing.members || this.edges.get(thing.id) === thing) return thing;
		const same = (e) => e.from.key === thing.from.key && e.to.key === thing.to.key && e.cluster === thing.cluster && e.protocol === thing.protocol;
		return [...this.edges.values()].find(same) || thing;
	}

	visibleEdges() {
		return [...this.edges.values()].filter((e) => e.active || this.idle);
	}

	// All that is on a visible edge, and with `idle` all that there is.
	visibleNodes() {
		if (this.idle) return [...this.nodes.values()];
		const nodes = new Set();
		for (const edge of this.edges.values()) if (edge.active) nodes.add(edge.from).add(edge.to);
		return [...nodes];
	}
}

export const label = (node) => {
	if (node.kind === "namespace") return `${node.name} (${node.count})`;
	if (node.kind === "service") return node.name;
	if (node.name === "unknown") return "outside the mesh";
	const version = node.version && node.version !== "unknown" && !node.name.endsWith(node.version) ? ` ${node.version}` : "";
	return node.name + version;
};
