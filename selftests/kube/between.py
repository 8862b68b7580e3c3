#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""between.py TO-PORT PORT...: stands between an API server and what asks it, and cuts connections off.

SIGUSR1: all connections are cut off, and new ones are until the next SIGUSR1.
SIGUSR2: all are cut off, and each new one after so many bytes, at random, until the next SIGUSR2.
Prints a line when it listens, and one when a signal is carried out.
"""
import random
import signal
import socket
import sys
import threading


class Proxy:
    """Forwards connections; cuts them off, at once or after so many bytes from the server."""

    def __init__(self, port, to_port, address="127.0.0.1"):
        self.open, self.limits, self.refuse, self.accepted, self.to_port = [], None, False, 0, to_port
        self.socket = socket.create_server((address, port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.socket.accept()[0]
            if self.refuse:
                self.reset(client)
                continue
            try:
                upstream = socket.create_connection(("127.0.0.1", self.to_port))
            except OSError:
                self.reset(client)
                continue
            self.accepted += 1
            self.open.append(client)
            limit = self.limits() if self.limits else None
            threading.Thread(target=self.pump, args=(client, upstream, None), daemon=True).start()
            threading.Thread(target=self.pump, args=(upstream, client, limit), daemon=True).start()

    def pump(self, source, sink, limit):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if limit is not None and len(data) >= limit:
                    sink.sendall(data[:limit])
                    break
                if limit is not None:
                    limit -= len(data)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            self.reset(end)

    @staticmethod
    def reset(end):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def cut(self):
        for client in self.open:
            self.reset(client)
        self.open = []


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})  # of the threads, too
    proxies = [Proxy(int(port), int(sys.argv[1]), "0.0.0.0") for port in sys.argv[2:]]
    print("listening", flush=True)
    while True:
        signum = signal.sigwait({signal.SIGUSR1, signal.SIGUSR2})
        for proxy in proxies:
            if signum == signal.SIGUSR1:
                proxy.refuse = not proxy.refuse
            else:
                proxy.limits = None if proxy.limits else lambda: random.randrange(3000, 60000)
            proxy.cut()
        # Signals are not counted: another one is to be sent only now.
        print("done", flush=True)


if __name__ == "__main__":
    main()
