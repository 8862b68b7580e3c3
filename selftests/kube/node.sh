# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests against a real API server stand on: etcd and kube-apiserver of $TESTKUBE (selftests/cluster/prepare builds it) in
# the test's own node, and all of net/lib.sh. There are no kubelet and no controllers: a Pod is what the test says it is.
#
#   . "${0%/*}/node.sh"
#   node_up; kube_up; weftd_kube; kube apply -f rules.yaml

# shellcheck source=selftests/net/lib.sh
. "${BASH_SOURCE[0]%/*}/../net/lib.sh"

TESTKUBE=${TESTKUBE:-$OUT/cluster/testkube}
[ -x "$TESTKUBE" ] || fail "$TESTKUBE is missing: selftests/cluster/prepare kube"

PAUSE=300
API_PORT=6443
ETCD_PORT=2379
KUBE_IN=(nsenter --net="/run/netns/$ID-node")
# shellcheck source=selftests/kube/lib.sh
. "${BASH_SOURCE[0]%/*}/lib.sh"
[ -x "$KUBECTL" ] || fail "$KUBECTL is missing: selftests/cluster/prepare kube"
declare -A KUBE_PIDS

# kube_part NAME STATUS: what kube_start has started is that part, and came up with that status
kube_part() {
	KUBE_PIDS[$1]=$STARTED
	[ "$2" -eq 0 ] && return
	tail -n 8 "$KUBE_DIR/$1.log" >&2
	fail "$1 does not come up"
}

kube_etcd_start() {
	local status=0
	kube_etcd || status=$?
	kube_part etcd $status
}

kube_api_start() {
	local status=0
	kube_apiserver "${KUBE_BIND:-127.0.0.1}" 127.0.0.1 --endpoint-reconciler-type none --service-cluster-ip-range 10.96.0.0/16,fd00:96::/112 \
		--disable-admission-plugins ServiceAccount
	kube_apiserver_ready || status=$?
	kube_part apiserver $status
}

# The server holds watches that are open for a while when it is asked to end.
kube_stop() { # PART
	kill -9 "${KUBE_PIDS[$1]}"
	wait "${KUBE_PIDS[$1]}" 2>/dev/null || true
}

kube_up() {
	KUBE_DIR=$TMP/kube
	export KUBECACHEDIR=$KUBE_DIR/cache
	mkdir -p "$KUBE_DIR"
	kube_keys "IP:127.0.0.1,IP:$(addr 4 node),DNS:localhost"
	kube_config "https://127.0.0.1:$API_PORT"
	ip_in node <<<"link set lo up"
	kube_etcd_start
	kube_api_start
}

kube() { in_ns node "$KUBECTL" --kubeconfig "$KUBE_DIR/kubeconfig" "$@"; }

# api PATH [CURL OPTION...]
api() {
	in_ns node curl -fsS --cacert "$KUBE_DIR/ca.crt" -H "Authorization: Bearer $(<"$KUBE_DIR/admin.token")" "${@:2}" \
		"https://127.0.0.1:$API_PORT/$1"
}

# path_of KIND [NAMESPACE]: of objects in that namespace (default)
path_of() {
	local in=namespaces/${2:-default}
	case $1 in
	virtualservice | destinationrule | gateway) echo "apis/networking.istio.io/v1/$in/$1s" ;;
	requestauthentication) echo "apis/security.istio.io/v1/$in/$1s" ;;
	telemetry) echo "apis/telemetry.istio.io/v1/$in/telemetries" ;;
	connectionpolicy) echo apis/weft.dev/v1alpha1/connectionpolicies ;;
	lease) echo "apis/coordination.k8s.io/v1/$in/leases" ;;
	service) echo "api/v1/$in/services" ;;
	event) echo "api/v1/$in/events" ;;
	*) fail "no path of $1 is known" ;;
	esac
}

# object KIND/NAME [NAMESPACE]: what `kubectl get -o json` says of it, without the start of kubectl, for what is asked again and again
object() {
	local path
	path=$(path_of "${1%/*}" "${2:-}") || exit 1
	api "$path/${1#*/}"
}

# The definitions of Istio's kinds, taking any spec: what weft makes of one is what is tested.
kube_crds() {
	local kind plural version
	for kind in VirtualService DestinationRule Gateway ServiceEntry AuthorizationPolicy PeerAuthentication RequestAuthentication Telemetry; do
		case $kind in
		AuthorizationPolicy) plural=authorizationpolicies ;;
		ServiceEntry) plural=serviceentries ;;
		Telemetry) plural=telemetries ;;
		*) plural=${kind,,}s ;;
		esac
		group=networking.istio.io
		case $kind in
		AuthorizationPolicy | PeerAuthentication | RequestAuthentication) group=security.istio.io ;;
		Telemetry) group=telemetry.istio.io ;;
		esac
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
kube_options() { echo --source "${SOURCES:-kubernetes}" --kubeconfig "$KUBE_DIR/kubeconfig" --node-name node-a; }

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
