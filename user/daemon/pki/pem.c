// SPDX-License-Identifier: Apache-2.0
#include "daemon/pki/pem.h"

#include <limits.h>
#include <string.h>
#include <time.h>

BIO *pem_open(struct credential_text text)
{
	return text.len <= INT_MAX ? BIO_new_mem_buf(text.at, (int)text.len) : NULL;
}

int pem_no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

X509 *pem_certificate(BIO *in)
{
	return PEM_read_bio_X509(in, NULL, pem_no_password, NULL);
}

bool pem_at_end(void)
{
	unsigned long e = ERR_peek_last_error();
	bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

	ERR_clear_error();
	return end;
}

EVP_PKEY *pem_key(struct credential_text text)
{
	_cleanup_(BIO_free_allp) BIO *in = pem_open(text);

	return in ? PEM_read_bio_PrivateKey(in, NULL, pem_no_password, NULL) : NULL;
}

int64_t pem_seconds(const ASN1_TIME *at)
{
	struct tm tm = { 0 };

	return ASN1_TIME_to_tm(at, &tm) ? (int64_t)timegm(&tm) : 0;
}

char *pem_written(BIO *out)
{
	char *at = NULL;
	long len = BIO_get_mem_data(out, &at);

	return len > 0 ? strndup(at, (size_t)len) : NULL;
}
