#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two agents and a thousand random changes, among them bad ones. Meanwhile connections are cut off anywhere, the API server is killed,
# etcd forgets, a token ends, a right is taken away and given back, a definition is deleted and made again, an agent is killed: no
# connection and no request fails, and in the end both agents have in force what a third one has that never saw any of it.
. "${0%/*}/node.sh"

CHANGES=$(rounds 1000 200)
RATE=$(rounds 12 6)
declare -A AGENT_PID

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
pod_add two 3 app=echo,version=v2
for agent in b c; do
	outside_add "host-$agent" "$((${#NUMBER[@]} + 10))"
	mkdir "$CGROUP/$agent"
done
echo_start one 9000 one
echo_start two 9000 two
http_echo_start one 8080 one
http_echo_start two 8080 two
kube_up
kube_crds_up v1

# ---- what agents may, and who they are ----

"$OUT/weft" manifest generate >"$TMP/manifest.yaml"
awk 'BEGIN { RS = "---\n" } /\nkind: (Namespace|ServiceAccount|ClusterRole|ClusterRoleBinding|Role|RoleBinding)\n/ { print "---\n" $0 }' \
	"$TMP/manifest.yaml" >"$TMP/rights.yaml"
kube apply -f "$TMP/rights.yaml" >/dev/null

# A token of the agents' account. It is another one each time: older tokens are worth nothing then.
account() {
	local accounts=api/v1/namespaces/weft-system/serviceaccounts
	api $accounts/weft -X DELETE -o /dev/null
	kube apply -f "$TMP/rights.yaml" >/dev/null
	api $accounts/weft/token -X POST -H 'Content-Type: application/json' -d '{"spec": {"expirationSeconds": 3600}}' |
		jq -r .status.token >"$TMP/token.new"
}
# agents_get STATUS: what the server says to their token
agents_get() {
	[ "$(in_ns node curl -sS -o "$TMP/got" -w '%{http_code}' --cacert "$KUBE_DIR/ca.crt" -H "Authorization: Bearer $(<"$TMP/token")" \
		"https://127.0.0.1:$API_PORT/api/v1/services?limit=1")" = "$1" ]
}
token_told() { mv "$TMP/token.new" "$TMP/token"; }

# config SERVER: a kubeconfig
config() {
	cat <<-END
	apiVersion: v1
	kind: Config
	clusters: [{name: t, cluster: {server: "https://$1", certificate-authority: "$KUBE_DIR/ca.crt"}}]
	users: [{name: agent, user: {tokenFile: "$TMP/token"}}]
	contexts: [{name: t, context: {cluster: t, user: agent}}]
	current-context: t
	END
}

# between: what agents a and b ask goes through it
between_start() {
	start_in node python3 -B "$ROOT/selftests/kube/between.py" "$API_PORT" 16001 16002 >"$TMP/between.log"
	BETWEEN=$STARTED
	wait_until 10 grep -q listening "$TMP/between.log"
	config 127.0.0.1:16001 >"$TMP/a.config"
	config "$(addr 4 node):16002" >"$TMP/b.config"
	config "$(addr 4 node):16003" >"$TMP/c.config"
	start_in node python3 -B "$ROOT/selftests/kube/between.py" "$API_PORT" 16003 >"$TMP/beside.log"
	wait_until 10 grep -q listening "$TMP/beside.log"
}
between_lines() { [ "$(wc -l <"$TMP/between.log")" -ge "$1" ]; }
# between SIGNAL: once the one before is carried out, as signals are not counted
between() {
	local lines
	lines=$(wc -l <"$TMP/between.log")
	kill "-$1" "$BETWEEN"
	wait_until 30 between_lines $((lines + 1))
}
cut_off() { between USR1; } # until it is called again
cut_anywhere() { between USR2; }

# ---- agents: a is the node's, with pods; b and c have a host each ----

run_dir() { if [ "$1" = a ]; then echo "$TMP/run"; else echo "$TMP/run-$1"; fi; }
bpffs() { if [ "$1" = a ]; then echo "$TMP/bpf/weft"; else echo "$TMP/bpf/$1"; fi; }
weft_of() { "$OUT/weft" --run-dir "$(run_dir "$1")" "${@:2}"; }

agent_start() {
	local source=(--source kubernetes --kubeconfig "$TMP/$1.config" --node-name "node-$1")
	if [ "$1" = a ]; then
		weftd_start "${source[@]}"
		return
	fi
	(in_ns_exec "host-$1" "$OUT/weftd" --state-dir "$TMP/state-$1" --run-dir "$(run_dir "$1")" --bpffs "$(bpffs "$1")" \
		--cgroup "$CGROUP/$1" --nic eth0 "${source[@]}") 2>>"$TMP/weftd-$1.log" &
	AGENT_PID[$1]=$!
	wait_until 30 weft_of "$1" status --wait
}

phase_is() { [ "$(weft_of "$1" status -o json | jq -r '.sources[0].phase')" = "$2" ]; }
resource_is() { # AGENT RESOURCE PHASE
	[ "$(weft_of "$1" status -o json | jq -r ".sources[0].resources[] | select(.resource == \"$2\").phase")" = "$3" ]
}
# The kinds that an agent has no watch of, should that be why a test fails.
not_watched() { weft_of "$1" status -o json | jq -c '.sources[0].resources[] | select(.phase != "synced") | [.resource, .phase, .since, .requests, .lists, .events, .bytes, .error]'; }
each_agent() { # SECONDS COMMAND WORD...: until the command holds for both
	local agent
	for agent in a b; do
		(wait_until "$1" "$2" "$agent" "${@:3}") || fail "$agent, at $(date +%s): $(not_watched "$agent")"
	done
}

# ---- what is in force ----

weight_is() { [ "$(weft_of "$1" get vs echo -o json | jq '.spec.tcp[0].route[0].weight')" = "$2" ]; }

# follows WHAT: both are in step, and a change takes effect
WEIGHT=40
follows() {
	WEIGHT=$((WEIGHT + 1))
	rules_weights echo v1=$WEIGHT v2=$((100 - WEIGHT)) | kube_apply
	each_agent 120 weight_is $WEIGHT
	each_agent 120 phase_is synced
	say "ok: after $SECONDS s: they follow after $1"
}

rules_of_traffic() {
	rules_weights echo v1=$WEIGHT v2=$((100 - WEIGHT))
	PROTOCOL=http rules_routes web '- {match: [{uri: {prefix: /}}], route: [{destination: {host: web, subset: v1}}]}'
}

# asked AGENT: what a pod's connections to each service would do
asked() {
	local i to
	for i in $(seq 0 14); do
		for to in "10.96.1.$((10 + i)):9000" "10.96.1.$((10 + i)):80" "10.96.1.$((10 + i)):80 --header end-user=jason"; do
			# shellcheck disable=SC2086 # words are meant
			weft_of "$1" explain --from default/client --to $to -o json 2>"$TMP/asked.error" || jq -Rs . "$TMP/asked.error"
		done
	done
}

# in_force AGENT: all that an agent has in force, the objects that it left out with their reasons, and what its kernel does
in_force() {
	# Versions of an object that differ in nothing that weft reads are one: its status is written, too.
	weft_of "$1" get all -A -o json |
		jq -S '.items | sort_by(.kind, .metadata.namespace, .metadata.name)[] | del(.metadata.resourceVersion)' >"$TMP/$1.objects"
	weft_of "$1" status -o json | jq -S '.sources[0].problems | map(del(.since)) | sort_by(tostring)[]' >"$TMP/$1.problems"
	# Which one of a cluster's endpoints was there first is no difference.
	asked "$1" | jq -S 'walk(if type == "object" and has("endpoints") then .endpoints |= sort else . end)' >"$TMP/$1.asked"
	"$ROOT/selftests/kube/tables.py" "$(bpffs "$1")" >"$TMP/$1.tables" && [ -s "$TMP/$1.tables" ] || fail "$1: no tables"
}

# same AGENT: has in force what c has
same() {
	local what
	in_force "$1"
	in_force c
	for what in objects problems asked tables; do
		diff "$TMP/$1.$what" "$TMP/c.$what" >"$TMP/$1.differs" || return 1
	done
}

expect_same() {
	local try
	for try in $(seq 10); do
		! same "$1" || break
		[ "$try" -lt 10 ] || fail "$1 has not the same in force as one that was told of no change: $(head -c 3000 "$TMP/$1.differs")"
		sleep 1
	done
	say "ok: $1 has in force what c has: $(grep -c '"kind"' "$TMP/c.objects") objects, $(wc -l <"$TMP/c.tables") rows"
	expect_between "lines of problems" "$(wc -l <"$TMP/c.problems")" 1 100000
}

# ---- to begin with ----

kube_pods
kube label namespace default istio-injection=enabled >/dev/null
{
	rules_service echo 10
	PROTOCOL=http rules_service web 20 80:8080 app=echo
	rules_subsets echo "v1 v2"
	rules_subsets web "v1 v2"
	rules_of_traffic
} | kube_apply
account
token_told
between_start
agent_start a
agent_start b
each_agent 20 weight_is $WEIGHT
load_start client "$TMP/load" "$(vip 4 10)" 9000 -n 100000000 -c 20 -r 100 -s hello -k 5
LOAD=$STARTED
http_load_start client "$TMP/http-load" "$(vip 4 20)" 80 -d 10000 -c 4 -r 100
HTTP_LOAD=$STARTED
start_in node python3 -B "$ROOT/selftests/kube/churn.py" "$KUBE_DIR" "$API_PORT" "$CHANGES" "$RATE" >"$TMP/churn"
CHURN=$STARTED
sleep 2

# ---- what goes wrong meanwhile ----

cut_anywhere
sleep "$(rounds 8 4)"
cut_anywhere
follows "connections that were cut off anywhere"

kube_stop apiserver
each_agent 60 phase_is reconnecting
kill -9 "${AGENT_PID[b]}"
wait "${AGENT_PID[b]}" 2>/dev/null || true
agent_start b
phase_is b cached || fail "b did not begin with what was last known"
kube_api_start
follows "the API server and an agent were killed"

cut_off
sleep 3
kube_stop apiserver
revision=$(in_ns node curl -fsS "http://127.0.0.1:$ETCD_PORT/v3/kv/range" -d '{"key": "YQ=="}' | jq -r .header.revision)
in_ns node curl -fsS "http://127.0.0.1:$ETCD_PORT/v3/kv/compaction" -o /dev/null -d "{\"revision\": $revision, \"physical\": true}"
kube_api_start
sleep 1
cut_off
follows "etcd was compacted while they could not listen"

account
wait_until 60 agents_get 401 # for some seconds the server takes the old token for good
cut_off
cut_off
each_agent 60 phase_is reconnecting
sleep 1
token_told
follows "their token ended"

kube delete clusterrolebinding weft >/dev/null
wait_until 60 agents_get 403
cut_off
cut_off
each_agent 120 phase_is forbidden
sleep 2
kube apply -f "$TMP/rights.yaml" >/dev/null
follows "a right was taken away and given back"

kube delete crd virtualservices.networking.istio.io >/dev/null
each_agent 60 resource_is virtualservices absent
sleep 1
kube_crds_up v1
rules_of_traffic | kube_apply
follows "a definition was deleted and made again"

# ---- and what came of it ----

kill -TERM "$CHURN"
wait "$CHURN" || fail "the changes ended with an error: $(<"$TMP/churn")"
say "changes: $(<"$TMP/churn")"
follows "all of that"
kill -TERM "$LOAD" "$HTTP_LOAD"
wait "$LOAD" "$HTTP_LOAD" || true
expect_eq "connections: nothing but answers" "$(jq -r 'keys - ["one", "two"] | join(" ")' "$TMP/load")" ""
expect_between "connections" "$(jq add "$TMP/load")" 500 100000000
expect_eq "requests: nothing but answers" "$(jq -r '.statuses | keys | join(" ")' "$TMP/http-load") $(jq -r '.errors // {} | keys | join(" ")' "$TMP/http-load")" "200 "
expect_between "requests" "$(jq '.statuses."200"' "$TMP/http-load")" 500 100000000
agent_start c
expect_same a
expect_same b
for agent in a b c; do
	log=$TMP/weftd-$agent.log
	[ $agent != a ] || log=$TMP/weftd.log
	grep -q 'the API server has told of' "$log" || fail "$log is not what weftd has said"
	expect_eq "weft-proxy of $agent takes changes of endpoints as such" "$(grep -c 'is given all rules' "$log" || true)" 0
done
grep -q 'is given all rules' "$OUT/weftd" || fail "weftd has no such line in its log"
