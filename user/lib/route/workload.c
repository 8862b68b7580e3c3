// SPDX-License-Identifier: Apache-2.0
#include "lib/route/workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool http_uses_mutual(const struct http_snapshot *s)
{
	return hs_count(s, HS_WORKLOADS);
}

static int compare_workloads(const void *addr, const void *row)
{
	return memcmp(addr, &((const struct hs_workload *)row)->addr, sizeof(struct addr));
}

const struct hs_workload *http_workload(const struct http_snapshot *s, const struct addr *addr)
{
	__u32 n = hs_count(s, HS_WORKLOADS);

	return n ? bsearch(addr, hs_workload(s, 0), n, sizeof(struct hs_workload),
			   compare_workloads)
		 : NULL;
}

const struct hs_workload_port *http_workload_port(const struct http_snapshot *s,
						  const struct hs_workload *w, __u32 port)
{
	for (__u32 i = 0; i < w->ports.count; i++) {
		const struct hs_workload_port *p = hs_workload_port(s, w->ports.first + i);

		if (p->port == port)
			return p;
	}
	return NULL;
}

enum hs_mtls http_workload_mode(const struct http_snapshot *s, const struct hs_workload *w,
				__u32 port)
{
	const struct hs_workload_port *p = http_workload_port(s, w, port);

	return p ? p->mode : w->mode;
}

/* A part of the path up to the next `/`, or to the end. */
static bool take_part(const char **at, const char *end, const char *before, struct authz_text *out)
{
	size_t n = strlen(before);
	const char *to;

	if ((size_t)(end - *at) < n || memcmp(*at, before, n) != 0)
		return false;
	*at += n;
	to = memchr(*at, '/', (size_t)(end - *at));
	to = to ? to : end;
	*out = (struct authz_text){ *at, (size_t)(to - *at) };
	*at = to;
	return out->len;
}

void identity_make(char out[IDENTITY_MAX], const char *ns, const char *account)
{
	snprintf(out, IDENTITY_MAX, SPIFFE_SCHEME AUTHZ_TRUST_DOMAIN "/ns/%s/sa/%s", ns, account);
}

int identity_parse(const char *text, size_t len, struct authz_text *ns, struct authz_text *account)
{
	const char *at = text, *end = text + len;
	struct authz_text domain;

	if (memchr(text, '\0', len) || !take_part(&at, end, SPIFFE_SCHEME, &domain) ||
	    domain.len != strlen(AUTHZ_TRUST_DOMAIN) ||
	    memcmp(domain.at, AUTHZ_TRUST_DOMAIN, domain.len) != 0 ||
	    !take_part(&at, end, "/ns/", ns) || !take_part(&at, end, "/sa/", account) || at != end)
		return -EINVAL;
	return 0;
}
