#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a load balancer sends to a node as it is, to its own address, is served, and so are a Service's external IPs and NodePorts: of plain
# Services, by endpoints on either node or, with externalTrafficPolicy Local, on this one alone; of Gateways, TCP and HTTP.
# Source ranges close what they close. A pod that calls such an address gets there by the mesh's rules, unless the balancer is a
# proxy. All of it beside kube-proxy, whose rules would lead elsewhere.
. "${0%/*}/lib.sh"

# lb FAMILY NUMBER, ext FAMILY NUMBER: addresses that nothing on the node has
lb() { if [ "$1" = 4 ]; then echo "192.0.2.$2"; else echo "2001:db8::$2"; fi; }
ext() { if [ "$1" = 4 ]; then echo "198.51.100.$2"; else echo "2001:db8:1::$2"; fi; }

# balanced NAME NUMBER PORTS SELECTOR [MORE]: rules_service behind a load balancer, also by an external IP, and by the NodePort
# 30000 + NUMBER for the first port
balanced() {
	rules_service "$1" "$2" "$3" "$4" "$(printf 'type: LoadBalancer\nexternalIPs: [%s, "%s"]\n%s' "$(ext 4 "$2")" "$(ext 6 "$2")" "${5:-}")" |
		sed "0,/targetPort/s/targetPort/nodePort: $((30000 + $2)), targetPort/"
	cat <<-END
	status:
	  loadBalancer:
	    ingress:
	    - {ip: $(lb 4 "$2"), ipMode: VIP}
	    - {ip: "$(lb 6 "$2")"}
	    - {ip: $(lb 4 "$((100 + $2))"), ipMode: Proxy}
	    - {ip: "$(lb 6 "$((100 + $2))")", ipMode: Proxy}
	    - {hostname: balancer.example.com}
	END
}

# located: the Pods of stdin on their nodes
located() {
	awk '/^  name:/ { node = $2 ~ /^far/ ? "there" : "here" } { print } /^spec:/ && node { print "  nodeName: " node; node = "" }'
}

# words FROM ADDRESS PORT: whose answers 20 connections get
words() { load "$1" "$2" "$3" -n 20 -s hello -t $((700 * SLOWER)) | jq -c keys; }

node_up
pod_add client 1 app=client
pod_add one 2 app=echo,version=v1
remote_add far 3 app=echo,version=v2
NS=apart pod_add apart 4 app=apart
outside_add other 5
outside_add balancer 6
for family in 4 6; do
	ip -n "$(netns balancer)" address add "$(lb $family 110)/$([ $family = 4 ] && echo 32 || echo 128)" dev lo
	ip -n "$(netns world)" route add "$(lb $family 110)" via "$([ $family = 4 ] && echo 10.246.6.2 || echo fd00:246:6::2)"
done
echo_start one 9000 one
echo_start far 9000 far
echo_start balancer 9000 balancer
echo_start node 9107 node
http_echo_start one 8080 one
weftd_start --node-name here --enrol labelled

{
	printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {istio-injection: enabled}}\n'
	rules_pods | located
	balanced echo 10 9000 app=echo
	balanced local 11 9000 app=echo "externalTrafficPolicy: Local"
	balanced away 12 9000 app=echo,version=v2 "externalTrafficPolicy: Local"
	balanced guarded 13 9000 app=echo "loadBalancerSourceRanges: [$(addr 4 world)/32, \"$(addr 6 world)/128\"]"
	PROTOCOL=http balanced web 14 80:8080 app=echo,version=v1
	balanced ingress 15 80,31400 istio=ingressgateway
	balanced shut 16 31400 istio=ingressgateway "loadBalancerSourceRanges: [$(addr 4 other)/32, \"$(addr 6 other)/128\"]"
	rules_subsets echo "v1 v2"
	rules_weights echo v1
	PROTOCOL=http rules_routes web "- {route: [{destination: {host: web}}], headers: {response: {set: {x-by: rule}}}}"
	# called at the node's own address, as its endpoint is: a process of the node
	rules_elsewhere own 17 9107 "$(addr 4 node)" "$(addr 6 node)" 9107 |
		sed "s/^  clusterIP:.*/&\n  externalIPs: [$(addr 4 node), \"$(addr 6 node)\"]/"
	PROTOCOL=http rules_gateway door 80
	PROTOCOL=http rules_routes "*" "- {route: [{destination: {host: web}}], headers: {response: {set: {x-by: door}}}}" door
	rules_gateway tcp-door 31400
	rules_routes "*" "- {match: [{port: 31400}], route: [{destination: {host: echo, port: {number: 9000}, subset: v1}}]}" tcp-door
} | apply

from_outside() { # WHAT
	local family
	for family in 4 6; do
		row "IPv$family: $1: both nodes' endpoints" "$(words other "$(lb $family 10)" 9000)" '["far","one"]'
		row "IPv$family: $1: at an external IP" "$(words other "$(ext $family 10)" 9000)" '["far","one"]'
		row "IPv$family: $1: Local" "$(words other "$(lb $family 11)" 9000)" '["one"]'
		row "IPv$family: $1: Local, at an external IP" "$(words other "$(ext $family 11)" 9000)" '["one"]'
		row "IPv$family: $1: from a source range" "$(words world "$(lb $family 13)" 9000)" '["far","one"]'
		row "IPv$family: $1: from no source range, at an external IP" "$(words other "$(ext $family 13)" 9000)" '["far","one"]'
		row "IPv$family: $1: a Gateway's TCP" "$(words other "$(lb $family 15)" 31400)" '["one"]'
		row "IPv$family: $1: from a source range of a Gateway's" "$(words other "$(lb $family 16)" 31400)" '["one"]'
		row "IPv$family: $1: a Gateway's HTTP" "$(http_load other "$(lb $family 15)" 80 -n 20 -c 2 --count x-by | jq -c .words)" '{"door":20}'
		row "IPv$family: $1: a Gateway's HTTP, at an external IP" "$(http_load other "$(ext $family 15)" 80 -n 20 -c 2 --count x-by | jq -c .words)" '{"door":20}'
		row "IPv$family: $1: by its NodePort" "$(words other "$(addr $family node)" 30010)" '["far","one"]'
		row "IPv$family: $1: Local, by its NodePort" "$(words other "$(addr $family node)" 30011)" '["one"]'
		row "IPv$family: $1: HTTP of a plain Service" "$(http_load other "$(lb $family 14)" 80 -n 20 --count x-by | jq -c .words)" '{"none":20}'
	done
}

from_outside alone
for family in 4 6; do
	before=$(stat_of weft.reason.no_local)
	row "IPv$family: Local, with no endpoint here" "$(load other "$(lb $family 12)" 9000 -t 500)" '{"timeout":1}'
	row "IPv$family: which is counted" "$(($(stat_of weft.reason.no_local) > before))" 1
	before=$(stat_of weft.reason.source_range)
	row "IPv$family: from no source range" "$(load other "$(lb $family 13)" 9000 -t 500)" '{"timeout":1}'
	row "IPv$family: from no source range of a Gateway's" "$(load world "$(lb $family 16)" 31400 -t 500)" '{"timeout":1}'
	row "IPv$family: which is counted" "$(($(stat_of weft.reason.source_range) >= before + 2))" 1

	# The endpoint sees who calls; what goes to the other node comes from this one.
	load_start other "$TMP/held" "$(lb $family 11)" 9000 -s hello -e hold -k 60000
	held=$STARTED
	wait_until 5 sh -c "nsenter --net=/run/netns/$(netns one) ss -Htn state established sport = :9000 | grep -qF '$(addr $family other)'"
	say "ok: IPv$family: Local keeps the client's address"
	row "IPv$family: conns has the Service's name" "$(weft conns -o json | jq -r '[.[].service] | unique | join(",")')" default/local:9000
	kill "$held"
done

for way in $(ways); do
	callers "$way"
	for family in 4 6; do
		row "IPv$family: $way: a pod, by the mesh's rule" "$(words client "$(lb $family 10)" 9000)" '["one"]'
		row "IPv$family: $way: a pod, at an external IP" "$(words client "$(ext $family 10)" 9000)" '["one"]'
		row "IPv$family: $way: a pod, Local is for callers from outside" "$(words client "$(lb $family 12)" 9000)" '["far"]'
		row "IPv$family: $way: a pod, by a NodePort" "$(words client "$(addr $family node)" 30010)" '["far","one"]'
		row "IPv$family: $way: a pod, by a NodePort, Local is for callers from outside" "$(words client "$(addr $family node)" 30012)" '["far"]'
		before=$(cluster_stat '' upstream_cx_total own 9107)
		row "IPv$family: $way: a pod, to a process of the node that has the external IP" "$(words client "$(vip $family 17)" 9107)" '["node"]'
		row "IPv$family: $way: which is decided once" "$(($(cluster_stat '' upstream_cx_total own 9107) - before))" 20
		row "IPv$family: $way: a pod, to a balancer that is a proxy" "$(words client "$(lb $family 110)" 9000)" '["balancer"]'
		case $way in
		inside) want='{"ECONNREFUSED":1}' ;;
		*) want='{"timeout":1}' ;;
		esac
		row "IPv$family: $way: a pod, from no source range" "$(load client "$(lb $family 13)" 9000 -t 500)" "$want"
		row "IPv$family: $way: a pod, a Gateway's" "$(words client "$(lb $family 15)" 31400)" '["one"]'
		row "IPv$family: $way: a pod outside of the mesh, a Gateway's" "$(words apart "$(lb $family 15)" 31400)" '["one"]'
		row "IPv$family: $way: a pod, a Gateway's HTTP" "$(http_load client "$(lb $family 15)" 80 -n 5 --count x-by | jq -c .words)" '{"door":5}'
		row "IPv$family: $way: a pod, HTTP by the mesh's rule" "$(http_load client "$(lb $family 14)" 80 -n 5 --count x-by | jq -c .words)" '{"rule":5}'
	done
done
callers inside

row "get has the addresses" "$(weft get svc echo -o json | jq -r '.status.loadBalancer.ingress[0].ip')" "$(lb 4 10)"
expect_match "in a column" "$(weft get svc echo)" " $(lb 4 10),$(lb 6 10),$(ext 4 10),"
expect_match "explain, for a pod that is not heard" "$(weft explain --from client --to "$(lb 4 13):9000")" "loadBalancerSourceRanges"
expect_match "explain, by the mesh's rule" "$(weft explain --from client --to "$(lb 4 10):9000")" "VirtualService default/echo"
expect_match "describe" "$(weft describe service guarded)" "$(lb 4 13):9000, from outside"

# kube-proxy would have these addresses go elsewhere.
for family in 4 6; do
	tables=iptables
	[ $family = 4 ] || tables=ip6tables
	for number in 10 11; do
		in_ns node $tables -t nat -A PREROUTING -d "$(addr $family node)" -p tcp --dport 300$number -j DNAT --to-destination "$(hostport "$(addr $family client)" 1)"
	done
	for number in 10 11 13 14 15 16; do
		for to in "$(lb $family $number)" "$(ext $family $number)"; do
			in_ns node $tables -t nat -A PREROUTING -d "$to" -p tcp -j DNAT --to-destination "$(hostport "$(addr $family client)" 1)"
		done
	done
done
from_outside "beside kube-proxy"

# An address that the balancer takes back is no longer the Service's: the packet passes to whoever has it.
balanced echo 10 9000 app=echo | sed '/^status:/,$d; /externalIPs/d' | apply
for family in 4 6; do
	in_ns node "$([ $family = 4 ] && echo iptables || echo ip6tables)" -t nat -F PREROUTING
	ip -n "$(netns balancer)" address add "$(lb $family 10)/$([ $family = 4 ] && echo 32 || echo 128)" dev lo
	ip -n "$(netns world)" route add "$(lb $family 10)" via "$([ $family = 4 ] && echo 10.246.6.2 || echo fd00:246:6::2)"
	row "IPv$family: taken back" "$(words client "$(lb $family 10)" 9000)" '["balancer"]'
done
rows_end
wait_until 30 no_conns
