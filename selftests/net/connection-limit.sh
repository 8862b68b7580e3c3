#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# maxConnections: N lets N connections be open and not one more; the others are refused at once, and the counters say so.
. "${0%/*}/lib.sh"

CLIENTS=200
WITHIN_US=5000
[ -z "${WEFT_EMULATED:-}" ] || WITHIN_US=500000

node_up
pod_add client 1
pod_add other 2
pod_add one 3 app=echo,version=v1
pod_add two 4 app=echo,version=v1
echo_start one 9000 one
echo_start two 9000 two
weftd_start

# A service of its own for every limit and family, so that `peak` starts from 0.
number=10
for limit in 1 7 100; do
	for family in 4 6; do
		number=$((number + 1))
		name=limit-$limit-$family
		rules_service $name $number 9000 app=echo
		rules_subsets $name "" "connectionPool: {tcp: {maxConnections: $limit}}"
	done
done >"$TMP/rules"
{
	rules_pods
	cat "$TMP/rules"
} | apply

number=10
for limit in 1 7 100; do
	for family in 4 6; do
		number=$((number + 1))
		name=limit-$limit-$family
		to=$(vip $family $number)
		what="IPv$family, limit $limit"

		load_start client "$TMP/held" "$to" 9000 -n $CLIENTS -c $CLIENTS -s hello -e hold --times --ready "$TMP/ready"
		wait_until 20 test -e "$TMP/ready"
		rm "$TMP/ready"
		expect_eq "$what: active" "$(cluster_stat '' upstream_cx_active $name)" $limit
		expect_eq "$what: peak" "$(cluster_stat '' upstream_cx_peak $name)" $limit
		expect_eq "$what: overflow" "$(cluster_stat '' upstream_cx_overflow $name)" $((CLIENTS - limit))
		expect_eq "$what: open, says weft conns" "$(conns_left)" $limit
		expect_match "$what: explain says so" "$(weft explain --from default/other --to $name:9000 -o json | jq -r .reason)" \
			"refused: outbound.9000..$name.default.svc.cluster.local has as many connections as maxConnections allows"
		expect_eq "$what: another pod is refused" "$(load other "$to" 9000 -s hello)" '{"ECONNREFUSED":1}'
		# The slowest of 200 at once; where others keep the machine busy, in the best of some tries.
		for _ in 1 2 3 4 5 6; do
			slowest=$(load other "$to" 9000 -n $CLIENTS -c $CLIENTS -s hello --times | jq .refused_us.max)
			((slowest > WITHIN_US)) || break
		done
		expect_between "$what: refused within, µs" "$slowest" 0 $WITHIN_US
		kill -TERM "$STARTED"
		wait "$STARTED"
		expect_eq "$what: answered" $(($(count one "$(<"$TMP/held")") + $(count two "$(<"$TMP/held")"))) $limit
		expect_eq "$what: refused" "$(count ECONNREFUSED "$(<"$TMP/held")")" $((CLIENTS - limit))

		# Two pods connect as fast as they can: a connection is either admitted and answered, or refused at once.
		wait_until 10 no_conns
		total=$(rounds 2000 200)
		load_start other "$TMP/churn2" "$to" 9000 -n "$total" -c 100 -s hello -k 1
		churn=$STARTED
		load client "$to" 9000 -n "$total" -c 100 -s hello -k 1 --times >"$TMP/churn1"
		wait "$churn"
		expect_between "$what: a churning client's open connections" "$(jq .peak_open "$TMP/churn1")" 0 $limit
		expect_eq "$what: every connection is either answered or refused" \
			"$(jq -rs 'map((.results // .) | keys[]) | unique - ["ECONNREFUSED", "one", "two"] | length' "$TMP/churn1" "$TMP/churn2")" 0
		wait_until 10 no_conns
		expect_eq "$what: active afterwards" "$(cluster_stat '' upstream_cx_active $name)" 0
		expect_eq "$what: peak afterwards" "$(cluster_stat '' upstream_cx_peak $name)" $limit
		answered=$(jq -rs 'map((.results // .) | (.one // 0) + (.two // 0)) | add' "$TMP/churn1" "$TMP/churn2")
		expect_eq "$what: total" "$(cluster_stat '' upstream_cx_total $name)" $((answered + limit))
	done
done

# A connect() whose SYN waits for the first data is as good as connected to its application, and holds its place.
sysctl_in client net/ipv4/tcp_fastopen=1543 # without cookies
deferred='
import socket, sys, time
address, seconds = sys.argv[1], float(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
s.setsockopt(socket.IPPROTO_TCP, 30, 1) # TCP_FASTOPEN_CONNECT
s.connect((address, 9000))
open(sys.argv[3], "w").close()
time.sleep(seconds)
s.sendall(b"hello\n")
print(s.recv(100).decode().strip())
'
for family in 4 6; do
	to=$(vip $family $((family == 4 ? 11 : 12)))
	start_in client python3 -c "$deferred" "$to" $((3 * SLOWER)) "$TMP/deferred" >"$TMP/answer"
	wait_until 10 test -e "$TMP/deferred"
	rm "$TMP/deferred"
	sleep 2 # longer than a connect() that has failed keeps its place
	expect_eq "IPv$family: another one, while the first waits for its data" "$(load other "$to" 9000 -s hello)" '{"ECONNREFUSED":1}'
	wait "$STARTED"
	expect_match "IPv$family: the first one, once it has sent some" "$(<"$TMP/answer")" "^(one|two)"
done
