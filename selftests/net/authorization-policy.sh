#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# AuthorizationPolicies by real sockets. A caller gets 403 where its request goes through weft-proxy: by a Service, by a Gateway, by the
# pod's own address at a port for HTTP; its connection to a port of TCP is refused. Callers from elsewhere have no identity. The node's
# own calls (the kubelet's probes) always pass.
. "${0%/*}/lib.sh"

node_up
pod_add client 1 app=client
pod_add other 2 app=other
pod_add web 3 app=web
NS=shop pod_add pay 4 app=pay
remote_add far 5
outside_add caller 6
for pod in web other; do
	http_echo_start $pod 8080,9090 $pod
done
weftd_start --node-name here --access-log "$TMP/access.log"

pods() {
	rules_pods | sed 's/image: none}\]/&\n  nodeName: here\n  serviceAccountName: default/' |
		awk '/^  name: far$/ { far = 1 } /nodeName/ && far { sub(/here/, "there"); far = 0 } { print }'
}
{
	pods
	PROTOCOL=http rules_service web 10 8080:8080
	rules_service web-tcp 11 9090:9090 app=web
	PROTOCOL=http rules_door 31500 web 8080
	rules_door 31400 web-tcp 9090
} | apply

# policies TEXT: AuthorizationPolicies p1, p2, ... of `default`, about `web`; % between them
policies() {
	local one number=0 text=$1
	while [ -n "$text" ]; do
		one=${text%%%*}
		[[ $text = *%* ]] && text=${text#*%} || text=
		number=$((number + 1))
		printf -- '---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {namespace: default, name: p%d}\nspec: {selector: {matchLabels: {app: web}}, %s}\n' \
			$number "$one"
	done
}

# ask FAMILY FROM WHERE [CURL...]: the status, or "refused"
ask() {
	local family=$1 from=$2 where=$3 to status=0 code
	shift 3
	case $where in
	http) to=$(hostport "$(vip "$family" 10)" 8080) ;;
	tcp) to=$(hostport "$(vip "$family" 11)" 9090) ;;
	pod) to=$(hostport "$(addr "$family" web)" 8080) ;;
	pod-tcp) to=$(hostport "$(addr "$family" web)" 9090) ;;
	door) to=$(hostport "$(addr "$family" node)" 31500) ;;
	door-tcp) to=$(hostport "$(addr "$family" node)" 31400) ;;
	esac
	local path=/
	[ $# = 0 ] || [[ $1 != /* ]] || { path=$1 && shift; }
	code=$(in_ns "$from" curl -s -o /dev/null -w '%{http_code}' --max-time $((5 * SLOWER)) "$@" "http://$to$path") || status=$?
	case $status in
	0) echo "$code" ;;
	7) echo refused ;;
	*) echo "curl $status" ;;
	esac
}

rows() {
	cat <<-'END'
	no policy                              |  | client | http | | 200
	deny all                               | rules: [] | client | http | | 403
	deny all, a port of TCP                | rules: [] | client | tcp | | refused
	deny all, the pod itself               | rules: [] | client | pod | | 403
	deny all, the pod itself, TCP          | rules: [] | client | pod-tcp | | refused
	deny all, another node                 | rules: [] | far | pod | | 403
	deny all, another node, TCP            | rules: [] | far | pod-tcp | | refused
	deny all, from outside by a Gateway    | rules: [] | caller | door | | 403
	deny all, from outside by a TCP one    | rules: [] | caller | door-tcp | | refused
	deny all, the node itself              | rules: [] | node | pod | | 200
	allow all                              | rules: [{}] | far | pod | | 200
	by namespace                           | rules: [{from: [{source: {namespaces: [shop]}}]}] | pay | http | | 200
	by namespace, another                  | rules: [{from: [{source: {namespaces: [shop]}}]}] | client | http | | 403
	by namespace, TCP                      | rules: [{from: [{source: {namespaces: [shop]}}]}] | pay | tcp | | 200
	by namespace, TCP, another             | rules: [{from: [{source: {namespaces: [shop]}}]}] | client | tcp | | refused
	by namespace, the pod itself           | rules: [{from: [{source: {namespaces: [shop]}}]}] | pay | pod | | 200
	another node has no identity           | rules: [{from: [{source: {namespaces: [default]}}]}] | far | pod | | 403
	another node has no identity, TCP      | rules: [{from: [{source: {namespaces: [default]}}]}] | far | pod-tcp | | refused
	another node is not of a namespace     | action: DENY, rules: [{from: [{source: {notNamespaces: [default]}}]}] | far | pod | | 403
	by principal                           | rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/default]}}]}] | pay | pod-tcp | | 200
	by principal, another                  | rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/default]}}]}] | client | pod-tcp | | refused
	by the Gateway's principal             | rules: [{from: [{source: {principals: [cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account]}}]}] | caller | door | | 200
	by the Gateway's principal, a pod      | rules: [{from: [{source: {principals: [cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account]}}]}] | client | http | | 403
	by the Gateway's principal, TCP        | rules: [{from: [{source: {principals: [cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account]}}]}] | caller | door-tcp | | refused
	by the Gateway's namespace             | rules: [{from: [{source: {namespaces: [istio-system]}}]}] | caller | door | | 200
	DENY who has no principal, by Gateway  | action: DENY, rules: [{from: [{source: {notPrincipals: ["*"]}}]}] | caller | door | | 200
	DENY who has no principal, elsewhere   | action: DENY, rules: [{from: [{source: {notPrincipals: ["*"]}}]}] | far | pod | | 403
	by subnet, from outside                | rules: [{from: [{source: {ipBlocks: ["@outside"]}}]}] | caller | door | | 200
	by subnet, from outside, TCP           | rules: [{from: [{source: {ipBlocks: ["@outside"]}}]}] | caller | door-tcp | | 200
	by subnet, a pod                       | rules: [{from: [{source: {ipBlocks: ["@outside"]}}]}] | client | http | | 403
	by subnet, another node's pod          | rules: [{from: [{source: {ipBlocks: ["@far"]}}]}] | far | pod | | 200
	by port                                | rules: [{to: [{operation: {ports: ["9090"]}}]}] | client | tcp | | 200
	by port, another                       | rules: [{to: [{operation: {ports: ["9090"]}}]}] | client | http | | 403
	DENY by port                           | action: DENY, rules: [{to: [{operation: {ports: ["9090"]}}]}] | client | tcp | | refused
	DENY by port, another                  | action: DENY, rules: [{to: [{operation: {ports: ["9090"]}}]}] | client | http | | 200
	DENY before ALLOW                      | rules: [{}] % action: DENY, rules: [{from: [{source: {namespaces: [shop]}}]}] | pay | http | | 403
	DENY before ALLOW, another             | rules: [{}] % action: DENY, rules: [{from: [{source: {namespaces: [shop]}}]}] | client | http | | 200
	by method                              | rules: [{to: [{operation: {methods: [GET]}}]}] | client | http | /x | 200
	by method, another                     | rules: [{to: [{operation: {methods: [GET]}}]}] | client | http | /x -X POST | 403
	by method, by a Gateway                | rules: [{to: [{operation: {methods: [GET]}}]}] | caller | door | /x | 200
	by method, by a Gateway, another       | rules: [{to: [{operation: {methods: [GET]}}]}] | caller | door | /x -X PUT | 403
	by method: never a connection          | rules: [{to: [{operation: {methods: [GET]}}]}] | client | tcp | | refused
	by method, the pod itself              | rules: [{to: [{operation: {methods: [GET]}}]}] | client | pod | /x | 200
	by method, the pod itself, another     | rules: [{to: [{operation: {methods: [GET]}}]}] | client | pod | /x -X POST | 403
	by method, from another node           | rules: [{to: [{operation: {methods: [GET]}}]}] | far | pod | /x | 200
	by method, from another node, another  | rules: [{to: [{operation: {methods: [GET]}}]}] | far | pod | /x -X POST | 403
	by header, from another node           | rules: [{when: [{key: "request.headers[x-token]", values: [admin]}]}] | far | pod | / -H X-Token:admin | 200
	by method, from another node, TCP      | rules: [{to: [{operation: {methods: [GET]}}]}] | far | pod-tcp | | refused
	DENY a path                            | action: DENY, rules: [{to: [{operation: {paths: ["/admin*"]}}]}] | client | http | /admin/x | 403
	DENY a path, another                   | action: DENY, rules: [{to: [{operation: {paths: ["/admin*"]}}]}] | client | http | /public | 200
	DENY a path, in disguise               | action: DENY, rules: [{to: [{operation: {paths: ["/admin*"]}}]}] | client | http | /x/..//%61dmin --path-as-is | 200
	DENY a path, escaped                   | action: DENY, rules: [{to: [{operation: {paths: ["/admin*"]}}]}] | client | http | /x/../%61dmin/ --path-as-is | 403
	a path, escaped twice                  | rules: [{to: [{operation: {paths: ["/public/*"]}}]}] | client | http | /admin/%2%65%2%65/public/x --path-as-is | 403
	DENY a path, escaped twice             | action: DENY, rules: [{to: [{operation: {paths: ["/public/*"]}}]}] | client | http | /admin/%2%65%2%65/public/x --path-as-is | 403
	DENY a path denies connections         | action: DENY, rules: [{to: [{operation: {paths: ["/admin*"]}}]}] | client | tcp | | refused
	by header                              | rules: [{when: [{key: "request.headers[x-token]", values: [admin]}]}] | client | http | / -H X-Token:admin | 200
	by header, none                        | rules: [{when: [{key: "request.headers[x-token]", values: [admin]}]}] | client | http | | 403
	END
}

# at FAMILY TEXT: the addresses that its @-words stand for
at() {
	local text=$2 outside=10.247.0.0/24
	[ "$1" = 4 ] || outside=fd00:247::/64
	text=${text//@outside/$outside}
	echo "${text//@far/$(addr "$1" far)}"
}

trim() {
	local text=${1#"${1%%[! ]*}"}
	echo "${text%"${text##*[! ]}"}"
}

for family in 4 6; do
	while IFS='|' read -r what text from where more want; do
		text=$(at $family "$(trim "$text")")
		policies "$text" >"$TMP/policies.yaml"
		[ -z "$text" ] || apply <"$TMP/policies.yaml" 2>/dev/null
		read -ra args <<<"$more"
		row "IPv$family, $(trim "$what")" "$(ask $family "$(trim "$from")" "$(trim "$where")" "${args[@]}")" "$(trim "$want")"
		[ -z "$text" ] || weft delete -f "$TMP/policies.yaml" >/dev/null 2>&1
	done < <(rows)
done

# What is told of it.
policies 'rules: [{to: [{operation: {methods: [GET]}}]}] % action: DENY, rules: [{to: [{operation: {methods: [HEAD]}}]}, {to: [{operation: {paths: [/no]}}]}]' \
	>"$TMP/policies.yaml"
weft apply -f "$TMP/policies.yaml" 2>"$TMP/said" >/dev/null
expect_match "a warning of the port for TCP" "$(cat "$TMP/said")" 'port 9090 of service default/web-tcp carries connections'
before=$(stat_of weft.reason.rbac_denied)
expect_eq "a request that is refused" "$(ask 4 client http /no)" 403
expect_match "its body" "$(in_ns client curl -sS "http://$(vip 4 10):8080/no")" '^RBAC: access denied$'
expect_match "the access log" "$(grep /no "$TMP/access.log" | tail -1)" 'rbac_access_denied_matched_policy\[ns\[default\]-policy\[p2\]-rule\[1\]\]'
expect_eq "a connection that is refused" "$(ask 4 client tcp)" refused
expect_eq "it is counted" $(($(stat_of weft.reason.rbac_denied) - before)) 1
expect_between "and requests are" "$(stat_of 'cluster.outbound|8080||web.default.svc.cluster.local.rbac.denied')" 2 1000

PROTOCOL=http rules_routes web "- match: [{uri: {prefix: /api}}]
  rewrite: {uri: /no}
  route: [{destination: {host: web}}]
- route: [{destination: {host: web}}]" | apply 2>/dev/null
expect_eq "the path is the one that rules make of it" "$(ask 4 client http /api) $(ask 4 client http /apo)" "403 200"
expect_eq "and that another node asks for" "$(ask 4 far pod /api) $(ask 4 far pod /no)" "200 403"
expect_match "explain of a request" "$(weft explain --from client --to web:8080 --path /no)" \
	'status 403 - \(RBAC: access denied\): AuthorizationPolicy default/p2 \(.*\) denies default/client port 8080 by spec.rules\[1\]'
expect_match "explain of one that passes" "$(weft explain --from client --to web:8080 --path /x)" 'action: route'
expect_match "explain of a connection" "$(weft explain --from client --to web-tcp:9090)" \
	'AuthorizationPolicy default/p2 \(.*\) denies default/client port 9090 by spec.rules\[0\], as a connection'
expect_eq "explain as JSON" "$(weft explain --from client --to web:8080 --path /no -o json | jq -c '[.status, (.destinations[0].denied | length)]')" '[403,2]'

policies 'rules: [{from: [{source: {principals: [cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account]}}]}]' |
	apply 2>/dev/null
expect_match "explain of a request at a Gateway" "$(weft explain --gateway default/door-31500 --to web:31500 --path /x)" 'action: route'
expect_match "explain of a pod's" "$(weft explain --from client --to web:8080 --path /x)" 'no AuthorizationPolicy of default/web allows default/client'
weft apply -f "$TMP/policies.yaml" >/dev/null 2>&1

weft delete -f "$TMP/policies.yaml" >/dev/null 2>&1

# AUDIT marks, and decides nothing.
logged() {
	echo "$(stat_of 'cluster.outbound|8080||web.default.svc.cluster.local.rbac.logged') $(stat_of weft.reason.rbac_logged)"
}
policies 'action: AUDIT, rules: [{to: [{operation: {methods: [POST], ports: ["8080"]}}]}, {from: [{source: {namespaces: [shop]}}]}]' >"$TMP/policies.yaml"
apply <"$TMP/policies.yaml" 2>/dev/null
read -r requests connections <<<"$(logged)"
expect_eq "audited: what is not met passes" "$(ask 4 client http /x) $(ask 4 client tcp) $(ask 6 far pod-tcp)" "200 200 200"
expect_eq "and is not counted" "$(logged)" "$requests $connections"
expect_eq "audited: what is met passes, too" "$(ask 4 client http /x -X POST) $(ask 6 pay http /x) $(ask 4 pay tcp) $(ask 4 pay pod-tcp)" "200 200 200 200"
expect_eq "and is counted" "$(logged)" "$((requests + 2)) $((connections + 2))"
expect_match "explain of what is audited" "$(weft explain --from client --to web:8080 --path /x --method POST)" \
	'AuthorizationPolicy default/p1 \(.*\) audits default/client at port 8080 by spec.rules\[0\]'
expect_eq "and of what is not" "$(weft explain --from client --to web:8080 --path /x -o json | jq -c .audit_policies)" null
expect_match "explain of a connection that is audited" "$(weft explain --from shop/pay --to web-tcp.default:9090)" \
	'AuthorizationPolicy default/p1 \(.*\) audits shop/pay at port 9090 by spec.rules\[1\]'
weft delete -f "$TMP/policies.yaml" >/dev/null 2>&1
policies 'action: AUDIT, rules: [{}] % rules: [{from: [{source: {namespaces: [default]}}]}] % action: DENY, rules: [{to: [{operation: {paths: [/no]}}]}]' >"$TMP/policies.yaml"
apply <"$TMP/policies.yaml" 2>/dev/null
read -r requests connections <<<"$(logged)"
expect_eq "audited beside others" "$(ask 4 client http /x) $(ask 4 pay http /x) $(ask 4 client http /no)" "200 403 403"
expect_eq "each of them is counted" "$(logged)" "$((requests + 3)) $connections"
expect_eq "a connection that is audited and refused" "$(ask 4 pay tcp)" refused
expect_eq "it is counted" "$(logged)" "$((requests + 3)) $((connections + 1))"
expect_match "get" "$(weft get authorizationpolicies)" '^p1 +AUDIT +app=web'
weft delete -f "$TMP/policies.yaml" >/dev/null 2>&1
weftd_stop
weftd_start --node-name here --access-log "$TMP/access.json" --access-log-format json
apply <"$TMP/policies.yaml" 2>/dev/null
expect_eq "audited, with an access log in JSON" "$(ask 4 client http /marked)" 200
# marks PATH: of its last line
marks() {
	wait_until 5 grep -q "$1" "$TMP/access.json"
	grep "$1" "$TMP/access.json" | tail -1 | jq -c '[has("access_log_hint"), .access_log_hint, .audit_policy]'
}
expect_eq "the mark" "$(marks /marked)" '[true,true,"ns[default]-policy[p1]-rule[0]"]'
weft delete -f "$TMP/policies.yaml" >/dev/null 2>&1
expect_eq "without the policy" "$(ask 4 client http /unmarked)" 200
expect_eq "no mark" "$(marks /unmarked)" '[false,null,null]'
weftd_stop
weftd_start --node-name here --access-log "$TMP/access.log"
policies 'rules: [{to: [{operation: {methods: [GET]}}]}] % action: DENY, rules: [{to: [{operation: {methods: [HEAD]}}]}, {to: [{operation: {paths: [/no]}}]}]' >"$TMP/policies.yaml"
apply <"$TMP/policies.yaml" 2>/dev/null

# A connection that is kept open is none for a policy that has changed; and a weftd that is started again has them.
expect_match "get" "$(weft get authorizationpolicies)" '^p1 +ALLOW +app=web'
weftd_kill9
expect_eq "with no weftd" "$(ask 4 far pod /no) $(ask 4 far pod-tcp)" "403 refused"
weftd_start --node-name here --access-log "$TMP/access.log"
expect_eq "with another weftd" "$(ask 4 far pod /no) $(ask 4 far pod-tcp)" "403 refused"
expect_eq "with another weftd, a request" "$(ask 4 client http /no)" 403
weft delete -f "$TMP/policies.yaml" >/dev/null 2>&1
expect_eq "without policies" "$(ask 4 far pod)" 200
expect_eq "nothing is left in the kernel" "$(map_dump authz_rules | jq length) $(map_dump authz_pods | jq length)" "0 0"
rows_end
