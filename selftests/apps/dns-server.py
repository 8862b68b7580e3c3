#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dns-server.py PORT ZONES: a DNS server at every address, by UDP and TCP, that reads the file ZONES for each question:

    {"one.example": {"a": ["192.0.2.1"], "aaaa": [], "ttl": 5, "mode": "answer"}, "*": {...}}

Modes: answer, nxdomain, servfail, silent, truncated (by UDP; an answer by TCP). "*" is any other name; without it, those are NXDOMAIN.
"""
import json
import selectors
import socket
import struct
import sys

TYPES = {1: ("a", socket.AF_INET), 28: ("aaaa", socket.AF_INET6)}
RCODES = {"servfail": 2, "nxdomain": 3}


def name_of(message):
    at, labels = 12, []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels).lower(), at + 1


def answer(message, tcp):
    """The reply, or None."""
    name, at = name_of(message)
    kind, = struct.unpack_from("!H", message, at)
    zones = json.load(open(sys.argv[2]))
    zone = zones.get(name, zones.get("*", {"mode": "nxdomain"}))
    mode = zone.get("mode", "answer")
    if mode == "silent":
        return None
    flags = 0x8180 | RCODES.get(mode, 0)
    rows = []
    if mode == "truncated" and not tcp:
        flags |= 0x0200
    elif mode not in RCODES and kind in TYPES:
        field, family = TYPES[kind]
        rows = [socket.inet_pton(family, a) for a in zone.get(field, [])]
    records = b"".join(struct.pack("!HHHIH", 0xc00c, kind, 1, zone.get("ttl", 5), len(r)) + r for r in rows)
    return message[:2] + struct.pack("!HHHHH", flags, 1, len(rows), 0, 0) + message[12:at + 4] + records


def serve_tcp(listener):
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(2)
        size, = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
        reply = answer(connection.recv(size, socket.MSG_WAITALL), True)
        if reply:
            connection.sendall(struct.pack("!H", len(reply)) + reply)


def serve_udp(server):
    message, sender = server.recvfrom(4096)
    reply = answer(message, False)
    if reply:
        server.sendto(reply, sender)


def main():
    port = int(sys.argv[1])
    selector = selectors.DefaultSelector()
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", port))
    tcp = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    selector.register(udp, selectors.EVENT_READ, serve_udp)
    selector.register(tcp, selectors.EVENT_READ, serve_tcp)
    while True:
        for key, _ in selector.select():
            try:
                key.data(key.fileobj)
            except (OSError, ValueError, struct.error, IndexError) as error:
                print(error, file=sys.stderr)


main()
