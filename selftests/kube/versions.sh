#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Istio's definitions of any age: weftd finds the version that the server has, and another one that takes its place while it runs.
. "${0%/*}/node.sh"

in_force() { weft get "$@" >/dev/null 2>&1; }
gone() { ! in_force "$@"; }
path_is() { [ "$(kube_status '.resources[] | select(.resource == "virtualservices") | .path')" = "/apis/networking.istio.io/$1/virtualservices" ]; }
# rule VERSION NAME [PERCENT]
rule() {
	kube_apply <<-END
	apiVersion: networking.istio.io/$1
	kind: VirtualService
	metadata: {name: $2, namespace: default}
	spec: {hosts: [$2], http: [{fault: {abort: {httpStatus: 500, percentage: {value: ${3:-1}}}}, route: [{destination: {host: $2}}]}]}
	END
}
percent_is() { weft get vs "$1" -o json | jq -e ".spec.http[0].fault.abort.percentage.value == $2" >/dev/null; }

node_up
kube_up
kube_crds_up v1beta1
rule v1beta1 old
weftd_kube
in_force vs old || fail "v1beta1 alone is not found"
say "ok: v1beta1 alone"
wait_until 10 path_is v1beta1
rule v1beta1 old 2
wait_until 5 percent_is old 2
say "ok: and its changes"

# A newer Istio is installed over it.
kube_crds v1 v1beta1 | kube apply -f - >/dev/null
rule v1 new
wait_until 5 in_force vs new
in_force vs old || fail "the older one went"
kube_crds v1 v1beta1 | awk '/name: v1beta1$/ { old = 1 } old && /served:/ { sub("true", "false"); old = 0 } { print }' |
	kube apply -f - >/dev/null
rule v1 new 3
wait_until 30 percent_is new 3
wait_until 30 path_is v1
rule v1 old 3
wait_until 5 percent_is old 3
say "ok: v1 takes the place of v1beta1"

# And another that is older than all.
before=$(weft get vs -o name | wc -l)
expect_eq "rules before" "$before" 2
kube delete crd --all >/dev/null
wait_until 60 gone vs old
kube_crds_up v1alpha3
rule v1alpha3 oldest
wait_until 60 in_force vs oldest
wait_until 30 path_is v1alpha3
say "ok: v1alpha3 alone, while it runs"
expect_eq "nothing is wrong" "$(kube_status .problem_count)" 0
weftd_stop
