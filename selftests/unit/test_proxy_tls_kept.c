// SPDX-License-Identifier: Apache-2.0
/* Which certificates weft-proxy keeps when weftd hands over a set that lacks them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "proxy/route/tls_kept.h"
#include "test_tls_util.h"

#define SHOP "spiffe://cluster.local/ns/default/sa/shop"
#define BANK "spiffe://cluster.local/ns/default/sa/bank"

enum { DAY_S = 86400, ITEMS = 3 };

static struct made_cert ca, shop;
static char *chain, *key, *roots;

/* A file, and what is in it. */
struct set {
	void *bytes;
	struct credentials *all;
};

static void begin(void)
{
	ca = cert_make("ca", NULL, NULL, 30);
	shop = cert_make("", "URI:" SHOP, &ca, 10);
	chain = cert_pem(&shop);
	key = cert_key_pem(&shop);
	roots = cert_pem(&ca);
}

static void end(void)
{
	free(chain);
	free(key);
	free(roots);
	cert_free(&shop);
	cert_free(&ca);
}

TestSuite(proxy_tls_kept, .init = begin, .fini = end);

static struct credential_text text_of(const char *s)
{
	return (struct credential_text){ s, strlen(s) };
}

static struct credential full(const char *name)
{
	return (struct credential){ text_of(name), text_of(chain), text_of(key), text_of(roots),
				    text_of("") };
}

static struct credential lacking(const char *name, const char *ca_pem)
{
	return (struct credential){ .name = text_of(name), .ca = text_of(ca_pem) };
}

static struct set pack(const struct credential *items, size_t count)
{
	struct set s;
	size_t size;

	cr_assert_eq(credentials_pack(items, count, &s.bytes, &size), 0);
	cr_assert_eq(credentials_open(s.bytes, size, &s.all), 0);
	return s;
}

static void set_free(struct set *s)
{
	credentials_close(s->all);
	free(s->bytes);
}

/* What is kept of `last` when `next` comes; false: nothing, and `next` is as it was. */
static bool kept(const struct set *next, const struct set *last, int64_t now,
		 void (*look)(const struct credentials *c))
{
	struct credentials *c = NULL;
	struct tls_kept k;

	cr_assert_eq(tls_kept(next->all, last ? last->all : NULL, now, &k), 0);
	if (!k.bytes)
		return false;
	cr_assert_eq(credentials_open(k.bytes, k.size, &c), 0);
	if (look)
		look(c);
	credentials_close(c);
	munmap(k.bytes, k.size);
	return true;
}

static bool is(struct credential_text t, const char *s)
{
	return t.len == strlen(s) && !memcmp(t.at, s, t.len);
}

static void look_at_all(const struct credentials *c)
{
	const struct credential *own = credentials_find(c, SHOP, strlen(SHOP));
	const struct credential *bank = credentials_find(c, BANK, strlen(BANK));
	const struct credential *other = credentials_find(c, "kubernetes://n/new", 18);

	cr_assert(own && bank && other);
	cr_expect(is(own->chain, chain) && is(own->key, key) && is(own->ca, roots));
	cr_expect(tls_lacks_certificate(bank) && !tls_lacks_certificate(own));
	cr_expect(is(other->chain, "another"));
	cr_expect_null(credentials_find(c, "kubernetes://n/old", 18), "it is not in the new set");
}

Test(proxy_tls_kept, an_identity_without_a_certificate_keeps_the_one_it_had)
{
	struct credential other = full("kubernetes://n/new");
	struct set last, next;

	other.chain = text_of("another");
	last = pack((struct credential[]){ full(SHOP), full("kubernetes://n/old") }, 2);
	next = pack((struct credential[]){ lacking(SHOP, ""), lacking(BANK, ""), other }, ITEMS);
	cr_expect(kept(&next, &last, time(NULL), look_at_all));
	cr_expect(!kept(&next, NULL, time(NULL), NULL), "there was nothing");
	set_free(&last);
	set_free(&next);
}

static void look_at_roots(const struct credentials *c)
{
	cr_expect(is(credentials_find(c, SHOP, strlen(SHOP))->ca, "others"));
	cr_expect(is(credentials_find(c, SHOP, strlen(SHOP))->key, key));
}

Test(proxy_tls_kept, the_roots_are_those_of_now)
{
	const struct credential had = full(SHOP), lacks = lacking(SHOP, "others");
	struct set last = pack(&had, 1), next = pack(&lacks, 1);

	cr_expect(kept(&next, &last, time(NULL), look_at_roots));
	set_free(&last);
	set_free(&next);
}

static void look_at_none(const struct credentials *c)
{
	cr_expect(tls_lacks_certificate(credentials_find(c, SHOP, strlen(SHOP))));
}

Test(proxy_tls_kept, nothing_is_kept_beyond_its_end)
{
	const struct credential had = full(SHOP), lacks = lacking(SHOP, "");
	struct set last = pack(&had, 1), next = pack(&lacks, 1);
	int64_t now = time(NULL);

	cr_expect(kept(&next, &last, now + 9 * DAY_S, NULL));
	cr_expect(!kept(&next, &last, now + 11 * DAY_S, NULL));
	/* Nor is one that is in use by then. */
	cr_expect(!kept(&last, NULL, now + 9 * DAY_S, NULL));
	cr_expect(kept(&last, NULL, now + 11 * DAY_S, look_at_none));
	set_free(&last);
	set_free(&next);
}

/* A Secret that is gone is gone. */
Test(proxy_tls_kept, what_is_no_identity_goes_as_weftd_says)
{
	const struct credential had = full("kubernetes://n/a"),
				lacks = lacking("kubernetes://n/a", "");
	struct set last = pack(&had, 1), next = pack(&lacks, 1);

	cr_expect(!tls_lacks_certificate(&lacks), "it is of TLS to endpoints");
	cr_expect(!kept(&next, &last, time(NULL), NULL));
	set_free(&last);
	set_free(&next);
}
