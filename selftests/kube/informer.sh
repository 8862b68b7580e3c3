#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The informer against a real API server that is killed, forgets, forbids and breaks off in the middle of a line.
set -euo pipefail
cd "${0%/*}/../.."

# In a network namespace of its own: its ports are free, and no other server's.
if [ -z "${WEFT_UNSHARED:-}" ]; then
	WEFT_UNSHARED=1 exec unshare -n -- selftests/kube/informer.sh
fi
ip link set lo up
exec python3 -B selftests/kube/informer.py "${WEFT_OUT:-.output}/apps/informer-copy"
