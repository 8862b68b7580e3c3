// SPDX-License-Identifier: Apache-2.0
// A graph of up to 30 nodes, drawn by Cytoscape.js. crowd.js draws larger ones; both have the same functions, and speak of
// nodes and edges as mesh.js and overview.js have them.
import cytoscape from "/cytoscape.js";
import { PADDING, MOST_ZOOM, LEAST_ZOOM, FIT_ZOOM, FONT, color, idOf, kindOf } from "/looks.js";

function style() {
	const edge = (name) => ({ "line-color": color(name), "target-arrow-color": color(name), color: color("text") });
	return [
		{ selector: "node", style: {
			label: "data(label)", color: color("text"), "font-size": 15, "font-family": FONT, "text-wrap": "wrap",
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
			"text-valign": "top", "text-margin-y": -4, padding: PADDING, "font-size": 15, "font-weight": "bold", "text-background-opacity": 0 } },
		{ selector: "edge", style: {
			"curve-style": "bezier", "target-arrow-shape": "triangle", width: "data(width)", label: "data(label)", "font-size": 13, "text-wrap": "wrap",
			"min-zoomed-font-size": 8, "text-background-color": color("back"), "text-background-opacity": 0.85, "text-background-padding": 2,
			"arrow-scale": 0.9, ...edge("edge-ok") } },
		{ selector: "edge.straight", style: { "curve-style": "straight" } },
		{ selector: "edge.warn", style: edge("edge-warn") },
		{ selector: "edge.bad", style: edge("edge-bad") },
		{ selector: "edge.idle", style: { ...edge("edge-idle"), "line-style": "dashed" } },
		{ selector: ".dim", style: { opacity: 0.15 } },
		{ selector: ":selected", style: { "overlay-color": color("accent"), "overlay-opacity": 0.25, "overlay-padding": 6 } },
	];
}

export class Diagram {
	// look(NODE or EDGE): what it looks like now; open(NODE, EDGE or null): that was clicked on; moved(): by hand.
	constructor(place, { look, open, moved }) {
		this.look = look;
		this.cy = cytoscape({
			container: place, style: style(), layout: { name: "preset" }, minZoom: LEAST_ZOOM, maxZoom: MOST_ZOOM, autoungrabify: true,
			boxSelectionEnabled: false, pixelRatio: Math.min(window.devicePixelRatio, 2), textureOnViewport: true,
		});
		this.things = new Map(); // id -> node or edge
		this.drawn = new Map(); // id -> what was drawn last
		this.cy.on("tap", (event) => open(event.target === this.cy ? null : this.things.get(event.target.id())));
		this.cy.on("zoom pan", () => { if (!this.fitting) moved(); });
	}

	restyle() {
		this.cy.style(style());
	}

	resize() {
		this.cy.resize();
	}

	hide() {
		this.cy.elements().remove();
		this.things.clear();
		this.drawn.clear();
	}

	// `age`: what differs is drawn anew as a whole.
	show({ nodes, edges, places, boxes, whole }, age) {
		const wanted = new Map();
		for (const [ns, name] of boxes) wanted.set(`ns|${ns}`, { data: { id: `ns|${ns}`, label: name }, selectable: false });
		this.kinds = new Map();
		for (const node of nodes) {
			wanted.set(node.key, { data: { id: node.key, parent: boxes.size ? `ns|${node.ns}` : undefined, label: "" }, position: { ...places.get(node) }, classes: kindOf(node) });
			this.kinds.set(node.key, kindOf(node));
		}
		for (const edge of edges) {
			const id = idOf(edge), kind = whole ? "" : "straight";
			wanted.set(id, { data: { id, source: edge.from.key, target: edge.to.key, label: "", width: 1.5 }, classes: kind });
			this.kinds.set(id, kind);
		}
		if (this.age !== age) this.hide();
		this.age = age;
		this.things = new Map([...edges, ...nodes].map((thing) => [idOf(thing), thing]));
		this.cy.batch(() => this.replace(wanted));
		this.values();
	}

	// What is there already stays, and is moved where it belongs now.
	replace(wanted) {
		this.cy.elements().filter((e) => !wanted.has(e.id())).forEach((e) => {
			this.drawn.delete(e.id());
			e.remove();
		});
		const fresh = [];
		for (const [id, element] of wanted) {
			const had = this.cy.getElementById(id);
			if (had.empty()) fresh.push(element);
			else if (element.position) had.position(element.position);
		}
		this.cy.add(fresh);
	}

	values() {
		this.cy.batch(() => this.things.forEach((thing, id) => this.draw(id, this.look(thing))));
	}

	// One element, if it looks different by now.
	draw(id, { label, width, health, dim }) {
		const classes = `${this.kinds.get(id)} ${health}${dim ? " dim" : ""}`, now = `${classes}\n${width}\n${label}`;
		if (this.drawn.get(id) === now) return;
		this.drawn.set(id, now);
		this.cy.getElementById(id).data({ label, width }).classes(classes);
	}

	fit() {
		this.fitting = true;
		this.cy.fit(undefined, 40);
		if (this.cy.zoom() > FIT_ZOOM) {
			this.cy.zoom(FIT_ZOOM);
			this.cy.center();
		}
		this.fitting = false;
	}

	// {zoom, x, y} in pixels: how large it is, and where (0, 0) is.
	get view() {
		return { zoom: this.cy.zoom(), ...this.cy.pan() };
	}

	to(zoom, x, y) {
		this.cy.viewport({ zoom: Math.max(LEAST_ZOOM, zoom), pan: { x, y } });
	}

	zoom(by) {
		this.cy.zoom({ level: this.cy.zoom() * by, renderedPosition: { x: this.cy.width() / 2, y: this.cy.height() / 2 } });
	}

	select(thing) {
		this.cy.$(":selected").unselect();
		if (thing) this.cy.getElementById(idOf(thing)).select();
	}

	selected() {
		const element = this.cy.$(":selected");
		return element.nonempty() ? this.things.get(element.id()) : null;
	}

	// The middle of a node or an edge.
	at(thing) {
		const element = this.cy.getElementById(idOf(thing));
		return thing.key ? element.position() : element.midpoint();
	}

	// So that it is in sight.
	bring(thing) {
		const { x1, x2, y1, y2 } = this.cy.extent(), { x, y } = this.at(thing);
		if (x < x1 || x > x2 || y < y1 || y > y2) this.cy.center(this.cy.getElementById(idOf(thing)));
	}
}
