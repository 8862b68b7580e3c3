#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""traffic-rows.py DIR: the rows of http_traffic as weftd has pinned it in DIR, with the names of traffic_peers and clusters, a line
each, sorted:

  REQUESTS REPORTERS SOURCE DESTINATION WHAT PROTOCOL CODE FLAGS SECURITY REQUEST-BYTES RESPONSE-BYTES

REPORTERS is sd, s, d or -; SOURCE and DESTINATION are workloads as WORKLOAD@REVISION, or - where none is known; WHAT is the cluster, else
the host, else -. PROTOCOL is http, grpc:STATUS, or tcp, where REQUESTS is OPENED/CLOSED. Rows in which nothing was counted are left
out. Whatever is wrong with a row in itself (a histogram that does not add up) is an error."""
import ctypes
import struct
import sys

BPF = ctypes.CDLL("libbpf.so.1", use_errno=True)
ROWS, BUCKETS = 4096, 20
HISTOGRAM = f"{BUCKETS}QQ"
ROW = struct.Struct(f"=IIIIHBBBBBx I256sII4x QQ {HISTOGRAM} {HISTOGRAM} {HISTOGRAM}".replace(" ", ""))
FLAGS = "UH UT UF UC UO NR DI FI DC URX SI DPE DT UPE NC".split()
NO_GRPC = 255
READABLE = 1, 3 # TRAFFIC_TAKEN, TRAFFIC_LEAVING


def open_map(name):
	fd = BPF.bpf_obj_get(f"{sys.argv[1]}/{name}".encode())
	if fd < 0:
		sys.exit(f"open the map {name}: {ctypes.get_errno()}")
	return fd


def look_up(fd, key, size):
	value = ctypes.create_string_buffer(size)
	if BPF.bpf_map_lookup_elem(fd, ctypes.byref(ctypes.c_uint32(key)), value):
		return None
	return value.raw


def text(raw):
	return raw.split(b"\0")[0].decode()


def name(fd, size, key):
	"""The first of the texts in that row."""
	raw = look_up(fd, key, size) if key else None
	return text(raw) if raw is not None else None


def peer(key):
	if not key:
		return "-"
	fields = (name(PEERS, 512, key) or "\n".join("??????")).split("\n")
	return f"{fields[0]}@{fields[5]}"


def adds_up(what, requests, histogram):
	if sum(histogram[:BUCKETS]) != requests:
		sys.exit(f"{what}: {requests} requests, but {histogram}")


def line(row):
	source, destination, cluster, flags, code, grpc, is_grpc, reporters, security, is_tcp, _, host, _, _, requests, closed = row[:16]
	histograms = [row[16 + i * (BUCKETS + 1):][:BUCKETS + 1] for i in range(3)]
	if not is_tcp:
		for what, histogram in zip(("times", "request bytes", "response bytes"), histograms):
			adds_up(what, requests, histogram)
	what = (name(CLUSTERS, CLUSTER_BYTES, cluster) or "?") if cluster else text(host) or "-"
	status = "" if grpc == NO_GRPC else grpc
	return " ".join(str(field) for field in (
		f"{requests}/{closed}" if is_tcp else requests,
		["-", "s", "d", "sd"][reporters], peer(source), peer(destination), what,
		"tcp" if is_tcp else f"grpc:{status}" if is_grpc else "http", code,
		",".join(flag for i, flag in enumerate(FLAGS) if flags >> i & 1) or "-",
		["plain", "mutual", "-"][security], histograms[1][-1], histograms[2][-1]))


def rows():
	fd = open_map("http_traffic")
	for i in range(ROWS):
		row = ROW.unpack(look_up(fd, i, ROW.size))
		taken = row[10]
		if not taken:
			return
		if taken in READABLE and (row[14] or row[15]):
			yield line(row)


if sys.maxsize < 2**32:
	sys.exit("rows are of 64 bits")
PEERS = open_map("traffic_peers")
CLUSTERS = open_map("clusters")
CLUSTER_BYTES = 4096 # room for more than a row has
print("\n".join(sorted(rows())))
