#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Certificates of workloads by a real API server: agents ask by CertificateSigningRequests, with the rights of the manifest and tokens that
# are bound to their pods, and one of them signs. An agent gets certificates of pods of its own node, and of no others; nobody else gets any.
# The one that signs dies, and another one takes its place.
. "${0%/*}/node.sh"

SHOP=spiffe://cluster.local/ns/shop/sa/cart
BANK=spiffe://cluster.local/ns/bank/sa/default
CSRS=apis/certificates.k8s.io/v1/certificatesigningrequests
declare -A INPUT

node_up
kube_up
"$OUT/weft" manifest generate |
	awk 'BEGIN { RS = "---\n" } /\nkind: (Namespace|ServiceAccount|Secret|ConfigMap|ClusterRole|ClusterRoleBinding|Role|RoleBinding)\n/ { print "---\n" $0 }' \
		>"$TMP/rights.yaml"
kube apply -f "$TMP/rights.yaml" >/dev/null
for node in node-a node-b node-c; do
	kube_apply <<-END
	apiVersion: v1
	kind: Node
	metadata: {name: $node}
	---
	apiVersion: v1
	kind: Pod
	metadata: {name: agent-$node, namespace: weft-system}
	spec: {nodeName: $node, serviceAccountName: weft, containers: [{name: weft, image: weft}]}
	END
done

# account NAME NAMESPACE ACCOUNT [POD]: NAME.config, a kubeconfig with a token of the account, bound to the pod
account() {
	local bound=
	[ -z "${4:-}" ] || bound=', "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "'$4'"}'
	api "api/v1/namespaces/$2/serviceaccounts/$3/token" -X POST -H 'Content-Type: application/json' \
		-d '{"spec": {"expirationSeconds": 3600'"$bound"'}}' | jq -r .status.token >"$TMP/$1.token"
	cat >"$TMP/$1.config" <<-END
	apiVersion: v1
	kind: Config
	clusters: [{name: t, cluster: {server: "https://127.0.0.1:$API_PORT", certificate-authority: "$KUBE_DIR/ca.crt"}}]
	users: [{name: agent, user: {tokenFile: "$TMP/$1.token"}}]
	contexts: [{name: t, context: {cluster: t, user: agent}}]
	current-context: t
	END
}

# agent NAME NODE IDENTITY...: with NAME.config; what it says is in NAME.out
agent() {
	local name=$1 fd
	mkfifo "$TMP/$name.in"
	in_ns_exec node "$APPS/informer-identity" "$TMP/$name.config" weft-system "$2" "$TMP/pods" "${@:3}" \
		<"$TMP/$name.in" >"$TMP/$name.out" 2>"$TMP/$name.log" &
	AGENT=$!
	exec {fd}>"$TMP/$name.in"
	INPUT[$name]=$fd
}
says() { [ "$(tail -n 1 "$TMP/$1.out")" = "$2" ]; }
denied() { grep -q "$2" "$TMP/$1.out"; }

# written NAME: NAME.crt, NAME.key and NAME.roots are what the agent has
written() {
	local before
	before=$(grep -c "^written" "$TMP/$1.out" || true)
	echo "write $TMP/$1" >&"${INPUT[$1]}"
	wait_until 10 has_written "$1" "$before"
}
has_written() { [ "$(grep -c "^written" "$TMP/$1.out")" -gt "$2" ]; }
verifies() { openssl verify -CAfile "$TMP/$2.roots" "$TMP/$1.crt" 2>&1 | sed 's/.*: //'; }
names() { openssl x509 -in "$TMP/$1.crt" -noout -ext subjectAltName | tail -n +2 | tr -d ' '; }

printf '%s\n' "node-a $SHOP" "node-b $BANK" >"$TMP/pods"
account a weft-system weft agent-node-a
account b weft-system weft agent-node-b
account c weft-system weft agent-node-c
account unbound weft-system weft
kube create namespace shop >/dev/null
kube -n shop create serviceaccount cart >/dev/null

agent a node-a "$SHOP"
first=$AGENT
wait_until 60 says a "$SHOP ok"
written a
row "the first agent has a certificate" "$(verifies a a)" OK
row "of its pod" "$(names a)" "URI:$SHOP"
row "the CA is made" "$(api api/v1/namespaces/weft-system/secrets/weft-ca | jq -r '.data | keys | join(" ")')" "ca.crt ca.key root-cert.pem"
row "its root is told" "$(api api/v1/namespaces/weft-system/configmaps/weft-ca-root | jq -r '.data["root-cert.pem"]' | openssl x509 -noout -subject |
	sed 's/ //g')" "subject=CN=weftCA"
row "who asks, the API server says" "$(api $CSRS | jq -r '.items[0].spec.extra["authentication.kubernetes.io/node-name"][0]')" node-a
row "asked for once" "$(api $CSRS | jq '.items | length')" 1

agent b node-b "$BANK" "$SHOP"
second=$AGENT
wait_until 60 grep -q "^$BANK ok" "$TMP/b.out"
written b
row "the second agent has one, of the same CA" "$(verifies b a)" OK
wait_until 60 denied b "$SHOP the certificate is denied: node node-b runs no pod of the mesh that is $SHOP"
row "not of another node's pod" "$(api $CSRS | jq '[.items[] | select(.status.certificate)] | length')" 2

agent unbound node-a "$SHOP"
unbound=$AGENT
wait_until 60 denied unbound "the certificate is denied: the agent's token is bound to no node"
row "not with a token of no node" "$(api $CSRS | jq '[.items[] | select(.status.certificate)] | length')" 2

# Others may ask, if they are let, and get nothing; and they can't read the CA.
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$TMP/x.key" -subj / -addext "subjectAltName=critical,URI:$SHOP" \
	-out "$TMP/x.csr" 2>/dev/null
kube_apply <<-END
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: stranger}
spec: {request: "$(base64 -w0 "$TMP/x.csr")", signerName: weft.dev/workload, usages: [digital signature, server auth, client auth]}
END
fate() { api "$CSRS/$1" | jq -r '.status.conditions[0] | "\(.type) \(.message)"'; }
is_fate() { [ "$(fate "$1")" = "$2" ]; }
wait_until 30 is_fate stranger "Denied it is not asked for by an agent's account"
row "a stranger's request" "$(fate stranger)" "Denied it is not asked for by an agent's account"
row "an agent's account and other Secrets" "$(for verb in create get list update delete; do
	kube auth can-i "$verb" secrets -n weft-system --as system:serviceaccount:weft-system:weft 2>/dev/null || true
done | xargs)" "no no no no no"
row "a pod's account and the CA" "$(kube auth can-i get secrets/weft-ca -n weft-system --as system:serviceaccount:shop:cart 2>/dev/null || true)" no

# ---- the one that signs dies ----

row "who signs" "$(api apis/coordination.k8s.io/v1/namespaces/weft-system/leases/weft-ca | jq -r .spec.holderIdentity)" node-a
kill -9 "$first"
wait "$first" 2>/dev/null || true
echo "node-c $SHOP" >>"$TMP/pods"
agent c node-c "$SHOP"
third=$AGENT
wait_until 90 says c "$SHOP ok"
written c
row "another one signs, by the same CA" "$(verifies c a)" OK

# ---- another CA, at once ----

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=second" -addext keyUsage=critical,keyCertSign \
	-keyout "$TMP/second.key" -out "$TMP/second.crt" 2>/dev/null
kube -n weft-system delete secret weft-ca >/dev/null
kube -n weft-system create secret generic weft-ca --from-file=ca.crt="$TMP/second.crt" --from-file=ca.key="$TMP/second.key" \
	--from-file=root-cert.pem="$TMP/second.crt" >/dev/null
roots() { api api/v1/namespaces/weft-system/configmaps/weft-ca-root | jq -r '.data["root-cert.pem"]' | grep -c BEGIN; }
are_roots() { [ "$(roots)" = "$1" ]; }
wait_until 60 are_roots 2
row "another CA: both roots are told" "$(roots)" 2
written c
row "what the first one signed is believed" "$(verifies c c)" OK
is_of_second() {
	written c
	openssl x509 -in "$TMP/c.crt" -noout -issuer | grep -q second
}
wait_until 180 is_of_second
row "certificates are renewed by the new one" "$(openssl verify -CAfile "$TMP/second.crt" "$TMP/c.crt" 2>&1 | sed 's/.*: //')" OK

# ---- one that can't sign ----

# secret CERTIFICATE KEY: takes the other one's place
secret() {
	kube -n weft-system create secret generic weft-ca --from-file=ca.crt="$1" --from-file=ca.key="$2" --from-file=root-cert.pem="$1" \
		--dry-run=client -o yaml | kube apply --server-side --force-conflicts -f - >/dev/null
}
kill -9 "$unbound" "$second" "$third"
wait "$unbound" "$second" "$third" 2>/dev/null || true
secret "$TMP/second.crt" "$TMP/x.key"
cp "$TMP/a.config" "$TMP/d.config"
cp "$TMP/b.config" "$TMP/e.config"
agent d node-a "$SHOP"
wait_until 120 grep -q "it is left to others" "$TMP/d.log"
sleep 11 # until it holds it no more
secret "$TMP/second.crt" "$TMP/second.key"
agent e node-b "$BANK"
wait_until 120 says d "$SHOP ok"
row "a holder that can't sign leaves it to another one" "$(api apis/coordination.k8s.io/v1/namespaces/weft-system/leases/weft-ca |
	jq -r .spec.holderIdentity)" node-b
row "and asks once all the same" "$(api $CSRS | jq '[.items[] | select(.spec.extra["authentication.kubernetes.io/node-name"][0] == "node-a")] | length')" 2
rows_end
