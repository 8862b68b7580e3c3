#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a scanner (sslyze) finds at a Gateway with the mode SIMPLE and nothing else said: no protocol, cipher or renegotiation that is not
# among the good ones. nginx's defaults accept all of that and more.
. "${0%/*}/lib.sh"

SSLYZE=6.3.1
VENV=$OUT/sslyze-$SSLYZE

# A scanner of its own, in a directory that appears once it is complete.
if [ ! -x "$VENV/bin/sslyze" ]; then
	rm -rf "$VENV.new"
	if ! { python3 -m venv "$VENV.new" && "$VENV.new/bin/pip" install -q --disable-pip-version-check "sslyze==$SSLYZE"; } >/dev/null 2>&1; then
		rm -rf "$VENV.new"
		echo "skip: sslyze $SSLYZE can't be had from PyPI"
		exit 0
	fi
	mv "$VENV.new" "$VENV"
fi

node_up
pod_add one 2
http_echo_start one 8080 one
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$TMP/a.key" -out "$TMP/a.crt" -subj /CN=a -days 30 \
	-addext subjectAltName=DNS:a.example.com 2>/dev/null
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service one 10 80:8080
	rules_tls_door "mode: SIMPLE, serverCertificate: $TMP/a.crt, privateKey: $TMP/a.key"
} | apply
serves() {
	[ "$(in_ns world curl -sS --cacert "$TMP/a.crt" --resolve "a.example.com:443:$(addr 4 node)" -o /dev/null -w '%{http_code}' \
		https://a.example.com/ 2>/dev/null)" = 200 ]
}
wait_until 10 serves

# The module: the script that pip writes names the directory where the environment was made.
in_ns world "$VENV/bin/python3" -m sslyze --quiet --json_out="$TMP/scan.json" --mozilla_config=disable \
	--sslv2 --sslv3 --tlsv1 --tlsv1_1 --tlsv1_2 --tlsv1_3 --reneg --compression --early_data --fallback --heartbleed --openssl_ccs \
	--robot --elliptic_curves --resum "a.example.com:443{$(addr 4 node)}" || true
[ -s "$TMP/scan.json" ] || fail "sslyze has found nothing out"
# found FILTER: of the scan of the one server; a question mark for what has not been looked at
found() { jq -r ".server_scan_results[0].scan_result | $1" "$TMP/scan.json" 2>/dev/null || echo "?"; }
# ciphers PROTOCOL: that are accepted
ciphers() { found ".$1.result.accepted_cipher_suites | map(.cipher_suite.name) | sort | join(\" \")"; }

row "all has been looked at" "$(jq -r '.server_scan_results[0].scan_status' "$TMP/scan.json")" COMPLETED
for protocol in ssl_2_0 ssl_3_0 tls_1_0 tls_1_1; do
	row "$protocol" "$(ciphers ${protocol}_cipher_suites)" ""
done
row "TLS 1.2" "$(ciphers tls_1_2_cipher_suites)" "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 \
TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
row "TLS 1.3" "$(ciphers tls_1_3_cipher_suites)" "TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256"
row "renegotiation is secure" "$(found .session_renegotiation.result.supports_secure_renegotiation)" true
row "a client may ask for it again and again" "$(found .session_renegotiation.result.is_vulnerable_to_client_renegotiation_dos)" false
row "compression" "$(found .tls_compression.result.supports_compression)" false
row "early data" "$(found .tls_1_3_early_data.result.supports_early_data)" false
row "a fallback to an older version is noticed" "$(found .tls_fallback_scsv.result.supports_fallback_scsv)" true
row "Heartbleed" "$(found .heartbleed.result.is_vulnerable_to_heartbleed)" false
row "CCS injection" "$(found .openssl_ccs_injection.result.is_vulnerable_to_ccs_injection)" false
row "ROBOT" "$(found .robot.result.robot_result)" NOT_VULNERABLE_RSA_NOT_SUPPORTED
row "curves" "$(found '.elliptic_curves.result.supported_curves | map(.name) | sort | join(" ")')" "X25519 secp256r1 secp384r1"
row "sessions are resumed by tickets" "$(found .session_resumption.result.tls_ticket_resumption_result)" FULLY_SUPPORTED
rows_end
