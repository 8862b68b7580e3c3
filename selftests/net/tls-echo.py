#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""TLS servers and clients for the tests of SNI.

tls-echo.py serve PORT NAME CERT KEY: answers each line of a client with "NAME SNI CLIENT LINE"; SNI is what the client asked for, "-" for nothing.
tls-echo.py ask ADDRESS PORT SNI CA COUNT [pieces]: opens COUNT connections, asks one line of each, and prints how often which answer came, the
most frequent first: "one 8, two 2". SNI "-" asks for no name. With "pieces" the ClientHello is sent in pieces of a few bytes.
tls-echo.py plain ADDRESS PORT: one line over a connection without TLS, and what comes of it.
tls-echo.py first PORT NAME: a server without TLS that speaks first.
"""
import collections
import socket
import ssl
import sys
import threading
import time

TIMEOUT = 30


def talk(sock, context, name):
    asked = {}
    context.sni_callback = lambda s, sni, _: asked.update({s: sni})
    peer = sock.getpeername()[0].removeprefix("::ffff:")
    with context.wrap_socket(sock, server_side=True) as tls:
        for line in tls.makefile("rb"):
            tls.sendall(b" ".join([name.encode(), (asked.get(tls) or "-").encode(), peer.encode(), line]))


def serve_one(sock, cert, key, name):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    try:
        talk(sock, context, name)
    except OSError:
        pass
    finally:
        sock.close()


def greet(sock, name):
    with sock:
        sock.sendall(name.encode() + b"\n")
        while sock.recv(4096):
            pass


def listen(port, each):
    listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256)
    print("listening", flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=each, args=(sock,), daemon=True).start()


def in_pieces(context, sock, sni):
    """A handshake whose ClientHello takes many segments."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=sni)
    size = 5

    def flush():
        nonlocal size
        data = outgoing.read()
        while data:
            sock.sendall(data[:size])
            data = data[size:]
            time.sleep(0.002)
        size = 65536

    def run(step):
        while True:
            try:
                result = step()
                flush()
                return result
            except ssl.SSLWantReadError:
                flush()
                data = sock.recv(65536)
                if not data:
                    raise ConnectionResetError
                incoming.write(data)

    run(tls.do_handshake)
    run(lambda: tls.write(b"hello\n"))
    return run(lambda: tls.read(4096))


def ask_once(address, port, sni, ca, pieces):
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    name = None if sni == "-" else sni
    try:
        with socket.create_connection((address, port), timeout=TIMEOUT) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if pieces:
                return in_pieces(context, sock, name).decode().strip()
            with context.wrap_socket(sock, server_hostname=name) as tls:
                tls.sendall(b"hello\n")
                return tls.makefile().readline().strip() or "closed"
    except ssl.SSLCertVerificationError:
        return "another's certificate"
    except ssl.SSLError as e:
        return e.reason or "closed"
    except ConnectionResetError:
        return "reset"
    except OSError as e:
        return type(e).__name__


def ask(address, port, sni, ca, count, pieces):
    answers = collections.Counter(ask_once(address, port, sni, ca, pieces) for _ in range(count))
    if len(answers) == 1:
        print(next(iter(answers)))
    else:
        print(", ".join(f"{answer.split()[0]} {n}" for answer, n in answers.most_common()))


def plain(address, port):
    try:
        with socket.create_connection((address, port), timeout=TIMEOUT) as sock:
            sock.sendall(b"hello, this is no TLS\n")
            print(sock.makefile().readline().strip() or "closed")
    except OSError as e:
        print("reset" if isinstance(e, ConnectionResetError) else type(e).__name__)


def main(verb, *args):
    if verb == "serve":
        port, name, cert, key = args
        listen(int(port), lambda sock: serve_one(sock, cert, key, name))
    elif verb == "first":
        port, name = args
        listen(int(port), lambda sock: greet(sock, name))
    elif verb == "plain":
        plain(args[0], int(args[1]))
    elif verb == "ask":
        address, port, sni, ca, count, *pieces = args
        ask(address, int(port), sni, ca, int(count), pieces == ["pieces"])
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
