#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""page-feed ASSETS PORT SERVICES [PER_NAMESPACE]: the page of weftd, with a made-up mesh behind it.

Serves the files of ASSETS as weftd does, and at /api/events a mesh of so many services, 25 of them in each namespace unless said, each
with a workload of two versions that calls three others; every edge has other values every second, and some have none
for a second. Listens on 127.0.0.1. For measuring the page, and for work on it.
"""
import http.server
import json
import pathlib
import random
import sys
import time

ASSETS, PORT, SERVICES = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
PER_NAMESPACE = int(sys.argv[4]) if len(sys.argv) > 4 else 25
CALLS = 3
IDLE = 0.01  # of all edges
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
       "form-action 'none'; frame-ancestors 'none'")
random.seed(1)


def namespace(i):
    return f"shop-{i // PER_NAMESPACE:02}"


def mesh():
    nodes, edges = [], []
    for i in range(SERVICES):
        nodes.append([len(nodes), "service", namespace(i), f"service-{i:04}", "", ""])
        for version in ("v1", "v2"):
            nodes.append([len(nodes), "workload", namespace(i), f"service-{i:04}-{version}", version, f"service-{i:04}"])
            edges.append([len(edges), 3 * i, len(nodes) - 1, "http", f"outbound|80|{version}|service-{i:04}.{namespace(i)}.svc.cluster.local"])
    for i in range(SERVICES):
        near = range(i + 1, min(SERVICES, min(i + 25, i - i % PER_NAMESPACE + PER_NAMESPACE + 3)))
        for callee in random.sample(near, min(CALLS, len(near))):
            edges.append([len(edges), 3 * i + 1 + i % 2, 3 * callee, "http", ""])
    return nodes, edges


NODES, EDGES = mesh()


def values():
    rows = []
    for edge in EDGES:
        if random.random() < IDLE:
            rows.append([edge[0], 0, 0, 0, None, None, 0, 0, 0, None, {}])
            continue
        rate = random.uniform(1, 900)
        failed = rate * 0.02 if edge[0] % 17 == 0 else 0
        rows.append([edge[0], round(rate, 2), 0, round(failed, 2), round(random.uniform(1, 30), 1), round(random.uniform(30, 300), 1),
                     round(rate * 200), round(rate * 3000), 0, 1.0 if edge[0] % 2 else 0.0, {"UH": 3} if failed else {}])
    return rows


def rules():
    routes = [{"host": f"service-{i:04}.{namespace(i)}.svc.cluster.local", "kind": "VirtualService", "namespace": namespace(i),
               "name": f"service-{i:04}", "route": "http[0]", "at": "", "action": "route", "conditions": "",
               "destinations": [[f"outbound|80|{v}|service-{i:04}.{namespace(i)}.svc.cluster.local", w] for v, w in (("v1", 80), ("v2", 20))]}
              for i in range(SERVICES)]
    return {"routes": routes, "services": [[namespace(i), f"service-{i:04}", [80]] for i in range(SERVICES)],
            "rules": [], "node": "made-up"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def head(self, status, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", CSP)
        self.end_headers()

    def event(self, name, data):
        self.wfile.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def events(self):
        self.head(200, "text/event-stream")
        self.event("mesh", rules())
        self.event("pods", [])
        self.event("clusters", {})
        self.event("traffic", {"full": True, "nodes": NODES, "edges": EDGES, "values": values()})
        while True:
            time.sleep(1)
            self.event("traffic", {"nodes": [], "edges": [], "values": values()})

    def do_GET(self):
        path = self.path.split("?")[0]
        file = ASSETS / ("index.html" if path == "/" else path[1:])
        try:
            if path == "/api/events":
                self.events()
            elif path.startswith("/api/"):
                self.head(200, "application/json")
                self.wfile.write(json.dumps({"connections": [], "count": 0}).encode())
            elif file.parent == ASSETS and file.is_file():
                self.head(200, TYPES[file.suffix])
                self.wfile.write(file.read_bytes())
            else:
                self.head(404, "text/plain")
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
