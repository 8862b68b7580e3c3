#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""terminal-weftd.py SOCKET: answers `traffic` and `status` on a control socket, always the same rates, for what shows them: 100
requests a second from sleep to reviews (5 of them 503), 20 to ratings, and TCP to db."""
import json
import os
import socket
import struct
import sys
import time

BEGIN = time.time() - 1000


def peer(name):
    return {"workload": name, "namespace": "shop", "app": name, "version": "v1", "canonical_service": name,
            "canonical_revision": "v1", "principal": "unknown"}


def row(service, rate, seconds, code, bucket, to):
    n = int(rate * seconds)
    buckets = [0] * 20
    buckets[bucket] = n
    return {"reporters": ["source", "destination"], "source": peer("sleep"), "destination": peer(to), "service_name": service,
            "service": service + ".shop.svc.cluster.local", "service_namespace": "shop",
            "cluster": "outbound|9080|v1|%s.shop.svc.cluster.local" % service, "protocol": "http", "security": "none", "code": code,
            "flags": "-", "grpc_status": "", "requests": n, "duration": {"buckets": buckets, "sum_us": n},
            "request_bytes": {"buckets": buckets, "sum": 0}, "response_bytes": {"buckets": buckets, "sum": 0}}


def tcp(seconds):
    r = row("db", 0, seconds, 0, 0, "db-v1")
    for key in ("code", "flags", "grpc_status", "requests", "duration", "request_bytes", "response_bytes"):
        del r[key]
    return dict(r, protocol="tcp", opened=int(2 * seconds), closed=0, received=int(1000 * seconds), sent=int(3000 * seconds))


def answer(command):
    seconds = time.time() - BEGIN
    if command == "traffic":
        rows = [row("reviews", 95, seconds, 200, 4, "reviews-v1"), row("reviews", 5, seconds, 503, 6, "reviews-v1"),
                row("ratings", 20, seconds, 200, 2, "ratings-v1"), tcp(seconds)]
        rows += [row("many-%02d" % i, 1, seconds, 200, 2, "many-%02d" % i) for i in range(60)]
        return {"time": seconds, "traffic": rows}
    return {"ready": True, "version": "1.2.3", "generation": 7, "connections": 30, "max_connections": 1000, "kernel": "6.18",
            "proxy": {"pid": 42, "workers": 2, "restarts": 0}, "pods": 3, "nics": 1, "sockets": 5}


def frame(of):
    text = json.dumps(of).encode()
    return b"weft" + struct.pack("<III", 1, len(text), 0) + text


def serve(conn):
    data = b""
    while True:
        while len(data) < 16 or len(data) < 16 + struct.unpack_from("<I", data, 8)[0]:
            more = conn.recv(65536)
            if not more:
                return
            data += more
        size = 16 + struct.unpack_from("<I", data, 8)[0]
        request = json.loads(data[16:size])
        data = data[size:]
        conn.sendall(frame({"ok": True, "data": answer(request["command"])}))


listener = socket.socket(socket.AF_UNIX)
if os.path.exists(sys.argv[1]):
    os.unlink(sys.argv[1])
listener.bind(sys.argv[1])
listener.listen()
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    try:
        serve(connection)
    except OSError:
        pass
    connection.close()
