// SPDX-License-Identifier: Apache-2.0
// kubectl by itself: a binary of all of Kubernetes takes three times as long to start, and tests start it some hundred times.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

func main() {
	os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
}
