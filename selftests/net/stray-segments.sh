#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Segments that an open connection's receiver would not accept (a copy of its SYN, one out of the window, an old one) change
# nothing: the connection goes on and holds its place, which comes back when one side really ends it.
. "${0%/*}/lib.sh"

# What the client sends in between, when it has sent a line of 10 bytes and got 14 as the answer.
CLIENTS=(
	"a copy of the SYN|syn"
	"three copies of the SYN|syn syn syn"
	"a SYN with another number, in the window|oldsyn:1000"
	"a SYN with another number, out of the window|oldsyn:-100000"
	"a SYN of another connection, far ahead|oldsyn:1000000000"
	"a FIN that is out of the window|oddfin:200000"
	"a FIN from before|oddfin:-300000"
	"a FIN without the data in front of it|oddfin:1000"
	"a RST that is out of the window|oddrst:2000000"
	"a RST from before|oddrst:-5"
	"a RST in the window that is not the next|oddrst:1000"
	"data that was there already|seq:-10 data:10"
	"all of it|syn oldsyn:-100000 oddfin:200000 oddrst:2000000 oddrst:1000 seq:-10 data:10 syn"
)
# What the endpoint sends in between.
ENDPOINTS=(
	"a copy of the SYN+ACK|accept"
	"a SYN|oldsyn:0"
	"a FIN that is out of the window|oddfin:200000"
	"a FIN without the data in front of it|oddfin:1000"
	"a RST that is out of the window|oddrst:2000000"
	"a RST from before|oddrst:-5"
	"all of it|accept oldsyn:1000 oddfin:200000 oddrst:2000000 accept"
)
ports() { seq -s, "$1" $(($1 + $2 - 1)); }

node_up
pod_add client 1
pod_add one 2
pod_add hand 3
for ns in client world hand; do
	no_rst $ns
done
start_in one "$APPS/tcp-echo" --abort "$(ports 9001 ${#CLIENTS[@]})" one >"$TMP/echo"
server=$STARTED
wait_until 5 grep -q listening "$TMP/echo"
weftd_start
{
	rules_pods
	rules_service one 10 "$(ports 9001 ${#CLIENTS[@]})"
	rules_service hand 11 "$(ports 9001 ${#ENDPOINTS[@]})"
	for n in "${!CLIENTS[@]}"; do
		rules_door $((31001 + n)) one $((9001 + n))
	done
} | apply

# by_hand NAME FROM SPORT ADDRESS PORT STEP...: in the background; how it ends is in $TMP/NAME
by_hand() {
	local file=$TMP/$1
	(if in_ns "$2" "$APPS/tcp-raw" "$(addr $family "$2")" "$3" "$4" "$5" "${@:6}" >"$file.log" 2>&1; then
		echo fine
	else
		tail -1 "$file.log"
	fi >"$file") &
	hands+=($!)
}

# places SERVICE COUNT WANT WHAT: of each of its ports, within some seconds
places() {
	local n port end=$((SECONDS + 3 * SLOWER))
	local -A now
	while :; do
		now=()
		while read -r port n; do
			port=${port#cluster.outbound|}
			now[${port%%|*}]=$n
		done < <(weft stats "$1.default.svc.cluster.local.upstream_cx_active")
		if [ "$(printf '%s\n' "${now[@]}" | sort -u)" = "$3" ] || ((SECONDS >= end)); then break; fi
		sleep 0.05
	done
	for ((n = 0; n < $2; n++)); do
		row "$4, port $((9001 + n)): places" "${now[$((9001 + n))]:-0}" "$3"
	done
}

answered() { [ "$(in_ns one ss -Htni state established | grep -c 'bytes_acked:28')" = "$1" ]; }

# ---- from the client, or in its name ----

hands=()
again="sleep:100 norst data:10 answer:28"
for family in 4 6; do
	for n in "${!CLIENTS[@]}"; do
		# shellcheck disable=SC2206 # words are meant
		steps=(syn synack ack data:10 answer:14 ${CLIENTS[n]#*|} $again)
		by_hand service.$family.$n client $((5000 + n)) "$(vip $family 10)" $((9001 + n)) "${steps[@]}" wantrst:20000
		by_hand direct.$family.$n client $((6000 + n)) "$(addr $family one)" $((9001 + n)) "${steps[@]}" wantrst:20000
		by_hand door.$family.$n world $((5000 + n)) "$(addr $family node)" $((31001 + n)) "${steps[@]}" wantrst:20000
	done
done
for _ in $(seq $((40 * SLOWER))); do
	answered ${#hands[@]} && break
	sleep 0.05
done
places one ${#CLIENTS[@]} 4 "while it goes on"
kill -9 "$server"
wait "$server" "${hands[@]}" 2>/dev/null || true
for family in 4 6; do
	for n in "${!CLIENTS[@]}"; do
		for how in direct service door; do
			row "IPv$family, $how, the client sends ${CLIENTS[n]%%|*}" "$(<"$TMP/$how.$family.$n")" fine
		done
	done
done
places one ${#CLIENTS[@]} 0 "after the endpoint's RST"

# ---- from the endpoint, or in its name; the client's kernel closes in the end ----

raw_sockets() { [ "$(in_ns hand cat /proc/net/raw /proc/net/raw6 | grep -c ' 07 ')" = "$1" ]; }

HOLD=$((SLOWER > 1 ? 16000 : 1500)) # ms: until all of them have been started, and looked at
port=5100
for way in $(ways); do
	callers "$way"
	hands=()
	for family in 4 6; do
		for n in "${!ENDPOINTS[@]}"; do
			for how in service direct; do
				[ $how = service ] && sport=$((port + n)) || sport=$((port + 50 + n))
				# shellcheck disable=SC2086 # words are meant
				by_hand hand.$how.$family.$n hand $((9001 + n)) "$(addr $family client)" $sport \
					iss:1000000 synack accept sleep:300 ${ENDPOINTS[n]#*|} wantfin norst ack fin wantack
			done
		done
	done
	wait_until 10 raw_sockets ${#hands[@]}
	for family in 4 6; do
		for n in "${!ENDPOINTS[@]}"; do
			load_start client "$TMP/load.service.$family.$n" "$(vip $family 11)" $((9001 + n)) --source-port $((port + n)) -k $HOLD
			hands+=("$STARTED")
			load_start client "$TMP/load.direct.$family.$n" "$(addr $family hand)" $((9001 + n)) --source-port $((port + 50 + n)) -k $HOLD
			hands+=("$STARTED")
		done
	done
	sleep $((SLOWER - 1)).6
	places hand ${#ENDPOINTS[@]} 2 "callers $WAY, while it goes on"
	wait "${hands[@]}"
	for family in 4 6; do
		for n in "${!ENDPOINTS[@]}"; do
			for how in direct service; do
				row "IPv$family, callers $WAY, $how, the endpoint sends ${ENDPOINTS[n]%%|*}" \
					"$(<"$TMP/load.$how.$family.$n"), $(<"$TMP/hand.$how.$family.$n")" '{"connected":1}, fine'
			done
		done
	done
	places hand ${#ENDPOINTS[@]} 0 "callers $WAY, afterwards"
	port=$((port + 200))
done
rows_end
