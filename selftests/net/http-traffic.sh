#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who talks to whom: after exactly so many requests of several kinds the rows of http_traffic say exactly so many, with who called, who
# answered, what was called and how it ended; and so they do after a reload, another weft-proxy, and another weftd.
. "${0%/*}/lib.sh"

SERVICE=echo.default.svc.cluster.local
declare -A CLUSTER=([all]="outbound|80||$SERVICE" [v1]="outbound|80|v1|$SERVICE" [v2]="outbound|80|v2|$SERVICE")

rows() { /usr/bin/python3 "$ROOT/selftests/apps/traffic-rows.py" "$TMP/bpf/weft"; }

# counted ROW: requests in the row that goes on like that behind their number, bytes left out; 0: there is none
counted() { rows | awk -v row="$1" '{ n = $1; sub(/^[^ ]+ /, ""); sub(/ [0-9]+ [0-9]+$/, "") } $0 == row { sum += n } END { print sum + 0 }'; }
all_rows() { rows | awk '$6 != "tcp" { sum += $1 } END { print sum + 0 }'; }
are() { [ "$(counted "$1")" = "$2" ]; }

# sent N ROW: so many more than before are in the row; all rows together have no others
declare -A WANT=()
TOTAL=0
sent() {
	WANT[$2]=$((${WANT[$2]:-0} + $1))
	TOTAL=$((TOTAL + $1))
	for _ in $(seq 100); do
		! are "$2" "${WANT[$2]}" || break
		sleep 0.05
	done
	[ "$(counted "$2")" = "${WANT[$2]}" ] || fail "expected ${WANT[$2]} of '$2', got:"$'\n'"$(rows)"
	say "ok: ${WANT[$2]} of $2"
}

# nothing_else: nor has anything been counted beside
nothing_else() {
	sleep 0.2
	[ "$(all_rows)" = "$TOTAL" ] || fail "$1: expected $TOTAL in all, got:"$'\n'"$(rows)"
	local row
	for row in "${!WANT[@]}"; do
		[ "$(counted "$row")" = "${WANT[$row]}" ] || fail "$1: expected ${WANT[$row]} of '$row', got:"$'\n'"$(rows)"
	done
	say "ok: $1: $TOTAL requests in ${#WANT[@]} rows, and no others"
}

ask() { http_load client "$(vip "$FAMILY" 10)" 80 -H 'Host: echo' "$@" >/dev/null; }

# world PATH N [HOST]: from outside, through the Gateway
world() { http_load world "$(addr "$FAMILY" node)" 8080 -n "$2" -p "$1" -H "Host: ${3:-shop.example}" >/dev/null; }

rules() {
	rules_pods
	PROTOCOL=http rules_service echo 10 80:8080
	PROTOCOL=http rules_service nobody 11 80:8080 app=nobody
	PROTOCOL=http rules_service late 14 80:8080 app=echo,version=v2
	rules_subsets echo "v1 v2 none" "connectionPool: {http: {http2MaxRequests: 2}}"
	PROTOCOL=http rules_routes nobody '- route: [{destination: {host: nobody}}]'
	PROTOCOL=http rules_gateway door 8080
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: echo, namespace: default}
	spec:
	  hosts: [echo]
	  http:
	  - match: [{uri: {prefix: /moved}}]
	    redirect: {uri: /there}
	  - match: [{uri: {prefix: /abort}}]
	    fault: {abort: {percentage: {value: 100}, httpStatus: 555}}
	    route: [{destination: {host: echo}}]
	  - match: [{uri: {prefix: /direct}}]
	    directResponse: {status: 418}
	  - match: [{uri: {prefix: /delay}}]
	    route: [{destination: {host: echo, subset: v1}}]
	    timeout: 300ms
	  - match: [{uri: {prefix: /slow}}]
	    rewrite: {uri: /delay/1000}
	    route: [{destination: {host: echo, subset: v2}}]
	  - match: [{uri: {prefix: /late}}]
	    rewrite: {uri: /anything}
	    route: [{destination: {host: late}}]
	  - match: [{uri: {prefix: /none}}]
	    route: [{destination: {host: echo, subset: none}}]
	  - match: [{uri: {prefix: /copied}}]
	    rewrite: {uri: /anything}
	    route: [{destination: {host: echo, subset: v1}}]
	    mirror: {host: echo, subset: v2}
	  - match: [{uri: {prefix: /anything}}, {uri: {prefix: /status}}, {uri: {prefix: /close}}, {uri: {prefix: /bytes}}]
	    route: [{destination: {host: echo, subset: v1}}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: shop, namespace: default}
	spec:
	  hosts: [shop.example]
	  gateways: [door]
	  http:
	  - match: [{uri: {prefix: /bytes}}]
	    route: [{destination: {host: echo, subset: v1}}]
	END
}

kinds() {
	local to=client@latest
	ask -n 7 -p /anything
	sent 7 "sd $to one@v1 ${CLUSTER[v1]} http 200 - plain"
	ask -n 3 -p /status/500
	sent 3 "sd $to one@v1 ${CLUSTER[v1]} http 500 - plain"
	ask -n 2 -p /status/404
	sent 2 "sd $to one@v1 ${CLUSTER[v1]} http 404 - plain"
	ask -n 4 -p /of/no/rule
	sent 4 "s $to - $SERVICE http 404 NR -"
	ask -n 5 -p /moved
	sent 5 "s $to - $SERVICE http 301 - -"
	ask -n 2 -p /direct
	sent 2 "s $to - $SERVICE http 418 - -"
	ask -n 3 -p /abort
	sent 3 "s $to - ${CLUSTER[all]} http 555 FI -"
	ask -n 2 -p /delay/2000
	sent 2 "sd $to one@v1 ${CLUSTER[v1]} http 504 UT plain"
	ask -n 3 -p /none
	sent 3 "s $to - outbound|80|none|$SERVICE http 503 UH -"
	# Two are admitted at a time.
	ask -n 6 -c 6 -p /slow
	sent 2 "sd $to two@v2 ${CLUSTER[v2]} http 200 - plain"
	sent 4 "s $to - ${CLUSTER[v2]} http 503 UO -"
	http_load client "$(vip "$FAMILY" 11)" 80 -n 3 -H 'Host: nobody' >/dev/null
	sent 3 "s $to - outbound|80||nobody.default.svc.cluster.local http 503 UF,URX -"
	ask -n 4 -p /copied
	sent 4 "sd $to one@v1 ${CLUSTER[v1]} http 200 - plain"
	sent 4 "d $to two@v2 ${CLUSTER[v2]} http 200 - plain"
	# One that gives up.
	http_load client "$(vip "$FAMILY" 10)" 80 -H 'Host: echo' -p /slow -t 200 >/dev/null || true
	sent 1 "sd $to two@v2 ${CLUSTER[v2]} http 0 DC plain"
	# Through the Gateway, with bodies of so many bytes; a host that it knows, and one that it doesn't.
	bytes=$(rows | awk '$3 ~ /^istio-ingressgateway/ && $7 == 200 { print $NF }')
	world /bytes/1000 5
	sent 5 "sd istio-ingressgateway@latest one@v1 ${CLUSTER[v1]} http 200 - plain"
	expect_eq "IPv$FAMILY: bytes of the bodies" \
		$(($(rows | awk '$3 ~ /^istio-ingressgateway/ && $7 == 200 { print $NF }') - ${bytes:-0})) 5000
	world /of/no/rule 2
	sent 2 "s istio-ingressgateway@latest - shop.example http 404 NR -"
	world / 2 "elsewhere-$RANDOM.example"
	world / 2 "elsewhere-$RANDOM.example"
	sent 4 "s istio-ingressgateway@latest - - http 404 NR -"
	nothing_else "IPv$FAMILY"
}

# ---- every kind, in both families ----

BUILT=$OUT
node_up
hosts
pod_add client 1
pod_add one 2 app=echo,version=v1
pod_add two 3 app=echo,version=v2
pod_add nobody 4
http_echo_start one 8080 one
http_echo_start two 8080 two
two=$STARTED
weftd_start --workers 2
rules | apply
for FAMILY in 4 6; do
	kinds
done
FAMILY=4

# ---- they go on ----

ROW="sd client@latest one@v1 ${CLUSTER[v1]} http 200 - plain"
one_more() {
	ask -n 1 -p /anything
	sent 1 "$ROW"
	nothing_else "$1"
}

rules | apply
one_more "after a reload"

weft apply -f - >/dev/null <<-END
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: later, namespace: default}
	spec: {hosts: [later.example], http: [{directResponse: {status: 204}}]}
END
one_more "after a change of rules"

kill -9 "$(proxy_pid)"
wait_until 10 ask -n 1 -p /of/no/rule
sent 1 "s client@latest - $SERVICE http 404 NR -"
one_more "with another weft-proxy, after one that was killed"

# Under way over an upgrade: the old one counts it when it is over, in a row that neither has yet.
stop_process "$two"
http_load_start client "$TMP/late" "$(vip 4 10)" 80 -n 1 -H 'Host: echo' -p /late -t 300000
late=$STARTED
under_way() { [ "$(cluster_stat '' upstream_rq_active late 80)" = 1 ]; }
wait_until 10 under_way
weftd_stop
mkdir "$TMP/other"
cp "$BUILT/weftd" "$BUILT/weft" "$BUILT/weft-proxy" "$TMP/other/"
printf 'other' >>"$TMP/other/weft-proxy"
OUT=$TMP/other
weftd_start --workers 2
one_more "with another weft-proxy, while the one before it drains"
kill -CONT "$two"
wait "$late"
sent 1 "sd client@latest two@v2 outbound|80||late.default.svc.cluster.local http 200 - plain"
nothing_else "over an upgrade"

weftd_kill9
OUT=$BUILT
weftd_start --workers 2
one_more "with another weftd, after one that was killed"

# A pod whose labels change is another peer from then on; what was counted of it stays.
LABELS[one]=app=echo,version=v1,service.istio.io/canonical-revision=nine
rules_pods | apply
ask -n 3 -p /anything
sent 3 "sd client@latest one@nine ${CLUSTER[v1]} http 200 - plain"
nothing_else "with another label"

# ---- connections without requests: a Gateway's port of TLS that is passed on ----

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/a.key" -out "$TMP/a.crt" -subj /CN=a -days 30 \
	-addext subjectAltName=DNS:*.example.com 2>/dev/null
start_in nobody /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" serve 8443 nobody "$TMP/a.crt" "$TMP/a.key" >"$TMP/tls.log"
wait_until 10 grep -q listening "$TMP/tls.log"
{
	PROTOCOL=https rules_service sealed 12 443:8443 app=nobody
	PROTOCOL=https rules_service sealed-off 13 443:1 app=nobody
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: Gateway
	metadata: {name: sealed, namespace: default}
	spec:
	  selector: {istio: ingressgateway}
	  servers: [{port: {number: 443, name: tls, protocol: TLS}, hosts: ["*.example.com"], tls: {mode: PASSTHROUGH}}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: sealed, namespace: default}
	spec:
	  hosts: ["*.example.com"]
	  gateways: [sealed]
	  tls:
	  - match: [{sniHosts: [a.example.com]}]
	    route: [{destination: {host: sealed, port: {number: 443}}}]
	  - match: [{sniHosts: [b.example.com]}]
	    route: [{destination: {host: sealed-off, port: {number: 443}}}]
	END
} | apply
# tunnel SNI N
tunnel() { in_ns world /usr/bin/python3 "$ROOT/selftests/net/tls-echo.py" ask "$(addr 4 node)" 443 "$1" "$TMP/a.crt" "$2"; }
tunnel a.example.com 4 >/dev/null
tunnel b.example.com 3 >/dev/null || true
tcp_rows() { rows | awk '$6 == "tcp" { $10 = $10 > 0 ? "bytes" : "none"; $11 = $11 > 0 ? "bytes" : "none"; print }'; }
SEALED="default.svc.cluster.local tcp 0"
tunnels_are() {
	[ "$(tcp_rows)" = "3/3 s istio-ingressgateway@latest - outbound|443||sealed-off.$SEALED UF,URX - none none
4/4 sd istio-ingressgateway@latest nobody@latest outbound|443||sealed.$SEALED - plain bytes bytes" ]
}
for _ in $(seq 100); do
	! tunnels_are || break
	sleep 0.05
done
tunnels_are || fail "connections: $(tcp_rows)"
say "ok: connections without requests, opened and closed"
nothing_else "in the end"

# ---- rows that weftd takes back ----

FREE_AGAIN=5 LEAVING=3 BEING_FREED=4 TAKEN=1
# state STATE [NEW]: how many rows are in it; they get another one
state() { /usr/bin/python3 "$ROOT/selftests/apps/traffic-state.py" "$TMP/bpf/weft" "$@"; }

leaving=$(state $TAKEN $LEAVING)
FAMILY=4
ask -n 3 -p /anything
sent 3 "sd client@latest one@nine ${CLUSTER[v1]} http 200 - plain"
nothing_else "while all rows are leaving"
expect_eq "rows that are taken since" "$(state $TAKEN)" 1
expect_eq "and those that are leaving" "$(state $LEAVING)" "$leaving"

# As it is when weftd is killed while it frees them: the next one goes on.
weftd_stop
state $LEAVING $BEING_FREED >/dev/null
weftd_start --workers 2
all_free() { [ "$(state $FREE_AGAIN)" = "$leaving" ]; }
wait_until 20 all_free
WANT=(["sd client@latest one@nine ${CLUSTER[v1]} http 200 - plain"]=3)
TOTAL=3
nothing_else "when all others are free again"
ask -n 2 -p /direct
sent 2 "s client@latest - $SERVICE http 418 - -"
ask -n 3 -p /anything
sent 3 "sd client@latest one@nine ${CLUSTER[v1]} http 200 - plain"
nothing_else "and no more than that"
expect_eq "rows that were free" $(($(state $TAKEN) + $(state $FREE_AGAIN))) $((leaving + 1))
