# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A library for tests of the node's own path: the ways that a connection can take over a node, each by a Service (or a
# Gateway) and directly. What holds for the direct one must hold for the other.
#
#   here      client, a pod -> one, another of the node
#   far       client -> far, a pod of another node
#   out       client -> db, a host outside of the cluster, by a Service without selector
#   node      client -> the node itself: an endpoint with hostNetwork
#   door      caller, a host outside -> a Gateway's port -> one
#   door-far  caller -> a Gateway's port -> far; the direct way, caller -> far, does not touch the node
#
# Services: one 10, far 11, db 12, host 13; Gateway: 31400 to one, 31401 to far. Every server says who it sees: "one@10.244.0.1".

. "${BASH_SOURCE[0]%/*}/lib.sh"

POD_WAYS="here far out node"
ALL_WAYS="$POD_WAYS door door-far"
declare -A BY DIRECT # what came of it, by way

ways_up() {
	node_up
	pod_add client 1
	pod_add one 2
	pod_add other 3
	remote_add far 4
	outside_add db 5
	outside_add caller 6
	echo_start one 9000 one --peer
	echo_start far 9000 far --peer
	echo_start db 9000 db --peer
	echo_start node 9100 node --peer
}

ways_rules() {
	rules_pods
	rules_service one 10
	rules_service far 11
	rules_elsewhere db 12 9000 "$(addr 4 db)" "$(addr 6 db)"
	rules_elsewhere host 13 9100 "$(addr 4 node)" "$(addr 6 node)"
	rules_door 31400 one 9000 31401 far 9000
}

# way_from WAY: $CLIENT can stand in for `client`
way_from() {
	case $1 in
	door*) echo caller ;;
	*) echo "${CLIENT:-client}" ;;
	esac
}

# way_to by|direct WAY FAMILY: address and port
way_to() {
	case $1-$2 in
	by-here) echo "$(vip "$3" 10) 9000" ;;
	by-far) echo "$(vip "$3" 11) 9000" ;;
	by-out) echo "$(vip "$3" 12) 9000" ;;
	by-node) echo "$(vip "$3" 13) 9000" ;;
	by-door) echo "$(addr "$3" node) 31400" ;;
	by-door-far) echo "$(addr "$3" node) 31401" ;;
	direct-here | direct-door) echo "$(addr "$3" one) 9000" ;;
	direct-far | direct-door-far) echo "$(addr "$3" far) 9000" ;;
	direct-out) echo "$(addr "$3" db) 9000" ;;
	direct-node) echo "$(addr "$3" node) 9100" ;;
	esac
}

# ways_ask FAMILY "WAY..." tcp-load's arguments...: by the service and directly, all at once. What came of it is in $TMP/by-WAY
# and $TMP/direct-WAY, and, where all connections of a way had one result, as that word in $BY and $DIRECT.
ways_ask() {
	local how family=$1 ways=$2 way
	local -a pids=()
	shift 2
	for how in ${HOW:-by direct}; do
		for way in $ways; do
			# shellcheck disable=SC2046 # words are meant
			(in_ns_exec "$(way_from "$way")" "$APPS/tcp-load" $(way_to "$how" "$way" "$family") "$@") \
				>"$TMP/$how-$way" &
			pids+=($!)
		done
	done
	wait "${pids[@]}"
	for way in $ways; do
		BY[$way]=$(word_of by-$way)
		DIRECT[$way]=$(word_of direct-$way)
	done
}

word_of() {
	local result
	[ -e "$TMP/$1" ] || return 0
	result=$(<"$TMP/$1")
	if [[ $result =~ \{\"([^,]*)\":[0-9]+\} ]]; then echo "${BASH_REMATCH[1]}"; else echo "$result"; fi
}

# ways_of "WAY...": those to be tried with the callers where they are now; who calls from outside of the cluster is in no pod
ways_of() {
	local way left=()
	for way in $1; do
		[[ $WAY = outside && $way = door* ]] || left+=("$way")
	done
	echo "${left[*]}"
}

# rows_of WHAT FAMILY "WAY..." WANT...: a row for each way and what is wanted of it, by the service, and for the same directly
# wherever that takes a way over the node
rows_of() {
	local what="$1, IPv$2, callers $WAY" ways=$3 way
	shift 3
	for way in $ways; do
		row "$what, $way, by the service" "${BY[$way]}" "$1"
		[ "$way" = door-far ] || row "$what, $way, directly" "${DIRECT[$way]}" "$1"
		shift
	done
}
