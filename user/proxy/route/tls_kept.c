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

/* When its own certificate, the first one, ends: Unix seconds; 0: it can't be read. */
static int64_t end_of(const struct credential *c)
{
	BIO *in = BIO_new_mem_buf(c->chain.at, (int)c->chain.len);
	X509 *own = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
	struct tm tm;
	int64_t end = 0;

	if (own && ASN1_TIME_to_tm(X509_get0_notAfter(own), &tm) == 1)
		end = (int64_t)timegm(&tm);
	X509_free(own);
	BIO_free(in);
	ERR_clear_error();
	return end;
}

/* Whether it is good for longer than `now`; then *first is no later than its end. */
static bool lasts(const struct credential *c, int64_t now, int64_t *first)
{
	int64_t end = end_of(c);

	if (end <= now)
		return false;
	if (!*first || end < *first)
		*first = end;
	return true;
}

static bool keep(struct credential *c, const struct credentials *last, int64_t now, int64_t *first)
{
	const struct credential *had = credentials_find(last, c->name.at, c->name.len);

	if (!had || !had->chain.len || !had->key.len || !lasts(had, now, first))
		return false;
	c->chain = had->chain;
	c->key = had->key;
	if (!c->ca.len)
		c->ca = had->ca;
	return true;
}

static bool end_one(struct credential *c, int64_t now, int64_t *first)
{
	if (!is_identity(c) || !c->chain.len || lasts(c, now, first))
		return false;
	c->chain = c->key = (struct credential_text){ 0 };
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
	     struct tls_kept *out)
{
	const size_t count = credentials_count(next);
	_cleanup_free_ struct credential *items = calloc(count + 1, sizeof(*items));
	bool changed = false;
	void *packed;
	int r;

	*out = (struct tls_kept){ 0 };
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		items[i] = *credentials_at(next, i);
		if (!last)
			changed |= end_one(&items[i], now, &out->end);
		else if (tls_lacks_certificate(&items[i]))
			changed |= keep(&items[i], last, now, &out->end);
	}
	if (!changed)
		return 0;
	r = credentials_pack(items, count, &packed, &out->size);
	return r ? r : move(packed, out->size, &out->bytes);
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
