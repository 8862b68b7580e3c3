#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An endpoint that refuses, is silent, breaks off or answers errors: where another one is well, the client notices nothing but time.
. "${0%/*}/lib.sh"

node_up
pod_add client 1
pod_add good 2 app=echo
pod_add bad 3 app=echo
http_echo_start good 80 good
weftd_start

# rules RETRIES
rules() {
	rules_pods
	PROTOCOL=http rules_service echo 10 8000:80
	rules_subsets echo "" "$(cat <<-END
	connectionPool: {tcp: {connectTimeout: 300ms}}
	loadBalancer: {simple: ROUND_ROBIN}
	END
	)"
	PROTOCOL=http rules_routes echo "$(cat <<-END
	- retries: $1
	  route: [{destination: {host: echo}}]
	END
	)"
}

ask() { http_load client "$(vip "$1" 10)" 8000 -n 20 -p "${2:-/}"; }
retries() { cluster_stat '' upstream_rq_retry echo 8000; }
silent() { in_ns bad "$1" "$2" INPUT -p tcp --dport 80 -j DROP; }

# all_well WHAT [PATH]: every request is answered by the good one, although the other one was asked, too
all_well() {
	local family before got
	for family in 4 6; do
		before=$(retries)
		got=$(ask $family "${2:-/}")
		expect_eq "IPv$family: $1: answered by the good one" "$(json .words.good "$got")" 20
		expect_between "IPv$family: $1: tried again" $(($(retries) - before)) 10 20
	done
}

# half WHAT STATUS: without another try one of two requests fails
half() {
	local family got
	for family in 4 6; do
		got=$(ask $family)
		expect_eq "IPv$family: $1: answered by the good one" "$(json '.statuses."200"' "$got")" 10
		expect_eq "IPv$family: $1: told $2" "$(json ".statuses.\"$2\"" "$got")" 10
	done
}

rules '{attempts: 1, perTryTimeout: 2s, retryOn: "connect-failure,reset,503"}' | apply
all_well "it refuses"
for tables in iptables ip6tables; do silent $tables -A; done
all_well "it is silent"
for tables in iptables ip6tables; do silent $tables -D; done

http_echo_start bad 80 bad
http_echo_ask bad 80 "/_set?status=503&times=1000" >/dev/null
all_well "it answers 503"

rules '{attempts: 0}' | apply
half "no retries" 503
rules '{attempts: 1, retryOn: connect-failure}' | apply
half "retries for something else" 503

http_echo_ask bad 80 "/_set?status=200&times=0" >/dev/null
for family in 4 6; do
	got=$(ask $family)
	expect_eq "IPv$family: well again: the good one" "$(json .words.good "$got")" 10
	expect_eq "IPv$family: well again: the bad one" "$(json .words.bad "$got")" 10
done
