# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A control plane of Kubernetes, part by part: `apiserver.sh` runs it alone, selftests/cluster beside kubelets.
#
# It is in $KUBE_DIR: ca.crt, admin.token, kubeconfig, and PART.log of each part. $TESTKUBE is the binary. KUBE_IN is a command
# that runs another one where the parts are: in a network namespace.

ETCD_PORT=${ETCD_PORT:-12379}
API_PORT=${API_PORT:-16443}
# kubectl: the machine's, or else what is built beside testkube
KUBECTL=$(type -P kubectl || echo "${TESTKUBE%/*}/kubectl")

[ -n "${KUBE_IN+there}" ] || KUBE_IN=()

# kube_start PART COMMAND...: in the background, process id in $STARTED. A fifth of its start would be the collection of garbage.
kube_start() {
	local part=$1
	shift
	GOGC=400 "${KUBE_IN[@]}" setsid "$@" >>"$KUBE_DIR/$part.log" 2>&1 </dev/null &
	STARTED=$!
}

# kube_wait WHAT COMMAND...: until COMMAND succeeds, for 120 s at least or until $STARTED ends
kube_wait() {
	local what=$1 try
	shift
	for ((try = 0; try < 1200; try++)); do
		"$@" >/dev/null 2>&1 && return
		kill -0 "$STARTED" 2>/dev/null || break
		sleep 0.1
	done
	echo "$what did not come up" >&2
	return 1
}

# kube_cert NAME SUBJECT EXTENSION: a certificate of the cluster's authority
kube_cert() {
	local pki=$KUBE_DIR/pki
	openssl req "${KUBE_EC[@]}" -subj "$2" -keyout "$pki/$1.key" -out "$pki/$1.csr"
	openssl x509 -req -in "$pki/$1.csr" -CA "$KUBE_DIR/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 30 \
		-out "$pki/$1.crt" -extfile <(echo "$3")
}
KUBE_EC=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)

# kube_keys NAMES: the authority, the API server's certificate for these names (subjectAltName), the administrator's token
kube_keys() {
	local pki=$KUBE_DIR/pki
	[ ! -f "$pki/tokens.csv" ] || return 0
	mkdir -p "$pki"
	{
		openssl req -x509 "${KUBE_EC[@]}" -days 30 -subj /CN=testkube-ca -keyout "$pki/ca.key" -out "$KUBE_DIR/ca.crt"
		kube_cert api /CN=kube-apiserver "subjectAltName=$1"
		kube_cert api-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client extendedKeyUsage=clientAuth
		openssl ecparam -name prime256v1 -genkey -noout -out "$pki/sa.key"
	} 2>"$pki/openssl.log"
	openssl rand -hex 16 >"$KUBE_DIR/admin.token"
	echo "$(<"$KUBE_DIR/admin.token"),admin,admin,system:masters" >"$pki/tokens.csv"
}

# kube_config URL: the administrator's
kube_config() {
	echo "$1" >"$KUBE_DIR/url"
	cat >"$KUBE_DIR/kubeconfig" <<-END
	apiVersion: v1
	kind: Config
	clusters: [{name: t, cluster: {server: "$1", certificate-authority: "$KUBE_DIR/ca.crt"}}]
	users: [{name: admin, user: {token: "$(<"$KUBE_DIR/admin.token")"}}]
	contexts: [{name: t, context: {cluster: t, user: admin}}]
	current-context: t
	END
}

kube_etcd() {
	kube_start etcd "$TESTKUBE" etcd "$KUBE_DIR/etcd" "$ETCD_PORT"
	kube_wait etcd "${KUBE_IN[@]}" curl -fs "http://127.0.0.1:$ETCD_PORT/health"
}

# kube_apiserver BIND ADVERTISE [FLAG...]: both addresses
kube_apiserver() {
	local pki=$KUBE_DIR/pki
	# shellcheck disable=SC2086 # APISERVER_FLAGS are words
	kube_start apiserver "$TESTKUBE" apiserver --etcd-servers "http://127.0.0.1:$ETCD_PORT" \
		--bind-address "$1" --advertise-address "$2" --secure-port "$API_PORT" --service-cluster-ip-range 10.96.0.0/16 \
		--tls-cert-file "$pki/api.crt" --tls-private-key-file "$pki/api.key" --cert-dir "$pki" \
		--authorization-mode RBAC --anonymous-auth=false --token-auth-file "$pki/tokens.csv" \
		--service-account-issuer https://kubernetes.default.svc --allow-privileged \
		--service-account-signing-key-file "$pki/sa.key" --service-account-key-file "$pki/sa.key" \
		--enable-priority-and-fairness=false --profiling=false "${@:3}" ${APISERVER_FLAGS:-}
}

kube_apiserver_ready() {
	kube_wait apiserver "${KUBE_IN[@]}" curl -fs --cacert "$KUBE_DIR/ca.crt" -H "Authorization: Bearer $(<"$KUBE_DIR/admin.token")" \
		"https://127.0.0.1:$API_PORT/readyz"
}

kube_controllers() { kube_start controllers "$TESTKUBE" controllers "$KUBE_DIR/kubeconfig" "$KUBE_DIR/ca.crt"; }
