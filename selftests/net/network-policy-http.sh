#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a NetworkPolicy closes stays closed: to a connection of the pod's own by its CNI, which sees it in FORWARD, to a request by
# weft-proxy, which checks it. Each row is asked three ways, with the same policy written by hand for iptables in the CNI's
# place: directly, by a Service's TCP port, and by its HTTP port.
. "${0%/*}/lib.sh"

node_up
pod_add client 1 app=client,role=tester
pod_add other 2 app=other
pod_add web 3 app=web
NS=shop pod_add pay 4 app=pay
remote_add far 5
outside_add caller 6
for pod in client other web pay far; do
	http_echo_start $pod 8080,9090 $pod
done
weftd_start --access-log "$TMP/access.log"

namespace() { printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {team: %s}}\n' "$1" "$2"; }

# services NAME NUMBER [NAMESPACE]: by HTTP, and ten further on by TCP
services() {
	NS=${3:-default} PROTOCOL=http rules_service "$1" "$2" 8080:8080,9090:9090
	NS=${3:-default} PROTOCOL=http rules_routes "$1" "- route: [{destination: {host: $1}}]"
	NS=${3:-default} rules_service "$1-tcp" $(($2 + 10)) 8080:8080,9090:9090 "app=$1"
}
declare -A SERVICE=([web]=10 [pay]=11 [far]=12 [client]=13 [other]=14)
{
	namespace default core
	namespace shop shop
	rules_pods | sed 's/image: none/&, ports: [{name: http, containerPort: 8080}, {name: metrics, containerPort: 9090}]/'
	for pod in web far client other; do
		services $pod "${SERVICE[$pod]}"
	done
	services pay 11 shop
	PROTOCOL=http rules_door 31500 web 8080
	rules_door 31400 web-tcp 8080
} | apply

# What is asked, from, to, port; the policies as NAMESPACE {SPEC}, several with % between; for iptables what is let in to the
# endpoint (in) or out of the client (out), with ; between; whether it passes. @NAME is the address of a pod,
# @pods and @outside are subnets, @all is all of the family.
rows() {
	cat <<-'END'
	no policy                          | client | web | 8080 |  | | open
	about another pod                  | client | web | 8080 | default {podSelector: {matchLabels: {app: other}}} | | open
	of another namespace               | client | web | 8080 | shop {podSelector: {}} | | open
	deny-all                           | client | web | 8080 | default {podSelector: {}} | in | closed
	deny-all, another node             | client | far | 8080 | default {podSelector: {matchLabels: {app: far}}} | in | closed
	deny-all, from outside             | caller | web | 8080 | default {podSelector: {}} | in | closed
	deny-all, another namespace        | client | pay | 8080 | shop {podSelector: {}} | in | closed
	deny-all, to itself                | client | client | 8080 | default {podSelector: {}, policyTypes: [Ingress, Egress]} | in & out | open
	egress alone does not close in     | other | web | 8080 | default {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]} | | open
	an empty rule                      | client | web | 8080 | default {podSelector: {}, ingress: [{}]} | in -p tcp | open
	an empty rule, from outside        | caller | web | 8080 | default {podSelector: {}, ingress: [{}]} | in -p tcp | open
	empty lists                        | client | web | 8080 | default {podSelector: {}, ingress: [{from: [], ports: []}]} | in -p tcp | open
	by label                           | client | web | 8080 | default {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]} | in -s @client | open
	by label, another                  | other | web | 8080 | default {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]} | in -s @client | closed
	by label, another node             | far | web | 8080 | default {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]} | in -s @client | closed
	labels of another namespace        | pay | web | 8080 | default {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: pay}}}]}]} | in | closed
	all pods of the namespace          | other | web | 8080 | default {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]} | in -s @client; -s @other | open
	all pods, from outside             | caller | web | 8080 | default {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]} | in -s @pods | closed
	In                                 | client | web | 8080 | default {podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [x, client]}]}}]}]} | in -s @client | open
	NotIn                              | client | web | 8080 | default {podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [x, client]}]}}]}]} | in -s @other | closed
	Exists                             | client | web | 8080 | default {podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: role, operator: Exists}]}}]}]} | in -s @client | open
	DoesNotExist                       | client | web | 8080 | default {podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: role, operator: DoesNotExist}]}}]}]} | in -s @other | closed
	expressions of the policy          | client | web | 8080 | default {podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}} | | open
	by namespace                       | pay | web | 8080 | default {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: shop}}}]}]} | in -s @pay | open
	by namespace, another              | client | web | 8080 | default {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: shop}}}]}]} | in -s @pay | closed
	by the name of a namespace         | pay | web | 8080 | default {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}]}]} | in -s @pay | open
	all namespaces                     | client | pay | 8080 | shop {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]} | in -s @pods | open
	both selectors                     | pay | web | 8080 | default {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: shop}}, podSelector: {matchLabels: {app: pay}}}]}]} | in -s @pay | open
	both selectors, one fails          | pay | web | 8080 | default {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: shop}}, podSelector: {matchLabels: {app: client}}}]}]} | in | closed
	two peers                          | client | web | 8080 | default {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: shop}}}, {podSelector: {matchLabels: {app: client}}}]}]} | in -s @pay; -s @client | open
	a subnet, from outside             | caller | web | 8080 | default {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: "@outside"}}]}]} | in -s @outside | open
	a subnet, another                  | caller | web | 8080 | default {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: "@pods"}}]}]} | in -s @pods | closed
	all but a subnet                   | caller | web | 8080 | default {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: "@all", except: ["@outside"]}}]}]} | in ! -s @outside | closed
	all but a subnet, a pod            | client | web | 8080 | default {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: "@all", except: ["@outside"]}}]}]} | in ! -s @outside | open
	a port                             | client | web | 8080 | default {podSelector: {}, ingress: [{ports: [{port: 8080}]}]} | in -p tcp --dport 8080 | open
	another port                       | client | web | 9090 | default {podSelector: {}, ingress: [{ports: [{port: 8080}]}]} | in -p tcp --dport 8080 | closed
	a range                            | client | web | 9090 | default {podSelector: {}, ingress: [{ports: [{port: 9000, endPort: 9090}]}]} | in -p tcp --dport 9000:9090 | open
	beyond a range                     | client | web | 9090 | default {podSelector: {}, ingress: [{ports: [{port: 9000, endPort: 9089}]}]} | in -p tcp --dport 9000:9089 | closed
	a port's name                      | client | web | 9090 | default {podSelector: {}, ingress: [{ports: [{port: metrics}]}]} | in -p tcp --dport 9090 | open
	another port's name                | client | web | 8080 | default {podSelector: {}, ingress: [{ports: [{port: metrics}]}]} | in -p tcp --dport 9090 | closed
	another protocol                   | client | web | 8080 | default {podSelector: {}, ingress: [{ports: [{protocol: UDP, port: 8080}]}]} | in -p udp --dport 8080 | closed
	a port, for some                   | other | web | 8080 | default {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 8080}]}]} | in -s @client -p tcp --dport 8080 | closed
	egress, nothing                    | client | web | 8080 | default {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress]} | out | closed
	egress, another client             | other | web | 8080 | default {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress]} | | open
	egress to a label                  | client | web | 8080 | default {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]} | out -d @web | open
	egress to another label            | client | far | 8080 | default {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]} | out -d @web | closed
	egress to a namespace              | client | pay | 8080 | default {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {team: shop}}}]}]} | out -d @pay | open
	egress to a subnet                 | client | far | 8080 | default {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: "@all", except: ["@pods"]}}]}]} | out ! -d @pods | open
	egress to a subnet, another        | client | web | 8080 | default {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: "@all", except: ["@pods"]}}]}]} | out ! -d @pods | closed
	egress to a port's name            | client | web | 9090 | default {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{ports: [{port: metrics}]}]} | out -p tcp --dport 9090 | open
	egress to another port's name      | client | web | 8080 | default {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{ports: [{port: metrics}]}]} | out -p tcp --dport 9090 | closed
	two policies add up                | client | web | 8080 | default {podSelector: {}} % default {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]} | in -s @client | open
	out, but not in                    | client | pay | 8080 | default {podSelector: {}, policyTypes: [Egress], egress: [{}]} % shop {podSelector: {}} | in & out -p tcp | closed
	in, but not out                    | client | web | 8080 | default {podSelector: {}, ingress: [{}]} % default {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress]} | in -p tcp & out | closed
	END
}

# at FAMILY TEXT: the addresses that its @-words stand for
at() {
	local family=$1 text=$2 name pods outside all
	if [ "$family" = 4 ]; then
		pods=10.244.0.0/24 outside=10.247.0.0/24 all=0.0.0.0/0
	else
		pods=fd00:244::/64 outside=fd00:247::/64 all=::/0
	fi
	text=${text//@pods/$pods}
	text=${text//@outside/$outside}
	text=${text//@all/$all}
	for name in client other web pay far caller; do
		text=${text//@$name/$(addr "$family" $name)}
	done
	echo "$text"
}

trim() {
	local text=${1#"${1%%[! ]*}"}
	echo "${text%"${text##*[! ]}"}"
}

# policies TEXT: NetworkPolicies p1, p2, ...
policies() {
	local one number=0 text=$1
	while [ -n "$(trim "$text")" ]; do
		one=$(trim "${text%%%*}")
		[[ $text = *%* ]] && text=${text#*%} || text=
		number=$((number + 1))
		printf -- '---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: %s, name: p%d}\nspec: %s\n' \
			"${one%% *}" $number "${one#* }"
	done
}

# forward FAMILY FROM TO TEXT: the same in the node's FORWARD chain
forward() {
	local family=$1 part match text=$4 about
	echo '*filter'
	echo ':FORWARD ACCEPT'
	echo '-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT'
	while [ -n "$text" ]; do
		part=$(trim "${text%%&*}")
		[[ $text = *"&"* ]] && text=${text#*&} || text=
		about="-d $(addr "$family" "$3")"
		[[ $part = in* ]] || about="-s $(addr "$family" "$2")"
		part=$(trim "${part#* }")
		[[ $part != in && $part != out ]] || part=
		# A new chain for each direction: what one lets through the other may not.
		echo ":${about:1:1}-ways - [0:0]"
		echo "-A FORWARD $about -j ${about:1:1}-ways"
		while [ -n "$part" ]; do
			match=$(trim "${part%%;*}")
			[[ $part = *";"* ]] && part=$(trim "${part#*;}") || part=
			echo "-A ${about:1:1}-ways $match -j RETURN"
		done
		echo "-A ${about:1:1}-ways -p tcp -j REJECT --reject-with tcp-reset"
	done
	echo COMMIT
}

# get FROM ADDRESS PORT: 200, 503, or 000 where there is no connection
get() { in_ns "$1" curl -sg -o /dev/null -w '%{http_code}' -m $((5 * SLOWER)) "http://$(hostport "$2" "$3")/" || true; }

word() {
	case $1 in
	200) echo open ;;
	000 | 503) echo closed ;;
	*) echo "$1" ;;
	esac
}

# ask FAMILY FROM TO PORT: directly, by TCP, by HTTP
ask() {
	local family=$1 number=${SERVICE[$3]} by=() way
	if [ "$2" = caller ]; then
		by=("$(addr "$family" "$3") $4" "$(addr "$family" node) 31400" "$(addr "$family" node) 31500")
	else
		by=("$(addr "$family" "$3") $4" "$(vip "$family" $((number + 10))) $4" "$(vip "$family" "$number") $4")
	fi
	GOT=()
	for way in "${by[@]}"; do
		# shellcheck disable=SC2086 # words are meant
		GOT+=("$(word "$(get "$2" $way)")")
	done
}

before=$(cluster_stat '' network_policy web 8080)
ways=(directly "by TCP" "by HTTP")
while IFS='|' read -r what from to port spec chain want; do
	what=$(trim "$what") from=$(trim "$from") to=$(trim "$to") port=$(trim "$port") want=$(trim "$want")
	for family in 4 6; do
		policies "$(at $family "$spec")" >"$TMP/policies.yaml"
		[ ! -s "$TMP/policies.yaml" ] || apply <"$TMP/policies.yaml"
		tables=iptables
		[ $family = 4 ] || tables=ip6tables
		forward $family "$from" "$to" "$(trim "$(at $family "$chain")")" | in_ns node $tables-restore
		ask $family "$from" "$to" "$port"
		for i in 0 1 2; do
			row "$what, IPv$family, ${ways[i]}" "${GOT[i]}" "$want"
		done
		[ ! -s "$TMP/policies.yaml" ] || weft delete -f "$TMP/policies.yaml" >/dev/null
	done
done < <(rows)
both_tables -F FORWARD
[ "$(cluster_stat '' network_policy web 8080)" -gt "$before" ] || fail "nothing was counted as network_policy"

# Who closes it is told by explain, in the access log, and by the answer, which is that of a connection that fails.
policies 'default {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: other}}}]}]}' >"$TMP/deny.yaml"
apply <"$TMP/deny.yaml"
expect_match "the answer" "$(in_ns client curl -sg -m 5 "http://$(hostport "$(vip 4 10)" 8080)/logged")" \
	'^upstream connect error or disconnect/reset before headers. reset reason: connection failure$'
logged() { grep -q '/logged .* 503 UF,URX upstream_reset_before_response_started{connection_failure|network_policy}' "$TMP/access.log"; }
wait_until 5 logged
say "ok: the access log: $(grep /logged "$TMP/access.log" | head -1)"
expect_match "explain" "$(weft explain --from client --to web:8080)" \
	'503 UF .*NetworkPolicy default/p1 \(.*\) lets no connection from default/client in to port 8080'
expect_eq "explain as JSON" "$(weft explain --from client --to web:8080 -o json | jq -c '[.status, .response_flags, (.destinations[0].closed | length)]')" \
	'[503,"UF",2]'
expect_eq "explain, one that may" "$(weft explain --from other --to web:8080 -o json | jq .status)" 200
expect_match "explain of TCP" "$(weft explain --from client --to web-tcp:8080)" 'NetworkPolicy default/p1 .* in to port 8080'
expect_match "get" "$(weft get netpol)" '^p1 +app=web '
expect_match "describe" "$(weft describe netpol p1 | tail -2 | paste -sd' ')" 'passes as ingress of pods: +web$'

# A connection that is kept open is none for a client whose policy has changed.
weft delete -f "$TMP/deny.yaml" >/dev/null
for _ in 1 2 3; do get client "$(vip 4 10)" 8080 >/dev/null; done
apply <"$TMP/deny.yaml"
expect_eq "a request when the policy has changed" "$(get client "$(vip 4 10)" 8080)" 503

# A weftd that is started again has the policies from its journal.
weftd_kill9
weftd_start --access-log "$TMP/access.log"
expect_eq "a request when weftd is another" "$(get client "$(vip 4 10)" 8080)" 503
expect_eq "the policies that it knows" "$(weft get netpol -A -o name --no-headers)" networkpolicy.networking.k8s.io/p1
rows_end
