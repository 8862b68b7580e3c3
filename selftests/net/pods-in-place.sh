#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pods that come, go and change their labels are another caller at once, by the rules that are in force: no table of rules is made
# anew, and no connection of another pod is ever taken for one of theirs.
. "${0%/*}/lib.sh"

CHANGES=$(rounds 200 20)
RATE=$(rounds 1000 100)
POD_IP=10.9.0.7 # of pods that are nowhere

generation() { weft status -o json | jq .generation; }
# tables NAME: the id of the map that is in force
tables() {
	local id
	id=$(bpftool -j map dump pinned "$TMP/bpf/weft/gen_$1" | jq -r --arg slot "0x0$(($(generation) % 4))" \
		'.[] | select(.key[0] == $slot).value | reverse | map(ltrimstr("0x")) | join("")')
	echo $((16#$id))
}
# pod NAME IP LABELS
pod() {
	cat <<-END
	---
	apiVersion: v1
	kind: Pod
	metadata: {name: $1, namespace: ${NS:-default}, labels: {$3}}
	spec: {containers: [{name: main, image: none}]}
	status: {phase: Running, podIP: $2, podIPs: [{ip: $2}]}
	END
}
callers() { bpftool -j map dump id "$(tables sources)" | jq length; }

node_up
pod_add tester 1 app=tester,track=canary
pod_add user 2 app=user
for n in 1 2; do
	pod_add v$n $((n + 10)) app=echo,version=v$n
	echo_start v$n 9000 v$n
done
weftd_start
{
	rules_pods
	rules_service echo 10
	rules_subsets echo "v1 v2"
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: echo}
	spec:
	  hosts: [echo]
	  tcp:
	  - match:
	    - sourceLabels: {track: canary}
	    - sourceNamespace: other
	    route:
	    - destination: {host: echo, subset: v2}
	  - route:
	    - destination: {host: echo, subset: v1}
	END
} >"$TMP/rules"
weft apply -f "$TMP/rules" >/dev/null

# goes POD WHERE WHY
goes() { expect_eq "$3" "$(load "$1" "$(vip 4 10)" 9000 -n 20 -s hello)" "{\"$2\":20}"; }

goes tester v2 "by its labels"
goes user v1 "by no label"
begun=$(generation)
rules=$(tables rules)
sources=$(tables sources)
count=$(callers)

# ---- one pod ----

pod user "$(addr 4 user)" "app: user, track: canary" | apply
goes user v2 "labelled"
pod user "$(addr 4 user)" "app: user" | apply
goes user v1 "and not any more"
weft delete pod user >/dev/null
NS=other pod user "$(addr 4 user)" "app: user" | apply
goes user v2 "its address is another pod's, of another namespace"
weft delete pod user -n other >/dev/null
expect_eq "callers without it" "$(callers)" "$((count - 2))"
goes user v1 "and no pod's"
pod user "$(addr 4 user)" "app: user, track: canary" | apply
goes user v2 "it is back"
expect_eq "the generation" "$(generation)" "$begun"
expect_eq "its rules" "$(tables rules)" "$rules"
expect_eq "its callers, in the map that they were in" "$(tables sources)" "$sources"

# ---- many, beside connections ----

load_start tester "$TMP/tester" "$(vip 4 10)" 9000 -n 100000000 -c 50 -r $((RATE / 2)) -s hello
loads=("$STARTED")
load_start v1 "$TMP/v1" "$(vip 4 10)" 9000 -n 100000000 -c 50 -r $((RATE / 2)) -s hello
loads+=("$STARTED")
for change in $(seq "$CHANGES"); do
	if ((change % 2)); then
		pod other $POD_IP "track: canary, turn: t$change" | apply
	else
		weft delete pod other >/dev/null
	fi
done
kill -TERM "${loads[@]}"
wait "${loads[@]}"
expect_eq "answers to one that the rule is for" "$(jq -c keys "$TMP/tester")" '["v2"]'
expect_eq "answers to one that it isn't for" "$(jq -c keys "$TMP/v1")" '["v1"]'
expect_eq "the generation, still" "$(generation)" "$begun"

# ---- more than there was room for ----

for n in $(seq 250); do pod many-$n 10.9.1.$n "app: many"; done | apply
expect_between "callers" "$(callers)" 250 300
expect_between "a generation, for a larger map" "$(generation)" $((begun + 1)) $((begun + 1))
goes tester v2 "by its labels, among many"
goes user v2 "by its labels, likewise"

# ---- rules that ask for something else ----

sed 's/track: canary}$/app: many}/' "$TMP/rules" | apply
goes tester v1 "the rule asks for others"
weft apply -f "$TMP/rules" >/dev/null
goes tester v2 "the rule asks for it again"

# ---- another weftd, which numbers namespaces and labels afresh ----

weftd_kill9
goes tester v2 "without weftd"
weftd_start
goes tester v2 "with another"
goes v1 v1 "and who is not meant"
NS=other pod user "$(addr 4 user)" "app: user" >"$TMP/user"
weft delete pod user >/dev/null
goes user v1 "no pod's again"
weft apply -f "$TMP/user" >/dev/null
goes user v2 "of the other namespace"
