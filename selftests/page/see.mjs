// SPDX-License-Identifier: Apache-2.0
// see.mjs MODULES BROWSER WHAT [ARGUMENT...]: looks at the page in a browser that runs already (its DevTools at BROWSER, a URL), and
// prints what it sees; fails where that is not as it should be. MODULES: where selftests/page/prepare has put what this needs.
//
//   open URL                  opens the page, and waits until it is live
//   edges                     what stands on each edge of the graph: JSON, {"FROM > TO": TEXT}
//   nodes                     the same of nodes
//   list                      the rows of the list, cells with a bar between
//   pick FROM TO              clicks on that edge; prints what the details say
//   point NAME [FINGER]       clicks on that node of a graph of many, or touches it; prints what the details say
//   rows                      fails unless the list is sorted as a whole, and rows stay where they are while one has the focus
//   painted                   how many dots of the graph of many have the color of what works, and of what fails: two numbers
//   why FROM TO PATH [HEADER] asks why; prints the answer
//   view graph|list
//   namespace NAME            shows that one alone
//   shot FILE                 a picture, a small PNG
//   axe                       fails with a line for each serious finding of accessibility
//   keys                      fails unless the keyboard reaches everything, and opens and closes the details
//   frames SECONDS            how long frames take while the graph is dragged, in milliseconds of processor time: JSON
//   errors                    what went wrong on the page since it was opened, a line each
//
//   PAGE_SIZE    WIDTHxHEIGHT of the window (1400x850)
//   PAGE_THEME   dark or light (dark)
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, address, what, ...words] = process.argv.slice(2);
const load = createRequire(`${modules}/package.json`);
const puppeteer = load("puppeteer-core");
const browser = await puppeteer.connect({ browserURL: address, defaultViewport: null });
const [page] = await browser.pages();
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function check(holds, text) {
	if (holds) return;
	console.error(text);
	process.exitCode = 1;
}

const drawn = (selector) => page.evaluate((which) => {
	const { cy } = window.weft.graph.diagram, found = {};
	const name = (id) => cy.getElementById(id).data("label").split("\n")[0];
	for (const e of cy.elements(which).toArray()) {
		if (e.isParent()) continue;
		found[e.isEdge() ? `${name(e.data("source"))} > ${name(e.data("target"))}` : e.data("label").split("\n")[0]] =
			[...e.classes()].includes("bad") ? `${e.data("label")}\n(bad)` : e.data("label");
	}
	return found;
}, selector);

const opened = () => page.$("#details:not([hidden])");
const details = () => page.$eval("#details", (e) => e.innerText);

const see = {
	async open(url) {
		await page.evaluateOnNewDocument(() => {
			window.errors = [];
			window.addEventListener("error", (e) => window.errors.push(e.message));
			window.addEventListener("unhandledrejection", (e) => window.errors.push(String(e.reason)));
			document.addEventListener("securitypolicyviolation", (e) => window.errors.push(`${e.violatedDirective} ${e.blockedURI}`));
		});
		await page.goto(url);
		await page.waitForSelector('#state[data-state="ok"]', { timeout: 60000 });
	},
	async edges() {
		console.log(JSON.stringify(await drawn("edge"), null, 1));
	},
	async nodes() {
		console.log(JSON.stringify(await drawn("node"), null, 1));
	},
	async list() {
		console.log(await page.$$eval("#list tbody tr", (rows) => rows.map((r) => [...r.cells].map((c) => c.textContent).join(" | ")).join("\n")));
	},
	async pick(from, to) {
		const find = () => page.evaluate((a, b) => {
			const { graph } = window.weft, name = (e) => e.data("label").split("\n")[0];
			const edge = graph.diagram.cy.edges().toArray().find((e) => name(e.source()) === a && name(e.target()) === b);
			const at = edge && edge.renderedMidpoint(), box = graph.canvas.getBoundingClientRect();
			return at && { x: box.left + at.x, y: box.top + at.y };
		}, from, to);
		for (let i = 0; i < 5 && !(await opened()); i++) {
			const place = await find();
			if (!place) return check(false, `there is no edge from ${from} to ${to}`);
			await page.mouse.move(place.x, place.y);
			await page.mouse.down();
			await pause(30);
			await page.mouse.up();
			await pause(700);
		}
		if (!(await opened())) return check(false, "a click does not open the details");
		// All in one turn of the page's: it draws the details anew whenever news come.
		await page.$$eval("#details details.object > summary", (all) => all.forEach((e) => e.click()));
		await pause(2500);
		console.log(await details());
	},
	async point(name, finger) {
		const place = () => page.evaluate((wanted) => {
			const { crowd, nodes, canvas } = window.weft.graph, node = nodes.find((n) => n.name === wanted), box = canvas.getBoundingClientRect();
			if (!node) return null;
			const { x, y } = crowd.at(node), { width, height } = crowd.view;
			crowd.to(1, width / 2 - x, height / 2 - y);
			return { x: box.left + width / 2, y: box.top + height / 2 };
		}, name);
		for (let i = 0; i < 5 && !(await opened()); i++) { // it may move meanwhile
			const at = await place();
			if (!at) return check(false, `there is no ${name}`);
			await page.evaluate(() => document.addEventListener("click", (e) => { window.clicked = e.target.id; }, { capture: true }));
			if (finger) await page.touchscreen.tap(at.x, at.y);
			else await page.mouse.click(at.x, at.y);
			await pause(500);
		}
		check((await page.evaluate(() => window.clicked)) === "crowd", "a click hits what it opens");
		check(await opened(), "a click does not open the details");
		console.log(await details());
	},
	async painted() {
		console.log((await page.evaluate(() => {
			const { canvas, context, colors } = window.weft.graph.crowd, { data } = context.getImageData(0, 0, canvas.width, canvas.height);
			return ["edge-ok", "edge-bad"].map((name) => {
				const [r, g, b] = colors[name].match(/[0-9a-f]{2}/g).map((hex) => parseInt(hex, 16));
				let dots = 0;
				for (let i = 0; i < data.length; i += 4) dots += data[i] === r && data[i + 1] === g && data[i + 2] === b && data[i + 3] === 255;
				return dots;
			});
		})).join(" "));
	},
	async why(from, to, path, header = "") {
		await page.click("#ask-why");
		const fields = { "#why-from": from, "#why-to": to, "#why-path": path, "#why-headers": header };
		for (const [field, value] of Object.entries(fields)) {
			await page.$eval(field, (e) => { e.value = ""; });
			await page.type(field, value);
		}
		await page.click("#why button[type=submit]");
		await page.waitForSelector("#why pre:not([hidden])", { timeout: 5000 });
		console.log(await page.$eval("#why pre", (e) => e.textContent));
	},
	async unwhy() {
		await page.keyboard.press("Escape");
	},
	async view(which) {
		await page.click(`#as-${which}`);
		await pause(300);
	},
	async namespace(name) {
		await page.select("#namespace", name);
		await pause(500);
	},
	async rows() {
		await page.click("#list thead th:nth-child(2) button");
		// But for the ones that came or went since, out of sight.
		await page.waitForFunction(() => {
			const names = [...document.querySelectorAll("#list tbody tr")].map((row) => row.cells[1].textContent.replace(/^service /, ""));
			return names.filter((name, i) => i && name < names[i - 1]).length < 10;
		}, { timeout: 3000 });
		await page.click("#list thead th:nth-child(5) button");
		// In one turn of the page's, which moves rows at present.
		await page.evaluate(() => {
			window.rowsHeld = [...document.querySelectorAll("#list tbody tr")];
			window.rowsHeld[2].querySelector("button").focus();
		});
		await pause(2500);
		check(await page.evaluate(() => window.rowsHeld.every((row, i) => document.querySelector("#list tbody").rows[i] === row)),
			"rows are moved though one has the focus");
		check(await page.evaluate(() => document.activeElement === window.rowsHeld[2].querySelector("button")), "the focus is lost");
	},
	async shot(file) {
		await page.screenshot({ path: file });
	},
	async axe() {
		await page.evaluate(readFileSync(load.resolve("axe-core/axe.min.js"), "utf8"));
		const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
		check(result.passes.length > 10, "hardly anything was looked at");
		for (const found of result.violations)
			for (const node of found.nodes) {
				const line = `${found.impact}: ${found.help}: ${node.target.join(" ")} ${(node.any[0] || {}).message || ""}`;
				if (["serious", "critical"].includes(found.impact)) check(false, line);
				else console.log(line);
			}
	},
	async keys() {
		const wanted = await page.$$eval("header button, header input, header select, #canvas, #graph button", (all) => all.map((e) => e.id));
		const reached = new Set();
		await page.evaluate(() => document.activeElement.blur());
		for (let i = 0; i < 40; i++) {
			await page.keyboard.press("Tab");
			reached.add(await page.evaluate(() => document.activeElement.id));
		}
		for (const id of wanted) check(reached.has(id), `Tab does not reach ${id}`);
		if (await opened()) await page.click("#details .head button");
		check(!(await opened()), "the button does not close the details");
		await page.focus("#canvas");
		await page.keyboard.press("ArrowRight");
		const first = await page.$eval("#said", (e) => e.textContent);
		await page.keyboard.press("ArrowRight");
		const second = await page.$eval("#said", (e) => e.textContent);
		check(first && second && first !== second, `arrow keys: "${first}", then "${second}"`);
		await page.keyboard.press("Enter");
		check(await opened(), "Enter does not open the details");
		await page.focus("#details");
		await page.keyboard.press("Escape");
		check(!(await opened()), "Escape does not close the details");
		check(await page.evaluate(() => document.activeElement.id === "canvas"), "the focus does not go back to the graph");
	},
	// The longest pieces of work of the page's thread, by its own clock, so that what else the machine does does not count: each is within
	// a frame. Those of new figures, and those of a hand that drags the graph.
	async frames(seconds) {
		const work = [];
		const begun = await page.evaluate(() => {
			window.frameCount = 0;
			const tick = () => { window.frameCount++; window.frameTimer = requestAnimationFrame(tick); };
			tick();
			return performance.now();
		});
		await page.tracing.start({ categories: ["toplevel", "disabled-by-default-devtools.timeline", "devtools.timeline"] });
		const end = Date.now() + seconds * 1000;
		await page.mouse.move(700, 820);
		await page.mouse.down();
		for (let i = 0; Date.now() < end; i++) {
			await page.mouse.move(700 + 150 * Math.sin(i / 9), 700 + 80 * Math.cos(i / 7));
			await pause(16);
		}
		await page.mouse.up();
		const trace = JSON.parse(Buffer.from(await page.tracing.stop()).toString());
		// Of several processes that could have a page, the one that does something.
		const busy = ({ pid, tid }) => trace.traceEvents.reduce((sum, e) => sum + (e.pid === pid && e.tid === tid && e.tdur ? e.tdur : 0), 0);
		const [main] = trace.traceEvents.filter((e) => e.name === "thread_name" && e.args.name === "CrRendererMain").sort((a, b) => busy(b) - busy(a));
		for (const e of trace.traceEvents)
			if (e.pid === main.pid && e.tid === main.tid && e.ph === "X" && e.name.endsWith("RunTask") && e.tdur !== undefined) work.push(e.tdur / 1000);
		work.sort((a, b) => a - b);
		const result = await page.evaluate((from) => {
			cancelAnimationFrame(window.frameTimer);
			return { frames: window.frameCount, per_second: (1000 * window.frameCount) / (performance.now() - from),
				nodes: window.weft.graph.nodes.length, edges: window.weft.graph.edges.length };
		}, begun);
		const long = work.filter((ms) => ms > 1);
		Object.assign(result, { tasks: work.length, p50: long[long.length >> 1], p95: long[Math.floor(long.length * 0.95)],
			p99: long[Math.floor(long.length * 0.99)], most: work[work.length - 1] });
		console.log(JSON.stringify(result, (key, value) => (typeof value === "number" ? Math.round(value * 10) / 10 : value)));
	},
	async errors() {
		for (const line of await page.evaluate(() => window.errors)) check(false, line);
	},
};

const [width, height] = (process.env.PAGE_SIZE || "1400x850").split("x").map(Number);
await page.setViewport({ width, height });
await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: process.env.PAGE_THEME || "dark" }]);
await pause(300);
await see[what](...words);
await browser.disconnect();
