// SPDX-License-Identifier: Apache-2.0
// Elements and figures. Text is always set as text: nothing that comes from the mesh is read as HTML.

// el("td", {class: "n", onclick: f}, "text", child, null...)
export function el(name, attributes, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(attributes || {})) {
		if (value === null || value === undefined || value === false) continue;
		if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
		else element.setAttribute(key, value === true ? "" : value);
	}
	element.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
	return element;
}

export function text(element, value) {
	if (element.textContent !== value) element.textContent = value;
}

export const find = (id) => document.getElementById(id);

// 0, 0.25, 3.1, 120, 4.2k
export function number(n) {
	if (!n) return "0";
	if (n < 0.995) return String(Number(n.toPrecision(2)));
	if (n < 9.95) return String(Number(n.toFixed(1)));
	if (n < 999.5) return String(Math.round(n));
	if (n < 999500) return `${Number((n / 1000).toPrecision(3))}k`;
	return `${Number((n / 1e6).toPrecision(3))}M`;
}

export function milliseconds(ms) {
	if (ms === null || ms === undefined) return "–";
	if (ms < 1) return "<1 ms";
	return ms < 1000 ? `${Math.round(ms)} ms` : `${Number((ms / 1000).toPrecision(2))} s`;
}

export function bytes(n) {
	for (const unit of ["B", "KiB", "MiB", "GiB"]) {
		if (n < 1000 || unit === "GiB") return `${number(n)} ${unit}`;
		n /= 1024;
	}
	return "";
}

export const percent = (share) => `${Number((share * 100).toPrecision(share < 0.1 ? 2 : 3))} %`;

// JSON of an address of this page. An error has what weftd said as its message.
export async function ask(path, parameters) {
	const query = new URLSearchParams();
	for (const [key, values] of Object.entries(parameters))
		for (const value of [values].flat()) if (value) query.append(key, value);
	const answer = await fetch(`${path}?${query}`);
	const json = await answer.json();
	if (!answer.ok) throw new Error(json.error || answer.statusText);
	return json;
}

// What a screen reader says.
export function say(words) {
	find("said").textContent = words;
}
