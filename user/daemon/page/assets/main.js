// SPDX-License-Identifier: Apache-2.0
import { Mesh } from "/mesh.js";
import { Graph } from "/graph.js";
import { List } from "/list.js";
import { Details } from "/details.js";
import { Why } from "/why.js";
import { el, find, text } from "/dom.js";

// ---- dark and light ----

const themes = window.matchMedia("(prefers-color-scheme: dark)");
const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };

function setTheme(theme) {
	document.documentElement.dataset.theme = theme || (themes.matches ? "dark" : "light");
}

setTheme(stored());

// ---- what there is ----

const mesh = new Mesh();
const choose = (choice) => {
	details.show(choice, Boolean(choice) && !find("canvas").contains(document.activeElement));
	chosen = choice;
};
let chosen = null;
const graph = new Graph(mesh, choose, (ns) => {
	find("namespace").value = ns;
	find("namespace").dispatchEvent(new Event("change"));
});
const list = new List(mesh, (choice) => {
	back = document.activeElement;
	graph.select(choice);
	choose(choice);
});
let back = null; // where the focus was before the details
const details = new Details(mesh, () => {
	graph.select(null);
	chosen = null;
	if (back && back.isConnected) back.focus();
	else if (!find("graph").hidden) find("canvas").focus();
	back = null;
});
const why = new Why(mesh);

find("theme").addEventListener("click", () => {
	const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
	setTheme(theme);
	try { localStorage.setItem("theme", theme); } catch { /* it holds until the page is left */ }
	graph.restyle();
});
themes.addEventListener("change", () => {
	setTheme(stored());
	graph.restyle();
});

// ---- changes ----

// At most once a frame, and not while nobody looks.
let pending = new Set();
function later(what) {
	if (!pending.size) requestAnimationFrame(draw);
	pending.add(what);
}

function draw() {
	const began = performance.now(), todo = pending;
	pending = new Set();
	if (todo.has("shape")) {
		namespaces();
		if (!find("graph").hidden) graph.shape();
		else stale = true;
	} else if (todo.has("values") && !find("graph").hidden) graph.values();
	list.values();
	if (todo.has("rules") || todo.has("shape")) details.shape();
	details.values();
	empty();
	performance.measure("weft-draw", { start: began });
}
let stale = false;

function namespaces() {
	const now = [...new Set([...mesh.nodes.values()].map((n) => n.ns))].filter((ns) => ns !== "unknown").sort();
	const select = find("namespace");
	if (now.join() === [...select.options].slice(1).map((o) => o.value).join()) return;
	const value = select.value;
	select.replaceChildren(el("option", { value: "" }, "all"), ...now.map((ns) => el("option", { value: ns }, ns)));
	select.value = now.includes(value) ? value : "";
}

function empty() {
	const nothing = mesh.state === "ok" && !mesh.visibleEdges().length && !mesh.idle;
	document.body.classList.toggle("empty", nothing);
}

for (const what of ["shape", "values", "rules"]) mesh.addEventListener(what, () => later(what));
mesh.addEventListener("rules", () => text(find("node"), mesh.nodeName));
mesh.addEventListener("state", () => {
	find("state").dataset.state = mesh.state;
	text(find("state"), mesh.words);
});

// ---- what is shown ----

function show(view) {
	const asList = view === "list";
	find("graph").hidden = asList;
	find("list").hidden = !asList;
	find("as-graph").setAttribute("aria-pressed", String(!asList));
	find("as-list").setAttribute("aria-pressed", String(asList));
	if (!asList && stale) graph.shape();
	stale = asList;
	list.values();
}

find("as-graph").addEventListener("click", () => show("graph"));
find("as-list").addEventListener("click", () => show("list"));
find("skip").addEventListener("click", (event) => {
	event.preventDefault();
	show("list");
	find("list").focus();
});
find("idle").addEventListener("change", (event) => {
	mesh.idle = event.target.checked;
	graph.moved = false;
	later("shape");
});
find("namespace").addEventListener("change", (event) => {
	graph.filter.ns = list.filter.ns = event.target.value;
	graph.moved = false;
	later("shape");
});
find("find").addEventListener("input", (event) => {
	graph.filter.words = list.filter.words = event.target.value;
	later("values");
});
find("ask-why").addEventListener("click", () => why.open(chosen));

if (window.matchMedia("(max-width: 700px)").matches) show("list");
mesh.watch();
window.weft = { mesh, graph, list }; // for the browser's console, and tests
