#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PeerAuthentication on one node. A STRICT pod is called by the pods of the mesh on its own node, by the node itself and through a
# Gateway for HTTP; everything else that speaks no mutual TLS is refused with a RST, where the pod is. Ports may have another mode, and
# when the policy goes, everybody is let in again.
. "${0%/*}/lib.sh"

MESH=istio.io/dataplane-mode=ambient
node_up
pod_add client 1 app=client,$MESH
pod_add stranger 2 app=stranger
pod_add web 3 app=web,$MESH
NS=shop pod_add pay 4 app=pay,$MESH
remote_add far 5 app=far,$MESH
outside_add caller 6
http_echo_start web 8080,9090,7070 web
weftd_start --node-name here --enrol labelled --access-log "$TMP/access.log"

pods() {
	rules_pods | sed 's/image: none}\]/&\n  nodeName: here\n  serviceAccountName: default/' |
		awk '/^  name: far$/ { far = 1 } /nodeName/ && far { sub(/here/, "there"); far = 0 } { print }'
}
{
	pods
	PROTOCOL=http rules_service web 10 8080
	rules_service web-tcp 11 9090 app=web
	PROTOCOL=http rules_door 31500 web 8080
	rules_door 31400 web-tcp 9090
} | apply

# peer NAMESPACE SPEC: a PeerAuthentication
peer() {
	printf -- '---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {namespace: %s, name: default}\nspec: %s\n' "$@"
}

# ask FAMILY FROM WHERE: the status, or "refused". Where weft-proxy has the connection before it is judged, it is reset.
ask() {
	local to status=0 code
	case $3 in
	http) to=$(hostport "$(vip "$1" 10)" 8080) ;;
	tcp) to=$(hostport "$(vip "$1" 11)" 9090) ;;
	pod) to=$(hostport "$(addr "$1" web)" 8080) ;;
	pod-tcp) to=$(hostport "$(addr "$1" web)" 9090) ;;
	pod-bare) to=$(hostport "$(addr "$1" web)" 7070) ;;
	door) to=$(hostport "$(addr "$1" node)" 31500) ;;
	door-tcp) to=$(hostport "$(addr "$1" node)" 31400) ;;
	esac
	code=$(in_ns "$2" curl -s -o /dev/null -w '%{http_code}' --max-time $((5 * SLOWER)) "http://$to/") || status=$?
	case $status in
	0) echo "$code" ;;
	7 | 56) echo refused ;;
	*) echo "curl $status" ;;
	esac
}

STRICT=$(peer default '{mtls: {mode: STRICT}}')
MESHWIDE=$(peer istio-system '{mtls: {mode: STRICT}}')
NO_PORT=$(peer default '{selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}, portLevelMtls: {7070: {mode: DISABLE}}}')
ONE_PORT=$(peer default '{selector: {matchLabels: {app: web}}, portLevelMtls: {7070: {mode: STRICT}}}')
OTHERS=$(peer default '{selector: {matchLabels: {app: other}}, mtls: {mode: STRICT}}')
PERMISSIVE=$(peer default '{mtls: {mode: PERMISSIVE}}')

rows() {
	cat <<-'END'
	no policy, not in the mesh        |            | stranger | pod-bare | 200
	no policy, another node           |            | far      | pod      | 200
	no policy, from outside           |            | caller   | door-tcp | 200
	in the mesh, by Service           | STRICT     | client   | http     | 200
	in the mesh, by Service, TCP      | STRICT     | client   | tcp      | 200
	in the mesh, the pod itself       | STRICT     | client   | pod      | 200
	in the mesh, the pod itself, TCP  | STRICT     | client   | pod-tcp  | 200
	in the mesh, another namespace    | STRICT     | pay      | pod-bare | 200
	not in the mesh                   | STRICT     | stranger | pod      | refused
	not in the mesh, TCP              | STRICT     | stranger | pod-tcp  | refused
	not in the mesh, no Service's     | STRICT     | stranger | pod-bare | refused
	another node                      | STRICT     | far      | pod      | refused
	another node, TCP                 | STRICT     | far      | pod-tcp  | refused
	another node, no Service's port   | STRICT     | far      | pod-bare | refused
	from outside                      | STRICT     | caller   | pod-bare | refused
	from outside, by a Gateway        | STRICT     | caller   | door     | 200
	from outside, by one for TCP      | STRICT     | caller   | door-tcp | refused
	the node itself                   | STRICT     | node     | pod      | 200
	the node itself, no Service's     | STRICT     | node     | pod-bare | 200
	of the mesh                       | MESHWIDE   | stranger | pod-bare | refused
	of the mesh, in the mesh          | MESHWIDE   | client   | http     | 200
	a port is left out                | NO_PORT    | stranger | pod-bare | 200
	and another is not                | NO_PORT    | stranger | pod-tcp  | refused
	one port                          | ONE_PORT   | stranger | pod-bare | refused
	one port, in the mesh             | ONE_PORT   | client   | pod-bare | 200
	and not the others                | ONE_PORT   | stranger | pod-tcp  | 200
	of another workload               | OTHERS     | stranger | pod-bare | 200
	PERMISSIVE                        | PERMISSIVE | stranger | pod-bare | 200
	END
}

trim() {
	local text=${1#"${1%%[! ]*}"}
	echo "${text%"${text##*[! ]}"}"
}

for family in 4 6; do
	while IFS='|' read -r what policy from where want; do
		policy=$(trim "$policy")
		[ -z "$policy" ] || apply <<<"${!policy}"
		row "IPv$family, $(trim "$what")" "$(ask $family "$(trim "$from")" "$(trim "$where")")" "$(trim "$want")"
		[ -z "$policy" ] || weft delete -f - >/dev/null <<<"${!policy}"
	done < <(rows)
done
rows_end

# What is told of it.
apply <<<"$NO_PORT"
before=$(stat_of weft.reason.plaintext_denied)
expect_eq "a connection that is refused" "$(ask 4 stranger pod-tcp)" refused
passed=$(stat_of weft.reason.rbac_allowed)
expect_eq "one that is let in" "$(ask 4 client tcp)" 200
expect_between "it is counted" $(($(stat_of weft.reason.plaintext_denied) - before)) 1 9
expect_eq "and not as an AuthorizationPolicy's" "$(stat_of weft.reason.rbac_denied) $(($(stat_of weft.reason.rbac_allowed) - passed))" "0 0"
expect_match "get" "$(weft get peerauthentications)" '^default +STRICT +7070=DISABLE +app=web'
expect_match "describe" "$(weft describe pa default)" 'mode: STRICT'
expect_match "explain" "$(weft explain --gateway default/door-31400 --to "web:31400" 2>&1)" \
	'PeerAuthentication default/default \(.*\) is STRICT, and .* speaks no mutual TLS to port 9090'

# A policy that is there is in force while weftd is not, and with the next one; an AuthorizationPolicy judges who is let in.
weftd_kill9
expect_eq "with no weftd" "$(ask 4 stranger pod-tcp) $(ask 4 client tcp)" "refused 200"
weftd_start --node-name here --enrol labelled
expect_eq "with another weftd" "$(ask 4 stranger pod-tcp) $(ask 4 client tcp)" "refused 200"
apply <<-'END'
	apiVersion: security.istio.io/v1
	kind: AuthorizationPolicy
	metadata: {namespace: default, name: shop}
	spec: {rules: [{from: [{source: {namespaces: [shop]}}]}]}
END
expect_eq "with an AuthorizationPolicy" "$(ask 4 pay pod-tcp) $(ask 4 client pod-tcp) $(ask 4 client http)" "200 refused 403"
weft delete authorizationpolicy shop >/dev/null
weft delete pa default >/dev/null
expect_eq "without it" "$(ask 4 stranger pod-tcp)" 200
expect_eq "nothing is left in the kernel" "$(map_dump authz_rules | jq length) $(map_dump authz_pods | jq length)" "0 0"

# An address of the pod's that no Pod tells of is the pod's all the same.
apply <<<"$STRICT"
echo "address add 10.244.0.33/32 dev eth0" | ip_in web
echo "route add 10.244.0.33/32 dev veth3" | ip_in node
own() { in_ns "$1" curl -s -o /dev/null -w '%{http_code} %{exitcode}' --max-time $((5 * SLOWER)) http://10.244.0.33:7070/ || true; }
expect_eq "an address that no Pod tells of" "$(own stranger), $(own client)" "000 7, 200 0"

# Pods that name no node are those of the node that is told of them.
rules_pods | apply
expect_eq "pods that name no node" "$(ask 4 stranger pod-bare) $(ask 4 client pod-bare)" "refused 200"

# One that calls before weftd has been told of it.
weftd_stop
weftd_start --node-name here --enrol all
weft delete pod client >/dev/null
expect_eq "a caller that weftd has not been told of yet" "$(ask 4 client pod-bare) $(ask 4 caller pod-bare)" "200 refused"
