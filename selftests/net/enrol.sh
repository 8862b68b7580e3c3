#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who is in the mesh, by labels: a pod comes in and leaves without being restarted, keeps what it has open, and is left
# alone while it is outside: what it sends is what the node's own translation, kube-proxy's here, makes of it.
. "${0%/*}/lib.sh"

# namespaces: those of the pods, with the labels that are given as NAME=LABELS
namespaces() {
	local name labels
	for name in default shop; do
		labels=
		for pair; do
			[ "${pair%%=*}" != $name ] || labels=${pair#*=}
		done
		printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {%s}}\n' $name "$labels"
	done
}

# mesh POD: what weft get pods says; columns may be empty
mesh() {
	weft get pods -A -o wide |
		awk -v pod="$1" 'NR == 1 { at = index($0, "MESH") } $2 == pod { split(substr($0, at), word, " "); print word[1] }'
}

# By kube-proxy everything goes to `one`, by weft's rules to `two`.
kube_proxy() {
	local family tables
	for family in 4 6; do
		tables=iptables
		[ $family = 4 ] || tables=ip6tables
		in_ns node $tables -w -t nat -A PREROUTING -d "$(vip $family 10)" -p tcp --dport 9000 -j DNAT \
			--to-destination "$(hostport "$(addr $family one)" 9000)"
		in_ns node $tables -w -t nat -A PREROUTING -d "$(vip $family 20)" -p tcp --dport 80 -j DNAT \
			--to-destination "$(hostport "$(addr $family one)" 8080)"
	done
}

# tcp_by POD FAMILY, http_by POD FAMILY: who answers
tcp_by() { load "$1" "$(vip "$2" 10)" 9000 -n 3 -s hello; }
http_by() { http_load "$1" "$(vip "$2" 20)" 80 -n 3 --close | jq -c .words; }

# is_in POD, is_out POD: for sockets, packets and requests, in both families
is_in() {
	local family
	for family in 4 6; do
		row "$1, IPv$family: TCP by the rule" "$(tcp_by "$1" $family)" '{"two":3}'
		row "$1, IPv$family: HTTP by the rule" "$(http_by "$1" $family)" '{"two":3}'
	done
}
is_out() {
	local family
	for family in 4 6; do
		row "$1, IPv$family: TCP by kube-proxy" "$(tcp_by "$1" $family)" '{"one":3}'
		row "$1, IPv$family: HTTP by kube-proxy" "$(http_by "$1" $family)" '{"one":3}'
	done
}

# connections of weft's that were ever made, and reasons that were ever counted
made() { weft stats upstream_cx_total | awk '{ n += $2 } END { print n + 0 }'; }
reasons() { weft stats reason. | awk '$2 { n += $2 } END { print n + 0 }'; }

objects() {
	namespaces "$@"
	rules_pods
}

node_up
pod_add client 1
NS=shop pod_add buyer 2
pod_add one 3 app=echo,version=v1
pod_add two 4 app=echo,version=v2
for pod in one two; do
	echo_start $pod 9000 $pod
	http_echo_start $pod 8080 $pod
done
kube_proxy
weftd_start --enrol labelled --shortcut always
{
	objects
	rules_service echo 10
	PROTOCOL=http rules_service web 20 80:8080 app=echo
	rules_subsets echo "v1 v2"
	rules_subsets web "v1 v2"
	rules_weights echo v2
	PROTOCOL=http rules_weights web v2
} | apply

say "nobody has said anything"
expect_eq "in the mesh" "$(mesh client),$(mesh buyer)" no,no
expect_match "why" "$(weft describe pod client)" 'not in: namespace default has no label for the mesh'
expect_match "explain" "$(weft explain --from client --to echo:9000)" 'passthrough: pod default/client is not in the mesh'
expect_match "explain, HTTP" "$(weft explain --from client --to web:80)" 'passthrough: pod default/client is not in the mesh'
expect_match "analyze" "$(weft analyze 2>&1)" 'namespace default has no label for the mesh, while it has rules.*IST0102'
expect_eq "status" "$(weft status -o json | jq -c '[.enrol, .pods, .pods_enrolled]')" '["labelled",4,0]'
is_out client
is_out buyer
expect_eq "weft has made connections, counted reasons" "$(made),$(reasons)" 0,0
expect_eq "weft has short cuts" "$(map_dump shortcuts | jq length)" 0
load_start client "$TMP/outside" "$(vip 4 10)" 9000 -n 1 -s hello -k $((60000 * SLOWER)) --every 100 --end hold
OUTSIDE=$STARTED
wait_until 5 in_ns client sh -c "ss -Htn state established dst $(vip 4 10) | grep -q ."

say "one namespace comes in"
objects "default=istio-injection: enabled" | apply
expect_eq "in the mesh" "$(mesh client),$(mesh buyer)" yes,no
expect_match "why" "$(weft describe pod client)" 'in: namespace default has istio-injection=enabled'
expect_match "explain" "$(weft explain --from client --to echo:9000)" '^action: route'
expect_eq "status" "$(weft status -o json | jq .pods_enrolled)" 3
is_in client
is_out buyer
expect_eq "of weft's: those of the client alone" "$(cluster_stat v2 upstream_cx_total)" 6

say "the same by packets, past the programs on connect()"
expect_eq "client" "$(outside in_ns client "$APPS/tcp-load" "$(vip 4 10)" 9000 -n 3 -s hello)" '{"two":3}'
expect_eq "buyer" "$(outside in_ns buyer "$APPS/tcp-load" "$(vip 4 10)" 9000 -n 3 -s hello)" '{"one":3}'

say "what is open stays as it is, also when the namespace leaves"
load_start client "$TMP/socket" "$(vip 4 10)" 9000 -n 1 -s hello -k $((60000 * SLOWER)) --every 50 --end hold --ready "$TMP/socket.ready"
SOCKET=$STARTED
callers outside
load_start client "$TMP/packets" "$(vip 4 10)" 9000 -n 1 -s hello -k $((60000 * SLOWER)) --every 50 --end hold --ready "$TMP/packets.ready"
PACKETS=$STARTED
callers inside
http_load_start client "$TMP/requests" "$(vip 4 20)" 80 -d $((6 * SLOWER)) -r 10
REQUESTS=$STARTED
wait_until 5 test -e "$TMP/socket.ready"
wait_until 5 test -e "$TMP/packets.ready"
sleep 0.5
expect_eq "connections that weft has for it" "$(cluster_stat v2 upstream_cx_active)" 2
objects "default=istio-injection: disabled" "shop=istio.io/dataplane-mode: ambient" | apply
expect_eq "in the mesh" "$(mesh client),$(mesh buyer)" no,yes
is_out client
is_in buyer
expect_eq "connections that weft has for it" "$(cluster_stat v2 upstream_cx_active)" 2
wait "$REQUESTS" || true
expect_eq "requests on one connection, all answered by the rule" \
	"$(jq -c '[(.statuses | keys), (.words | keys), .errors, .connections]' "$TMP/requests")" '[["200"],["two"],{},1]'
for held in "$OUTSIDE" "$SOCKET" "$PACKETS"; do
	kill -TERM "$held"
	wait "$held" || true
done
expect_eq "a connection from before it came in" "$(cat "$TMP/outside")" '{"one":1}'
expect_eq "one of a socket" "$(cat "$TMP/socket")" '{"two":1}'
expect_eq "one of packets" "$(cat "$TMP/packets")" '{"two":1}'
wait_until 5 no_conns

say "one pod by its own label, in a namespace that says nothing"
LABELS[client]="sidecar.istio.io/inject=true"
objects | apply
is_in client
is_out buyer
LABELS[client]=
objects "default=istio.io/rev: stable" | apply
is_in client
LABELS[client]="istio.io/dataplane-mode=none"
objects "default=istio.io/rev: stable" | apply
is_out client

say "a new weftd, and one that dies, change nothing"
objects "shop=istio-injection: enabled" | apply
weftd_kill9
is_out client
is_in buyer
weftd_start --enrol labelled --shortcut always
is_out client
is_in buyer

say "a pod that comes after its object, and before it"
NS=shop pod_add early 5
objects "shop=istio-injection: enabled" | apply
is_in early
PODS+=(late:shop)
NUMBER[late]=6 LABELS[late]='' NET4[late]=10.244.0 NET6[late]=fd00:244:
objects "shop=istio-injection: enabled" | apply
rules_forget late
NS=shop pod_add late 6
wait_until 5 pods_attached late
is_in late

say "hostNetwork"
cat <<-END | apply
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: shop}
spec: {hostNetwork: true}
status: {phase: Running, podIP: 10.1.0.1}
END
expect_eq "in the mesh" "$(mesh agent)" no
expect_match "why" "$(weft describe pod agent -n shop)" 'not in: hostNetwork'
expect_match "explain" "$(weft explain --from shop/agent --to echo.default:9000)" 'passthrough: pod shop/agent is not in the mesh .hostNetwork'

say "a Gateway answers to anybody"
{
	rules_gateway door 31400
	rules_routes "*" "- {match: [{port: 31400}], route: [{destination: {host: echo, port: {number: 9000}, subset: v2}}]}" door
	PROTOCOL=http rules_gateway web-door 31380
	PROTOCOL=http rules_routes "*" "- route: [{destination: {host: web, port: {number: 80}, subset: v2}}]" web-door
	rules_ingress 30 31400:30400 31380:30380
} | apply
for family in 4 6; do
	row "IPv$family: a pod outside of the mesh" "$(load client "$(addr $family node)" 31400 -n 3 -s hello)" '{"two":3}'
	row "IPv$family: by HTTP" "$(http_load client "$(addr $family node)" 31380 -n 3 | jq -c .words)" '{"two":3}'
	row "IPv$family: by the Gateway's Service" "$(load client "$(vip $family 30)" 31400 -n 3 -s hello)" '{"two":3}'
	row "IPv$family: the same by HTTP" "$(http_load client "$(vip $family 30)" 31380 -n 3 | jq -c .words)" '{"two":3}'
	row "IPv$family: by its NodePort" "$(load client "$(addr $family node)" 30400 -n 3 -s hello)" '{"two":3}'
	row "IPv$family: a pod of the mesh" "$(load buyer "$(addr $family node)" 31400 -n 3 -s hello)" '{"two":3}'
done

expect_match "explain" "$(weft explain --from client --to ingress.istio-system:31400)" '^action: route'
expect_match "explain, HTTP" "$(weft explain --from client --to ingress.istio-system:31380)" '^action: route'

say "all of them"
weftd_stop
weftd_start --shortcut always
is_in client
is_in buyer
expect_eq "in the mesh" "$(mesh client),$(mesh agent)" yes,no
rows_end
