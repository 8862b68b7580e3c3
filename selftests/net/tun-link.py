#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tun-link.py DEVICE LOCAL REMOTE: makes the tun device, whose IP packets go to REMOTE in UDP, port 8285, and come from there, as an
overlay in userspace has them. Says "ready"."""
import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PORT, ROOM = 8285, 1 << 16


def main(device, local, remote):
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind((local, PORT))
    wire.connect((remote, PORT))
    wire.setblocking(False)
    print("ready", flush=True)
    while True:
        for fd in select.select([tun, wire], [], [])[0]:
            try:
                if fd == tun:
                    wire.send(os.read(tun, ROOM))
                else:
                    os.write(tun, wire.recv(ROOM))
            except (BlockingIOError, ConnectionRefusedError, OSError):
                pass  # lost, as on any wire


main(*sys.argv[1:])
