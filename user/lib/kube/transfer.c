// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/kube/kube_file.h"
#include "lib/kube/transfer.h"

/*
 * A watch is silent for a minute at a time, and the server may be gone meanwhile without a word: a
 * dead connection is known after 15 + 3 * 5 seconds. So is one that does not take what is sent.
 */
enum { CONNECT_S = 10, IDLE_S = 15, PROBE_S = 5, PROBES = 3, UNACKED_MS = 30000 };

static int set_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	int probes = PROBES, unacked = UNACKED_MS;

	/* Both only bring an error forward: one that a kernel does not know is no reason to stop.
	 */
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, sizeof(unacked));
	return curl_close_on_exec(arg, fd, purpose);
}

static void set_blob(CURL *easy, CURLoption option, const char *text)
{
	struct curl_blob blob = { (void *)text, strlen(text), CURL_BLOB_COPY };

	curl_easy_setopt(easy, option, &blob);
}

static void set_tls(CURL *easy, const struct kube_config *config,
		    const struct kube_credentials *credentials)
{
	const char *cert = kube_credentials_cert(credentials),
		   *key = kube_credentials_key(credentials);

	if (config->insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (config->ca_data)
		set_blob(easy, CURLOPT_CAINFO_BLOB, config->ca_data);
	else if (config->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
	/* A bundle that has been replaced counts from the next connection on. */
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	cert = config->cert_data ? config->cert_data : cert;
	key = config->key_data ? config->key_data : key;
	if (cert)
		set_blob(easy, CURLOPT_SSLCERT_BLOB, cert);
	else if (config->cert_file)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, config->cert_file);
	if (key)
		set_blob(easy, CURLOPT_SSLKEY_BLOB, key);
	else if (config->key_file)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, config->key_file);
}

static void set_user(CURL *easy, const struct kube_config *config,
		     const struct kube_credentials *credentials)
{
	const char *token = kube_credentials_token(credentials);

	if (token) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
		curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, token);
	} else if (config->username) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, config->username);
		curl_easy_setopt(easy, CURLOPT_PASSWORD, config->password ? config->password : "");
	}
}

static void set_connection(CURL *easy, const struct kube_config *config)
{
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)IDLE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)PROBE_S);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, set_socket);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	if (config->proxy_url)
		curl_easy_setopt(easy, CURLOPT_PROXY, config->proxy_url);
}

/* ---- the request ---- */

static int add_header(struct kube_transfer *t, const char *name, const char *value)
{
	_cleanup_free_ char *line = NULL;
	struct curl_slist *more;

	if (asprintf(&line, "%s:%s%s", name, *value ? " " : "", value) < 0)
		return -ENOMEM;
	more = curl_slist_append(t->headers, line);
	if (!more)
		return -ENOMEM;
	t->headers = more;
	return 0;
}

static int set_headers(struct kube_transfer *t, const struct kube_request *request)
{
	const char *accept = request->accept ? request->accept : "application/json";

	/* "Expect:" takes away what libcurl would wait a second for. */
	if (add_header(t, "Accept", accept) || add_header(t, "Expect", ""))
		return -ENOMEM;
	if (request->type && add_header(t, "Content-Type", request->type))
		return -ENOMEM;
	if (request->etag && add_header(t, "If-None-Match", request->etag))
		return -ENOMEM;
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "weft/" WEFT_VERSION);
	return 0;
}

/* The server's certificate is checked against the name in the URL: where it is for another one,
 * that stands there, and the connection goes to the server all the same. */
static int set_server_name(struct kube_transfer *t, const struct kube_config *config,
			   const char *path)
{
	const char *host = strstr(config->server, "://") + 3;
	size_t scheme = (size_t)(host - config->server), len = strcspn(host, "/");
	const char *last = host[0] == '[' ? strchr(host, ']') : host, *port;
	_cleanup_free_ char *url = NULL, *entry = NULL;

	port = last ? memchr(last, ':', (size_t)(host + len - last)) : NULL;
	if (asprintf(&url, "%.*s%s%s%s", (int)scheme, config->server, config->tls_server_name,
		     host + len, path) < 0 ||
	    asprintf(&entry, "::%.*s%s", (int)len, host, port ? "" : ":") < 0)
		return -ENOMEM;
	t->connect_to = curl_slist_append(NULL, entry);
	if (!t->connect_to)
		return -ENOMEM;
	curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to);
	return curl_easy_setopt(t->easy, CURLOPT_URL, url) ? -ENOMEM : 0;
}

static int set_url(struct kube_transfer *t, const struct kube_config *config, const char *path)
{
	_cleanup_free_ char *url = NULL;

	if (config->tls_server_name)
		return set_server_name(t, config, path);
	if (asprintf(&url, "%s%s", config->server, path) < 0)
		return -ENOMEM;
	return curl_easy_setopt(t->easy, CURLOPT_URL, url) ? -ENOMEM : 0;
}

static void set_body(CURL *easy, const struct kube_request *request)
{
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	if (!request->body)
		return;
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->size);
}

static void free_lists(struct kube_transfer *t)
{
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->connect_to);
	t->headers = t->connect_to = NULL;
}

int kube_transfer_open(struct kube_transfer *t, const struct kube_config *config,
		       const struct kube_credentials *credentials,
		       const struct kube_request *request)
{
	if (t->easy)
		curl_easy_reset(t->easy);
	else
		t->easy = curl_easy_init();
	if (!t->easy)
		return -ENOMEM;
	free_lists(t);
	t->detail[0] = '\0';
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->detail);
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT, (long)request->timeout_s);
	set_connection(t->easy, config);
	set_tls(t->easy, config, credentials);
	set_user(t->easy, config, credentials);
	set_body(t->easy, request);
	return set_headers(t, request) || set_url(t, config, request->path) ? -ENOMEM : 0;
}

void kube_transfer_close(struct kube_transfer *t)
{
	if (t->easy)
		curl_easy_cleanup(t->easy);
	t->easy = NULL;
	free_lists(t);
}

const char *kube_transfer_error(const struct kube_transfer *t, const struct kube_config *config,
				CURLcode code, char error[KUBE_ERROR_MAX])
{
	const char *detail = *t->detail ? t->detail : curl_easy_strerror(code);

	kube_error(error, 0, "no answer from the API server at %s: %s", config->server, detail);
	return error;
}
