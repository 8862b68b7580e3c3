#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Connections that last, each of which began under other rules: upgraded ones, and TLS that a rule passes on. weft-proxy does not keep the
# rules of then for them: it has no more snapshots than without them, and does not grow. All of them go on.
. "${0%/*}/lib.sh"

VERSIONS=$(rounds 200 40)
PADDING=400 # VirtualServices that change nothing, so that a snapshot is worth keeping an eye on

node_up
pod_add client 1
pod_add web 2
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/key" -out "$TMP/cert" -subj /CN=web -days 30 2>/dev/null
http_echo_start web 8080 web
start_in web /usr/bin/python3 "$ROOT/selftests/net/tls-server.py" lines 8443 web "$TMP/cert" "$TMP/key" >"$TMP/tls"
wait_until 10 grep -q listening "$TMP/tls"
weftd_start

# rules NUMBER: others than those of any other number
rules() {
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: DestinationRule
	metadata: {name: web, namespace: default}
	spec: {host: web, trafficPolicy: {connectionPool: {tcp: {maxConnections: $((10000 + $1))}}}}
	END
}
{
	rules_pods
	cat <<-END
	---
	apiVersion: v1
	kind: Service
	metadata: {name: web, namespace: default}
	spec:
	  clusterIP: $(vip 4 10)
	  selector: {app: web}
	  ports: [{name: http, port: 80, targetPort: 8080}, {name: tls, port: 443, targetPort: 8443}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: web, namespace: default}
	spec:
	  hosts: [web, web.example.com]
	  http: [{route: [{destination: {host: web, port: {number: 80}}}]}]
	  tls: [{match: [{sniHosts: [web.example.com]}], route: [{destination: {host: web, port: {number: 443}}}]}]
	END
	for number in $(seq $PADDING); do
		cat <<-END
		---
		apiVersion: networking.istio.io/v1
		kind: VirtualService
		metadata: {name: other$number, namespace: default}
		spec: {hosts: [other$number.example.com], http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: web, port: {number: 80}}}]}]}
		END
	done
	rules 0
} | apply 2>/dev/null # that the others' hosts are none

# The client: a word on its input, an answer on its output.
cat >"$TMP/client.py" <<'END'
import socket, ssl, sys

address, words = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
upgraded, passed = [], []


def upgrade():
    c = socket.create_connection((address, 80), 10)
    c.sendall(b"GET /ws HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    head = b""
    while b"\r\n\r\n" not in head:
        head += c.recv(4096) or sys.exit("the connection has ended")
    assert b" 101 " in head, head
    upgraded.append(c)


def pass_through():
    passed.append(context.wrap_socket(socket.create_connection((address, 443), 10), server_hostname="web.example.com"))


def echoes(c):
    try:
        c.sendall(b"hello\n")
        return b"hello" in c.recv(4096)
    except OSError:
        return False


for word in open(words):
    if word.strip() == "open":
        upgrade()
        pass_through()
        print("opened", len(passed))
    elif word.strip() == "check":
        print("alive", sum(map(echoes, upgraded)), sum(map(echoes, passed)))
    else:
        for c in upgraded + passed:
            c.close()
        print("closed")
        break
END
mkfifo "$TMP/words"
start_in client /usr/bin/python3 -u "$TMP/client.py" "$(vip 4 10)" "$TMP/words" >"$TMP/answers"
exec 9<>"$TMP/words"
tell() { # WORD ANSWER...
	echo "$1" >&9
	wait_until 20 grep -q "^$2" "$TMP/answers"
}

proxy=$(proxy_pid)
snapshots() { grep -c memfd: "/proc/$proxy/maps" || true; }
memory() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$proxy/status"; }
# change NUMBER, and all workers have taken it
change() { rules "$1" | apply 2>/dev/null; }

tell open "opened 1$"
for number in 1 2 3; do change "$number"; done
few=$(snapshots)
before=$(memory)
[ "$few" -gt 0 ] || fail "no snapshot is mapped"
for ((number = 4; number < VERSIONS; number++)); do
	tell open "opened $((number - 2))$"
	change "$number"
done
opened=$((VERSIONS - 3))
say "$opened connections of each kind, each of rules of its own: $(snapshots) mappings, $few with one; $(memory) KiB, $before KiB with one"
expect_between "snapshots" "$(snapshots)" 1 "$few"
# What is for a connection is; a snapshot is worth more than that.
expect_between "KiB for each two connections" $((($(memory) - before) / opened)) 0 100
tell check "alive"
expect_eq "they are alive" "$(grep alive "$TMP/answers")" "alive $opened $opened"
active() { stat_of "cluster.outbound|$1||web.default.svc.cluster.local.upstream_cx_active"; }
expect_eq "and counted" "$(active 80) $(active 443)" "$opened $opened"
tell close closed
none() { [ "$(active 80) $(active 443)" = "0 0" ]; }
wait_until 10 none
expect_eq "the same weft-proxy throughout" "$(proxy_pid)" "$proxy"
