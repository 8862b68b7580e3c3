#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cache.py SERVER SERVICES PODS: prints a kubernetes.cache of such a cluster, as weftd would have written it."""
import json
import struct
import sys
import zlib

SERVER, SERVICES, PODS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
out = sys.stdout.buffer


def put(resource, namespace, api, kind, name, **rest):
    version = str(100000 + put.count)
    put.count += 1
    labels = rest.pop("labels", None)
    meta = {"name": name, "namespace": namespace, "resourceVersion": version, "creationTimestamp": "2026-01-01T00:00:00Z"}
    if not namespace:
        del meta["namespace"]
    if labels:
        meta["labels"] = labels
    head = {"resource": resource, "namespace": namespace, "name": name, "version": version}
    payload = (json.dumps(head) + "\n" + json.dumps({"apiVersion": api, "kind": kind, "metadata": meta, **rest})).encode()
    out.write(struct.pack("<II", len(payload), zlib.crc32(payload)) + payload)


put.count = 0


def pod_ip(i):
    return f"10.{128 + i // 65536}.{i // 256 % 256}.{i % 256}"


def pod(i):
    labels = {"app": f"s{i % SERVICES}", "version": f"v{i % 2 + 1}", "pod-template-hash": "5d8c9b7f4"}
    spec = {"containers": [{"ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]}]}
    spec.update(serviceAccountName="default", nodeName=f"node-{i % 100}")
    conditions = [{"type": "Ready", "status": "True"}]
    status = {"phase": "Running", "conditions": conditions, "podIP": pod_ip(i), "podIPs": [{"ip": pod_ip(i)}]}
    put("pods", "default", "v1", "Pod", f"pod-{i % SERVICES}-5d8c9b7f4-{i:05d}", labels=labels, spec=spec, status=status)


def service(i):
    ip = f"10.96.{i // 250}.{1 + i % 250}"
    spec = {"ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}], "selector": {"app": f"s{i}"}}
    spec.update(clusterIP=ip, clusterIPs=[ip], type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    put("services", "default", "v1", "Service", f"s{i}", spec=spec)


def endpoint(i):
    target = {"kind": "Pod", "namespace": "default", "name": f"pod-{i % SERVICES}-5d8c9b7f4-{i:05d}"}
    return {
        "addresses": [pod_ip(i)],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "targetRef": target,
        "nodeName": f"node-{i % 100}",
    }


def endpoint_slice(i):
    put(
        "endpointslices",
        "default",
        "discovery.k8s.io/v1",
        "EndpointSlice",
        f"s{i}-abcde",
        labels={"kubernetes.io/service-name": f"s{i}"},
        addressType="IPv4",
        ports=[{"name": "http", "port": 8080, "protocol": "TCP"}],
        endpoints=[endpoint(k) for k in range(i, PODS, SERVICES)],
    )


out.write(f"weft-k1 {SERVER}\n".encode())
put("namespaces", "", "v1", "Namespace", "default")
for n in range(SERVICES):
    service(n)
for n in range(PODS):
    pod(n)
for n in range(SERVICES):
    endpoint_slice(n)
