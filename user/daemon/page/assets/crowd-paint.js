// SPDX-License-Identifier: Apache-2.0
// A picture of many nodes and edges, painted step by step: a generator yields after each, so that its caller can leave off there and go
// on in the next frame. It looks as diagram.js draws the same.
import { FONT, color, kindOf } from "/looks.js";

const STEP = 150; // lines or nodes
const LABEL_COST = 6; // lines that take as long as a label
const LEAST_ARROW = 1.5; // pixels: a smaller one can't be seen
const HEALTHS = ["", "idle", "ok", "warn", "bad"];
const DIM = 0.15;

export const SHAPES = {
	service: { w: 44, h: 30, fill: "service", round: 8 },
	workload: { w: 34, h: 34, fill: "node", ellipse: true },
	outside: { w: 34, h: 34, fill: "node", diamond: true },
	namespace: { w: 120, h: 56, fill: "group", round: 8, font: 17, least: 3 },
};

export const colors = () => Object.fromEntries(
	["text", "back", "node", "service", "group", "line", "accent", "edge-idle", "edge-ok", "edge-warn", "edge-bad"].map((name) => [name, color(name)]));

// How far a shape's rim is from its middle, in the direction of a unit vector.
function rim({ w, h, ellipse, diamond }, dx, dy) {
	const x = Math.abs(dx) / (w / 2), y = Math.abs(dy) / (h / 2);
	return 1 / (ellipse ? Math.hypot(x, y) : diamond ? x + y : Math.max(x, y));
}

// An edge between nodes at two places, from rim to rim, and its direction.
export function line(edge, from, to) {
	const x = to.x - from.x, y = to.y - from.y, far = Math.hypot(x, y) || 1, dx = x / far, dy = y / far;
	const start = Math.min(rim(SHAPES[kindOf(edge.from)], dx, dy), far / 2), end = Math.min(rim(SHAPES[kindOf(edge.to)], dx, dy) + 1, far / 2);
	return { edge, dx, dy, x1: from.x + dx * start, y1: from.y + dy * start, x2: to.x - dx * end, y2: to.y - dy * end };
}

function outline(path, { w, h, ellipse, diamond, round }, x, y, more = 0) {
	const rx = w / 2 + more, ry = h / 2 + more;
	if (diamond) {
		path.moveTo(x, y - ry);
		path.lineTo(x + rx, y);
		path.lineTo(x, y + ry);
		path.lineTo(x - rx, y);
		path.closePath();
	} else if (ellipse) {
		path.moveTo(x + rx, y);
		path.ellipse(x, y, rx, ry, 0, 0, 2 * Math.PI);
	} else path.roundRect(x - rx, y - ry, 2 * rx, 2 * ry, round);
}

function* grouped(list, keyOf) {
	const groups = new Map();
	let done = 0;
	for (const item of list) {
		const key = keyOf(item);
		if (groups.has(key)) groups.get(key).push(item);
		else groups.set(key, [item]);
		if (++done % STEP === 0) yield;
	}
	return groups;
}

// Each group in parts that are painted at once: paint(PART).
function* inParts(groups, paint) {
	let done = 0;
	for (const list of [...groups.values()].sort(([a], [b]) => rank(a.look) - rank(b.look)))
		for (let i = 0; i < list.length; i += STEP) {
			const part = list.slice(i, i + STEP);
			paint(part);
			done += part.length;
			if (done < STEP) continue;
			done = 0;
			yield;
		}
}

// What is worse is above, and what was not searched for below.
const rank = ({ health, dim }) => HEALTHS.indexOf(health) - (dim ? HEALTHS.length : 0);

function paintLines(context, lines, colors, arrows) {
	const { health, width, dim } = lines[0].look, all = new Path2D(), heads = new Path2D();
	const long = 0.27 * Math.max((width * 13.37) ** 0.9, 29);
	for (const { x1, y1, x2, y2, dx, dy } of lines) {
		all.moveTo(x1, y1);
		if (!arrows) {
			all.lineTo(x2, y2);
			continue;
		}
		const x = x2 - dx * long, y = y2 - dy * long;
		all.lineTo(x, y);
		heads.moveTo(x2, y2);
		heads.lineTo(x - dy * long * 0.5, y + dx * long * 0.5);
		heads.lineTo(x + dy * long * 0.5, y - dx * long * 0.5);
		heads.closePath();
	}
	context.globalAlpha = dim ? DIM : 1;
	context.strokeStyle = context.fillStyle = colors[`edge-${health}`];
	context.lineWidth = width;
	context.setLineDash(health === "idle" ? [6, 3] : []);
	context.stroke(all);
	context.setLineDash([]);
	if (arrows) context.fill(heads);
}

function paintSpots(context, spots, colors) {
	const { look, shape } = spots[0], path = new Path2D();
	for (const { x, y } of spots) outline(path, shape, x, y);
	context.globalAlpha = look.dim ? DIM : 1;
	context.fillStyle = colors[shape.fill];
	context.fill(path);
	context.strokeStyle = colors[`edge-${look.health || "idle"}`];
	context.lineWidth = look.health === "bad" || look.health === "warn" ? 4 : 2;
	context.stroke(path);
}

// [{words, width}], wrapped at blanks.
export function wrap(context, text, most) {
	const lines = [];
	for (const words of text.split("\n")) {
		let line = "";
		for (const word of words.split(" ")) {
			const longer = line ? `${line} ${word}` : word;
			if (line && context.measureText(longer).width > most) {
				lines.push(line);
				line = word;
			} else line = longer;
		}
		lines.push(line);
	}
	return lines.map((words) => ({ words, width: context.measureText(words).width }));
}

function paintLabel(context, { x, y, shape, look }, colors) {
	const size = shape.font || 15;
	context.font = `${size}px ${FONT}`;
	const lines = wrap(context, look.label, 180), wide = Math.max(...lines.map((l) => l.width)), top = y + shape.h / 2 + 6;
	context.globalAlpha = (look.dim ? DIM : 1) * 0.75;
	context.fillStyle = colors.back;
	context.fillRect(x - wide / 2 - 2, top - 2, wide + 4, lines.length * size + 4);
	context.globalAlpha = look.dim ? DIM : 1;
	context.fillStyle = colors.text;
	lines.forEach(({ words }, i) => context.fillText(words, x, top + (i + 0.5) * size));
}

function paintBox(context, { name, x, y, w, h }, colors, readable) {
	context.globalAlpha = 0.5;
	context.fillStyle = colors.group;
	context.strokeStyle = colors.line;
	context.lineWidth = 1;
	context.beginPath();
	context.roundRect(x, y, w, h, 8);
	context.fill();
	context.globalAlpha = 1;
	context.stroke();
	if (!readable(15)) return;
	context.font = `bold 15px ${FONT}`;
	context.fillStyle = colors.text;
	context.fillText(name, x + w / 2, y - 12);
}

// What is chosen, with a halo.
function paintChosen(context, chosen, colors) {
	context.globalAlpha = 0.25;
	context.beginPath();
	if (chosen.edge) {
		context.moveTo(chosen.x1, chosen.y1);
		context.lineTo(chosen.x2, chosen.y2);
		context.lineWidth = chosen.look.width + 12;
		context.strokeStyle = colors.accent;
		context.stroke();
	} else {
		outline(context, { ...chosen.shape, diamond: false, ellipse: false, round: 8 }, chosen.x, chosen.y, 7);
		context.fillStyle = colors.accent;
		context.fill();
	}
}

/*
 * boxes, lines and spots as Crowd has them; view: {zoom, x, y, ratio, width, height} in pixels of the screen; looks and chosen: see there.
 * The context is clear.
 */
export function* paint(context, { boxes, lines, spots, look, chosen, colors }, { zoom, x, y, ratio, width, height }) {
	context.setTransform(zoom * ratio, 0, 0, zoom * ratio, x * ratio, y * ratio);
	context.textAlign = "center";
	context.textBaseline = "middle";
	const readable = (size, least = 5.5) => size * zoom >= least, edge = 200;
	const left = -x / zoom - edge, top = -y / zoom - edge, right = (width - x) / zoom + edge, bottom = (height - y) / zoom + edge;
	const near = (l) => Math.max(l.x1, l.x2) > left && Math.min(l.x1, l.x2) < right && Math.max(l.y1, l.y2) > top && Math.min(l.y1, l.y2) < bottom;
	for (const box of boxes) paintBox(context, box, colors, readable);
	const arrows = 8 * zoom * ratio >= LEAST_ARROW;
	yield* inParts(yield* grouped(lines.filter(near), (l) => {
		l.look = look(l.edge);
		return `${l.look.health} ${l.look.width} ${l.look.dim}`;
	}), (part) => paintLines(context, part, colors, arrows));
	const seen = spots.filter((s) => s.x > left && s.x < right && s.y > top && s.y < bottom);
	yield* inParts(yield* grouped(seen, (s) => {
		s.look = look(s.node);
		return `${s.look.health} ${s.kind} ${s.look.dim}`;
	}), (part) => paintSpots(context, part, colors));
	let done = 0;
	for (const spot of seen) {
		if (!readable(spot.shape.font || 15, spot.shape.least)) continue;
		paintLabel(context, spot, colors);
		if (++done % (STEP / LABEL_COST) === 0) yield;
	}
	if (chosen && chosen.look) paintChosen(context, chosen, colors);
}
