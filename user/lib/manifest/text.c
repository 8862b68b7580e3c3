// SPDX-License-Identifier: Apache-2.0
#include "lib/manifest/text.h"

/* clang-format off */

const char manifest_labels[] =
	"    app.kubernetes.io/name: weft\n"
	"    app.kubernetes.io/managed-by: weft\n";

const char manifest_namespaces[] =
	"# weft, a service mesh without sidecars: all that it needs in a cluster.\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: Namespace\n"
	"metadata:\n"
	"  name: weft-system\n"
	"  labels:\n"
	"${labels}    # The agents are on their node's network and load programs into its kernel.\n"
	"    pod-security.kubernetes.io/enforce: privileged\n"
	"---\n"
	"# Where Istio's users look for the gateway's Service.\n"
	"apiVersion: v1\n"
	"kind: Namespace\n"
	"metadata:\n"
	"  name: istio-system\n"
	"  labels:\n"
	"${labels}";

const char manifest_crd_comment[] =
	"# Istio's kinds, as far as weft carries them out (all versions have the same fields), and weft's own.\n";

const char manifest_rights[] =
	"---\n"
	"apiVersion: v1\n"
	"kind: ServiceAccount\n"
	"metadata:\n"
	"  name: weft\n"
	"  namespace: weft-system\n"
	"  labels:\n"
	"${labels}---\n"
	"apiVersion: rbac.authorization.k8s.io/v1\n"
	"kind: ClusterRole\n"
	"metadata:\n"
	"  name: weft\n"
	"  labels:\n"
	"${labels}rules:\n"
	"# What agents decide by.\n"
	"- apiGroups: [\"\"]\n"
	"  resources: [namespaces, pods, services]\n"
	"  verbs: [get, list, watch]\n"
	"- apiGroups: [discovery.k8s.io]\n"
	"  resources: [endpointslices]\n"
	"  verbs: [get, list, watch]\n"
	"- apiGroups: [networking.istio.io]\n"
	"  resources: [virtualservices, destinationrules, gateways, serviceentries, workloadentries]\n"
	"  verbs: [get, list, watch]\n"
	"- apiGroups: [networking.k8s.io]\n"
	"  resources: [networkpolicies]\n"
	"  verbs: [get, list, watch]\n"
	"- apiGroups: [weft.dev]\n"
	"  resources: [connectionpolicies]\n"
	"  verbs: [get, list, watch]\n"
	"- apiGroups: [security.istio.io]\n"
	"  resources: [authorizationpolicies, peerauthentications]\n"
	"  verbs: [get, list, watch]\n"
	"- apiGroups: [telemetry.istio.io]\n"
	"  resources: [telemetries]\n"
	"  verbs: [get, list, watch]\n"
	"# What weft does not carry out, and says so if there is any.\n"
	"- apiGroups: [networking.istio.io]\n"
	"  resources: [sidecars]\n"
	"  verbs: [get, list, watch]\n"
	"- apiGroups: [security.istio.io]\n"
	"  resources: [requestauthentications]\n"
	"  verbs: [get, list, watch]\n"
	"# What is wrong with a rule is told where users look.\n"
	"- apiGroups: [networking.istio.io]\n"
	"  resources: [virtualservices/status, destinationrules/status, gateways/status, "
	"serviceentries/status, workloadentries/status, sidecars/status]\n"
	"  verbs: [patch]\n"
	"- apiGroups: [weft.dev]\n"
	"  resources: [connectionpolicies/status]\n"
	"  verbs: [patch]\n"
	"- apiGroups: [security.istio.io]\n"
	"  resources: [authorizationpolicies/status, peerauthentications/status, "
	"requestauthentications/status]\n"
	"  verbs: [patch]\n"
	"- apiGroups: [telemetry.istio.io]\n"
	"  resources: [telemetries/status]\n"
	"  verbs: [patch]\n"
	"- apiGroups: [\"\"]\n"
	"  resources: [events]\n"
	"  verbs: [create]\n"
	"# Certificates of workloads, for mutual TLS: every agent asks, one approves and signs. The API server says which node asks.\n"
	"- apiGroups: [certificates.k8s.io]\n"
	"  resources: [certificatesigningrequests]\n"
	"  verbs: [create, get, list, watch]\n"
	"- apiGroups: [certificates.k8s.io]\n"
	"  resources: [certificatesigningrequests/approval, certificatesigningrequests/status]\n"
	"  verbs: [patch]\n"
	"- apiGroups: [certificates.k8s.io]\n"
	"  resources: [signers]\n"
	"  resourceNames: [weft.dev/workload]\n"
	"  verbs: [approve, sign]\n"
	"---\n"
	"apiVersion: rbac.authorization.k8s.io/v1\n"
	"kind: ClusterRoleBinding\n"
	"metadata:\n"
	"  name: weft\n"
	"  labels:\n"
	"${labels}roleRef:\n"
	"  apiGroup: rbac.authorization.k8s.io\n"
	"  kind: ClusterRole\n"
	"  name: weft\n"
	"subjects:\n"
	"- kind: ServiceAccount\n"
	"  name: weft\n"
	"  namespace: weft-system\n"
	"---\n"
	"apiVersion: rbac.authorization.k8s.io/v1\n"
	"kind: Role\n"
	"metadata:\n"
	"  name: weft\n"
	"  namespace: weft-system\n"
	"  labels:\n"
	"${labels}rules:\n"
	"# An agent leaves its node when its DaemonSet is deleted, and stays for an upgrade.\n"
	"- apiGroups: [apps]\n"
	"  resources: [daemonsets]\n"
	"  resourceNames: [weft]\n"
	"  verbs: [get, list, watch]\n"
	"# Which agent writes what only one may write.\n"
	"- apiGroups: [coordination.k8s.io]\n"
	"  resources: [leases]\n"
	"  verbs: [create]\n"
	"- apiGroups: [coordination.k8s.io]\n"
	"  resources: [leases]\n"
	"  resourceNames: [weft, weft-ca]\n"
	"  verbs: [get, update]\n"
	"# The CA of workloads' certificates: its key, for the agent that signs, and the roots, for all. Both objects are below: no\n"
	"# agent may make others.\n"
	"- apiGroups: [\"\"]\n"
	"  resources: [secrets]\n"
	"  resourceNames: [weft-ca]\n"
	"  verbs: [get, update]\n"
	"- apiGroups: [\"\"]\n"
	"  resources: [configmaps]\n"
	"  resourceNames: [weft-ca-root]\n"
	"  verbs: [get, list, watch, update]\n"
	"---\n"
	"apiVersion: rbac.authorization.k8s.io/v1\n"
	"kind: RoleBinding\n"
	"metadata:\n"
	"  name: weft\n"
	"  namespace: weft-system\n"
	"  labels:\n"
	"${labels}roleRef:\n"
	"  apiGroup: rbac.authorization.k8s.io\n"
	"  kind: Role\n"
	"  name: weft\n"
	"subjects:\n"
	"- kind: ServiceAccount\n"
	"  name: weft\n"
	"  namespace: weft-system\n"
	"---\n"
	"# Filled by the first agent that signs, unless a CA has been put there.\n"
	"apiVersion: v1\n"
	"kind: Secret\n"
	"metadata:\n"
	"  name: weft-ca\n"
	"  namespace: weft-system\n"
	"  labels:\n"
	"${labels}---\n"
	"apiVersion: v1\n"
	"kind: ConfigMap\n"
	"metadata:\n"
	"  name: weft-ca-root\n"
	"  namespace: weft-system\n"
	"  labels:\n"
	"${labels}---\n"
	"# Certificates of Gateways (credentialName) are where the gateway's Service is.\n"
	"apiVersion: rbac.authorization.k8s.io/v1\n"
	"kind: Role\n"
	"metadata:\n"
	"  name: weft\n"
	"  namespace: istio-system\n"
	"  labels:\n"
	"${labels}rules:\n"
	"- apiGroups: [\"\"]\n"
	"  resources: [secrets]\n"
	"  verbs: [get, list, watch]\n"
	"---\n"
	"apiVersion: rbac.authorization.k8s.io/v1\n"
	"kind: RoleBinding\n"
	"metadata:\n"
	"  name: weft\n"
	"  namespace: istio-system\n"
	"  labels:\n"
	"${labels}roleRef:\n"
	"  apiGroup: rbac.authorization.k8s.io\n"
	"  kind: Role\n"
	"  name: weft\n"
	"subjects:\n"
	"- kind: ServiceAccount\n"
	"  name: weft\n"
	"  namespace: weft-system\n";

const char manifest_daemon_set[] =
	"---\n"
	"# The agent, one on each node.\n"
	"apiVersion: apps/v1\n"
	"kind: DaemonSet\n"
	"metadata:\n"
	"  name: weft\n"
	"  namespace: weft-system\n"
	"  labels:\n"
	"${labels}    app.kubernetes.io/version: \"${version}\"\n"
	"    app: weft\n"
	"spec:\n"
	"  selector:\n"
	"    matchLabels:\n"
	"      app: weft\n"
	"  updateStrategy:\n"
	"    type: RollingUpdate\n"
	"    rollingUpdate:\n"
	"      maxUnavailable: ${updateStrategy.maxUnavailable}\n"
	"  template:\n"
	"    metadata:\n"
	"      labels:\n"
	"        app: weft\n"
	"        # Gateways that select Istio's ingress gateway are served by the agents, each on its node.\n"
	"        istio: ingressgateway\n"
	"        app.kubernetes.io/name: weft\n"
	"      annotations:\n"
	"        prometheus.io/scrape: \"true\"\n"
	"        prometheus.io/port: \"${metrics.port}\"\n"
	"        prometheus.io/path: /metrics\n"
	"    spec:\n"
	"      serviceAccountName: weft\n"
	"      priorityClassName: system-node-critical\n"
	"      hostNetwork: true\n"
	"      hostPID: true # weft-proxy outlives the agent's container; pods are found by their processes\n"
	"      dnsPolicy: Default # the cluster's DNS may be a Service that weft serves; see the value dns\n"
	"      terminationGracePeriodSeconds: 30 # weft-proxy outlives the container, and drains by itself\n"
	"      nodeSelector:\n"
	"        kubernetes.io/os: linux\n"
	"      tolerations:\n"
	"      - operator: Exists\n";

const char manifest_pull_secret[] =
	"      imagePullSecrets:\n"
	"      - name: \"${imagePullSecret}\"\n";

const char manifest_container[] =
	"      containers:\n"
	"      - name: weft\n"
	"        image: \"${image}\"\n"
	"        imagePullPolicy: ${imagePullPolicy}\n"
	"        args:\n"
	"        - --source\n"
	"        - kubernetes\n"
	"        - --node-name\n"
	"        - $(NODE_NAME)\n"
	"        - --daemonset\n"
	"        - weft-system/weft\n"
	"        - --enrol\n"
	"        - ${enrol}\n"
	"        - --outbound-traffic-policy\n"
	"        - ${meshConfig.outboundTrafficPolicy.mode}\n"
	"        - --run-dir\n"
	"        - /run/weft\n"
	"        - --state-dir\n"
	"        - /var/lib/weft\n"
	"        - --bpffs\n"
	"        - /sys/fs/bpf/weft\n"
	"        - --health\n"
	"        - 127.0.0.1:15022\n"
	"        - --metrics\n"
	"        - :${metrics.port}\n"
	"        - --log-level\n"
	"        - ${logLevel}\n"
	"        - --drain-time\n"
	"        - \"${meshConfig.defaultConfig.drainDuration}\"\n"
	"        - --workload-cert-ttl\n"
	"        - \"${workloadCertTTL}\"\n"
	"        - --tracing-sampling\n"
	"        - \"${meshConfig.defaultConfig.tracing.sampling}\"\n";

const char manifest_tracing_endpoint[] =
	"        - --tracing-endpoint\n"
	"        - \"${tracing.endpoint}\"\n";

const char manifest_tracing_addon[] =
	"        - --tracing-endpoint\n"
	"        - http://jaeger-collector.istio-system.svc.cluster.local:4318/v1/traces\n";

const char manifest_workers[] =
	"        - --workers\n"
	"        - \"${workers}\"\n";

const char manifest_dns[] =
	"        - --dns\n"
	"        - \"${dns}\"\n";

const char manifest_dashboard[] =
	"        - --dashboard\n"
	"        - 127.0.0.1:15021\n";

const char manifest_nic[] =
	"        - --nic\n"
	"        - \"${nic}\"\n";

const char manifest_environment[] =
	"        ports:\n"
	"        - {name: metrics, containerPort: ${metrics.port}}\n"
	"        env:\n"
	"        - name: NODE_NAME\n"
	"          valueFrom:\n"
	"            fieldRef:\n"
	"              fieldPath: spec.nodeName\n";

const char manifest_kubernetes_host[] =
	"        - name: KUBERNETES_SERVICE_HOST # not by its Service, which weft may have to serve itself\n"
	"          value: \"${kubernetes.host}\"\n"
	"        - name: KUBERNETES_SERVICE_PORT\n";

const char manifest_kubernetes_port[] =
	"          value: \"${kubernetes.port}\"\n";

const char manifest_kubernetes_default_port[] =
	"          value: \"6443\"\n";

const char manifest_probes[] =
	"        startupProbe: # two minutes, for large clusters\n"
	"          httpGet: {host: 127.0.0.1, port: 15022, path: /healthz}\n"
	"          periodSeconds: 1\n"
	"          failureThreshold: 120\n"
	"        readinessProbe:\n"
	"          httpGet: {host: 127.0.0.1, port: 15022, path: /readyz}\n"
	"          periodSeconds: 2\n"
	"          timeoutSeconds: 2\n"
	"        livenessProbe:\n"
	"          httpGet: {host: 127.0.0.1, port: 15022, path: /healthz}\n"
	"          periodSeconds: 10\n"
	"          timeoutSeconds: 5\n"
	"          failureThreshold: 6\n";

const char manifest_privileged[] =
	"        securityContext:\n"
	"          privileged: true\n";

const char manifest_capabilities[] =
	"        securityContext:\n"
	"          privileged: false\n"
	"          appArmorProfile: {type: Unconfined} # containerd's own denies writing below /sys/fs\n"
	"          capabilities:\n"
	"            drop: [ALL]\n"
	"            add:\n"
	"            - SYS_ADMIN     # programs and maps, cgroups, other network namespaces\n"
	"            - NET_ADMIN     # tc, routes, TPROXY\n"
	"            - NET_RAW       # weft-proxy speaks from its clients' addresses\n"
	"            - NET_BROADCAST # news of other network namespaces\n"
	"            - SYS_PTRACE    # whose network namespace is whose\n"
	"            - KILL          # of weft-proxy, which is another user's\n"
	"            - SETUID        # these four: weft-proxy's sandbox\n"
	"            - SETGID\n"
	"            - SETPCAP\n"
	"            - SYS_CHROOT\n";

const char manifest_requests[] =
	"        resources:\n"
	"          requests:\n"
	"            cpu: ${resources.requests.cpu}\n"
	"            memory: ${resources.requests.memory}\n";

const char manifest_limit_cpu[] =
	"            cpu: ${resources.limits.cpu}\n";

const char manifest_limit_memory[] =
	"            memory: ${resources.limits.memory}\n";

const char manifest_volumes[] =
	"        volumeMounts:\n"
	"        - {name: run, mountPath: /run/weft}\n"
	"        - {name: state, mountPath: /var/lib/weft}\n"
	"        - {name: bpf, mountPath: /sys/fs/bpf}\n"
	"        - {name: cgroup, mountPath: /sys/fs/cgroup}\n"
	"      volumes:\n"
	"      - name: run\n"
	"        hostPath: {path: /run/weft, type: DirectoryOrCreate}\n"
	"      - name: state # the rules as last known, for when the API server is away\n"
	"        hostPath: {path: /var/lib/weft, type: DirectoryOrCreate}\n"
	"      - name: bpf # what is pinned here goes on while the agent is replaced\n"
	"        hostPath: {path: /sys/fs/bpf, type: Directory}\n"
	"      - name: cgroup\n"
	"        hostPath: {path: /sys/fs/cgroup, type: Directory}\n";

const char manifest_gateway[] =
	"---\n"
	"# The way in from outside. The agents serve its NodePorts themselves, each on its node: the selector says which Gateways\n"
	"# they serve by it, and finds no pods in this namespace, so that nothing else sends its connections anywhere.\n"
	"apiVersion: v1\n"
	"kind: Service\n"
	"metadata:\n"
	"  name: istio-ingressgateway\n"
	"  namespace: istio-system\n"
	"  labels:\n"
	"${labels}    app: istio-ingressgateway\n"
	"    istio: ingressgateway\n"
	"spec:\n"
	"  type: ${gateways.istio-ingressgateway.type}\n"
	"  selector:\n"
	"    istio: ingressgateway\n"
	"  ports:\n";

const char manifest_port_http2[] =
	"  - name: http2\n"
	"    port: 80\n"
	"    targetPort: 80\n"
	"    protocol: TCP\n";

const char manifest_node_port_http2[] =
	"    nodePort: ${gateways.istio-ingressgateway.nodePorts.http2}\n";

const char manifest_port_https[] =
	"  - name: https\n"
	"    port: 443\n"
	"    targetPort: 443\n"
	"    protocol: TCP\n";

const char manifest_node_port_https[] =
	"    nodePort: ${gateways.istio-ingressgateway.nodePorts.https}\n";

const char manifest_port_tcp[] =
	"  - name: tcp\n"
	"    port: 31400\n"
	"    targetPort: 31400\n"
	"    protocol: TCP\n";

const char manifest_node_port_tcp[] =
	"    nodePort: ${gateways.istio-ingressgateway.nodePorts.tcp}\n";

const char manifest_pod_monitor[] =
	"---\n"
	"# Where the Prometheus operator's Prometheus finds the agents.\n"
	"apiVersion: monitoring.coreos.com/v1\n"
	"kind: PodMonitor\n"
	"metadata:\n"
	"  name: weft\n"
	"  namespace: weft-system\n"
	"  labels:\n"
	"${labels}spec:\n"
	"  selector:\n"
	"    matchLabels:\n"
	"      app: weft\n"
	"  podTargetLabels: [app]\n"
	"  podMetricsEndpoints:\n"
	"  - port: metrics\n"
	"    path: /metrics\n"
	"    interval: 15s\n"
	"    relabelings:\n"
	"    - sourceLabels: [__meta_kubernetes_pod_node_name]\n"
	"      targetLabel: node\n";
