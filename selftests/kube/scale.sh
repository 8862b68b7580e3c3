#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What weftd costs in a cluster of 1,000 services and 10,000 pods: how soon it is ready, its memory, and the processor's time while
# things change. Prints figures; fails when they are far from what is promised.
. "${0%/*}/node.sh"

SERVICES=${SERVICES:-1000}
ALL_PODS=${ALL_PODS:-10000}

node_up
kube_up
kube_crds_up v1
changes() { in_ns node "${0%/*}/changes.py" "$KUBE_DIR" "$API_PORT" "$@"; }
begin=$EPOCHREALTIME
changes scale "$SERVICES" "$ALL_PODS"
say "made $SERVICES services and $ALL_PODS pods in $(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print int(b - a) }') s"

memory() { awk '$1 == "'"$1"':" { print int($2 / 1024) }' "/proc/$WEFTD/status"; }
processor_ms() { awk '{ print ($14 + $15) * 10 }' "/proc/$WEFTD/stat"; }
since_ms() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { print int((b - a) * 1000) }'; }

begin=$EPOCHREALTIME
weftd_kube
say "ready after $(since_ms "$begin") ms, $(processor_ms) ms of them on a processor"
sleep 3
say "memory: $(memory VmRSS) MiB now ($(awk '$1 == "RssAnon:" { print int($2 / 1024) }' "/proc/$WEFTD/status") MiB of its own), $(memory VmHWM) MiB at most"
grep -E 'Rss|VmHWM' "/proc/$WEFTD/status"
weft status -o json | jq -r '.sources[0].resources[] | select(.objects > 0) | "\(.resource): \(.objects) objects, \(.bytes) bytes told"'
expect_between "MiB" "$(memory VmRSS)" 1 90

for rate in 10 100; do
	busy=$(processor_ms)
	gen=$(generation)
	changes churn $((10 * rate)) 10
	busy=$(($(processor_ms) - busy))
	say "$rate changes of pods a second, for 10 s: $((busy / 100)) % of a core, $(($(generation) - gen)) generations"
done
say "memory then: $(memory VmRSS) MiB, $(memory VmHWM) MiB at most"
ls -l "$TMP/state/kubernetes.cache" | awk '{ print "cache: " int($5 / 1024) " KiB" }'

kube_stop apiserver
weftd_kill9
begin=$EPOCHREALTIME
weftd_kube
say "from the cache, without the server: ready after $(since_ms "$begin") ms"
sleep 3
say "memory: $(memory VmRSS) MiB, $(memory VmHWM) MiB at most"
