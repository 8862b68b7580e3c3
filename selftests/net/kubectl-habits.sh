#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What kubectl's users type without thinking does with weft what it does with kubectl: namespaces, several kinds and names,
# labels, outputs, watching, pruning, dry runs; and a restart of weftd changes nothing of it.
. "${0%/*}/lib.sh"

node_up
weftd_start

# refused WHAT STATUS PATTERN COMMAND...
refused() {
	local what=$1 want=$2 pattern=$3 status=0 said
	shift 3
	said=$("$@" 2>&1) || status=$?
	expect_eq "$what: exit status" $status "$want"
	expect_match "$what: $said" "$said" "$pattern"
}

# one line of all that COMMAND prints
line() { "$@" | paste -sd' '; }

names() { line weft get "$@" -A -o custom-columns=A:.metadata.namespace,B:.metadata.name --no-headers | tr -s ' '; }

# vs NAME LABELS [NAMESPACE]
vs() {
	printf -- '---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: %s, labels: {%s}%s}\n' "$1" "$2" "${3:+, namespace: $3}"
	printf 'spec: {hosts: [%s.default.svc.cluster.local], http: [{route: [{destination: {host: a.default.svc.cluster.local}}]}]}\n' "$1"
}
# service NAME LABELS NUMBER
service() {
	printf -- '---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, labels: {%s}}\nspec: {clusterIP: 10.96.0.%d, ports: [{name: http, port: 80}]}\n' "$@"
}

service a 'app: a' 10 | apply

# Namespaces
vs x 'app: x' >"$TMP/x.yaml"
expect_eq "apply -n puts what names no namespace into that one" \
	"$(weft apply -n shop -f "$TMP/x.yaml")" "virtualservice/x created (namespace shop)"
expect_eq "and nowhere else" "$(names vs)" "shop x"
expect_eq "-n in front of the verb" "$(weft -n shop get vs -o name)" virtualservice.networking.istio.io/x
vs y 'app: y' other >"$TMP/y.yaml"
refused "an object of another namespace" 1 '^.*/y.yaml:4:.*: metadata.namespace: does not match -n shop.*not "other"' \
	weft apply -n shop -f "$TMP/y.yaml"
refused "a namespace that is none" 1 '^-n: expected a namespace' weft -n 'No_Name' apply -f "$TMP/x.yaml"
expect_eq "what get -o yaml prints has its namespace" "$(weft -n shop get vs x -o yaml | grep -c '^  namespace: shop$')" 1
weftd_stop
weftd_start
expect_eq "it is there after a restart" "$(names vs)" "shop x"
refused "delete -n of an object that is elsewhere" 1 'not found in namespace elsewhere' weft delete -n elsewhere -f "$TMP/x.yaml"
expect_eq "a dry run says what would go" "$(weft delete -n shop -f "$TMP/x.yaml" --dry-run=server)" \
	"virtualservice/x deleted (namespace shop) (server dry run)"
expect_eq "and takes nothing away" "$(names vs)" "shop x"
weft delete -n shop -f "$TMP/x.yaml" >/dev/null
expect_eq "delete -n" "$(names vs)" ""

# Folders
mkdir -p "$TMP/rules/deeper"
vs in "app: shop" >"$TMP/rules/in.yaml"
vs below "app: shop" >"$TMP/rules/deeper/below.yaml"
weft apply -f "$TMP/rules" >/dev/null
expect_eq "a folder without those in it" "$(names vs)" "default in"
weft apply -R -f "$TMP/rules" >/dev/null
expect_eq "with -R" "$(names vs)" "default below default in"

# Which objects
{
	vs b "tier: web, app: shop"
	vs c "app: other"
} | weft -n shop apply -f - >/dev/null
expect_eq "sorted by namespace and name" "$(names vs)" "default below default in shop b shop c"
expect_eq "several kinds" "$(line weft get vs,svc -o name)" \
	"virtualservice.networking.istio.io/below virtualservice.networking.istio.io/in service/a"
expect_eq "several names, as they were given" "$(line weft get vs in below -o name)" \
	"virtualservice.networking.istio.io/in virtualservice.networking.istio.io/below"
expect_eq "kind/name" "$(line weft get svc/a vs/in -o name)" "service/a virtualservice.networking.istio.io/in"
expect_eq "-l" "$(names vs -l app=shop,tier)" "shop b"
expect_eq "-l with a set" "$(names vs -l 'app in (shop, x),!tier')" "default below default in"
refused "a selector that is none" 1 '^-l: expected ' weft get vs -l 'app in'
refused "a kind that is none" 1 'virtualservic: no such kind of object, did you mean "VirtualService"\?' weft get virtualservic
refused "also for describe" 1 '^vss: no such kind of object, did you mean "vs"\?' weft describe vss in
refused "a format that is none" 2 'not "yml": json, yaml, wide, name, jsonpath=... or custom-columns=... is expected' weft get vs -o yml
refused "a command that is none" 2 'unknown command "aply", did you mean "apply"\?' weft aply -f "$TMP/x.yaml"
refused "a name that is not there, and the rest is shown" 1 'virtualservice.networking.istio.io/in' weft get vs in nothere -o name
refused "the name is told" 1 '"nothere" not found in namespace default' weft get vs in nothere -o name
refused "no namespace at all" 0 '^No resources found$' weft get ns
refused "an empty namespace is no failure" 0 '^No resources found in none namespace.$' weft -n none get vs

# described WORD...: which objects describe tells of
described() { weft describe "$@" 2>/dev/null | sed -n 's/^\(VirtualService\|Service\) \([^,]*\), from.*/\2/p' | paste -sd' '; }
expect_eq "describe several" "$(described vs in below)" "default/in default/below"
expect_eq "describe kind/name" "$(described svc/a vs/in)" "default/a default/in"
expect_eq "describe all" "$(described vs -A)" "default/below default/in shop/b shop/c"
expect_eq "describe -l" "$(described vs -n shop -l tier)" "shop/b"
expect_eq "describe one as JSON, and several" "$(weft describe vs in -o json | jq -r .name) $(weft describe vs -o json | jq length)" "in 2"
refused "describe what is not there" 1 '"nothere" not found in namespace default' weft describe vs in nothere
refused "describe nothing" 0 '^No resources found in none namespace.$' weft describe vs -n none

# Rules that do not do what they say
# looked_at [OPTION...]: how many objects analyze looks at, and which namespaces it remarks upon
looked_at() { weft analyze "$@" -o json 2>/dev/null | jq -c '[.objects, ([.remarks[].namespace] | unique)]'; }
expect_eq "analyze -n" "$(looked_at -n shop)" '[2,["shop"]]'
expect_eq "without a namespace, and with -A" "$(looked_at; looked_at -A -n shop)" $'[5,["default","shop"]]\n[5,["default","shop"]]'
expect_eq "where nothing is" "$(weft analyze -n none 2>&1)" "0 objects, nothing to remark"

# How they are shown
table=$(weft get vs,svc --show-labels)
expect_match "the kind in front of the name, AGE and LABELS" "$table" \
	'^virtualservice.networking.istio.io/in +.* [0-9]+[sm0-9]* +app=shop$'
expect_match "an empty line between kinds" "$(sed -n 4p <<<"$table" | sed 's/^$/empty/')" '^empty$'
expect_eq "labels in order" "$(weft get vs -n shop --show-labels --no-headers | awk '{ print $NF }' | paste -sd' ')" "app=shop,tier=web app=other"
expect_match "what -o wide has more stands behind AGE" "$(weft get svc -o wide | head -1)" '^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORTS +AGE +SELECTOR +FROM$'
expect_eq "jsonpath" "$(weft get vs -o jsonpath='{range .items[*]}{.metadata.name}={.spec.hosts[0]}{"\n"}{end}')" \
	"$(printf 'below=below.default.svc.cluster.local\nin=in.default.svc.cluster.local')"
expect_eq "jsonpath of one" "$(weft get vs in -o "jsonpath={.spec.http[0].route[?(@.destination.host=='a.default.svc.cluster.local')].destination}")" \
	'{"host":"a.default.svc.cluster.local"}'
refused "a jsonpath that is not carried out" 2 'descending with .. is not carried out' weft get vs -o 'jsonpath={..name}'
expect_eq "a List in YAML" "$(weft get vs -o yaml | sed -n '1,2p;$p' | paste -sd' ')" "apiVersion: v1 items: kind: List"
weft get vs -A -o yaml >"$TMP/all.yaml"
expect_eq "which can be applied again" "$(weft apply -f "$TMP/all.yaml" | grep -c ' unchanged')" 4
expect_match "AGE by creationTimestamp" "$(
	printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: old, creationTimestamp: "%s"}\n' "$(date -u -d '-75 hours' +%Y-%m-%dT%H:%M:%SZ)" | apply
	weft get ns old
)" '^old +3d3h$'

# Watching
"$OUT/weft" --run-dir "$TMP/run" get vs -n shop -w -o name >"$TMP/watched" &
WATCH=$!
seen() { grep -q "$1" "$TMP/watched"; }
wait_until 5 seen /c
vs new 'app: new' | weft -n shop apply -f - >/dev/null
wait_until 5 seen /new
vs c "app: changed" | weft -n shop apply -f - >/dev/null
weft -n shop delete vs new >/dev/null
changes() { [ "$(sed 's/.*\///' "$TMP/watched" | paste -sd' ')" = "b c new c new" ]; }
wait_until 5 changes
kill -INT $WATCH
wait $WATCH || fail "get -w ended with status $?"
"$OUT/weft" --run-dir "$TMP/run" get vs -n empty --watch >"$TMP/watched" &
WATCH=$!
sleep 1
vs late "app: late" | weft -n empty apply -f - >/dev/null
wait_until 5 seen '^late '
expect_match "headings in front of the first that comes" "$(head -1 "$TMP/watched")" '^NAME +GATEWAYS +HOSTS +AGE$'
kill -INT $WATCH
wait $WATCH || fail "get -w ended with status $?"
weft -n empty delete vs late >/dev/null
say "ok: get -w shows what is there, what changes, and what goes"

# Completion, in bash
# shellcheck source=/dev/null
source <("$OUT/weft" completion bash)
# offered WORD...: what is offered for the last one
offered() {
	COMP_WORDS=(weft "$@") COMP_CWORD=$# COMPREPLY=()
	_weft
	printf '%s\n' "${COMPREPLY[@]}" | paste -sd' '
}
expect_eq "completion of names" "$(offered -n shop get vs '')" "$(offered -n shop get vs '' | grep -o '^-.* b c$')"
expect_eq "of namespaces, that of an object and one that is empty" "$(offered get vs -n '')" "default old shop"
printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: sleep}\nspec: {containers: [{name: m}]}\nstatus: {phase: Running, podIP: 10.0.0.9}\n' | apply
expect_eq "of pods" "$(offered explain --from d)" default/sleep
weft delete pod sleep >/dev/null

# Pruning
vs b "app: shop" >"$TMP/shop.yaml"
refused "--prune without a word about what" 2 '--prune goes with' weft apply --prune -n shop -f "$TMP/shop.yaml"
vs old "app: shop" | weft -n shop apply -f - >/dev/null
expect_eq "a dry run" "$(weft apply --prune -l app=shop -n shop -f "$TMP/shop.yaml" --dry-run | paste -sd';')" \
	"virtualservice/b configured (namespace shop) (dry run);virtualservice/old pruned (namespace shop) (dry run)"
weft apply --prune -l app=shop -n shop -f "$TMP/shop.yaml" >/dev/null
expect_eq "what has the label and is not in the input goes, in that namespace" "$(names vs)" "default below default in shop b shop c"
vs other "app: foreign" >>"$TMP/rules/in.yaml"
expect_eq "-l leaves out what does not match" "$(weft apply -l app=shop --prune -f "$TMP/rules/in.yaml" | paste -sd';')" \
	"virtualservice/in unchanged;virtualservice/below pruned"
weftd_stop
weftd_start
expect_eq "the same after a restart" "$(names vs)" "default in shop b shop c"
service a 'app: a' 10 >"$TMP/replace.yaml"
weft apply --replace -n shop -f <(vs c 'app: c') >/dev/null
expect_eq "--replace -n leaves other namespaces alone" "$(names vs,svc)" "default in shop c default a"
refused "--replace with nothing is a mistake" 1 'no objects in what was given' weft apply --replace -f /dev/null
weft apply --replace -f "$TMP/replace.yaml" >/dev/null
expect_eq "--replace" "$(names all)" "default a"
expect_eq "namespaces, too" "$(weft get ns -o name 2>&1)" ""

# Deleting
for name in a b c; do vs $name "app: $name"; done | apply
expect_eq "several names" "$(weft delete vs a b | paste -sd';')" \
	"virtualservice/a deleted;virtualservice/b deleted"
refused "one that is not there: none goes" 1 '"nothere" not found.*nothing is deleted' weft delete vs c nothere
expect_eq "and" "$(names vs)" "default c"
refused "a kind alone is not enough" 2 'a NAME, -l SELECTOR or --all is expected' weft delete vs
weft delete vs,svc -l 'app in (c,a)' >/dev/null
expect_eq "delete -l" "$(names all)" ""

expect_match "weft version" "$(weft version)" '^Daemon Version: '
expect_eq "as JSON" "$(weft version -o json | jq -c 'keys')" '["clientVersion","daemonVersion"]'
refused "without weftd it tells its own" 1 '^Client Version: ' "$OUT/weft" --run-dir /nonexistent version
