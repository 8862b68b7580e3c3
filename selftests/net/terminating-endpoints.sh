#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A rollout: the old pod ends while the new one is ready, then isn't. Terminating endpoints get nothing new while one is
# ready; the ones that still serve do when none is; when none serves, clients are refused. What is open goes on.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add old 2 app=echo
pod_add new 3 app=echo
for pod in old new; do
	echo_start $pod 9000 $pod
	http_echo_start $pod 8080 $pod
done
weftd_start

declare -A READY=([ready]=true) SERVING=([ready]=true [serving]=true) ENDING=([serving]=true [ending]=true)

# endpoint FAMILY POD STATE: of an EndpointSlice; `gone` is left out
endpoint() {
	[ "$3" = gone ] || cat <<-END
	- addresses: ["$(addr "$1" "$2")"]
	  targetRef: {kind: Pod, name: $2, namespace: default}
	  conditions: {ready: ${READY[$3]:-false}, serving: ${SERVING[$3]:-false}, terminating: ${ENDING[$3]:-false}}
	END
}

# slice SERVICE FAMILY PORT PORTNAME OLD NEW
slice() {
	cat <<-END
	---
	apiVersion: discovery.k8s.io/v1
	kind: EndpointSlice
	metadata: {name: $1-$2, namespace: default, labels: {kubernetes.io/service-name: $1}}
	addressType: IPv$2
	ports: [{name: $4, port: $3, protocol: TCP}]
	endpoints:
	$(endpoint "$2" old "$5")
	$(endpoint "$2" new "$6")
	END
}

# pod NAME STATE: the Pod object, which is all that a Service without EndpointSlices has
pod() {
	cat <<-END
	---
	apiVersion: v1
	kind: Pod
	metadata:
	  name: $1
	  namespace: default
	  labels: {app: echo}
	  ${ENDING[$2]:+deletionTimestamp: "2026-01-01T00:00:00Z"}
	spec: {}
	status:
	  phase: Running
	  podIP: $(addr 4 "$1")
	  podIPs: [{ip: $(addr 4 "$1")}, {ip: "$(addr 6 "$1")"}]
	  conditions: [{type: Ready, status: "${SERVING[$2]:-false}"}]
	END
}

# state OLD NEW: ready, unready, serving (and terminating) or ending; or gone from the slices
state() {
	local family
	{
		pod old "$1"
		pod new "$2"
		for family in 4 6; do
			slice echo $family 9000 tcp-9000 "$1" "$2"
			slice web $family 8080 http-80 "$1" "$2"
		done
	} | sed 's/status: "true"/status: "True"/; s/status: "false"/status: "False"/' | apply
}

{
	rules_pods
	rules_service echo 10 9000
	PROTOCOL=http rules_service web 11 80:8080
	rules_service podly 12 9000 app=echo # has no EndpointSlices
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: web}
	spec:
	  hosts: [web]
	  http: [{route: [{destination: {host: web}}]}]
	END
} | apply

N=40
answers() { load client "$(vip "$1" "$2")" 9000 -n $N -c 4 -s hello | jq -c keys; }
requests() { http_load client "$(vip "$1" 11)" 80 -n $N -c 4 | jq -c '[.statuses, (.words | keys)]'; }

# expect_called WHAT POD
expect_called() {
	local family
	for family in 4 6; do
		expect_eq "IPv$family: $1: connections" "$(answers $family 10)" "[\"$2\"]"
		expect_eq "IPv$family: $1: connections, without slices" "$(answers $family 12)" "[\"$2\"]"
		expect_eq "IPv$family: $1: requests" "$(requests $family)" "[{\"200\":$N},[\"$2\"]]"
	done
	expect_match "$1: explain" "$(weft explain --from default/client --to echo:9000 -o json | jq -c '.destinations[].endpoints')" \
		"^\[\"$(addr 4 "$2"):9000\"\]$"
	expect_match "$1: explain of a request" \
		"$(weft explain --from default/client --to web:80 --path / -o json | jq -c '[.. | .endpoints? // empty][0]')" \
		"^\[\"$(addr 4 "$2"):8080\",\"\[$(addr 6 "$2")\]:8080\"\]$"
}

expect_refused() { # WHAT
	local family
	for family in 4 6; do
		expect_eq "IPv$family: $1: connections" "$(load client "$(vip $family 10)" 9000 -n 8)" '{"ECONNREFUSED":8}'
		expect_eq "IPv$family: $1: connections, without slices" "$(load client "$(vip $family 12)" 9000 -n 8)" '{"ECONNREFUSED":8}'
		expect_eq "IPv$family: $1: requests" "$(http_load client "$(vip $family 11)" 80 -n 8 | jq -c .statuses)" '{"503":8}'
	done
}

# hold FAMILY: connections that keep talking, and requests whose answers take long
hold() {
	load_start client "$TMP/held$1" "$(vip "$1" 10)" 9000 -n 20 -c 20 -s hello -e hold --every 100 --ready "$TMP/ready$1"
	HELD[$1]=$STARTED
	http_load_start client "$TMP/slow$1" "$(vip "$1" 11)" 80 -n 8 -c 8 -p /delay/2500 -t 30000
	SLOW[$1]=$STARTED
	wait_until 10 test -e "$TMP/ready$1"
}

declare -A HELD SLOW
state ready ready
for family in 4 6; do
	expect_eq "IPv$family: both are ready" "$(answers $family 10)" '["new","old"]'
	hold $family
done
sleep 0.5 # the slow requests are under way

state serving ready
expect_called "the old one terminates" new
state serving unready
expect_called "the new one is not ready any more" old
for family in 4 6; do
	wait "${SLOW[$family]}"
	expect_eq "IPv$family: requests that were under way" "$(jq -c '[.statuses, (.words | keys)]' "$TMP/slow$family")" \
		'[{"200":8},["new","old"]]'
done
state ending unready
expect_refused "none serves"
state gone unready
for family in 4 6; do
	expect_eq "IPv$family: the old one is gone from its service" "$(load client "$(vip $family 10)" 9000 -n 8)" '{"ECONNREFUSED":8}'
done
sleep 0.5
for family in 4 6; do
	kill -TERM "${HELD[$family]}"
	wait "${HELD[$family]}"
	expect_eq "IPv$family: connections that were open" "$(jq -c 'keys, add' "$TMP/held$family" | paste -sd' ')" '["new","old"] 20'
done
state gone ready
for family in 4 6; do
	expect_eq "IPv$family: the new one is ready" "$(answers $family 10)" '["new"]'
done
