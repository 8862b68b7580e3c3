// SPDX-License-Identifier: Apache-2.0
// "Why?": what weft would do with a request or a connection, and by which rule.
import { el, find, ask } from "/dom.js";
import { hostOf } from "/mesh.js";

// "reviews:9080" or "http://reviews:9080/reviews/0"
export function target(words) {
	const [, host, port, path] = /^(?:\w+:\/\/)?(\[[^\]]*\]|[^:/]*)(?::(\d+))?(\/.*)?$/.exec(words.trim()) || [];
	return { host: (host || "").replace(/[[\]]/g, ""), port: port || "80", path };
}

const isAddress = (host) => /^[0-9.]+$/.test(host) || host.includes(":");

export class Why {
	constructor(mesh) {
		this.mesh = mesh;
		this.place = find("why");
		this.pods = el("datalist", { id: "why-pods" });
		this.hosts = el("datalist", { id: "why-hosts" });
		this.answer = el("pre", { tabindex: 0, role: "region", "aria-label": "Answer", hidden: true });
		this.from = el("input", { id: "why-from", list: "why-pods", required: true, placeholder: "default/productpage-v1", spellcheck: "false", autocomplete: "off" });
		this.to = el("input", { id: "why-to", list: "why-hosts", required: true, placeholder: "reviews:9080", spellcheck: "false", autocomplete: "off" });
		this.method = el("select", { id: "why-method" }, ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map((m) => el("option", {}, m)));
		this.path = el("input", { id: "why-path", value: "/", spellcheck: "false", autocomplete: "off" });
		this.headers = el("textarea", { id: "why-headers", rows: 2, placeholder: "end-user: jason", spellcheck: "false" });
		const field = (name, input) => el("label", { class: "field", for: input.id }, name, input);
		this.place.append(el("form", { onsubmit: (event) => this.submit(event) },
			el("div", { class: "head" }, el("h2", { id: "why-title" }, "Why does a call go where it goes?"),
				el("button", { type: "button", "aria-label": "Close", onclick: () => this.place.close() }, "×")),
			field("Caller: pod, or gateway NAMESPACE/NAME", this.from), field("Called: HOST:PORT", this.to),
			el("div", { class: "row" }, field("Method", this.method), field("Path", this.path)),
			field("Headers, one a line", this.headers),
			el("div", { class: "row" }, el("label", { class: "check" }, this.gateway = el("input", { type: "checkbox" }), " from outside, by that gateway"),
				el("button", { type: "submit", class: "main" }, "Explain")), this.answer, this.pods, this.hosts));
	}

	open(choice) {
		this.pods.replaceChildren(...this.mesh.pods.map(([ns, name]) => el("option", { value: `${ns}/${name}` })));
		this.hosts.replaceChildren(...this.mesh.services.flatMap(([ns, name, ports]) => ports.map((port) => el("option", { value: `${name}.${ns}:${port}` }))));
		const node = choice && (choice.node || choice.edge.to), caller = choice && choice.edge && choice.edge.from;
		if (node && node.kind === "service" && node.ports) this.to.value = `${hostOf(node)}:${node.ports[0]}`;
		if (caller && caller.kind === "workload") {
			const pod = this.mesh.pods.find(([ns, name]) => ns === caller.ns && name.startsWith(caller.name));
			if (pod) this.from.value = pod.join("/");
		}
		this.answer.hidden = true;
		this.place.showModal();
	}

	async submit(event) {
		event.preventDefault();
		const { host, port, path } = target(this.to.value);
		const [ns, name] = this.from.value.includes("/") ? this.from.value.split("/", 2) : ["default", this.from.value];
		const who = this.gateway.checked ? { gateway_namespace: ns, gateway: name } : { namespace: ns, pod: name };
		const headers = this.headers.value.split("\n").map((line) => /^([^:=]+)[:=]\s*(.*)$/.exec(line.trim())).filter(Boolean);
		try {
			const data = await ask("/api/explain", { ...who, [isAddress(host) ? "address" : "host"]: host, port, method: this.method.value,
				path: path || this.path.value, header: headers.map(([, key, value]) => `${key.trim()}=${value}`) });
			this.answer.textContent = data.text;
			this.answer.className = "";
		} catch (error) {
			this.answer.textContent = error.message;
			this.answer.className = "error";
		}
		this.answer.hidden = false;
		this.answer.focus();
	}
}
