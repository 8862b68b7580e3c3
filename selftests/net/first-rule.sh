#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# README's "Your first rule", as it is written there: pods without a container runtime, their objects, a rule.
. "${0%/*}/lib.sh"
RULES=$ROOT/yaml-rules/first-rule
FIRST=$ROOT/README.md

# The commands of that section, without sudo: what they call is the node's own.
commands() { awk '/^## / { in_it = /Your first rule/ } in_it && /^    [a-z]/' "$FIRST" | sed 's/^ *//; s/sudo //; s/ *#.*//'; }

first_rule_down() {
	local status=$?
	in_ns node "$RULES/pods" down || true
	set +e
	(exit $status)
	cleanup
}

# As a shell of the node would have it. `weft` is the function of lib.sh.
run() {
	case $1 in
	weft\ *) (cd "$ROOT" && eval "$1") ;;
	*) (cd "$ROOT" && nsenter --net="/run/netns/$(netns node)" sh -c "$1") ;;
	esac
}

# answers_of LINE: how often which version has answered
answers_of() { run "$1" | sort | uniq -c | awk '{ printf "%s%s=%d", (NR > 1 ? " " : ""), $NF, $1 }'; }

for name in caller hello-v1 hello-v2; do
	[ ! -e /run/netns/$name ] || fail "there is a network namespace $name already"
done
[ "$(commands | wc -l)" -ge 6 ] || fail "README has no such section"
node_up
trap first_rule_down EXIT
weftd_start
while read -r line; do
	say "$line"
	case $line in
	*jason*) expect_eq "jason" "$(answers_of "$line")" "hello-v2=1" ;;
	*seq\ 100*) expect_match "a hundred requests" "$(answers_of "$line")" '^hello-v1=(79|80|81) hello-v2=(21|20|19)$' ;;
	*"pods down"*) ;;
	*) run "$line" >/dev/null ;;
	esac
	case $line in
	*"pods up"*) wait_until 10 in_ns node curl -sf -o /dev/null --max-time 1 http://10.244.0.4:8080/ ;;
	esac
done < <(commands)
