// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/tls_kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/route/workload.h"

static bool is_identity(const struct credential *c)
{
	const size_t scheme = strlen(SPIFFE_SCHEME);

	return c->name.len > scheme && !memcmp(c->name.at, SPIFFE_SCHEME, scheme);
}

bool tls_lacks_certificate(const struct credential *c)
{
	return !c->chain.len && is_identity(c);
}

/* Whether its own certificate, the first one, is good for longer than `now`. */
static bool lasts(const struct credential *c, int64_t now)
{
	time_t at = (time_t)now;
	BIO *in = BIO_new_mem_buf(c->chain.at, (int)c->chain.len);
	X509 *own = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
	bool good = own && X509_cmp_time(X509_get0_notAfter(own), &at) > 0;

	X509_free(own);
	BIO_free(in);
	ERR_clear_error();
	return good;
}

static bool keep(struct credential *c, const struct credentials *last, int64_t now)
{
	const struct credential *had = credentials_find(last, c->name.at, c->name.len);

	if (!had || !had->chain.len || !had->key.len || !lasts(had, now))
		return false;
	c->chain = had->chain;
	c->key = had->key;
	if (!c->ca.len)
		c->ca = had->ca;
	return true;
}

/* Keys are left in no other memory. */
static int move(void *from, size_t size, void **to)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r = at == MAP_FAILED ? -errno : 0;

	if (!r) {
		memcpy(at, from, size);
		*to = at;
	}
	OPENSSL_cleanse(from, size);
	free(from);
	return r;
}

int tls_kept(const struct credentials *next, const struct credentials *last, int64_t now,
	     void **bytes, size_t *size)
{
	const size_t count = credentials_count(next);
	_cleanup_free_ struct credential *items = calloc(count + 1, sizeof(*items));
	bool kept = false;
	void *packed;
	int r;

	*bytes = NULL;
	*size = 0;
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		items[i] = *credentials_at(next, i);
		if (last && tls_lacks_certificate(&items[i]))
			kept |= keep(&items[i], last, now);
	}
	if (!kept)
		return 0;
	r = credentials_pack(items, count, &packed, size);
	return r ? r : move(packed, *size, bytes);
}

int tls_kept_write(const struct credentials *c, int fd)
{
	const size_t count = c ? credentials_count(c) : 0;
	_cleanup_free_ struct credential *items = calloc(count + 1, sizeof(*items));
	size_t own = 0, size;
	void *packed;
	int r;

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (is_identity(credentials_at(c, i)) && credentials_at(c, i)->chain.len)
			items[own++] = *credentials_at(c, i);
	r = credentials_pack(items, own, &packed, &size);
	if (r)
		return r;
	r = bytes_write(fd, packed, size);
	OPENSSL_cleanse(packed, size);
	free(packed);
	return r;
}
