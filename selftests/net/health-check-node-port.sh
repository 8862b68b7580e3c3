#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a load balancer asks a node: the healthCheckNodePort of a Service with externalTrafficPolicy Local is answered as by kube-proxy, at each
# of the node's addresses, follows endpoints at once, and is left to another process that has the port. What is called then is served by this
# node's endpoints or not at all: through tc and through XDP, and at a Gateway.
. "${0%/*}/lib.sh"

lb() { if [ "$1" = 4 ]; then echo "192.0.2.$2"; else echo "2001:db8::$2"; fi; }

# balanced NAME NUMBER PORTS SELECTOR [MORE]: a Service with externalTrafficPolicy Local; it asks for its health at 32000 + NUMBER
balanced() {
	rules_service "$1" "$2" "$3" "$4" "$(printf 'type: LoadBalancer\nexternalTrafficPolicy: Local\nhealthCheckNodePort: %s\n%s' $((32000 + $2)) "${5:-}")" |
		sed "0,/targetPort/s/targetPort/nodePort: $((30000 + $2)), targetPort/"
	printf 'status:\n  loadBalancer:\n    ingress: [{ip: %s}, {ip: "%s"}]\n' "$(lb 4 "$2")" "$(lb 6 "$2")"
}

# slice NAME POD NODE READY: the endpoint of a Service, of both families
slice() {
	local family
	for family in 4 6; do
		cat <<-END
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		metadata: {name: $1-$2-$family, namespace: default, labels: {kubernetes.io/service-name: $1}}
		addressType: IPv$family
		ports: [{name: tcp-9000, port: 9000}]
		endpoints:
		- {addresses: ["$(addr $family "$2")"], nodeName: $3, conditions: {ready: $4, serving: $4, terminating: false}}
		END
	done
}

# ask ADDRESS PORT: "STATUS ENDPOINTS WEIGHT"
ask() {
	local out
	out=$(in_ns world curl -s -i --max-time $((2 * SLOWER)) "http://$(hostport "$1" "$2")/" | tr -d '\r') || { echo none; return 0; }
	printf '%s %s %s\n' "$(sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p' <<<"$out")" \
		"$(sed -n '/^$/,$p' <<<"$out" | jq -r '"\(.service.namespace)/\(.service.name)=\(.localEndpoints)"')" \
		"$(sed -n 's/^X-Load-Balancing-Endpoint-Weight: //p' <<<"$out")"
}

# words FROM ADDRESS PORT: whose answers 10 connections get
words() { load "$1" "$2" "$3" -n 10 -s hello -t $((700 * SLOWER)) | jq -c keys; }

node_up
pod_add one 2 app=echo
pod_add two 4 app=echo
remote_add far 3 app=echo
outside_add other 5
echo_start one 9000 one
echo_start two 9000 two
echo_start far 9000 far
weftd_start --node-name here --health-port-wait 0
{
	rules_pods
	balanced local 10 9000 app=echo
	slice local one here true
	slice local far there true
	balanced away 11 9000 app=far
	slice away far there true
	balanced ingress 12 80,31400 istio=ingressgateway
	rules_service cluster 13 9000 app=echo "$(printf 'type: LoadBalancer\nhealthCheckNodePort: 32013')"
	PROTOCOL=http rules_gateway door 80
	PROTOCOL=http rules_routes "*" "- {directResponse: {status: 201}}" door
	rules_gateway tcp-door 31400
	rules_routes "*" "- {route: [{destination: {host: local, port: {number: 9000}}}]}" tcp-door
} | apply

answered() { [[ $(ask "$(addr 4 node)" "$1") = "$2"* ]]; }
wait_until 5 answered 32010 200
for family in 4 6; do
	row "IPv$family: an endpoint here" "$(ask "$(addr $family node)" 32010)" "200 default/local=1 1"
	row "IPv$family: none here" "$(ask "$(addr $family node)" 32011)" "503 default/away=0 0"
	row "IPv$family: a Gateway, which every node serves" "$(ask "$(addr $family node)" 32012)" "200 default/ingress=1 1"
	row "IPv$family: externalTrafficPolicy Cluster has none" "$(ask "$(addr $family node)" 32013)" none
done
row "from another node" "$(in_ns other curl -s -o /dev/null -w '%{http_code}' "http://$(hostport "$(addr 4 node)" 32010)/healthz")" 200
expect_match "status" "$(weft status)" 'health port  32010 of service default/local: 1 endpoints here'

# At once: what was applied before the question counts.
slice local two here true | apply
row "an endpoint more" "$(ask "$(addr 4 node)" 32010)" "200 default/local=2 2"
{ slice local one here false; slice local two here false; } | apply
row "none is ready" "$(ask "$(addr 4 node)" 32010)" "503 default/local=0 0"
{ slice local one here true; slice local two here true; } | apply
row "both are again" "$(ask "$(addr 4 node)" 32010)" "200 default/local=2 2"
weft delete endpointslices local-two-4 local-two-6 >/dev/null
row "one is gone" "$(ask "$(addr 4 node)" 32010)" "200 default/local=1 1"

# Callers that say nothing, or a byte now and then, keep nobody else from an answer, and not for long.
in_ns world /usr/bin/python3 - "$(addr 4 node)" 32010 >"$TMP/silent" <<-END &
	import socket, sys, time
	to = sys.argv[1], int(sys.argv[2])
	calls = [socket.create_connection(to) for _ in range(40)]
	print("called", flush=True)
	ended, begun = 0, time.monotonic()
	slow = calls[0]
	while time.monotonic() - begun < 8 * $SLOWER and not ended:
	    try:
	        slow.send(b"G")
	        time.sleep(0.5)
	    except OSError:
	        ended = 1
	print("ended", ended, flush=True)
	time.sleep(1)
END
silent=$!
wait_until 5 grep -q called "$TMP/silent"
row "others are silent" "$(in_ns other curl -s -o /dev/null -w '%{http_code}' --max-time 2 "http://$(hostport "$(addr 4 node)" 32010)/")" 200
wait_until $((10 * SLOWER)) grep -q "ended 1" "$TMP/silent"
wait "$silent"
row "and again from there" "$(ask "$(addr 4 node)" 32010)" "200 default/local=1 1"

# Another process, as kube-proxy is, keeps the port while it has it.
start_in node /usr/bin/python3 -m http.server 32014 --bind 0.0.0.0 >/dev/null 2>&1
other=$STARTED
listens() { in_ns node ss -Hltn sport = :32014 | grep -q .; }
wait_until 5 listens
balanced taken 14 9000 app=echo | apply
told() { [[ $(weft status) = *'health port  32014 of service default/taken: left to another process (Address already in use)'* ]]; }
wait_until 5 told
row "weftd is ready all the same" "$(weft status -o json | jq .ready)" true
kill "$other"
wait_until 15 answered 32014 "503 default/taken"
weft delete service taken >/dev/null
gone() { ! listens; }
wait_until 5 gone
say "ok: of a Service that is gone"

# It outlives a change of its port, and weftd's end is noticed.
balanced local 10 9000 app=echo | sed 's/32010/32110/' | apply
wait_until 5 answered 32110 200
balanced local 10 9000 app=echo | apply
wait_until 5 answered 32010 200

# ---- what is called then ----

local_only() { # WHAT
	local family before
	for family in 4 6; do
		row "IPv$family: $1: this node's endpoints alone" "$(words other "$(lb $family 10)" 9000)" '["one"]'
		row "IPv$family: $1: by the NodePort" "$(words other "$(addr $family node)" 30010)" '["one"]'
		before=$(stat_of weft.reason.no_local)
		row "IPv$family: $1: none here: dropped" "$(load other "$(lb $family 11)" 9000 -t 500)" '{"timeout":1}'
		row "IPv$family: $1: by the NodePort: dropped" "$(load other "$(addr $family node)" 30011 -t 500)" '{"timeout":1}'
		row "IPv$family: $1: which is counted" "$(($(stat_of weft.reason.no_local) >= before + 2))" 1
		load_start other "$TMP/held" "$(lb $family 10)" 9000 -s hello -e hold -k 60000
		wait_until 5 sh -c "nsenter --net=/run/netns/$(netns one) ss -Htn state established sport = :9000 | grep -qF '$(addr $family other)'"
		say "ok: IPv$family: $1: the client's address is kept"
		kill "$STARTED"
		row "IPv$family: $1: a Gateway's HTTP" "$(in_ns other curl -s -o /dev/null -w '%{http_code}' "http://$(hostport "$(lb $family 12)" 80)/")" 201
		row "IPv$family: $1: a Gateway's TCP is to all endpoints" "$(words other "$(lb $family 12)" 31400)" '["far","one"]'
	done
}

local_only tc
weftd_stop
weftd_start --node-name here --health-port-wait 0 --xdp generic
wait_until 5 answered 32010 200
row "after a restart" "$(ask "$(addr 6 node)" 32010)" "200 default/local=1 1"
local_only "generic XDP"
weftd_stop
weftd_start --node-name here --health-port-wait 4 --xdp native
row "kube-proxy may come first" "$(ask "$(addr 4 node)" 32010)" none
expect_match "which is told" "$(weft status)" 'health port  32010 of service default/local: left to another process \(which may come still\)'
wait_until 20 answered 32010 200
local_only "native XDP"
rows_end
wait_until 30 no_conns
