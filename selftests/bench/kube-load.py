#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kube-load.py KUBE-DIR API-PORT ETCD-PORT VERB ARGUMENT...: a cluster's load, for bench-kube.sh.

  fill SERVICES PODS NODES   makes so many; the pods, which run on as many nodes, and their EndpointSlices are written into etcd,
                             as the API server would: through it a pod is two requests, and 10,000 take minutes
  rules N                    N VirtualServices and DestinationRules, each of a service
  change WHAT RATE SECONDS   WHAT is slices, pods, rules or none: prints how many were made
       slices  an endpoint is ready, or is not
       pods    a pod begins (made, runs), and another one ends
       rules   a VirtualService's weights
  metrics EXPRESSION...      sums of the API server's metrics: each is NAME or NAME{label=value,...}
"""
import base64
import http.client
import json
import re
import ssl
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import local

DIR, PORT, ETCD_PORT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
TOKEN = open(DIR + "/admin.token").read().strip()
NOW = "2026-01-01T00:00:00Z"
BATCH = 100  # etcd takes 128 operations in a transaction
PODS = "/api/v1/namespaces/{}/pods"
SERVICES = "/api/v1/namespaces/{}/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"
ISTIO = "/apis/networking.istio.io/v1/namespaces/{}/"
MERGE = "application/merge-patch+json"
here = local()


def connection():
    if not hasattr(here, "connection"):
        context = ssl.create_default_context(cafile=DIR + "/ca.crt")
        here.connection = http.client.HTTPSConnection("127.0.0.1", PORT, context=context)
    return here.connection


def call(method, path, body=None, kind="application/json"):
    headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": kind, "User-Agent": "kube-load"}
    connection().request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = connection().getresponse()
    text = answer.read()
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status}: {text[:300]}")
    return text


# ---- what there is ----


def namespace_of(i):
    return f"team-{i % 20}"


def service_name(i):
    return f"service-{i}"


def address(i):
    return f"10.{128 + i // 62500}.{i // 250 % 250}.{i % 250 + 1}"


def managed(manager, fields, **more):
    return {"manager": manager, "operation": "Update", "apiVersion": "v1", "time": NOW, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


def pod_metadata(i, services, name):
    service = i % services
    labels = {
        "app": service_name(service),
        "version": f"v{i % 2 + 1}",
        "pod-template-hash": f"{service * 7919 % 0xfffffff:x}",
        "app.kubernetes.io/name": service_name(service),
        "app.kubernetes.io/part-of": namespace_of(service),
    }
    keys = {"f:" + key: {} for key in labels}
    container = {key: {} for key in ("f:env", "f:image", "f:imagePullPolicy", "f:name", "f:ports", "f:resources", "f:livenessProbe")}
    made = {"f:metadata": {"f:generateName": {}, "f:labels": {".": {}, **keys}, "f:ownerReferences": {}},
            "f:spec": {'f:containers': {'k:{"name":"main"}': {".": {}, **container}}, "f:dnsPolicy": {}, "f:restartPolicy": {},
                       "f:schedulerName": {}, "f:securityContext": {}, "f:terminationGracePeriodSeconds": {}}}
    conditions = {f'k:{{"type":"{kind}"}}': {".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {}}
                  for kind in ("ContainersReady", "Initialized", "Ready")}
    ran = {"f:status": {"f:conditions": conditions, "f:containerStatuses": {}, "f:hostIP": {}, "f:hostIPs": {}, "f:phase": {},
                        "f:podIP": {}, "f:podIPs": {}, "f:startTime": {}}}
    return {
        "name": name,
        "generateName": name[: name.rindex("-") + 1],
        "namespace": namespace_of(service),
        "uid": str(uuid.UUID(int=i + 1)),
        "creationTimestamp": NOW,
        "labels": labels,
        "annotations": {"checksum/config": f"{i:064x}", "prometheus.io/scrape": "true", "prometheus.io/port": "9090"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name[: name.rindex("-")],
                             "uid": str(uuid.UUID(int=service + 1)), "controller": True, "blockOwnerDeletion": True}],
        "managedFields": [managed("kube-controller-manager", made), managed("kubelet", ran, subresource="status")],
    }


def pod_spec(i, nodes):
    probe = {"httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10,
             "successThreshold": 1, "failureThreshold": 3}
    token = {"name": "kube-api-access-x2x7f", "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}]}}
    return {
        "nodeName": f"node-{i % nodes}",
        "serviceAccountName": "default",
        "containers": [{
            "name": "main", "image": "registry.example/team/app:1.2.3",
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "env": [{"name": f"VARIABLE_{k}", "value": "x" * 24} for k in range(8)],
            "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "livenessProbe": probe, "readinessProbe": probe, "imagePullPolicy": "IfNotPresent",
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "volumeMounts": [{"name": token["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
        }],
        "volumes": [token],
        "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
        "securityContext": {}, "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority", "priority": 0,
        "tolerations": [{"key": "node.kubernetes.io/" + key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
                        for key in ("not-ready", "unreachable")],
    }


def pod_status(i):
    ip, image = address(i), "registry.example/team/app"
    running = {"name": "main", "ready": True, "restartCount": 0, "started": True, "image": image + ":1.2.3",
               "imageID": f"{image}@sha256:{'5' * 64}", "containerID": f"containerd://{i:064x}", "lastState": {},
               "state": {"running": {"startedAt": NOW}}}
    return {
        "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.1"}],
        "startTime": NOW, "qosClass": "Burstable", "containerStatuses": [running],
        "conditions": [{"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": NOW} for kind in
                       ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")],
    }


def pod_name(i, services):
    return f"service-{i % services}-{i % services * 7919 % 0xfffffff:x}-{i:05x}"


def pod(i, services, nodes):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": pod_metadata(i, services, pod_name(i, services)), "spec": pod_spec(i, nodes),
            "status": pod_status(i)}


def service(i):
    labels = {"app": service_name(i), "app.kubernetes.io/part-of": namespace_of(i)}
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    return {"metadata": {"name": service_name(i), "labels": labels}, "spec": {"selector": {"app": service_name(i)}, "ports": ports}}


def endpoint_slice(i, pods, services, nodes):
    members = range(i, pods, services)
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": service_name(i) + "-abcde", "generateName": service_name(i) + "-", "namespace": namespace_of(i),
            "uid": str(uuid.UUID(int=(1 << 64) + i)), "creationTimestamp": NOW, "generation": 7,
            "labels": {"app": service_name(i), "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                       "kubernetes.io/service-name": service_name(i)},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": NOW},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": service_name(i), "uid": str(uuid.UUID(int=(2 << 64) + i)),
                                 "controller": True, "blockOwnerDeletion": True}],
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{
            "addresses": [address(k)], "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": namespace_of(i), "name": pod_name(k, services), "uid": str(uuid.UUID(int=k + 1))},
            "nodeName": f"node-{k % nodes}", "zone": f"zone-{k % nodes % 3}",
        } for k in members],
    }


# ---- fill ----


def text64(text):
    return base64.b64encode(text.encode()).decode()


def put_all(objects):
    """Writes pairs of key and object into etcd, which has a gateway for JSON."""
    wire = http.client.HTTPConnection("127.0.0.1", ETCD_PORT)
    for at in range(0, len(objects), BATCH):
        puts = [{"requestPut": {"key": text64("/registry/" + key), "value": text64(json.dumps(o))}} for key, o in objects[at : at + BATCH]]
        wire.request("POST", "/v3/kv/txn", json.dumps({"success": puts}))
        answer = wire.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"etcd: {answer.status}: {text[:300]}")


def fill(services, pods, nodes):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: call("POST", "/api/v1/namespaces", {"metadata": {
            "name": namespace_of(i), "labels": {"istio-injection": "enabled"}}}), range(20)))
        list(pool.map(lambda i: call("POST", SERVICES.format(namespace_of(i)), service(i)), range(services)))
    all_pods = (pod(i, services, nodes) for i in range(pods))
    slices = (endpoint_slice(i, pods, services, nodes) for i in range(services))
    put_all([(f"pods/{o['metadata']['namespace']}/{o['metadata']['name']}", o) for o in all_pods])
    put_all([(f"endpointslices/{o['metadata']['namespace']}/{o['metadata']['name']}", o) for o in slices])


def weights(i, first):
    host = service_name(i)
    route = [{"destination": {"host": host, "subset": f"v{k + 1}"}, "weight": weight} for k, weight in enumerate((first, 100 - first))]
    return {"hosts": [host], "http": [{"route": route}]}


def rules(count):
    def one(i):
        path, name = ISTIO.format(namespace_of(i)), service_name(i)
        subsets = [{"name": version, "labels": {"version": version}} for version in ("v1", "v2")]
        kind = {"apiVersion": "networking.istio.io/v1", "metadata": {"name": name}}
        call("POST", path + "destinationrules", {**kind, "kind": "DestinationRule", "spec": {"host": name, "subsets": subsets}})
        call("POST", path + "virtualservices", {**kind, "kind": "VirtualService", "spec": weights(i, 80)})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(count)))


# ---- changes ----


def change_slice(n):
    i = n % 100
    path = SLICES.format(namespace_of(i)) + f"/{service_name(i)}-abcde"
    if not hasattr(here, "slices"):
        here.slices = {}
    o = here.slices.get(i) or json.loads(call("GET", path))
    o["endpoints"][0]["conditions"]["ready"] = not o["endpoints"][0]["conditions"]["ready"]
    here.slices[i] = json.loads(call("PUT", path, o))


def change_pod(n):
    """Two changes: one ends that an earlier turn has begun."""
    i, path = 60000 + n, PODS.format(namespace_of(n))
    name = f"service-{n}-churn-{n:05x}"
    o = {"metadata": pod_metadata(i, 100, name), "spec": pod_spec(i, 100)}
    o["metadata"] = {key: o["metadata"][key] for key in ("name", "labels", "annotations")}
    call("POST", path, o)
    call("PATCH", f"{path}/{name}/status", {"status": pod_status(i)}, MERGE)
    call("DELETE", f"{path}/{name}?gracePeriodSeconds=0")


def change_rule(n):
    i = n % 10
    call("PATCH", ISTIO.format(namespace_of(i)) + "virtualservices/" + service_name(i), {"spec": weights(i, 1 + n % 98)}, MERGE)


# What makes a change, and how many events it is.
CHANGES = {"slices": (change_slice, 1), "pods": (change_pod, 3), "rules": (change_rule, 1), "none": (lambda n: None, 1)}


def change(what, rate, seconds):
    make, each = CHANGES[what]
    begin = time.monotonic()
    made = 0
    while made < rate * seconds:
        make(made // each)
        made += each
        time.sleep(max(0, begin + made / rate - time.monotonic()))
    print(made)


# ---- metrics ----

LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


def wanted(expression):
    name, _, labels = expression.partition("{")
    pairs = [pair.split("=") for pair in labels.rstrip("}").split(",") if pair]
    return name, {f'{key}="{value}"' for key, value in pairs}


def metrics(*expressions):
    sums = [0.0] * len(expressions)
    parsed = [wanted(e) for e in expressions]
    for line in call("GET", "/metrics").decode().splitlines():
        found = LINE.match(line)
        for k, (name, labels) in enumerate(parsed if found else ()):
            if found[1] == name and labels <= set((found[2] or "").split(",")):
                sums[k] += float(found[3])
    print(*(f"{value:.6f}".rstrip("0").rstrip(".") for value in sums))


def main():
    verb, arguments = sys.argv[4], sys.argv[5:]
    if verb == "change":
        change(arguments[0], int(arguments[1]), int(arguments[2]))
    elif verb == "metrics":
        metrics(*arguments)
    else:
        {"fill": fill, "rules": rules}[verb](*map(int, arguments))


if __name__ == "__main__":
    main()
