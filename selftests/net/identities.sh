#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# weftd --ca-cert: which CA signs, `weft status` says; another one in the same files takes its place, one that is not good does not, which
# `weft status` and `weft analyze` tell. A weftd that has none says nothing of it, and has no OpenSSL in its memory.
. "${0%/*}/lib.sh"

# ca NAME DAYS: NAME.crt and NAME.key
ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/$1.key" -out "$TMP/$1.crt" -subj "/CN=$1" -days "$2" \
		-addext basicConstraints=critical,CA:TRUE 2>/dev/null
}

# use CERT KEY: are the files from now on
use() {
	cp "$TMP/$1.crt" "$TMP/ca.crt.new"
	cp "$TMP/$2.key" "$TMP/ca.key.new"
	mv "$TMP/ca.crt.new" "$TMP/ca.crt"
	mv "$TMP/ca.key.new" "$TMP/ca.key"
}

ca_says() { weft status -o json | jq -e --arg v "$2" ".identities.ca.$1 | contains(\$v)" >/dev/null; }
has_openssl() { grep -q libcrypto "/proc/$WEFTD/maps"; }

node_up
weftd_start
row "without a CA, status" "$(weft status | grep -c '^identities' || true)" 0
row "without a CA, OpenSSL" "$(has_openssl && echo there || echo not there)" "not there"
weftd_stop

ca first 90
ca second 90
ca short 5
use first first
cat "$TMP/first.crt" "$TMP/second.crt" >"$TMP/roots.pem"
weftd_start --ca-cert "$TMP/ca.crt" --ca-key "$TMP/ca.key" --ca-root "$TMP/roots.pem" --workload-cert-ttl 60
expect_match "identities" "$(weft status)" '^identities   0, 0 of them with a certificate$'
expect_match "the CA" "$(weft status)" '^             signed by "first" \(--ca-cert\) until [0-9TZ:-]+; 2 roots are believed$'
row "nothing is wrong" "$(weft analyze 2>&1 | grep -c WEFT0130 || true)" 0

use second first
wait_until 15 ca_says problem "private key that is not the certificate's"
row "what was there stays" "$(weft status -o json | jq -r .identities.ca.subject)" first
expect_match "analyze" "$(weft analyze 2>&1 || true)" "the CA of mutual TLS: --ca-cert .* has a private key that is not the certificate's: what was there \
before stays in use.*WEFT0130"
use second second
wait_until 15 ca_says subject second
row "no problem is left" "$(weft status -o json | jq -r .identities.ca.problem)" ""
use short short
cat "$TMP/short.crt" >>"$TMP/roots.pem"
wait_until 15 ca_says subject short
expect_match "a CA that ends soon" "$(weft status)" '^certificate  weftd: the CA of mutual TLS, "short", expires in 4 days'
weftd_stop
rows_end
