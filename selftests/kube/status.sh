#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is wrong with an object is seen on the object: in its status and by an Event, written by one agent of all, and gone from the
# status once it is mended, whichever agent wrote it.
KUBE_BIND=0.0.0.0
. "${0%/*}/node.sh"

node_up
kube_up
kube_crds_up v1
# Agents have the rights that the manifest gives them, and no more.
weft manifest generate | awk -v RS='---\n' '/kind: (Namespace|ServiceAccount|ClusterRole|ClusterRoleBinding|Role|RoleBinding)\n/ { print "---"; print }' |
	kube apply --server-side -f - >/dev/null
mkdir "$CGROUP/second"
agent=$KUBE_DIR/agent
sed "s,token: [^}]*},token: \"$(kube create token weft -n weft-system --duration 2h)\"}," "$KUBE_DIR/kubeconfig" >"$agent"
sed "s,127.0.0.1:$API_PORT,$(addr 4 node):$API_PORT," "$agent" >"$KUBE_DIR/config2"

second_start() { # an agent of another node
	(in_ns_exec world "$OUT/weftd" --state-dir "$TMP/state2" --run-dir "$TMP/run2" --bpffs "$TMP/bpf/second" \
		--cgroup "$CGROUP/second" --source kubernetes --kubeconfig "$KUBE_DIR/config2" --node-name node-b) 2>>"$TMP/second.log" &
	SECOND=$!
	wait_until 60 "$OUT/weft" --run-dir "$TMP/run2" status --wait
}

# requests VERB RESOURCE [SUBRESOURCE]: that the API server has answered
requests() {
	api metrics | awk -v v="verb=\"$1\"" -v r="resource=\"$2\"" -v s="subresource=\"${3:-}\"" '
		/^apiserver_request_total/ && index($0, v) && index($0, "," r) && index($0, s) { n += $NF } END { print n + 0 }'
}
status_of() {
	echo "$1" >>"$TMP/looked"
	object "$1" | jq -c "${2:-.status}"
}
# gets: of VirtualServices, but for this test's own looks
gets() { echo $(($(requests GET virtualservices) - $(grep -c ^virtualservice/ "$TMP/looked"))); }
condition() { status_of "$1" ".status.conditions[]? | select(.type == \"Reconciled\") | $2"; }
reason_is() { [ "$(condition "$1" .reason)" = "\"$2\"" ]; }
message_like() { [[ $(condition "$1" .message) =~ $2 ]]; }
no_status() { [ "$(status_of "$1")" = null ]; }
current() { [ "$(status_of "$1" '.status.observedGeneration == .metadata.generation')" = true ]; }
events_of() { api api/v1/events -G -d "fieldSelector=involvedObject.name=$1" | jq -r ".items[] | $2"; }
event_count() { [ "$(events_of "$1" .metadata.name | wc -l)" = "$2" ]; }
holder() { object lease/weft weft-system | jq -r .spec.holderIdentity; }
settled() { [ "$(kube_status '.status_writer.pending')" = 0 ]; }
weights() { rules_weights "$@" | kube_apply; }

# node.sh's, but as the agent's account
kube_options() { echo --source kubernetes --kubeconfig "$agent" --node-name node-a; }

weftd_kube

# ---- one bad among fifty ----
{
	for i in $(seq 50); do
		rules_service "s$i" $((100 + i))
		rules_subsets "s$i" "v1 v2"
		rules_weights "s$i" v1=50 v2="$([ "$i" = 17 ] && echo -1 || echo 50)"
	done
} | kube_apply
wait_until 10 reason_is virtualservice/s17 LeftOut
expect_eq "49 are in force" "$(weft get vs -o name | grep -c /s)" 49
expect_match "the status says what and where" "$(condition virtualservice/s17 .message)" '^"spec.tcp\[0\].route\[1\].weight: expected .*, not .*-1'
expect_eq "it is not reconciled" "$(condition virtualservice/s17 .status)" '"False"'
expect_eq "of this generation" "$(current virtualservice/s17 && echo yes)" yes
expect_eq "messages as istioctl's" "$(status_of virtualservice/s17 '.status.validationMessages[] | [.type.code, .type.name, .level]')" \
	'["IST0106","SchemaValidationError","ERROR"]'
wait_until 5 event_count s17 1
out=$(kube describe virtualservice s17)
expect_match "kubectl describe shows it" "$out" 'Warning +LeftOut .* weft +left out: spec.tcp\[0\].route\[1\].weight: expected'
expect_eq "others are left alone" "$(kube get virtualservices,destinationrules,services -A -o json | jq '[.items[] | select(.status.conditions)] | length')" 1
wait_until 5 settled
expect_eq "by one write" "$(requests PATCH virtualservices status)" 1
gets=$(gets)

# ---- the same again, and another fault in it ----
weights s17 v1=40 v2=-1
wait_until 10 current virtualservice/s17
expect_match "still left out" "$(condition virtualservice/s17 .reason)" LeftOut
weights s17 v1=-2 v2=60
wait_until 10 message_like virtualservice/s17 'route\[0\].weight'
expect_eq "three versions, three writes" "$(requests PATCH virtualservices status)" 3
expect_between "each after one look at the object" $(($(gets) - gets)) 2 10

# ---- mended ----
weights s17 v1=50 v2=50
wait_until 10 no_status virtualservice/s17
expect_match "in force, and nothing in its status" "$(weft get vs s17 -o name)" /s17

# ---- the last good version stays; what others wrote stays, too ----
api apis/networking.istio.io/v1/namespaces/default/virtualservices/s3/status -X PATCH -o /dev/null \
	-H 'Content-Type: application/merge-patch+json' \
	-d '{"status": {"conditions": [{"type": "PassedAnalysis", "status": "True"}], "validationMessages": [{"type": {"code": "IST0102"}}]}}'
weights s3 v1=0 v2=0
wait_until 10 message_like virtualservice/s3 'expected weights that add up to'
expect_eq "two conditions" "$(status_of virtualservice/s3 '[.status.conditions[].type] | sort')" '["PassedAnalysis","Reconciled"]'
kube patch virtualservice s4 --type=json -p '[{"op": "add", "path": "/spec/tcp/0/route/0/weight", "value": "much"}]' >/dev/null
wait_until 10 reason_is virtualservice/s4 EarlierVersionInForce
weights s3 v1=50 v2=50
weights s4 v1=50 v2=50
wait_until 10 no_status virtualservice/s4
wait_until 15 eval '[ "$(status_of virtualservice/s3 "[.status.conditions[].type]")" = "[\"PassedAnalysis\"]" ]'
expect_eq "the other's message" "$(status_of virtualservice/s3 '[.status.validationMessages[].type.code]')" '["IST0102"]'

# ---- warnings about what is in force, those that do not come and go with pods ----
rules_weights s5 v1=50 v2=50 | sed 's/host: s5, subset: v2/host: nowhere/; s/host: s5\.*, *subset: v2/host: nowhere/' | kube_apply
wait_until 30 reason_is virtualservice/s5 InForceWithWarnings
expect_match "the analyzer's words" "$(status_of virtualservice/s5 '.status.validationMessages[0] | [.type.code, .level]')" 'IST0101","ERROR'
weights s5 v1=50 v2=50
wait_until 30 no_status virtualservice/s5
expect_eq "no Event for it" "$(events_of s5 .metadata.name | wc -l)" 0

# ---- what is not carried out, where the definition has a status, and where it has none ----
policy() {
	kube_apply <<-END
	apiVersion: security.istio.io/v1
	kind: RequestAuthentication
	metadata: {name: $1, namespace: default}
	spec: {}
	END
}
policy deny
wait_until 10 message_like requestauthentication/deny 'weft does not carry out RequestAuthentication'
kube patch crd requestauthentications.security.istio.io --type=json \
	-p '[{"op": "remove", "path": "/spec/versions/0/subresources"}]' >/dev/null
sleep 2
policy allow
wait_until 30 event_count allow 1
expect_match "an Event says it" "$(events_of allow .message)" '^left out: weft does not carry out RequestAuthentication'
expect_eq "and stats count them" "$(stat_of weft.objects.requestauthentications.rejected)" 2
kube delete requestauthentication deny allow >/dev/null

# ---- a Telemetry: spans without a place to go; parts that are not carried out leave it out whole ----
telemetry() { # SPEC
	kube_apply <<-END
	apiVersion: telemetry.istio.io/v1
	kind: Telemetry
	metadata: {name: mesh-default, namespace: default}
	spec: $1
	END
}
telemetry '{tracing: [{providers: [{name: jaeger}], randomSamplingPercentage: 100}], metrics: [{}]}'
wait_until 10 message_like telemetry/mesh-default 'spec.metrics: weft does not carry out metrics'
expect_match "all of it" "$(condition telemetry/mesh-default .reason)" LeftOut
telemetry '{tracing: [{providers: [{name: jaeger}], randomSamplingPercentage: 100}]}'
wait_until 30 reason_is telemetry/mesh-default InForceWithWarnings
expect_match "nowhere" "$(status_of telemetry/mesh-default '.status.validationMessages[0] | [.type.code, .level]')" 'WEFT0131","WARNING'
expect_match "get" "$(weft get telemetries)" '^mesh-default +jaeger +100%'
kube delete telemetry mesh-default >/dev/null

# ---- weft's own kind, which is in no namespace ----
kube_apply <<-END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: connectionpolicies.weft.dev}
spec:
  group: weft.dev
  scope: Cluster
  names: {kind: ConnectionPolicy, listKind: ConnectionPolicyList, singular: connectionpolicy, plural: connectionpolicies}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
END
kube wait --for=condition=Established crd/connectionpolicies.weft.dev --timeout=30s >/dev/null
first_line() { # NAME SPEC
	kube_apply <<-END
	apiVersion: weft.dev/v1alpha1
	kind: ConnectionPolicy
	metadata: {name: $1}
	spec: $2
	END
}
first_line_is() { [ "$(weft status -o json | jq -r .connection_policy)" = "$1" ]; }
first_line default '{deny: [192.0.2.0/24], synCookies: {}}'
wait_until 60 first_line_is "everyone allowed, 1 denied; SYN cookies above 5000 per second"
expect_eq "a ConnectionPolicy of the cluster's is in the kernel" \
	"$(bpftool map dump pinned "$TMP/bpf/weft/protect_sources" -j | jq length)" 1
first_line default '{deny: [192.0.2.0/24, 198.51.100.0]}'
wait_until 10 reason_is connectionpolicy/default EarlierVersionInForce
expect_match "its status says what" "$(condition connectionpolicy/default .message)" '^"spec.deny\[1\]: expected a subnet'
expect_eq "and the version before is in force" "$(weft status -o json | jq -r .connection_policy)" \
	"everyone allowed, 1 denied; SYN cookies above 5000 per second"
first_line other '{}'
wait_until 10 message_like connectionpolicy/other 'expected \\"default\\", not \\"other\\": there is one'
first_line default '{deny: [192.0.2.0/24, 198.51.100.0/24]}'
wait_until 10 no_status connectionpolicy/default
wait_until 10 first_line_is "everyone allowed, 2 denied"
kube delete connectionpolicy default other >/dev/null
wait_until 10 first_line_is none

# ---- without the right to write a status ----
kube get clusterrole weft -o json >"$TMP/role.json"
jq '.rules |= map(select(.verbs != ["patch"]))' "$TMP/role.json" | kube replace -f - >/dev/null
weights s30 v1=-1 v2=60
weights s31 v1=50 v2=-1
wait_until 10 event_count s31 1
expect_match "weft status says so" "$(weft status)" "the status of objects can't be written: virtualservices.* is forbidden"
expect_eq "weftd once" "$(grep -c "the status of objects can't be written" "$TMP/weftd.log")" 1
weights s32 v1=30 v2=70
sleep 0.5
expect_match "all else goes on" "$(weft get virtualservice s32 -o json)" '"weight": 70'
expect_eq "no status" "$(status_of virtualservice/s30)" null
jq 'del(.metadata.resourceVersion)' "$TMP/role.json" | kube replace -f - >/dev/null
weftd_kill9
weftd_kube
wait_until 30 reason_is virtualservice/s30 EarlierVersionInForce
weights s30 v1=50 v2=50
weights s31 v1=50 v2=50
wait_until 20 no_status virtualservice/s30

# ---- two agents: one writes ----
second_start
weights s20 v1=-1 v2=60
wait_until 10 reason_is virtualservice/s20 EarlierVersionInForce
first=$(holder)
before=$(requests PATCH virtualservices status)
weights s21 v1=-1 v2=60
wait_until 10 reason_is virtualservice/s21 EarlierVersionInForce
sleep 2
expect_eq "one write for it by two agents" $(($(requests PATCH virtualservices status) - before)) 1
expect_eq "and one Event" "$(events_of s21 .metadata.name | wc -l)" 1
expect_match "a node holds the Lease" "$first" '^node-[ab]$'

# ---- the one that writes dies ----
if [ "$first" = node-a ]; then weftd_kill9; else kill -9 "$SECOND"; fi
weights s20 v1=50 v2=50
weights s22 v1=-1 v2=60
wait_until 60 no_status virtualservice/s20
wait_until 10 reason_is virtualservice/s22 EarlierVersionInForce
[ "$(holder)" != "$first" ] || fail "$first, which is dead, still holds the Lease"
say "ok: another agent has gone on"
[ "$first" = node-a ] || { second_start; weftd_kill9; }
kill -9 "$SECOND" || true
wait "$SECOND" 2>/dev/null || true

# ---- mended while there is no agent ----
weights s21 v1=50 v2=50
weftd_kube
wait_until 60 no_status virtualservice/s21
expect_eq "what is still wrong stays" "$(condition virtualservice/s22 .reason)" '"EarlierVersionInForce"'

# ---- an agent begins, and all is said already ----
wait_until 5 settled
before=$(requests PATCH virtualservices status)
weftd_kill9
weftd_kube
sleep 2
expect_eq "nothing is written again" "$(requests PATCH virtualservices status)" "$before"
expect_eq "nor told again" "$(events_of s22 .metadata.name | wc -l)" 1
