#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The informer against a real API server that is killed, forgets, forbids and breaks off in the middle of a line.
# TESTKUBE names the server's binary (selftests/cluster/testkube builds it).
set -euo pipefail
cd "${0%/*}/../.."

if [ ! -x "${TESTKUBE:-}" ]; then
	echo "not run: TESTKUBE names no testkube binary"
	exit 0
fi
# In a network namespace of its own: nobody else's ports, and nobody else's server.
if [ -z "${WEFT_UNSHARED:-}" ]; then
	WEFT_UNSHARED=1 exec unshare -n -- "$0" "$@"
fi
ip link set lo up
exec python3 selftests/kube/informer.py "${WEFT_OUT:-.output}/apps/informer-copy"
