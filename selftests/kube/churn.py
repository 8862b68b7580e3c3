#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""churn.py KUBE-DIR PORT LEAST RATE: RATE random changes a second, of all kinds that weft reads, right ones and bad ones, until SIGTERM
and at least LEAST. A server that is away is waited for. What is random is by $WEFT_SEED.

What is in force of an object that became bad is what it was before; an agent that never saw that has nothing. So, at the end, what
became bad is mended. What was never right stays, one at least, and so does what others make wrong. Prints how many changes it made, by kind.
"""
import collections
import os
import random
import signal
import sys
import time

from api import Api

NAMESPACES = ("default", "shop", "teams")
HOSTS = 15
SETTLED = 10  # of services below this the rules are changed in place; above, they are only created and deleted
PODS = 30
NOT_NOW = (404, 405, 409)  # while a definition comes or goes
ISTIO = "networking.istio.io/v1"

api = Api(sys.argv[1], int(sys.argv[2]), 120)
made = collections.Counter()
was_right = set()  # names of VirtualServices that have been right since they were created
became_bad = set()
lives = collections.Counter()  # of pods: another life has another address


def namespace(i):
    return NAMESPACES[i % len(NAMESPACES)]


def path_of(version, plural, where, name):
    root = "/api/v1" if version == "v1" else "/apis/" + version
    return root + (f"/namespaces/{where}" if where else "") + f"/{plural}/{name}"


def put(version, kind, plural, where, name, part="", **rest):
    """Server-side apply: made, or changed. Returns the status: 404 where the kind has no definition now."""
    meta = {"name": name, **({"namespace": where} if where else {}), **rest.pop("metadata", {})}
    status, answer = api.raw("PATCH", path_of(version, plural, where, name) + part + "?fieldManager=churn&force=true",
                             {"apiVersion": version, "kind": kind, "metadata": meta, **rest}, "application/apply-patch+yaml")
    if status >= 300 and status not in NOT_NOW and "is terminating" not in answer.get("message", ""):
        sys.exit(f"FAIL: {kind} {where}/{name}: {status} {answer.get('message')}")
    return status


def remove(version, plural, where, name, query=""):
    api.call("DELETE", path_of(version, plural, where, name) + query, allow=NOT_NOW)


def some(*things):
    return random.choice(things)


# ---- Kubernetes' own ----

def service(i):
    if random.random() < 0.1:
        remove("v1", "services", namespace(i), f"s{i}")
        return
    ip = f"10.96.1.{10 + i}"
    target = some(9000, 9001)
    spec = {"clusterIP": ip, "clusterIPs": [ip], "sessionAffinity": some("None", "ClientIP"),
            "ports": [{"name": "tcp", "port": 9000, "targetPort": target}, {"name": "http", "port": 80, "targetPort": some(8080, 8081)}]}
    if i % 5 != 4:
        spec["selector"] = some({"app": f"s{i}"}, {"app": f"s{i}"}, {"app": f"s{i}", "version": "v1"})
    put("v1", "Service", "services", namespace(i), f"s{i}", spec=spec)


def endpoint_slice(i):
    name = f"s{i}-{some('a', 'b')}"
    if random.random() < 0.2:
        remove("discovery.k8s.io/v1", "endpointslices", namespace(i), name)
        return
    endpoints = [{"addresses": [f"10.244.2.{n}"], "conditions": {"ready": random.random() < 0.8}}
                 for n in random.sample(range(100), random.randrange(6))]
    put("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", namespace(i), name,
        metadata={"labels": {"kubernetes.io/service-name": f"s{i}"}}, addressType="IPv4", endpoints=endpoints,
        ports=[{"name": "tcp", "port": 9000}, {"name": "http", "port": 8080}])


def pod(i):
    name, where = f"p{i}", namespace(i)
    if random.random() < 0.2:
        remove("v1", "pods", where, name, "?gracePeriodSeconds=0")
        return
    labels = {"app": f"s{(i + len(NAMESPACES) * random.randrange(5)) % HOSTS}", "version": some("v1", "v2", "v3")}
    status = put("v1", "Pod", "pods", where, name, metadata={"labels": labels},
                 spec={"nodeName": "node-x", "containers": [{"name": "main", "image": "none"}]})
    if status == 201:
        lives[i] += 1
    ip = f"10.244.{3 + lives[i] % 4}.{i + 1}"
    put("v1", "Pod", "pods", where, name, "/status", status={
        "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
        "conditions": [{"type": "Ready", "status": some("True", "True", "True", "False")}]})


def labels_of_namespace(i):
    where = some("shop", "teams")
    put("v1", "Namespace", "namespaces", "", where, metadata={"labels": some(
        {}, {"istio-injection": "enabled"}, {"istio.io/dataplane-mode": "ambient"}, {"team": f"t{i}"})})


def network_policy(i):
    group, where, name = "networking.k8s.io/v1", namespace(i), f"np{i % 6}"
    if random.random() < 0.4:
        remove(group, "networkpolicies", where, name)
        return
    peer = some({"podSelector": {"matchLabels": {"app": f"s{i}"}}}, {"namespaceSelector": {"matchLabels": {"team": f"t{i}"}}},
                {"ipBlock": {"cidr": f"10.244.{i % 5}.0/24"}})
    put(group, "NetworkPolicy", "networkpolicies", where, name,
        spec={"podSelector": {"matchLabels": {"app": f"s{i}"}}, "policyTypes": ["Ingress"], "ingress": [{"from": [peer]}]})


# ---- Istio's ----

def destination_rule(i, whole=False):
    if random.random() < 0.15 and not whole:
        remove(ISTIO, "destinationrules", namespace(i), f"s{i}")
        return
    subsets = ["v1", "v2", "v3"] if whole else random.sample(["v1", "v2", "v3"], random.randrange(4))
    policy = some({}, {"loadBalancer": {"simple": some("ROUND_ROBIN", "RANDOM", "LEAST_REQUEST")}},
                  {"connectionPool": {"tcp": {"maxConnections": random.randrange(1, 100), "connectTimeout": "2s"}}})
    put(ISTIO, "DestinationRule", "destinationrules", namespace(i), f"s{i}", spec={
        "host": f"s{i}", **({"trafficPolicy": policy} if policy else {}), "subsets": [{"name": s, "labels": {"version": s}} for s in subsets]})


def routes(i, bad):
    weight = random.randrange(1, 100)
    out = [{"destination": {"host": f"s{i}", "subset": some("v1", "v2", "v3")}, "weight": weight},
           {"destination": {"host": f"s{i}"}, "weight": 100 - weight}]
    if bad:
        out[0]["weight"] = some(-1, "much")
    return out


def virtual_service_spec(i, bad):
    if random.random() < 0.5:
        match = some({}, {"match": [{"sourceLabels": {"app": f"s{random.randrange(HOSTS)}"}}]})
        return {"hosts": [f"s{i}"], "tcp": [{**match, "route": routes(i, bad)}] + ([{"route": routes(i, False)}] if match else [])}
    more = some({}, {"timeout": "2s"}, {"fault": {"abort": {"httpStatus": 418, "percentage": {"value": 10}}}}, {"retries": {"attempts": 3}})
    return {"hosts": [f"s{i}"], "http": [{"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": routes(i, False)},
                                        {"route": routes(i, bad), **more}]}


def virtual_service(i, right=False):
    name, where = f"s{i}", namespace(i)
    if (i >= SETTLED or random.random() < 0.15) and not right:
        remove(ISTIO, "virtualservices", where, name)
        if i < SETTLED or random.random() < 0.3:
            return
    bad = random.random() < 0.25 and not right
    status = put(ISTIO, "VirtualService", "virtualservices", where, name, spec=virtual_service_spec(i, bad))
    if status == 201:
        was_right.discard(i)
        became_bad.discard(i)
    if status in (200, 201) and not bad:
        was_right.add(i)
        became_bad.discard(i)
    if status == 200 and bad and i in was_right:
        became_bad.add(i)


def gateway(i):
    n = i % 4
    if random.random() < 0.3:
        remove(ISTIO, "gateways", "default", f"g{n}")
        return
    kind = ("TCP", "HTTP")[n % 2]
    put(ISTIO, "Gateway", "gateways", "default", f"g{n}", spec={"selector": {"istio": "ingressgateway"}, "servers": [
        {"port": {"number": 31400 + n, "name": kind.lower(), "protocol": kind}, "hosts": some(["*"], [f"{n}.example"])}]})
    destination = [{"destination": {"host": f"s{3 * n}.default.svc.cluster.local", "port": {"number": some(80, 9000)}}}]
    put(ISTIO, "VirtualService", "virtualservices", "default", f"g{n}",
        spec={"hosts": ["*"], "gateways": [f"g{n}"], kind.lower(): [{"route": destination}]})


def not_carried_out(i):
    group = "security.istio.io/v1"
    if random.random() < 0.6:
        remove(group, "requestauthentications", namespace(i), f"a{i % 3}")
    else:
        put(group, "RequestAuthentication", "requestauthentications", namespace(i), f"a{i % 3}", spec={})


CHANGES = {pod: 35, endpoint_slice: 15, virtual_service: 16, destination_rule: 10, service: 10, labels_of_namespace: 4,
           network_policy: 5, gateway: 3, not_carried_out: 2}


def change():
    what = random.choices(list(CHANGES), CHANGES.values())[0]
    what(random.randrange(PODS if what is pod else HOSTS))
    made[what.__name__] += 1


def settle():
    for i in range(SETTLED):
        destination_rule(i, whole=True)
    for i in sorted(became_bad):
        virtual_service(i, right=True)
    put(ISTIO, "VirtualService", "virtualservices", namespace(0), "never-right", spec=virtual_service_spec(0, bad=True))


def main():
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    for where in NAMESPACES[1:]:
        put("v1", "Namespace", "namespaces", "", where)
    for i in range(HOSTS):
        service(i)
        destination_rule(i)
        virtual_service(i)
    begin = time.monotonic()
    while not ended or made.total() < int(sys.argv[3]):
        change()
        time.sleep(max(0, begin + made.total() / float(sys.argv[4]) - time.monotonic()))
        begin = max(begin, time.monotonic() - made.total() / float(sys.argv[4]) - 0.5)  # what a server that was away has missed
    settle()
    print(made.total(), dict(made))


random.seed(os.environ.get("WEFT_SEED", "1"))
main()
