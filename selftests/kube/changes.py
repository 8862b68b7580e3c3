#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""changes.py KUBE-DIR PORT VERB ARGUMENT...: many changes over one connection, as no kubectl makes them.

  latency N COMMAND...   changes the weights of VirtualService `echo` N times, and each time asks COMMAND (which prints the object as
                         JSON) until it has the new ones: prints the median, the 99th percentile and the longest, in ms
  burst N SECONDS        N changes of it in so many seconds
  scale SERVICES PODS    makes so many, with EndpointSlices, the pods running
  churn N SECONDS        N changes of pods' labels in so many seconds
"""
import http.client
import json
import ssl
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
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


def pod(i, services):
    ip = f"10.{128 + i // 65536}.{i // 256 % 256}.{i % 256}"
    name = f"pod-{i}"
    labels = {"app": f"s{i % services}", "version": f"v{i % 2 + 1}", "pod-template-hash": "5d8c9b7f4"}
    call(
        "POST",
        "/api/v1/namespaces/default/pods",
        {
            "metadata": {"name": name, "labels": labels, "annotations": {"checksum/config": "0" * 64}},
            "spec": {
                "nodeName": f"node-{i % 100}",
                "containers": [
                    {
                        "name": "main",
                        "image": "registry.example/app:1.2.3",
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "env": [{"name": f"VARIABLE_{k}", "value": "x" * 32} for k in range(8)],
                    }
                ],
            },
        },
    )
    conditions = [{"type": t, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"} for t in ("Initialized", "Ready", "PodScheduled")]
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": conditions}
    call("PATCH", f"/api/v1/namespaces/default/pods/{name}/status", {"status": status}, "application/merge-patch+json")
    return name, ip


def service(i, pods):
    name = f"s{i}"
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    call("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": name}, "spec": spec})
    endpoints = [
        {
            "addresses": [ip],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "name": pod_name, "namespace": "default"},
            "nodeName": "node-0",
        }
        for pod_name, ip in pods
    ]
    call(
        "POST",
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        {
            "metadata": {"name": name + "-abcde", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": endpoints,
        },
    )


def scale(services, pods):
    services, pods = int(services), int(pods)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: pod(i, services), range(pods)))
        list(pool.map(lambda i: service(i, made[i::services]), range(services)))


def churn(count, seconds):
    def change(i):
        path = f"/api/v1/namespaces/default/pods/pod-{i % 1000}"
        call("PATCH", path, {"metadata": {"labels": {"turn": f"t{i}"}}}, "application/merge-patch+json")

    at_rate(int(count), float(seconds), change)


if __name__ == "__main__":
    {"latency": latency, "burst": burst, "scale": scale, "churn": churn}[sys.argv[3]](*sys.argv[4:])
