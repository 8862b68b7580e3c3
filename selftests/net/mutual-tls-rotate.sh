#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Mutual TLS between two nodes whose certificates live for 10 s, under load: they are renewed, and the root is replaced by another one, step
# by step, without a request that fails. Where a node's CA is not believed, or there is none, what calls the other node is refused, and
# nothing of it is on the wire in clear. A weftd that can't have certificates leaves those that there are.
. "${0%/*}/lib.sh"

ROUNDS_S=$(rounds 30 15)
declare -A PIDS

# ca NAME: NAME.crt and NAME.key
ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/$1.key" -out "$TMP/$1.crt" -subj "/CN=$1" -days 30 \
		-addext keyUsage=critical,keyCertSign 2>/dev/null
}

# use NODE CERT [ROOT...]: that node's CA, and the roots that it believes
use() {
	local root
	cp "$TMP/$2.key" "$TMP/$1.ca.key.new" && mv "$TMP/$1.ca.key.new" "$TMP/$1.ca.key"
	cp "$TMP/$2.crt" "$TMP/$1.ca.crt.new" && mv "$TMP/$1.ca.crt.new" "$TMP/$1.ca.crt"
	for root in "${@:3}"; do cat "$TMP/$root.crt"; done >"$TMP/$1.roots.new" && mv "$TMP/$1.roots.new" "$TMP/$1.roots"
}

# The pod `server` on the node `world`, whose addresses node_up has behind it.
server_add() {
	NUMBER[server]=2
	NET4[server]=10.244.1
	NET6[server]=fd00:2441:
	LABELS[server]=app=web
	ns_add server
	ip_in world <<-END
	link add veth2 address 0a:58:00:00:01:02 type veth peer name eth0 address 0a:58:00:00:02:02 netns $(netns server)
	link set veth2 up
	route add 10.244.1.2/32 dev veth2
	END
	ip_in server <<-END
	link set lo up
	link set eth0 up
	address add 10.244.1.2/32 dev eth0
	route add 169.254.1.1 dev eth0 scope link
	neighbour add 169.254.1.1 lladdr 0a:58:00:00:01:02 dev eth0 nud permanent
	route add default via 169.254.1.1 dev eth0
	END
}

weft_at() { "$OUT/weft" --run-dir "$TMP/at-$1/run" "${@:2}"; }
weftd_at() { # NODE NIC
	local dir=$TMP/at-$1
	mkdir -p "$dir/run" "$dir/state" "$CGROUP/$1"
	(in_ns_exec "$1" "$OUT/weftd" --state-dir "$dir/state" --run-dir "$dir/run" --bpffs "$TMP/bpf/$1" --cgroup "$CGROUP/$1" --nic "$2" \
		--node-name "$1" --workers 1 "${@:3}") 2>>"$TMP/weftd-$1.log" &
	PIDS[$1]=$!
	wait_until 30 weft_at "$1" status --wait
}
with_ca() { echo --ca-cert "$TMP/$1.ca.crt" --ca-key "$TMP/$1.ca.key" --ca-root "$TMP/$1.roots" --workload-cert-ttl 10; }

pod_of() { # NAME NODE ACCOUNT
	cat <<-END
	---
	apiVersion: v1
	kind: Pod
	metadata: {name: $1, namespace: default, labels: {${LABELS[$1]/=/: }}}
	spec: {nodeName: $2, serviceAccountName: $3, containers: [{name: main, image: none}]}
	status:
	  phase: Running
	  podIP: $(addr 4 "$1")
	  podIPs: [{ip: $(addr 4 "$1")}]
	  conditions: [{type: Ready, status: "True"}]
	END
}
rules() {
	pod_of client node client
	pod_of server world web
	cat <<-END
	---
	apiVersion: v1
	kind: Service
	metadata: {name: web, namespace: default}
	spec:
	  clusterIP: $(vip 4 10)
	  selector: {app: web}
	  ports: [{name: http, port: 8000, targetPort: 8080}]
	---
	apiVersion: security.istio.io/v1
	kind: PeerAuthentication
	metadata: {name: default, namespace: istio-system}
	spec: {mtls: {mode: STRICT}}
	END
}

as_client() (
	echo "$BASHPID" >"$CGROUP/node/cgroup.procs"
	in_ns_exec client "$@"
)
ask() { as_client curl -sS --max-time 5 -o /dev/null -w '%{http_code}' -H "x-word: ${1:-word}" "http://$(vip 4 10):8000/" 2>/dev/null || true; }
answers() { [ "$(ask)" = "$1" ]; }
# One connection after the other.
load() {
	while [ ! -e "$TMP/enough" ]; do ask; echo; sleep 0.03; done >"$TMP/load"
}
identity_of() { weft_at "$1" status -o json | jq -r ".identities.$2"; }
ca_is() { [ "$(identity_of "$1" ca.subject)" = "$2" ] && [ "$(identity_of "$1" roots)" = "$3" ]; }
signed() { weft_at "$1" stats weft.identity.signed | awk '{ print $2 }'; }
both() { # CERT ROOT...: and both nodes have taken them
	local node
	for node in node world; do use "$node" "$@"; done
	for node in node world; do wait_until 15 ca_is "$node" "$1" $(($# - 1)); done
	sleep 1
}

node_up
sysctl_in world net/ipv4/ip_forward=1 net/ipv4/conf/all/rp_filter=0
pod_add client 1
LABELS[client]=app=client
server_add
log=$(mktemp "$TMP/serve.XXXXXX")
start_in server "$APPS/http-echo" 8080 server >"$log"
wait_until 5 grep -q listening "$log"
for name in old new stranger; do ca "$name"; done
use node old old
use world old old
# shellcheck disable=SC2046 # words
weftd_at node nic0 $(with_ca node)
# shellcheck disable=SC2046 # words
weftd_at world eth0 $(with_ca world)
for node in world node; do rules | weft_at "$node" apply -f - >/dev/null; done
wait_until 10 answers 200
row "an identity each" "$(identity_of node valid) $(identity_of world valid)" "1 1"

load &
LOAD=$!
before=$(signed node)
sleep "$ROUNDS_S"
[ "$(signed node)" -gt $((before + 1)) ] || fail "certificates are not renewed: $before, then $(signed node)"
both old old new
both new old new
both new new
sleep 12 # what was signed by the old one has ended
touch "$TMP/enough"
wait "$LOAD"
row "requests that fail" "$(grep -cv '^200$' "$TMP/load" || true)" 0
[ "$(wc -l <"$TMP/load")" -gt 100 ] || fail "that was no load: $(wc -l <"$TMP/load") requests"

# A CA of its own, which the other node does not believe.
use node stranger stranger new
wait_until 15 ca_is node stranger 2
start_in world timeout 60 tcpdump -i eth0 --immediate-mode -U -w "$TMP/wire" "tcp and net 10.244.0.0/16" 2>/dev/null
wait_until 5 test -s "$TMP/wire"
wait_until 30 answers 503
row "a CA that is not believed" "$(ask open-sesame)" 503
use node new new
wait_until 15 ca_is node new 1
wait_until 30 answers 200
kill -TERM "${PIDS[node]}"
wait "${PIDS[node]}"
weftd_at node nic0
wait_until 15 answers 503
row "no CA" "$(ask open-sesame)" 503
expect_match "status says so" "$(weft_at node status)" '^certificate  weftd: 1 of this node.s 1 identities have no certificate: mutual TLS is asked for, but'

# A weftd that can't have certificates leaves those that weft-proxy has, until their end; the next weft-proxy has them, too.
again() { # PROGRAMS [OPTION...]
	kill -TERM "${PIDS[node]}"
	wait "${PIDS[node]}"
	OUT=$1
	weftd_at node nic0 "${@:2}"
}
has_drained() { [ "$(weft_at node status -o json | jq '.proxy.draining | length')" = 0 ]; }
mkdir "$TMP/other"
cp "$OUT/weftd" "$OUT/weft" "$OUT/weft-proxy" "$TMP/other/"
printf other >>"$TMP/other/weft-proxy"
again "$OUT" --ca-cert "$TMP/node.ca.crt" --ca-key "$TMP/node.ca.key" --ca-root "$TMP/node.roots" --workload-cert-ttl 3600
wait_until 15 answers 200
again "$OUT"
row "weftd without a CA: at once" "$(ask)" 200
sleep 7 # longer than certificates are waited for
row "weftd without a CA: later" "$(ask)" 200
again "$TMP/other"
wait_until 10 answers 200
wait_until 20 has_drained
row "the next weft-proxy" "$(ask)" 200
row "on the wire in clear" "$(grep -ac open-sesame "$TMP/wire" || true)" 0
rows_end
