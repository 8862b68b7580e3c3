// SPDX-License-Identifier: Apache-2.0
// Of a large mesh, what can be taken in at a glance: several nodes are drawn as one, and the edges between them as one.

const MOST = 300; // nodes that are drawn one by one

// Edges that are drawn as one, with the same members as one.
class Bundle {
	constructor(id, from, to) {
		Object.assign(this, { id, from, to, cluster: "", protocol: "tcp", flags: {}, members: [] });
	}

	// What its edges have now.
	refresh() {
		let rate = 0, clientErrors = 0, failed = 0, into = 0, out = 0, open = 0, p50 = null, p99 = null, mtls = null, active = false;
		for (const e of this.members) {
			rate += e.rate;
			clientErrors += e.clientErrors;
			failed += e.failed;
			into += e.in;
			out += e.out;
			open += e.open;
			if (e.p50 !== null && e.p50 > (p50 ?? -1)) p50 = e.p50;
			if (e.p99 !== null && e.p99 > (p99 ?? -1)) p99 = e.p99;
			if (e.mtls !== null && e.mtls > (mtls ?? -1)) mtls = e.mtls;
			active ||= e.active;
		}
		Object.assign(this, { rate, clientErrors, failed, in: into, out, open, p50, p99, mtls, active });
	}
}

// The service that leads to a workload, or itself.
function serviceOf(node) {
	if (node.kind !== "workload") return node;
	for (const edge of node.in) if (edge.from.kind === "service") return edge.from;
	return node;
}

// {nodes, edges, bundles, whole}: `whole` if each is drawn by itself, else all bundles there are, for their refresh().
export function overview(nodes, edges) {
	if (nodes.size <= MOST) return { nodes, edges, bundles: [], whole: true };
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
		if (!bundles.has(key)) bundles.set(key, new Bundle(key, from, to));
		bundles.get(key).members.push(edge);
		if (edge.protocol !== "tcp") bundles.get(key).protocol = "http";
	}
	const list = [...bundles.values()];
	for (const bundle of list)
		if (bundle.to.kind === "namespace") {
			bundle.to.in.add(bundle);
			bundle.from.out.add(bundle);
		}
	// What goes on within a namespace is seen at itself.
	const inside = new Map();
	for (const edge of edges) {
		const to = end(edge.to);
		if (to.kind !== "namespace" || end(edge.from) !== to) continue;
		if (!inside.has(to)) inside.set(to, new Bundle(`${to.key} ${to.key}`, to, to));
		inside.get(to).members.push(edge);
	}
	for (const [to, bundle] of inside) to.in.add(bundle);
	const all = [...list, ...inside.values()];
	all.forEach((bundle) => bundle.refresh());
	return { nodes: shown, edges: list, bundles: all, whole: false };
}
