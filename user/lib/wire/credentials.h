/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_WIRE_CREDENTIALS_H
#define WEFT_LIB_WIRE_CREDENTIALS_H
/*
 * Certificates and keys on their way from weftd to weft-proxy: the file of PROXY_CREDENTIALS
 * (proxy_orders.h), a sealed memory file with all of them.
 *
 *	struct credentials_head
 *	struct credential_row, `count` times, ordered by name
 *	bytes: names, and PEM as the user gave it
 *
 * Integers are in host byte order, offsets from the file's start. A credential's name says where it
 * is from: "kubernetes://NAMESPACE/SECRET" or "file://CERTIFICATE;KEY;CA;CRL", paths of which some
 * may be empty, or CREDENTIAL_SYSTEM_CA. weftd has read what is in it: the chain is one of
 * certificates and the key fits its first one; where it is for TLS to endpoints, both may be
 * missing.
 *
 * An identity ("spiffe://...") whose chain and key have 0 bytes is one that is needed, and that
 * weftd has no certificate for yet: weft-proxy keeps the one that it has, until its end, with the
 * `ca` of the file, if that has any. One that is not in the file goes.
 */
#include <stddef.h>
#include <stdint.h>

enum {
	CREDENTIALS_MAGIC = 0x77637264,
	CREDENTIALS_VERSION = 1,
	CREDENTIALS_SIZE_MAX = 64 << 20, /* bytes of all */
};

/* The CAs that the node's system believes. */
#define CREDENTIAL_SYSTEM_CA "system://"

struct credentials_head {
	uint32_t magic, version;
	uint32_t count; /* of credentials */
	uint32_t size;	/* of everything, this header included */
};

struct credentials_part {
	uint32_t at, len;
};

struct credential_row {
	struct credentials_part name;
	struct credentials_part chain, key; /* one's own certificate first */
	struct credentials_part ca, crl;    /* of the peers' certificates; 0 bytes: none */
};

/* Bytes that are not NUL-terminated. */
struct credential_text {
	const char *at;
	size_t len;
};

struct credential {
	struct credential_text name, chain, key, ca, crl;
};

/* An opened file. Immutable: threads may share it. */
struct credentials;

/* Opens the file of `size` bytes at `bytes`, all offsets checked, and borrows them until
 * credentials_close(). 0; -EBADMSG if anything is out of order; -ENOMEM. */
int credentials_open(const void *bytes, size_t size, struct credentials **out);
void credentials_close(struct credentials *c); /* accepts NULL */
size_t credentials_count(const struct credentials *c);
/* The i-th by name; points into the file. */
const struct credential *credentials_at(const struct credentials *c, size_t i);
/* The one of that name, or NULL. */
const struct credential *credentials_find(const struct credentials *c, const char *name,
					  size_t len);

/* Writes a file of those, in any order, no name twice: malloc'd bytes. 0, -ENOMEM, -E2BIG. */
int credentials_pack(const struct credential *items, size_t count, void **out, size_t *size);

#endif
