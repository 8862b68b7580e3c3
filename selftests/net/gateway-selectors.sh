#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Several Gateways on one port: each is served where a Service of its own selector leads, and one that is bound to an address of the node's
# there alone. HTTP and TCP, from outside and from a pod, by the node's own port, NodePorts, cluster IPs and load balancers' addresses.
. "${0%/*}/lib.sh"

# lb FAMILY NUMBER: addresses that nothing on the node has; own FAMILY: another one of the node's; far FAMILY: nobody's
# at first
lb() { if [ "$1" = 4 ]; then echo "192.0.2.$2"; else echo "2001:db8::$2"; fi; }
own() { if [ "$1" = 4 ]; then echo 10.1.0.11; else echo fd00:1::11; fi; }
far() { if [ "$1" = 4 ]; then echo 203.0.113.7; else echo 2001:db8:7::7; fi; }

# entrance NAME NUMBER VALUE [TYPE]: a Service of gateways' pods that have the label istio=VALUE
entrance() {
	rules_service "$1" "$2" 80,31400 "istio=$3" "type: ${4:-LoadBalancer}" |
		if [ "${4:-}" = ClusterIP ]; then cat; else sed "0,/targetPort/s/targetPort/nodePort: $((30000 + $2)), targetPort/"; fi
	[ "${4:-}" = ClusterIP ] || printf 'status:\n  loadBalancer:\n    ingress: [{ip: %s}, {ip: "%s"}]\n' "$(lb 4 "$2")" "$(lb 6 "$2")"
}

# server NAME VALUE PORT PROTOCOL [BIND]: a Gateway of the selector istio=VALUE
server() {
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: Gateway
	metadata: {name: $1, namespace: default}
	spec:
	  selector: {istio: $2}
	  servers:
	  - {port: {number: $3, name: a, protocol: $4}, hosts: ["*"]${5:+, bind: \"$5\"}}
	END
}

# status FROM ADDRESS PORT [HOST]: of a request's answer; 000: none
status() {
	in_ns "$1" curl -s -o /dev/null -w '%{http_code}' --max-time $((2 * SLOWER)) -H "Host: ${4:-a.example.com}" "http://$(hostport "$2" "$3")/" || true
}

# word FROM ADDRESS PORT: whose answer a connection gets
word() { load "$1" "$2" "$3" -s hello -t $((700 * SLOWER)) | jq -r 'keys[0]'; }

node_up
ip -n "$(netns node)" address add "$(own 4)/24" dev nic0
ip -n "$(netns node)" address add "$(own 6)/64" dev nic0 nodad
pod_add client 1
pod_add one 2
pod_add two 3
echo_start one 9000 one
echo_start two 9000 two
weftd_start

answers() { PROTOCOL=http rules_routes "${3:-*}" "- {directResponse: {status: $2}}" "$1"; }
leads() { rules_routes "*" "- {route: [{destination: {host: $2, port: {number: 9000}}}]}" "$1"; }
{
	rules_pods
	rules_service one 20
	rules_service two 21
	entrance in 10 ingressgateway
	entrance custom 11 custom
	entrance egress 12 egressgateway ClusterIP
	server egress egressgateway 80 HTTP
	server in ingressgateway 80 HTTP
	server custom custom 80 HTTP
	server tcp-in ingressgateway 31400 TCP
	server tcp-custom custom 31400 TCP
	answers egress 205
	answers in 201
	answers custom 203
	leads tcp-in one
	leads tcp-custom two
	for family in 4 6; do
		server bound$family ingressgateway 80 HTTP "$(own $family)"
		answers bound$family 204
		server tcp-bound$family ingressgateway 31400 TCP "$(own $family)"
		leads tcp-bound$family two
		server far$family ingressgateway 84 HTTP "$(far $family)"
		answers far$family 207
		server loopback$family ingressgateway 83 HTTP "$([ $family = 4 ] && echo 127.0.0.1 || echo ::1)"
		answers loopback$family 206
	done
} | apply

far_is() { [ "$(status "$1" "$(far "$2")" 84)" = "$3" ]; }
for family in 4 6; do
	node=$(addr $family node)
	row "IPv$family: a Service's load balancer" "$(status world "$(lb $family 10)" 80)" 201
	row "IPv$family: another one's" "$(status world "$(lb $family 11)" 80)" 203
	row "IPv$family: a NodePort" "$(status world "$node" 30010)" 201
	row "IPv$family: another one's" "$(status world "$node" 30011)" 203
	row "IPv$family: the node's own port is not the egress gateway's, though that is older" "$(status world "$node" 80)" 201
	row "IPv$family: TCP at a load balancer" "$(word world "$(lb $family 10)" 31400)" one
	row "IPv$family: TCP at another one's" "$(word world "$(lb $family 11)" 31400)" two
	row "IPv$family: TCP at the node's own port" "$(word world "$node" 31400)" one

	row "IPv$family: bound to an address of the node's" "$(status world "$(own $family)" 80)" 204
	row "IPv$family: TCP, too" "$(word world "$(own $family)" 31400)" two
	row "IPv$family: a NodePort at that address" "$(status world "$(own $family)" 30010)" 201
	row "IPv$family: bound to a loopback address" "$(status world "$node" 83)" 000

	for caller in world client; do
		row "IPv$family: $caller: an address that is not the node's is not taken" "$(status $caller "$(far $family)" 84)" 000
		ip -n "$(netns node)" address add "$(far $family)/$((family == 4 ? 32 : 128))" dev nic0 nodad
		wait_until 5 far_is $caller $family 207
		ip -n "$(netns node)" address del "$(far $family)/$((family == 4 ? 32 : 128))" dev nic0
	done

	for way in $(ways); do
		callers "$way"
		row "IPv$family: $way: a pod, by a cluster IP" "$(status client "$(vip $family 10)" 80)" 201
		row "IPv$family: $way: a pod, by another one's" "$(status client "$(vip $family 11)" 80)" 203
		row "IPv$family: $way: a pod, the egress gateway" "$(status client "$(vip $family 12)" 80)" 205
		row "IPv$family: $way: a pod, by a load balancer's address" "$(status client "$(lb $family 11)" 80)" 203
		row "IPv$family: $way: a pod, to the bound one" "$(status client "$(own $family)" 80)" 204
		row "IPv$family: $way: a pod, TCP to the bound one" "$(word client "$(own $family)" 31400)" two
		row "IPv$family: $way: a pod, TCP by a cluster IP" "$(word client "$(vip $family 11)" 31400)" two
	done
	callers inside
done
expect_match "a loopback address is warned of" "$(weft analyze 2>&1 || true)" 'bind: 127.0.0.1 is open to the gateway itself alone'

# One that is asked about.
asked() { weft explain --gateway "default/$1" --to "a.example.com:$2" -o json | jq -r .status; }
row "explain: in" "$(asked in 80)" 201
row "explain: by its NodePort" "$(asked in 30010)" 201
row "explain: custom" "$(asked custom 80)" 203
row "explain: egress" "$(asked egress 80)" 205
row "explain: bound" "$(asked bound4 80)" 204
row "explain: TCP" "$(weft explain --gateway default/tcp-custom --to x:31400 -o json | jq -r '.destinations[0].host')" two.default.svc.cluster.local
expect_match "explain: no such port" "$(weft explain --gateway default/custom --to x:31400 2>&1 || true)" 'no server at port 31400, .*: its ports are 80'
expect_match "explain: another one's NodePort" "$(weft explain --gateway default/custom --to x:30010 2>&1 || true)" 'no server at port 30010'

# What leads there may come later, and go.
entrance custom 11 ingressgateway | apply
moved() { [ "$(status world "$(lb 4 11)" 80)" = "$1" ]; }
wait_until 5 moved 201
entrance custom 11 custom | apply
wait_until 5 moved 203
server bound4 ingressgateway 80 HTTP "" | apply
row "no longer bound" "$(status world "$(own 4)" 80)" 201
rows_end
