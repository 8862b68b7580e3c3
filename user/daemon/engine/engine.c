// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "daemon/engine/engine.h"
#include "daemon/objects/stage.h"
#include "daemon/engine/engine_warnings.h"
#include "daemon/identity/identity_warnings.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mesh/names_wanted.h"
#include "lib/route/pack.h"
#include "lib/schema/parse.h"

enum {
	WARNINGS_MAX = 20, /* that are told of what was loaded */
	FILES_MS = 5000,   /* until certificate files are looked at again */
	HOLD_MS = 5000,	   /* at most that a new proxy waits for certificates and keys */
};

/* A change on its way: staged and compiled, perhaps waiting for the proxy or for its turn. */
struct task {
	struct task *next; /* in the queue */
	struct engine *engine;
	struct change *change;
	struct change_report report;
	struct stage stage;
	struct tables *tables;
	struct compile_index *index; /* of its tables */
	struct answers *answers;     /* of DNS, that it was compiled with */
	bool whole;		     /* it was: the answers in force are not its own */
	json_t *warned;		     /* warnings_set() of its compilation */
	uint64_t version;	     /* of the engine, when it was staged */
	double staged, compiled;     /* ms */
	engine_done_fn done;
	void *arg;
};

struct engine {
	struct kernel *kernel;
	struct supervisor *proxy;
	struct object_source **sources;
	size_t source_count;
	struct engine_options o;
	struct credential_keeper *credentials;
	struct name_keeper *names;
	struct answers *answers; /* of DNS, that tables and index were compiled with; or NULL */
	uint64_t names_begun;	 /* clock_ms() of a compilation for them */
	struct event_timer files_timer; /* looks at certificate files */
	struct event_timer hold_timer;	/* while `holds` */
	struct registry *registry;
	struct known_set known;
	struct tables *tables;
	struct compile_index *index; /* of the tables; NULL: there is none */
	bool keeps_index;	     /* a compilation makes one */
	json_t *warned;		     /* warnings_set() of the compilation in force */
	json_t *all_warned;	     /* with those of certificates; NULL: there are none of these */
	uint64_t version;	     /* counts the changes that have taken effect */
	uint64_t services;	     /* `version` when a Service changed last */
	struct engine_counts counts;
	/* One snapshot at a time is handed over to the proxy. */
	bool asking;
	struct task *asked; /* the change it belongs to; NULL: what is in force is put back */
	bool put_back;	    /* the proxy may have rules that are not in force */
	bool waits;	    /* what is in force stays until a change completes the objects */
	bool holds;	    /* what is in force stays, and its proxy, until the next change */
	struct task *queue; /* of those that need the proxy, too */
};

static double now_ms(void)
{
	return (double)clock_ns() / 1e6;
}

static void compile_for_names(void *engine);

struct engine *engine_new(struct kernel *kernel, struct supervisor *proxy,
			  struct object_source *const *sources, size_t count,
			  const struct engine_options *options)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->kernel = kernel;
	e->proxy = proxy;
	e->o = *options;
	e->credentials = credential_keeper_new(proxy, options->client_tls_dir, options->identities);
	e->names = name_keeper_new(options->resolver, compile_for_names, e);
	e->registry = registry_new();
	e->sources = malloc((count + 1) * sizeof(struct object_source *));
	if (!e->registry || !e->sources || !e->credentials || !e->names) {
		engine_free(e);
		return NULL;
	}
	memcpy(e->sources, sources, count * sizeof(*sources));
	e->source_count = count;
	for (size_t i = 0; i < count; i++)
		e->keeps_index |= sources[i]->many_changes;
	return e;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	compile_index_free(e->index);
	tables_free(e->tables);
	for (size_t i = 0; i < e->known.count; i++) {
		object_free(e->known.items[i].object);
		origin_unref(e->known.items[i].origin);
	}
	known_free(&e->known);
	registry_free(e->registry);
	event_timer_close(&e->files_timer);
	event_timer_close(&e->hold_timer);
	credential_keeper_free(e->credentials);
	name_keeper_free(e->names);
	answers_unref(e->answers);
	json_decref(e->warned);
	json_decref(e->all_warned);
	free(e->sources);
	free(e);
}

static int list_set(const struct engine *e, const struct known_set *set,
		    const struct answers *answers, struct objects *out)
{
	struct object **items = malloc((set->count + 1) * sizeof(struct object *));

	if (!items)
		return -ENOMEM;
	*out = (struct objects){ .items = items,
				 .node = e->o.node,
				 .secrets_in = e->o.secrets_in,
				 .resolved = answers ? &answers->set : NULL,
				 .registry_only = e->o.registry_only,
				 .labelled_only = kernel_enrol(e->kernel) == ENROL_LABELLED,
				 .client_tls_dir = e->o.client_tls_dir,
				 .tracing = e->o.tracing };
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].object)
			items[out->count++] = set->items[i].object;
	return 0;
}

/* A proxy that has rules is not left with them once there are none, and its clients go to one that
 * can answer them. */
static enum compile_http http_part(const struct engine *e)
{
	return supervisor_in_force(e->proxy) || supervisor_drains(e->proxy) ? COMPILE_HTTP_ALWAYS
									    : COMPILE_HTTP_NEEDED;
}

/* The answers must be there for as long as the tables and the index. */
static int compile_set(struct engine *e, const struct answers *answers, struct tables **out,
		       struct compile_index **index, struct errors *errors)
{
	struct objects objects;
	int r = list_set(e, &e->known, answers, &objects);

	if (r)
		return r;
	r = e->keeps_index
		    ? compile_keeping(&objects, e->registry, http_part(e), out, index, errors)
		    : compile(&objects, e->registry, http_part(e), out, errors);
	free(objects.items);
	return r;
}

int engine_list(const struct engine *e, struct objects *out)
{
	return list_set(e, &e->known, e->answers, out);
}

/* Which names are to be looked up for what is in force. */
static void want_names(struct engine *e)
{
	struct objects objects;

	if (!e->o.resolver || list_set(e, &e->known, NULL, &objects))
		return;
	name_keeper_want(e->names, &objects);
	free(objects.items);
}

/* ---- the start ---- */

static bool have_more(const struct engine *e)
{
	bool more = identities_pending(e->o.identities);

	for (size_t i = 0; i < e->source_count; i++)
		more |= e->sources[i]->has_more && e->sources[i]->has_more(e->sources[i]);
	return more;
}

/* Of the rules in force, and of those that may be soon (NULL: of none). What can't be handed over
 * is told of, and handshakes that need it fail. */
static void hand_certificates(struct engine *e, const struct http_snapshot *soon)
{
	(void)credential_keeper_update(e->credentials, &e->known,
				       e->tables ? e->tables->http : NULL, soon, have_more(e));
}

/* The proxy comes first: it must have the rules for connections before it is given any. */
static int publish_first(struct engine *e)
{
	struct tables *t = e->tables;
	int r = 0;

	kernel_name_peers(e->kernel, e->registry);
	if (t->http)
		r = supervisor_snapshot_first(e->proxy, kernel_generation(e->kernel) + 1, t->http);
	return r ? r : kernel_publish(e->kernel, t);
}

static int load_all(struct engine *e, struct errors *errors)
{
	int r = 0;

	for (size_t i = 0; !r && i < e->source_count; i++)
		r = e->sources[i]->load(e->sources[i], &e->known, errors);
	return r ? r : kernel_adopt(e->kernel, e->registry);
}

/* The first source that has a part in it. */
static int mend_loaded(struct engine *e, const struct errors *errors)
{
	int r = -EINVAL;

	for (size_t i = 0; r == -EINVAL && i < e->source_count; i++)
		if (e->sources[i]->mend)
			r = e->sources[i]->mend(e->sources[i], &e->known, errors);
	return r;
}

/* Without what is refused, if its source can do without it. */
static int compile_loaded(struct engine *e, struct errors *errors)
{
	struct errors found = { 0 };
	int r;

	e->answers = name_keeper_answers(e->names);
	while ((r = compile_set(e, e->answers, &e->tables, &e->index, &found)) == -EINVAL) {
		int mended = mend_loaded(e, &found);

		if (mended) {
			r = mended;
			break;
		}
		errors_free(&found);
	}
	errors_move(errors, &found);
	return r;
}

static void tell_loaded(const struct errors *errors, int r)
{
	size_t told = 0;

	for (size_t i = 0; i < errors->count; i++)
		if (!errors->items[i].warning || told++ < WARNINGS_MAX)
			log_warning("%s", errors->items[i].text);
	if (told > WARNINGS_MAX)
		log_warning("and %zu more: weft analyze", told - WARNINGS_MAX);
	if (r == -EINVAL && errors_fatal(errors))
		log_err(0, "this version of weft refuses stored rules that another one has taken, "
			   "and does not start; what is in force stays. Go back to that version, "
			   "or move rules.journal out of the state directory, start weftd, and "
			   "apply the rules, corrected: until then none is in force");
}

/* 0, SOURCE_WAITS, or -errno. */
static int accept_all(struct engine *e)
{
	int waits = 0;

	for (size_t i = 0; i < e->source_count; i++) {
		int r = e->sources[i]->accept(e->sources[i], &e->known,
					      kernel_generation(e->kernel));

		if (r < 0)
			return r;
		waits |= r;
	}
	return waits;
}

/* Nothing is published of what was loaded. */
static void put_off(struct engine *e)
{
	compile_index_free(TAKE_PTR(e->index));
	tables_free(TAKE_PTR(e->tables));
}

/* What was loaded is not all that there is. */
static int wait_for_source(struct engine *e)
{
	e->waits = true;
	put_off(e);
	return 0;
}

/* Secrets are not written down: a new proxy that took the place of one that has them would refuse
 * handshakes until the source has told of them. */
static bool must_hold(const struct engine *e)
{
	return supervisor_is_to_succeed(e->proxy) && have_more(e) &&
	       credential_keeper_lacks(e->credentials, &e->known);
}

static int hold(struct engine *e)
{
	log_info("the new weft-proxy takes over once the Secrets of Gateways are known, or in "
		 "%d s",
		 HOLD_MS / 1000);
	e->holds = true;
	put_off(e);
	return 0;
}

int engine_start(struct engine *e)
{
	_cleanup_(errors_free) struct errors errors = { 0 };
	int r = load_all(e, &errors);

	if (!r)
		r = compile_loaded(e, &errors);
	tell_loaded(&errors, r);
	e->warned = warnings_set(&errors);
	if (r)
		return log_err(r, "load the stored rules");
	r = accept_all(e);
	if (r)
		return r == SOURCE_WAITS ? wait_for_source(e) : r;
	want_names(e);
	if (!e->known.count && !kernel_generation(e->kernel))
		return 0;
	hand_certificates(e, NULL);
	if (must_hold(e))
		return hold(e);
	r = publish_first(e);
	return r ? log_err(r, "publish the stored rules") : 0;
}

/* ---- a change ---- */

/* As if it had not been staged. */
static void unstage(struct task *t)
{
	compile_index_free(TAKE_PTR(t->index));
	tables_free(TAKE_PTR(t->tables));
	answers_unref(TAKE_PTR(t->answers));
	t->whole = false;
	stage_drop(&t->stage);
	json_decref(t->warned);
	t->warned = NULL;
	change_report_free(&t->report);
}

/* Tells what has become of it. The source may know then that there are no more Secrets. */
static void finish(struct task *t, int r)
{
	struct engine *e = t->engine;
	bool complete = !r && t->change->completes;

	stage_drop(&t->stage); /* what is known is what is in force */
	t->engine->counts.refused += r == -EINVAL;
	t->done(t->arg, r, &t->report);
	unstage(t);
	t->change->free(t->change);
	free(t);
	if (complete && !e->asking)
		hand_certificates(e, NULL);
}

/* Tells the log and the caller that asked for the change. */
static int failed(struct errors *errors, int r, const char *what)
{
	errors_add(errors, "weftd", (struct pos){ 0 }, "%s: %s", what, strerror(-r));
	return log_err(r, "%s", what);
}

static void note_warnings(struct task *t)
{
	struct change *c = t->change;

	t->warned = warnings_set(&t->report.errors);
	warnings_filter(&t->report.errors, t->engine->warned, c->files, c->file_count);
}

/* What of the change compile_patch() takes: the count, or 0 if there is more to it. Files are told
 * all warnings about them. */
static size_t list_changes(const struct task *t, struct object_change out[COMPILE_PATCH_MAX])
{
	size_t count = 0, next = 0;
	struct object_change c;

	if (!t->engine->index || t->engine->waits || t->change->file_count || t->change->anew)
		return 0;
	while (stage_next_change(&t->stage, &next, &c.old, &c.new)) {
		if (count == COMPILE_PATCH_MAX)
			return 0;
		out[count++] = c;
	}
	return count;
}

/* Of all rules, whose errors are told of as by a compilation of all objects. */
static int compile_all_rules(struct task *t, const struct object_change *changes, size_t count)
{
	struct engine *e = t->engine;
	int r = compile_rules(&e->index, changes, count, http_part(e), e->tables, &t->tables,
			      &t->report.errors);

	if (r != COMPILE_ANEW)
		note_warnings(t);
	return r;
}

/* Of requests alone: it is warned of the same as before. */
static int patch_rules(struct task *t, const struct object_change *changes, size_t count)
{
	struct engine *e = t->engine;
	int r = compile_requests(&e->index, changes, count, e->tables, &t->tables);

	if (r == COMPILE_ANEW)
		return compile_all_rules(t, changes, count);
	if (!r)
		t->warned = json_incref(e->warned);
	return r;
}

/* Of pods and endpoints: likewise. */
static int patch_endpoints(struct task *t, const struct object_change *changes, size_t count)
{
	struct engine *e = t->engine;
	int r = compile_patch(&e->index, changes, count, http_part(e), e->tables, &t->tables);

	if (!r)
		t->warned = json_incref(e->warned);
	return r;
}

static int patch(struct task *t)
{
	struct engine *e = t->engine;
	struct object_change changes[COMPILE_PATCH_MAX];
	size_t count = list_changes(t, changes);
	int r;

	if (!count)
		return COMPILE_ANEW;
	r = compile_are_rules(changes, count) ? patch_rules(t, changes, count)
					      : patch_endpoints(t, changes, count);
	if (!r)
		t->index = TAKE_PTR(e->index);
	return r;
}

/* Without what the last compilation knew, which may have been of more. */
static int compile_anew(struct task *t)
{
	struct engine *e = t->engine;
	int r;

	compile_index_free(TAKE_PTR(e->index));
	t->answers = name_keeper_answers(e->names);
	t->whole = true;
	r = compile_set(e, t->answers, &t->tables, &t->index, &t->report.errors);
	note_warnings(t);
	return r;
}

/* Stages and compiles. 1: nothing is to be done. */
static int prepare_once(struct task *t)
{
	struct engine *e = t->engine;
	struct change *c = t->change;
	int r;

	stage_init(&t->stage, &e->known);
	t->version = e->version;
	r = c->stage(c, &t->stage, &t->report);
	if (r || !(t->stage.dirty || c->anew || (c->completes && (e->waits || e->holds))))
		return r ? r : 1;
	t->staged = now_ms();
	r = patch(t);
	if (r == COMPILE_ANEW)
		r = compile_anew(t);
	t->compiled = now_ms();
	return r;
}

/* As often as the source has something to leave out. */
static int prepare(struct task *t)
{
	struct change *c = t->change;
	int r = prepare_once(t);

	while (r == -EINVAL && c->refused) {
		int again = c->refused(c, &t->report.errors);

		if (again)
			return again;
		unstage(t);
		r = prepare_once(t);
	}
	return r;
}

static bool has_service(const struct stage *st)
{
	const struct object *old, *new;
	bool any = false;
	size_t next = 0;

	while (!any && stage_next_change(st, &next, &old, &new))
		any = (old ? old : new)->kind == KIND_SERVICE;
	return any;
}

static bool concerns_names(const struct task *t)
{
	const struct object *old, *new;
	bool any = t->change->completes;
	size_t next = 0;

	while (!any && stage_next_change(&t->stage, &next, &old, &new))
		any = names_wanted_by((old ? old : new)->kind);
	return any;
}

/* It is the engine's own from now on. The old tables point into the objects that go, and into the
 * answers of DNS that they were compiled with. */
static void take_effect(struct task *t)
{
	struct engine *e = t->engine;
	bool names = concerns_names(t);

	compile_index_free(e->index);
	e->index = TAKE_PTR(t->index);
	tables_free(e->tables);
	e->tables = TAKE_PTR(t->tables);
	if (t->whole) {
		answers_unref(e->answers);
		e->answers = TAKE_PTR(t->answers);
	}
	e->version++;
	if (has_service(&t->stage))
		e->services = e->version;
	stage_keep(&t->stage);
	json_decref(e->warned);
	e->warned = TAKE_PTR(t->warned);
	e->put_back = false;
	e->waits &= !t->change->completes;
	if (e->holds)
		event_timer_stop(&e->hold_timer);
	e->holds = false;
	if (names)
		want_names(e);
}

static void tell_others(struct engine *e, const struct change *c)
{
	for (size_t i = 0; i < e->source_count; i++)
		if (e->sources[i] != c->source && e->sources[i]->others_changed)
			e->sources[i]->others_changed(e->sources[i]);
}

/* What the kernel has already is no new generation. */
static int publish(struct engine *e, struct tables *t)
{
	return e->tables && tables_same(e->tables, t) ? 0 : kernel_publish(e->kernel, t);
}

/* Stores and publishes what is staged, compiled and known to the proxy. */
static int commit(struct task *t)
{
	struct engine *e = t->engine;
	struct change *c = t->change;
	double begun = now_ms(), stored;
	int r = c->store ? c->store(c, &t->stage) : 0;

	if (r)
		return failed(&t->report.errors, r, "the rules could not be stored");
	stored = now_ms();
	r = publish(e, t->tables);
	if (r) {
		if (c->undo)
			c->undo(c);
		return failed(&t->report.errors, r, "the rules could not be put into the kernel");
	}
	take_effect(t);
	hand_certificates(e, NULL);
	e->counts.applied++;
	e->counts.last_ms = t->compiled - t->staged + now_ms() - begun;
	e->counts.applied_ms += e->counts.last_ms;
	log_debug("%zu objects: compiled in %.1f ms, stored in %.1f ms, published in %.1f ms",
		  e->known.count, t->compiled - t->staged, stored - begun, now_ms() - stored);
	if (c->kept)
		c->kept(c, &e->known);
	tell_others(e, c);
	return 0;
}

/* ---- the proxy's part in it ---- */

/* Whether the proxy has to be told before the tables may be published. While it is being told of
 * other rules, those that leave its own as they are in force need not wait for that. */
static bool needs_proxy(const struct engine *e, const struct tables *t)
{
	if (!t->http)
		return false;
	/* What is in force was told, and nothing else since. */
	if (!e->asking && !e->put_back && e->tables && t->http == e->tables->http)
		return false;
	if (!e->asking)
		return !supervisor_has_snapshot(e->proxy, t->http);
	return !e->tables || !e->tables->http || !http_snapshot_same(t->http, e->tables->http);
}

static void proxy_answered(void *engine, int r);

static void ask_proxy(struct engine *e, struct task *t)
{
	struct http_snapshot *snapshot = t ? t->tables->http : e->tables->http;

	/* As the change has them, before the rules that need them. */
	hand_certificates(e, snapshot);
	if (t)
		stage_withdraw(&t->stage);
	kernel_name_peers(e->kernel, e->registry);
	e->asking = true;
	e->asked = t;
	supervisor_snapshot(e->proxy, kernel_generation(e->kernel) + (t != NULL), snapshot,
			    proxy_answered, e);
}

/* A proxy that has been given what then did not take effect is given what is in force. */
static void put_back(struct engine *e)
{
	e->put_back = false;
	if (e->tables && e->tables->http)
		ask_proxy(e, NULL);
}

static void enqueue(struct engine *e, struct task *t)
{
	struct task **at = &e->queue;

	unstage(t); /* on what is in force when its turn comes */
	while (*at)
		at = &(*at)->next;
	t->next = NULL;
	*at = t;
}

/* There is no telling what a change of some objects makes of all of them while the others are not
 * known. */
static int refuse_early(struct task *t)
{
	errors_add(&t->report.errors, "weftd", (struct pos){ 0 },
		   "waits for the API server to tell of its objects: nothing was changed");
	return -EINVAL;
}

/* A new proxy would refuse handshakes that the one before can still do: for some seconds at most.
 */
static bool waits_for_identities(const struct engine *e)
{
	return e->holds && identities_pending(e->o.identities);
}

static void attempt(struct task *t)
{
	struct engine *e = t->engine;
	int r;

	if (waits_for_identities(e)) {
		enqueue(e, t);
		return;
	}
	r = e->waits && !t->change->completes ? refuse_early(t) : prepare(t);

	if (r)
		finish(t, r < 0 ? r : 0);
	else if (t->change->dry_run)
		finish(t, 0);
	else if (!needs_proxy(e, t->tables))
		finish(t, commit(t));
	else if (e->asking)
		enqueue(e, t);
	else
		ask_proxy(e, t);
}

static void next_tasks(struct engine *e)
{
	if (!e->asking && e->put_back)
		put_back(e);
	while (!e->asking && e->queue && !waits_for_identities(e)) {
		struct task *t = e->queue;

		e->queue = t->next;
		attempt(t);
	}
}

/* The proxy refuses the rules: those in force stay, with their certificates. */
static void give_up(struct task *t, int r)
{
	struct engine *e = t->engine;

	finish(t, failed(&t->report.errors, r, "the rules could not be put into the kernel"));
	hand_certificates(e, NULL);
}

static void proxy_answered(void *engine, int r)
{
	struct engine *e = engine;
	struct task *t = e->asked;

	e->asking = false;
	e->asked = NULL;
	e->put_back |= t != NULL;
	if (!t && r)
		log_warning("weft-proxy keeps rules that could not be published");
	else if (t && r)
		give_up(t, r);
	else if (t && t->version == e->version) {
		stage_again(&t->stage);
		finish(t, commit(t));
	} else if (t) { /* another change was faster */
		unstage(t);
		attempt(t);
	}
	next_tasks(e);
}

void engine_change(struct engine *e, struct change *c, engine_done_fn done, void *arg)
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t || !c) {
		struct change_report none = { 0 };

		if (c)
			c->free(c);
		free(t);
		done(arg, -ENOMEM, &none);
		return;
	}
	t->engine = e;
	t->change = c;
	t->done = done;
	t->arg = arg;
	attempt(t);
	next_tasks(e);
}

static void cancel(struct task *t)
{
	errors_add(&t->report.errors, "weftd", (struct pos){ 0 },
		   "ends before weft-proxy has answered: nothing was changed");
	finish(t, -ECANCELED);
}

void engine_cancel(struct engine *e)
{
	struct task *t = e->asked;

	e->asked = NULL; /* the proxy answers all the same, and is then given what is in force */
	if (t) {
		e->put_back = true;
		cancel(t);
	}
	while ((t = e->queue)) {
		e->queue = t->next;
		cancel(t);
	}
}

int engine_analyze(struct engine *e, struct errors *warnings)
{
	_cleanup_(tables_freep) struct tables *tables = NULL;
	struct compile_index *index = NULL;
	int r = compile_set(e, e->answers, &tables, &index, warnings);

	compile_index_free(index);
	if (!r)
		engine_warn_certificates(e, warnings);
	return r;
}

/* Where nothing is in force yet, what has been asked for is not to be forgotten. */
static void identities_changed(void *engine)
{
	struct engine *e = engine;

	if (e->holds)
		next_tasks(e);
	else if (!e->asking && e->tables)
		hand_certificates(e, NULL);
}

static void look_at_files(void *engine)
{
	struct engine *e = engine;

	identities_changed(e);
	event_timer_set(&e->files_timer, FILES_MS);
}

/* ---- the end of a hold ---- */

static int stage_nothing(struct change *c, struct stage *st, struct change_report *report)
{
	(void)c;
	(void)st;
	(void)report;
	return 0;
}

static void free_change(struct change *c)
{
	free(c);
}

/* Not even what was loaded: it is tried again. */
static void released(void *engine, int r, struct change_report *report)
{
	struct engine *e = engine;

	(void)report;
	if (r && r != -ECANCELED && e->holds)
		event_timer_set(&e->hold_timer, HOLD_MS);
}

/* A change of nothing, which has what was loaded take effect. */
static void release(void *engine)
{
	struct change *c = calloc(1, sizeof(*c));

	log_warning("the new weft-proxy takes over without all Secrets of Gateways: handshakes "
		    "that need them fail until the API server has told of them");
	if (c)
		*c = (struct change){ .stage = stage_nothing,
				      .free = free_change,
				      .completes = true };
	engine_change(engine, c, released, engine);
}

/* ---- other answers of DNS ---- */

static void compiled_for_names(void *engine, int r, struct change_report *report)
{
	struct engine *e = engine;

	(void)report;
	name_keeper_done(e->names, r < 0 && r != -ECANCELED, clock_ms() - e->names_begun);
}

/* What is in force waits for something else, which is compiled with the answers, too. */
static void compile_for_names(void *engine)
{
	struct engine *e = engine;
	struct change *c = e->waits || e->holds ? NULL : calloc(1, sizeof(*c));

	e->names_begun = clock_ms();
	if (!c) {
		name_keeper_done(e->names, true, 0);
		return;
	}
	*c = (struct change){ .stage = stage_nothing, .free = free_change, .anew = true };
	engine_change(e, c, compiled_for_names, e);
}

int engine_watch_names(struct engine *e, struct event_loop *loop)
{
	int r = name_keeper_watch(e->names, loop);

	return r ? log_err(r, "watch what DNS says") : 0;
}

const struct resolver *engine_resolver(const struct engine *e)
{
	return name_keeper_resolver(e->names);
}

bool engine_holds(const struct engine *e)
{
	return e->holds;
}

int engine_watch_certificates(struct engine *e, struct event_loop *loop)
{
	int r = event_timer_open(loop, &e->files_timer, look_at_files, e);

	if (!r)
		r = event_timer_open(loop, &e->hold_timer, release, e);
	if (!r)
		event_timer_set(&e->files_timer, FILES_MS);
	if (!r && e->o.identities)
		identities_watch(e->o.identities, identities_changed, e);
	if (!r && e->holds)
		event_timer_set(&e->hold_timer, HOLD_MS);
	return r ? log_err(r, "watch certificate files") : 0;
}

bool engine_certificate(const struct engine *e, const char *name, size_t len,
			struct credential_state *out)
{
	return credential_keeper_find(e->credentials, name, len, out);
}

void engine_warn_certificates(const struct engine *e, struct errors *warnings)
{
	if (e->tables)
		credential_keeper_warn(e->credentials, &e->known, e->tables->http, warnings);
	identities_warn(e->o.identities, (int64_t)time(NULL), warnings);
}

const struct identities *engine_identities(const struct engine *e)
{
	return e->o.identities;
}

const json_t *engine_warned(struct engine *e)
{
	_cleanup_(errors_free) struct errors errors = { 0 };

	engine_warn_certificates(e, &errors);
	json_decref(e->all_warned);
	e->all_warned = errors.count ? warnings_set(&errors) : NULL;
	if (e->all_warned && e->warned)
		json_object_update(e->all_warned, e->warned);
	return e->all_warned ? e->all_warned : e->warned;
}

int engine_tidy(struct engine *e)
{
	int r = e->tables ? kernel_forget(e->kernel, e->tables) : 0;

	return r < 0 ? log_err(r, "drop old counters") : r;
}

const struct known_set *engine_objects(const struct engine *e)
{
	return &e->known;
}

const struct tables *engine_tables(const struct engine *e)
{
	return e->tables;
}

const struct object *engine_pod_at(const struct engine *e, const struct addr *addr)
{
	if (e->index)
		return compile_index_pod_at(e->index, addr);
	for (size_t i = 0; e->tables && i < e->tables->sources.count; i++)
		if (!memcmp(&e->tables->sources.items[i].addr, addr, sizeof(*addr)))
			return e->tables->sources.items[i].pod;
	return NULL;
}

struct engine_counts engine_counts(const struct engine *e)
{
	return e->counts;
}

uint64_t engine_version(const struct engine *e)
{
	return e->version;
}

uint64_t engine_services_version(const struct engine *e)
{
	return e->services;
}

bool engine_waits(const struct engine *e)
{
	return e->waits;
}

struct registry *engine_registry(const struct engine *e)
{
	return e->registry;
}
