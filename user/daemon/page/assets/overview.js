// SPDX-License-Identifier: Apache-2.0
// Of a large mesh, what can be taken in at a glance: several nodes are drawn as one, and the edges between them as one.

const MOST = 300; // nodes that are drawn one by one

const sum = (list, key) => list.reduce((total, item) => total + item[key], 0);
const most = (list, key) => list.reduce((top, item) => (item[key] === null ? top : Math.max(top ?? 0, item[key])), null);

// Edges that are drawn as one, with the same members as one.
class Bundle {
	constructor(id, from, to) {
		Object.assign(this, { id, from, to, cluster: "", protocol: "http", flags: {}, members: [] });
	}

	// What its edges have now.
	refresh() {
		for (const key of ["rate", "clientErrors", "failed", "in", "out", "open"]) this[key] = sum(this.members, key);
		for (const key of ["p50", "p99", "mtls"]) this[key] = most(this.members, key);
		this.active = this.members.some((e) => e.active);
		this.protocol = this.members.every((e) => e.protocol === "tcp") ? "tcp" : "http";
	}

	get history() {
		const longest = Math.max(0, ...this.members.map((e) => e.history.length));
		return Array.from({ length: longest }, (_, i) => this.members.reduce((total, e) => total + (e.history[e.history.length - longest + i] || 0), 0));
	}
}

// The service that leads to a workload, or itself.
function serviceOf(node) {
	if (node.kind !== "workload") return node;
	for (const edge of node.in) if (edge.from.kind === "service") return edge.from;
	return node;
}

// {nodes, edges, whole}: `whole` if each is drawn by itself.
export function overview(nodes, edges) {
	if (nodes.size <= MOST) return { nodes, edges, whole: true };
	const namespaces = new Map(), bundles = new Map();
	for (const node of nodes) {
		if (!namespaces.has(node.ns))
			namespaces.set(node.ns, { key: `all|${node.ns}`, kind: "namespace", ns: node.ns, name: node.ns, count: 0, in: new Set(), out: new Set() });
		if (node.kind === "service") namespaces.get(node.ns).count++;
	}
	const end = namespaces.size > 2 ? (node) => namespaces.get(node.ns) : serviceOf;
	const shown = new Set([...nodes].map(end));
	for (const edge of edges) {
		const from = end(edge.from), to = end(edge.to), key = `${from.key} ${to.key}`;
		if (from === to) continue;
		if (!bundles.has(key)) bundles.set(key, new Bundle(`b${bundles.size}`, from, to));
		bundles.get(key).members.push(edge);
	}
	const list = [...bundles.values()];
	list.forEach((bundle) => bundle.refresh());
	for (const bundle of list)
		if (bundle.to.kind === "namespace") {
			bundle.to.in.add(bundle);
			bundle.from.out.add(bundle);
		}
	// What goes on within a namespace is seen at itself.
	for (const edge of edges) if (end(edge.to).kind === "namespace") end(edge.to).in.add(edge);
	return { nodes: shown, edges: list, whole: false };
}
