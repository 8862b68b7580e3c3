#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""wire.py DEVICE PORT...: what TCP carries there, to and from these ports, as somebody sees it who listens on the wire.

Says "listening", and when it is ended (SIGTERM) a line of JSON: of all directions, that had bytes, of connections that began meanwhile
  {"directions": N, "tls13": those that are TLS 1.3 and nothing else from the first byte to the last, "clear": the others,
   "marked": those with the text "marker" in them, "bytes": of all}
A ClientHello counts as TLS 1.3 if it offers nothing older, a ServerHello if it chose that.
"""
import json
import signal
import socket
import struct
import sys

HELLO_RETRY_OR_SERVER, CLIENT = 2, 1
VERSIONS = 43  # supported_versions, RFC 8446 4.2.1
TLS13 = b"\x03\x04"


def segment_of(kind, ip):
    """(source, destination, sequence number, payload, whether it is a SYN) of a TCP segment; None: it is none."""
    if kind == 0x0800 and ip[9] == 6:
        head, end, src, dst = (ip[0] & 15) * 4, struct.unpack("!H", ip[2:4])[0], ip[12:16], ip[16:20]
    elif kind == 0x86DD and ip[6] == 6:
        head, end, src, dst = 40, 40 + struct.unpack("!H", ip[4:6])[0], ip[8:24], ip[24:40]
    else:
        return None
    tcp = ip[head:end]
    sport, dport, seq = struct.unpack("!HHI", tcp[:8])
    return (src, sport), (dst, dport), seq, tcp[(tcp[12] >> 4) * 4:], tcp[13] & 2


def whole(parts):
    """The bytes of a direction, in order; what was sent twice once. None: some are missing."""
    out, at = b"", min(parts)
    for seq in sorted(parts):
        if seq > at:
            return None
        out += parts[seq][at - seq:]
        at = max(at, seq + len(parts[seq]))
    return out


def extension(hello, kind):
    """Of a ClientHello or ServerHello, without its handshake header."""
    client = hello[0] == CLIENT
    at = 4 + 2 + 32
    at += 1 + hello[at]
    if client:
        at += 2 + struct.unpack("!H", hello[at:at + 2])[0]
        at += 1 + hello[at]
    else:
        at += 3
    at += 2
    while at + 4 <= len(hello):
        this, n = struct.unpack("!HH", hello[at:at + 4])
        if this == kind:
            return hello[at + 4:at + 4 + n]
        at += 4 + n
    return b""


def is_tls13(data):
    first = True
    while data:
        if len(data) < 5 or data[0] not in (20, 21, 22, 23) or data[1] != 3:
            return False
        n = struct.unpack("!H", data[3:5])[0]
        if first:
            hello = data[5:5 + n]
            if data[0] != 22 or hello[0] not in (CLIENT, HELLO_RETRY_OR_SERVER):
                return False
            versions = extension(hello, VERSIONS)
            if (versions[1:] if hello[0] == CLIENT else versions) != TLS13:
                return False
        first = False
        if len(data) < 5 + n:
            return len(data) > 5  # it was cut off
        data = data[5 + n:]
    return True


def main(device, *ports):
    wanted = set(map(int, ports))
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))  # also where there are no frames
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
    sock.bind((device, 0))
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    sock.settimeout(0.2)
    directions = {}
    print("listening", flush=True)
    while True:
        try:
            data, at = sock.recvfrom(1 << 17)
        except TimeoutError:
            if ended:
                break
            continue
        segment = segment_of(at[1], data)
        if not segment or not wanted & {segment[0][1], segment[1][1]}:
            continue
        src, dst, seq, payload, syn = segment
        if syn:
            directions[src, dst] = {}
        if not payload or (src, dst) not in directions:
            continue
        parts = directions[src, dst]
        if len(parts.get(seq, b"")) < len(payload):
            parts[seq] = payload
    streams = [whole(parts) or b"" for parts in directions.values() if parts]
    good = sum(map(is_tls13, filter(None, streams)))
    print(json.dumps({"directions": len(streams), "tls13": good, "clear": len(streams) - good,
                      "marked": sum(b"marker" in s for s in streams), "bytes": sum(map(len, streams))}), flush=True)


main(*sys.argv[1:])
