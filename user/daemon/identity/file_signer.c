// SPDX-License-Identifier: Apache-2.0
#include "daemon/identity/file_signer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/identity/ca.h"
#include "daemon/pki/certificate_files.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"

enum { LOOK_MS = 5000 };

struct file_signer {
	struct identity_signer signer; /* first */
	struct file_signer_options o;
	struct identities *ids;
	struct event_timer timer;
	char *paths;
	struct ca *ca;		       /* as it last was good; NULL: it never was */
	struct certificate_files used; /* what that was made of */
	char *problem;		       /* with the files as they are; NULL: none */
};

/* ---- signing ---- */

static int sign(struct identity_signer *s, const char *identity, const char *csr,
		unsigned long number)
{
	const struct file_signer *f = (const struct file_signer *)s;
	_cleanup_free_ char *chain = NULL;
	char problem[CA_PROBLEM_MAX] = "";
	int r;

	if (!f->ca) {
		identities_signed(f->ids, number, NULL,
				  f->problem ? f->problem : "there is no CA yet");
		return 0;
	}
	r = ca_sign(f->ca, csr, identity, f->o.ttl_s, (int64_t)time(NULL), &chain, problem);
	if (r && r != -EINVAL)
		return r;
	identities_signed(f->ids, number, chain, r ? problem : NULL);
	return 0;
}

static void tell(const struct identity_signer *s, struct identity_ca *out)
{
	const struct file_signer *f = (const struct file_signer *)s;

	*out = (struct identity_ca){ .from = "--ca-cert", .problem = f->problem };
	if (f->ca) {
		out->subject = ca_facts(f->ca).subject;
		out->not_after = ca_facts(f->ca).not_after;
	}
}

/* ---- the files ---- */

static bool same(struct credential_text a, struct credential_text b)
{
	return a.len == b.len && (!a.len || !memcmp(a.at, b.at, a.len));
}

static bool is_pair_same(const struct certificate_files *a, const struct certificate_files *b)
{
	return same(a->c.chain, b->c.chain) && same(a->c.key, b->c.key);
}

/* Takes the text over; NULL: out of memory. */
static void set_problem(struct file_signer *f, char *problem)
{
	if (!problem || !f->problem || strcmp(problem, f->problem) != 0)
		log_warning("the CA of workloads: %s%s", problem ? problem : "out of memory",
			    f->ca ? ": what was there before stays in use" : "");
	free(f->problem);
	f->problem = problem ? problem : strdup("out of memory");
}

static char *problem_text(const struct file_signer *f, const char *problem)
{
	char *text;

	return asprintf(&text, "--ca-cert %s %s", f->o.cert, problem) < 0 ? NULL : text;
}

/* `ca` was made of `files`; both are taken over. */
static void use(struct file_signer *f, struct ca *ca, struct certificate_files *files)
{
	bool other = !f->ca || !is_pair_same(&f->used, files);
	struct ca_facts facts = ca_facts(ca);

	ca_free(f->ca);
	f->ca = ca;
	free(TAKE_PTR(f->problem));
	certificate_files_free(&f->used);
	f->used = *files;
	*files = (struct certificate_files){ 0 };
	if (identities_trust(f->ids, facts.roots))
		log_warning("the roots of workloads' CA stay as they were: out of memory");
	log_info("the CA of workloads is \"%s\", %u roots are believed", facts.subject,
		 facts.root_count);
	if (other)
		identities_renew(f->ids);
}

void file_signer_look(struct file_signer *f)
{
	_cleanup_(certificate_files_free) struct certificate_files files = { 0 };
	char problem[CA_PROBLEM_MAX] = "can't be taken: out of memory", *why = NULL;
	int r = certificate_files_read(f->paths, NULL, &files, &why);
	struct ca *ca = NULL;

	if (r)
		set_problem(f, r == -EINVAL ? why : NULL);
	else if (!f->problem && f->ca && is_pair_same(&f->used, &files) &&
		 same(f->used.c.ca, files.c.ca))
		return;
	else if (ca_read(files.c.chain, files.c.key, files.c.ca, (int64_t)time(NULL), &ca, problem))
		set_problem(f, problem_text(f, problem));
	else
		use(f, ca, &files);
}

static void fired(void *arg)
{
	struct file_signer *f = arg;

	file_signer_look(f);
	event_timer_set(&f->timer, LOOK_MS);
}

/* ---- its life ---- */

void file_signer_close(struct file_signer *f)
{
	if (!f)
		return;
	identities_sign_by(f->ids, NULL);
	event_timer_close(&f->timer);
	certificate_files_free(&f->used);
	ca_free(f->ca);
	free(f->problem);
	free(f->paths);
	free(f);
}

int file_signer_open(const struct file_signer_options *options, struct identities *ids,
		     struct file_signer **out)
{
	struct file_signer *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	if (!f)
		return r;
	*f = (struct file_signer){ .signer = { sign, tell }, .o = *options, .ids = ids };
	if (asprintf(&f->paths, "%s;%s;%s;", options->cert, options->key,
		     options->roots ? options->roots : "") < 0)
		f->paths = NULL;
	else
		r = event_timer_open(options->loop, &f->timer, fired, f);
	if (r) {
		file_signer_close(f);
		return r;
	}
	file_signer_look(f);
	identities_sign_by(ids, &f->signer);
	event_timer_set(&f->timer, LOOK_MS);
	*out = f;
	return 0;
}
