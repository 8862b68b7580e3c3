// SPDX-License-Identifier: Apache-2.0
// What a hand does to a picture: drags it, zooms it by wheel or with two fingers, taps on it.

const SLACK = { pen: 6, touch: 10 }, LEAST_SLACK = 4; // pixels: less is a tap
const WHEEL = 0.002, PINCH = 0.01; // of the zoom's logarithm per pixel
const UNITS = [1, 33, 800]; // of a wheel, by its deltaMode: a pixel, a line, a page; in pixels

// drag(DX, DY), zoom(BY, X, Y), tap(X, Y, FINGER): pixels from the corner of `element`.
export function gestures(element, { drag, zoom, tap }) {
	const down = new Map(); // pointer -> {x, y}
	let travelled = 0, many = false, type = "";
	const place = (event) => {
		const box = element.getBoundingClientRect();
		return { x: event.clientX - box.left, y: event.clientY - box.top };
	};
	const still = () => !many && travelled <= (SLACK[type] ?? LEAST_SLACK);
	// The middle of all fingers, and how far the first two are from each other.
	const hold = () => {
		const all = [...down.values()], [a, b] = all;
		const middle = (axis) => all.reduce((sum, at) => sum + at[axis], 0) / all.length;
		return { x: middle("x"), y: middle("y"), spread: b ? Math.hypot(a.x - b.x, a.y - b.y) : 0 };
	};
	element.addEventListener("pointerdown", (event) => {
		if (event.button) return;
		if (!down.size) [travelled, many, type] = [0, false, event.pointerType];
		down.set(event.pointerId, place(event));
		many ||= down.size > 1;
		element.setPointerCapture(event.pointerId);
	});
	element.addEventListener("pointermove", (event) => {
		if (!down.has(event.pointerId)) return;
		const before = hold();
		down.set(event.pointerId, place(event));
		const after = hold();
		travelled += Math.hypot(after.x - before.x, after.y - before.y);
		if (still()) return;
		drag(after.x - before.x, after.y - before.y);
		if (before.spread && after.spread) zoom(after.spread / before.spread, after.x, after.y);
	});
	for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, (event) => down.delete(event.pointerId));
	// Not as soon as the finger is lifted: what then opens there would be clicked on.
	element.addEventListener("click", (event) => {
		if (still()) tap(...Object.values(place(event)), type === "touch" || type === "pen");
	});
	element.addEventListener("wheel", (event) => {
		event.preventDefault();
		const far = event.deltaY * UNITS[event.deltaMode] * (event.ctrlKey ? PINCH : WHEEL);
		const { x, y } = place(event);
		zoom(Math.exp(-Math.max(-0.5, Math.min(0.5, far))), x, y);
	}, { passive: false });
}
