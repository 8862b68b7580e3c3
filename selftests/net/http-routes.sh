#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The table of selftests/rules/routes over sockets: every match and every action of HTTP rules, from pods and through gateways.
. "${0%/*}/lib.sh"
ROUTES=$ROOT/selftests/rules/routes

node_up
while read -r name ns ip labels; do
	NS=$ns pod_add "$name" "${ip##*.}" "$labels"
done < <(jq -r '.items[] | select(.kind == "Pod") | [.metadata.name, .metadata.namespace, .status.podIP,
	([.metadata.labels | to_entries[] | .key + "=" + .value] | join(","))] | @tsv' "$ROUTES/cluster.json")
weftd_start
files=()
for file in "$ROUTES/cluster.json" "$ROUTES"/*.yaml; do
	files+=(-f "$file")
done
weft apply "${files[@]}" >/dev/null
/usr/bin/python3 "${0%.sh}.py" "$ROUTES" "$ID" "$(addr 4 node)" "$(addr 6 node)" "$(addr 4 world)" "$(addr 6 world)"
