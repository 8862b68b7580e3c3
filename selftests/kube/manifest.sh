#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `weft manifest` gives a cluster, on a real API server without nodes: the kinds refuse what users get wrong in readable words, and
# take Istio's tutorials; apply, verify-install and uninstall --cluster do what they say and leave nothing behind.
#
# Environment: as apiserver.sh; WEFT the program (.output/weft).
set -euo pipefail

here=$(cd "${0%/*}" && pwd)
root=$(cd "$here/../.." && pwd)
WEFT=${WEFT:-${WEFT_OUT:-$root/.output}/weft}

# In a network namespace of its own: its ports are free, and no other server's.
if [ -z "${WEFT_UNSHARED:-}" ]; then
	WEFT_UNSHARED=1 exec unshare -n -- "$here/manifest.sh"
fi
ip link set lo up

export TESTKUBE=${TESTKUBE:-${WEFT_OUT:-$root/.output}/cluster/testkube}
. "$here/lib.sh"
kubectl() { "$KUBECTL" "$@"; }
DIR=$(mktemp -d)
export KUBECONFIG=$DIR/api/kubeconfig KUBECACHEDIR=$DIR/cache
failed=0

stop() {
	"$here/apiserver.sh" stop "$DIR/api"
	rm -rf "$DIR"
}
trap stop EXIT
trap 'exit 143' TERM INT HUP

wrong() {
	echo "$*"
	failed=1
}

# seen WHAT WORDS: what was printed (in $DIR/said) has these words
seen() {
	grep -qF -- "$2" "$DIR/said" || wrong "$1: expected \"$2\", not: $(<"$DIR/said")"
}

# says STATUS WORDS COMMAND...
says() {
	local status=0
	"${@:3}" >"$DIR/said" 2>&1 </dev/null || status=$?
	[ $status -eq "$1" ] || wrong "${*:3}: status $status, not $1: $(<"$DIR/said")"
	seen "${*:3}" "$2"
}

# split NAME FILE [LINE...]: each rule in the file to $DIR/docs/NAME-N.yaml, behind these lines
split() {
	local doc
	rm -rf "$DIR/split"
	mkdir -p "$DIR/split" "$DIR/docs"
	awk -v dir="$DIR/split" '/^---/ { n++; next } { printf "%s\n", $0 >sprintf("%s/%04d", dir, n) }' "$2"
	for doc in "$DIR"/split/*; do
		grep -qE '^kind: (VirtualService|DestinationRule|Gateway)$' "$doc" || continue
		{ cat "$doc" && printf '%s\n' "${@:3}"; } >"$DIR/docs/$1-${doc##*/}.yaml"
	done
}

# ---- kinds ----

# One call for all of them: kubectl names the file of each that was refused.
check_mistakes() {
	local doc words count=0
	split mistake "$here/mistakes.yaml" 'apiVersion: networking.istio.io/v1' 'metadata: {name: x}'
	says 1 'error when creating' kubectl apply --dry-run=server -f "$DIR/docs"
	for doc in "$DIR"/docs/*; do
		words=$(head -n 1 "$doc")
		count=$((count + 1))
		grep -F "\"$doc\"" "$DIR/said" | grep -qF -- "${words#\# }" ||
			wrong "$(cat "$doc")"$'\n'"$(grep -F "\"$doc\"" "$DIR/said" || echo 'is not refused')"
	done
	[ $count -ge 25 ] || wrong "only $count mistakes were tried"
	rm -r "$DIR/docs"
	echo "$count mistakes are refused"
}

# Of all versions, as they are.
check_tutorials() {
	local file count
	for file in "$root"/yaml-rules/*/*.yaml; do
		split "$(basename "${file%/*}")-$(basename "$file" .yaml)" "$file"
	done
	says 0 '(server dry run)' kubectl apply --dry-run=server -f "$DIR/docs"
	count=$(grep -c '(server dry run)$' "$DIR/said")
	[ "$count" -ge 25 ] || wrong "only $count rules of tutorials were tried"
	rm -r "$DIR/docs"
	echo "$count rules of tutorials are taken"
}

# policy NAME SPEC
policy() { printf 'apiVersion: weft.dev/v1alpha1\nkind: ConnectionPolicy\nmetadata: {name: %s}\nspec: %s\n' "$1" "$2"; }

# weft's own kind: of no namespace, and there is one.
check_connection_policy() {
	policy default '{allow: [10.0.0.0/8, "fd00::/8"], deny: [10.1.0.0/16], newConnections: {perSource: {rate: 50}, total: {rate: 900, burst: 90}}, synCookies: {mode: Never}, ports: [80]}' |
		kubectl apply -f - >/dev/null
	says 0 '50           900' kubectl get connpol
	says 0 'connectionpolicy.weft.dev/default' kubectl get weft -o name
	says 0 '{"default":["10.0.0.0/8","fd00::/8"]}' kubectl get connectionpolicies default -o 'jsonpath={"{"}"{.metadata.name}":{.spec.allow}{"}"}'
	while IFS='|' read -r words name spec; do
		policy "$name" "$spec" >"$DIR/policy.yaml"
		says 1 "$words" kubectl apply -f "$DIR/policy.yaml"
	done <<-END
	expected the name default: there is one ConnectionPolicy|mine|{}
	unknown field "spec.denied"|default|{denied: []}
	expected an element, or none of it|default|{allow: []}
	spec.deny[0] in body should match|default|{deny: [10.0.0.1]}
	spec.newConnections.total.rate: Required value|default|{newConnections: {total: {burst: 1}}}
	should be greater than or equal to 1|default|{newConnections: {perSource: {rate: 0}}}
	supported values: "Auto", "Always", "Never"|default|{synCookies: {mode: "Off"}}
	threshold: expected beside the mode Auto alone|default|{synCookies: {mode: Always, threshold: 1}}
	should be less than or equal to 65535|default|{ports: [65536]}
	END
	echo "a ConnectionPolicy is taken, and nine mistakes in one are not"
}

# telemetry VERSION SPEC
telemetry() { printf 'apiVersion: telemetry.istio.io/%s\nkind: Telemetry\nmetadata: {name: t}\nspec: %s\n' "$1" "$2"; }

# The tutorial's; and what else it may say.
check_telemetry() {
	local version words spec
	for version in v1 v1alpha1; do
		telemetry $version '{tracing: [{providers: [{name: jaeger}], randomSamplingPercentage: 100.00, customTags: {a: {literal: {value: x}}}}]}' \
			>"$DIR/telemetry.yaml"
		says 0 'telemetry.telemetry.istio.io/t' kubectl apply --dry-run=server -f "$DIR/telemetry.yaml"
	done
	while IFS='|' read -r words spec; do
		telemetry v1 "$spec" >"$DIR/telemetry.yaml"
		says 1 "$words" kubectl apply --dry-run=server -f "$DIR/telemetry.yaml"
	done <<-END
	weft does not carry out metrics|{tracing: [{}], metrics: [{}]}
	weft does not carry out accessLogging|{accessLogging: [{}]}
	weft does not carry out providers beside the first one|{tracing: [{providers: [{name: a}, {name: b}]}]}
	weft does not carry out randomSamplingPercentage beside match.mode SERVER|{tracing: [{match: {mode: SERVER}, randomSamplingPercentage: 1}]}
	weft does not carry out environment and formatter of customTags|{tracing: [{customTags: {a: {environment: {name: HOME}}}}]}
	weft does not carry out enableIstioTags false|{tracing: [{enableIstioTags: false}]}
	should be less than or equal to 100|{tracing: [{randomSamplingPercentage: 101}]}
	Too many: 2|{tracing: [{customTags: {a: {literal: {value: x}, header: {name: x}}}}]}
	unknown field "spec.tracing[0].sampling"|{tracing: [{sampling: 1}]}
	END
	echo "a Telemetry is taken, and nine mistakes in one are not"
}

check_versions() {
	kubectl apply -f "$root/yaml-rules/tcp-echo/all-v1.yaml" >/dev/null
	says 0 '["tcp-echo"]' kubectl get virtualservices.v1.networking.istio.io tcp-echo -o 'jsonpath={.spec.hosts}'
	says 0 'HOSTS' kubectl get vs
}

# ---- what is installed ----

# A node, so that the DaemonSet has a pod, which nothing runs.
add_node() {
	kubectl create -f - >/dev/null <<-END
	apiVersion: v1
	kind: Node
	metadata: {name: node-a, labels: {kubernetes.io/os: linux}}
	END
}

check_apply() {
	says 0 'service/istio-ingressgateway created' "$WEFT" manifest apply --timeout 0
	says 0 'daemonset.apps/weft unchanged' "$WEFT" manifest apply --timeout 0
	! grep -vE '(unchanged|left as it is)$' "$DIR/said" || wrong "the second apply changed something"
	says 0 'service/istio-ingressgateway configured' "$WEFT" manifest apply --timeout 0 \
		--set gateways.istio-ingressgateway.type=NodePort
	says 0 'service/istio-ingressgateway deleted' "$WEFT" manifest apply --timeout 0 \
		--set gateways.istio-ingressgateway.enabled=false
	says 0 'service/istio-ingressgateway created' "$WEFT" manifest apply --timeout 0
}

# What watches weft comes by value, and goes with it.
check_addons() {
	local all=(--set addonComponents.prometheus.enabled=true --set addonComponents.grafana.enabled=true --set addonComponents.tracing.enabled=true)
	says 0 'deployment.apps/prometheus created' "$WEFT" manifest apply --timeout 0 "${all[@]}"
	seen apply 'configmap/weft-grafana-dashboards created'
	seen apply 'deployment.apps/grafana created'
	seen apply 'service/jaeger-collector created'
	says 0 'deployment.apps/grafana unchanged' "$WEFT" manifest apply --timeout 0 "${all[@]}"
	! grep -vE '(unchanged|left as it is)$' "$DIR/said" || wrong "the second apply changed something"
	"$WEFT" manifest generate "${all[@]}" >"$DIR/manifest.yaml"
	says 1 'ok     deployment.apps/grafana (as the manifest says)' "$WEFT" verify-install -f "$DIR/manifest.yaml"
	kubectl label namespace default pod-security.kubernetes.io/warn=restricted >/dev/null
	kubectl -n istio-system get deployment prometheus grafana jaeger -o json |
		jq '.items[] |= (.metadata |= {name}) | del(.items[].status)' >"$DIR/deployments.json"
	says 0 'deployment.apps/prometheus created' kubectl create -n default --dry-run=server -f "$DIR/deployments.json"
	! grep -q Warning "$DIR/said" || wrong "pods with more rights than they need: $(<"$DIR/said")"
	kubectl label namespace default pod-security.kubernetes.io/warn- >/dev/null
	says 0 'deployment.apps/prometheus deleted' "$WEFT" manifest apply --timeout 0
	seen apply 'clusterrole.rbac.authorization.k8s.io/weft-prometheus deleted'
	seen apply 'configmap/prometheus deleted'
	says 1 'the cluster has no kind PrometheusRule of monitoring.coreos.com/v1' "$WEFT" manifest apply --timeout 0 --set metrics.prometheusRule.enabled=true
	kubectl create -f - >/dev/null <<-END
	apiVersion: apiextensions.k8s.io/v1
	kind: CustomResourceDefinition
	metadata: {name: prometheusrules.monitoring.coreos.com}
	spec:
	  group: monitoring.coreos.com
	  scope: Namespaced
	  names: {kind: PrometheusRule, plural: prometheusrules}
	  versions:
	  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
	END
	kubectl wait --for=condition=Established crd/prometheusrules.monitoring.coreos.com --timeout=30s >/dev/null
	says 0 'prometheusrule.monitoring.coreos.com/weft created' "$WEFT" manifest apply --timeout 0 --set metrics.prometheusRule.enabled=true "${all[@]}"
}

# Objects of others, as Istio's own, are not overwritten unless that is wanted.
check_others() {
	kubectl create namespace istio-system >/dev/null
	kubectl -n istio-system create service clusterip istio-ingressgateway --tcp=80:8080 >/dev/null
	says 1 'service/istio-ingressgateway: ' "$WEFT" manifest apply --timeout 0
	seen apply 'namespace/istio-system left as it is'
	seen apply '--force takes such fields over'
	kubectl -n istio-system delete service istio-ingressgateway >/dev/null
}

# Kinds of Istio's that weft does not carry out, which someone may rely on.
check_unsupported() {
	local name
	for name in requestauthentications:RequestAuthentication:security sidecars:Sidecar:networking; do
		IFS=: read -r plural kind group <<<"$name"
		kubectl create -f - >/dev/null <<-END
		apiVersion: apiextensions.k8s.io/v1
		kind: CustomResourceDefinition
		metadata: {name: $plural.$group.istio.io}
		spec:
		  group: $group.istio.io
		  scope: Namespaced
		  names: {kind: $kind, plural: $plural}
		  versions:
		  - {name: v1beta1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
		END
		kubectl wait --for=condition=Established "crd/$plural.$group.istio.io" --timeout=30s >/dev/null
	done
	says 0 'service/istio-ingressgateway unchanged' "$WEFT" manifest apply --timeout 0
	! grep -q warning: "$DIR/said" || wrong "a warning of what is not there: $(<"$DIR/said")"
	for name in requestauthentications:RequestAuthentication:security:deny-all sidecars:Sidecar:networking:few; do
		IFS=: read -r plural kind group name <<<"$name"
		printf 'apiVersion: %s\nkind: %s\nmetadata: {name: %s}\n' "$group.istio.io/v1beta1" "$kind" "$name" | kubectl create -f - >/dev/null
	done
	says 0 'warning: requestauthentications.security.istio.io: weft does not carry out RequestAuthentication: it closes nothing: default/deny-all' \
		"$WEFT" manifest apply --timeout 0
	seen apply 'weft does not carry out Sidecar: it has no effect: default/few'
	"$WEFT" manifest generate >"$DIR/manifest.yaml"
	says 1 'FAILED requestauthentications.security.istio.io (weft does not carry out RequestAuthentication: it closes nothing: default/deny-all)' \
		"$WEFT" verify-install -f "$DIR/manifest.yaml"
	seen verify 'note   sidecars.networking.istio.io (weft does not carry out Sidecar: it has no effect: default/few)'
	kubectl delete crd requestauthentications.security.istio.io sidecars.networking.istio.io >/dev/null
}

check_verify() {
	"$WEFT" manifest generate >"$DIR/manifest.yaml"
	says 1 'ok     service/istio-ingressgateway (as the manifest says)' "$WEFT" verify-install -f "$DIR/manifest.yaml"
	seen verify 'FAILED every node has an agent that is ready (0 of 1)'
	kubectl -n weft-system set image daemonset/weft weft=other:1 >/dev/null
	kubectl delete clusterrolebinding weft >/dev/null
	says 1 'FAILED clusterrolebinding.rbac.authorization.k8s.io/weft (not there)' \
		"$WEFT" verify-install -f "$DIR/manifest.yaml"
	seen verify 'image: expected "weft:'
}

# ---- rights ----

# may WHAT YES: by the agents' ServiceAccount
may() {
	local got
	# shellcheck disable=SC2086 # words
	got=$(kubectl auth can-i $1 --as system:serviceaccount:weft-system:weft 2>/dev/null || true)
	[ "$got" = "$2" ] || wrong "may the agent $1? $got, not $2"
}

# may_unknown VERB GROUP RESOURCE true|false [NAME]: what `kubectl auth can-i` can't ask about: a kind that has no definition here, a name
# with a slash
may_unknown() {
	local got below=
	[[ $3 != */* ]] || below=${3#*/}
	got=$(kubectl create -f - -o 'jsonpath={.status.allowed}' <<-END
	apiVersion: authorization.k8s.io/v1
	kind: SubjectAccessReview
	spec:
	  user: system:serviceaccount:weft-system:weft
	  groups: ["system:serviceaccounts", "system:serviceaccounts:weft-system", "system:authenticated"]
	  resourceAttributes: {verb: $1, group: $2, resource: ${3%/*}, subresource: "$below", namespace: default, name: "${5:-}"}
	END
	)
	[ "$got" = "$4" ] || wrong "may the agent $1 $3 ${5:-}? $got, not $4"
}

check_rights() {
	may 'watch pods -A' yes
	may 'list endpointslices.discovery.k8s.io -A' yes
	may 'watch virtualservices.networking.istio.io -A' yes
	may 'watch networkpolicies.networking.k8s.io -A' yes
	may 'watch telemetries.telemetry.istio.io -A' yes
	may 'patch telemetries.telemetry.istio.io --subresource status -n default' yes
	may 'watch connectionpolicies.weft.dev' yes
	may 'patch connectionpolicies.weft.dev --subresource status' yes
	may 'patch connectionpolicies.weft.dev' no
	may 'patch virtualservices.networking.istio.io --subresource status -n default' yes
	may_unknown patch security.istio.io authorizationpolicies/status true
	may_unknown delete security.istio.io authorizationpolicies false
	may 'patch virtualservices.networking.istio.io -n default' no
	may 'create events -n default' yes
	may 'delete events -n default' no
	may 'update leases.coordination.k8s.io/weft -n weft-system' yes
	may 'update leases.coordination.k8s.io/weft -n kube-system' no
	may 'watch daemonsets.apps/weft -n weft-system' yes
	may 'list daemonsets.apps -A' no
	may 'watch secrets -n istio-system' yes
	may 'list secrets -n default' no
	may 'list secrets -A' no
	may 'get secrets/weft-ca -n weft-system' yes
	may 'get secrets/other -n weft-system' no
	may 'list secrets -n weft-system' no
	may 'update secrets/weft-ca -n weft-system' yes
	may 'update secrets/other -n weft-system' no
	may 'delete secrets/weft-ca -n weft-system' no
	may 'create secrets -n weft-system' no
	may 'create configmaps -n weft-system' no
	may 'watch configmaps/weft-ca-root -n weft-system' yes
	may 'update configmaps/other -n weft-system' no
	may 'create certificatesigningrequests.certificates.k8s.io' yes
	may 'delete certificatesigningrequests.certificates.k8s.io' no
	may_unknown sign certificates.k8s.io signers true weft.dev/workload
	may_unknown sign certificates.k8s.io signers false kubernetes.io/kube-apiserver-client
	may_unknown approve certificates.k8s.io signers false kubernetes.io/kube-apiserver-client
	may 'create pods -n weft-system' no
	may 'delete services -n default' no
}

# ---- and taken away ----

check_uninstall() {
	says 1 'virtualservices default/tcp-echo' "$WEFT" uninstall --cluster
	seen uninstall 'connectionpolicies default'
	seen uninstall '--yes is missing'
	kubectl get daemonset -n weft-system weft >/dev/null || wrong "it was uninstalled unasked"
	says 0 'daemonset.apps/weft deleted' "$WEFT" uninstall --cluster --yes
	says 0 'No resources found' kubectl get namespaces,crd,clusterroles,clusterrolebindings -l app.kubernetes.io/name=weft
	kubectl get namespace istio-system >/dev/null || wrong "a namespace of others was deleted"
	kubectl delete namespace istio-system >/dev/null
	"$WEFT" manifest apply --timeout 0 >/dev/null
	says 0 'namespace/istio-system deleted' "$WEFT" uninstall --cluster --yes
	says 0 'no agent is left on any node' "$WEFT" uninstall --cluster --yes
}

"$here/apiserver.sh" start "$DIR/api"
add_node
check_others
check_apply
check_addons
"$WEFT" manifest apply --timeout 0 >"$DIR/said"
seen apply 'prometheusrule.monitoring.coreos.com/weft deleted'
check_unsupported
check_verify
"$WEFT" manifest apply --timeout 0 >/dev/null
check_rights
check_mistakes
check_tutorials
check_connection_policy
check_telemetry
check_versions
says 1 'no agent is ready' "$WEFT" manifest apply --timeout 1
check_uninstall
[ $failed -eq 0 ] && echo "all is as it should be"
exit $failed
