#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weftd follows a cluster: what is applied by kubectl is in force at once, what is wrong spoils nothing, and the API server may be
# away.
. "${0%/*}/node.sh"

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
pod_add two 3 app=echo,version=v2
echo_start one 9000 one
echo_start two 9000 two
kube_up

# shares WHAT ONE: of 100 connections how many `one` gets, to within two
shares() {
	local got
	got=$(load client "$(vip 4 10)" 9000 -n 100 -s hello --sequence)
	expect_eq "$1: answered" "$(grep -cxE 'one|two' <<<"$got" || true)" 100
	expect_between "$1: one" "$(grep -cx one <<<"$got" || true)" $(($2 - 2)) $(($2 + 2))
}

weights() { rules_weights echo "$@" | kube_apply; }
problems() { [ "$(kube_status .problem_count)" = "$1" ]; }
phase_is() { [ "$(kube_status .phase)" = "$1" ]; }
phase_of() { [ "$(kube_status ".resources[] | select(.resource == \"$1\") | .phase")" = "$2" ]; }
in_force() { weft get "$@" >/dev/null 2>&1; }

# ---- before there are definitions, and then with those of an older Istio ----
weftd_kube
expect_eq "phase" "$(kube_status .phase)" synced
expect_eq "no VirtualServices yet" "$(kube_status '.resources[] | select(.resource == "virtualservices") | .phase')" absent
kube_crds_up v1 v1beta1
wait_until 90 phase_of gateways synced
kube_pods
kube label namespace default istio-injection=enabled >/dev/null
{
	rules_service echo 10
	rules_subsets echo "v1 v2"
} | kube_apply
wait_until 60 in_force dr echo
weights v1=80 v2=20
wait_until 5 in_force vs echo
shares "80/20 by kubectl apply" 80
weights v1=10 v2=90
sleep 0.3
shares "10/90 by another" 10
expect_match "get says where from" "$(weft get vs echo -o json)" '"kind": "VirtualService"'
expect_match "explain names the object alone" \
	"$(weft explain --from default/client --to "$(vip 4 10):9000")" 'virtualservice/default/echo\)'
expect_match "AGE is the object's" "$(weft get vs echo)" '[0-9]+s'

# ---- the CLI does not change what is the cluster's ----
out=$(rules_weights echo v1=1 | weft apply -f - 2>&1) && fail "apply was taken"
expect_match "apply says where rules come from" "$out" 'rules come from Kubernetes: kubectl apply'
out=$(weft delete vs echo 2>&1) && fail "delete was taken"
expect_match "delete does so, too" "$out" 'rules come from Kubernetes: kubectl delete'

# ---- a load balancer that has an address for the Service, and takes it back ----
kube patch service echo -p '{"spec": {"type": "LoadBalancer"}}' >/dev/null
balancer() { kube patch service echo --subresource status --type merge -p "{\"status\": {\"loadBalancer\": {\"ingress\": $1}}}" >/dev/null; }
serves() { [ "$(weft get svc echo -o json | jq -c '.status.loadBalancer.ingress // [] | map(.ip)')" = "$1" ]; }
balancer '[{"ip": "192.0.2.10"}]'
wait_until 5 serves '["192.0.2.10"]'
expect_eq "callers from outside get in" "$(load world 192.0.2.10 9000 -n 20 -s hello | jq -c keys)" '["one","two"]'
expect_eq "and by the NodePort that the cluster gives it" \
	"$(load world "$(addr 4 node)" "$(kube get svc echo -o 'jsonpath={.spec.ports[0].nodePort}')" -n 20 -s hello | jq -c keys)" '["one","two"]'
balancer null
wait_until 5 serves '[]'
kube patch service echo -p '{"spec": {"type": "ClusterIP"}}' >/dev/null

# ---- a bad one among fifty ----
{
	for i in $(seq 50); do
		rules_service "s$i" $((100 + i))
		rules_subsets "s$i" "v1 v2"
		rules_weights "s$i" v1=50 v2="$([ "$i" = 17 ] && echo -1 || echo 50)"
	done
} | kube_apply
wait_until 10 in_force vs s50
expect_eq "49 are in force" "$(weft get vs -o name | grep -c /s)" 49
expect_match "status names the other" "$(weft status)" 'VirtualService default/s17, left out: spec.tcp\[0\].route\[1\].weight: expected'
out=$(weft analyze 2>&1) && fail "analyze found nothing"
expect_match "analyze has it as an error" "$out" 'virtualservice/default/s17: spec.tcp\[0\].route\[1\].weight'
weights v1=70 v2=30
sleep 0.3
shares "others' changes take effect beside it" 70
rules_weights s17 v1=50 v2=50 | kube_apply
wait_until 5 in_force vs s17
expect_eq "it is in force once it is right" "$(kube_status .problem_count)" 0

# ---- what refers to what is not there ----
rules_subsets echo "v1" | kube_apply
sleep 0.5
got=$(load client "$(vip 4 10)" 9000 -n 100 -s hello --sequence 2>/dev/null || true)
expect_between "a subset that goes: the others get their share" "$(grep -cx one <<<"$got" || true)" 68 72
expect_eq "and no one else its own" "$(grep -cx two <<<"$got" || true)" 0
expect_eq "the rule is in force" "$(kube_status .problem_count)" 0
expect_match "analyze has it" "$(weft analyze 2>&1 || true)" 'virtualservice/default/echo: .*subset: no destinationrule .* defines "v2"'
rules_subsets echo "v1 v2" | kube_apply
sleep 0.5
shares "it is back" 70

# ---- the last good version stays ----
kube patch virtualservice echo --type=json -p '[{"op": "add", "path": "/spec/tcp/0/route/0/weight", "value": "much"}]' >/dev/null
sleep 0.3
expect_match "status says which version counts" "$(weft status)" 'default/echo, in force as it last was right'
shares "the last good version" 70
weights v1=70 v2=30
wait_until 5 problems 0

# ---- what is not carried out ----
kube_apply <<-END
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: deny, namespace: default}
spec: {}
END
sleep 0.5
expect_match "a kind that is not carried out" "$(weft status)" 'RequestAuthentication default/deny, left out: weft does not carry out'
kube delete requestauthentication deny >/dev/null
sleep 0.5
expect_eq "until it is gone" "$(kube_status .problem_count)" 0

# ---- changes that change nothing ----
before=$(generation)
kube annotate svc echo note=1 >/dev/null
kube label pod one other=1 >/dev/null
kube label ns default other=1 >/dev/null
sleep 0.3
expect_eq "no generation for what changes nothing" "$(generation)" "$before"

# ---- the API server dies, and weftd with it ----
kube_stop apiserver
sleep 0.5
shares "without the server" 70
weftd_kill9
weftd_kube
expect_match "status says so" "$(weft status)" 'rules as of .*; the API server at .* has not answered yet'
shares "and after weftd was killed" 70
before=$(generation)
kube_api_start
wait_until 90 phase_is synced
expect_eq "in step again" "$(kube_status .phase)" synced
sleep 1
expect_eq "nothing has changed" "$(generation)" "$before"
weights v1=40 v2=60
sleep 1
shares "and it follows again" 40

# ---- without its state directory, and without the server ----
kube_stop apiserver
weftd_stop
rm -rf "$TMP/state/kubernetes.cache"
weftd_kube_only
sleep 0.5
out=$(weft status) && fail "weftd is ready"
expect_match "status says that it waits" "$out" 'waiting for the API server'
shares "what is in force stays" 40
kube_api_start
wait_until 60 weft status --wait
shares "and once the server has told" 40
weftd_stop

# ---- files beside it ----
SOURCES=files,kubernetes weftd_kube
out=$(rules_weights echo v1=1 | weft apply -f - 2>&1) && fail "a file took what the cluster has"
expect_match "the same object in both names both" "$out" '^-:[0-9]+:[0-9]+: VirtualService default/echo is in Kubernetes, too \(virtualservice/default/echo\)'
rules_service filed 90 | weft apply -f - >/dev/null
rules_service filed 91 | kube_apply
sleep 0.5
expect_match "and so does the cluster's" "$(weft status)" 'Service default/filed, left out: is in a file that was applied, too'
weft delete svc filed >/dev/null
sleep 0.5
expect_eq "its turn comes with the file's end" "$(kube_status .problem_count)" 0
expect_match "then" "$(weft get svc filed)" "$(vip 4 91)"
weftd_stop
