#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""traffic-fill.py DIR ROWS REPORTERS [more]: takes so many rows of http_traffic, which weftd has pinned in DIR, as if weft-proxy had
counted requests of as many callers and clusters there, in all buckets; or, with `more`, once more what it has. REPORTERS is 1 to 3, as
in weft/traffic.h. Nothing else may write there."""
import ctypes
import mmap
import struct
import sys

BPF = ctypes.CDLL("libbpf.so.1", use_errno=True)
ALL_ROWS, BUCKETS, TAKEN, NO_GRPC = 4096, 20, 1, 255
HISTOGRAM = f"{BUCKETS}QQ"
DURATION_SUM = 16 + BUCKETS # which field it is
ROW = struct.Struct(f"=IIIIHBBBBBxI256sII4xQQ{HISTOGRAM}{HISTOGRAM}{HISTOGRAM}")


def main():
	directory, rows, reporters = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
	fd = BPF.bpf_obj_get(f"{directory}/http_traffic".encode())
	if fd < 0:
		sys.exit(f"open the map http_traffic: {ctypes.get_errno()}")
	size = (ALL_ROWS * ROW.size + mmap.PAGESIZE - 1) // mmap.PAGESIZE * mmap.PAGESIZE
	memory = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
	count = 1
	if sys.argv[4:] == ["more"]:
		count += ROW.unpack_from(memory, ROW.size)[DURATION_SUM] // 1000
	for i in range(1, rows + 1):
		times = [(i * (b + 7)) % 1000 * count for b in range(BUCKETS)]
		sizes = [(i * (b + 3)) % 100 * count for b in range(BUCKETS)]
		host = f"service-{i % 1000}.namespace-{i % 10}.svc.cluster.local".encode()
		code = (200, 404, 503, 201, 301)[i // 1000]
		ROW.pack_into(memory, i * ROW.size, 0, 0, 0, 0, code, NO_GRPC, 0, reporters, 0, 0, TAKEN, host, 0, 0, sum(times), 0,
			      *times, 1000 * i * count, *sizes, 100 * i * count, *sizes, 100 * i * count)


if __name__ == "__main__":
	main()
