#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""traffic-state.py DIR STATE [NEW]: how many rows of http_traffic, which weftd has pinned in DIR, are in that state (enum traffic_taken of
weft/traffic.h) but for row 0; with NEW they get that state, as if weftd had done it."""
import ctypes
import mmap
import struct
import sys

BPF = ctypes.CDLL("libbpf.so.1", use_errno=True)
ROWS, ROW_SIZE, TAKEN_AT = 4096, 816, 24


def main():
	directory, state = sys.argv[1], int(sys.argv[2])
	fd = BPF.bpf_obj_get(f"{directory}/http_traffic".encode())
	if fd < 0:
		sys.exit(f"open the map http_traffic: {ctypes.get_errno()}")
	size = (ROWS * ROW_SIZE + mmap.PAGESIZE - 1) // mmap.PAGESIZE * mmap.PAGESIZE
	memory = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
	found = [at for at in range(ROW_SIZE + TAKEN_AT, ROWS * ROW_SIZE, ROW_SIZE) if struct.unpack_from("=I", memory, at)[0] == state]
	for at in found if len(sys.argv) > 3 else []:
		struct.pack_into("=I", memory, at, int(sys.argv[3]))
	print(len(found))


if __name__ == "__main__":
	main()
