#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weftd --outbound-traffic-policy REGISTRY_ONLY: what pods of the mesh call that nothing knows is refused at once, by connect() and by
# packets, and counted as BlackHoleCluster; what a Service knows, pods, and what comes from elsewhere is not.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add one 2 app=echo
pod_add alone 3 istio.io/dataplane-mode=none
echo_start client 9000,9400 client
echo_start one 9000,9001 one
http_echo_start one 8080 one
echo_start world 9000,9100,9200,9400,9500,9600,8444 world
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/key" -out "$TMP/crt" -subj /CN=root -days 30 2>/dev/null
tls_log=$(mktemp "$TMP/app.XXXXXX")
start_in world /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" serve 8443 world "$TMP/crt" "$TMP/key" >"$tls_log"
wait_until 10 grep -q listening "$tls_log"
echo_start node 9000,53 node
in_ns node ip addr add 169.254.20.10/32 dev lo
weftd_start --outbound-traffic-policy REGISTRY_ONLY --enrol labelled

# known NAME PORT CLUSTER-IPS...: a Service without a selector, whose endpoint is in the outside world
known() {
	local name=$1 port=$2
	cat <<-END
	---
	apiVersion: v1
	kind: Service
	metadata: {name: $name}
	spec:
	  clusterIP: $3
	  clusterIPs: [$(tr ' ' , <<<"${*:3}")]
	  ports: [{name: tcp, port: $port}]
	---
	apiVersion: v1
	kind: Endpoints
	metadata: {name: $name}
	subsets:
	- addresses: [{ip: $(addr 4 world)}]
	  ports: [{name: tcp, port: $port}]
	---
	apiVersion: discovery.k8s.io/v1
	kind: EndpointSlice
	metadata: {name: $name-6, labels: {kubernetes.io/service-name: $name}}
	addressType: IPv6
	endpoints: [{addresses: ["$(addr 6 world)"]}]
	ports: [{name: tcp, port: $port}]
	---
	apiVersion: discovery.k8s.io/v1
	kind: EndpointSlice
	metadata: {name: $name-4, labels: {kubernetes.io/service-name: $name}}
	addressType: IPv4
	endpoints: [{addresses: ["$(addr 4 world)"]}]
	ports: [{name: tcp, port: $port}]
	END
}
rules() {
	echo '{apiVersion: v1, kind: Namespace, metadata: {name: default, labels: {istio-injection: enabled}}}'
	rules_pods
	rules_service echo 10
	known outside 9100 "$(vip 4 20)" "$(vip 6 20)"
	known headless 9200 None
	cat <<-END
	---
	apiVersion: v1
	kind: Service
	metadata: {name: web}
	spec:
	  clusterIP: $(vip 4 30)
	  clusterIPs: ["$(vip 4 30)", "$(vip 6 30)"]
	  selector: {app: echo}
	  ports: [{name: http, port: 80, targetPort: 8080}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: web}
	spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
	END
}
# entry NAME PORT PROTOCOL [SPEC]: a ServiceEntry
entry() {
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: ServiceEntry
	metadata: {name: $1}
	spec: {hosts: [$1.example.com], ports: [{number: $2, name: port, protocol: $3}]${4:+, $4}}
	END
}
entries() {
	entry any 9400 TCP "resolution: STATIC, endpoints: [{address: $(addr 4 one), ports: {port: 9001}}, {address: '$(addr 6 one)', ports: {port: 9001}}]"
	entry range 9500 TCP "addresses: [203.0.113.0/24, '2001:db8:113::/48']"
	entry hidden 9600 TCP "exportTo: [elsewhere], addresses: [$(addr 4 world), '$(addr 6 world)']"
	entry tls 8443 TLS "resolution: STATIC, endpoints: [{address: $(addr 4 world)}, {address: '$(addr 6 world)'}]"
	entry plain 8444 TLS "resolution: STATIC, endpoints: [{address: $(addr 4 world)}, {address: '$(addr 6 world)'}]"
	sed s/tls.example/'"*.wide.example'/\;s/'com\]'/'com"]'/ <<<"$(entry tls 8443 TLS | sed 's/name: tls/name: wide/')"
}
# tls FAMILY SNI: the server that answers
tls() { in_ns client /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" ask "$(addr "$1" world)" 8443 "$2" "$TMP/crt" 1 2>/dev/null | cut -d' ' -f1,2; }
# status HOST FAMILY: of a request to the Service's address
status() { in_ns client curl -gs -o /dev/null -w '%{http_code}' -m 10 -H "Host: $1" "http://$(hostport "$(vip "$2" 30)" 80)/"; }
refused() { stat_of weft.reason.unregistered; }
rules | apply

for family in 4 6; do
	far=$(addr $family world)
	for where in inside outside; do
		callers $where
		before=$(refused)
		start=$(milliseconds)
		row "IPv$family $where: the outside" "$(load client "$far" 9000 -n 5 -s hello)" '{"ECONNREFUSED":5}'
		expect_took "at once" $(($(milliseconds) - start)) 0 900
		row "counted" $(($(refused) - before)) 5
		row "as Envoy counts it" "$(stat_of cluster.BlackHoleCluster.upstream_cx_none_healthy)" $((before + 5))
		row "a Service" "$(load client "$(vip $family 10)" 9000 -n 5 -s hello)" '{"one":5}'
		row "a port that no Service has" "$(load client "$(vip $family 10)" 9002 -n 2)" '{"ECONNREFUSED":2}'
		row "a Service whose endpoint is outside" "$(load client "$(vip $family 20)" 9100 -n 5 -s hello)" '{"world":5}'
		row "its endpoint, called directly" "$(load client "$far" 9100 -n 2 -s hello)" '{"ECONNREFUSED":2}'
		row "the endpoint of a headless Service" "$(load client "$far" 9200 -n 5 -s hello)" '{"world":5}'
		row "a pod" "$(load client "$(addr $family one)" 9001 -n 5 -s hello)" '{"one":5}'
		row "the node" "$(load client "$(addr $family node)" 9000 -n 2 -s hello)" '{"ECONNREFUSED":2}'
		row "the node's DNS" "$(load client "$(addr $family node)" 53 -n 2 -s hello)" '{"node":2}'
		[ $family = 6 ] || row "a cache of DNS on the node" "$(load client 169.254.20.10 53 -n 2 -s hello)" '{"node":2}'
		[ $family = 6 ] || row "at another port" "$(load client 169.254.20.10 9000 -n 2 -s hello)" '{"ECONNREFUSED":2}'
		row "a pod outside of the mesh" "$(load alone "$far" 9000 -n 5 -s hello)" '{"world":5}'
		row "to a pod, from outside" "$(load world "$(addr $family one)" 9000 -n 5 -s hello)" '{"one":5}'
	done
	callers inside
	loop=127.0.0.1
	[ $family = 4 ] || loop=::1
	row "IPv$family: the pod's own loopback" "$(load client $loop 9000 -n 2 -s hello)" '{"client":2}'
	row "a host that the registry has" "$(status web $family)" 200
	row "a host that it has not" "$(status www.example.com $family)" 502
	row "its own address" "$(load client "$(addr $family client)" 9000 -n 2 -s hello)" '{"client":2}'
done

say "beside ServiceEntries"
entries | apply
callers inside
for family in 4 6; do
	far=$(addr $family world)
	loop=127.0.0.1
	[ $family = 4 ] || loop=::1
	row "IPv$family: a port at any address" "$(load client "$far" 9400 -n 2 -s hello)" '{"one":2}'
	row "IPv$family: but the pod's own loopback" "$(load client $loop 9400 -n 2 -s hello)" '{"client":2}'
	before=$(refused)
	row "IPv$family: outside of its subnet" "$(load client "$far" 9500 -n 2)" '{"ECONNREFUSED":2}'
	row "IPv$family: a host that others see" "$(load client "$far" 9600 -n 2)" '{"ECONNREFUSED":2}'
	row "IPv$family: counted" $(($(refused) - before)) 4
	row "IPv$family: a name that an entry has" "$(tls $family tls.example.com)" "world tls.example.com"
	row "IPv$family: one that a wildcard has" "$(tls $family a.wide.example.com)" "world a.wide.example.com"
	row "IPv$family: one that none has" "$(tls $family unknown.example.net)" reset
	row "IPv$family: none" "$(tls $family -)" reset
	row "IPv$family: no TLS" "$(load client "$far" 8444 -n 2 -s hello | jq 'has("world")')" false
done
expect_match "why" "$(weft explain --from client --to "$(addr 4 world):9500")" "REGISTRY_ONLY.*BlackHoleCluster"
entries | weft delete -f - >/dev/null
callers outside

expect_match "why" "$(weft explain --from client --to "$(addr 4 world):9000")" "REGISTRY_ONLY.*BlackHoleCluster"
expect_eq "what a headless Service knows" "$(weft explain --from client --to "$(addr 4 world):9200" -o json | jq -r .action)" passthrough
expect_eq "a pod" "$(weft explain --from client --to "$(addr 4 one):9001" -o json | jq -r .action)" passthrough
expect_eq "a name that is none" "$(weft explain --from client --to www.example.com:443 -o json | jq -r .action)" refuse
expect_eq "status" "$(weft status -o json | jq -r .outbound_traffic_policy)" REGISTRY_ONLY

say "UDP is no business of weft's"
# A port that nobody has: that it says so shows that the datagram has come there.
expect_match "UDP" "$(in_ns client bash -c 'exec 3<>"/dev/udp/$0/5300"; echo 1 >&3; sleep 0.3; echo 2 >&3' "$(addr 4 world)" 2>&1)" \
	"Connection refused"

say "the Service goes, and what it knew with it"
known headless 9200 None | weft delete -f - >/dev/null
row "no longer known" "$(load client "$(addr 4 world)" 9200 -n 2 -s hello)" '{"ECONNREFUSED":2}'

weftd_stop
row "while no weftd runs" "$(load client "$(addr 4 world)" 9000 -n 2)" '{"ECONNREFUSED":2}'
weftd_start --enrol labelled
row "ALLOW_ANY" "$(load client "$(addr 4 world)" 9000 -n 5 -s hello)" '{"world":5}'
expect_eq "status" "$(weft status -o json | jq -r .outbound_traffic_policy)" ALLOW_ANY
expect_eq "explain" "$(weft explain --from client --to www.example.com:443 -o json | jq -r .action)" passthrough
rows_end
