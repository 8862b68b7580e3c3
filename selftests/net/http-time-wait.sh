#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A client may call from a port whose last connection the proxy still remembers because it was the one to end it.
. "${0%/*}/lib.sh"

PORT=20000

node_up
pod_add client 1
pod_add one 2 app=echo,version=v1
http_echo_start one 8080 one
weftd_start
{
	rules_pods
	PROTOCOL=http rules_service echo 10 80:8080
	rules_subsets echo v1
	PROTOCOL=http rules_weights echo v1
} | apply

# The status of the response, once the proxy has ended the connection.
call() { # ADDRESS
	in_ns client timeout 20 python3 - "$1" $PORT <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
		s.bind(('', int(sys.argv[2])))
		s.connect((sys.argv[1], 80))
		s.sendall(b'GET / HTTP/1.1\r\nHost: echo\r\nConnection: close\r\n\r\n')
		response = b''.join(iter(lambda: s.recv(4096), b''))
		print(response.split()[1].decode())
	END
}

remembered() { in_ns node ss -tanH state time-wait | grep -q ":$PORT *$"; }

for family in 4 6; do
	PORT=$((PORT + 1))
	for i in 1 2 3; do
		expect_eq "IPv$family, call $i" "$(call "$(vip $family 10)")" 200
		wait_until 5 remembered
	done
done
