// SPDX-License-Identifier: Apache-2.0
// The traffic graph, drawn by Cytoscape.js.
import cytoscape from "/cytoscape.js";
import { layout } from "/layout.js";
import { label } from "/mesh.js";
import { overview } from "/overview.js";
import { find, number, milliseconds, bytes, percent, say } from "/dom.js";

const LARGE = 150; // nodes: edges are drawn more simply

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function style() {
	const edge = (name) => ({ "line-color": color(name), "target-arrow-color": color(name), color: color("text") });
	return [
		{ selector: "node", style: {
			label: "data(label)", color: color("text"), "font-size": 15, "font-family": "system-ui, sans-serif", "text-wrap": "wrap",
			"text-valign": "bottom", "text-margin-y": 5, "min-zoomed-font-size": 7, width: 34, height: 34,
			"background-color": color("node"), "border-width": 2, "border-color": color("edge-idle"), "text-max-width": 180,
			"text-background-color": color("back"), "text-background-opacity": 0.75, "text-background-padding": 2 } },
		{ selector: "node.service", style: { shape: "round-rectangle", width: 44, height: 30, "background-color": color("service") } },
		{ selector: "node.workload", style: { shape: "ellipse" } },
		{ selector: "node.outside", style: { shape: "round-diamond" } },
		{ selector: "node.namespace", style: { shape: "round-rectangle", width: 120, height: 56, "background-color": color("group"), "font-size": 17,
			"min-zoomed-font-size": 4 } },
		{ selector: "node.bad", style: { "border-color": color("edge-bad"), "border-width": 4 } },
		{ selector: "node.warn", style: { "border-color": color("edge-warn"), "border-width": 4 } },
		{ selector: "node.ok", style: { "border-color": color("edge-ok") } },
		{ selector: ":parent", style: {
			shape: "round-rectangle", "background-color": color("group"), "background-opacity": 0.5, "border-color": color("line"), "border-width": 1,
			"text-valign": "top", "text-margin-y": -4, padding: 26, "font-size": 15, "font-weight": "bold", "text-background-opacity": 0 } },
		{ selector: "edge", style: {
			"curve-style": "bezier", "target-arrow-shape": "triangle", width: "data(width)", label: "data(label)", "font-size": 13, "text-wrap": "wrap",
			"min-zoomed-font-size": 8, "text-background-color": color("back"), "text-background-opacity": 0.85, "text-background-padding": 2,
			"arrow-scale": 0.9, ...edge("edge-ok") } },
		{ selector: "edge.large", style: { "curve-style": "straight" } },
		{ selector: "edge.warn", style: edge("edge-warn") },
		{ selector: "edge.bad", style: edge("edge-bad") },
		{ selector: "edge.idle", style: { ...edge("edge-idle"), "line-style": "dashed" } },
		{ selector: ".dim", style: { opacity: 0.15 } },
		{ selector: ":selected", style: { "overlay-color": color("accent"), "overlay-opacity": 0.25, "overlay-padding": 6 } },
	];
}

export class Graph {
	// choose({node} | {edge} | null): it was clicked on; enter(NAMESPACE): that is to be shown alone.
	constructor(mesh, choose, enter) {
		this.mesh = mesh;
		this.choose = choose;
		this.enter = enter;
		this.filter = { ns: "", words: "" };
		this.canvas = find("canvas");
		this.cy = cytoscape({
			container: this.canvas, style: style(), layout: { name: "preset" }, minZoom: 0.05, maxZoom: 3, autoungrabify: true,
			boxSelectionEnabled: false, pixelRatio: Math.min(window.devicePixelRatio, 2), textureOnViewport: true,
		});
		this.drawn = new Map(); // id -> what was drawn last
		this.cy.on("tap", "node, edge", (event) => this.open(event.target));
		this.cy.on("tap", (event) => event.target === this.cy && this.choose(null));
		this.cy.on("zoom pan", (event) => { if (!this.fitting) this.moved = true; });
		this.canvas.addEventListener("keydown", (event) => this.key(event));
		find("zoom-in").addEventListener("click", () => this.zoom(1.4));
		find("zoom-out").addEventListener("click", () => this.zoom(1 / 1.4));
		find("zoom-all").addEventListener("click", () => this.fit());
		new ResizeObserver(() => requestAnimationFrame(() => {
			this.cy.resize();
			if (!this.moved) this.fit();
		})).observe(this.canvas);
	}

	restyle() {
		this.cy.style(style());
	}

	// ---- what is drawn ----

	shape() {
		const wanted = (node) => !this.filter.ns || node.ns === this.filter.ns;
		const all = this.mesh.visibleEdges().filter((e) => wanted(e.from) || wanted(e.to));
		const there = new Set(all.flatMap((e) => [e.from, e.to]));
		if (this.mesh.idle) this.mesh.visibleNodes().filter(wanted).forEach((n) => there.add(n));
		const { nodes, edges, whole } = overview(there, all);
		const places = layout([...nodes], edges);
		const large = nodes.size > LARGE;
		const wantedElements = new Map();
		const boxed = ![...nodes].some((n) => n.kind === "namespace");
		for (const ns of boxed ? new Set([...nodes].map((n) => n.ns)) : [])
			wantedElements.set(`ns|${ns}`, { data: { id: `ns|${ns}`, label: ns === "unknown" ? "outside" : ns }, selectable: false });
		this.classes = new Map();
		for (const node of nodes) {
			const kind = node.kind === "workload" && node.name === "unknown" ? "outside" : node.kind;
			wantedElements.set(node.key, { data: { id: node.key, parent: boxed ? `ns|${node.ns}` : undefined, label: label(node) }, position: { ...places.get(node) }, classes: kind });
			this.classes.set(node.key, kind);
		}
		for (const edge of edges) {
			const id = `e${edge.id}`, kind = large || !whole ? "large" : "";
			wantedElements.set(id, { data: { id, source: edge.from.key, target: edge.to.key, label: "", width: 1.5 }, classes: kind });
			this.classes.set(id, kind);
		}
		if (this.kind !== `${whole} ${boxed}`) this.age = -1; // all is drawn anew
		this.kind = `${whole} ${boxed}`;
		this.replace(wantedElements);
		this.edgeAt = new Map(edges.map((e) => [`e${e.id}`, e]));
		this.nodeAt = new Map([...nodes].map((n) => [n.key, n]));
		this.edges = edges;
		this.nodes = [...nodes];
		this.large = large;
		if (!this.moved) this.fit();
		this.values();
	}

	// What is there already stays, and is moved where it belongs now.
	replace(wanted) {
		const cy = this.cy;
		if (this.age !== this.mesh.age) {
			cy.elements().remove();
			this.drawn.clear();
			this.age = this.mesh.age;
		}
		cy.batch(() => {
			cy.elements().filter((e) => !wanted.has(e.id())).forEach((e) => {
				this.drawn.delete(e.id());
				e.remove();
			});
			const fresh = [];
			for (const [id, element] of wanted) {
				const had = cy.getElementById(id);
				if (had.empty()) fresh.push(element);
				else if (element.position) had.position(element.position);
			}
			cy.add(fresh);
		});
	}

	edgeLabel(edge) {
		if (this.large) return "";
		const lines = [];
		const weights = edge.cluster ? this.mesh.weights(edge.cluster).filter((w) => w.weight < 100 || w.conditions) : [];
		for (const w of weights.slice(0, 2)) {
			const words = w.conditions.replace(/^header /, ""), on = words.length > 26 ? `${words.slice(0, 25)}…` : words;
			lines.push(`${w.weight} %${on ? ` if ${on}` : ""}`);
		}
		if (edge.protocol === "tcp") lines.push(`${number(edge.open)} open · ${bytes(edge.in + edge.out)}/s`);
		else if (edge.active) lines.push(`${number(edge.rate)}/s · ${milliseconds(edge.p50)} / ${milliseconds(edge.p99)}`);
		if (edge.failed) lines.push(`${percent(edge.failed / edge.rate)} fail`);
		const marks = [edge.mtls ? "🔒" : "", ...this.mesh.troubles(edge).map((t) => (t.kind === "open" ? "⚡ limit reached" : `⏏ ${t.words}`))];
		const mark = [...new Set(marks)].filter(Boolean).join(" ");
		if (mark) lines.push(mark);
		return lines.join("\n");
	}

	// One element, if it looks different by now.
	draw(id, data, classes) {
		const now = `${classes}\n${data.width}\n${data.label}`;
		if (this.drawn.get(id) === now) return;
		this.drawn.set(id, now);
		const element = this.cy.getElementById(id);
		element.data(data);
		element.classes(`${this.classes.get(id)} ${classes}`);
	}

	nodeLabel(node) {
		const faults = node.kind === "service" ? this.mesh.faults(node) : [];
		return faults.length ? [label(node), ...faults.map((f) => `⏱ ${f}`)].join("\n") : label(node);
	}

	nodeHealth(node) {
		let worst = "";
		for (const edge of node.in) {
			const health = this.mesh.health(edge);
			if (health === "bad") return health;
			if (health === "warn" || (health === "ok" && !worst)) worst = health;
		}
		return worst;
	}

	values() {
		if (!this.edges) return;
		const words = this.filter.words.toLowerCase();
		const dim = (node) => words && !label(node).toLowerCase().includes(words) && !node.ns.includes(words);
		this.cy.batch(() => {
			for (const edge of this.edges) if (edge.members) edge.refresh();
			for (const node of this.nodes) if (node.kind === "namespace") node.in.forEach((e) => e.refresh());
			for (const edge of this.edges)
				this.draw(`e${edge.id}`, {
					label: this.edgeLabel(edge),
					width: Math.round(2 * (1.5 + Math.log10(1 + edge.rate + (edge.in + edge.out) / 1e5) * 1.6)) / 2,
				}, this.mesh.health(edge) + (dim(edge.from) && dim(edge.to) ? " dim" : ""));
			for (const node of this.nodes)
				this.draw(node.key, { label: this.nodeLabel(node), width: 0 },
					this.nodeHealth(node) + (dim(node) ? " dim" : ""));
		});
	}

	// ---- where it looks ----

	fit() {
		this.fitting = true;
		this.cy.fit(undefined, 40);
		if (this.cy.zoom() > 1.3) {
			this.cy.zoom(1.3);
			this.cy.center();
		}
		this.fitting = this.moved = false;
	}

	zoom(by) {
		this.cy.zoom({ level: this.cy.zoom() * by, renderedPosition: { x: this.cy.width() / 2, y: this.cy.height() / 2 } });
	}

	open(element) {
		const id = element.id();
		if (id.startsWith("ns|")) return;
		this.cy.$(":selected").unselect();
		element.select();
		const node = this.nodeAt.get(id);
		if (node && node.kind === "namespace") this.enter(node.ns);
		else this.choose(node ? { node } : { edge: this.edgeAt.get(id) });
	}

	// Arrow keys: to what is nearest in that direction, among nodes and the middles of edges.
	key(event) {
		const directions = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
		if (event.ctrlKey || event.altKey || event.metaKey) return;
		if (event.key in directions) this.step(...directions[event.key]);
		else if (event.key === "+" || event.key === "=") this.zoom(1.4);
		else if (event.key === "-") this.zoom(1 / 1.4);
		else if (event.key === "0") this.fit();
		else if (event.key === "Enter" || event.key === " ") {
			const at = this.cy.$(":selected");
			if (at.nonempty()) this.open(at[0]);
		} else return;
		event.preventDefault();
	}

	middle(element) {
		return element.isNode() ? element.position() : element.midpoint();
	}

	step(dx, dy) {
		const all = this.cy.elements().filter((e) => !e.isParent());
		const selected = this.cy.$(":selected");
		let best = null, least = Infinity;
		const from = selected.nonempty() ? this.middle(selected[0]) : null;
		all.forEach((e) => {
			if (selected.contains(e)) return;
			const at = this.middle(e);
			const along = from ? (at.x - from.x) * dx + (at.y - from.y) * dy : 1;
			const across = from ? Math.abs((at.x - from.x) * dy) + Math.abs((at.y - from.y) * dx) : at.x + at.y;
			if (along > 1 && along + 2 * across < least) {
				least = along + 2 * across;
				best = e;
			} else if (!from && across < least) {
				least = across;
				best = e;
			}
		});
		if (!best) return;
		selected.unselect();
		best.select();
		const view = this.cy.extent(), at = this.middle(best);
		if (at.x < view.x1 || at.x > view.x2 || at.y < view.y1 || at.y > view.y2) this.cy.center(best);
		say(this.words(best));
	}

	words(element) {
		if (element.isNode()) {
			const node = this.nodeAt.get(element.id());
			return `${node.kind} ${label(node)} in ${node.ns}`;
		}
		const edge = this.edgeAt.get(element.id());
		return `from ${label(edge.from)} to ${label(edge.to)}: ${this.edgeLabel(edge)}`;
	}

	select(choice) {
		this.cy.$(":selected").unselect();
		if (choice) this.cy.getElementById(choice.edge ? `e${choice.edge.id}` : choice.node.key).select();
	}
}
