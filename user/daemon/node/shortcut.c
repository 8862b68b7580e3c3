/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/node/shortcut.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "daemon/node/node_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

static int write_state(struct local_node *node)
{
	__u32 zero = 0;

	return bpf_map_update_elem(node->loader->map[MAP_SHORTCUT_STATE], &zero,
				   &node->shortcut.state, BPF_ANY)
		       ? log_err(-errno, "write the map %s", loader_map_name(MAP_SHORTCUT_STATE))
		       : 0;
}

void shortcut_changed(struct local_node *node)
{
	node->shortcut.state.epoch++;
	(void)write_state(node);
}

/* ---- what there is on a pod's way ---- */

static bool pod_is_bare(struct local_node *node, const struct iface *i, struct reason_text *why)
{
	const struct iface *bridge = iface_bridge(node->pods.ifaces, i);

	if (strcmp(i->link.kind, "veth") != 0)
		return because(why, "%s: is no veth", i->link.name);
	if (i->link.master && !bridge)
		return because(why, "%s: is a port of something else than a bridge", i->link.name);
	if (bridge && !bridge->bare)
		return because(why, "%s: its bridge %s does something of its own", i->link.name,
			       bridge->link.name);
	return iface_is_bare(node, i, why);
}

/* ---- what follows ---- */

static void tell(struct local_node *node, const char *text)
{
	if (!strcmp(node->shortcut.text, text))
		return;
	snprintf(node->shortcut.text, sizeof(node->shortcut.text), "%s", text);
	log_info("short cut %s", text);
}

static int stop(struct local_node *node, const struct reason_text *why)
{
	char text[SHORTCUT_TEXT_MAX];

	snprintf(text, sizeof(text), "auto: not used: %s", why->s);
	tell(node, text);
	if (!node->shortcut.state.until)
		return 0;
	node->shortcut.state.until = 0;
	return write_state(node);
}

/* Until the next check. */
static int go_on(struct local_node *node)
{
	node->shortcut.state.until = clock_ns() + BARE_VALID_NS;
	return write_state(node);
}

struct count {
	unsigned pods, bare;
	struct reason_text why; /* of the last that is not */
};

/* The map's entry first, then its epoch (pod_write()): a program that sees the epoch sees the
 * entry. */
static int judge_pod(struct local_node *node, struct iface *i, struct count *c)
{
	bool bare = pod_is_bare(node, i, &c->why);
	int r;

	c->pods++;
	c->bare += bare;
	if (bare == i->bare)
		return 0;
	i->bare = bare;
	r = pod_write(node, i);
	if (r)
		i->bare = !bare; /* as the map has it: the next check writes it */
	return r;
}

static int judge_pods(struct local_node *node, struct count *c)
{
	struct reason_text none;
	int r = 0;

	for (struct iface *i = node->pods.ifaces; i; i = i->next) {
		if (i->role == ROLE_BRIDGE || !strcmp(i->link.kind, "bridge"))
			i->bare = iface_is_bare(node, i, &none);
	}
	for (struct iface *i = node->pods.ifaces; !r && i; i = i->next) {
		if (i->role == ROLE_POD)
			r = judge_pod(node, i, c);
	}
	return r;
}

static void tell_count(struct local_node *node, const struct count *c)
{
	char text[SHORTCUT_TEXT_MAX];

	if (c->bare == c->pods)
		snprintf(text, sizeof(text), "auto: in use");
	else if (c->bare)
		snprintf(text, sizeof(text), "auto: in use, but not for %u of %u pods (%s)",
			 c->pods - c->bare, c->pods, c->why.s);
	else
		snprintf(text, sizeof(text), "auto: not used: %s", c->why.s);
	tell(node, text);
}

int shortcut_refresh(struct local_node *node)
{
	struct reason_text why;
	struct count c = {};
	int r;

	if (node->shortcut.mode != SHORTCUT_AUTO)
		return 0;
	if (!node_is_bare(node, &why) || !qdiscs_read(node, &why))
		return stop(node, &why);
	r = judge_pods(node, &c);
	if (r) {
		because(&why, "the pods can't be written: %s", strerror(-r));
		(void)stop(node, &why);
		return r;
	}
	tell_count(node, &c);
	return go_on(node);
}

int shortcut_open(struct local_node *node, enum shortcut_mode mode)
{
	struct shortcuts *s = &node->shortcut;
	__u32 zero = 0;

	s->mode = mode;
	if (bpf_map_lookup_elem(node->loader->map[MAP_SHORTCUT_STATE], &zero, &s->state))
		return log_err(-errno, "read the map %s", loader_map_name(MAP_SHORTCUT_STATE));
	s->state.until = mode == SHORTCUT_ALWAYS ? ~0ull : 0;
	s->state.epoch++;
	snprintf(s->text, sizeof(s->text), "%s",
		 mode == SHORTCUT_ALWAYS  ? "always"
		 : mode == SHORTCUT_NEVER ? "never"
					  : "auto: not looked at yet");
	return write_state(node);
}
