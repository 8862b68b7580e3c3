#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a kubelet asks: /healthz while the event loop turns, /readyz once everything is carried out, and why not until then.
. "${0%/*}/lib.sh"

# ask PATH: status and body, in one line
ask() { in_ns node curl -s --max-time $((2 * SLOWER)) -w '%{http_code}' "http://127.0.0.1:15022$1" | tr '\n' ' '; }
is_ready() { [[ $(ask /readyz) = *" 200" ]]; }
is_not_ready() { [[ $(ask /readyz) = *" 503" ]]; }

both_sides_up
weftd_start --enrol labelled
wait_until 5 is_ready
expect_eq "healthy" "$(ask /healthz)" "ok 200"
expect_eq "ready" "$(ask /readyz)" "ok 200"
expect_eq "elsewhere" "$(ask /)" "there are /healthz and /readyz 404"
expect_eq "another method" "$(in_ns node curl -s -X POST -d x -w '%{http_code}' http://127.0.0.1:15022/healthz | tr '\n' ' ')" \
	"GET is expected 405"
{
	both_sides_rules
	printf -- '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {istio-injection: enabled}}\n'
} | apply
expect_eq "ready with rules" "$(ask /readyz)" "ok 200"

say "a loop that is stuck"
stop_process "$WEFTD"
expect_eq "does not answer" "$(ask /healthz || true)" "000"
kill -CONT "$WEFTD"
wait_until 5 is_ready

say "weft-proxy that has died"
kill -9 "$(proxy_pid)"
wait_until 10 is_ready

say "a pod of this node without an interface here"
NUMBER[late]=9 LABELS[late]='' NET4[late]=10.244.0 NET6[late]=fd00:244:
object() {
	cat <<-END
	apiVersion: v1
	kind: Pod
	metadata: {name: late, namespace: default, labels: {istio.io/dataplane-mode: ${2:-ambient}}}
	spec: {nodeName: $1}
	status: {phase: ${3:-Running}, podIP: $(addr 4 late)}
	END
}
weftd_stop
weftd_start --enrol labelled --node-name here
object here | apply
expect_match "one of the mesh" "$(ask /readyz)" 'pod default/late is in the mesh, and no interface here has its address 503'
object there | apply
expect_eq "of another node" "$(ask /readyz)" "ok 200"
object here none | apply
expect_eq "outside of the mesh" "$(ask /readyz)" "ok 200"
object here ambient Pending | apply
expect_eq "one that does not run yet" "$(ask /readyz)" "ok 200"
object here | apply
is_not_ready || fail "ready again"
pod_add late 9
wait_until 10 is_ready

say "after a reboot of the node, pods are there before weft is"
weftd_stop
in_ns node "$OUT/weftd" --detach --run-dir "$TMP/run" --bpffs "$TMP/bpf/weft"
# shellcheck disable=SC2046 # words are meant
(in_ns_exec node "$OUT/weftd" $(weftd_options) --enrol labelled --node-name here) 2>>"$TMP/weftd.log" &
WEFTD=$!
wait_until 30 is_ready
for family in 4 6; do
	expect_eq "IPv$family: the first connection" "$(load client "$(vip $family 20)" 9000 -n 5 -s hello)" '{"two":5}'
	http_works $family || fail "IPv$family: the first requests"
done
expect_eq "all of them" "$(weft status -o json | jq -c '[.pods, .pods_enrolled]')" "[4,4]"

say "elsewhere, nowhere, and where somebody else is"
weftd_stop
weftd_start --health '[::1]:15023'
expect_eq "by IPv6" "$(in_ns node curl -s 'http://[::1]:15023/healthz')" ok
weftd_stop
weftd_start --health off
expect_eq "off" "$(ask /healthz || true)" "000"
weftd_stop
in_ns_exec node python3 -m http.server --bind 127.0.0.1 15022 >/dev/null 2>&1 &
wait_until 5 in_ns node curl -s -o /dev/null http://127.0.0.1:15022/
weftd_start
expect_match "the default is no reason not to start" "$(tail -5 "$TMP/weftd.log")" 'health is not answered for at 127.0.0.1:15022'
weftd_stop
status=0
# shellcheck disable=SC2046 # words are meant
said=$(in_ns node "$OUT/weftd" $(weftd_options) --health 127.0.0.1:15022 2>&1) || status=$?
expect_eq "what is asked for is" "$status" 1
expect_match "and why" "$said" '--health: listen at 127.0.0.1:15022: Address already in use'
status=0
said=$("$OUT/weftd" --health localhost 2>&1) || status=$?
expect_eq "what is no address" "$status" 2
expect_match "and why" "$said" '--health: ADDRESS:PORT or off is expected, not "localhost"'
