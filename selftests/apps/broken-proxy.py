#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""In place of weft-proxy: one that an attacker has broken into. What it does is read from the file $WEFT_BROKEN with each order:
a word, and perhaps the process id of the only one that does so; all others are good then.

	good         answers as it should, and serves nothing
	silent       never answers
	garbage      bytes of any length that are no answer
	flood        answers to no order, without end
	huge         numbers that are no errno
	rows         a file of requests with no end
	unended      requests whose texts do not end and are no text
	maps         names without end and numbers without measure in the maps that it writes
	talk         messages without end
	descriptors  in place of its listening sockets, what is none
"""
import array
import mmap
import os
import socket
import struct
import sys
import threading
import time

HELLO, SNAPSHOT, QUIT, REQUESTS = 1, 2, 3, 4
GREAT = 256 << 20


def option(name):
	"""All values of an option."""
	return [value for key, value in zip(sys.argv, sys.argv[1:]) if key == name]


def mode():
	with open(os.environ["WEFT_BROKEN"], encoding="ascii") as file:
		word, *only = file.read().split()
	return word if not only or int(only[0]) == os.getpid() else "good"


def poison(fd):
	"""Every byte of a map: names without end, numbers without measure."""
	with mmap.mmap(int(fd), size_of(fd)) as rows:
		rows[:] = b"\xff" * len(rows)


def size_of(fd):
	"""Of a map: rows of a value's size, whole pages."""
	with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
		info = dict(line.split(":", 1) for line in file if ":" in line)
	size = int(info["value_size"]) * int(info["max_entries"])
	return (size + mmap.PAGESIZE - 1) // mmap.PAGESIZE * mmap.PAGESIZE


def talk():
	"""Messages without end."""
	while mode() == "talk":
		try:
			os.write(2, b"weft-proxy: \x1b[2J" + b"bla " * 1000 + b"\n")
		except BlockingIOError:
			time.sleep(0.001)


def flood(conn):
	try:
		while mode() == "flood":
			conn.send(struct.pack("IIiI", SNAPSHOT, 0xffffffff, -5, 0))
	except OSError:
		pass


def hello(conn, head, what):
	listeners = [int(fd) for fd in option("--listen-fd")]
	if what == "descriptors":
		listeners = [os.open("/dev/null", os.O_RDONLY) for _ in listeners]
	text = option("--identity")[0].encode()
	answer = head + struct.pack("II32s1024s", len(listeners), 0, b"0", text)
	conn.sendmsg([answer], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", listeners))])


def write_requests(fd, what):
	if what == "rows":
		os.ftruncate(fd, GREAT)
	elif what == "unended":
		os.write(fd, b"\xff" * 900 * 50)


def handle(conn, order, fds):
	kind, sequence, _ = struct.unpack("IIQ", order)
	what = mode()
	if kind == QUIT:
		sys.exit(0)
	if kind == HELLO and fds:
		os.dup2(fds[0], 2)
	if what == "maps":
		for name in ("--cluster-stats-fd", "--route-stats-fd", "--limits-fd"):
			poison(option(name)[0])
	if what == "talk":
		threading.Thread(target=talk, daemon=True).start()
	if what == "silent":
		return
	if what == "garbage":
		conn.send(os.urandom(1 + os.urandom(1)[0] * 8))
		return
	if what == "flood":
		threading.Thread(target=flood, args=(conn,), daemon=True).start()
		return
	if kind == REQUESTS and fds:
		write_requests(fds[0], what)
	head = struct.pack("IIiI", kind, sequence, -2**31 if what == "huge" and kind != HELLO else 0, 0)
	if kind == HELLO:
		hello(conn, head, what)
	else:
		conn.send(head)


def main():
	listener = socket.socket(fileno=int(option("--control-fd")[0]))
	listener.listen()
	while True:
		conn, _ = listener.accept()
		while True:
			try:
				order, fds, _, _ = socket.recv_fds(conn, 16, 1)
			except OSError:
				break
			if len(order) != 16:
				break
			try:
				handle(conn, order, fds)
			except OSError:
				break
			for fd in fds:
				os.close(fd)
		conn.close()


main()
