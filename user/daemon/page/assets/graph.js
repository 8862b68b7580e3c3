// SPDX-License-Identifier: Apache-2.0
// The traffic graph: what is in it, and what is written on it. diagram.js draws it, and crowd.js one of many nodes.
import { Diagram } from "/diagram.js";
import { Crowd } from "/crowd.js";
import { layout } from "/layout.js";
import { label } from "/mesh.js";
import { overview } from "/overview.js";
import { idOf } from "/looks.js";
import { find, number, milliseconds, bytes, percent, say } from "/dom.js";

const MANY = 30, FEWER = 25; // nodes: crowd.js draws more than that, and goes on until there are fewer than that
const LARGE = 150; // nodes: edges have no labels

export class Graph {
	// choose({node} | {edge} | null): it was clicked on; enter(NAMESPACE): that is to be shown alone.
	constructor(mesh, choose, enter) {
		this.mesh = mesh;
		this.choose = choose;
		this.enter = enter;
		this.filter = { ns: "", words: "" };
		this.canvas = find("canvas");
		this.nodes = this.edges = this.bundles = [];
		const hooks = { look: (thing) => this.look(thing), open: (thing) => this.open(thing), moved: () => { this.moved = true; } };
		this.diagram = new Diagram(find("diagram"), hooks);
		this.crowd = new Crowd(find("crowd"), hooks);
		this.drawing = this.diagram;
		this.canvas.addEventListener("keydown", (event) => this.key(event));
		find("zoom-in").addEventListener("click", () => this.drawing.zoom(1.4));
		find("zoom-out").addEventListener("click", () => this.drawing.zoom(1 / 1.4));
		find("zoom-all").addEventListener("click", () => this.fit());
		new ResizeObserver(() => requestAnimationFrame(() => {
			this.drawing.resize();
			if (!this.moved) this.fit();
		})).observe(this.canvas);
	}

	restyle() {
		this.diagram.restyle();
		this.crowd.restyle();
	}

	// ---- what is drawn ----

	// In steps, one a frame: of a large mesh all of them take longer than one may. What changes meanwhile is drawn after that.
	shape() {
		this.stale = true;
		this.frame ||= requestAnimationFrame(() => this.turn());
	}

	turn() {
		this.frame = 0;
		this.steps ||= this.reshape();
		if (this.steps.next().done) this.steps = null;
		if (this.steps || this.stale) this.frame = requestAnimationFrame(() => this.turn());
	}

	*reshape() {
		this.stale = false;
		const { age } = this.mesh, wanted = (node) => !this.filter.ns || node.ns === this.filter.ns;
		const all = this.mesh.visibleEdges().filter((e) => wanted(e.from) || wanted(e.to));
		const there = new Set(all.flatMap((e) => [e.from, e.to]));
		if (this.mesh.idle) this.mesh.visibleNodes().filter(wanted).forEach((n) => there.add(n));
		const { nodes, edges, bundles, whole } = overview(there, all);
		yield;
		const list = [...nodes], places = layout(list, edges);
		yield;
		const chosen = this.age === age && this.drawing.selected();
		const boxed = !list.some((n) => n.kind === "namespace");
		const boxes = new Map(boxed ? list.map((n) => [n.ns, n.ns === "unknown" ? "outside" : n.ns]) : []);
		Object.assign(this, { nodes: list, edges, bundles, age, large: list.length > LARGE });
		this.draw(list.length > MANY || (list.length >= FEWER && this.drawing === this.crowd) ? this.crowd : this.diagram);
		this.drawing.show({ nodes: list, edges, places, boxes, whole }, `${age} ${whole} ${boxed}`);
		this.drawing.select(chosen && [...list, ...edges].find((thing) => idOf(thing) === idOf(chosen)));
		if (!this.moved) this.fit();
	}

	draw(drawing) {
		if (this.drawing === drawing) return;
		const { zoom, x, y } = this.drawing.view;
		this.drawing.hide();
		this.drawing = drawing;
		drawing.resize();
		if (this.moved) drawing.to(zoom, x, y);
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

	// What a node or edge looks like now: {label, width, health, dim}.
	look(thing) {
		return thing.key ? this.nodeLook(thing) : this.edgeLook(thing);
	}

	edgeLook(edge) {
		return {
			label: this.edgeLabel(edge), health: this.mesh.health(edge), dim: this.isDim(edge.from) && this.isDim(edge.to),
			width: Math.round(2 * (1.5 + Math.log10(1 + edge.rate + (edge.in + edge.out) / 1e5) * 1.6)) / 2,
		};
	}

	nodeLook(node) {
		return { label: this.nodeLabel(node), health: this.nodeHealth(node), dim: this.isDim(node), width: 0 };
	}

	isDim(node) {
		const words = this.filter.words.toLowerCase();
		return Boolean(words) && !label(node).toLowerCase().includes(words) && !node.ns.includes(words);
	}

	values() {
		this.bundles.forEach((bundle) => bundle.refresh());
		this.drawing.values();
	}

	// ---- where it looks ----

	fit() {
		this.drawing.fit();
		this.moved = false;
	}

	// A node, an edge, or null.
	open(thing) {
		if (thing === undefined) return; // the box around a namespace
		this.drawing.select(thing);
		if (!thing) return this.choose(null);
		if (thing.kind === "namespace") this.enter(thing.ns);
		else this.choose(thing.key ? { node: thing } : { edge: thing });
	}

	// Arrow keys: to what is nearest in that direction, among nodes and the middles of edges.
	key(event) {
		const directions = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
		if (event.ctrlKey || event.altKey || event.metaKey) return;
		if (event.key in directions) this.step(...directions[event.key]);
		else if (event.key === "+" || event.key === "=") this.drawing.zoom(1.4);
		else if (event.key === "-") this.drawing.zoom(1 / 1.4);
		else if (event.key === "0") this.fit();
		else if (event.key === "Enter" || event.key === " ") {
			const selected = this.drawing.selected();
			if (selected) this.open(selected);
		} else return;
		event.preventDefault();
	}

	step(dx, dy) {
		const selected = this.drawing.selected(), from = selected && this.drawing.at(selected);
		let best = null, least = Infinity;
		for (const thing of [...this.nodes, ...this.edges]) {
			if (thing === selected) continue;
			const at = this.drawing.at(thing);
			const along = from ? (at.x - from.x) * dx + (at.y - from.y) * dy : Infinity;
			const far = from ? along + 2 * (Math.abs((at.x - from.x) * dy) + Math.abs((at.y - from.y) * dx)) : at.x + at.y;
			if (along > 1 && far < least) {
				least = far;
				best = thing;
			}
		}
		if (!best) return;
		this.drawing.select(best);
		this.drawing.bring(best);
		say(this.words(best));
	}

	words(thing) {
		if (thing.key) return `${thing.kind} ${label(thing)} in ${thing.ns}`;
		return `from ${label(thing.from)} to ${label(thing.to)}: ${this.edgeLabel(thing)}`;
	}

	select(choice) {
		this.drawing.select(choice && (choice.edge || choice.node));
	}
}
