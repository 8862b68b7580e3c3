// SPDX-License-Identifier: Apache-2.0
#include "test_proxy_workloads.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/route/pack.h"
#include "lib/wire/credentials.h"
#include "proxy/route/tls_store.h"

enum { TEXTS = 4096, NAME_MAX_BYTES = 512 };

static void add_pods(struct http_part parts[HS_TABLES], const struct mesh_pod *pods, size_t count,
		     struct hs_workload *rows, struct hs_workload_port *ports, char *bytes)
{
	size_t len = parts[HS_BYTES].count;
	__u32 n = 0;

	memcpy(bytes, parts[HS_BYTES].rows, len);
	for (size_t i = 0; i < count; i++) {
		const size_t size = strlen(pods[i].identity);

		rows[i] = (struct hs_workload){ .addr = pods[i].addr,
						.identity = { (__u32)len, (__u32)size },
						.here = pods[i].here,
						.mode = pods[i].mode,
						.ports = { n, 0 } };
		for (int k = 0; k < POD_PORTS && pods[i].ports[k].port; k++) {
			ports[n++] = pods[i].ports[k];
			rows[i].ports.count++;
		}
		memcpy(bytes + len, pods[i].identity, size + 1);
		len += size + 1;
	}
	parts[HS_BYTES] = (struct http_part){ bytes, (__u32)len };
	parts[HS_WORKLOADS] = (struct http_part){ rows, (__u32)count };
	parts[HS_WORKLOAD_PORTS] = (struct http_part){ ports, n };
}

void pods_load(const char *yaml, const struct mesh_pod *pods, size_t count)
{
	struct hs_workload_port ports[PODS_MAX * POD_PORTS];
	struct http_part parts[HS_TABLES];
	struct hs_workload rows[PODS_MAX];
	_cleanup_free_ void *packed = NULL;
	_cleanup_free_ char *bytes = NULL;
	const struct hs_header *h;
	size_t size;

	cr_assert_leq(count, (size_t)PODS_MAX);
	rules_compile(yaml);
	h = rules_snapshot;
	for (int i = 0; i < HS_TABLES; i++)
		parts[i] = (struct http_part){ (char *)rules_snapshot + h->tables[i].at,
					       h->tables[i].count };
	bytes = malloc(parts[HS_BYTES].count + TEXTS);
	cr_assert_not_null(bytes);
	add_pods(parts, pods, count, rows, ports, bytes);
	cr_assert_eq(http_pack(parts, &packed, &size), 0);
	cr_assert_eq(rules_offer(rules_file(packed, size)), 0);
}

struct made_cert pod_cert(const char *identity, const char *names, const struct made_cert *by,
			  int days)
{
	char text[NAME_MAX_BYTES];

	cr_assert_lt(snprintf(text, sizeof(text), "URI:%s%s", identity, names), NAME_MAX_BYTES);
	return cert_make("a pod", text, by, days);
}

static struct credential_text text_of(const char *s)
{
	return (struct credential_text){ s, strlen(s) };
}

void pods_certify(const char *const *identities, const struct made_cert *by, const char *roots)
{
	_cleanup_free_ char *ca = cert_pem(by);
	struct credential items[PODS_MAX];
	char *pems[2 * PODS_MAX];
	_cleanup_free_ void *bytes = NULL;
	size_t n = 0, size;
	int fd;

	for (; identities[n]; n++) {
		struct made_cert cert;

		cr_assert_lt(n, (size_t)PODS_MAX);
		cert = pod_cert(identities[n], "", by, 1);
		pems[2 * n] = cert_pem(&cert);
		pems[2 * n + 1] = cert_key_pem(&cert);
		items[n] = (struct credential){ text_of(identities[n]), text_of(pems[2 * n]),
						text_of(pems[2 * n + 1]),
						text_of(roots ? roots : ca), text_of("") };
		cert_free(&cert);
	}
	cr_assert_eq(credentials_pack(items, n, &bytes, &size), 0);
	fd = rules_file(bytes, size);
	cr_assert_eq(tls_store_set(shared_state_tls(rules_state), fd), 0);
	close(fd);
	for (size_t i = 0; i < 2 * n; i++)
		free(pems[i]);
}
