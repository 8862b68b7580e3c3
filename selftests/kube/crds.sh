#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prints CRDs of the Istio kinds that weft reads, with Istio's names, versions and scope; they take any spec.
set -euo pipefail

# crd KIND SINGULAR PLURAL SHORT
crd() {
	local version any='{type: object, x-kubernetes-preserve-unknown-fields: true}'
	cat <<-END
	---
	apiVersion: apiextensions.k8s.io/v1
	kind: CustomResourceDefinition
	metadata: {name: $3.networking.istio.io}
	spec:
	  group: networking.istio.io
	  scope: Namespaced
	  names: {kind: $1, listKind: $1List, singular: $2, plural: $3, shortNames: [$4], categories: [istio-io, networking-istio-io]}
	  versions:
	END
	for version in v1 v1beta1 v1alpha3; do
		cat <<-END
		  - name: $version
		    served: true
		    storage: $([ $version = v1 ] && echo true || echo false)
		    subresources: {status: {}}
		    schema: {openAPIV3Schema: {type: object, properties: {spec: $any, status: $any}}}
		END
	done
}

crd VirtualService virtualservice virtualservices vs
crd DestinationRule destinationrule destinationrules dr
crd Gateway gateway gateways gw
crd ServiceEntry serviceentry serviceentries se
