// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "daemon/source/files.h"
#include "daemon/source/journal_load.h"
#include "daemon/objects/stage.h"
#include "lib/base/log.h"
#include "daemon/source/journal.h"
#include "lib/model/model_http.h"
#include "lib/schema/parse.h"

static char dir[64];
static char journal[96], bad[96];

static void setup(void)
{
	log_set("test", LOG_LEVEL_ERROR);
	strcpy(dir, "/tmp/weft-store.XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(journal, sizeof(journal), "%s/rules.journal", dir);
	snprintf(bad, sizeof(bad), "%s/rules.journal.bad", dir);
}

static void teardown(void)
{
	unlink(journal);
	unlink(bad);
	rmdir(dir);
}

/* For what is to be complained about. */
static void quiet(void)
{
	cr_assert_not_null(freopen("/dev/null", "w", stderr));
}

TestSuite(store, .init = setup, .fini = teardown);

/* What the journal comes to: "apply:one=1111;delete;" */
struct telling {
	char text[512];
};

static int tell(void *arg, const json_t *record, const struct store_item *items, size_t count)
{
	struct telling *t = arg;
	size_t used = strlen(t->text);

	used += snprintf(t->text + used, sizeof(t->text) - used, "%s",
			 json_string_value(json_object_get(record, "type")));
	for (size_t i = 0; i < count; i++)
		used += snprintf(t->text + used, sizeof(t->text) - used, ":%s=%.*s",
				 items[i].file->name, (int)items[i].file->size, items[i].bytes);
	snprintf(t->text + used, sizeof(t->text) - used, ";");
	return 0;
}

static void append(struct store *s, const char *type, const struct store_input *files, size_t count)
{
	struct store_file *stored[4] = { 0 };
	json_t *record = json_pack("{s:s}", "type", type);

	cr_assert_eq(store_append(s, record, files, count, stored), 0);
	for (size_t i = 0; i < count; i++)
		origin_unref(&stored[i]->origin);
	json_decref(record);
}

static void reopened(struct telling *out)
{
	struct store *s;

	out->text[0] = 0;
	cr_assert_eq(store_open(dir, &s), 0);
	cr_assert_eq(store_replay(s, tell, out), 0);
	store_close(s);
}

static size_t file_read(const char *path, char *bytes, size_t room)
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(bytes, 1, room, f) : 0;

	if (f)
		fclose(f);
	return n;
}

static size_t journal_read(char *bytes, size_t room)
{
	return file_read(journal, bytes, room);
}

static void journal_write(const char *bytes, size_t len)
{
	FILE *f = fopen(journal, "w");

	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	fclose(f);
}

static const struct store_input one = { .name = "one.yaml", .bytes = "1111", .size = 4 };
static const struct store_input two[] = {
	{ .name = "two.yaml", .bytes = "22\0\377", .size = 4 },
	{ .name = "-", .bytes = "" },
};

static const char before[] = "apply:one.yaml=1111;";
static const char after[] = "apply:one.yaml=1111;apply:two.yaml=22:-=;";

/* Writes both transactions. Returns the journal's bytes; *first is where the second one begins. */
static size_t two_transactions(char *bytes, size_t room, size_t *first)
{
	struct store *s;
	struct stat st;

	cr_assert_eq(store_open(dir, &s), 0);
	append(s, "apply", &one, 1);
	cr_assert_eq(stat(journal, &st), 0);
	*first = st.st_size;
	append(s, "apply", two, 2);
	store_close(s);
	return journal_read(bytes, room);
}

Test(store, a_journal_torn_at_any_byte_holds_the_old_or_the_new_rules)
{
	struct telling t;
	size_t first, len;
	char bytes[4096];

	len = two_transactions(bytes, sizeof(bytes), &first);
	reopened(&t);
	cr_assert_str_eq(t.text, after);
	for (size_t cut = 0; cut <= len; cut++) {
		const char *want = cut == len ? after : cut >= first ? before : "";

		journal_write(bytes, cut);
		reopened(&t);
		cr_expect_str_eq(t.text, want, "cut at %zu of %zu: %s", cut, len, t.text);
		/* What was torn off is gone for good: the next transaction follows the last whole
		 * one. */
		if (cut >= first && cut < len) {
			struct store *s;

			cr_assert_eq(store_open(dir, &s), 0);
			cr_assert_eq(store_mend(s), 0);
			append(s, "delete", NULL, 0);
			store_close(s);
			reopened(&t);
			cr_expect_str_eq(t.text, "apply:one.yaml=1111;delete;",
					 "after a cut at %zu: %s", cut, t.text);
		}
	}
}

Test(store, blocks_that_never_reached_the_disk_are_no_transaction)
{
	struct telling t;
	size_t first, len;
	char bytes[4096], hurt[4096];

	len = two_transactions(bytes, sizeof(bytes), &first);
	for (size_t at = first; at < len; at++) {
		memcpy(hurt, bytes, len);
		memset(hurt + at, 0, len - at);
		journal_write(hurt, len);
		reopened(&t);
		/* Zeros where zeros were are no damage. */
		cr_expect_str_eq(t.text, memcmp(hurt, bytes, len) ? before : after,
				 "zeros from %zu: %s", at, t.text);
	}
}

Test(store, one_flipped_bit_is_noticed)
{
	struct telling t;
	size_t first, len;
	char bytes[4096];

	len = two_transactions(bytes, sizeof(bytes), &first);
	for (size_t at = first; at < len; at++) {
		bytes[at] ^= 0x10;
		journal_write(bytes, len);
		reopened(&t);
		cr_expect_str_eq(t.text, before, "bit of %zu: %s", at, t.text);
		bytes[at] ^= 0x10;
	}
}

Test(store, one_flipped_bit_in_front_of_whole_transactions_is_refused_and_nothing_is_cut)
{
	size_t first, len;
	char bytes[4096], now[4096];

	len = two_transactions(bytes, sizeof(bytes), &first);
	quiet();
	for (size_t at = 0; at < first; at++) {
		for (int bit = 0; bit < 8; bit++) {
			struct store *s;

			bytes[at] ^= (char)(1 << bit);
			journal_write(bytes, len);
			cr_expect_eq(store_open(dir, &s), -EBADMSG, "bit %d of %zu", bit, at);
			cr_expect_eq(journal_read(now, sizeof(now)), len);
			cr_expect_eq(memcmp(now, bytes, len), 0, "bit %d of %zu", bit, at);
			bytes[at] ^= (char)(1 << bit);
		}
	}
}

Test(store, a_torn_end_is_kept_aside_until_it_is_cut_off)
{
	size_t first, len;
	char bytes[4096], kept[4096];
	struct store *s;
	json_t *record = json_pack("{s:s}", "type", "delete");

	len = two_transactions(bytes, sizeof(bytes), &first);
	journal_write(bytes, len - 1);
	cr_assert_eq(store_open(dir, &s), 0);
	cr_expect(store_is_torn(s));
	cr_expect_eq(store_append(s, record, NULL, 0, NULL), -EIO);
	cr_expect_eq(journal_read(kept, sizeof(kept)), len - 1);
	cr_expect_eq(file_read(bad, kept, sizeof(kept)), len - 1 - first);
	cr_expect_eq(memcmp(kept, bytes + first, len - 1 - first), 0);
	cr_expect_eq(store_mend(s), 0);
	cr_expect_not(store_is_torn(s));
	cr_expect_eq(journal_read(kept, sizeof(kept)), first);
	cr_expect_eq(store_append(s, record, NULL, 0, NULL), 0);
	store_close(s);
	json_decref(record);
}

Test(store, another_file_is_refused_not_overwritten)
{
	char bytes[64];
	struct store *s;

	journal_write("precious data of somebody", 25);
	cr_expect_lt(store_open(dir, &s), 0);
	cr_expect_eq(journal_read(bytes, sizeof(bytes)), 25);
}

Test(store, a_transaction_can_be_taken_back)
{
	struct telling t;
	struct store *s;

	cr_assert_eq(store_open(dir, &s), 0);
	append(s, "apply", &one, 1);
	append(s, "apply", two, 2);
	cr_expect_eq(store_undo(s), 0);
	append(s, "delete", NULL, 0);
	store_close(s);
	reopened(&t);
	cr_expect_str_eq(t.text, "apply:one.yaml=1111;delete;");
}

/* From here on ftruncate() fails. */
static void break_ftruncate(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ftruncate, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(store, what_cannot_be_taken_back_stops_appends_until_the_journal_is_written_anew)
{
	json_t *record = json_pack("{s:s}", "type", "delete"), *objects = json_array();
	struct telling t;
	struct store *s;

	quiet();
	cr_assert_eq(store_open(dir, &s), 0);
	append(s, "apply", &one, 1);
	break_ftruncate();
	cr_expect_lt(store_undo(s), 0);
	cr_expect(store_is_stuck(s));
	cr_expect_eq(store_append(s, record, NULL, 0, NULL), -EIO);
	cr_expect_eq(store_compact(s, objects, NULL, 0), 0);
	cr_expect_not(store_is_stuck(s));
	cr_expect_eq(store_append(s, record, NULL, 0, NULL), 0);
	store_close(s);
	reopened(&t);
	cr_expect_str_eq(t.text, "snapshot;delete;");
	json_decref(record);
	json_decref(objects);
}

Test(store, a_full_disk_takes_no_transaction_and_leaves_no_trace)
{
	struct rlimit limit = { 0 };
	struct telling t;
	struct store *s;
	struct stat st;
	json_t *record = json_pack("{s:s}", "type", "delete");
	struct store_file *stored;

	cr_assert_eq(store_open(dir, &s), 0);
	append(s, "apply", &one, 1);
	cr_assert_eq(stat(journal, &st), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = st.st_size + 3;
	setrlimit(RLIMIT_FSIZE, &limit);
	cr_expect_eq(store_append(s, record, two, 1, &stored), -EFBIG);
	cr_expect_not(store_is_stuck(s));
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
	append(s, "delete", NULL, 0);
	store_close(s);
	reopened(&t);
	cr_expect_str_eq(t.text, "apply:one.yaml=1111;delete;");
	json_decref(record);
}

/* ---- known objects and the journal ---- */

static const char service[] =
	"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 1}]}\n---\n"
	"apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {ports: [{port: 1}]}\n";
static const char newer[] = "# moved down\napiVersion: v1\nkind: Service\nmetadata: {name: "
			    "a}\nspec: {ports: [{port: 2}]}\n";

static void apply(struct store *s, const char *name, const char *text)
{
	const struct store_input input = { .name = name, .bytes = text, .size = strlen(text) };

	append(s, "apply", &input, 1);
}

static void load(struct store **s, struct known_set *set)
{
	struct errors errors = { 0 };
	int r;

	cr_assert_eq(store_open(dir, s), 0);
	r = engine_load(*s, set, &errors);
	cr_assert_eq(r, 0, "%d %s", r, errors.count ? errors.items[0].text : "");
	errors_free(&errors);
}

static void unload(struct store *s, struct known_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		object_free(set->items[i].object);
		origin_unref(set->items[i].origin);
	}
	known_free(set);
	store_close(s);
}

static void expect_a_b(const struct known_set *set)
{
	cr_assert_eq(set->count, 2);
	cr_expect_str_eq(set->items[0].object->meta.name, "a");
	cr_expect_str_eq(set->items[0].object->file, "new.yaml");
	cr_expect_eq(set->items[0].object->pos.line, 2);
	cr_expect_eq(set->items[0].object->service.ports.items[0].port, 2);
	cr_expect_str_eq(set->items[1].object->meta.name, "b");
	cr_expect_str_eq(set->items[1].object->file, "old.yaml");
}

Test(store, order_and_positions_survive_a_restart_and_a_compaction)
{
	struct known_set set = { 0 };
	struct store *s;

	cr_assert_eq(store_open(dir, &s), 0);
	apply(s, "old.yaml", service);
	apply(s, "new.yaml", newer);
	store_close(s);
	load(&s, &set);
	expect_a_b(&set);
	cr_expect_eq(engine_save(s, &set), 0);
	apply(s, "new.yaml", newer);
	unload(s, &set);
	load(&s, &set);
	expect_a_b(&set);
	unload(s, &set);
}

/* As an earlier weft has stored it, to which words and numbers like these were text. */
static const char formerly[] =
	"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {version: y, build: 1_000}}\nspec: "
	"{}\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"
	"spec: {host: a, subsets: [{name: n, labels: {version: y, 1.5: 0X1F}}]}\n";

static void expect_formerly(const struct known_set *set)
{
	const struct subset *subset;

	cr_assert_eq(set->count, 2);
	cr_expect_str_eq(set->items[0].object->meta.labels.items[0].value, "y");
	cr_expect_str_eq(set->items[0].object->meta.labels.items[1].value, "1_000");
	subset = &set->items[1].object->dr.subsets.items[0];
	cr_expect_str_eq(subset->name, "n");
	cr_expect_str_eq(subset->labels.items[0].value, "y");
	cr_expect_str_eq(subset->labels.items[1].key, "1.5");
	cr_expect_str_eq(subset->labels.items[1].value, "0X1F");
}

Test(store, words_and_numbers_that_were_text_when_they_were_stored_still_are)
{
	struct known_set set = { 0 };
	struct store *s;

	cr_assert_eq(store_open(dir, &s), 0);
	apply(s, "old.yaml", formerly);
	store_close(s);
	quiet();
	load(&s, &set);
	expect_formerly(&set);
	cr_expect_eq(engine_save(s, &set), 0);
	unload(s, &set);
	load(&s, &set);
	expect_formerly(&set);
	unload(s, &set);
}

Test(store, text_in_braces_is_read_as_it_was_stored_too)
{
	static const char braces[] = "{apiVersion: v1, kind: Pod, metadata: {name: a, labels: "
				     "{version: y, build: 1_000}}, spec: {}}";
	struct known_set set = { 0 };
	struct store *s;

	cr_assert_eq(store_open(dir, &s), 0);
	apply(s, "old.json", braces);
	store_close(s);
	quiet();
	load(&s, &set);
	cr_assert_eq(set.count, 1);
	cr_expect_str_eq(set.items[0].object->meta.labels.items[0].value, "y");
	cr_expect_str_eq(set.items[0].object->meta.labels.items[1].value, "1_000");
	unload(s, &set);
}

#define VIRTUAL_SERVICE "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
#define DESTINATION_RULE "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"

Test(store, what_is_refused_since_it_was_stored_is_still_there)
{
	static const char *const texts[] = {
		DESTINATION_RULE "metadata: {name: a}\n"
				 "spec: {host: a, subsets: [{name: v, labels: {version: }}]}\n",
		VIRTUAL_SERVICE "metadata: {name: a}\nspec: {hosts: [a], tcp: [{match: "
				"[{sourceLabels: {app: }}], route: [{destination: {host: a}}]}]}\n",
		VIRTUAL_SERVICE "metadata: {name: a}\nspec: {hosts: [a], http: [{match: "
				"[{sourceLabels: {app: }}], route: [{destination: {host: a}}]}]}\n",
		"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\n"
		"spec: {selector: {istio: }, servers: [{port: {number: 80, name: http, protocol: "
		"HTTP}, hosts: ['*']}]}\n",
		VIRTUAL_SERVICE "metadata: {name: a}\nspec: {hosts: [a], http: [{match: [{headers: "
				"{':foo': {exact: a}}}], route: [{destination: {host: a}}]}]}\n",
		DESTINATION_RULE "metadata: {name: a}\n"
				 "spec: {host: a, trafficPolicy: {portLevelSettings: []}}\n",
		/* Together with what was text at the time. */
		DESTINATION_RULE "metadata: {name: a}\nspec: {host: a, subsets: [{name: v, labels: "
				 "{version: , build: 1_000}}]}\n",
	};

	quiet();
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		_cleanup_(objects_free) struct objects now = { 0 };
		_cleanup_(errors_free) struct errors errors = { 0 };
		struct known_set set = { 0 };
		struct store *s;

		cr_expect_eq(rules_parse("a.yaml", texts[i], strlen(texts[i]), &now, &errors, NULL),
			     -EINVAL, "%zu: a new apply", i);
		cr_assert_eq(store_open(dir, &s), 0);
		apply(s, "a.yaml", texts[i]);
		store_close(s);
		load(&s, &set);
		cr_assert_eq(set.count, 1, "%zu", i);
		if (set.items[0].object->kind == KIND_DESTINATION_RULE &&
		    set.items[0].object->dr.subsets.count)
			cr_expect_str_eq(
				set.items[0].object->dr.subsets.items[0].labels.items[0].value, "");
		unload(s, &set);
		unlink(journal);
	}
}

Test(store, what_is_taken_but_for_its_null_has_the_scalars_of_today)
{
	static const char text[] =
		"---\n" VIRTUAL_SERVICE
		"metadata: {name: a}\nspec: {hosts: [a], http: [{match: [{ignoreUriCase: yes, "
		"uri: {exact: /a}, sourceLabels: {app: }}], route: [{destination: {host: a}}]}]}\n";
	struct known_set set = { 0 };
	struct store *s;

	cr_assert_eq(store_open(dir, &s), 0);
	apply(s, "a.yaml", text);
	store_close(s);
	quiet();
	load(&s, &set);
	cr_assert_eq(set.count, 1);
	cr_expect(set.items[0].object->vs.http.items[0].match.items[0].ignore_uri_case);
	unload(s, &set);
}

Test(store, warnings_about_stored_files_are_told_in_either_reading)
{
	static const char *const labels[] = { "v1", "" };

	quiet();
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(errors_free) struct errors errors = { 0 };
		struct known_set set = { 0 };
		char text[512];
		struct store *s;

		snprintf(text, sizeof(text),
			 DESTINATION_RULE
			 "metadata: {name: a}\nspec: {host: a, subsets: [{name: v, labels: "
			 "{version: %s}}], trafficPolicy: {portLevelSettings: [{port: {number: 1}, "
			 "tls: {}}, {port: {number: 1}, tls: {}}]}}\n",
			 labels[i]);
		cr_assert_eq(store_open(dir, &s), 0);
		apply(s, "a.yaml", text);
		cr_expect_eq(engine_load(s, &set, &errors), 0);
		cr_expect_eq(errors.warnings, 1, "%zu", i);
		cr_assert_eq(errors.count, 1, "%zu", i);
		cr_expect(strstr(errors.items[0].text, "port 1 is there already"), "%s",
			  errors.items[0].text);
		unload(s, &set);
		unlink(journal);
	}
}

Test(store, what_is_refused_in_either_reading_is_told_in_the_present_ones_words)
{
	static const char wrong[] =
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {a: y}}\n"
		"spec: 1\n";
	struct known_set set = { 0 };
	struct errors errors = { 0 };
	struct store *s;

	cr_assert_eq(store_open(dir, &s), 0);
	apply(s, "old.yaml", wrong);
	cr_expect_eq(engine_load(s, &set, &errors), -EINVAL);
	cr_assert_eq(errors.count, 2);
	cr_expect_str_eq(errors.items[0].text,
			 "old.yaml:3:33: metadata.labels.a: expected a string (in quotes, or it is "
			 "a truth value), not \"y\"");
	errors_free(&errors);
	unload(s, &set);
}

static void release_nothing(struct origin *o)
{
	(void)o;
}

Test(store, what_another_source_has_brought_does_not_come_into_the_journal)
{
	struct origin other = { 1, release_nothing };
	struct known_set set = { 0 };
	struct store *s;

	cr_assert_eq(store_open(dir, &s), 0);
	apply(s, "old.yaml", service);
	store_close(s);
	load(&s, &set);
	cr_assert_eq(set.count, 2);
	origin_unref(set.items[0].origin);
	set.items[0].origin = origin_ref(&other);
	cr_expect_eq(engine_save(s, &set), 0);
	unload(s, &set);
	cr_expect_eq(other.refs, 1);
	load(&s, &set);
	cr_assert_eq(set.count, 1);
	cr_expect_str_eq(set.items[0].object->meta.name, "b");
	unload(s, &set);
}

Test(store, a_snapshot_does_not_bring_back_what_was_deleted)
{
	struct known_set set = { 0 };
	struct store *s;
	json_t *record;

	cr_assert_eq(store_open(dir, &s), 0);
	apply(s, "old.yaml", service);
	record = json_pack("{s:s, s:[[s, s, s]]}", "type", "delete", "objects", "Service",
			   "default", "a");
	cr_assert_eq(store_append(s, record, NULL, 0, NULL), 0);
	json_decref(record);
	store_close(s);
	for (int i = 0; i < 2; i++) {
		load(&s, &set);
		cr_assert_eq(set.count, 1);
		cr_expect_str_eq(set.items[0].object->meta.name, "b");
		cr_expect_eq(engine_save(s, &set), 0);
		unload(s, &set);
	}
}

/* ---- changes, as the engine carries them out ---- */

static const struct file_options plain;

static void stage(struct change *c, struct known_set *known, struct stage *st, size_t changes)
{
	struct change_report report = { 0 };

	stage_init(st, known);
	cr_assert_eq(c->stage(c, st, &report), 0);
	cr_expect_eq(json_array_size(report.changes), changes);
	change_report_free(&report);
}

static void carry_out(struct change *c, struct known_set *known)
{
	struct stage st;

	stage(c, known, &st, 2);
	stage_drop(&st); /* another change has come in between */
	stage(c, known, &st, 2);
	cr_assert_eq(c->store(c, &st), 0);
	stage_keep(&st);
	c->kept(c, known);
	stage_drop(&st);
	c->free(c);
}

Test(store, a_change_that_is_staged_anew_is_stored_once)
{
	const struct store_input input = { .name = "one.yaml",
					   .bytes = service,
					   .size = strlen(service) };
	struct known_set set = { 0 }, loaded = { 0 };
	struct telling t = { { 0 } };
	struct file_source source;
	struct store *s;

	cr_assert_eq(store_open(dir, &s), 0);
	source = file_source(s);
	carry_out(files_apply(&source, &input, 1, &plain), &set);
	cr_assert_eq(set.count, 2);
	cr_expect_eq(set.items[0].origin, set.items[1].origin, "one file");
	cr_expect_eq(set.items[0].origin->refs, 2, "the objects' own");
	carry_out(files_delete(&source, &input, 1, &plain), &set);
	cr_expect_eq(set.count, 0);
	cr_assert_eq(store_replay(s, tell, &t), 0);
	cr_expect_eq(strncmp(t.text, "apply:one.yaml=", 15), 0);
	cr_expect_not_null(strstr(t.text, ";delete;"));
	cr_expect_eq(strlen(t.text), strlen("apply:one.yaml=;delete;") + strlen(service));
	unload(s, &set);
	load(&s, &loaded);
	cr_expect_eq(loaded.count, 0);
	unload(s, &loaded);
}

Test(store, a_change_that_could_not_take_effect_leaves_no_trace)
{
	const struct store_input input = { .name = "one.yaml",
					   .bytes = service,
					   .size = strlen(service) };
	struct known_set set = { 0 };
	struct file_source source;
	struct telling t;
	struct change *c;
	struct store *s;
	struct stage st;

	cr_assert_eq(store_open(dir, &s), 0);
	source = file_source(s);
	c = files_apply(&source, &input, 1, &plain);
	stage(c, &set, &st, 2);
	cr_assert_eq(c->store(c, &st), 0);
	c->undo(c);
	stage_drop(&st);
	c->free(c);
	store_close(s);
	reopened(&t);
	cr_expect_str_eq(t.text, "");
}

Test(store, the_namespace_of_an_apply_and_an_objects_age_survive_a_compaction)
{
	const struct store_input input = {
		.name = "old.yaml", .bytes = service, .size = strlen(service), .namespace = "shop"
	};
	struct store_file *stored[1];
	struct known_set set = { 0 };
	struct store *s;
	json_t *record = json_pack("{s:s, s:i, s:s, s:[[s, s, s]]}", "type", "apply", "time", 1234,
				   "selector", "!nothing", "objects", "Service", "shop", "a");

	cr_assert_eq(store_open(dir, &s), 0);
	cr_assert_eq(store_append(s, record, &input, 1, stored), 0);
	origin_unref(&stored[0]->origin);
	json_decref(record);
	store_close(s);
	for (int i = 0; i < 2; i++) {
		load(&s, &set);
		cr_assert_eq(set.count, 1, "what was pruned stays away");
		cr_expect_str_eq(set.items[0].object->meta.name, "b");
		cr_expect_str_eq(set.items[0].object->meta.namespace, "shop");
		cr_expect_eq(set.items[0].since, 1234);
		cr_expect_eq(engine_save(s, &set), 0);
		unload(s, &set);
	}
}
