// SPDX-License-Identifier: Apache-2.0
// Where nodes stand: a box for each namespace, in it callers to the left of what they call. The same mesh always looks the same.

const COLUMN = 250, ROW = 100, GAP = 90, MOST_ROWS = 14;

// The longest way from a node without callers, as far as edges do not go round.
function ranks(nodes, outOf) {
	const rank = new Map(), state = new Map(), order = [];
	for (const start of nodes) {
		if (state.has(start)) continue;
		const stack = [[start, 0]];
		state.set(start, 1);
		while (stack.length) {
			const top = stack[stack.length - 1], next = outOf(top[0])[top[1]++];
			if (!next) {
				state.set(top[0], 2);
				order.push(top[0]);
				stack.pop();
			} else if (!state.has(next)) {
				state.set(next, 1);
				stack.push([next, 0]);
			}
		}
	}
	const position = new Map(order.reverse().map((node, i) => [node, i]));
	for (const node of order) rank.set(node, 0);
	for (const node of order)
		for (const next of outOf(node))
			if (position.get(next) > position.get(node)) rank.set(next, Math.max(rank.get(next), rank.get(node) + 1));
	return rank;
}

const byName = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

// One column for each rank; each node about where its callers are.
function columns(nodes, rank, inOf) {
	const list = [];
	for (const node of nodes) (list[rank.get(node)] ||= []).push(node);
	const row = new Map();
	return list.filter(Boolean).map((column) => {
		const weight = new Map(column.map((node) => {
			const from = inOf(node).map((n) => row.get(n)).filter((n) => n !== undefined);
			return [node, from.length ? from.reduce((a, b) => a + b, 0) / from.length : 1e9];
		}));
		column.sort((a, b) => weight.get(a) - weight.get(b) || byName(a, b));
		column.forEach((node, i) => row.set(node, i));
		return column;
	});
}

// Positions from (0, 0) on, and how large all is.
function box(nodes, edges) {
	const inside = new Set(nodes), out = new Map(), into = new Map();
	for (const node of nodes) {
		out.set(node, []);
		into.set(node, []);
	}
	for (const { from, to } of edges) {
		if (!inside.has(from) || !inside.has(to) || from === to) continue;
		out.get(from).push(to);
		into.get(to).push(from);
	}
	const rank = ranks([...nodes].sort(byName), (n) => out.get(n));
	const list = columns(nodes, rank, (n) => into.get(n));
	// Long columns are folded; in a large mesh into a shape that fits a screen.
	const most = Math.max(MOST_ROWS, Math.ceil(Math.sqrt(nodes.length * 1.2)));
	const positions = new Map();
	let x = 0, height = 0;
	for (const column of list) {
		const folds = Math.ceil(column.length / most), rows = Math.ceil(column.length / folds);
		column.forEach((node, i) => positions.set(node, { x: x + Math.floor(i / rows) * COLUMN, y: (i % rows) * ROW, rows }));
		x += folds * COLUMN;
		height = Math.max(height, rows * ROW);
	}
	for (const at of positions.values()) at.y += (height - at.rows * ROW) / 2;
	return { positions, width: x, height };
}

// Namespaces as nodes: callers before what they call, line by line.
function grid(nodes, edges) {
	const { positions } = box(nodes, edges);
	const order = [...nodes].sort((a, b) => positions.get(a).x - positions.get(b).x || positions.get(a).y - positions.get(b).y);
	const wide = Math.ceil(Math.sqrt(order.length * 1.4));
	return new Map(order.map((node, i) => [node, { x: (i % wide) * 1.25 * COLUMN, y: Math.floor(i / wide) * 1.6 * ROW }]));
}

// Node -> {x, y}.
export function layout(nodes, edges) {
	const namespaces = new Map();
	for (const node of nodes) {
		if (!namespaces.has(node.ns)) namespaces.set(node.ns, []);
		namespaces.get(node.ns).push(node);
	}
	if ([...nodes].some((n) => n.kind === "namespace")) return grid(nodes, edges);
	const boxes = [...namespaces].map(([ns, list]) => ({ ns, ...box(list, edges) }));
	boxes.sort((a, b) => (b.ns === "unknown") - (a.ns === "unknown") || b.height - a.height || (a.ns < b.ns ? -1 : 1));
	const area = boxes.reduce((sum, b) => sum + (b.width + GAP) * (b.height + GAP), 0);
	const wide = Math.max(Math.sqrt(area * 1.8), ...boxes.map((b) => b.width));
	const result = new Map();
	let x = 0, y = 0, high = 0;
	for (const b of boxes) {
		if (x && x + b.width > wide) {
			x = 0;
			y += high + GAP;
			high = 0;
		}
		for (const [node, at] of b.positions) result.set(node, { x: x + at.x, y: y + at.y });
		x += b.width + GAP;
		high = Math.max(high, b.height);
	}
	return result;
}
