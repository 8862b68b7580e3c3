#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What TLS costs at a Gateway: handshakes, full and resumed, requests on connections that are kept, and idle connections; against
# nginx and HAProxy with the same job and the same OpenSSL. The proxy has one core, client and endpoints the other; rounds of the ways
# alternated, medians. Writes RESULTS-TLS.md beside this file.
#
#   BENCH_ROUNDS      rounds (11)                         BENCH_SECONDS   length of one measurement (0.5)
#   BENCH_PROXY_CPU   the proxy's core (0)                BENCH_LOAD_CPU  the others' (1)
#   BENCH_BODIES      bytes (64 10240 1048576)            BENCH_CONNS     connections (1 32 1000)
#   BENCH_IDLE        idle connections (1000)             BENCH_WAYS      nginx haproxy weft
. "${0%/*}/lib.sh"

ROUNDS=${BENCH_ROUNDS:-11}
SECONDS_EACH=${BENCH_SECONDS:-0.5}
PROXY_CPU=${BENCH_PROXY_CPU:-0}
LOAD_CPU=${BENCH_LOAD_CPU:-1}
BODIES=${BENCH_BODIES:-64 10240 1048576}
CONNS=${BENCH_CONNS:-1 32 1000}
IDLE=${BENCH_IDLE:-1000}
WAYS=${BENCH_WAYS:-nginx haproxy weft}
BENCH=$ROOT/selftests/bench
RESULTS=${BENCH_RESULTS:-$BENCH/RESULTS-TLS.md}
NAME=echo.example.com
RSA_PORT=8443
EC_PORT=8444
# certificate, version of TLS, whether sessions are resumed
HANDSHAKES="rsa.3.full ec.3.full ec.2.full ec.3.resumed ec.2.resumed"
# What a browser sends, more or less.
HEADERS=(-H "end-user: jason" -H "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0)" -H "Accept: text/html,*/*"
	-H "Accept-Language: en" -H "Accept-Encoding: gzip, deflate" -H "Cookie: session=0123456789abcdef0123456789abcdef")
declare -A PROXY # way: process id

# ---- a node for each way ----

certificates() {
	export TLS_DIR=$TMP/tls
	mkdir -p "$TLS_DIR"
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$TLS_DIR/rsa.key" -out "$TLS_DIR/rsa.crt" -subj /CN=echo -days 30 \
		-addext "subjectAltName=DNS:$NAME" 2>/dev/null
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TLS_DIR/ec.key" -out "$TLS_DIR/ec.crt" -subj /CN=echo \
		-days 30 -addext "subjectAltName=DNS:$NAME" 2>/dev/null
	cat "$TLS_DIR/rsa.crt" "$TLS_DIR/rsa.key" >"$TLS_DIR/rsa.pem"
	cat "$TLS_DIR/ec.crt" "$TLS_DIR/ec.key" >"$TLS_DIR/ec.pem"
}

node_with_endpoints() {
	local where
	PODS=()
	node_up
	http_endpoints "$LOAD_CPU"
	for where in node world one two; do
		in_ns "$where" sysctl -qw net.ipv4.tcp_congestion_control=reno
	done
	# a port for each of many short connections
	sysctl_in world net/ipv4/tcp_tw_reuse=1 net/ipv4/ip_local_port_range="1025 65000"
}

# tls_load MODE PORT OPTION...: from outside
tls_load() {
	taskset -c "$LOAD_CPU" nsenter --net="/run/netns/$(netns world)" "$OUT/bench/tls-load" "$1" "$(addr 4 node)" "$2" "$NAME" "${@:3}"
}

proxy_answers() { tls_load requests "$RSA_PORT" "${HEADERS[@]}" -d 0.01 >/dev/null 2>"$TMP/answers.err"; }

start_nginx() {
	mkdir -p "$TMP/nginx/tmp"
	cp "$BENCH/nginx-tls.conf" "$TLS_DIR"/*.crt "$TLS_DIR"/*.key "$TMP/nginx/"
	chmod 777 "$TMP/nginx/tmp"
	start_in node taskset -c "$PROXY_CPU" nginx -p "$TMP/nginx" -c "$TMP/nginx/nginx-tls.conf"
	wait_until 5 proxy_answers
	PROXY[nginx]=$(ps -o pid= --ppid "$STARTED" | tr -d ' ')
}

start_haproxy() {
	start_in node taskset -c "$PROXY_CPU" haproxy -q -db -f "$BENCH/haproxy-tls.cfg"
	wait_until 5 proxy_answers
	PROXY[haproxy]=$STARTED
}

weft_rules() {
	rules_pods
	PROTOCOL=http rules_service echo 10 8000:8080
	rules_subsets echo "v1 v2"
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: Gateway
	metadata: {name: door, namespace: default}
	spec:
	  selector: {istio: ingressgateway}
	  servers:
	  - port: {number: $RSA_PORT, name: rsa, protocol: HTTPS}
	    hosts: [$NAME]
	    tls: {mode: SIMPLE, serverCertificate: $TLS_DIR/rsa.crt, privateKey: $TLS_DIR/rsa.key}
	  - port: {number: $EC_PORT, name: ec, protocol: HTTPS}
	    hosts: [$NAME]
	    tls: {mode: SIMPLE, serverCertificate: $TLS_DIR/ec.crt, privateKey: $TLS_DIR/ec.key}
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: door, namespace: default}
	spec:
	  hosts: [$NAME]
	  gateways: [door]
	  http:
	  - match: [{headers: {end-user: {exact: jason}}}]
	    route: [{destination: {host: echo, subset: v2, port: {number: 8000}}}]
	  - route: [{destination: {host: echo, subset: v1, port: {number: 8000}}}]
	END
}

start_weft() {
	weft_up "$PROXY_CPU" --workers 1
	weft_rules | apply
	wait_until 5 proxy_answers
	PROXY[weft]=$(proxy_pid)
}

# ---- measurements ----

rss_kib() { # WAY
	awk '/^VmRSS/ { print $2 }' "/proc/${PROXY[$1]}/status"
}

# note RESULT NAME WHAT: its CPU time per handshake or request, and how many there were in a second
note() {
	jq '.cpu_us / .done' <<<"$1" >>"$TMP/$3cpu.$2"
	jq .rate <<<"$1" >>"$TMP/$3rate.$2"
}

# Which endpoint the header asks for has answered: all proxies look inside.
answers_right() { # WAY
	local got
	use "$1"
	got=$(in_ns world curl -sk --resolve "$NAME:$RSA_PORT:$(addr 4 node)" -H 'end-user: jason' -o /dev/null -D - \
		"https://$NAME:$RSA_PORT/bytes/64" | tr -d '\r' | awk 'tolower($1) == "x-served-by:" { print $2 }')
	[ "$got" = two ] || fail "$1: '$got' has answered, not two"
}

handshakes() { # WAY KIND RATE
	local cert version how result port=$EC_PORT resume=
	IFS=. read -r cert version how <<<"$2"
	[ "$cert" = ec ] || port=$RSA_PORT
	[ "$how" = full ] || resume=-R
	use "$1"
	result=$(tls_load handshakes "$port" "${HEADERS[@]}" -p /bytes/64 -v "$version" -d "$SECONDS_EACH" -r "$3" -C "${PROXY[$1]}" $resume)
	[ "$(jq --arg how "$how" '.reused == (if $how == "full" then 0 else .done end)' <<<"$result")" = true ] ||
		fail "$1: not all handshakes were $how: $result"
	echo "$result"
}

requests() { # WAY BODY CONNS RATE
	use "$1"
	tls_load requests "$EC_PORT" "${HEADERS[@]}" -p "/bytes/$2" -c "$3" -d "$SECONDS_EACH" -r "$4" -C "${PROXY[$1]}"
}

full_handshakes() { # WAY KIND
	note "$(handshakes "$1" "$2" 0)" "$1.$2" hs
}

full_load() { # WAY BODY CONNS
	note "$(requests "$@" 0)" "$1.$2.$3" rq
}

# Requests per second: half of what the slowest does.
half_rate() { # BODY CONNS
	local way
	for way in $WAYS; do
		[ ! -e "$TMP/rqrate.$way.$1.$2" ] || median <"$TMP/rqrate.$way.$1.$2"
	done | sort -g | awk 'NR == 1 { printf "%d\n", $1 / 2 }'
}

half_load() { # WAY BODY CONNS
	note "$(requests "$@" "$(half_rate "$2" "$3")")" "$1.$2.$3" half
}

# What an idle connection takes that has asked once.
idle_memory() { # WAY
	local before pid
	use "$1"
	before=$(rss_kib "$1")
	rm -f "$TMP/idle" "$TMP/idle.out"
	mkfifo "$TMP/idle"
	tls_load idle "$EC_PORT" "${HEADERS[@]}" -p /bytes/64 -c "$IDLE" <"$TMP/idle" >"$TMP/idle.out" &
	pid=$!
	exec 8>"$TMP/idle"
	wait_until 30 test -s "$TMP/idle.out"
	sleep 0.2
	awk -v n="$IDLE" -v before="$before" -v after="$(rss_kib "$1")" 'BEGIN { print (after - before) / n }' >>"$TMP/idle.$1"
	rss_kib "$1" >>"$TMP/rss.$1"
	exec 8>&-
	wait "$pid"
}

rounds_of() { # MEASURE LIST...: each way takes its turn
	local measure=$1 round what way
	shift
	for round in $(seq "$ROUNDS"); do
		for what; do
			for way in $WAYS; do
				# shellcheck disable=SC2086 # words are meant
				"$measure" "$way" $what
			done
		done
		echo "$measure, round $round of $ROUNDS" >&2
	done
}

loads() {
	local body conns
	for body in $BODIES; do
		for conns in $CONNS; do
			printf '%s %s\n' "$body" "$conns"
		done
	done
}

# ---- the report ----

of() {
	if [ -e "$TMP/$1" ]; then median <"$TMP/$1"; else echo -; fi
}

number() { if [ "$2" = - ]; then echo -; else printf "$1" "$2"; fi; }

size() {
	case $1 in
	*[!0-9]* | ? | ?? | ???) echo "$1 B" ;;
	*) if (($1 >= 1048576)); then echo "$(($1 / 1048576)) MiB"; else echo "$(($1 / 1024)) KiB"; fi ;;
	esac
}

compared() { # FILE FORMAT KEY
	local way
	for way in nginx haproxy weft; do
		printf ' %s |' "$(number "$2" "$(of "$1.$way.$3")")"
	done
	printf ' %s | %s |\n' "$(ratio_of "$TMP/$1.weft.$3" "$TMP/$1.haproxy.$3")" "$(ratio_of "$TMP/$1.weft.$3" "$TMP/$1.nginx.$3")"
}

handshake_rows() { # FILE FORMAT
	local kind cert version how
	for kind in $HANDSHAKES; do
		IFS=. read -r cert version how <<<"$kind"
		printf '| TLS 1.%s | %s |' "$version" "$(if [ "$how" = resumed ]; then echo resumed; elif [ "$cert" = ec ]; then echo full, P-256; else echo full, RSA 2048; fi)"
		compared "$1" "$2" "$kind"
	done
}

request_rows() { # FILE FORMAT
	local body conns
	while read -r body conns; do
		printf '| %s | %s |' "$(size "$body")" "$conns"
		[ "$1" != halfcpu ] || printf ' %s |' "$(half_rate "$body" "$conns")"
		compared "$1" "$2" "$body.$conns"
	done < <(loads)
}

idle_row() {
	local way
	printf '| %s |' "$IDLE"
	for way in nginx haproxy weft; do
		printf ' %s |' "$(number %.1f "$(of "idle.$way")")"
	done
	printf ' %s |\n' "$(ratio_of "$TMP/idle.weft" "$TMP/idle.haproxy")"
}

write_report() {
	cat <<-END
	# TLS at a Gateway

	Written by \`make bench-tls\` on $(date -u +%F) at $(revision).
	$(machine "$(nginx -v 2>&1 | sed 's/.*: //')" "HAProxy $(haproxy -v | awk '{ print $3; exit }')" "$(openssl version | cut -d' ' -f1,2), of all three")

	From outside to a pod of the node: TLS ends at the proxy, which routes on the \`end-user\` header to one of two endpoints; connections to these
	are kept; no access log. The proxy is on core $PROXY_CPU, client and endpoints are on core $LOAD_CPU; medians of $ROUNDS rounds of $SECONDS_EACH s each, the ways taking
	turns. Ratios are medians of each round's. All with their own defaults (\`nginx-tls.conf\`, \`haproxy-tls.cfg\`): weft's Gateway is one of Istio's with the mode SIMPLE.
	The client offers one cipher (TLS 1.3: TLS_AES_128_GCM_SHA256, TLS 1.2: ECDHE with AES128-GCM) and the key exchange is X25519, so that all three compute the same.

	## CPU time of the proxy, µs per handshake

	One connection after the other, each closed once its handshake is done (\`tls-load handshakes\`):

	| version | | nginx | HAProxy | weft | weft / HAProxy | weft / nginx |
	|---|---|---|---|---|---|---|
	$(handshake_rows hscpu %.0f)

	Handshakes per second, client and proxy taking turns:

	| version | | nginx | HAProxy | weft | weft / HAProxy | weft / nginx |
	|---|---|---|---|---|---|---|
	$(handshake_rows hsrate %.0f)

	## CPU time of the proxy, µs per request

	On connections that are kept, at the same rate for all, half of what the slowest does:

	| body | connections | requests per second | nginx | HAProxy | weft | weft / HAProxy | weft / nginx |
	|---|---|---|---|---|---|---|---|
	$(request_rows halfcpu %.1f)

	Each as fast as it can:

	| body | connections | nginx | HAProxy | weft | weft / HAProxy | weft / nginx |
	|---|---|---|---|---|---|---|
	$(request_rows rqcpu %.1f)

	## Requests per second

	Client and endpoints share a core: where the proxy is fast, they are the limit.

	| body | connections | nginx | HAProxy | weft | weft / HAProxy | weft / nginx |
	|---|---|---|---|---|---|---|
	$(request_rows rqrate %.0f)

	## Memory of an idle connection, KiB resident

	Of one that has had one answer:

	| connections | nginx | HAProxy | weft | weft / HAProxy |
	|---|---|---|---|---|
	$(idle_row)
	END
}

for way in $WAYS; do
	use "$way"
	node_with_endpoints
	[ -n "${TLS_DIR:-}" ] || certificates
	"start_$way"
	answers_right "$way"
done
# shellcheck disable=SC2046,SC2086 # words are meant
{
	for way in $WAYS; do idle_memory "$way"; done
	rounds_of full_handshakes $HANDSHAKES
}
mapfile -t LOADS < <(loads)
rounds_of full_load "${LOADS[@]}"
rounds_of half_load "${LOADS[@]}"
write_report >"$TMP/results"
cp "$TMP/results" "$RESULTS"
cat "$RESULTS"
