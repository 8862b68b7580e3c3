// SPDX-License-Identifier: Apache-2.0
// What is known of one node or edge: its figures, the rules in force with their YAML and counters, limits, connections.
import { label, hostOf, clusterParts } from "/mesh.js";
import { el, find, text, number, milliseconds, bytes, percent, ask } from "/dom.js";

const FOLLOW_MS = 2000;

const svg = (name, attributes) => {
	const element = document.createElementNS("http://www.w3.org/2000/svg", name);
	for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
	return element;
};

// The last minute as a line.
function sparkline(values) {
	const most = Math.max(...values, 1e-9), step = 240 / 59;
	const points = values.map((v, i) => `${((60 - values.length + i) * step).toFixed(1)},${(38 - (v / most) * 36).toFixed(1)}`).join(" ");
	const picture = svg("svg", { viewBox: "0 0 240 40", class: "spark", role: "img", "aria-label": `the last minute: at most ${number(most)} a second` });
	picture.append(svg("polyline", { points }));
	return picture;
}

const figure = (name, value) => value !== null && [el("dt", {}, name), el("dd", {}, value)];

function figures(edge) {
	const flags = Object.entries(edge.flags).map(([flag, count]) => `${flag} ${count}`).join(", ");
	const tcp = edge.protocol === "tcp";
	return el("dl", {},
		figure(tcp ? "Opened" : "Requests", `${number(edge.rate)} /s`),
		figure("Failed", edge.rate ? `${number(edge.failed)} /s (${percent(edge.failed / edge.rate)})` : null),
		figure("4xx", edge.clientErrors ? `${number(edge.clientErrors)} /s` : null),
		figure("p50 / p99", tcp ? null : `${milliseconds(edge.p50)} / ${milliseconds(edge.p99)}`),
		figure("Open", tcp ? String(edge.open) : null),
		figure("In / out", `${bytes(edge.in)}/s / ${bytes(edge.out)}/s`),
		figure("Mutual TLS", edge.mtls === null ? null : edge.mtls ? `🔒 ${percent(edge.mtls)}` : "no"),
		figure("Response flags", flags || null));
}

const total = (edges) => {
	const sum = { rate: 0, clientErrors: 0, failed: 0, in: 0, out: 0, open: 0, mtls: null, flags: {}, p50: null, p99: null, protocol: "http" };
	for (const e of edges) {
		for (const key of ["rate", "clientErrors", "failed", "in", "out", "open"]) sum[key] += e[key];
		for (const key of ["p50", "p99", "mtls"]) if (e[key] !== null) sum[key] = Math.max(sum[key] ?? 0, e[key]);
		for (const [flag, count] of Object.entries(e.flags)) sum.flags[flag] = (sum.flags[flag] || 0) + count;
		if (e.protocol === "tcp") sum.protocol = "tcp";
	}
	return sum;
};

// An object's YAML, and what is counted of it, as weftd has it now.
function objectView(kind, namespace, name) {
	const body = el("div", {}, "…");
	const view = el("details", { class: "object" }, el("summary", {}, `${kind} ${namespace}/${name}`), body);
	const load = async () => {
		try {
			const data = await ask("/api/object", { kind, namespace, name });
			const counters = Object.entries(data.routes || {}).map(([route, r]) => el("li", {}, `${route}: `,
				r.requests !== undefined ? `${r.requests} requests` : `${r.picks || 0} connections`,
				r.answers ? ` (${Object.entries(r.answers).filter(([, n]) => n).map(([k, n]) => `${n} × ${k}`).join(", ") || "no answers yet"})` : ""));
			body.replaceChildren(el("p", { class: "at" }, data.at || ""), counters.length ? el("ul", { class: "counters" }, counters) : "",
				el("pre", { tabindex: 0, role: "region", "aria-label": `YAML of ${kind} ${name}` }, data.yaml || ""));
		} catch (error) {
			body.replaceChildren(el("p", { class: "error" }, error.message));
		}
	};
	view.addEventListener("toggle", () => view.open && load());
	view.reload = () => view.open && load();
	return view;
}

function routeView(mesh, route, alone) {
	const lines = (route.destinations || []).map(([cluster, weight]) => {
		const { host, subset } = clusterParts(cluster);
		const meter = el("meter", { min: 0, max: 100, value: weight, "aria-label": `weight of ${subset || host}` });
		return el("li", {}, `${weight} %`, meter, subset ? `subset ${subset}` : host.split(".")[0]);
	});
	const also = [
		route.delay_ms && `delay ${milliseconds(route.delay_ms)}, ${number(route.delay_percent)} %`,
		route.abort_status && `abort ${route.abort_status}, ${number(route.abort_percent)} %`,
		route.timeout_ms && `timeout ${milliseconds(route.timeout_ms)}`,
		route.attempts && `${route.attempts} retries`,
		route.mirrors && "mirrored",
	].filter(Boolean);
	return el("li", {}, el("strong", {}, route.conditions ? `if ${route.conditions}` : alone ? "always" : "else"), " ",
		el("span", { class: "at" }, `${route.name} ${route.route}`),
		also.length ? el("p", { class: "also" }, also.join(" · ")) : null, el("ul", { class: "weights" }, lines));
}

function clusterView(mesh, name) {
	const cluster = mesh.clusters[name], { host, subset } = clusterParts(name);
	const limits = ["connections", "pending", "requests"].filter((key) => cluster[key]).map((key) =>
		el("li", {}, `${key}: ${cluster[key].now} of ${cluster[key].max}`,
			el("meter", { min: 0, max: cluster[key].max, value: cluster[key].now, "aria-label": key })));
	const notes = [
		mesh.isOpen(name) && "⚡ limit reached: calls are refused at present",
		cluster.requests_refused && `${cluster.requests_refused} requests refused`,
		cluster.connections_refused && `${cluster.connections_refused} connections refused`,
		cluster.ejections && `${cluster.ejections} ejections`,
		...(cluster.ejected || []).map((address) => `⏏ ${address} is ejected`),
	].filter(Boolean).map((note) => el("li", {}, note));
	return el("li", {}, el("strong", {}, subset || host.split(".")[0]), el("ul", {}, limits, notes));
}

const connection = (c) => el("tr", {},
	[c.client || "–", c.service || c.to || "–", c.subset || "–", c.endpoint || "–", c.method ? `${c.method} ${c.path}` : c.protocol, c.state || "",
		c.age_s === undefined ? "–" : `${number(c.age_s)} s`].map((cell) => el("td", {}, cell)));

export class Details {
	constructor(mesh, closed) {
		this.mesh = mesh;
		this.closed = closed;
		this.place = find("details");
		this.place.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
	}

	get open() {
		return Boolean(this.choice);
	}

	close() {
		const choice = this.choice;
		this.choice = null;
		clearInterval(this.timer);
		this.place.hidden = true;
		this.place.replaceChildren();
		if (choice) this.closed();
	}

	edges() {
		const { edge, node } = this.choice;
		if (edge) return [edge];
		return node.in.size ? [...node.in] : [...node.out];
	}

	service() {
		const { edge, node } = this.choice;
		const ends = edge ? [edge.to, edge.from] : [node, ...[...(node || {}).in || []].map((e) => e.from)];
		return ends.find((n) => n.kind === "service");
	}

	show(choice, focus) {
		if (!choice) return this.close();
		clearInterval(this.timer);
		this.choice = choice;
		const { edge, node } = choice;
		this.top = el("div", {});
		this.rules = el("div", {});
		this.state = el("div", {});
		this.place.replaceChildren(
			el("div", { class: "head" },
				el("h2", {}, edge ? `${label(edge.from)} → ${label(edge.to)}` : label(node)),
				el("button", { type: "button", "aria-label": "Close details", onclick: () => this.close() }, "×")),
			el("p", { class: "kind" }, edge ? `${edge.protocol}${edge.cluster ? `, ${edge.cluster}` : ""}` : `${node.kind} in ${node.ns}`),
			this.top, this.state, this.rules, this.connections());
		this.place.hidden = false;
		this.shape();
		this.values();
		if (focus) this.place.focus();
	}

	// The rules of the service: of the workload the ones that lead to it.
	shape() {
		if (!this.choice) return;
		for (const [key, thing] of Object.entries(this.choice)) this.choice[key] = this.mesh.now(thing);
		const service = this.service();
		const routes = service ? this.mesh.routesAt(service) : [];
		const host = service ? hostOf(service) : "";
		const names = new Set(routes.map((r) => `${r.kind}|${r.namespace}|${r.name}`));
		for (const [kind, ns, name] of this.mesh.rules)
			if (service && kind !== "VirtualService" && kind !== "Gateway" && ns === service.ns && this.isAbout(kind, name, service)) names.add(`${kind}|${ns}|${name}`);
		if (service && service.ports) names.add(`Service|${service.ns}|${service.name}`);
		const now = JSON.stringify([host, routes, [...names]]);
		if (this.drawn === now && this.rules.childElementCount) return;
		this.drawn = now;
		this.rules.replaceChildren(
			el("h3", {}, "Rules in force"),
			routes.length ? el("ol", { class: "routes" }, routes.map((r) => routeView(this.mesh, r, routes.length === 1)))
				: el("p", {}, service ? "No rule: the service's endpoints are called." : "Nothing is known of what is called."),
			...[...names].map((n) => objectView(...n.split("|"))));
	}

	// A DestinationRule is named as its host by habit; clusters tell for sure. Policies of the namespace may be about it.
	isAbout(kind, name, service) {
		return kind !== "DestinationRule" || name.startsWith(service.name) || service.name.startsWith(name);
	}

	values() {
		if (!this.choice) return;
		const { edge, node } = this.choice, edges = this.edges();
		if (edge && edge.members) edge.refresh();
		this.top.replaceChildren(sparkline(this.mesh.historyOf(edges)), figures(edge || total(edges)));
		const service = this.service();
		const names = edge && edge.cluster ? [edge.cluster].filter((n) => this.mesh.clusters[n]) : service ? this.mesh.clustersOf(hostOf(service)) : [];
		const faults = node && node.kind === "service" ? this.mesh.faults(node) : edge && edge.to.kind === "service" ? this.mesh.faults(edge.to) : [];
		this.state.replaceChildren(
			faults.length ? el("p", { class: "fault" }, `⏱ ${faults.join(" · ")}`) : "",
			names.length ? el("h3", {}, "Limits and ejections") : "",
			names.length ? el("ul", { class: "clusters" }, names.map((n) => clusterView(this.mesh, n))) : "");
	}

	// ---- connections ----

	words() {
		const { edge, node } = this.choice;
		// Of a workload that is called a connection says which subset and endpoint it is.
		if (edge && edge.cluster) return [edge.from.name, clusterParts(edge.cluster).subset].filter(Boolean);
		return (edge ? [edge.from, edge.to] : [node]).filter((n) => n.name !== "unknown").map((n) => n.name);
	}

	connections() {
		const filter = el("input", { type: "search", value: this.words().join(" "), "aria-label": "Filter of connections", spellcheck: "false" });
		const follow = el("input", { type: "checkbox", checked: true });
		const body = el("tbody"), count = el("p", { class: "at" });
		const load = async () => {
			try {
				const data = await ask("/api/conns", { q: filter.value.split(/\s+/), limit: "50" });
				text(count, `${data.count} at this moment`);
				body.replaceChildren(...data.connections.map(connection));
			} catch (error) {
				text(count, error.message);
			}
		};
		filter.addEventListener("input", load);
		this.timer = setInterval(() => follow.checked && !document.hidden && load(), FOLLOW_MS);
		load();
		return el("section", { "aria-label": "Connections and requests" }, el("h3", {}, "Connections and requests"),
			el("div", { class: "row" }, filter, el("label", { class: "check" }, follow, " follow")), count,
			el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Connections" },
				el("table", {}, el("thead", {}, el("tr", {}, ["Caller", "Called", "Subset", "Endpoint", "What", "State", "Age"].map((h) => el("th", { scope: "col" }, h)))), body)));
	}
}
