// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/client_hello.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

enum {
	RECORD_HEAD = 5,	  /* type, version, length */
	RECORD_MAX = 1 << 14,	  /* bytes that a record carries */
	RECORD_HANDSHAKE = 22,	  /* its type */
	MAJOR_VERSION = 3,	  /* of SSL 3.0 and all TLS */
	MESSAGE_HEAD = 4,	  /* type, length */
	MESSAGE_CLIENT_HELLO = 1, /* its type */
	RANDOM = 2 + 32,	  /* version and random number */
	SESSION_MAX = 32,
	EXTENSION_NAME = 0,
	EXTENSION_ALPN = 16,
	HOST_NAME = 0,
};

/* Bytes that have not been read yet. */
struct span {
	const unsigned char *at;
	size_t n;
};

static unsigned number(const unsigned char *at, size_t size)
{
	unsigned n = 0;

	while (size--)
		n = n << 8 | *at++;
	return n;
}

static bool skip(struct span *s, size_t n)
{
	if (s->n < n)
		return false;
	s->at += n;
	s->n -= n;
	return true;
}

/* A part that has its length in front of it, a number of `size` bytes. */
static bool take(struct span *s, size_t size, struct span *out)
{
	struct span rest = *s;
	size_t n;

	if (!skip(&rest, size))
		return false;
	n = number(s->at, size);
	*out = (struct span){ rest.at, n };
	if (!skip(&rest, n))
		return false;
	*s = rest;
	return true;
}

/* ---- names ---- */

static bool good_name(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.at[i] <= ' ' || name.at[i] >= 0x7f)
			return false;
	return name.n && name.n <= CLIENT_HELLO_NAME_MAX;
}

int client_hello_name(const void *extension, size_t n, char out[CLIENT_HELLO_NAME_MAX + 1],
		      size_t *len)
{
	struct span whole = { extension, n }, list, name;

	if (!take(&whole, 2, &list) || whole.n || !list.n || *list.at != HOST_NAME ||
	    !skip(&list, 1) || !take(&list, 2, &name) || list.n || !good_name(name))
		return -EPROTO;
	if (name.n > 1 && name.at[name.n - 1] == '.')
		name.n--;
	for (size_t i = 0; i < name.n; i++)
		out[i] = (char)tolower(name.at[i]);
	out[name.n] = 0;
	*len = name.n;
	return 0;
}

static bool printable(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.at[i] <= ' ' || text.at[i] >= 0x7f || text.at[i] == ',')
			return false;
	return true;
}

static bool is_mesh(struct span protocol)
{
	static const char *const names[] = { "istio", "istio-http/1.1", "istio-peer-exchange" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (protocol.n == strlen(names[i]) && !memcmp(protocol.at, names[i], protocol.n))
			return true;
	return false;
}

/* A list that is malformed is for the one that answers to refuse. */
static void read_protocols(struct span extension, struct client_hello *out)
{
	struct span list, protocol;
	size_t len = 0;

	if (!take(&extension, 2, &list) || extension.n)
		return;
	while (take(&list, 1, &protocol) && protocol.n) {
		out->mesh |= is_mesh(protocol);
		if (!printable(protocol) || len + !!len + protocol.n > CLIENT_HELLO_ALPN_MAX)
			continue;
		if (len)
			out->alpn[len++] = ',';
		memcpy(out->alpn + len, protocol.at, protocol.n);
		len += protocol.n;
	}
	out->alpn[len] = 0;
}

/* ---- the message ---- */

/* With two names there would be two answers to the question whose connection it is. */
static int read_extensions(struct span s, struct client_hello *out)
{
	bool named = false;
	struct span extension;
	unsigned type;
	int r = 0;

	while (!r && s.n) {
		type = s.n < 2 ? 0 : number(s.at, 2);
		if (!skip(&s, 2) || !take(&s, 2, &extension))
			return -EPROTO;
		if (type == EXTENSION_ALPN)
			read_protocols(extension, out);
		if (type != EXTENSION_NAME)
			continue;
		r = named ? -EPROTO
			  : client_hello_name(extension.at, extension.n, out->name, &out->name_len);
		named = true;
	}
	return r;
}

static int read_message(struct span s, struct client_hello *out)
{
	struct span session, ciphers, compressions, extensions;

	if (!skip(&s, RANDOM) || !take(&s, 1, &session) || session.n > SESSION_MAX ||
	    !take(&s, 2, &ciphers) || !ciphers.n || ciphers.n % 2 || !take(&s, 1, &compressions) ||
	    !compressions.n)
		return -EPROTO;
	/* There need not be any. */
	if (!s.n)
		return 0;
	if (!take(&s, 2, &extensions) || s.n)
		return -EPROTO;
	return read_extensions(extensions, out);
}

/* ---- records ---- */

/* A message that may lie in several records, as far as it has been put together. */
struct message {
	unsigned char bytes[CLIENT_HELLO_MAX];
	size_t have;
};

/* How long it is; as long as that is not known, its head. */
static size_t length_of(const struct message *m)
{
	if (m->have < MESSAGE_HEAD)
		return MESSAGE_HEAD;
	return MESSAGE_HEAD + number(m->bytes + 1, MESSAGE_HEAD - 1);
}

static bool complete(const struct message *m)
{
	return m->have >= MESSAGE_HEAD && m->have >= length_of(m);
}

/* As much as there is of a record's head. */
static bool good_record(struct span s)
{
	size_t n;

	if ((s.n > 0 && s.at[0] != RECORD_HANDSHAKE) || (s.n > 1 && s.at[1] != MAJOR_VERSION))
		return false;
	n = s.n < RECORD_HEAD ? 1 : number(s.at + 3, 2);
	return n && n <= RECORD_MAX;
}

static int more(size_t needed, struct client_hello *out)
{
	out->needed = needed;
	return needed > CLIENT_HELLO_MAX ? -E2BIG : -EAGAIN;
}

/* Puts together what of the message is in the record at `at`, and moves that behind it. 0, or what
 * client_hello_read() returns. */
static int read_record(struct span all, size_t *at, struct message *m, struct client_hello *out)
{
	struct span s = { all.at + *at, all.n - *at };
	size_t n;

	if (!good_record(s))
		return -EPROTO;
	if (s.n < RECORD_HEAD)
		return more(*at + (s.n ? RECORD_HEAD : 1), out);
	n = number(s.at + 3, 2);
	*at += RECORD_HEAD;
	while (n && !complete(m)) {
		size_t want = length_of(m) - m->have, there = all.n - *at;

		if (*at + want > CLIENT_HELLO_MAX)
			return -E2BIG;
		want = want < n ? want : n;
		if (there < want) {
			/* Its type is told by its first byte. */
			if (there && !m->have && all.at[*at] != MESSAGE_CLIENT_HELLO)
				return -EPROTO;
			return more(*at + want, out);
		}
		memcpy(m->bytes + m->have, all.at + *at, want);
		m->have += want;
		*at += want;
		n -= want;
		if (*m->bytes != MESSAGE_CLIENT_HELLO)
			return -EPROTO;
	}
	return 0;
}

int client_hello_read(const void *bytes, size_t n, struct client_hello *out)
{
	const struct span all = { bytes, n };
	struct message m;
	size_t at = 0;
	int r = 0;

	*out = (struct client_hello){ .name_len = 0 };
	m.have = 0;
	while (!r && !complete(&m))
		r = read_record(all, &at, &m, out);
	if (r)
		return r;
	return read_message((struct span){ m.bytes + MESSAGE_HEAD, m.have - MESSAGE_HEAD }, out);
}
