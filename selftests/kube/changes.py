#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""changes.py KUBE-DIR PORT VERB ARGUMENT...: many changes over one connection, as no kubectl makes them.

  latency N COMMAND...   changes the weights of VirtualService `echo` N times, and each time asks COMMAND (which prints the object as
                         JSON) until it has the new ones: prints the median, the 99th percentile and the longest, in ms
  burst N SECONDS        N changes of it in so many seconds
  endpoints NAME IPS     gives the Service's EndpointSlice these (some,some), or none
  shuffle SECONDS NAME=IPS...
                         for so long, 20 times a second, gives each Service some of these, never none; all of them in the end
"""
import http.client
import json
import ssl
import random
import subprocess
import sys
import time
from threading import local

DIR, PORT = sys.argv[1], int(sys.argv[2])
TOKEN = open(DIR + "/admin.token").read().strip()
here = local()


def call(method, path, body=None, kind="application/json"):
    if not hasattr(here, "connection"):
        context = ssl.create_default_context(cafile=DIR + "/ca.crt")
        here.connection = http.client.HTTPSConnection("127.0.0.1", PORT, context=context)
    headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": kind, "User-Agent": "changes"}
    here.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = here.connection.getresponse()
    text = answer.read()
    if answer.status >= 300 and answer.status != 409:
        sys.exit(f"{method} {path}: {answer.status}: {text[:300]}")
    return text


ECHO = "/apis/networking.istio.io/v1/namespaces/default/virtualservices/echo"


def weigh(first):
    route = [
        {"destination": {"host": "echo", "subset": "v1"}, "weight": first},
        {"destination": {"host": "echo", "subset": "v2"}, "weight": 100 - first},
    ]
    call("PATCH", ECHO, {"spec": {"tcp": [{"route": route}]}}, "application/merge-patch+json")


def weight_of(command):
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["spec"]["tcp"][0]["route"][0]["weight"]


def latency(count, *command):
    took = []
    for i in range(int(count)):
        want = 1 + i % 98
        weigh(want)
        begin = time.monotonic()
        while weight_of(command) != want:
            if time.monotonic() - begin > 20:
                sys.exit(f"change {i} is not in force after 20 s")
        took.append((time.monotonic() - begin) * 1000)
    took.sort()
    print(f"{took[len(took) // 2]:.0f} {took[len(took) * 99 // 100]:.0f} {took[-1]:.0f}")


def at_rate(count, seconds, change):
    begin = time.monotonic()
    for i in range(count):
        change(i)
        pause = begin + (i + 1) * seconds / count - time.monotonic()
        if pause > 0:
            time.sleep(pause)
    print(f"{time.monotonic() - begin:.2f}")


def burst(count, seconds):
    at_rate(int(count), float(seconds), lambda i: weigh(1 + i % 98))


SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def slice_of(name, ips):
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": f"{name}-1", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": "tcp-9000", "port": 9000, "protocol": "TCP"}],
        "endpoints": [{"addresses": [ip], "conditions": {"ready": True}} for ip in ips],
    }


def endpoints(name, ips=""):
    where = f"{SLICES}/{name}-1?fieldManager=changes&force=true"
    call("PATCH", where, slice_of(name, [ip for ip in ips.split(",") if ip]), "application/apply-patch+yaml")


def shuffle(seconds, *services):
    pick = random.Random(1)
    pools = {name: ips.split(",") for name, _, ips in (service.partition("=") for service in services)}
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        begin = time.monotonic()
        for name, ips in pools.items():
            endpoints(name, ",".join(pick.sample(ips, pick.randint(1, len(ips)))))
        time.sleep(max(0, begin + 0.05 - time.monotonic()))
    for name, ips in pools.items():
        endpoints(name, ",".join(ips))


if __name__ == "__main__":
    {"latency": latency, "burst": burst, "endpoints": endpoints, "shuffle": shuffle}[sys.argv[3]](*sys.argv[4:])
