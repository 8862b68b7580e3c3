#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A policy that weft does not carry out, or a kind that is misspelt, does not pass a pipeline: apply, validate and delete end with
# status 1, say which, and change nothing. What has no say in traffic is skipped. Rules that can't work are warned of upon apply.
. "${0%/*}/lib.sh"

node_up
weftd_start

# told WHAT STATUS PATTERN COMMAND...
told() {
	local what=$1 want=$2 pattern=$3 status=0 said
	shift 3
	said=$("$@" 2>&1) || status=$?
	expect_eq "$what: exit status" $status "$want"
	expect_match "$what: $said" "$said" "$pattern"
}
objects() { weft get all -A -o name --no-headers 2>/dev/null | paste -sd' '; }

# object APIVERSION KIND [SPEC]
object() { printf -- '---\napiVersion: %s\nkind: %s\nmetadata: {name: x}\nspec: %s\n' "$1" "$2" "${3:-{\}}"; }
service() { object v1 Service "{clusterIP: 10.96.0.$1, ports: [{name: $2, port: 80}]}"; }

policies=(security.istio.io/v1 RequestAuthentication
	networking.istio.io/v1 Sidecar networking.istio.io/v1alpha3 EnvoyFilter networking.k8s.io/v1 Ingress)
for ((i = 0; i < ${#policies[@]}; i += 2)); do
	{
		service 10 http
		object "${policies[@]:i:2}"
	} >"$TMP/policy.yaml"
	for verb in apply validate delete; do
		told "$verb of ${policies[i + 1]}" 1 "policy.yaml:8:7: kind: weft does not carry out ${policies[i + 1]} \(" weft $verb -f "$TMP/policy.yaml"
	done
done
object networking.istio.io/v1 VirtualServise '{hosts: [a], http: [{route: [{destination: {host: a}}]}]}' >"$TMP/misspelt.yaml"
for verb in apply validate delete; do
	told "$verb of a kind that is misspelt" 1 'misspelt.yaml:3:7: .*VirtualServise, did you mean "VirtualService"\?' weft $verb -f "$TMP/misspelt.yaml"
done
expect_eq "of all that, nothing is there, the services beside it neither" "$(objects)" ""

object apps/v1 Deployment >"$TMP/deployment.yaml"
for verb in apply validate delete; do
	told "$verb of a Deployment" 0 'deployment.yaml:2:1: skipped: Deployment "x"' weft $verb -f "$TMP/deployment.yaml"
done
told "who knows what it leaves out" 0 'skipped: Ingress "x"' weft apply --skip-unknown -f "$TMP/policy.yaml"
expect_eq "what is beside it is there" "$(objects)" service/x

{
	service 10 grpc
	object networking.istio.io/v1 VirtualService '{hosts: [x], http: [{route: [{destination: {host: x}}]}]}'
} >"$TMP/grpc.yaml"
told "a rule for a port that carries gRPC" 0 'warning: .*grpc.yaml:10:16: spec.hosts\[0\]: port 80 of service default/x carries "grpc"' \
	weft apply -f "$TMP/grpc.yaml"
object networking.istio.io/v1 VirtualService '{hosts: [x], http: [{route: [{destination: {host: x}}]}, {route: [{destination: {host: x}}]}]}' \
	>"$TMP/twice.yaml"
told "a route that is never used" 0 'warning: .*twice.yaml:5:.*never used: .*\[IST0130\]' weft apply -f "$TMP/twice.yaml"
