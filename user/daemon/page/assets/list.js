// SPDX-License-Identifier: Apache-2.0
// The same as the graph in a table: for the keyboard, for screen readers, and to sort by what is of interest.
import { label } from "/mesh.js";
import { el, find, text, number, milliseconds, bytes, percent } from "/dom.js";

const PAGE = 100; // rows at a time
const STEP = 8; // rows that are written in one frame: the ones in sight every time, of all others as many each time

const range = (from, to) => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

const weightsText = (mesh, edge) => (edge.cluster ? mesh.weights(edge.cluster) : [])
	.map((w) => `${w.weight} %${w.conditions ? ` if ${w.conditions}` : ""}`).join("; ");

const COLUMNS = [
	{ name: "From", of: (e) => label(e.from), sort: (e) => label(e.from) },
	{ name: "To", of: (e) => `${e.to.kind === "service" ? "service " : ""}${label(e.to)}`, sort: (e) => label(e.to) },
	{ name: "Namespace", of: (e) => e.to.ns, sort: (e) => e.to.ns },
	{ name: "Protocol", of: (e) => e.protocol, sort: (e) => e.protocol },
	{ name: "Rate /s", number: true, of: (e) => number(e.rate), sort: (e) => e.rate },
	{ name: "Failed", number: true, of: (e) => (e.rate ? percent(e.failed / e.rate) : "–"), sort: (e) => (e.rate ? e.failed / e.rate : -1) },
	{ name: "p50", number: true, of: (e) => milliseconds(e.p50), sort: (e) => e.p50 ?? -1 },
	{ name: "p99", number: true, of: (e) => milliseconds(e.p99), sort: (e) => e.p99 ?? -1 },
	{ name: "In /s", number: true, of: (e) => bytes(e.in), sort: (e) => e.in },
	{ name: "Out /s", number: true, of: (e) => bytes(e.out), sort: (e) => e.out },
	{ name: "By the rules", of: (e, mesh) => weightsText(mesh, e), sort: (e, mesh) => weightsText(mesh, e) },
	{ name: "mTLS", of: (e) => (e.mtls === null ? "–" : e.mtls ? `yes${e.mtls < 1 ? `, ${percent(e.mtls)}` : ""}` : "no"), sort: (e) => e.mtls ?? -1 },
	{ name: "Trouble", of: (e, mesh) => [...mesh.troubles(e).map((t) => t.words), ...(e.to.kind === "service" ? mesh.faults(e.to) : [])].join("; "),
		sort: (e, mesh) => mesh.troubles(e).length },
];

export class List {
	constructor(mesh, choose) {
		this.mesh = mesh;
		this.choose = choose;
		this.filter = { ns: "", words: "" };
		this.by = 4;
		this.down = true;
		this.shown = PAGE;
		this.rows = new WeakMap(); // edge -> {row, cells}
		this.order = []; // the edges of the rows
		this.other = 0; // the next row to be written though it may be out of sight
		this.heads = COLUMNS.map((column, i) => el("th", { scope: "col", class: column.number ? "n" : null },
			el("button", { type: "button", onclick: () => this.sort(i) }, column.name)));
		this.body = el("tbody");
		this.more = el("button", { type: "button", class: "more", onclick: () => { this.shown += 5 * PAGE; this.values(); } }, "Show more");
		this.count = el("caption", {}, "");
		this.scroll = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Traffic", onscroll: () => this.write(range(...this.inSight())) },
			el("table", {}, this.count, el("thead", {}, el("tr", {}, this.heads)), this.body));
		find("list").append(this.scroll, this.more);
		this.sorted();
	}

	sort(i) {
		this.down = this.by === i ? !this.down : Boolean(COLUMNS[i].number);
		this.by = i;
		this.sorted();
		this.values();
	}

	sorted() {
		this.heads.forEach((head, i) => {
			if (i === this.by) head.setAttribute("aria-sort", this.down ? "descending" : "ascending");
			else head.removeAttribute("aria-sort");
		});
	}

	row(edge) {
		let made = this.rows.get(edge);
		if (made) return made;
		const open = el("button", { type: "button", class: "link", onclick: () => this.choose({ edge }) });
		const cells = COLUMNS.map((column, i) => (i ? el("td", { class: column.number ? "n" : null }) : el("th", { scope: "row" }, open)));
		made = { row: el("tr", {}, cells), cells: [open, ...cells.slice(1)] };
		this.rows.set(edge, made);
		return made;
	}

	matches(edge) {
		const words = this.filter.words.toLowerCase();
		if (this.filter.ns && edge.from.ns !== this.filter.ns && edge.to.ns !== this.filter.ns) return false;
		return !words || [edge.from, edge.to].some((n) => label(n).toLowerCase().includes(words) || n.ns.includes(words));
	}

	values() {
		if (find("list").hidden) return;
		const { sort } = COLUMNS[this.by], sign = this.down ? -1 : 1;
		const edges = this.mesh.visibleEdges().filter((e) => this.matches(e)).map((e) => [sort(e, this.mesh), e]);
		edges.sort(([a, x], [b, y]) => sign * (a < b ? -1 : a > b ? 1 : 0) || x.id - y.id);
		const order = edges.slice(0, this.shown).map(([, edge]) => edge);
		text(this.count, `${edges.length} edges of the traffic graph${edges.length > order.length ? `, ${order.length} of them shown` : ""}`);
		this.more.hidden = edges.length <= order.length;
		// Where the focus is, nothing is moved away from under it.
		if (!this.body.contains(document.activeElement) || this.order.length !== order.length) this.order = order;
		while (this.body.childElementCount > this.order.length) this.body.lastElementChild.remove();
		const [from, to] = this.inSight(), missing = this.body.childElementCount;
		const others = Array.from({ length: Math.min(STEP, this.order.length) }, (_, i) => (this.other + i) % this.order.length);
		this.other = (this.other + STEP) % (this.order.length || 1);
		this.write(new Set([...range(from, to), ...range(missing, this.order.length), ...others]));
	}

	// The first of the rows that are seen, or nearly so, and the one after the last.
	inSight() {
		const { scrollTop, scrollHeight, clientHeight } = this.scroll, each = scrollHeight / (this.body.childElementCount || 1);
		return [Math.max(0, Math.floor(scrollTop / each) - 3), Math.min(this.body.childElementCount, Math.ceil((scrollTop + clientHeight) / each) + 1)];
	}

	// Rows, some in each frame.
	write(rows) {
		cancelAnimationFrame(this.frame);
		const [now, later] = [[...rows].slice(0, STEP), [...rows].slice(STEP)];
		now.forEach((i) => i < this.order.length && this.put(i));
		if (later.length) this.frame = requestAnimationFrame(() => this.write(later));
	}

	put(i) {
		const edge = this.order[i], { body } = this, { row, cells } = this.row(edge), there = body.children[i];
		COLUMNS.forEach((column, k) => text(cells[k], column.of(edge, this.mesh)));
		if (row.className !== this.mesh.health(edge)) row.className = this.mesh.health(edge);
		if (there === row) return;
		if (!there) return body.append(row);
		if (!row.parentNode) return there.replaceWith(row);
		// They change places.
		const next = row.nextSibling === there ? row : row.nextSibling;
		there.replaceWith(row);
		body.insertBefore(there, next);
	}
}
