// SPDX-License-Identifier: Apache-2.0
#include "proxy/route/tls_digest.h"

#include <openssl/evp.h>

static bool add(EVP_MD_CTX *md, struct credential_text t)
{
	uint64_t n = t.len;

	return EVP_DigestUpdate(md, &n, sizeof(n)) == 1 &&
	       (!t.len || EVP_DigestUpdate(md, t.at, t.len) == 1);
}

bool tls_digest(const struct credential *c, unsigned char out[TLS_DIGEST])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool good = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 && add(md, c->chain) &&
		    add(md, c->key) && add(md, c->ca) && add(md, c->crl) &&
		    EVP_DigestFinal_ex(md, out, NULL) == 1;

	EVP_MD_CTX_free(md);
	return good;
}
