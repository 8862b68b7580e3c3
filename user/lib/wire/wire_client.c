// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/cleanup.h"
#include "lib/wire/wire_client.h"

int wire_address(const char *run_dir, struct sockaddr_un *out)
{
	int n;

	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(out->sun_path, sizeof(out->sun_path), "%s/" WIRE_SOCKET, run_dir);
	return n < 0 || (size_t)n >= sizeof(out->sun_path) ? -ENAMETOOLONG : 0;
}

int wire_connect(const char *run_dir)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un at;
	int r = wire_address(run_dir, &at);

	if (r)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return -errno;
	return TAKE_FD(fd);
}

static int send_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= n;
	}
	return 0;
}

static int receive(int fd, struct wire_inbox *in, json_t **reply)
{
	for (;;) {
		enum wire_problem problem;
		struct wire_frame frame;
		size_t need;
		long n = wire_parse(in->bytes ? in->bytes : "", in->len, &frame, &need, &problem);

		if (n == -1)
			return -EPROTO;
		if (n > 0) {
			*reply = frame.json;
			return 0;
		}
		n = wire_inbox_read(in, fd, need);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && n != -EINTR)
			return (int)n;
	}
}

int wire_call(int fd, const json_t *request, const void *blob, size_t blob_len, json_t **reply)
{
	_cleanup_free_ char *frame = NULL;
	struct wire_inbox in = { 0 };
	size_t len;
	int r = wire_pack(request, blob, blob_len, &frame, &len);
	int sent;

	if (r)
		return r;
	sent = send_all(fd, frame, len);
	/* weftd may have refused the request before it was whole: its answer says more than EPIPE.
	 */
	r = receive(fd, &in, reply);
	wire_inbox_free(&in);
	return r && sent ? sent : r;
}
