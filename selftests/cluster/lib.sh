# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every test on a real cluster stands on. Kubernetes' own programs run in two nodes, each of which is network, mount, PID and
# cgroup namespaces: what is attached at a node's cgroup root or pinned in its bpffs touches nothing outside. Everything is
# gone when the test ends, whichever way it does.
#
#   . "${0%/*}/lib.sh"
#   weft_images 1; cluster_up; kube_proxy_start node-a=nftables; weft_install; apps_up
#   rules tcp-echo/20-v2
#   exec_in sleep curl ...; on node-a COMMAND...; agent node-a status; in_ns world curl http://10.77.0.10:31380/
#
#   world    10.77.0.1, outside of the cluster; the nodes' default route    service N  10.96.0.N, if asked for
#   node-a   10.77.0.10, pods 10.244.10.0/24, control plane
#   node-b   10.77.0.11, pods 10.244.11.0/24
#
# Environment: TESTKUBE the binary; CNI bridge or ptp, on both nodes (bridge on node-a, ptp on node-b). There is no DNS: pods have
# `hostAliases`.

. "${BASH_SOURCE[0]%/*}/../net/lib.sh"
HERE=$ROOT/selftests/cluster
export TESTKUBE=${TESTKUBE:-$OUT/cluster/testkube} IMAGES=${IMAGES:-$OUT/cluster/images}
KUBECTL=$(type -P kubectl || echo "${TESTKUBE%/*}/kubectl")
ID=wc-$$
PAUSE=300
NODES=(node-a node-b)
declare -A NODE_NUMBER=([node-a]=10 [node-b]=11)
declare -A NODE_CNI=([node-a]=${CNI:-bridge} [node-b]=${CNI:-ptp})
declare -A NODE_PID=()    # process 1 of the node
declare -A UNSHARE_PID=() # the end of which is the end of the node
declare -A KUBE_PROXIES=() # process ids, by node

node_addr() { echo "10.77.0.${NODE_NUMBER[$1]}"; }

# node_cgroups NODE: its directory in each hierarchy
node_cgroups() {
	if is_cgroup2; then echo "/sys/fs/cgroup/$ID-$1"; else printf '%s\n' /sys/fs/cgroup/*/ | sed "s/\$/$ID-$1/"; fi
}
# Whether cgroup 2 has all controllers. Then a cgroup with cgroups below it has no processes of its own: the node's are in `init`.
is_cgroup2() { [ -e /sys/fs/cgroup/cgroup.controllers ]; }

# cgroup_join NODE PID
cgroup_join() {
	local dir
	for dir in $(node_cgroups "$1"); do
		[ ! -e "$dir/init" ] || dir+=/init
		echo "$2" >"$dir/cgroup.procs"
	done
}

# on NODE COMMAND...: in the node's namespaces, and in its cgroups, so that weft's programs see its sockets
on() { (on_exec "$@"); }
on_exec() {
	local node=$1
	shift
	cgroup_join "$node" "$BASHPID"
	exec nsenter -t "${NODE_PID[$node]}" -n -m -p -C env KUBECONFIG="$TMP/kubeconfig" "$@"
}

# on_kill SIGNAL PID: to what on_exec runs as PID, which is nsenter, whose child the command is
on_kill() {
	# shellcheck disable=SC2046 # process ids are meant
	kill "$1" $(cat "/proc/$2/task/$2/children" 2>/dev/null) 2>/dev/null || true
}

kubectl() { in_ns node-a env KUBECONFIG="$TMP/kubeconfig" "$KUBECTL" "$@"; }

# exec_in APP COMMAND...: in a pod of that Deployment
exec_in() { kubectl exec "deploy/$1" -- "${@:2}"; }

# ---- the cluster ----

# Process 1 of a node takes all others, the mounts and, when it is the last one in it, the network with it.
cluster_cleanup() {
	local status=$? node
	trap - EXIT ERR
	set +eu
	if [ "$status" -ne 0 ]; then
		tail -n 5 "$TMP"/*.log "$TMP"/node-*/*.log >&2
	fi
	for node in "${NODES[@]}"; do
		[ -z "${UNSHARE_PID[$node]:-}" ] || kill -9 "${UNSHARE_PID[$node]}"
	done
	exec 2>/dev/null
	for node in "${NODES[@]}"; do
		cgroups_down "$node"
	done
	for node in world "${NODES[@]}"; do
		ns_kill "$node"
		ip netns del "$(netns "$node")"
	done
	umount "$TMP/bpf"
	rm -rf --one-file-system "$TMP"
	exit "$status"
}

# cluster_tmp: in place of the net tests' tmp_up
cluster_tmp() {
	TMP=$(mktemp -d /tmp/weft-cluster.XXXXXX)
	export KUBECACHEDIR=$TMP/kubectl
	trap cluster_cleanup EXIT
	trap 'exit 143' TERM INT HUP
	chmod 755 "$TMP"
}

world_up() {
	ns_add world net/ipv4/ip_forward=1
	ip_in world <<-END
	link set lo up
	link add br0 type bridge
	link set br0 up
	address add 10.77.0.1/24 dev br0
	END
}

# A node's network: eth0 at the bridge in `world`, and the way to the other nodes' pods, as a routing CNI makes it.
node_net() {
	local node=$1 number=${NODE_NUMBER[$1]} other
	ns_add "$node"
	ip_in world <<-END
	link add up$number type veth peer name eth0 netns $(netns "$node")
	link set up$number master br0
	link set up$number up
	route replace 10.244.$number.0/24 via 10.77.0.$number
	END
	ip_in "$node" <<-END
	link set lo up
	address add 10.77.0.$number/24 dev eth0
	link set eth0 up
	route add default via 10.77.0.1
	END
	for other in "${NODES[@]}"; do
		[ "$other" = "$node" ] ||
			ip -n "$(netns "$node")" route add "10.244.${NODE_NUMBER[$other]}.0/24" via "$(node_addr "$other")"
	done
}

# cgroups_up NODE
cgroups_up() {
	local dir file
	for dir in $(node_cgroups "$1"); do
		mkdir "$dir"
		is_cgroup2 || for file in cpus mems; do
			[ ! -e "$dir/cpuset.$file" ] || cat "${dir%/*}/cpuset.$file" >"$dir/cpuset.$file"
		done
	done
	! is_cgroup2 || sed 's/[^ ]*/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
}

cgroups_down() {
	local dir
	for dir in $(node_cgroups "$1"); do
		for _ in $(seq 100); do # the kernel needs a moment for the last processes
			find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || true
			[ -e "$dir" ] || break
			sleep 0.1
		done
	done
}

# node_start NODE: the node's process 1, in cgroups of its own
node_start() {
	local node=$1
	cgroups_up "$node"
	mkdir -p "$TMP/$node"
	(
		cgroup_join "$node" "$BASHPID"
		exec setsid nsenter --net="/run/netns/$(netns "$node")" \
			env CNI="${NODE_CNI[$node]}" unshare --mount --pid --cgroup --fork --kill-child --mount-proc --propagation private \
			bash "$HERE/node" "$node" "${NODE_NUMBER[$node]}" "$TMP"
	) >"$TMP/$node/node.log" 2>&1 </dev/null &
	UNSHARE_PID[$node]=$!
}

node_pid() {
	wait_until 10 find_node_pid "$1"
	if is_cgroup2; then # out of the way of the node's controllers
		mkdir -p "$(node_cgroups "$1")/init"
		cgroup_join "$1" "${UNSHARE_PID[$1]}"
	fi
}

# What leads to it has children, too, before it becomes the one that has process 1.
find_node_pid() {
	NODE_PID[$1]=$(tr -d ' ' <"/proc/${UNSHARE_PID[$1]}/task/${UNSHARE_PID[$1]}/children")
	grep -q '^NSpid:.*[^0-9]1$' "/proc/${NODE_PID[$1]}/status"
}

node_is_up() {
	kill -0 "${UNSHARE_PID[$1]}" 2>/dev/null || fail "$1 has ended"
	[ -e "$TMP/$1/ready" ]
}

# node_ready NODE: what node_start has begun
node_ready() {
	node_pid "$1"
	wait_until 120 node_is_up "$1"
}

# node_stop NODE: as when its power fails. Its disk, $TMP/NODE, stays.
node_stop() {
	kill -9 "${UNSHARE_PID[$1]}"
	wait "${UNSHARE_PID[$1]}" 2>/dev/null || true
	UNSHARE_PID[$1]= # it may be another's by the end of the test
	cgroups_down "$1"
	ns_del "$1"
	wait_until 20 no_link "up${NODE_NUMBER[$1]}"
	rm -f "$TMP/$1/ready"
}
no_link() { ! ip -n "$(netns world)" link show "$1"; }

cluster_up() {
	local node
	cluster_tmp
	world_up
	for node in "${NODES[@]}"; do
		node_net "$node"
	done
	for node in "${NODES[@]}"; do
		node_start "$node"
	done
	for node in "${NODES[@]}"; do
		node_ready "$node"
	done
	wait_until 60 kubectl get "${NODES[@]/#/node/}"
	kubectl wait --for=condition=Ready "${NODES[@]/#/node/}" --timeout=60s >/dev/null
}

# ---- kube-proxy ----

# kube_proxy_start NODE=MODE...: nftables or iptables
kube_proxy_start() {
	local each node
	for each; do
		node=${each%=*}
		on_exec "$node" "$TESTKUBE" proxy --proxy-mode "${each#*=}" --kubeconfig "$TMP/kubeconfig" --hostname-override "$node" \
			--conntrack-max-per-core=0 --conntrack-min=0 --cluster-cidr 10.244.0.0/16 >"$TMP/$node/kube-proxy.log" 2>&1 </dev/null &
		KUBE_PROXIES[$node]=$!
	done
	for each; do
		wait_until 30 on "${each%=*}" curl -fs http://127.0.0.1:10256/healthz
	done
}

# kube_proxy_stop: and its rules
kube_proxy_stop() {
	local node
	for node in "${!KUBE_PROXIES[@]}"; do
		on_kill -9 "${KUBE_PROXIES[$node]}"
		wait "${KUBE_PROXIES[$node]}" 2>/dev/null || true
		on "$node" "$TESTKUBE" proxy --cleanup >"$TMP/$node/kube-proxy-cleanup.log" 2>&1
	done
	KUBE_PROXIES=()
}

# ---- applications ----

# Names and addresses of their Services, for the pods' /etc/hosts.
SERVICES=(productpage:21 details:22 reviews:23 ratings:24 httpbin:41 tcp-echo:51)

app_aliases() {
	local service
	for service in "${SERVICES[@]}"; do
		printf '{ip: 10.96.0.%s, hostnames: [%s]}, ' "${service#*:}" "${service%:*}"
	done
}

# app_deployment NODE NAME APP VERSION PORT|'' COMMAND...: one pod on that node, of the account $ACCOUNT if that is set; ready once its
# port takes connections
app_deployment() {
	local probe=
	[ -z "$5" ] || probe="readinessProbe: {tcpSocket: {port: $5}, periodSeconds: 1}"
	cat <<-END
	---
	apiVersion: apps/v1
	kind: Deployment
	metadata: {name: $2}
	spec:
	  selector: {matchLabels: {app: $3, version: $4}}
	  template:
	    metadata: {labels: {app: $3, version: $4}}
	    spec:
	      nodeSelector: {kubernetes.io/hostname: $1}
	      serviceAccountName: ${ACCOUNT:-default}
	      terminationGracePeriodSeconds: 1
	      hostAliases: [$(app_aliases)]
	      containers:
	      - name: main
	        image: weft.test/apps:1
	        imagePullPolicy: Never
	        command: [$(printf '"%s", ' "${@:6}")]
	        $probe
	END
}

# app_service NAME NUMBER PORT[:TARGET]...
app_service() {
	local port
	cat <<-END
	---
	apiVersion: v1
	kind: Service
	metadata: {name: $1, labels: {app: $1, service: $1}}
	spec:
	  clusterIP: 10.96.0.$2
	  selector: {app: $1}
	  ports:
	END
	for port in "${@:3}"; do
		echo "  - {name: ${PROTOCOL:-http}-${port%:*}, port: ${port%:*}, targetPort: ${port#*:}}"
	done
}

apps() {
	local role httpbin=(gunicorn --bind 0.0.0.0:80 --threads 16 --keep-alive 60 --access-logfile - --access-logformat
		'%(h)s %(m)s %(U)s %(q)s host=%({host}i)s' httpbin:app)
	app_deployment node-a sleep sleep v1 '' sleep 100000
	app_deployment node-b far-sleep far-sleep v1 '' sleep 100000
	app_deployment node-a tcp-echo-v1 tcp-echo v1 9000 tcp-echo 9000,9001,9002 one
	app_deployment node-b tcp-echo-v2 tcp-echo v2 9000 tcp-echo 9000,9001,9002 two
	PROTOCOL=tcp app_service tcp-echo 51 9000 9001
	for role in node-a:productpage:v1 node-b:details:v1 node-a:reviews:v1 node-b:reviews:v2 node-a:reviews:v3 node-b:ratings:v1; do
		IFS=: read -r node app version <<<"$role"
		role=$app
		[ "$app" != reviews ] || role=$app-$version
		app_deployment "$node" "$app-$version" "$app" "$version" 9080 python3 /usr/local/bin/bookinfo.py "$role"
	done
	app_service productpage 21 9080
	app_service details 22 9080
	app_service reviews 23 9080
	app_service ratings 24 9080
	app_deployment node-a httpbin-v1 httpbin v1 80 python3 -m "${httpbin[@]}"
	app_deployment node-b httpbin-v2 httpbin v2 80 python3 -m "${httpbin[@]}"
	app_service httpbin 41 8000:80
}

# apps_up: all of them are ready when it returns
apps_up() {
	wait_until 20 kubectl get serviceaccount default
	apps | kubectl apply -f - >/dev/null
	kubectl wait --for=condition=Available deployment --all --timeout=120s >/dev/null
}

# ---- weft ----

# Of every installation here.
WEFT_VALUES=(image=weft.test/weft:1 imagePullPolicy=Never
	gateways.istio-ingressgateway.{type=NodePort,nodePorts.http2=31380,nodePorts.tcp=30514})
# Of one without kube-proxy.
WEFT_ALONE=(kubernetes.host=10.77.0.10 kubernetes.port=16443)

# weft_images TAG...: of what is built, beside those of the applications; before cluster_up
weft_images() {
	local tag
	APP_IMAGES=$IMAGES
	IMAGES=$OUT/cluster/images-${0##*/}
	rm -rf "$IMAGES"
	mkdir -p "$IMAGES"
	ln -s "$APP_IMAGES"/*.tar "$IMAGES/"
	for tag; do
		IMAGE_NAME=weft.test/weft "$ROOT/packaging/image" "$OUT" "$tag" "$IMAGES/weft-$tag.tar" >/dev/null
	done
}

# image_with_other_proxy: the agent's image as weft.test/weft:3, with a weft-proxy that has bytes of its own: what stripping leaves.
image_with_other_proxy() {
	local dir=$IMAGES/other
	mkdir "$dir"
	cp "$OUT/weftd" "$OUT/weft" "$dir/"
	objcopy --add-section other=<(echo other) "$OUT/weft-proxy" "$dir/weft-proxy"
	IMAGE_NAME=weft.test/weft "$ROOT/packaging/image" "$dir" 3 "$IMAGES/weft-3.tar" >/dev/null
	rm -r "$dir"
}

# weft_manifest VERB [VALUE...]: `weft manifest`, as an administrator of the cluster
weft_manifest() {
	local each=("${WEFT_VALUES[@]}" "${@:2}")
	weft_admin manifest "$1" "${each[@]/#/--set=}"
}
weft_admin() { in_ns node-a env KUBECONFIG="$TMP/kubeconfig" "$OUT/weft" "$@"; }

# weft_install [VALUE...]: every node has an agent when it returns
weft_install() { weft_manifest apply "$@"; }

# agent NODE COMMAND...: weft, in that node's agent
agent() { kubectl -n weft-system exec "$(agent_on "$1")" -- weft "${@:2}"; }
agent_on() { kubectl -n weft-system get pods -l app=weft --field-selector "spec.nodeName=$1" -o 'jsonpath={.items[0].metadata.name}'; }

# live: what the API server has is in force on every node
live() {
	local node
	for node in "${NODES[@]}"; do
		agent "$node" wait >/dev/null
	done
}

# rules FILE...: of yaml-rules, by kubectl
rules() {
	local file args=()
	for file; do
		args+=(-f "$ROOT/yaml-rules/$file.yaml")
	done
	kubectl apply "${args[@]}" >/dev/null
	live
}

# rules_delete KIND[,KIND]...: all of these
rules_delete() {
	kubectl delete "$1" --all --wait=false >/dev/null
	live
}

# left_on NODE: kinds of what is there of weft, a word each
left_on() {
	local cgroup
	cgroup=$(on "$1" awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -z "$(on "$1" find /sys/fs/bpf -mindepth 1 ! -name '*.debug')" ] || echo pins
	[ -z "$(on "$1" bpftool cgroup show "$cgroup")" ] || echo cgroup-programs
	! on "$1" tc qdisc show | grep clsact >/dev/null || echo qdiscs # links at interfaces end with their pins
	! on "$1" ip rule | grep 0x570000 >/dev/null || echo rules
	! on "$1" nft list tables | grep 'inet weft' >/dev/null || echo nftables
	! on "$1" pgrep weft >/dev/null || echo processes
	! on "$1" find /sys/fs/cgroup -maxdepth 2 -name weft-proxy | grep . >/dev/null || echo cgroups
	! on "$1" ls -d /run/weft /var/lib/weft >/dev/null 2>&1 || echo directories
}

# What left_on says of a node with an agent.
LEFT_ALL="pins cgroup-programs rules nftables processes cgroups directories"
