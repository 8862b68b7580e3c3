// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/client.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"

/* An address that stands for all is called by that of this machine. */
static json_t *url_of(const char *address)
{
	const char *port = strrchr(address, ':');

	if (port && !strncmp(address, "0.0.0.0:", 8))
		return json_textf("http://127.0.0.1%s/", port);
	if (port && !strncmp(address, "[::]:", 5))
		return json_textf("http://[::1]%s/", port);
	return json_textf("http://%s/", address);
}

/* Whether there is a screen to open a browser on. */
static bool has_screen(void)
{
	const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");

	return (x11 && *x11) || (wayland && *wayland);
}

static int open_browser(const char *url)
{
	char *const words[] = { (char *)"xdg-open", (char *)url, NULL };
	int status = 0, r;
	pid_t pid;

	r = posix_spawnp(&pid, words[0], NULL, NULL, words, environ);
	if (r)
		return cmd_failed("xdg-open: %s", strerror(r));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return cmd_failed("xdg-open: %s", strerror(errno));
	return status ? cmd_failed("xdg-open has failed") : STATUS_DONE;
}

static int show(const struct cli *cli, const char *address, bool browse)
{
	_cleanup_json_ json_t *url = url_of(address), *json = NULL;

	if (cli->output) {
		json = json_pack("{s:O}", "url", url);
		return client_print_json(json);
	}
	puts(json_string_value(url) ?: "");
	return browse && has_screen() ? open_browser(json_string_value(url)) : STATUS_DONE;
}

int cmd_dashboard(struct cli *cli, int argc, char **argv)
{
	_cleanup_json_ json_t *data = NULL;
	const char *browser = "true", *address;
	const struct cmd_option options[] = { { 0, "browser", .value = &browser, .bare = "true" },
					      { 0 } };
	int r = cmd_options(cli, &argc, argv, options);

	if (r)
		return r;
	if (argc > 1)
		return cmd_wrong(argv[0], "unexpected argument \"%s\"", argv[1]);
	if (strcmp(browser, "true") != 0 && strcmp(browser, "false") != 0)
		return cmd_wrong(argv[0], "--browser: true or false is expected, not \"%s\"",
				 browser);
	r = client_ask(cli, client_request("status"), NULL, &data);
	if (r)
		return r;
	address = json_get_text(data, "dashboard", NULL);
	if (!address)
		return cmd_failed("weftd does not serve the page: start it with --dashboard "
				  "127.0.0.1:15021");
	return show(cli, address, strcmp(browser, "true") == 0);
}
