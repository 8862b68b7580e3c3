# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests against a real API server stand on: etcd and kube-apiserver of $TESTKUBE (selftests/cluster/testkube builds it) in
# the test's own node, and all of net/lib.sh. There are no kubelet and no controllers: a Pod is what the test says it is.
#
#   . "${0%/*}/node.sh"
#   node_up; kube_up; weftd_kube; kube apply -f rules.yaml

# shellcheck source=selftests/net/lib.sh
. "${BASH_SOURCE[0]%/*}/../net/lib.sh"

TESTKUBE=${TESTKUBE:-}
if [ ! -x "$TESTKUBE" ] || ! command -v kubectl >/dev/null; then
	echo "not run: TESTKUBE names no testkube binary, or there is no kubectl"
	exit 0
fi

API_PORT=6443
ETCD_PORT=2379
declare -A KUBE_PIDS

kube_keys() {
	local ec=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
	mkdir -p "$KUBE"
	openssl req -x509 "${ec[@]}" -days 2 -subj /CN=test-ca -keyout "$KUBE/ca.key" -out "$KUBE/ca.crt"
	openssl req "${ec[@]}" -subj /CN=kube-apiserver -keyout "$KUBE/api.key" -out "$KUBE/api.csr"
	openssl x509 -req -in "$KUBE/api.csr" -CA "$KUBE/ca.crt" -CAkey "$KUBE/ca.key" -CAcreateserial -days 2 \
		-out "$KUBE/api.crt" -extfile <(echo 'subjectAltName=IP:127.0.0.1,IP:10.1.0.1,DNS:localhost')
	openssl ecparam -name prime256v1 -genkey -noout -out "$KUBE/sa.key"
	openssl rand -hex 16 >"$KUBE/token"
	echo "$(<"$KUBE/token"),admin,admin,system:masters" >"$KUBE/tokens.csv"
	cat >"$KUBE/config" <<-END
	apiVersion: v1
	kind: Config
	clusters: [{name: t, cluster: {server: "https://127.0.0.1:$API_PORT", certificate-authority: "$KUBE/ca.crt"}}]
	users: [{name: admin, user: {token: "$(<"$KUBE/token")"}}]
	contexts: [{name: t, context: {cluster: t, user: admin}}]
	current-context: t
	END
}

# kube_part NAME ARGUMENT...
kube_part() {
	(in_ns_exec node "$TESTKUBE" "${@:2}") >>"$KUBE/$1.log" 2>&1 </dev/null &
	KUBE_PIDS[$1]=$!
	JOBS_+=("$!")
}

kube_etcd_start() {
	kube_part etcd etcd "$KUBE/etcd" "$ETCD_PORT"
	wait_until 60 in_ns node curl -fs "http://127.0.0.1:$ETCD_PORT/health"
}

kube_api_start() {
	kube_part api apiserver --etcd-servers "http://127.0.0.1:$ETCD_PORT" --bind-address "${KUBE_BIND:-127.0.0.1}" \
		--advertise-address 127.0.0.1 --secure-port "$API_PORT" --endpoint-reconciler-type none \
		--service-cluster-ip-range 10.96.0.0/16,fd00:96::/112 --tls-cert-file "$KUBE/api.crt" \
		--tls-private-key-file "$KUBE/api.key" --cert-dir "$KUBE" --authorization-mode RBAC --anonymous-auth=false \
		--token-auth-file "$KUBE/tokens.csv" --service-account-issuer https://kubernetes.default.svc \
		--service-account-signing-key-file "$KUBE/sa.key" --service-account-key-file "$KUBE/sa.key" \
		--disable-admission-plugins ServiceAccount --enable-priority-and-fairness=false --profiling=false
	for _ in $(seq $((180 * SLOWER))); do
		! api readyz >/dev/null 2>&1 || return 0
		kill -0 "${KUBE_PIDS[api]}" 2>/dev/null || break
		sleep 0.5
	done
	tail -n 8 "$KUBE/api.log" >&2
	fail "the API server does not come up"
}

# The server holds watches that are open for a while when it is asked to end.
kube_stop() { # PART
	kill -9 "${KUBE_PIDS[$1]}"
	wait "${KUBE_PIDS[$1]}" 2>/dev/null || true
}

kube_up() {
	KUBE=$TMP/kube
	mkdir -p "$KUBE"
	kube_keys >"$KUBE/openssl.log" 2>&1
	ip_in node <<<"link set lo up"
	kube_etcd_start
	kube_api_start
}

kube() { in_ns node kubectl --kubeconfig "$KUBE/config" "$@"; }

# api PATH [CURL OPTION...]
api() {
	in_ns node curl -fsS --cacert "$KUBE/ca.crt" -H "Authorization: Bearer $(<"$KUBE/token")" "${@:2}" \
		"https://127.0.0.1:$API_PORT/$1"
}

# The definitions of Istio's kinds, taking any spec: what weft makes of one is what is tested.
kube_crds() {
	local kind plural version
	for kind in VirtualService DestinationRule Gateway ServiceEntry AuthorizationPolicy; do
		case $kind in
		AuthorizationPolicy) plural=authorizationpolicies ;;
		ServiceEntry) plural=serviceentries ;;
		*) plural=${kind,,}s ;;
		esac
		group=networking.istio.io
		[ $kind != AuthorizationPolicy ] || group=security.istio.io
		cat <<-END
		---
		apiVersion: apiextensions.k8s.io/v1
		kind: CustomResourceDefinition
		metadata: {name: $plural.$group}
		spec:
		  group: $group
		  scope: Namespaced
		  names: {kind: $kind, listKind: ${kind}List, singular: ${kind,,}, plural: $plural}
		  versions:
		END
		for version in "$@"; do
			cat <<-END
			  - name: $version
			    served: true
			    storage: $([ "$version" = "$1" ] && echo true || echo false)
			    subresources: {status: {}}
			    schema:
			      openAPIV3Schema:
			        type: object
			        properties:
			          spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
			          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
			END
		done
	done
}

kube_crds_up() {
	kube_crds "$@" | kube apply -f - >/dev/null
	kube wait --for=condition=Established crd --all --timeout=30s >/dev/null
}

# Applies stdin; a Pod's status by itself, as the API wants it.
kube_apply() {
	local file
	file=$(mktemp "$TMP/apply.XXXXXX")
	cat >"$file"
	kube apply --server-side --force-conflicts -f "$file" >/dev/null
}

# kube_pods: the test's pods, as a kubelet would tell of them
kube_pods() {
	local pod name
	rules_pods | sed '/^status:/,/^---/{/^---/!d}' | kube_apply
	for pod in "${PODS[@]}"; do
		name=${pod%%:*}
		api "api/v1/namespaces/${pod#*:}/pods/$name/status" -X PATCH -o /dev/null \
			-H 'Content-Type: application/merge-patch+json' -d '{"status": {"phase": "Running",
			"podIP": "'"$(addr 4 "$name")"'", "podIPs": [{"ip": "'"$(addr 4 "$name")"'"}, {"ip": "'"$(addr 6 "$name")"'"}],
			"conditions": [{"type": "Ready", "status": "True"}]}}'
	done
}

# What weftd is told of the cluster.
kube_options() { echo --source "${SOURCES:-kubernetes}" --kubeconfig "$KUBE/config" --node-name node-a; }

# weftd_kube [OPTION...]: and waits until it is ready
# shellcheck disable=SC2046 # words are meant
weftd_kube() { weftd_start $(kube_options) "$@"; }

# weftd_kube_only [OPTION...]: and waits for no more than its socket
weftd_kube_only() {
	# shellcheck disable=SC2046 # words are meant
	(in_ns_exec node "$OUT/weftd" $(weftd_options) $(kube_options) "$@") 2>>"$TMP/weftd.log" &
	WEFTD=$!
	wait_until 30 test -S "$TMP/run/weftd.sock"
}

generation() { weft status -o json | jq .generation; }
# kube_status EXPRESSION: of the source's part of the status
kube_status() { { weft status -o json || true; } | jq -r ".sources[] | select(.name == \"kubernetes\") | $1"; }
