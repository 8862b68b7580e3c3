// SPDX-License-Identifier: Apache-2.0
#include "daemon/pki/certificate_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "lib/base/cleanup.h"
#include "lib/model/client_tls.h"

/* The whole of it, which must be a regular file: nothing that would have weftd wait. */
static int read_whole(int fd, size_t size, char **out, size_t *len)
{
	_cleanup_free_ char *bytes = malloc(size + 1);
	ssize_t n = 0;

	if (!bytes)
		return -ENOMEM;
	for (*len = 0; *len < size; *len += (size_t)n) {
		n = read(fd, bytes + *len, size - *len);
		if (n < 0)
			return -errno;
		if (!n)
			break;
	}
	*out = TAKE_PTR(bytes);
	return 0;
}

enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/* The file, or -errno. */
static int open_beneath(const char *path, const char *dir)
{
	const struct open_how how = { .flags = OPEN_FLAGS,
				      .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	const char *rest = client_tls_beneath(path, dir);
	_cleanup_close_ int at = -1;
	long fd;

	if (!rest)
		return -EXDEV;
	at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return -errno;
	fd = syscall(SYS_openat2, at, rest, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

static int open_file(const char *path, const char *beneath)
{
	int fd;

	if (beneath)
		return open_beneath(path, beneath);
	fd = open(path, OPEN_FLAGS);
	return fd < 0 ? -errno : fd;
}

static int read_file(const char *path, const char *beneath, char **out, size_t *len)
{
	_cleanup_close_ int fd = open_file(path, beneath);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > CERTIFICATE_FILE_MAX)
		return -EFBIG;
	return read_whole(fd, (size_t)st.st_size, out, len);
}

static void not_read(const char *path, int r, char **why)
{
	if (asprintf(why, "%s can't be read: %s", path, strerror(-r)) < 0)
		*why = NULL;
}

int certificate_files_read(const char *paths, const char *beneath, struct certificate_files *out,
			   char **why)
{
	struct credential_text *parts[CERTIFICATE_FILES] = { &out->c.chain, &out->c.key, &out->c.ca,
							     &out->c.crl };
	_cleanup_free_ char *copy = strdup(paths);
	char *rest = copy, *path;
	int r;

	if (!copy)
		return -ENOMEM;
	for (int i = 0; i < CERTIFICATE_FILES; i++) {
		path = strsep(&rest, ";");
		if (!path || !*path)
			continue;
		r = read_file(path, beneath, &out->bytes[i], &parts[i]->len);
		if (r == -ENOMEM)
			return r;
		if (r) {
			not_read(path, r, why);
			return -EINVAL;
		}
		parts[i]->at = out->bytes[i];
	}
	return 0;
}

int certificate_files_read_system(struct certificate_files *out, char **why)
{
	static const char *const known[] = {
		"/etc/ssl/certs/ca-certificates.crt",		     /* Debian, Alpine */
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Red Hat */
		"/etc/ssl/ca-bundle.pem",			     /* SUSE */
		"/etc/ssl/cert.pem",
	};
	const char *path = getenv("SSL_CERT_FILE");
	_cleanup_free_ char *paths = NULL;

	for (size_t i = 0; !path && i < sizeof(known) / sizeof(*known); i++)
		if (!access(known[i], R_OK))
			path = known[i];
	if (!path) {
		*why = strdup("the system has no file of certificates that it believes");
		return -EINVAL;
	}
	if (asprintf(&paths, ";;%s;", path) < 0) {
		paths = NULL;
		return -ENOMEM;
	}
	return certificate_files_read(paths, NULL, out, why);
}

void certificate_files_free(struct certificate_files *f)
{
	struct credential_text parts[CERTIFICATE_FILES] = { f->c.chain, f->c.key, f->c.ca,
							    f->c.crl };

	for (int i = 0; i < CERTIFICATE_FILES; i++) {
		if (f->bytes[i])
			explicit_bzero(f->bytes[i], parts[i].len);
		free(f->bytes[i]);
	}
}
