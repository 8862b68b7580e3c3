/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROXY_IO_SOCK_H
#define WEFT_PROXY_IO_SOCK_H
/*
 * TCP sockets and struct addr. All are non-blocking and close-on-exec. Ports in host byte order.
 */
#include <stdbool.h>
#include <stdint.h>

#include <linux/types.h>

#include "weft/addr.h"

/* What a rule says of keepalive probes. 0: the kernel's default. */
struct keepalive {
	bool given;
	uint32_t time_s, interval_s, probes;
};

/* As `k` says. Where it is NULL or not given, peers that vanish without a word are noticed within
 * two minutes. Of a listening socket: those of the connections that it accepts. */
void sock_keep_alive(int fd, const struct keepalive *k);
/* Of the family that can reach `to`, with keepalive probes. The descriptor or -errno. */
int sock_new(const struct addr *to, const struct keepalive *k);
/* The socket's packets will come from an address that is not this node's. 0 or -errno; -EADDRINUSE:
 * it has to be another port. */
int sock_bind_foreign(int fd, const struct addr *from, uint16_t port);
/* 0 or -errno; -EADDRNOTAVAIL: between these addresses and ports there is a connection. */
int sock_connect(int fd, const struct addr *to, uint16_t port);
/* The socket's own address. 0 or -errno. */
int sock_local(int fd, struct addr *addr, uint16_t *port);
/* Of a connection that another process has accepted: as sock_accept(). 0, or -errno: it is none,
 * or none any more. */
int sock_adopt(int fd, struct addr *client, uint16_t *client_port, struct addr *called,
	       uint16_t *called_port);
/* The next connection, its client's address and the one it called: descriptor or -errno. */
int sock_accept(int listener, struct addr *client, uint16_t *client_port, struct addr *called,
		uint16_t *called_port);

#endif
