/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_WIRE_CLIENT_HELLO_H
#define WEFT_LIB_WIRE_CLIENT_HELLO_H
/*
 * What a TLS client says first, in the clear (RFC 8446 4.1.2; RFC 5246 7.4.1.2 is alike): read, not
 * answered, so that its connection can go on as it is to where the name in it belongs. With
 * Encrypted Client Hello it is the outer one that is read: the other is not for us.
 */
#include <stdbool.h>
#include <stddef.h>

enum {
	CLIENT_HELLO_MAX = 16 * 1024, /* bytes on the wire, heads of records included */
	CLIENT_HELLO_NAME_MAX = 255,
	CLIENT_HELLO_ALPN_MAX = 127,
};

struct client_hello {
	/* SNI, as client_hello_name() has it; "": the client asks for none. */
	char name[CLIENT_HELLO_NAME_MAX + 1];
	size_t name_len;
	/* Protocols that it offers (ALPN, RFC 7301), "h2,http/1.1": printable ones, as many as fit.
	 * For people to read. */
	char alpn[CLIENT_HELLO_ALPN_MAX + 1];
	/* Among them is one by which proxies of the mesh know each other's mutual TLS: "istio",
	 * "istio-http/1.1" or "istio-peer-exchange". */
	bool mesh;
	size_t needed; /* with -EAGAIN: so many bytes in all tell more */
};

/*
 * Reads the `n` bytes that a connection begins with. 0; -EAGAIN: as far as they go they are a
 * ClientHello's; -EPROTO: they are none's, or of a malformed one; -E2BIG: it takes more than
 * CLIENT_HELLO_MAX bytes. What follows a ClientHello is not looked at. Allocates nothing.
 */
int client_hello_read(const void *bytes, size_t n, struct client_hello *out);

/* The name in a server_name extension's `n` bytes (RFC 6066 3: a list of one host's name), in lower
 * case without a dot at its end. 0 or -EPROTO: then nothing is written. */
int client_hello_name(const void *extension, size_t n, char out[CLIENT_HELLO_NAME_MAX + 1],
		      size_t *len);

#endif
