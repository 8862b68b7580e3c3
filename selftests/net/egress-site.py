#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A web site as the tests of egress call it, in clear and by TLS, on all addresses of both families.

egress-site.py TITLE HOST[,HOST...] CERT KEY: on port 80 a request for one of the hosts is sent to https:// by 301; on port 443 it is answered with
"TITLE sni=SNI host=HOST path=PATH". A handshake that asks for none of the hosts ends with unrecognized_name, and a request for another host gets
421 (Misdirected Request). "*.HOST" is each name below HOST.
egress-site.py TITLE: on port 80 each request is answered with "TITLE host=HOST path=PATH", and with TITLE as x-served-by.
"""
import http.server
import socket
import ssl
import sys
import threading

TITLE = sys.argv[1]
HOSTS = sys.argv[2].split(",") if sys.argv[2:] else []


def is_mine(name):
    name = (name or "").split(":")[0].lower()
    return any(name.endswith(h[1:]) if h.startswith("*.") else name == h for h in HOSTS)


class Clear(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text, headers=()):
        body = text.encode() + b"\n"
        self.send_response(status)
        for name, value in (*headers, ("content-length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def who(self):
        return f"{TITLE} host={self.headers.get('host')} path={self.path}"

    def do_GET(self):
        host = self.headers.get("host")
        if not HOSTS:
            self.answer(200, self.who(), [("x-served-by", TITLE)])
        elif is_mine(host):
            self.answer(301, self.who(), [("location", f"https://{host}{self.path}")])
        else:
            self.answer(421, self.who())

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


class Secure(Clear):
    def who(self):
        return f"{TITLE} sni={self.connection.asked} host={self.headers.get('host')} path={self.path}"

    def do_GET(self):
        mine = is_mine(self.headers.get("host"))
        self.answer(200 if mine else 421, self.who())

    do_HEAD = do_GET


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 256

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, *_):
        pass  # handshakes that fail, and clients that go


class SecureServer(Server):
    def finish_request(self, request, client_address):
        """In the connection's own thread."""
        def asked(tls, sni, _):
            tls.asked = sni
            return None if is_mine(sni) else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*sys.argv[3:])
        context.sni_callback = asked
        with context.wrap_socket(request, server_side=True) as tls:
            super().finish_request(tls, client_address)


def main():
    clear = Server(("::", 80), Clear)
    if HOSTS:
        secure = SecureServer(("::", 443), Secure)
        threading.Thread(target=secure.serve_forever, daemon=True).start()
    print("listening", flush=True)
    clear.serve_forever()


main()
