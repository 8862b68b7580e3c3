#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""TLS servers for the tests of TLS origination.

tls-server.py http PORT NAME CERT KEY [CA]: answers each request with "NAME sni=SNI client=CN conn=N host=HOST path=PATH"; SNI is what the client
asked for ("-": nothing), CN that of its certificate ("-": none), N the number of the connection. With CA a client needs a certificate of it.
tls-server.py lines PORT NAME CERT KEY [CA]: answers each line of a client with "NAME sni=SNI client=CN LINE".
tls-server.py silent PORT: accepts connections and says nothing.
"""
import itertools
import socket
import ssl
import sys
import threading

connections = itertools.count(1)


def context_of(cert, key, ca):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.load_cert_chain(cert, key)
    context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    return context


def common_name(tls):
    subject = (tls.getpeercert() or {}).get("subject", ())
    return next((value for part in subject for key, value in part if key == "commonName"), "-")


def who(tls, asked):
    return f"sni={asked.get('sni') or '-'} client={common_name(tls)}"


def answer_requests(tls, name, asked):
    number = next(connections)
    stream = tls.makefile("rwb")
    while line := stream.readline():
        path = line.split()[1].decode()
        host = length = ""
        while (field := stream.readline().strip()):
            key, value = field.decode().split(":", 1)
            if key.lower() == "host":
                host = value.strip()
            if key.lower() == "content-length":
                length = value
        stream.read(int(length or 0))
        body = f"{name} {who(tls, asked)} conn={number} host={host} path={path}\n".encode()
        stream.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        stream.flush()


def answer_lines(tls, name, asked):
    for line in tls.makefile("rb"):
        tls.sendall(f"{name} {who(tls, asked)} ".encode() + line)


def serve(sock, answer, name, cert, key, ca=None):
    asked = {}
    context = context_of(cert, key, ca)
    context.sni_callback = lambda _, sni, __: asked.update(sni=sni)
    try:
        with context.wrap_socket(sock, server_side=True) as tls:
            answer(tls, name, asked)
    except OSError:
        pass
    finally:
        sock.close()


def main(kind, port, *rest):
    listener = socket.create_server(("", int(port)), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256)
    print("listening", flush=True)
    kept = []
    while True:
        sock, _ = listener.accept()
        if kind == "silent":
            kept.append(sock)
            continue
        answer = answer_requests if kind == "http" else answer_lines
        threading.Thread(target=serve, args=(sock, answer, *rest), daemon=True).start()


main(*sys.argv[1:])
