#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""http-routes.py DIR PREFIX NODE4 NODE6 WORLD4 WORLD6: the rows of DIR over sockets.

Plays the pods of DIR/cluster.json, whose network namespaces are called PREFIX-POD: endpoints are the pods with the label
app=echo, and each row is asked from the pod that it names, or from "world" to the node's address. What a row is:
selftests/unit/test_http_rows.c.
"""
import ctypes
import glob
import json
import os
import re
import socket
import sys
import threading
import time

CLONE_NEWNET = 0x40000000
PATIENCE = 10  # seconds for whatever has to happen
QUIET = 0.1    # seconds after which nothing more will
PORTS = (80, 8080, 9000, 9001, 3306)

libc = ctypes.CDLL(None, use_errno=True)


def enter(namespace):
    """From now on sockets of this thread are made in that network namespace."""
    fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(fd)


class Message:
    """An HTTP message from a socket; `rest` is what has been read beyond earlier ones."""

    def __init__(self, sock, rest=b"", bodiless=False):
        self.sock, self.rest = sock, rest
        while b"\r\n\r\n" not in self.rest:
            self.read()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        self.body = b"" if bodiless or self.line.split()[1] in ("204", "304") else self.read_body()

    def read(self):
        more = self.sock.recv(65536)
        if not more:
            raise EOFError("the connection ended early")
        self.rest += more

    def take(self, n):
        while len(self.rest) < n:
            self.read()
        taken, self.rest = self.rest[:n], self.rest[n:]
        return taken

    def read_chunks(self):
        body = b""
        while True:
            while b"\r\n" not in self.rest:
                self.read()
            size, self.rest = self.rest.split(b"\r\n", 1)
            body += self.take(int(size, 16))
            self.take(2)
            if not int(size, 16):
                return body

    def read_body(self):
        if self.all("transfer-encoding"):
            return self.read_chunks()
        return self.take(int((self.all("content-length") or ["0"])[0]))

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]


class Endpoints:
    """What the pods that serve have seen of a row, and how they are to behave."""

    def __init__(self):
        self.lock = threading.Lock()
        self.turn = 0
        self.begin({})

    def begin(self, behaviour):
        """Starts a turn and says which it is; requests must name it: those that come late from an earlier one don't count."""
        with self.lock:
            self.turn += 1
            self.behaviour, self.saw, self.copies = behaviour, [], []
            return str(self.turn)

    def listen(self, pod):
        for port in PORTS:
            listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
            threading.Thread(target=self.serve, args=(pod, listener), daemon=True).start()

    def serve(self, pod, listener):
        while True:
            sock, peer = listener.accept()
            threading.Thread(target=self.connection, args=(pod, sock, peer[0]), daemon=True).start()

    def connection(self, pod, sock, peer):
        rest = b""
        try:
            with sock:
                while True:
                    message = Message(sock, rest)
                    rest = message.rest
                    message.pod, message.peer = pod, peer.removeprefix("::ffff:")
                    message.method, message.path = message.line.split()[:2]
                    message.host = (message.all("host") or [""])[0]
                    sock.sendall(self.answer(message))
        except (EOFError, OSError):
            pass

    def answer(self, message):
        with self.lock:
            copy = re.search(r"-shadow(:|$)", message.host)
            if message.all("x-turn") == [str(self.turn)]:
                (self.copies if copy else self.saw).append(message)
            known = self.behaviour if not copy and len(self.saw) <= self.behaviour.get("times", 1 << 30) else {}
        time.sleep(known.get("delay", 0) / 1000)
        body = b"" if message.method == "HEAD" else f"{message.pod}\n".encode()
        return (f"HTTP/1.1 {known.get('status', 200)} OK\r\nserver: endpoint\r\nx-endpoint: {message.pod}\r\nx-other: 1\r\n"
                f"content-length: {len(message.pod) + 1}\r\n\r\n").encode() + body


class Cluster:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.items = json.load(file)["items"]

    def pods(self):
        return [o for o in self.items if o["kind"] == "Pod"]

    def pod(self, name):
        return next(o for o in self.pods() if o["metadata"]["name"] == name)

    def address(self, pod, family):
        return self.pod(pod)["status"]["podIPs"][family == 6]["ip"]

    def service(self, name, namespace, family):
        """NAME or NAME.NAMESPACE and whatever follows; NAME is looked for in the caller's namespace first."""
        words = re.split(r"[.:]", name.lower())
        found = [o for o in self.items if o["kind"] == "Service" and o["metadata"]["name"] == words[0]]
        found.sort(key=lambda o: o["metadata"]["namespace"] != (words[1] if "." in name else namespace))
        return found[0]["spec"]["clusterIPs"][family == 6]


class Row:
    """One row in one family: asks, and gathers what is wrong with what came of it."""

    def __init__(self, runner, row, family):
        self.runner, self.row, self.family = runner, row, family
        self.ask, self.times = row["ask"], row.get("times", 1)
        self.source = self.ask.get("from", "user")
        self.problems, self.turn = [], None
        name = self.ask["host"]
        if name.startswith("$"):
            words = name[1:].split(":", 1)
            address = runner.cluster.service(words[0], None, family)
            name = ":".join([f"[{address}]" if family == 6 else address] + words[1:])
        self.host = name

    def expect(self, good, text):
        if not good:
            self.problems.append(text)

    def target(self):
        port = self.ask.get("port", 80)
        if self.source == "world":
            return self.runner.node[self.family], port
        namespace = self.runner.cluster.pod(self.source)["metadata"]["namespace"]
        called = self.ask.get("call", self.ask["host"].removeprefix("$"))
        return self.runner.cluster.service(called, namespace, self.family), port

    def request(self):
        headers, body = self.ask.get("headers", {}), self.ask.get("body", "").encode()
        lines = [f"{self.ask.get('method', 'GET')} {self.ask.get('path', '/')} HTTP/1.1", f"host: {self.host}",
                 f"x-turn: {self.turn}"]
        for name, values in headers.items():
            lines += [f"{name}: {value}" for value in (values if isinstance(values, list) else [values])]
        if "transfer-encoding" in headers:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif body:
            lines.append(f"content-length: {len(body)}")
        return "\r\n".join(lines + ["", ""]).encode("latin-1") + body

    def send(self):
        """The answers to as many requests as the row has, over one connection as long as it lasts."""
        answers, sock, rest = [], None, b""
        for _ in range(self.times):
            if not sock:
                sock, rest = socket.create_connection(self.target(), timeout=PATIENCE), b""
            sock.sendall(self.request())
            answers.append(Message(sock, rest, self.ask.get("method") == "HEAD"))
            rest = answers[-1].rest
            if "close" in answers[-1].all("connection"):
                sock = sock.close()
        if sock:
            sock.close()
        return answers

    def check_counts(self, what, got, want):
        got = {value: got.count(value) for value in got}
        self.expect(all(abs(got.get(k, 0) - want.get(k, 0)) <= (1 if k in want else 0) for k in got | want), f"{what}: {got}")

    def check_headers(self, message, want):
        for name, value in want.items():
            values = [] if value is None else value if isinstance(value, list) else [value]
            self.expect(message.all(name) == values, f"{name}: {message.all(name)}")

    def check_message(self, message, want, defaults):
        want = defaults | want
        self.expect(message.pod in want.get("pod", message.pod).split(), f"it went to {message.pod}")
        for part in ("method", "host", "path"):
            self.expect(getattr(message, part) == want.get(part, getattr(message, part)),
                        f"its {part} is {getattr(message, part)}")
        self.expect(message.body == want.get("body", "").encode(), f"its body is {message.body}")
        self.check_headers(message, want.get("headers", {}))
        self.expect(message.peer == self.address(), f"it came from {message.peer}")

    def address(self):
        if self.source == "world":
            return self.runner.world[self.family]
        return self.runner.cluster.address(self.source, self.family)

    @staticmethod
    def wait_for(seen, n):
        """Gives the endpoints the time to see n requests, when the client has its answer already."""
        deadline = time.monotonic() + PATIENCE
        while len(seen) < n and time.monotonic() < deadline:
            time.sleep(0.01)

    def check_saw(self):
        want, saw = self.row.get("saw"), self.runner.endpoints.saw
        if want:
            self.wait_for(saw, self.row.get("tries", 1))
        saw = list(saw)
        if not want:
            return self.expect(not saw, f"{[m.pod for m in saw]} saw it")
        defaults = {"method": self.ask.get("method", "GET"), "host": self.host, "path": self.ask.get("path", "/"),
                    "body": self.ask.get("body", "")}
        if "hosts" in want:
            self.check_counts("hosts", [m.host for m in saw], want["hosts"])
            del defaults["host"]
        if "pods" in want:
            self.check_counts("pods", [m.pod for m in saw], want["pods"])
        else:
            self.expect(saw, "nobody saw it")
        for message in saw:
            self.check_message(message, want, defaults)
        return self.expect(len(saw) == self.row.get("tries", len(saw)), f"{len(saw)} tries")

    def check_answers(self, answers):
        want = self.row.get("answer", {})
        statuses = [answer.line.split()[1] for answer in answers]
        if "statuses" in want:
            self.check_counts("statuses", statuses, want["statuses"])
        else:
            self.expect(set(statuses) == {str(want.get("status", 200))}, f"{statuses}")
        for answer in answers:
            self.check_headers(answer, want.get("headers", {}))
            self.expect(want.get("body", answer.body.decode()) == answer.body.decode(), f"it said {answer.body}")

    def check_copies(self):
        want = self.row.get("copies")
        if want is None:
            return
        expected = sum(want.values()) if isinstance(want, dict) else len(want)
        copies = self.runner.endpoints.copies
        self.wait_for(copies, expected - isinstance(want, dict))
        time.sleep(QUIET)
        if isinstance(want, dict):
            self.check_counts("copies", [m.pod for m in copies], want)
            return
        self.expect(len(copies) == expected, f"{len(copies)} copies")
        for message, each in zip(sorted(copies, key=lambda m: m.pod), want):
            self.check_message(message, each, {})

    def run(self):
        enter(f"{self.runner.prefix}-{self.source}")
        self.turn = self.runner.endpoints.begin(self.row.get("endpoint", {}))
        started = time.monotonic()
        try:
            answers = self.send()
        except ConnectionRefusedError:
            return self.expect(self.row.get("refused"), "refused")
        except (EOFError, OSError) as error:
            return self.expect(False, f"{type(error).__name__}: {error}")
        took = (time.monotonic() - started) * 1000
        self.expect(not self.row.get("refused"), "not refused")
        self.expect(took >= self.row.get("after", 0) - 2, f"after {took:.0f} ms")
        self.check_answers(answers)
        self.check_saw()
        return self.check_copies()


class Runner:
    def __init__(self, directory, prefix, node4, node6, world4, world6):
        self.directory, self.prefix = directory, prefix
        self.node, self.world = {4: node4, 6: node6}, {4: world4, 6: world6}
        self.cluster = Cluster(f"{directory}/cluster.json")
        self.endpoints = Endpoints()
        self.failed = self.count = 0
        for pod in self.cluster.pods():
            if pod["metadata"]["labels"]["app"] == "echo":
                enter(f"{prefix}-{pod['metadata']['name']}")
                self.endpoints.listen(pod["metadata"]["name"])

    def run_row(self, about, row):
        for family in (4, 6):
            one = Row(self, row, family)
            one.run()
            self.count += 1
            if one.problems:
                self.failed += 1
                print(f"{about}, IPv{family}: {json.dumps(row)}:", "; ".join(one.problems), flush=True)

    def run_file(self, path):
        about = ""
        with open(path, encoding="utf-8") as file:
            rows = json.load(file)
        for row in rows:
            if isinstance(row, str):
                about = f"{os.path.basename(path)}, {row}"
            elif row.get("only") != "functions":
                self.run_row(about, row)

    def run(self):
        for path in sorted(glob.glob(f"{self.directory}/*.json")):
            if os.path.basename(path) != "cluster.json":
                self.run_file(path)
        print(f"{self.count} asked, {self.failed} not as the table says")
        return self.failed or self.count < 400


if __name__ == "__main__":
    sys.exit(bool(Runner(*sys.argv[1:]).run()))
