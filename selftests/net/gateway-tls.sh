#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# HTTPS at a Gateway, with curl and openssl from outside: certificates of Secrets and of files, servers of one port by SNI, 421, client
# certificates that are good, of another CA, expired and revoked, versions, and certificates that change while connections go on.
. "${0%/*}/lib.sh"

PKI=

# pki COMMAND...: openssl, among the files of the test's own certificates
pki() { (cd "$PKI" && openssl "$@" 2>>"$TMP/openssl.log"); }

# ca NAME: NAME.crt, NAME.key
ca() {
	pki req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.crt" -subj "/CN=$1" -days 30 \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

# cert NAME CA SAN [DAYS]: NAME.crt and NAME.key, signed by CA, for what SAN says ("DNS:a.example.com")
cert() {
	local from until
	from=$(date -u -d '-60 days' +%Y%m%d%H%M%SZ)
	until=$(date -u -d "${4:-30} days" +%Y%m%d%H%M%SZ)
	pki req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1"
	printf 'subjectAltName=%s\n' "$3" >"$PKI/$1.ext"
	pki ca -batch -config "$PKI/ca.cnf" -cert "$2.crt" -keyfile "$2.key" -in "$1.csr" -out "$1.crt" -startdate "$from" -enddate "$until" \
		-extfile "$1.ext" -notext
}

pki_up() {
	PKI=$TMP/pki
	mkdir -p "$PKI/new"
	: >"$PKI/index.txt"
	echo 1000 >"$PKI/serial"
	cat >"$PKI/ca.cnf" <<-END
	[ca]
	default_ca = own
	[own]
	new_certs_dir = $PKI/new
	database = $PKI/index.txt
	serial = $PKI/serial
	default_md = sha256
	default_crl_days = 30
	policy = any
	unique_subject = no
	[any]
	commonName = supplied
	END
	ca root
	ca clients
	ca strangers
	cert a root DNS:a.example.com
	cert b root DNS:b.example.com
	cert wild root DNS:*.example.com
	cert good clients URI:spiffe://cluster.local/ns/default/sa/good
	cert other clients DNS:other.example.com
	cert revoked clients URI:spiffe://cluster.local/ns/default/sa/good
	cert expired clients URI:spiffe://cluster.local/ns/default/sa/good -1
	cert stranger strangers URI:spiffe://cluster.local/ns/default/sa/good
	pki ca -batch -config "$PKI/ca.cnf" -cert clients.crt -keyfile clients.key -revoke revoked.crt
	pki ca -batch -config "$PKI/ca.cnf" -cert clients.crt -keyfile clients.key -gencrl -out clients.crl
}

# secret NAME [KEY=FILE...]: a Secret of files of the PKI
secret() {
	local pair
	printf '%s\n' "---" "apiVersion: v1" "kind: Secret" "metadata: {name: $1, namespace: default}" "type: kubernetes.io/tls" "data:"
	for pair in "${@:2}"; do
		printf '  %s: %s\n' "${pair%%=*}" "$(base64 -w0 "$PKI/${pair#*=}")"
	done
}

# answer FAMILY HOST PORT curl's arguments...: what comes of a request from outside: "STATUS BODY", or "curl's exit status" where there is none
answer() {
	local family=$1 host=$2 port=$3 out status=0
	shift 3
	out=$(in_ns world curl -sS --max-time $((10 * SLOWER)) --cacert "$PKI/root.crt" --resolve "$host:$port:$(addr "$family" node)" \
		-w ' %{http_code}' "https://$host:$port/" "$@" 2>"$TMP/curl.err") || status=$?
	if [ "$status" = 0 ]; then
		out=${out//$'\n'/}
		echo "${out##* } ${out%% *}"
	else
		echo "exit $status"
	fi
}

# subject FAMILY PORT NAME: whose certificate the handshake brings
subject() {
	in_ns world openssl s_client -connect "$(hostport "$(addr "$1" node)" "$2")" -servername "$3" </dev/null 2>/dev/null |
		sed -n 's/^subject=CN *= *//p' || true
}

# alert FAMILY PORT s_client's arguments...: the alert that ends the handshake (RFC 8446, 6): 70 protocol_version, 112 unrecognized_name
alert() {
	local text
	text=$(in_ns world openssl s_client -connect "$(hostport "$(addr "$1" node)" "$2")" "${@:3}" </dev/null 2>&1 || true)
	sed -n 's/.*SSL alert number \([0-9]*\).*/\1/p' <<<"$text" | head -1
}

with() { echo --cert "$PKI/$1.crt" --key "$PKI/$1.key"; }

node_up
pod_add one 2
pod_add two 3
http_echo_start one 8080 one
http_echo_start two 8080 two
pki_up
weftd_start

gateway() {
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: Gateway
	metadata: {name: door, namespace: default}
	spec:
	  selector: {istio: ingressgateway}
	  servers:
	  - port: {number: 443, name: a, protocol: HTTPS}
	    hosts: [a.example.com]
	    tls: {mode: SIMPLE, credentialName: a}
	  - port: {number: 443, name: b, protocol: HTTPS}
	    hosts: [b.example.com]
	    tls: {mode: SIMPLE, credentialName: b, minProtocolVersion: TLSV1_3}
	  - port: {number: 443, name: wild, protocol: HTTPS}
	    hosts: ["*.example.com"]
	    tls: {mode: SIMPLE, serverCertificate: $PKI/served.crt, privateKey: $PKI/served.key}
	  - port: {number: 8443, name: mutual, protocol: HTTPS}
	    hosts: [a.example.com]
	    tls:
	      mode: MUTUAL
	      credentialName: m
	      subjectAltNames: [spiffe://cluster.local/ns/default/sa/good]
	  - port: {number: 8444, name: optional, protocol: HTTPS}
	    hosts: [a.example.com]
	    tls: {mode: OPTIONAL_MUTUAL, credentialName: m}
	  - port: {number: 8445, name: none, protocol: HTTPS}
	    hosts: [a.example.com]
	    tls: {mode: SIMPLE, credentialName: nowhere}
	END
}

# rules_host HOST SERVICE
rules_host() {
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: $2-$RANDOM, namespace: default}
	spec:
	  hosts: [$1]
	  gateways: [door]
	  http:
	  - route: [{destination: {host: $2, port: {number: 80}}}]
	END
}

cp "$PKI/wild.crt" "$PKI/served.crt"
cp "$PKI/wild.key" "$PKI/served.key"
{
	rules_pods
	PROTOCOL=http rules_service one 10 80:8080
	PROTOCOL=http rules_service two 11 80:8080
	secret a tls.crt=a.crt tls.key=a.key
	secret b cert=b.crt key=b.key
	secret m tls.crt=a.crt tls.key=a.key
	secret m-cacert ca.crt=clients.crt ca.crl=clients.crl
	gateway
	rules_host a.example.com one
	rules_host b.example.com two
	rules_host c.example.com two
} >"$TMP/rules.yaml"
apply <"$TMP/rules.yaml"

for family in 4 6; do
	row "IPv$family: a" "$(answer $family a.example.com 443)" "200 one"
	row "IPv$family: b" "$(answer $family b.example.com 443)" "200 two"
	row "IPv$family: c, by the wildcard" "$(answer $family c.example.com 443)" "200 two"
	row "IPv$family: d, without a rule" "$(answer $family d.example.com 443 | cut -d' ' -f1)" "404"
	row "IPv$family: whose certificate a gets" "$(subject $family 443 a.example.com)" "a"
	row "IPv$family: in upper case" "$(subject $family 443 B.Example.com)" "b"
	row "IPv$family: whose c gets" "$(subject $family 443 c.example.com)" "wild"
	row "IPv$family: b's Host on a's connection" "$(answer $family a.example.com 443 -H 'Host: b.example.com' | cut -d' ' -f1)" "421"
	row "IPv$family: nobody's Host on a's connection" "$(answer $family a.example.com 443 -H 'Host: elsewhere.org' | cut -d' ' -f1)" "404"
	row "IPv$family: nobody's name" "$(alert $family 443 -servername elsewhere.org)" 112
	row "IPv$family: no name" "$(alert $family 443 -noservername)" 112
	row "IPv$family: TLS 1.2, where 1.3 is the least" "$(alert $family 443 -servername b.example.com -tls1_2)" 70
	row "IPv$family: TLS 1.2" "$(answer $family a.example.com 443 --tlsv1.2 --tls-max 1.2)" "200 one"
	row "IPv$family: TLS 1.1" "$(alert $family 443 -servername a.example.com -tls1_1 -cipher ALL:@SECLEVEL=0)" 70
	row "IPv$family: a server without its Secret" "$(answer $family a.example.com 8445 | cut -d' ' -f1)" "exit"
	row "IPv$family: plain HTTP on the port" \
		"$(in_ns world curl -sS --max-time 5 "http://$(hostport "$(addr $family node)" 443)/" >/dev/null 2>&1 && echo answered || echo none)" none
done

# Client certificates.
# shellcheck disable=SC2046 # words are meant
{
	row "mutual: a good one" "$(answer 4 a.example.com 8443 $(with good))" "200 one"
	row "mutual: none" "$(answer 4 a.example.com 8443 | cut -d' ' -f1)" "exit"
	row "mutual: another CA's" "$(answer 4 a.example.com 8443 $(with stranger) | cut -d' ' -f1)" "exit"
	row "mutual: expired" "$(answer 4 a.example.com 8443 $(with expired) | cut -d' ' -f1)" "exit"
	row "mutual: revoked" "$(answer 4 a.example.com 8443 $(with revoked) | cut -d' ' -f1)" "exit"
	row "mutual: another name" "$(answer 4 a.example.com 8443 $(with other) | cut -d' ' -f1)" "exit"
	row "optional: none" "$(answer 4 a.example.com 8444)" "200 one"
	row "optional: a good one" "$(answer 4 a.example.com 8444 $(with good))" "200 one"
	row "optional: another CA's" "$(answer 4 a.example.com 8444 $(with stranger) | cut -d' ' -f1)" "exit"
}

# What is counted.
listener() { stat_of "listener.0.0.0.0_$1"; }
row "counted: handshakes, those without a certificate" "$(listener 8443.ssl.handshake) $(listener 8443.ssl.no_certificate)" "1 0"
row "counted: optional" "$(listener 8444.ssl.handshake) $(listener 8444.ssl.no_certificate)" "2 1"
row "counted: no certificate" "$(listener 8443.ssl.fail_verify_no_cert)" 1
row "counted: another CA's, expired, revoked" "$(listener 8443.ssl.fail_verify_error)" 3
row "counted: another name" "$(listener 8443.ssl.fail_verify_san)" 1
row "counted: names that no server has" "$(listener 443.no_filter_chain_match)" 4
expect_between "counted: old versions, no TLS" "$(listener 443.ssl.connection_error)" 6 8

# What is told.
explained() { weft explain --gateway default/door --to "$1:443" -o json "${@:3}" | jq -r "$2"; }
row "explain: which server" "$(explained b.example.com .tls.server)" "default/door servers[1]"
row "explain: a Host of another one" "$(explained b.example.com .status --sni a.example.com)" 421
expect_match "explain: no server" "$(weft explain --gateway default/door --to elsewhere.org:443 2>&1 || true)" "unrecognized_name"
expect_match "analyze: the Secret that is missing" "$(weft analyze 2>&1 || true)" 'no secret default/nowhere'
row "a key is shown nowhere" "$(weft get secret -o yaml | grep -c "$(sed -n 2p "$PKI/a.key" | cut -c1-40)" || true)" 0
row "nor in base64" "$(weft get secret -o json | grep -c "$(base64 -w0 "$PKI/a.key" | cut -c1-60)" || true)" 0
row "get" "$(weft get secret b | awk 'NR == 2 { print $1, $3 }')" "b certificate,key"

expect_match "describe" "$(weft describe gw door)" 'servers\[0\], kubernetes://default/a: "a" until 20'
expect_match "describe: none" "$(weft describe gw door)" 'kubernetes://default/nowhere: NONE: handshakes fail; .*there is no secret default/nowhere'

# Certificates change: of a Secret, of files, and to one that is of no use. A connection that is there goes on.
mkfifo "$TMP/requests"
in_ns world openssl s_client -quiet -connect "$(hostport "$(addr 4 node)" 443)" -servername a.example.com -CAfile "$PKI/root.crt" \
	<"$TMP/requests" >"$TMP/answers" 2>/dev/null &
exec 7>"$TMP/requests"
ask_again() { printf 'GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n' >&7; }
answers_are() { [ "$(grep -c '^HTTP/1.1 200' "$TMP/answers")" = "$1" ]; }
ask_again
wait_until 5 answers_are 1

is_subject() { [ "$(subject 4 443 "$1")" = "$2" ]; }
cert a2 root DNS:a.example.com
secret a tls.crt=a2.crt tls.key=a2.key | apply
wait_until 5 is_subject a.example.com a2
row "a new certificate of a Secret" "$(answer 4 a.example.com 443)" "200 one"
cert wild2 root DNS:*.example.com
cp "$PKI/wild2.key" "$PKI/served.key"
cp "$PKI/wild2.crt" "$PKI/served.crt"
wait_until 15 is_subject c.example.com wild2
secret a tls.crt=a.crt tls.key=b.key | apply
expect_match "analyze: a key that is not the certificate's" "$(weft analyze 2>&1 || true)" "private key that is not the certificate's: the server keeps"
expect_match "status: the same" "$(weft status)" "certificate  .*private key that is not the certificate's: the server keeps"
row "the last good one stays" "$(subject 4 443 a.example.com)" a2
ask_again
wait_until 5 answers_are 2

# Many times, under load: no handshake fails.
rotations=$(rounds 40 5)
: >"$TMP/handshakes"
(
	while [ ! -e "$TMP/enough" ]; do
		answer 4 a.example.com 443 >>"$TMP/handshakes"
	done
) &
load_pid=$!
handshakes() { wc -l <"$TMP/handshakes"; }
for ((i = 0; i < rotations || $(handshakes) < 5; i++)); do
	if ((i % 2)); then secret a tls.crt=a.crt tls.key=a.key; else secret a tls.crt=a2.crt tls.key=a2.key; fi | apply 2>/dev/null
done
touch "$TMP/enough"
wait "$load_pid"
row "handshakes that failed while certificates changed" "$(sort "$TMP/handshakes" | uniq -c | grep -v ' 200 one$' || true)" ""
expect_between "handshakes meanwhile" "$(handshakes)" 5 100000
ask_again
wait_until 5 answers_are 3
exec 7>&-

# weft-proxy dies: the next one has the certificates before it has the rules.
kill -9 "$(proxy_pid)"
serves() { [ "$(answer 4 a.example.com 443)" = "200 one" ]; }
wait_until 10 serves
# So has one that a new weftd finds.
weftd_stop
row "without weftd" "$(answer 4 b.example.com 443)" "200 two"
weftd_start
row "after a restart" "$(answer 4 b.example.com 443)" "200 two"
rows_end
