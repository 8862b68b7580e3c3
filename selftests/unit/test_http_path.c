/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/route/path.h"

Test(http_path, is_normalized)
{
	static const char *const rows[][2] = {
		{ "/", "/" },
		{ "/a/b.c?d=/../%41", "/a/b.c?d=/../%41" },
		{ "*", "*" },
		{ "", "" },
		{ "/.", "/" },
		{ "/..", "/" },
		{ "/../../a", "/a" },
		{ "/a/.", "/a/" },
		{ "/a/..", "/" },
		{ "/a/b/..", "/a/" },
		{ "/a/b/../", "/a/" },
		{ "/a/./b/../../c", "/c" },
		{ "/a/../b?x=1", "/b?x=1" },
		{ "/a/..?x", "/?x" },
		{ "/a//b", "/a//b" },
		{ "//..", "/" },
		{ "/a//../b", "/a/b" },
		{ "/.../a..b/.c/d.", "/.../a..b/.c/d." },
		{ "/%61%62%2D%2e%5F%7e", "/ab-._~" },
		{ "/a/%2e%2E/b", "/b" },
		{ "/a/.%2e/b", "/b" },
		{ "/%2fa%5cb%20%7f%00", "/%2fa%5cb%20%7f%00" },
		{ "/%2541", "/%2541" },
		{ "/%%34%31", "/%41" },
		{ "/%4", "/%4" },
		{ "/%4g%", "/%4g%" },
		{ "/a\\..\\b", "/b" },
		{ "/?\\", "/?\\" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t n = strlen(rows[i][0]);
		char *path = malloc(n + 1);

		memcpy(path, rows[i][0], n + 1);
		n = http_path_normalize(path, n);
		cr_expect(n == strlen(rows[i][1]) && !memcmp(path, rows[i][1], n),
			  "%s becomes %.*s, not %s", rows[i][0], (int)n, path, rows[i][1]);
		free(path);
	}
}
