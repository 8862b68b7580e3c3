#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sourceLabels and sourceNamespace send callers to different versions; so do port and destinationSubnets.
. "${0%/*}/lib.sh"

node_up
pod_add tester 1 app=tester,track=canary
pod_add user 2 app=user
NS=other pod_add stranger 3 app=tester,track=canary
for n in 1 2 3 4; do
	pod_add v$n $((n + 10)) app=echo,version=v$n
	echo_start v$n 9000,9001 v$n
done
weftd_start
{
	rules_pods
	rules_service echo 10 9000,9001
	rules_subsets echo "v1 v2 v3 v4"
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: echo}
	spec:
	  hosts: [echo]
	  tcp:
	  - match:
	    - port: 9001
	    route:
	    - destination: {host: echo, port: {number: 9001}, subset: v4}
	  - match:
	    - sourceNamespace: other
	    route:
	    - destination: {host: echo, port: {number: 9000}, subset: v3}
	  - match:
	    - sourceLabels: {app: tester, track: canary}
	    - sourceLabels: {app: nobody}
	    route:
	    - destination: {host: echo, port: {number: 9000}, subset: v2}
	  - route:
	    - destination: {host: echo, port: {number: 9000}, subset: v1}
	END
} | apply

for family in 4 6; do
	to=$(vip $family 10)
	expect_eq "IPv$family: by labels" "$(load tester "$to" 9000 -n 20 -s hello)" '{"v2":20}'
	expect_eq "IPv$family: by namespace" "$(load stranger "$to" 9000 -n 20 -s hello)" '{"v3":20}'
	expect_eq "IPv$family: everybody else" "$(load user "$to" 9000 -n 20 -s hello)" '{"v1":20}'
	expect_eq "IPv$family: by port" "$(load tester "$to" 9001 -n 20 -s hello)" '{"v4":20}'

	# The address that a packet claims to come from is not who it is.
	ip -n "$(netns user)" address add "$(addr $family tester)/$((family == 4 ? 32 : 128))" dev lo nodad 2>/dev/null ||
		ip -n "$(netns user)" address add "$(addr $family tester)/32" dev lo
	load user "$to" 9000 -n 1 -s hello --source "$(addr $family tester)" -t 1000 >/dev/null
	expect_eq "IPv$family: a borrowed address changes nothing for its owner" "$(load tester "$to" 9000 -n 20 -s hello)" '{"v2":20}'
done
v2=$(cluster_stat v2 upstream_cx_total)
expect_eq "and gets the borrower nowhere" "$v2" 80
