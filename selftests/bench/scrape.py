#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scrape.py HOST:PORT TIMES ENCODING [COMMAND...]: asks for /metrics so many times over one connection, as Prometheus does; COMMAND is
run before each time."""
import http.client
import subprocess
import sys


def main():
	address, times, encoding, command = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
	connection = http.client.HTTPConnection(address)
	for _ in range(times):
		if command:
			subprocess.run(command, check=True)
		connection.request("GET", "/metrics", headers={"Accept-Encoding": encoding})
		answer = connection.getresponse()
		if answer.status != 200 or answer.getheader("Content-Encoding", "identity") != encoding:
			sys.exit(f"{answer.status}, {answer.getheader('Content-Encoding')}")
		while answer.read(1 << 20):
			pass


if __name__ == "__main__":
	main()
