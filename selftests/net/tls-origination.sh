#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A DestinationRule's tls: what comes in clear leaves as TLS. The server is asked for by its name and verified, shown a certificate, and given
# nothing where any of that fails; for requests of pods and of Gateways, for connections without requests, by subset and by port.
. "${0%/*}/lib.sh"

PKI=
FAILED=0

# authority NAME
authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/$1.key" -out "$PKI/$1.crt" -subj "/CN=$1" -days 30 2>/dev/null
}

# cert NAME AUTHORITY NAMES [DAYS]: NAME.crt and NAME.key; NAMES as OpenSSL writes them
cert() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/$1.key" -out "$PKI/$1.csr" -subj "/CN=$1" 2>/dev/null
	openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/$2.crt" -CAkey "$PKI/$2.key" -CAcreateserial -days "${4:-30}" -out "$PKI/$1.crt" \
		-extfile <(echo "subjectAltName=$3") 2>/dev/null
}

# revoke CERT: root.crl, a list of root's with that certificate
revoke() {
	: >"$PKI/index"
	echo 01 >"$PKI/number"
	printf '[ca]\ndefault_ca=a\n[a]\ndatabase=%s\ncrlnumber=%s\ndefault_md=sha256\ndefault_crl_days=30\n' "$PKI/index" "$PKI/number" >"$PKI/ca.cnf"
	openssl ca -config "$PKI/ca.cnf" -cert "$PKI/root.crt" -keyfile "$PKI/root.key" -revoke "$PKI/$1.crt" 2>/dev/null
	openssl ca -config "$PKI/ca.cnf" -cert "$PKI/root.crt" -keyfile "$PKI/root.key" -gencrl -out "$PKI/root.crl" 2>/dev/null
}

pki_up() {
	PKI=$TMP/pki
	mkdir -p "$PKI"
	authority root
	authority other
	cert server root DNS:web,DNS:mutual,DNS:plain,DNS:named.example.com
	cert stranger root DNS:nobody.example.com
	cert old root DNS:old -1
	cert foreign other DNS:foreign
	cert gone root DNS:gone
	cert client root DNS:client
	cert client2 root DNS:client2
	revoke gone
}

# server POD KIND PORT NAME CERT [CA]
server() {
	local log
	log=$(mktemp "$TMP/app.XXXXXX")
	start_in "$1" /usr/bin/python3 "$ROOT/selftests/net/tls-server.py" "$2" "$3" ${5:+"$4" "$PKI/$5.crt" "$PKI/$5.key"} ${6:+"$PKI/$6.crt"} >"$log"
	wait_until 10 grep -q listening "$log"
}

# web NAME NUMBER TARGET-PORT TLS: a service of HTTP, whose endpoint has that port, and a DestinationRule with those fields of `tls`
web() {
	PROTOCOL=http rules_service "$1" "$2" "80:$3" app=one
	rule "$1" "tls: {$4}"
}

# rule NAME POLICY [MORE]
rule() {
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: DestinationRule
	metadata: {name: $1, namespace: default}
	spec:
	  host: $1
	  trafficPolicy: {$2}
	${3:-}
	END
}

secret() { # NAME CERT
	cat <<-END
	---
	apiVersion: v1
	kind: Secret
	metadata: {name: $1, namespace: default}
	type: kubernetes.io/tls
	data:
	  tls.crt: $(base64 -w0 "$PKI/$2.crt")
	  tls.key: $(base64 -w0 "$PKI/$2.key")
	  ca.crt: $(base64 -w0 "$PKI/root.crt")
	END
}

CA=
own() { echo "clientCertificate: $PKI/mine.crt, privateKey: $PKI/mine.key"; }

rules() {
	rules_pods
	web web 10 8443 "mode: SIMPLE, caCertificates: $CA"
	web mutual 11 8444 "mode: MUTUAL, $(own), caCertificates: $CA"
	web stranger 12 8445 "mode: SIMPLE, caCertificates: $CA"
	web old 13 8446 "mode: SIMPLE, caCertificates: $CA"
	web foreign 14 8447 "mode: SIMPLE, caCertificates: $CA"
	web gone 15 8449 "mode: SIMPLE, caCertificates: $CA, caCrl: $PKI/root.crl"
	web skips 16 8447 "mode: SIMPLE, insecureSkipVerify: true"
	web names 17 8445 "mode: SIMPLE, caCertificates: $CA, sni: asked.example.com, subjectAltNames: [nobody.example.com]"
	web wrong 18 8443 "mode: SIMPLE, caCertificates: $CA, subjectAltNames: [nobody.example.com]"
	web bare 19 8444 "mode: SIMPLE, caCertificates: $CA, subjectAltNames: [web]"
	web system 20 8443 "mode: SIMPLE, subjectAltNames: [web]"
	web system2 26 8443 "mode: SIMPLE, subjectAltNames: [mutual]"
	web missing 21 8443 "mode: SIMPLE, caCertificates: $PKI/nothing.crt"
	web secret 25 8450 "mode: MUTUAL, credentialName: mine"
	PROTOCOL=http rules_service silent 22 80:8448 app=one
	rule silent "tls: {mode: SIMPLE, caCertificates: $CA}, connectionPool: {tcp: {connectTimeout: 0.5s}}"
	PROTOCOL=http rules_service ports 23 80:8443,81:8080 app=one
	rule ports "portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, caCertificates: $CA, sni: named.example.com}}]"
	PROTOCOL=http rules_service subsets 24 80:8443 app=one
	rule subsets "tls: {mode: DISABLE}" "  subsets: [{name: s, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: $CA, sni: named.example.com}}}]"
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: subsets, namespace: default}
	spec:
	  hosts: [subsets]
	  http: [{route: [{destination: {host: subsets, subset: s}}]}]
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: silent, namespace: default}
	spec:
	  hosts: [silent]
	  http: [{route: [{destination: {host: silent}}], retries: {attempts: 0}}]
	END
	PROTOCOL=http rules_service copied 27 80:8080 app=one
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: copied, namespace: default}
	spec:
	  hosts: [copied]
	  http: [{route: [{destination: {host: copied}}], mirror: {host: names}}]
	END
	rules_service db 30 9000:9443 app=one
	rule db "tls: {mode: MUTUAL, $(own), caCertificates: $CA, sni: named.example.com, subjectAltNames: [web]}"
	rules_service baddb 31 9000:9443 app=one
	rule baddb "tls: {mode: MUTUAL, $(own), caCertificates: $CA, subjectAltNames: [nobody.example.com]}"
	PROTOCOL=http rules_gateway door 8080
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: VirtualService
	metadata: {name: door, namespace: default}
	spec:
	  hosts: ["*"]
	  gateways: [door]
	  http:
	  - {match: [{uri: {prefix: /secret}}], route: [{destination: {host: secret}}], rewrite: {authority: mutual}}
	  - {route: [{destination: {host: mutual}}], rewrite: {authority: mutual}}
	END
	secret mine client2
}

# ask FAMILY NAME NUMBER [PORT] [PATH]: "STATUS BODY" of what the client gets
ask() {
	in_ns client curl -sS --max-time $((20 * SLOWER)) -g --resolve "$2:${4:-80}:$(vip "$1" "$3")" -w ' %{http_code}' "http://$2:${4:-80}${5:-/}" 2>&1 |
		tr '\n' ' ' | awk '{ print $NF, $0 }' | sed 's/ *[0-9]* *$//; s/ conn=[0-9]*//'
}
# line FAMILY NUMBER: what comes of a line over TCP
line() { in_ns client timeout $((10 * SLOWER)) bash -c 'exec 3<>"/dev/tcp/$0/9000" && echo hello >&3 && read -r line <&3; echo "$line"' "$(vip "$1" "$2")" 2>/dev/null || true; }
counter() { stat_of "cluster.outbound|${3:-80}||$1.default.svc.cluster.local.$2"; }
tls_error='503 upstream connect error or disconnect/reset before headers. reset reason: connection failure, transport failure reason: TLS_error'

node_up
pod_add client 1
pod_add one 2
pki_up
CA=$PKI/root.crt
cp "$PKI/client.crt" "$PKI/mine.crt"
cp "$PKI/client.key" "$PKI/mine.key"
server one http 8443 web server
server one http 8444 mutual server root
server one http 8445 stranger stranger
server one http 8446 old old
server one http 8447 foreign foreign
server one silent 8448
server one http 8449 gone gone
server one http 8450 secret server root
server one lines 9443 db server root
http_echo_start one 8080 clear
# As large as a system's, whoever else is in it.
for ((i = 0; i < 60; i++)); do cat "$PKI/other.crt"; done | cat - "$CA" >"$PKI/system.crt"
export SSL_CERT_FILE=$PKI/system.crt
weftd_start --workers 1 --client-tls-dir "$PKI"
rules | apply

for family in 4 6; do
	row "IPv$family: SNI is the Host, and so is the name that is checked" "$(ask $family web 10)" "200 web sni=web client=- host=web path=/"
	row "IPv$family: a certificate of the client's" "$(ask $family mutual 11)" "200 mutual sni=mutual client=client host=mutual path=/"
	row "IPv$family: of another name" "$(ask $family stranger 12)" "$tls_error"
	row "IPv$family: expired" "$(ask $family old 13)" "$tls_error"
	row "IPv$family: another authority's" "$(ask $family foreign 14)" "$tls_error"
	row "IPv$family: revoked" "$(ask $family gone 15)" "$tls_error"
	row "IPv$family: insecureSkipVerify" "$(ask $family skips 16)" "200 foreign sni=skips client=- host=skips path=/"
	row "IPv$family: sni and subjectAltNames" "$(ask $family names 17)" "200 stranger sni=asked.example.com client=- host=names path=/"
	row "IPv$family: none of the subjectAltNames" "$(ask $family wrong 18)" "$tls_error"
	row "IPv$family: the system's CAs" "$(ask $family system 20)" "200 web sni=system client=- host=system path=/"
	row "IPv$family: the system's CAs, and other names" "$(ask $family system2 26)" "200 web sni=system2 client=- host=system2 path=/"
	row "IPv$family: a file that is not there" "$(ask $family missing 21)" "$tls_error"
	row "IPv$family: of a port" "$(ask $family ports 23)" "200 web sni=named.example.com client=- host=ports path=/"
	expect_match "IPv$family: another port is called in clear" "$(ask $family ports 23 81)" '^200'
	row "IPv$family: of a subset" "$(ask $family subsets 24)" "200 web sni=named.example.com client=- host=subsets path=/"
	row "IPv$family: without requests" "$(line $family 30)" "db sni=named.example.com client=client hello"
	row "IPv$family: without requests, of another name" "$(line $family 31)" ""
	row "IPv$family: from a Gateway" "$(in_ns world curl -sS -g "http://$(hostport "$(addr $family node)" 8080)/" | sed 's/ conn=[0-9]*//')" \
		"mutual sni=mutual client=client host=mutual path=/"
	row "IPv$family: from a Gateway, by a Secret" "$(in_ns world curl -sS -g "http://$(hostport "$(addr $family node)" 8080)/secret" | sed 's/ conn=[0-9]*//')" \
		"secret sni=mutual client=client2 host=mutual path=/secret"
done
expect_match "status tells of a file that is not there" "$(weft status)" "^certificate .*tls: file://;;$PKI/nothing.crt;: .*connections to the endpoints fail"
printf '%s\n' "$(rule outside "tls: {mode: SIMPLE, caCertificates: $PKI/../shadow}")" >"$TMP/outside.yaml"
expect_match "a file outside of --client-tls-dir" "$(weft apply -f "$TMP/outside.yaml" 2>&1 || true)" 'caCertificates: expected a file beneath'
expect_match "a server that wants a certificate that there is none for" "$(ask 4 bare 19)" '^503'

begun=$(milliseconds)
row "a server that is silent" "$(ask 4 silent 22)" "503 upstream connect error or disconnect/reset before headers. reset reason: connection timeout"
expect_took "connectTimeout holds for the handshake" $(($(milliseconds) - begun)) 450 1500

# One connection serves many requests, and another one resumes its session.
before=$(counter web ssl.handshake)
for ((i = 0; i < 20; i++)); do ask 4 web 10; done >"$TMP/many"
expect_eq "requests one after the other" "$(sort "$TMP/many" | uniq -c | awk '{ print $1, $2 }')" "20 200"
row "requests share a connection" $(($(counter web ssl.handshake) - before)) 0
expect_between "handshakes" "$(counter mutual ssl.handshake)" 1 4
expect_between "names that were wrong, as weft has counted" "$(counter wrong ssl.fail_verify_san)" 2 100
expect_between "certificates that were not believed, as weft has counted" "$(counter foreign ssl.fail_verify_error)" 2 100

expect_between "tries after a handshake that failed" "$(counter wrong upstream_rq_retry)" 4 4
expect_between "connections that did not come about" "$(counter wrong upstream_cx_connect_fail)" 6 6

# Copies leave by TLS, too.
before=$(counter names upstream_rq_2xx)
expect_match "a request that is copied" "$(ask 4 copied 27)" '^200'
is_copied() { [ "$(counter names upstream_rq_2xx)" = $((before + 1)) ]; }
wait_until 10 is_copied

# Files that change count from the next connection on, and no request fails meanwhile.
(while [ ! -e "$TMP/enough" ]; do ask 4 mutual 11; done >"$TMP/rotated") &
loop=$!
sleep 0.5
cp "$PKI/client2.crt" "$PKI/next.crt"
cp "$PKI/client2.key" "$PKI/next.key"
mv "$PKI/next.crt" "$PKI/mine.crt"
mv "$PKI/next.key" "$PKI/mine.key"
is_rotated() { [ "$(ask 4 mutual 11)" = "200 mutual sni=mutual client=client2 host=mutual path=/" ]; }
weft apply -f <(secret unrelated client) >/dev/null
wait_until 60 is_rotated
touch "$TMP/enough"
wait "$loop"
row "requests that failed while certificates changed" "$(grep -vc '^200' "$TMP/rotated" || true)" 0

# So do Secrets.
at_door() { in_ns world curl -sS -g -w ' %{http_code}\n' "http://$(hostport "$(addr 4 node)" 8080)/secret"; }
rm "$TMP/enough"
(while [ ! -e "$TMP/enough" ]; do at_door; done | grep -o '[0-9]*$' >"$TMP/rotated") &
loop=$!
secret mine client | apply
is_rotated() { at_door | grep -q 'client=client '; }
wait_until 30 is_rotated
touch "$TMP/enough"
wait "$loop"
row "requests that failed while a Secret changed" "$(grep -vcx 200 "$TMP/rotated" || true)" 0
weft delete secret mine >/dev/null
is_refused() { at_door | grep -q 'TLS_error.* 503$'; }
wait_until 30 is_refused
rows_end
