// SPDX-License-Identifier: Apache-2.0
// A graph of many nodes. It is painted into a picture that is not seen, some milliseconds in each frame, so that no frame is long however
// much there is; a picture that is complete is shown, and is what is dragged and zoomed until the next one is.
import { PADDING, MOST_ZOOM, LEAST_ZOOM, FIT_ZOOM, FONT, kindOf } from "/looks.js";
import { MOST_WIDE, SHAPES, colors, line, middle, paint, wrap } from "/crowd-paint.js";
import { gestures } from "/gestures.js";

const BEND = 40; // of the first of edges that are beside each other, more than that of the next
const TITLE = 20; // of a box, above it
const BUDGET_MS = 8; // of a frame
const NEAR = 8, NEAR_FINGER = 24; // pixels between a tap and an edge

// Of (x, y) from what is between two places.
function distance(x, y, x1, y1, x2, y2) {
	const dx = x2 - x1, dy = y2 - y1, along = Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1)));
	return Math.hypot(x - x1 - dx * along, y - y1 - dy * along);
}

class Picture {
	constructor() {
		this.canvas = document.createElement("canvas");
		this.context = this.canvas.getContext("2d");
		this.view = null; // what it shows, when it is complete
	}

	clear(width, height) {
		if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
		else {
			this.context.setTransform(1, 0, 0, 1, 0, 0);
			this.context.clearRect(0, 0, width, height);
		}
	}
}

export class Crowd {
	// As Diagram's.
	constructor(canvas, { look, open, moved }) {
		Object.assign(this, { canvas, look, moved });
		this.context = canvas.getContext("2d");
		this.shown = new Picture();
		this.next = new Picture();
		this.probe = document.createElement("canvas").getContext("2d");
		this.view = { zoom: 1, x: 0, y: 0, ratio: 1, width: 0, height: 0 };
		this.widths = new Map(); // label -> pixels
		this.restyle();
		this.hide();
		this.watchRatio();
		gestures(canvas, {
			drag: (dx, dy) => this.to(this.view.zoom, this.view.x + dx, this.view.y + dy),
			zoom: (by, x, y) => this.zoom(by, x, y),
			tap: (x, y, finger) => open(this.hit((x - this.view.x) / this.view.zoom, (y - this.view.y) / this.view.zoom, finger)),
		});
	}

	hide() {
		this.canvas.hidden = true;
		this.boxes = [];
		this.lines = [];
		this.spots = [];
		this.places = new Map(); // node or edge -> line or spot
		this.chosen = this.painting = this.shown.view = null;
	}

	// ---- what there is ----

	// What is painted at present is completed: there may be other changes before the next one is.
	show({ nodes, edges, places, boxes }) {
		this.canvas.hidden = false;
		this.spots = nodes.map((node) => ({ node, kind: kindOf(node), shape: SHAPES[kindOf(node)], ...places.get(node) }));
		this.lines = this.linesOf(edges, places);
		this.places = new Map([...this.lines.map((l) => [l.edge, l]), ...this.spots.map((s) => [s.node, s])]);
		this.boxes = this.boxesOf(boxes);
		this.values();
	}

	// Edges between the same two nodes are beside each other.
	linesOf(edges, places) {
		const pairs = new Map();
		for (const edge of edges) {
			const pair = [edge.from.key, edge.to.key].sort().join("\n");
			if (pairs.has(pair)) pairs.get(pair).push(edge);
			else pairs.set(pair, [edge]);
		}
		return [...pairs.values()].flatMap((together) => together.map((edge, i) => {
			const bend = (i - (together.length - 1) / 2) * BEND;
			return line(edge, places.get(edge.from), places.get(edge.to), edge.from === together[0].from ? bend : -bend);
		}));
	}

	// Around the nodes of each namespace and what is written at them.
	boxesOf(names) {
		const boxes = new Map([...names].map(([ns, name]) => [ns, { name, x1: Infinity, y1: Infinity, x2: -Infinity, y2: -Infinity }]));
		for (const { node, shape, x, y } of names.size ? this.spots : []) {
			const box = boxes.get(node.ns), half = Math.max(shape.w, this.widthOf(this.look(node).label)) / 2;
			box.x1 = Math.min(box.x1, x - half);
			box.x2 = Math.max(box.x2, x + half);
			box.y1 = Math.min(box.y1, y - shape.h / 2);
			box.y2 = Math.max(box.y2, y + shape.h / 2 + 24);
		}
		return [...boxes.values()].map(({ name, x1, y1, x2, y2 }) =>
			({ name, x: x1 - PADDING, y: y1 - PADDING, w: x2 - x1 + 2 * PADDING, h: y2 - y1 + 2 * PADDING }));
	}

	widthOf(label) {
		if (this.widths.size > 10000) this.widths.clear();
		if (!this.widths.has(label)) {
			this.probe.font = `15px ${FONT}`;
			this.widths.set(label, Math.max(...wrap(this.probe, label, MOST_WIDE).map((l) => l.width)));
		}
		return this.widths.get(label);
	}

	restyle() {
		this.colors = colors();
		this.values();
	}

	// ---- painting ----

	values() {
		this.stale = true;
		this.ask();
	}

	ask() {
		this.frame ||= requestAnimationFrame(() => this.turn());
	}

	turn() {
		this.frame = 0;
		if (this.canvas.hidden || !this.canvas.width || !this.canvas.height) return;
		if (!this.painting && this.stale) this.begin();
		if (this.painting) this.work();
		this.put();
		if (this.painting || this.stale) this.ask();
	}

	begin() {
		const { width, height, ratio } = this.view;
		this.stale = false;
		this.next.clear(Math.round(width * ratio), Math.round(height * ratio));
		this.next.view = { ...this.view };
		this.painting = paint(this.next.context, this, this.next.view);
	}

	work() {
		const until = performance.now() + BUDGET_MS;
		do {
			if (this.painting.next().done) {
				this.painting = null;
				[this.shown, this.next] = [this.next, this.shown];
				return;
			}
			// What was painted is put off by browsers until it is needed: here, so that it is counted.
			this.probe.drawImage(this.next.canvas, 0, 0, 1, 1, 0, 0, 1, 1);
		} while (performance.now() < until);
	}

	// The picture, where it belongs by now, unless it is there.
	put() {
		const { canvas, context, view, shown } = this, { width, height } = canvas;
		if (this.putAs === shown.view && !this.elsewhere) return;
		this.elsewhere = false;
		this.putAs = shown.view;
		context.clearRect(0, 0, width, height);
		if (!shown.view) return;
		const by = view.zoom / shown.view.zoom, place = (axis) => Math.round((view[axis] - shown.view[axis] * by) * view.ratio);
		context.drawImage(shown.canvas, place("x"), place("y"), shown.canvas.width * by, shown.canvas.height * by);
	}

	// ---- where it looks ----

	resize() {
		const ratio = Math.min(window.devicePixelRatio, 2), { clientWidth: width, clientHeight: height } = this.canvas.parentElement;
		Object.assign(this.view, { ratio, width, height });
		Object.assign(this.canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
		this.painting = null;
		this.elsewhere = true;
		this.put();
		this.values();
	}

	// A window that comes to a finer screen keeps its size.
	watchRatio() {
		window.matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`).addEventListener("change", () => {
			this.resize();
			this.watchRatio();
		}, { once: true });
	}

	to(zoom, x, y) {
		Object.assign(this.view, { zoom, x, y });
		this.elsewhere = true;
		this.moved();
		this.values();
	}

	// The place (x, y) of the canvas stays where it is.
	zoom(by, x = this.view.width / 2, y = this.view.height / 2) {
		const { zoom, x: left, y: top } = this.view, to = Math.max(Math.min(LEAST_ZOOM, this.fitting().zoom), Math.min(MOST_ZOOM, zoom * by));
		this.to(to, x - (x - left) * (to / zoom), y - (y - top) * (to / zoom));
	}

	// All that there is, and at which zoom it can be seen.
	fitting() {
		const all = this.boxes.length ? this.boxes.map((b) => ({ ...b, y: b.y - TITLE, h: b.h + TITLE })) : this.spots.map(({ x, y, shape: { w, h } }) => ({ x: x - w / 2, y: y - h / 2, w, h: h + 24 }));
		const x1 = Math.min(...all.map((b) => b.x)), x2 = Math.max(...all.map((b) => b.x + b.w));
		const y1 = Math.min(...all.map((b) => b.y)), y2 = Math.max(...all.map((b) => b.y + b.h));
		const { width, height } = this.view;
		return { zoom: Math.min(FIT_ZOOM, (width - 80) / (x2 - x1), (height - 80) / (y2 - y1)), x: (x1 + x2) / 2, y: (y1 + y2) / 2 };
	}

	fit() {
		const { zoom, x, y } = this.fitting();
		if (zoom > 0) this.to(zoom, this.view.width / 2 - x * zoom, this.view.height / 2 - y * zoom);
	}

	// ---- one of all ----

	// What is at a place of the graph: a node, an edge, a box around a namespace (undefined) or nothing (null).
	hit(x, y, finger) {
		const near = (finger ? NEAR_FINGER : NEAR) / this.view.zoom, slack = near / 4;
		const spot = this.spots.findLast(({ x: cx, y: cy, shape: { w, h } }) => Math.abs(x - cx) <= w / 2 + slack && Math.abs(y - cy) <= h / 2 + slack);
		if (spot) return spot.node;
		let best = null, least = near;
		for (const l of this.lines) {
			const { x: mx, y: my } = middle(l), far = Math.min(distance(x, y, l.x1, l.y1, mx, my), distance(x, y, mx, my, l.x2, l.y2));
			if (far < least) [best, least] = [l.edge, far];
		}
		return best || (this.boxes.some((b) => x > b.x && x < b.x + b.w && y > b.y && y < b.y + b.h) ? undefined : null);
	}

	select(thing) {
		this.chosen = this.places.get(thing) || null;
		this.values();
	}

	selected() {
		return this.chosen && (this.chosen.node || this.chosen.edge);
	}

	// The middle of a node or an edge.
	at(thing) {
		const place = this.places.get(thing);
		return thing.key ? { x: place.x, y: place.y } : middle(place);
	}

	// So that it is in sight.
	bring(thing) {
		const { zoom, width, height, x: left, y: top } = this.view, { x, y } = this.at(thing), sx = x * zoom + left, sy = y * zoom + top;
		if (sx < 0 || sx > width || sy < 0 || sy > height) this.to(zoom, width / 2 - x * zoom, height / 2 - y * zoom);
	}
}
