// SPDX-License-Identifier: Apache-2.0
#include "lib/l7/l7.h"

#include <errno.h>

#include "lib/l7/l7_priv.h"

static int compile_all(struct http_compiler *c)
{
	int r;

	http_check(c);
	r = world_sources(&c->world);
	if (!r)
		r = http_compile_mesh(c);
	if (!r)
		r = http_compile_gateways(c);
	if (!r)
		r = http_listeners_write(c);
	if (!r)
		r = http_sources_write(c);
	http_namespaces_write(c);
	if (!r && c->world.nomem)
		r = -ENOMEM;
	return r;
}

static void compiler_done(struct http_compiler *c)
{
	world_done(&c->world);
	http_build_done(&c->build);
	bytemap_free(&c->clusters);
	bytemap_free(&c->plains);
	bytemap_free(&c->seen);
	free(c->domains.items);
	errors_free(&c->scratch);
}

int http_compile(const struct objects *objects, struct registry *registry, void **out, size_t *size,
		 struct errors *errors)
{
	_cleanup_(compiler_done) struct http_compiler c = { .errors = errors };
	size_t before = errors->count - errors->warnings;
	int r = http_build_init(&c.build);

	if (!r)
		r = world_init(&c.world, objects, registry, &c.scratch);
	if (!r)
		r = compile_all(&c);
	if (r)
		return r;
	if (errors->count - errors->warnings > before)
		return -EINVAL;
	return http_build_finish(&c.build, out, size);
}
