// SPDX-License-Identifier: Apache-2.0
// testkube is Kubernetes' own programs in one, for clusters of tests on one machine:
//
//	testkube etcd DIR PORT                one etcd, plain HTTP on 127.0.0.1
//	testkube apiserver|kubelet|scheduler|proxy FLAGS...   the real ones, with their usual flags
//	testkube controllers KUBECONFIG CA    the controllers that a node and a watcher need
package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/component-base/cli"
	"k8s.io/controller-manager/pkg/informerfactory"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/daemon"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/nodelifecycle"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

func main() {
	args := append(os.Args[1:], "")
	ctx := context.Background()
	parts := map[string]func() *cobra.Command{
		"apiserver": apiserver.NewAPIServerCommand,
		"kubelet":   func() *cobra.Command { return kubelet.NewKubeletCommand(ctx) },
		"scheduler": func() *cobra.Command { return scheduler.NewSchedulerCommand() },
		"proxy":     proxy.NewProxyCommand,
	}
	if part := parts[args[0]]; part != nil {
		cmd := part()
		os.Args = append([]string{args[0]}, os.Args[2:]...) // the kubelet parses its flags itself
		cmd.SetArgs(os.Args[1:])
		os.Exit(cli.Run(cmd))
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := errors.New("usage: testkube etcd DIR PORT | controllers KUBECONFIG CA | apiserver|kubelet|scheduler|proxy FLAGS...")
	switch {
	case args[0] == "etcd" && len(os.Args) == 4:
		err = etcd(ctx, args[1], args[2])
	case args[0] == "controllers" && len(os.Args) == 4:
		err = controllers(ctx, args[1], args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testkube:", err)
		os.Exit(1)
	}
}

func etcd(ctx context.Context, dir, port string) error {
	serve := url.URL{Scheme: "http", Host: "127.0.0.1:" + port}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"} // the one member has no peers
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.UnsafeNoFsync = dir, "error", true
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{serve}, []url.URL{serve}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-e.Err():
		return err
	}
}

func controllers(ctx context.Context, kubeconfig, ca string) error {
	root, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	cfg.QPS, cfg.Burst = 200, 400
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	meta, err := metadata.NewForConfig(cfg)
	if err != nil {
		return err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))

	typed := informers.NewSharedInformerFactory(client, 0)
	metas := metadatainformer.NewSharedInformerFactory(meta, 0)
	core, apps := typed.Core().V1(), typed.Apps().V1()
	started := make(chan struct{})

	slices := endpointslice.NewController(ctx, core.Pods(), core.Services(), core.Nodes(),
		typed.Discovery().V1().EndpointSlices(), 100, client, 0)
	spaces := namespace.NewNamespaceController(ctx, client, meta, disco.ServerPreferredNamespacedResources,
		core.Namespaces(), 5*time.Minute, v1.FinalizerKubernetes)
	accounts, err := serviceaccount.NewServiceAccountsController(core.ServiceAccounts(), core.Namespaces(),
		client, serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return err
	}
	gc, err := garbagecollector.NewGarbageCollector(ctx, client, meta, mapper,
		garbagecollector.DefaultIgnoredResources(),
		informerfactory.NewInformerFactory(typed, metas), started)
	if err != nil {
		return err
	}
	// These five are for the node: a pod mounts the root certificate, and an
	// untolerated not-ready taint stays without the node's own controller.
	roots, err := rootcacertpublisher.NewPublisher(core.ConfigMaps(), core.Namespaces(), client, root)
	if err != nil {
		return err
	}
	nodes, err := nodelifecycle.NewNodeLifecycleController(ctx, typed.Coordination().V1().Leases(), core.Pods(),
		core.Nodes(), apps.DaemonSets(), client, time.Second, time.Minute, 50*time.Second, 0.1, 0.01, 50, 0.55)
	if err != nil {
		return err
	}
	daemons, err := daemon.NewDaemonSetsController(ctx, apps.DaemonSets(), apps.ControllerRevisions(), core.Pods(),
		core.Nodes(), client, flowcontrol.NewBackOff(time.Second, 15*time.Minute))
	if err != nil {
		return err
	}
	deployments, err := deployment.NewDeploymentController(ctx, apps.Deployments(), apps.ReplicaSets(), core.Pods(), client)
	if err != nil {
		return err
	}
	replicas := replicaset.NewReplicaSetController(ctx, apps.ReplicaSets(), core.Pods(), client, 500)

	go slices.Run(ctx, 2)
	go spaces.Run(ctx, 2)
	go accounts.Run(ctx, 1)
	go gc.Run(ctx, 2, 10*time.Second)
	go gc.Sync(ctx, disco, 5*time.Second) // a new CRD is learned of this often
	go roots.Run(ctx, 1)
	go nodes.Run(ctx)
	go daemons.Run(ctx, 2)
	go deployments.Run(ctx, 2)
	go replicas.Run(ctx, 2)
	typed.Start(ctx.Done())
	metas.Start(ctx.Done())
	close(started)

	<-ctx.Done()
	return nil
}
