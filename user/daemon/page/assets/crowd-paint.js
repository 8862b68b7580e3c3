// SPDX-License-Identifier: Apache-2.0
// A picture of many nodes and edges, painted step by step: a generator yields after each, so that its caller can leave off there and go
// on in the next frame. It looks as diagram.js draws the same.
import { FONT, color, kindOf } from "/looks.js";

const STEP = 150; // lines or nodes
const LABEL_COST = 6; // lines that take as long as a label
export const MOST_WIDE = 180; // of a label: it is wrapped
const AROUND = 200; // what is out of sight by less may reach into it
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

// An edge between nodes at two places, from rim to rim: by way of (cx, cy), `bend` beside the middle. (dx, dy): its direction at the end.
export function line(edge, from, to, bend) {
	const a = SHAPES[kindOf(edge.from)], b = SHAPES[kindOf(edge.to)];
	if (edge.from === edge.to) return { edge, bent: true, x1: from.x - 12, y1: from.y - a.h / 2, cx: from.x, cy: from.y - a.h / 2 - 50, x2: from.x + 12, y2: from.y - a.h / 2, dx: 0, dy: 1 };
	const x = to.x - from.x, y = to.y - from.y, far = Math.hypot(x, y) || 1;
	const cx = (from.x + to.x) / 2 - (y / far) * bend, cy = (from.y + to.y) / 2 + (x / far) * bend;
	const half = Math.hypot(cx - from.x, cy - from.y) || 1, sx = (cx - from.x) / half, sy = (cy - from.y) / half, dx = (to.x - cx) / half, dy = (to.y - cy) / half;
	const start = Math.min(rim(a, sx, sy), half), end = Math.min(rim(b, dx, dy) + 1, half);
	return { edge, bent: bend !== 0, cx, cy, dx, dy, x1: from.x + sx * start, y1: from.y + sy * start, x2: to.x - dx * end, y2: to.y - dy * end };
}

export const middle = ({ x1, y1, cx, cy, x2, y2 }) => ({ x: (x1 + 2 * cx + x2) / 4, y: (y1 + 2 * cy + y2) / 4 });

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
	for (const { x1, y1, cx, cy, x2, y2, dx, dy, bent } of lines) {
		const x = arrows ? x2 - dx * long : x2, y = arrows ? y2 - dy * long : y2;
		all.moveTo(x1, y1);
		if (bent) all.quadraticCurveTo(cx, cy, x, y);
		else all.lineTo(x, y);
		if (!arrows) continue;
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

// A label of one thing, around (x, y) or below.
function paintLabel(context, look, x, y, { size, opacity, below }, colors) {
	context.font = `${size}px ${FONT}`;
	const lines = wrap(context, look.label, MOST_WIDE), wide = Math.max(...lines.map((l) => l.width)), top = below ? y : y - (lines.length * size) / 2;
	context.globalAlpha = (look.dim ? DIM : 1) * opacity;
	context.fillStyle = colors.back;
	context.fillRect(x - wide / 2 - 2, top - 2, wide + 4, lines.length * size + 4);
	context.globalAlpha = look.dim ? DIM : 1;
	context.fillStyle = colors.text;
	lines.forEach(({ words }, i) => context.fillText(words, x, top + (i + 0.5) * size));
}

function* paintLabels(list, paint) {
	let done = 0;
	for (const item of list) {
		if (!item.look.label) continue;
		paint(item);
		if (++done % (STEP / LABEL_COST) === 0) yield;
	}
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
	if (!readable) return;
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
		context.quadraticCurveTo(chosen.cx, chosen.cy, chosen.x2, chosen.y2);
		context.lineWidth = chosen.look.width + 12;
		context.strokeStyle = colors.accent;
		context.stroke();
	} else {
		outline(context, { ...chosen.shape, diamond: false, ellipse: false, round: 8 }, chosen.x, chosen.y, 7);
		context.fillStyle = colors.accent;
		context.fill();
	}
}

// Whether a line is between those bounds, or a spot.
const near = ({ x, y, x1 = x, y1 = y, x2 = x, y2 = y, cx = x, cy = y }, left, top, right, bottom) =>
	Math.max(x1, x2, cx) > left && Math.min(x1, x2, cx) < right && Math.max(y1, y2, cy) > top && Math.min(y1, y2, cy) < bottom;

// boxes, lines, spots, chosen, look, colors: Crowd's. view: {zoom, x, y, ratio, width, height} in pixels of the page. The canvas is clear.
export function* paint(context, { boxes, lines, spots, chosen, look, colors }, { zoom, x, y, ratio, width, height }) {
	const bounds = [-x / zoom - AROUND, -y / zoom - AROUND, (width - x) / zoom + AROUND, (height - y) / zoom + AROUND];
	const readable = (size, least) => size * zoom >= least;
	context.setTransform(zoom * ratio, 0, 0, zoom * ratio, x * ratio, y * ratio);
	context.textAlign = "center";
	context.textBaseline = "middle";
	for (const box of boxes) paintBox(context, box, colors, readable(15, 5.5));

	const drawn = lines.filter((l) => near(l, ...bounds)), arrows = 8 * zoom * ratio >= LEAST_ARROW;
	yield* inParts(yield* grouped(drawn, (l) => {
		l.look = look(l.edge);
		return `${l.look.health} ${l.look.width} ${l.look.dim}`;
	}), (part) => paintLines(context, part, colors, arrows));
	if (readable(13, 6.5)) yield* paintLabels(drawn, (l) => paintLabel(context, l.look, middle(l).x, middle(l).y, { size: 13, opacity: 0.85 }, colors));

	const seen = spots.filter((s) => near(s, ...bounds));
	yield* inParts(yield* grouped(seen, (s) => {
		s.look = look(s.node);
		return `${s.look.health} ${s.kind} ${s.look.dim}`;
	}), (part) => paintSpots(context, part, colors));
	const named = seen.filter(({ shape: { font = 15, least = 5.5 } }) => readable(font, least));
	yield* paintLabels(named, (s) => paintLabel(context, s.look, s.x, s.y + s.shape.h / 2 + 6, { size: s.shape.font || 15, opacity: 0.75, below: true }, colors));
	if (chosen && chosen.look) paintChosen(context, chosen, colors);
}
