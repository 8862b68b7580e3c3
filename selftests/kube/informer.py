# SPDX-License-Identifier: Apache-2.0
"""What selftests/kube/informer.sh runs: informer.py INFORMER-COPY. After each fault the informer's copy must equal a fresh list."""
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from api import Api
from between import Proxy

DIR = tempfile.mkdtemp(prefix="weft-informer-")
API, ETCD, PROXY = 16443, 12379, 16444
SERVER = ["selftests/kube/apiserver.sh"]
RESOURCES = {
    "services": ("/api/v1/services", "v1/Service"),
    "namespaces": ("/api/v1/namespaces", "v1/Namespace"),
    "endpointslices": ("/apis/discovery.k8s.io/v1/endpointslices", "discovery.k8s.io/v1/EndpointSlice"),
    "virtualservices": ("/apis/networking.istio.io/v1/virtualservices",
                        "networking.istio.io/v1/VirtualService,networking.istio.io/v1beta1"),
}


def say(what):
    print(f"{time.monotonic() - BEGAN:6.1f} s  {what}", flush=True)


BEGAN = time.monotonic()


def fail(what):
    print(f"FAIL: {what}", flush=True)
    sys.exit(1)


# ---- the server ----

def server(verb, *parts, flags=""):
    subprocess.run([*SERVER, verb, DIR + "/kube", *parts], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "API_PORT": str(API), "ETCD_PORT": str(ETCD), "APISERVER_FLAGS": flags})


api = Api(DIR + "/kube", API)


def make_service(name, **annotations):
    api.call("POST", "/api/v1/namespaces/default/services",
             {"metadata": {"name": name, "annotations": annotations}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}},
             allow=(409,))


def make_route(name, weight):
    api.call("POST", "/apis/networking.istio.io/v1/namespaces/default/virtualservices",
             {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name},
              "spec": {"hosts": [name], "weight": weight}})


def annotate(name, value):
    api.call("PATCH", f"/api/v1/namespaces/default/services/{name}", {"metadata": {"annotations": {"x": value}}},
             "application/merge-patch+json")


def remove(path):
    api.call("DELETE", path, allow=(404,))


def churn(count, size=50):
    """Random changes of services."""
    for i in range(count):
        name = f"churn-{random.randrange(30)}"
        what = random.randrange(3)
        path = f"/api/v1/namespaces/default/services/{name}"
        if what == 0:
            make_service(name, x="y" * size)
        elif what == 1:
            remove(path)
        elif api.raw("GET", path)[0] == 200:
            annotate(name, str(i) + "z" * size)


def definition(present):
    name = "virtualservices.networking.istio.io"
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    spec = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if present:
        api.call("POST", path, {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
            "spec": {"group": "networking.istio.io", "scope": "Namespaced",
                     "names": {"kind": "VirtualService", "plural": "virtualservices", "singular": "virtualservice",
                               "listKind": "VirtualServiceList"},
                     "versions": [{"name": v, "served": True, "storage": v == "v1beta1", "schema": {"openAPIV3Schema": {
                         "type": "object", "properties": {"spec": spec}}}} for v in present]}})
    else:
        remove(f"{path}/{name}")
    url = f"/apis/networking.istio.io/{present[0] if present else 'v1beta1'}/virtualservices"
    until(30, "the definition", lambda: (api.raw("GET", url)[0] == 200) == bool(present))


def bind(present):
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    if not present:
        remove(path + "/weft")
        return
    api.call("POST", path, {"metadata": {"name": "weft"},
                            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "weft"},
                            "subjects": [{"kind": "ServiceAccount", "name": "weft", "namespace": "default"}]})


def discovery_bytes():
    """What the server has sent of which kinds it has."""
    lines = [line for line in api.text("/metrics").splitlines()
             if line.startswith("apiserver_response_sizes_sum") and 'subresource="apis"' in line]
    if not lines:
        fail("the server's metrics do not have the bytes of /apis")
    return sum(float(line.split()[-1]) for line in lines)


def test_discovery_is_forbidden(informer):
    """The versions of a kind are tried in turn then."""
    since, path = len(informer.said), "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:discovery"
    binding = api.call("GET", path)
    remove(path)
    until(60, "the right is gone", lambda: informer.ask("get /apis", "got ").split()[1] == "403")
    definition(())
    informer.heard(120, "virtualservices|absent", since)
    test_definition_comes(informer, ("v1beta1",))
    api.call("POST", path.rsplit("/", 1)[0], {"metadata": {"name": "system:discovery"}, "roleRef": binding["roleRef"],
                                              "subjects": binding["subjects"]})


def account():
    """A ServiceAccount, another one than before: tokens of that are worth nothing. Returns a token."""
    path = "/api/v1/namespaces/default/serviceaccounts"
    remove(path + "/weft")
    api.call("POST", path, {"metadata": {"name": "weft"}})
    return api.call("POST", path + "/weft/token", {"spec": {"expirationSeconds": 600}})["status"]["token"]


def write_token(token):
    with open(DIR + "/token.new", "w", encoding="ascii") as file:
        file.write(token)
    os.rename(DIR + "/token.new", DIR + "/token")


def ask_etcd(connection, path, body):
    connection.request("POST", path, json.dumps(body))
    return json.loads(connection.getresponse().read())


def compact():
    connection = http.client.HTTPConnection("127.0.0.1", ETCD, timeout=10)
    revision = ask_etcd(connection, "/v3/kv/range", {"key": "YQ=="})["header"]["revision"]
    ask_etcd(connection, "/v3/kv/compaction", {"revision": revision, "physical": True})


def spend_versions(count):
    connection = http.client.HTTPConnection("127.0.0.1", ETCD, timeout=10)
    for _ in range(count):
        ask_etcd(connection, "/v3/kv/put", {"key": "YQ==", "value": "YQ=="})


# ---- the informer ----

def without_version(item):
    """A version of Istio's kinds is as good as another: which one it is asked for in may depend on the moment."""
    if item["apiVersion"].startswith("networking.istio.io/"):
        item["apiVersion"] = "networking.istio.io"
    return item


# Where fields are named, built-in kinds are asked for as protobuf.
FIELDS = ("name", "namespace", "resourceVersion", "labels", "annotations", "uid", "creationTimestamp", "deletionTimestamp")


def named_fields(item):
    metadata = {key: value for key, value in item["metadata"].items() if key in FIELDS}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata}


class Informer:
    def __init__(self, program, proto=False):
        """With `proto` it copies but some fields, in protobuf."""
        self.proto, self.twin = proto, None
        arguments = [f"{path}={kind}" for path, kind in RESOURCES.values()]
        some = ["-f", ",".join("metadata." + key for key in FIELDS)] if proto else []
        self.said, self.news = [], threading.Condition()
        self.process = subprocess.Popen([program, *some, DIR + "/kubeconfig", *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            with self.news:
                self.said.append(line.rstrip())
                self.news.notify_all()

    def heard(self, seconds, what, since=0):
        """Waits until a line has all of these words. Returns the place behind it."""
        deadline = time.monotonic() + seconds
        with self.news:
            while True:
                for at in range(since, len(self.said)):
                    if all(word in self.said[at] for word in what.split("|")):
                        return at + 1
                if self.process.poll() is not None:
                    fail(f"the informer ended: {self.process.returncode}")
                if not self.news.wait(deadline - time.monotonic() if deadline > time.monotonic() else 0.001) and \
                        time.monotonic() > deadline:
                    fail(f"not heard within {seconds} s: {what}\n" + "\n".join(self.said[-15:]))

    def ask(self, line, answer):
        since = len(self.said)
        self.process.stdin.write(line + "\n")
        return self.said[self.heard(30, answer, since) - 1]

    def copy(self):
        self.ask(f"dump {DIR}/dump", "dumped")
        out = {}
        with open(DIR + "/dump", encoding="utf-8") as file:
            for line in file:
                place, key, version, text = line.split(" ", 3)
                out[(int(place), key)] = (version, without_version(json.loads(text)))
        return out

    def counts(self, name):
        words = self.ask("counts", f"counts {RESOURCES[name][0]} ").split()
        return {words[i]: int(words[i + 1]) for i in range(2, len(words), 2)}

    def discoveries(self):
        return int(self.ask("counts", "discoveries ").split()[1])

    def told(self):
        return [int(word) for word in self.ask("counts", "told ").split()[1:]]

    def end(self):
        self.process.stdin.close()
        if self.process.wait(20):
            fail(f"the informer ended with {self.process.returncode}")


def fresh(resources=tuple(RESOURCES)):
    """What the server has."""
    out = {}
    for place, name in enumerate(RESOURCES):
        path, kind = RESOURCES[name]
        versions = [kind.split(",")[0].rsplit("/", 1)[0], *kind.split(",")[1:]]
        for version in versions if name in resources else ():
            url = path if version == versions[0] else f"/apis/{version}/{name}"
            status, answer = api.raw("GET", url)
            if status != 200:
                continue
            for item in answer["items"]:
                item.update(apiVersion=version, kind=kind.split(",")[0].rsplit("/", 1)[1])
                metadata = item["metadata"]
                metadata.pop("managedFields", None)
                out[(place, f"{metadata.get('namespace', '')}/{metadata['name']}")] = (metadata["resourceVersion"], without_version(item))
            break
    return out


def until(seconds, what, ready):
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            fail(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def expect_same(informer, what, seconds=120):
    deadline = time.monotonic() + seconds
    while True:
        have, want = informer.copy(), fresh()
        if informer.proto:
            want = {key: (version, named_fields(item)) for key, (version, item) in want.items()}
        if have == want:
            break
        if time.monotonic() > deadline:
            missing, extra = want.keys() - have.keys(), have.keys() - want.keys()
            other = [key for key in want.keys() & have.keys() if want[key] != have[key]]
            fail(f"{what}: missing {sorted(missing)[:5]}, too many {sorted(extra)[:5]}, other {other[:5]}\n" +
                 "\n".join(informer.said[-15:]))
        time.sleep(0.2)
    unknown = [line for line in informer.said if line.startswith("unknown")]
    if unknown:
        fail(f"{what}: told to be gone, and never told to be there: {unknown[:3]}")
    say(f"{what}: {len(have)} objects, the same{' in protobuf' if informer.proto else ''}")
    if informer.twin:
        expect_same(informer.twin, what, seconds)


def expect(what, have, want):
    if have != want:
        fail(f"{what}: {have}, not {want}")


# ---- the faults ----

def test_start(informer):
    services = RESOURCES["services"][0]
    informer.heard(60, f"{services} v1 synced")
    informer.heard(60, "virtualservices|absent")
    informer.heard(60, "synced")
    for i in range(20):
        make_service(f"web-{i}")
    expect_same(informer, "at the start, without a definition")
    expect("one request", informer.ask("get /version", "got ").split()[1], "200")
    # Once it was asked for, one request tells of all kinds, and no more than that nothing has changed.
    itself = informer.counts("virtualservices")["requests"]
    asked, sent = informer.discoveries(), discovery_bytes()
    until(60, "the definition is looked for", lambda: informer.discoveries() > asked)
    expect("what is asked for a kind that is not defined", informer.counts("virtualservices")["requests"], itself)
    if discovery_bytes() > sent + 100:
        fail(f"all kinds are told again: {discovery_bytes() - sent} bytes")
    expect("one that it may not ask", informer.ask("get /api/v1/secrets", "got ").split()[1], "403")


def test_definition_comes(informer, versions):
    since = len(informer.said)
    definition(versions)
    # It may see the one version before the other.
    informer.heard(60, "virtualservices |synced", since)
    for i in range(10):
        api.call("POST", f"/apis/networking.istio.io/{versions[0]}/namespaces/default/virtualservices",
                 {"apiVersion": f"networking.istio.io/{versions[0]}", "kind": "VirtualService",
                  "metadata": {"name": f"route-{i}"}, "spec": {"weight": i}}, allow=(409,))
    expect_same(informer, f"a definition that comes, of {' '.join(versions)}")


def test_cuts(informer, proxy):
    proxy.limits = lambda: random.randrange(3000, 60000)
    proxy.cut()
    churn(150)
    proxy.limits = None
    proxy.cut()
    expect_same(informer, "150 changes, connections cut off anywhere")


def test_long_lines(informer, proxy):
    proxy.limits = lambda: random.randrange(20000, 400000)
    proxy.cut()
    churn(60, size=100000)
    proxy.limits = None
    proxy.cut()
    expect_same(informer, "lines of 100 kB, cut off in the middle")
    for i in range(30):
        remove(f"/api/v1/namespaces/default/services/churn-{i}")
    expect_same(informer, "and all of them deleted")


def test_server_killed(informer):
    since, told = len(informer.said), informer.told()
    server("stop", "apiserver")
    informer.heard(60, "services|connecting|no answer from the API server", since)
    expect("what was told while it was away", informer.told(), told)
    time.sleep(3)
    server("start", "apiserver")
    back = len(informer.said)
    informer.heard(80, "services|synced", since)
    expect("what was told again", informer.told(), told)
    since = len(informer.said)
    churn(20)
    expect_same(informer, "the server killed and restarted")
    return back


def test_compaction(informer, proxy):
    lists, told = informer.counts("services")["lists"], informer.told()
    proxy.refuse = True
    proxy.cut()
    churn(40)
    remove("/api/v1/namespaces/default/services/web-3")
    server("stop", "apiserver")
    compact()
    server("start", "apiserver")
    churn(10)
    proxy.refuse = False
    expect_same(informer, "etcd compacted while it could not listen")
    if informer.counts("services")["lists"] <= lists:
        fail("it did not list anew")
    if informer.told()[0] - told[0] > 60:
        fail(f"a list told what was known: {told}, then {informer.told()}")


def snapshot(what):
    """Keeps what etcd has, or gives it back. The server is away meanwhile, and has lost what it had in memory."""
    server("stop", "apiserver", "etcd")
    new, old = (DIR + "/kube/etcd", DIR + "/backup")[::1 if what == "restore" else -1]
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(old, new)
    server("start", "etcd", "apiserver")


def test_restored(informer, proxy):
    """No watch of the versions before ever hears of what the store has from then on."""
    snapshot("keep")
    churn(40)
    remove("/api/v1/namespaces/default/services/web-4")
    make_service("not-in-the-backup")
    spend_versions(600)
    annotate("web-1", "later")
    expect_same(informer, "before the store is restored")
    snapshot("restore")
    annotate("web-1", "another history")
    expect_same(informer, "etcd restored from a backup")
    churn(10)
    spend_versions(600)
    annotate("web-1", "later")
    expect_same(informer, "and changed before it is restored again")
    # The server goes on, and says of each watch that it is over.
    server("stop", "etcd")
    shutil.rmtree(DIR + "/kube/etcd")
    shutil.copytree(DIR + "/backup", DIR + "/kube/etcd")
    server("start", "etcd")
    until(60, "the server reads what it has", lambda: api.raw("GET", "/api/v1/namespaces/default/services/web-4")[0] == 200)
    churn(10)
    expect_same(informer, "etcd restored under a server that runs")
    # As long as it runs it hides what the store has below the versions that it has seen: it has to be restarted.
    server("stop", "apiserver")
    server("start", "apiserver")
    churn(10)
    expect_same(informer, "and the server restarted")


def test_token(informer, proxy):
    # A token lives for ten minutes at least; that of an account that is another one now has ended, too.
    since = len(informer.said)
    token = account()
    time.sleep(11)  # for so long the server takes the old one for good
    proxy.cut()
    informer.heard(120, "services|connecting: Unauthorized", since)
    churn(20)
    write_token(token)
    expect_same(informer, "a token that ended, and a fresh one in the file")
    token = account()
    write_token(token)
    time.sleep(11)
    since = len(informer.said)
    proxy.cut()
    expect_same(informer, "a token that ended after a fresh one was in the file")
    if any("Unauthorized" in line for line in informer.said[since:]):
        fail("it told of a token that it had only to read")


def test_rbac(informer, proxy):
    since, before = len(informer.said), informer.copy()
    bind(False)
    until(60, "the right is gone", lambda: informer.ask("get /api/v1/services", "got ").split()[1] == "403")
    proxy.cut()
    for name in RESOURCES:
        informer.heard(120, f"/{name} |forbidden:", since)
    remove("/api/v1/namespaces/default/services/web-5")
    make_service("while-forbidden")
    told = len([line for line in informer.said[since:] if "/services v1 forbidden" in line])
    time.sleep(8)
    expect("what is told again and again", len([x for x in informer.said[since:] if "/services v1 forbidden" in x]), told)
    expect("what is known while it is forbidden", informer.copy(), before)
    bind(True)
    expect_same(informer, "RBAC taken away and given back")


def test_definition_goes(informer, proxy):
    since = len(informer.said)
    definition(())
    informer.heard(120, "virtualservices|absent", since)
    expect_same(informer, "a definition deleted while it listened")
    test_definition_comes(informer, ("v1beta1",))
    proxy.refuse = True
    proxy.cut()
    since = len(informer.said)
    definition(())
    proxy.refuse = False
    informer.heard(120, "virtualservices|absent", since)
    expect_same(informer, "a definition deleted while it could not listen")
    test_definition_comes(informer, ("v1", "v1beta1"))
    proxy.refuse = True
    proxy.cut()
    definition(())
    definition(("v1", "v1beta1"))
    make_route("new", 1)
    proxy.refuse = False
    expect_same(informer, "a definition deleted and created while it could not listen")


def test_pages(informer):
    for i in range(700):
        make_service(f"many-{i}")
    expect_same(informer, "700 services more")
    if len(informer.copy()) < 700:
        fail("the server does not tell of all that it has")
    server("stop", "apiserver")
    server("start", "apiserver", flags="--feature-gates=WatchList=false")
    other = Informer(sys.argv[1])
    other.twin = Informer(sys.argv[1], proto=True)
    other.heard(30, "synced")
    other.twin.heard(30, "synced")
    expect_same(other, "lists in pages, of a server that does not stream them")
    if not any(line == "synced" for line in other.said):
        fail("it was not told that all is listed")
    churn(20)
    expect_same(other, "and watched")
    expect_same(informer, "the server restarted with other features")
    other.twin.end()
    other.end()


def main():
    server("start", "etcd", "apiserver")
    until(30, "the default namespace", lambda: api.raw("GET", "/api/v1/namespaces/default")[0] == 200)
    api.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", {"metadata": {"name": "weft"}, "rules": [
        {"apiGroups": ["", "discovery.k8s.io", "networking.istio.io"], "resources": list(RESOURCES),
         "verbs": ["get", "list", "watch"]}]})
    bind(True)
    write_token(account())
    with open(DIR + "/kubeconfig", "w", encoding="utf-8") as file:
        file.write(json.dumps({
            "current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{PROXY}", "certificate-authority": "kube/ca.crt"}}],
            "users": [{"name": "u", "user": {"tokenFile": "token"}}]}))
    proxy = Proxy(PROXY, API)
    informer = Informer(sys.argv[1])
    informer.twin = Informer(sys.argv[1], proto=True)
    test_start(informer)
    test_definition_comes(informer, ("v1", "v1beta1"))
    expect("connections for everything, of each", proxy.accepted, 2)
    less = informer.twin.counts("services")["bytes"] / informer.counts("services")["bytes"]
    if not 0.2 < less < 0.9:
        fail(f"protobuf has {less:.2f} times as many bytes as JSON")
    test_cuts(informer, proxy)
    test_long_lines(informer, proxy)
    test_server_killed(informer)
    test_compaction(informer, proxy)
    test_restored(informer, proxy)
    test_token(informer, proxy)
    test_rbac(informer, proxy)
    test_definition_goes(informer, proxy)
    test_discovery_is_forbidden(informer)
    test_pages(informer)
    with open(f"/proc/{informer.process.pid}/status", encoding="ascii") as file:
        say([line.split(":")[1].strip() for line in file if line.startswith("VmHWM")][0] + " of memory at most")
    informer.twin.end()
    informer.end()
    say("passed")


random.seed(os.environ.get("WEFT_SEED", "1"))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
try:
    main()
finally:
    server("stop")
    shutil.rmtree(DIR, ignore_errors=True)
