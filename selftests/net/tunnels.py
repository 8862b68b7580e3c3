#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that say odd ClientHellos, or one and then stay.

tunnels.py bad ADDRESS PORT COUNT: COUNT connections each say something that is no whole ClientHello; prints what comes of them: "closed 120".
tunnels.py slow ADDRESS PORT COUNT SECONDS: COUNT connections send a byte of theirs now and then for so long; prints how many are still open
then, and how many a few seconds later.
tunnels.py stay ADDRESS PORT SNI CA FIFO: opens a connection and says each line that comes from FIFO, printing what comes back. "half"
as the first line has it send half a ClientHello, and the rest with the next line; "bye" ends it.
tunnels.py count ADDRESS PORT SNI CA COUNT: so many connections at once; prints how many have got an answer.
"""
import random
import select
import socket
import ssl
import sys
import time


def hello(name):
    """A ClientHello, as OpenSSL writes it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def bad_bytes(n):
    """The n-th: cut, changed where it may not be, in records that are none, or something else."""
    whole = hello("one.example.com")
    rng = random.Random(n)
    if n % 4 == 0:
        return whole[: rng.randrange(len(whole))]
    if n % 4 == 1:  # a length inside of it, of the session or the ciphers
        at = rng.choice([43, 44 + whole[43], 45 + whole[43]])
        return whole[:at] + bytes([whole[at] ^ rng.choice([1, 16, 128])]) + whole[at + 1 :]
    if n % 4 == 2:
        return bytes([22, 3, rng.randrange(4), 0, 0]) + whole
    return rng.choice([b"GET / HTTP/1.1\r\n\r\n", b"\x15\x03\x01\x00\x02\x01\x00", b"SSH-2.0-x\r\n", b"\x16\x03\x01\xff\xff"])


def outcome(sock):
    sock.settimeout(30)
    try:
        while True:
            got = sock.recv(4096)
            if not got:
                return "closed"
            if got[0] != 21:  # an alert
                return "answered"
    except ConnectionResetError:
        return "closed"
    except TimeoutError:
        return "open"


def bad(address, port, count):
    outcomes = {}
    for n in range(count):
        with socket.create_connection((address, port)) as sock:
            sock.sendall(bad_bytes(n))
            try:
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            result = outcome(sock)
            outcomes[result] = outcomes.get(result, 0) + 1
    print(", ".join(f"{k} {v}" for k, v in sorted(outcomes.items())))


def still_open(socks):
    ready = select.select(socks, [], [], 0)[0]
    return len(socks) - len(ready)


def slow(address, port, count, seconds):
    socks = [socket.create_connection((address, port)) for _ in range(count)]
    whole = hello("one.example.com")
    until = time.monotonic() + seconds
    for i in range(len(whole) - 1):
        if time.monotonic() > until:
            break
        for sock in socks:
            sock.sendall(whole[i : i + 1])
        time.sleep(0.05)
    time.sleep(max(0, until - time.monotonic()))
    early = still_open(socks)
    time.sleep(6)
    print(early, still_open(socks))


def stay(address, port, name, ca, fifo):
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    sock = socket.create_connection((address, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(60)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)

    def run(step):
        while True:
            try:
                result = step()
                sock.sendall(outgoing.read())
                return result
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                data = sock.recv(65536)
                if not data:
                    incoming.write_eof()
                incoming.write(data)

    with open(fifo) as lines:
        for line in lines:
            if line == "bye\n":
                return
            if line == "half\n":
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                whole = outgoing.read()
                sock.sendall(whole[:100])
                print("half", flush=True)
                line = next(lines)
                sock.sendall(whole[100:])
            run(tls.do_handshake)
            run(lambda: tls.write(line.encode()))
            print(run(lambda: tls.read(4096)).decode().strip(), flush=True)


def count(address, port, name, ca, number):
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    good, socks = 0, []
    for _ in range(number):
        try:
            sock = socket.create_connection((address, port), timeout=20)
            tls = context.wrap_socket(sock, server_hostname=name)
            tls.sendall(b"hello\n")
            good += bool(tls.recv(100))
            socks.append(tls)
        except OSError:
            pass
    print(good)


def main(verb, address, port, *args):
    if verb == "bad":
        bad(address, int(port), int(args[0]))
    elif verb == "slow":
        slow(address, int(port), int(args[0]), float(args[1]))
    elif verb == "stay":
        stay(address, int(port), args[0], args[1], args[2])
    elif verb == "count":
        count(address, int(port), args[0], args[1], int(args[2]))
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
