// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates on their way to weft-proxy: Secrets and files as they are read and looked at, what
 * the supervisor is given of them, and that no answer shows a key.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "daemon/api/handlers_object.h"
#include "daemon/pki/certificate.h"
#include "daemon/pki/certificate_files.h"
#include "daemon/engine/credential_keeper.h"
#include "daemon/supervisor/supervisor_priv.h"
#include "lib/base/base64.h"
#include "lib/base/cleanup.h"
#include "lib/schema/parse.h"
#include "lib/wire/credentials.h"
#include "test_http_util.h"

enum { DAY_S = 86400 };

DEFINE_CLEANUP(struct credentials *, credentials_close);

/* ---- certificates, made here ---- */

struct pair {
	char cert[4096], key[4096];
};

static void take(BIO *from, char *to, size_t size)
{
	int n = BIO_read(from, to, (int)size - 1);

	cr_assert_gt(n, 0);
	to[n] = '\0';
	BIO_free(from);
}

/* Signed by itself, good for so many days (negative: expired). Takes the key over. */
static void make_pair_of(struct pair *out, const char *name, int days, EVP_PKEY *key,
			 const EVP_MD *md)
{
	X509 *cert = X509_new();
	BIO *bio;

	cr_assert(key && cert);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -30 * DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(cert), (long)days * DAY_S + 60);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_set_pubkey(cert, key);
	cr_assert(X509_sign(cert, key, md));
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, cert);
	take(bio, out->cert, sizeof(out->cert));
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	take(bio, out->key, sizeof(out->key));
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void make_pair(struct pair *out, const char *name, int days)
{
	make_pair_of(out, name, days, EVP_EC_gen("P-256"), EVP_sha256());
}

static struct credential_text text(const char *s)
{
	return (struct credential_text){ s, strlen(s) };
}

static bool is(struct credential_text got, const char *want)
{
	return got.len == strlen(want) && !memcmp(got.at, want, got.len);
}

/* ---- looking at them ---- */

Test(certificates, what_openssl_cannot_use_is_told)
{
	struct certificate_facts facts = { 0 };
	struct pair a, b;
	struct credential c;

	make_pair(&a, "a.example.com", 90);
	make_pair(&b, "b.example.com", 90);
	c = (struct credential){ .chain = text(a.cert), .key = text(a.key) };
	cr_expect_null(certificate_check(&c, &facts));
	cr_expect_str_eq(facts.subject, "a.example.com");
	cr_expect_lt(llabs(facts.not_after - (time(NULL) + 90 * DAY_S)), 3600);
	certificate_facts_free(&facts);
	c.ca = text(b.cert);
	cr_expect_null(certificate_check(&c, &facts));
	certificate_facts_free(&facts);

	c.ca = text("no PEM");
	cr_expect_str_eq(certificate_check(&c, &facts),
			 "has a CA of clients' certificates that can't be read");
	c.ca = text("");
	c.crl = text(a.cert);
	cr_expect_str_eq(certificate_check(&c, &facts),
			 "has a list of revoked certificates (CRL) that can't be read");
	c.crl = text("");
	c.key = text(b.key);
	cr_expect_str_eq(certificate_check(&c, &facts),
			 "has a private key that is not the certificate's");
	c.key = text(a.cert);
	cr_expect_str_eq(certificate_check(&c, &facts),
			 "has a private key that can't be read, or is encrypted");
	c.key = text("");
	cr_expect_str_eq(certificate_check(&c, &facts), "has no private key");
	c.chain = text(a.key);
	cr_expect_str_eq(certificate_check(&c, &facts), "has no certificate");
	c.chain = text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	cr_expect_str_eq(certificate_check(&c, &facts), "has a certificate that can't be read");
	c.chain = text("");
	cr_expect_str_eq(certificate_check(&c, &facts), "has no certificate");
	cr_expect_null(facts.subject);
}

/* Level 1 asks for RSA keys of 1024 bits, level 2, which Debian has, for 2048. */
Test(certificates, what_is_too_weak_for_the_proxy_is_told)
{
	struct certificate_facts facts = { 0 };
	_cleanup_free_ char *both = NULL;
	struct pair small, good;
	struct credential c;

	make_pair_of(&small, "small", 90, EVP_RSA_gen(768), EVP_sha256());
	make_pair(&good, "good", 90);
	c = (struct credential){ .chain = text(small.cert), .key = text(small.key) };
	cr_expect_str_eq(certificate_check(&c, &facts),
			 "has a certificate that OpenSSL does not use: its key or a signature of "
			 "its chain is too weak");
	cr_assert(asprintf(&both, "%s%s", good.cert, small.cert) > 0);
	c = (struct credential){ .chain = text(both), .key = text(good.key) };
	cr_expect_str_eq(certificate_check(&c, &facts),
			 "has a certificate that OpenSSL does not use: its key or a signature of "
			 "its chain is too weak");
	cr_expect_null(facts.subject);
}

/* ---- Secrets ---- */

/* "NAME: BASE64\n" for one item of `data`. */
static char *item(const char *name, const char *value)
{
	_cleanup_free_ char *encoded = base64_encode(value, strlen(value));
	char *out;

	cr_assert(asprintf(&out, "  %s: %s\n", name, encoded) > 0);
	return out;
}

static struct object *parse_secret(struct objects *out, const char *yaml)
{
	struct errors errors = { 0 };

	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), out, &errors, NULL), 0, "%s",
		     errors.count ? errors.items[0].text : "");
	errors_free(&errors);
	return out->items[out->count - 1];
}

static bool holds(struct secret_bytes got, const char *want)
{
	return got.len == strlen(want) && !memcmp(got.at ? got.at : "", want, got.len);
}

#define SECRET "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\n"

Test(certificates, a_secret_is_read_by_istios_names)
{
	static const struct {
		const char *yaml, *chain, *key, *ca, *crl;
	} rows[] = {
		{ "data: {tls.crt: Yw==, tls.key: aw==, ca.crt: YQ==, ca.crl: cg==}", "c", "k", "a",
		  "r" },
		{ "data: {cert: Yw==, key: aw==, cacert: YQ==, crl: cg==}", "c", "k", "a", "r" },
		/* Both of one kind. */
		{ "data: {cert: WA==, tls.crt: Yw==, tls.key: aw==}", "c", "k", "", "" },
		{ "data: {cert: Yw==, key: aw==, tls.crt: WA==, tls.key: WA==}", "c", "k", "", "" },
		{ "data: {cacert: YQ==}", "", "", "a", "" },
		{ "data: {tls.crt: WA==, tls.key: aw==}\nstringData: {tls.crt: c}", "c", "k", "",
		  "" },
		{ "data:\n  tls.crt: |\n    Y\n    w==\n  other: '!'", "c", "", "", "" },
		{ "type: Opaque", "", "", "", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_free_ char *yaml = NULL;
		struct objects objects = { 0 };
		const struct secret *s;

		cr_assert(asprintf(&yaml, "%s%s\n", SECRET, rows[i].yaml) > 0);
		s = &parse_secret(&objects, yaml)->secret;
		cr_expect(holds(s->chain, rows[i].chain) && holds(s->key, rows[i].key) &&
				  holds(s->ca, rows[i].ca) && holds(s->crl, rows[i].crl),
			  "%s", rows[i].yaml);
		objects_free(&objects);
	}
}

Test(certificates, no_answer_shows_what_is_in_a_secret)
{
	struct objects objects = { 0 };
	const struct object *o = parse_secret(
		&objects,
		SECRET "data: {tls.crt: Yw==, tls.key: aGlkZGVu}\nstringData: {key: hidden}\n");
	json_auto_t *json = object_json(o), *yaml = object_yaml(o), *columns = object_columns(o);
	_cleanup_free_ char *text = json_dumps(json, 0), *row = json_dumps(columns, 0);

	cr_assert(json && yaml && text && row);
	cr_expect(strstr(text, "tls.key") && strstr(json_string_value(yaml), "tls.key"));
	cr_expect(!strstr(text, "aGlkZGVu") && !strstr(text, "hidden"), "%s", text);
	cr_expect(!strstr(json_string_value(yaml), "aGlkZGVu") &&
			  !strstr(json_string_value(yaml), "hidden"),
		  "%s", json_string_value(yaml));
	cr_expect(strstr(row, "certificate,key"), "%s", row);
	objects_free(&objects);
}

/* ---- handing over ---- */

#define GATEWAY                                                    \
	"apiVersion: networking.istio.io/v1\nkind: Gateway\n"      \
	"metadata: {name: gw, namespace: ns}\nspec:\n  servers:\n" \
	"  - port: {number: 443, name: a, protocol: HTTPS}\n    hosts: ['*']\n"

struct site {
	struct http_tables rules;
	struct objects secrets;
	struct known_set known;
	struct supervisor supervisor;
	struct credential_keeper *keeper;
};

static void site_init(struct site *s, const char *tls)
{
	_cleanup_free_ char *yaml = NULL;

	*s = (struct site){ .supervisor = { .credentials = -1, .proxy = proxy_process_none } };
	cr_assert(asprintf(&yaml, "%s    tls: %s\n", GATEWAY, tls) > 0);
	http_tables_text(&s->rules, yaml);
	cr_assert_eq(s->rules.r, 0);
	cr_assert_not_null(s->rules.snapshot);
	s->keeper = credential_keeper_new(&s->supervisor, "/", NULL);
	for (size_t i = 0; i < s->rules.objects.count; i++)
		cr_assert_eq(known_add(&s->known, s->rules.objects.items[i], NULL, 0), 0);
}

static void site_free(struct site *s)
{
	credential_keeper_free(s->keeper);
	if (s->supervisor.credentials >= 0)
		close(s->supervisor.credentials);
	known_free(&s->known);
	objects_free(&s->secrets);
	http_tables_free(&s->rules);
}

/* Puts a Secret in the place of the one of that name. */
static void put_secret(struct site *s, const char *name, const char *cert, const char *key,
		       const char *ca)
{
	_cleanup_free_ char *a = item("tls.crt", cert), *b = item("tls.key", key),
			    *c = item("ca.crt", ca), *yaml = NULL;
	struct object_id id = { KIND_SECRET, "ns", name };
	struct known *k = known_find(&s->known, &id);
	struct object *o;

	cr_assert(asprintf(&yaml,
			   "apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: ns}\n"
			   "data:\n%s%s%s",
			   name, a, b, c) > 0);
	o = parse_secret(&s->secrets, yaml);
	if (k)
		k->object = o;
	else
		cr_assert_eq(known_add(&s->known, o, NULL, 0), 0);
}

static void update(struct site *s, bool more)
{
	cr_assert_eq(credential_keeper_update(s->keeper, &s->known, s->rules.snapshot, NULL, more),
		     0);
}

/* What the supervisor has for the proxy. */
static struct credentials *given(struct site *s, char bytes[65536])
{
	struct credentials *c = NULL;
	ssize_t n = pread(s->supervisor.credentials, bytes, 65536, 0);

	cr_assert_gt(n, 0);
	cr_assert_eq(credentials_open(bytes, (size_t)n, &c), 0);
	return c;
}

static const struct credential *only(const struct credentials *c)
{
	cr_assert_eq(credentials_count(c), 1);
	return credentials_at(c, 0);
}

static char *warnings(struct site *s)
{
	struct errors errors = { 0 };
	char *out = NULL;

	credential_keeper_warn(s->keeper, &s->known, s->rules.snapshot, &errors);
	out = strdup(errors.count ? errors.items[0].text : "");
	errors_free(&errors);
	return out;
}

static char room[65536];

Test(certificates, the_proxy_is_given_the_secrets_that_servers_name)
{
	struct rlimit core;
	struct pair a, b;
	struct site s;

	make_pair(&a, "a", 90);
	make_pair(&b, "b", 90);
	cr_assert_eq(getrlimit(RLIMIT_CORE, &core), 0);
	core.rlim_cur = core.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_CORE, &core), 0);
	site_init(&s, "{mode: MUTUAL, credentialName: c}");
	update(&s, false);
	{
		_cleanup_(credentials_closep) struct credentials *c = given(&s, room);

		cr_expect_eq(credentials_count(c), 0);
	}
	put_secret(&s, "other", b.cert, b.key, "");
	put_secret(&s, "c", a.cert, a.key, b.cert);
	update(&s, false);
	{
		_cleanup_(credentials_closep) struct credentials *c = given(&s, room);

		cr_expect(is(only(c)->name, "kubernetes://ns/c"));
		cr_expect(is(only(c)->chain, a.cert) && is(only(c)->key, a.key));
		cr_expect(is(only(c)->ca, b.cert));
	}
	/* The companion counts before it. */
	put_secret(&s, "c-cacert", "", "", a.cert);
	update(&s, false);
	{
		_cleanup_(credentials_closep) struct credentials *c = given(&s, room);

		cr_expect(is(only(c)->ca, a.cert));
	}
	cr_assert_eq(getrlimit(RLIMIT_CORE, &core), 0);
	cr_expect_eq(core.rlim_cur, 0, "keys get into core dumps");
	/* Sealed: the proxy may map it. */
	cr_expect_lt(pwrite(s.supervisor.credentials, "x", 1, 0), 0);
	site_free(&s);
}

Test(certificates, one_that_is_not_good_leaves_the_last_good_one)
{
	_cleanup_free_ char *before = NULL, *after = NULL, *soon = NULL, *expired = NULL;
	struct pair a, b, late, old;
	struct site s;
	int fd;

	make_pair(&a, "a", 90);
	make_pair(&b, "b", 90);
	make_pair(&late, "late", 3);
	make_pair(&old, "old", -2);
	site_init(&s, "{mode: SIMPLE, credentialName: c}");
	put_secret(&s, "c", a.cert, b.key, "");
	update(&s, false);
	before = warnings(&s);
	cr_expect(strstr(before, "is not the certificate's: handshakes with the server fail"), "%s",
		  before);
	put_secret(&s, "c", a.cert, a.key, "");
	update(&s, false);
	fd = s.supervisor.credentials;
	put_secret(&s, "c", b.cert, a.key, "");
	update(&s, false);
	cr_expect_eq(s.supervisor.credentials, fd, "handed over without need");
	{
		_cleanup_(credentials_closep) struct credentials *c = given(&s, room);

		cr_expect(is(only(c)->chain, a.cert) && is(only(c)->key, a.key));
	}
	after = warnings(&s);
	cr_expect(strstr(after, "the server keeps what was there before"), "%s", after);
	put_secret(&s, "c", late.cert, late.key, "");
	update(&s, false);
	soon = warnings(&s);
	cr_expect(strstr(soon, "of \"late\" expires in 3 days"), "%s", soon);
	put_secret(&s, "c", old.cert, old.key, "");
	update(&s, false);
	expired = warnings(&s);
	cr_expect(strstr(expired, "of \"old\" has expired"), "%s", expired);
	site_free(&s);
}

Test(certificates, while_secrets_are_not_known_yet_the_proxy_keeps_what_it_has)
{
	struct pair a;
	struct site s;

	make_pair(&a, "a", 90);
	site_init(&s, "{mode: SIMPLE, credentialName: c}");
	s.supervisor.had_credentials = true;
	update(&s, true);
	cr_expect_eq(s.supervisor.credentials, -1);
	put_secret(&s, "c", a.cert, a.key, "");
	update(&s, true);
	cr_expect_geq(s.supervisor.credentials, 0);
	site_free(&s);
}

/* A server more, of the same port. */
#define SECOND                                                  \
	"\n  - port: {number: 443, name: b, protocol: HTTPS}\n" \
	"    hosts: [b.example.com]\n    tls: {mode: SIMPLE, credentialName: d}"

Test(certificates, a_new_proxy_is_given_what_is_known_of_them)
{
	struct pair a;
	struct site s;

	make_pair(&a, "a", 90);
	site_init(&s, "{mode: SIMPLE, credentialName: c}" SECOND);
	put_secret(&s, "c", a.cert, a.key, "");
	update(&s, true);
	cr_expect(credential_keeper_lacks(s.keeper, &s.known));
	{
		_cleanup_(credentials_closep) struct credentials *c = given(&s, room);

		cr_expect(is(only(c)->name, "kubernetes://ns/c"));
	}
	put_secret(&s, "d", a.cert, a.key, "");
	update(&s, true);
	cr_expect(!credential_keeper_lacks(s.keeper, &s.known));
	{
		_cleanup_(credentials_closep) struct credentials *c = given(&s, room);

		cr_expect_eq(credentials_count(c), 2);
	}
	site_free(&s);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	_cleanup_free_ char *path = NULL;
	FILE *f;

	cr_assert(asprintf(&path, "%s/%s", dir, name) > 0);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

Test(certificates, files_are_read_again)
{
	char dir[] = "/tmp/weft-certificates-XXXXXX";
	_cleanup_free_ char *tls = NULL, *why = NULL, *clean = NULL, *key = NULL, *gone = NULL,
			    *back = NULL;
	struct pair a, b;
	struct site s;

	make_pair(&a, "a", 90);
	make_pair(&b, "b", 90);
	cr_assert_not_null(mkdtemp(dir));
	cr_assert(asprintf(&tls, "{mode: SIMPLE, serverCertificate: %s/c, privateKey: %s/k}", dir,
			   dir) > 0);
	write_file(dir, "c", a.cert);
	site_init(&s, tls);
	update(&s, false);
	why = warnings(&s);
	cr_expect(strstr(why, "/k can't be read: No such file or directory"), "%s", why);
	write_file(dir, "k", a.key);
	update(&s, false);
	{
		_cleanup_(credentials_closep) struct credentials *c = given(&s, room);

		cr_expect(is(only(c)->chain, a.cert));
	}
	/* One file after the other, the second one not there for a moment. */
	write_file(dir, "c", b.cert);
	update(&s, false);
	cr_assert(asprintf(&key, "%s/k", dir) > 0);
	unlink(key);
	update(&s, false);
	{
		_cleanup_(credentials_closep) struct credentials *c = given(&s, room);

		cr_expect(is(only(c)->chain, a.cert) && is(only(c)->key, a.key));
	}
	gone = warnings(&s);
	cr_expect(strstr(gone, "/k can't be read: No such file or directory: the server keeps what "
			       "was there before"),
		  "%s", gone);
	write_file(dir, "c", a.cert);
	write_file(dir, "k", a.key);
	update(&s, false);
	back = warnings(&s);
	cr_expect_str_empty(back);
	write_file(dir, "c", b.cert);
	update(&s, false);
	write_file(dir, "k", b.key);
	update(&s, false);
	{
		_cleanup_(credentials_closep) struct credentials *c = given(&s, room);

		cr_expect(is(only(c)->chain, b.cert) && is(only(c)->key, b.key));
	}
	site_free(&s);
	cr_assert(asprintf(&clean, "rm -r %s", dir) > 0);
	cr_expect_eq(system(clean), 0);
}

Test(certificates, what_is_no_regular_file_is_not_waited_for)
{
	struct certificate_files files = { 0 };
	char dir[] = "/tmp/weft-certificates-XXXXXX", paths[128], *why = NULL;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(paths, sizeof(paths), "%s/fifo", dir);
	cr_assert_eq(mkfifo(paths, 0600), 0);
	snprintf(paths, sizeof(paths), "%s/fifo;;;", dir);
	cr_expect_eq(certificate_files_read(paths, NULL, &files, &why), -EINVAL);
	cr_expect(strstr(why, "Invalid argument"), "%s", why);
	certificate_files_free(&files);
	free(why);
	snprintf(paths, sizeof(paths), "%s/fifo", dir);
	unlink(paths);
	rmdir(dir);
}

Test(certificates, nothing_outside_of_the_directory_is_read)
{
	static const struct {
		const char *paths, *beneath; /* in the directory; NULL: anywhere */
		bool good;
	} rows[] = {
		{ ";;%s/in/a;", "/in", true },	     { ";;%s/in/near;", "/in", true },
		{ ";;%s/in/out;", "/in", false },    { ";;%s/out;", "/in", false },
		{ ";;%s/in/../out;", "/in", false }, { ";;%s/in/out;", NULL, true },
	};
	char dir[] = "/tmp/weft-certificates-XXXXXX", paths[128], beneath[128];
	_cleanup_free_ char *clean = NULL, *make = NULL;

	cr_assert_not_null(mkdtemp(dir));
	cr_assert(asprintf(&make,
			   "cd %s && mkdir in && echo a >in/a && echo b >out && ln -s a in/near && "
			   "ln -s ../out in/out",
			   dir) > 0);
	cr_assert_eq(system(make), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct certificate_files files = { 0 };
		char *why = NULL;

		snprintf(paths, sizeof(paths), rows[i].paths, dir);
		snprintf(beneath, sizeof(beneath), "%s%s", dir,
			 rows[i].beneath ? rows[i].beneath : "");
		cr_expect_eq(certificate_files_read(paths, rows[i].beneath ? beneath : NULL, &files,
						    &why),
			     rows[i].good ? 0 : -EINVAL, "row %zu: %s", i, why ? why : "");
		certificate_files_free(&files);
		free(why);
	}
	cr_assert(asprintf(&clean, "rm -r %s", dir) > 0);
	cr_expect_eq(system(clean), 0);
}
