#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Istio's tutorials of egress, end to end, with their own rules: "Accessing External Services", "Egress TLS Origination" and "Egress using
# Wildcard Hosts". The sites are servers behind `world`, their names come from a DNS server of the test: answers that change, are
# empty or wrong, or don't come at all, cost no request.
. "${0%/*}/lib.sh"

PKI=
SERVER=
REFUSED="exit 7" # of curl: there was no connection
NO_TLS="exit 35" # the handshake failed

# ---- the world ----

# cert NAME NAMES: NAME.crt and NAME.key, of the authority `root`; NAMES as OpenSSL writes them
cert() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/$1.key" -out "$PKI/$1.csr" -subj "/CN=$1" 2>/dev/null
	openssl x509 -req -in "$PKI/$1.csr" -CA "$PKI/root.crt" -CAkey "$PKI/root.key" -CAcreateserial -days 30 -out "$PKI/$1.crt" \
		-extfile <(echo "subjectAltName=$2") 2>/dev/null
}

pki_up() {
	PKI=$TMP/pki
	mkdir -p "$PKI"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$PKI/root.key" -out "$PKI/root.crt" -subj /CN=root -days 30 2>/dev/null
	cert cnn DNS:edition.cnn.com
	cert google DNS:www.google.com
	cert wikipedia "DNS:*.wikipedia.org"
	cert my-nginx DNS:my-nginx.mesh-external.svc.cluster.local
	cert client.example.com DNS:client.example.com
}

# site NAME NUMBER [HOSTS CERT]: a host of that name, which serves these hosts, or answers to any
site() {
	outside_add "$1" "$2"
	app_start "$1" /usr/bin/python3 "$ROOT/selftests/net/egress-site.py" "$1" ${4:+"$3" "$PKI/$4.crt" "$PKI/$4.key"}
}

sites_up() {
	hosts
	pki_up
	site cnn 11 edition.cnn.com cnn
	site google 12 www.google.com google
	site en 13 en.wikipedia.org wikipedia
	site de 14 de.wikipedia.org wikipedia
	site www 15 "*.wikipedia.org" wikipedia
	site first 16
	site second 17
	site decoy 18
	outside_add httpbin 19
	httpbin_start httpbin
	outside_add my-nginx 20
	app_start my-nginx /usr/bin/python3 "$ROOT/selftests/net/tls-server.py" http 31443 my-nginx "$PKI/my-nginx.crt" "$PKI/my-nginx.key" "$PKI/root.crt"
	apps_ready cnn google en de www first second decoy httpbin my-nginx
}

server_start() {
	(in_ns_exec world "$ROOT/selftests/apps/dns-server.py" 53 "$TMP/zones") &
	SERVER=$!
}

# zones NAME=SITE[,SITE...]|SITE/4|MODE...: what DNS answers from now on, for a second each; SITE/4 is known by IPv4 alone
zones() {
	local pair site a aaaa json=
	for pair; do
		a='' aaaa=''
		for site in $(tr , ' ' <<<"${pair#*=}"); do
			[ -n "${NUMBER[${site%/4}]:-}" ] || continue
			a+=${a:+, }\"$(addr 4 "${site%/4}")\"
			[ "$site" != "${site%/4}" ] || aaaa+=${aaaa:+, }\"$(addr 6 "$site")\"
		done
		json+="${json:+, }\"${pair%%=*}\": {\"ttl\": 1, "
		if [ -n "$a" ]; then json+="\"a\": [$a], \"aaaa\": [$aaaa]}"; else json+="\"mode\": \"${pair#*=}\"}"; fi
	done
	echo "{$json}" >"$TMP/zones.new"
	mv "$TMP/zones.new" "$TMP/zones"
}

# pod_names FAMILY: what the client's own resolver makes of the names
pod_names() {
	hosts edition.cnn.com="$(addr "$1" cnn)" www.google.com="$(addr "$1" google)" httpbin.org="$(addr "$1" httpbin)" \
		en.wikipedia.org="$(addr "$1" en)" de.wikipedia.org="$(addr "$1" de)" \
		my-nginx.mesh-external.svc.cluster.local="$(addr "$1" my-nginx)"
}

# status curl's arguments...: the status of each answer on the way to the last one, or what curl ended with
status() {
	local codes
	if codes=$(call client -sL --cacert "$PKI/root.crt" -o /dev/null -D - "$@" 2>/dev/null); then
		awk '/^HTTP/ { printf "%s%s", sep, $2; sep = " " }' <<<"$codes"
	else
		echo "exit $?"
	fi
}

# body curl's arguments...
body() { call client --cacert "$PKI/root.crt" "$@" 2>&1 || true; }

# cluster NAME COUNTER: of outbound|PORT||HOST
cluster() { stat_of "cluster.outbound|$1.$2"; }

# gets STATUS URL...: what comes of these
gets() {
	local url
	for url in "${@:2}"; do [ "$(status "$url")" = "$1" ] || return; done
}
error_of() { weft status -o json | jq -r --arg n "$1" '.dns.names[] | select(.name == $n) | .error'; }
fails() { [ -n "$(error_of "$1")" ]; }
forget() { weft delete "$@" >/dev/null; }

node_up
pod_add client 1 app=sleep
sites_up
zones edition.cnn.com=cnn www.google.com=google httpbin.org=httpbin www.wikipedia.org=www
server_start
export SSL_CERT_FILE=$PKI/root.crt
OPTIONS=(--dns "$(addr 4 world):53" --client-tls-dir "$PKI" --access-log "$TMP/access.log")

# ---- Accessing External Services ----

say "ALLOW_ANY, and no ServiceEntry"
weftd_start "${OPTIONS[@]}"
rules_pods | apply
for family in 4 6; do
	pod_names $family
	for where in $(ways); do
		callers "$where"
		at="IPv$family $where"
		row "$at: an HTTPS site" "$(status https://www.google.com)" 200
		row "$at: another" "$(status https://edition.cnn.com)" 200
		row "$at: an HTTP site" "$(status http://httpbin.org/headers)" 200
	done
done
weftd_stop

say "REGISTRY_ONLY, and no ServiceEntry"
weftd_start "${OPTIONS[@]}" --outbound-traffic-policy REGISTRY_ONLY
for family in 4 6; do
	pod_names $family
	for where in $(ways); do
		callers "$where"
		at="IPv$family $where"
		row "$at: an HTTPS site" "$(status https://www.google.com)" "$REFUSED"
		row "$at: another" "$(status https://edition.cnn.com)" "$REFUSED"
		row "$at: an HTTP site" "$(status http://httpbin.org/headers)" "$REFUSED"
	done
done

httpbin_entry() {
	cat <<-END
	apiVersion: networking.istio.io/v1alpha3
	kind: ServiceEntry
	metadata:
	  name: httpbin-ext
	spec:
	  hosts:
	  - httpbin.org
	  ports:
	  - number: 80
	    name: http
	    protocol: HTTP
	  resolution: DNS
	  location: MESH_EXTERNAL
	END
}

httpbin_entry | apply
apply <<-END
	apiVersion: networking.istio.io/v1alpha3
	kind: ServiceEntry
	metadata:
	  name: google
	spec:
	  hosts:
	  - www.google.com
	  ports:
	  - number: 443
	    name: https
	    protocol: HTTPS
	  resolution: DNS
	  location: MESH_EXTERNAL
END
say "REGISTRY_ONLY, and the ServiceEntries"
wait_until 10 gets 200 http://httpbin.org/status/200 https://www.google.com
before=$(cluster "80||httpbin.org" upstream_rq_2xx)
tls_before=$(cluster "443||www.google.com" upstream_cx_total)
answered=0
for family in 4 6; do
	pod_names $family
	for where in $(ways); do
		callers "$where"
		at="IPv$family $where"
		row "$at: an HTTP site" "$(body http://httpbin.org/headers | jq -r .headers.Host)" httpbin.org
		row "$at: an HTTPS site" "$(body https://www.google.com/a)" "google sni=www.google.com host=www.google.com path=/a"
		row "$at: HTTPS without an entry" "$(status https://edition.cnn.com)" "$NO_TLS"
		row "$at: HTTP without an entry" "$(status http://edition.cnn.com)" 502
		answered=$((answered + 1))
	done
done
row "requests, as Envoy counts them" $(($(cluster "80||httpbin.org" upstream_rq_2xx) - before)) $answered
# logged PATTERN: how many lines have it, as soon as there are enough
logged() { grep -cE -- "$1" "$TMP/access.log" || true; }
are_logged() { (($(logged "$1") >= answered)); }
http_line='"GET /headers HTTP/1.1" 200 - .* "httpbin.org" "[^ ]*:80" outbound[|]80[|][|]httpbin.org '
tls_line='"- - -" 0 - .* "[^ ]*:443" outbound[|]443[|][|]www.google.com .* www.google.com'
wait_until 10 are_logged "$http_line"
wait_until 10 are_logged "$tls_line"
row "requests that are logged" "$(logged "$http_line")" $answered
row "connections of TLS" "$(($(cluster "443||www.google.com" upstream_cx_total) - tls_before))" $answered

# delay FAMILY: "STATUS SECONDS" of a request that httpbin answers after 5 s
delay() { call client -o /dev/null -w '%{http_code} %{time_total}\n' -g --resolve "httpbin.org:80:$(addr "$1" httpbin)" http://httpbin.org/delay/5; }
# delays: both families at a time, as "4 STATUS SECONDS" and "6 STATUS SECONDS"
delays() {
	local family pid pids=()
	for family in 4 6; do
		delay $family >"$TMP/delay.$family" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
}
# expect_delay WHAT STATUS LEAST MOST: milliseconds
expect_delay() {
	local family got seconds
	delays
	for family in 4 6; do
		read -r got seconds <"$TMP/delay.$family"
		row "IPv$family: $1" "$got" "$2"
		expect_took "IPv$family: $1" "$(awk -v s="$seconds" 'BEGIN { print int(s * 1000) }')" "$3" "$4"
	done
}
expect_delay "a slow answer" 200 5000 6500
httpbin_timeout() {
	cat <<-END
	apiVersion: networking.istio.io/v1alpha3
	kind: VirtualService
	metadata:
	  name: httpbin-ext
	spec:
	  hosts:
	    - httpbin.org
	  http:
	  - ${1:-}timeout: 3s
	    route:
	      - destination:
	          host: httpbin.org
	        weight: 100
	END
}
httpbin_timeout | apply
expect_delay "timeout: 3s" 504 3000 4000
httpbin_timeout 'fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
    ' | apply
before=$(cluster "80||httpbin.org" upstream_rq_total)
row "a fault of an external host" "$(status http://httpbin.org/headers)" 418
row "it asks nobody" "$(cluster "80||httpbin.org" upstream_rq_total)" "$before"
forget virtualservice httpbin-ext
forget serviceentry httpbin-ext google

# ---- Egress using Wildcard Hosts ----

# wikipedia WHAT: the sites of all languages
wikipedia() {
	for family in 4 6; do
		pod_names $family
		for where in $(ways); do
			callers "$where"
			at="IPv$family $where: $1"
			row "$at" "$(body https://en.wikipedia.org/wiki/Main_Page)" "${2:-en} sni=en.wikipedia.org host=en.wikipedia.org path=/wiki/Main_Page"
			row "$at" "$(body https://de.wikipedia.org/wiki/Hauptseite)" "${2:-de} sni=de.wikipedia.org host=de.wikipedia.org path=/wiki/Hauptseite"
			row "$at, and no others" "$(status https://edition.cnn.com)" "$NO_TLS"
		done
	done
}

say "wildcard hosts"
apply <<-END
	apiVersion: networking.istio.io/v1alpha3
	kind: ServiceEntry
	metadata:
	  name: wikipedia
	spec:
	  hosts:
	  - "*.wikipedia.org"
	  ports:
	  - number: 443
	    name: https
	    protocol: HTTPS
END
wikipedia "a wildcard by SNI"

# As the tutorial has had it before, and beside it HTTP.
apply <<-END
	apiVersion: networking.istio.io/v1alpha3
	kind: ServiceEntry
	metadata:
	  name: wikipedia
	spec:
	  hosts:
	  - "*.wikipedia.org"
	  ports:
	  - number: 443
	    name: tls
	    protocol: TLS
	  - number: 80
	    name: http
	    protocol: HTTP
	---
	apiVersion: networking.istio.io/v1alpha3
	kind: VirtualService
	metadata:
	  name: wikipedia
	spec:
	  hosts:
	  - "*.wikipedia.org"
	  tls:
	  - match:
	    - port: 443
	      sni_hosts:
	      - "*.wikipedia.org"
	    route:
	    - destination:
	        host: "*.wikipedia.org"
	        port:
	          number: 443
END
wikipedia "a wildcard and a tls rule"
for family in 4 6; do
	pod_names $family
	row "IPv$family: a wildcard by Host" "$(status http://en.wikipedia.org/wiki/Main_Page)" "301 200"
	row "IPv$family: and no others" "$(status http://edition.cnn.com)" 502
done
forget virtualservice wikipedia
forget serviceentry wikipedia

# ---- Egress TLS Origination ----

say "TLS origination"
apply <<-END
	apiVersion: networking.istio.io/v1alpha3
	kind: ServiceEntry
	metadata:
	  name: edition-cnn-com
	spec:
	  hosts:
	  - edition.cnn.com
	  ports:
	  - number: 80
	    name: http-port
	    protocol: HTTP
	  - number: 443
	    name: https-port
	    protocol: HTTPS
	  resolution: DNS
END
wait_until 10 gets "301 200" http://edition.cnn.com/politics
for family in 4 6; do
	pod_names $family
	row "IPv$family: a site that wants HTTPS" "$(status http://edition.cnn.com/politics)" "301 200"
done
cnn_origination() {
	cat <<-END
	apiVersion: networking.istio.io/v1alpha3
	kind: ServiceEntry
	metadata:
	  name: edition-cnn-com
	spec:
	  hosts:
	  - edition.cnn.com
	  ports:
	  - number: 80
	    name: http-port
	    protocol: HTTP
	    targetPort: 443
	  - number: 443
	    name: https-port
	    protocol: HTTPS
	  resolution: DNS
	---
	apiVersion: networking.istio.io/v1alpha3
	kind: DestinationRule
	metadata:
	  name: edition-cnn-com
	spec:
	  host: edition.cnn.com
	  trafficPolicy:
	    portLevelSettings:
	    - port:
	        number: 80
	      tls:
	        mode: SIMPLE # initiates HTTPS when accessing edition.cnn.com
	END
	[ -z "${1:-}" ] || printf '        sni: %s\n' "$1"
}
cnn_origination | apply
for family in 4 6; do
	pod_names $family
	for where in $(ways); do
		callers "$where"
		at="IPv$family $where"
		row "$at: is asked by HTTPS" "$(status http://edition.cnn.com/politics)" 200
		row "$at: with its name" "$(body http://edition.cnn.com/politics)" "cnn sni=edition.cnn.com host=edition.cnn.com path=/politics"
		row "$at: and so by the pod itself" "$(body https://edition.cnn.com/politics)" "cnn sni=edition.cnn.com host=edition.cnn.com path=/politics"
	done
done
row "handshakes are counted" "$(($(cluster "80||edition.cnn.com" ssl.handshake) > 0))" 1
cnn_origination other.cnn.com | apply
for family in 4 6; do
	pod_names $family
	row "IPv$family: by a name that the site does not have" "$(status http://edition.cnn.com/politics)" 503
done
forget serviceentry edition-cnn-com
forget destinationrule edition-cnn-com

# The tutorial's own DestinationRule has workloadSelector and a Secret.
nginx() {
	cat <<-END
	apiVersion: networking.istio.io/v1beta1
	kind: ServiceEntry
	metadata:
	  name: originate-mtls-for-nginx
	spec:
	  exportTo:
	  - .
	  hosts:
	  - my-nginx.mesh-external.svc.cluster.local
	  location: MESH_EXTERNAL
	  ports:
	  - name: http-port-for-tls-origination
	    number: 31443
	    protocol: HTTP
	  resolution: NONE
	---
	apiVersion: networking.istio.io/v1alpha3
	kind: DestinationRule
	metadata:
	  name: originate-mtls-for-nginx
	spec:
	  host: my-nginx.mesh-external.svc.cluster.local
	  trafficPolicy:
	    loadBalancer:
	      simple: ROUND_ROBIN
	    portLevelSettings:
	    - port:
	        number: 31443
	      tls:
	        mode: $1
	        sni: my-nginx.mesh-external.svc.cluster.local
	END
	[ "$1" != MUTUAL ] || cat <<-END
	        clientCertificate: $PKI/client.example.com.crt
	        privateKey: $PKI/client.example.com.key
	        caCertificates: $PKI/root.crt
	END
}
say "TLS origination to a server that wants a certificate"
nginx MUTUAL | apply
for family in 4 6; do
	pod_names $family
	for where in $(ways); do
		callers "$where"
		row "IPv$family $where: with one" "$(body http://my-nginx.mesh-external.svc.cluster.local:31443 | sed 's/conn=[0-9]* //')" \
			"my-nginx sni=my-nginx.mesh-external.svc.cluster.local client=client.example.com host=my-nginx.mesh-external.svc.cluster.local:31443 path=/"
	done
done
nginx SIMPLE | apply
for family in 4 6; do
	pod_names $family
	row "IPv$family: without" "$(status http://my-nginx.mesh-external.svc.cluster.local:31443)" 503
done
nginx SIMPLE | weft delete -f - >/dev/null
callers inside

# ---- DNS ----

# external NAME HOST: an HTTP site that DNS knows
external() {
	cat <<-END
	---
	apiVersion: networking.istio.io/v1
	kind: ServiceEntry
	metadata: {name: $1}
	spec: {hosts: [$2], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS, location: MESH_EXTERNAL}
	END
}

# came: of http_load's counts who answered, and what else came of requests
came() { jq -c '[.words, .errors, (.statuses | del(."200"))] | add | keys'; }
# ask FAMILY HOST N: N requests to a site that the client takes for another one
ask() { http_load client "$(addr "$1" decoy)" 80 -H "host: $2" -n "$3" -t $((5000 * SLOWER)) | came; }
# serve SITES NAME...: these names lead to all of these sites, as JSON, in both families
serve() {
	local family name
	for name in "${@:2}"; do
		for family in 4 6; do [ "$(ask $family "$name" 8)" = "$1" ] || return; done
	done
}
# ask_on SECONDS HOST: for so long, in both families at a time; $ASKING are their processes
ask_on() {
	local family
	ASKING=()
	for family in 4 6; do
		http_load_start client "$TMP/asked.$family" "$(addr $family decoy)" 80 -H "host: $2" -d "$1" -r 20 -c 2 -t $((5000 * SLOWER))
		ASKING+=("$STARTED")
	done
}
asked() {
	local pid
	for pid in "${ASKING[@]}"; do wait "$pid"; done
}
fail_all() {
	local name
	for name; do fails "$name" || return; done
}

say "DNS: an answer that changes"
NAMES=(edition.cnn.com httpbin.org www.google.com www.wikipedia.org)
zones "${NAMES[@]/%/=first}"
for name in "${NAMES[@]}"; do external "${name//./-}" "$name"; done | apply
wait_until 10 serve '["first"]' "${NAMES[@]}"
for family in 4 6; do
	row "IPv$family: DNS says where a site is, not the client" "$(ask $family edition.cnn.com 5)" '["first"]'
done
zones "${NAMES[@]/%/=first,second}"
wait_until 10 serve '["first","second"]' "${NAMES[@]}"
for family in 4 6; do
	row "IPv$family: two addresses" "$(ask $family edition.cnn.com 20)" '["first","second"]'
done
zones "${NAMES[@]/%/=first}"
wait_until 10 serve '["first"]' "${NAMES[@]}"
ask_on $((5 * SLOWER)) edition.cnn.com
sleep 1
zones "${NAMES[@]/%/=second}"
wait_until 10 serve '["second"]' "${NAMES[@]}"
asked
for family in 4 6; do
	row "IPv$family: both serve while it changes, and nothing fails" "$(came <"$TMP/asked.$family")" '["first","second"]'
	row "IPv$family: and then the new one" "$(ask $family edition.cnn.com 5)" '["second"]'
done

zones "${NAMES[@]/%/=second}" old.example.com=first/4
external old old.example.com | apply
is_known() { [ "$(ask 4 old.example.com 1)" = '["first"]' ]; }
wait_until 10 is_known
row "IPv4: a site without IPv6" "$(ask 4 old.example.com 5)" '["first"]'
row "IPv6: a site without IPv6" "$(ask 6 old.example.com 5)" '["503","no"]'
forget serviceentry old

say "DNS: answers that are none"
zones edition.cnn.com=none httpbin.org=nxdomain www.google.com=servfail www.wikipedia.org=silent
wait_until 30 fail_all "${NAMES[@]}"
row "empty" "$(error_of edition.cnn.com)" "it has no address"
row "NXDOMAIN" "$(error_of httpbin.org)" "there is no such name (NXDOMAIN)"
row "SERVFAIL" "$(error_of www.google.com)" "no server is there that can tell"
row "silence" "$(error_of www.wikipedia.org)" "no server answers"
for family in 4 6; do
	for name in "${NAMES[@]}"; do
		row "IPv$family, $name: the last good answer serves" "$(ask $family "$name" 10)" '["second"]'
	done
done

say "DNS: the resolver is down for a while"
zones "${NAMES[@]/%/=second}" late.example.com=second
works() { [ "$(weft status -o json | jq .dns.failing)" = 0 ]; }
wait_until 60 works
down=$(rounds 65 8)
failures=$(stat_of weft.dns.update_failure)
stop_process "$SERVER"
ask_on "$down" edition.cnn.com
start=$(milliseconds)
external late late.example.com | apply
expect_took "a ServiceEntry meanwhile" $(($(milliseconds) - start)) 0 1000
for family in 4 6; do
	start=$(milliseconds)
	row "IPv$family: a site that was never known" "$(http_load client "$(addr $family decoy)" 80 -H "host: late.example.com" | jq -c .statuses)" '{"503":1}'
	expect_took "IPv$family: it is refused at once" $(($(milliseconds) - start)) 0 500
done
wait_until 30 fails late.example.com
asked
expect_between "lookups that failed" $(($(stat_of weft.dns.update_failure) - failures)) "$(rounds 15 4)" 200
for family in 4 6; do
	row "IPv$family: the last good answer serves all the time" "$(came <"$TMP/asked.$family")" '["second"]'
	row "IPv$family: requests" "$(jq '.answered >= '$((down * 15)) "$TMP/asked.$family")" true
	expect_took "IPv$family: none waits" "$(jq '.latency_us.max / 1000 | floor' "$TMP/asked.$family")" 0 1000
done
zones "${NAMES[@]/%/=first}" late.example.com=first
kill -CONT "$SERVER"
wait_until 60 serve '["first"]' edition.cnn.com late.example.com
for family in 4 6; do
	row "IPv$family: the resolver is back" "$(ask $family edition.cnn.com 10)" '["first"]'
	row "IPv$family: and knows what it was asked meanwhile" "$(ask $family late.example.com 10)" '["first"]'
done
rows_end
