// SPDX-License-Identifier: Apache-2.0
// The same as the graph in a table: for the keyboard, for screen readers, and to sort by what is of interest.
import { label } from "/mesh.js";
import { el, find, text, number, milliseconds, bytes, percent } from "/dom.js";

const PAGE = 100; // rows at a time
const STEP = 8; // rows that are written in one frame; of the ones out of sight as many with each change

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
		this.edges = new WeakMap(); // row -> edge
		this.order = []; // the edges of the rows
		this.asked = ""; // what was asked for when they were last ordered anew
		this.left = new Set(); // places in the order whose rows are to be written
		this.other = 0; // the next of them though it may be out of sight
		this.heads = COLUMNS.map((column, i) => el("th", { scope: "col", class: column.number ? "n" : null },
			el("button", { type: "button", onclick: () => this.sort(i) }, column.name)));
		this.body = el("tbody", { onfocusin: () => this.hold() });
		this.more = el("button", { type: "button", class: "more", onclick: () => { this.shown += 5 * PAGE; this.reorder(); } }, "Show more");
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
		this.reorder();
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
		this.edges.set(made.row, edge);
		return made;
	}

	// A row with what its edge has now.
	fill(edge) {
		const { row, cells } = this.row(edge), health = this.mesh.health(edge);
		COLUMNS.forEach((column, k) => text(cells[k], column.of(edge, this.mesh)));
		if (row.className !== health) row.className = health;
		return row;
	}

	matches(edge) {
		const words = this.filter.words.toLowerCase();
		if (this.filter.ns && edge.from.ns !== this.filter.ns && edge.to.ns !== this.filter.ns) return false;
		return !words || [edge.from, edge.to].some((n) => label(n).toLowerCase().includes(words) || n.ns.includes(words));
	}

	values() {
		if (find("list").hidden) {
			this.asked = "";
			return;
		}
		this.due = true;
		this.write([]);
	}

	reorder() {
		this.due = false;
		const { sort } = COLUMNS[this.by], sign = this.down ? -1 : 1;
		const edges = this.mesh.visibleEdges().filter((e) => this.matches(e)).map((e) => [sort(e, this.mesh), e]);
		edges.sort(([a, x], [b, y]) => sign * (a < b ? -1 : a > b ? 1 : 0) || x.id - y.id);
		const order = edges.slice(0, this.shown).map(([, edge]) => edge);
		text(this.count, `${edges.length} edges of the traffic graph${edges.length > order.length ? `, ${order.length} of them shown` : ""}`);
		this.more.hidden = edges.length <= order.length;
		const asked = [this.mesh.age, this.mesh.idle, this.by, this.down, this.shown, this.filter.ns, this.filter.words].join("\n"), anew = asked !== this.asked;
		this.asked = asked;
		this.take(order, anew);
		const missing = range(this.body.childElementCount, this.order.length), all = anew ? range(0, this.order.length) : this.others();
		this.write([...range(...this.inSight()), ...missing, ...all]);
	}

	// Where the focus is rows are only added, below, unless another order is asked for, or all edges are new.
	take(order, anew) {
		const held = this.body.contains(document.activeElement);
		if (held && anew) this.scroll.focus({ preventScroll: true });
		this.order = held && !anew ? [...new Set([...this.order, ...order])].slice(0, Math.max(this.shown, this.order.length)) : order;
		while (this.body.childElementCount > this.order.length) this.body.lastElementChild.remove();
	}

	// The order is what it is at present, whatever was still to be moved.
	hold() {
		this.order = [...this.body.children].map((row) => this.edges.get(row));
	}

	// Some places, others each time.
	others() {
		const { length } = this.order, from = this.other;
		this.other = (from + STEP) % (length || 1);
		return Array.from({ length: Math.min(STEP, length) }, (_, i) => (from + i) % length);
	}

	// The first of the rows that are seen, or nearly so, and the one after the last.
	inSight() {
		const { scrollTop, scrollHeight, clientHeight } = this.scroll, each = scrollHeight / (this.body.childElementCount || 1);
		return [Math.max(0, Math.floor(scrollTop / each) - 3), Math.min(this.body.childElementCount, Math.ceil((scrollTop + clientHeight) / each) + 1)];
	}

	// Rows, some in each frame: these before what is left of earlier ones. None in a frame that orders them.
	write(places) {
		this.left = new Set([...places, ...this.left]);
		this.frame ||= requestAnimationFrame(() => this.turn());
	}

	turn() {
		this.frame = 0;
		if (this.due) return this.reorder();
		for (const i of [...this.left].slice(0, STEP)) {
			this.left.delete(i);
			if (i < this.order.length) this.put(i);
		}
		if (this.left.size) this.write([]);
	}

	put(i) {
		const { body } = this, row = this.fill(this.order[i]), there = body.children[i];
		if (there === row) return;
		if (!there) return this.add(i);
		if (!row.parentNode) return there.replaceWith(row);
		// They change places.
		const next = row.nextSibling === there ? row : row.nextSibling;
		there.replaceWith(row);
		body.insertBefore(there, next);
	}

	// One row more, below: the one that belongs at a place, or if that is elsewhere in the table one that is not in it.
	add(i) {
		this.body.append(this.fill([this.order[i], ...this.order].find((edge) => !this.row(edge).row.parentNode)));
		if (this.body.children[i] !== this.row(this.order[i]).row) this.left.add(i);
	}
}
