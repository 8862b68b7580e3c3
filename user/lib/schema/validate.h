/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LIB_SCHEMA_VALIDATE_H
#define WEFT_LIB_SCHEMA_VALIDATE_H
/*
 * What the values of single objects have to be beyond their types. The functions on strings are
 * pure; those with a decoder report what is wrong and fit struct field.check or struct
 * message.check.
 */
#include "lib/schema/decode.h"

/* ---- strings ---- */

bool valid_dns_label(const char *s, size_t len); /* [a-zA-Z0-9-], at most 63 */
bool valid_dns_label_s(const char *s);
bool valid_dns_name(const char *s); /* such labels with dots between, at most 253 */
/* What the API server takes for a name (a DNS subdomain, RFC 1123): lower case, at most 253 with
 * the dots, and no limit to what is between them. */
bool valid_object_name(const char *s);
bool valid_object_label(const char *s); /* the same without dots, at most 63 */
bool valid_label_key(const char *s);	/* [prefix/]name, as Kubernetes has them */
bool valid_label_value(const char *s);
bool valid_header_name(const char *s);
bool valid_cookie_text(const char *s); /* a path or an attribute's value; may be empty */
/* NULL if `s` is a host with at most a leading wildcard ("*", "*.foo", "*-foo"), else what is wrong
 * with it. */
const char *host_problem(const char *s);
bool valid_ip(const char *s, struct addr *out); /* out may be NULL */
bool parse_cidr(const char *s, struct cidr *out);
/* NULL if `s` is a regular expression in RE2's syntax, else what is wrong with it. */
const char *regex_problem(const char *s);
/* NULL if the '%'-expressions of a header value are well-formed, else what is wrong. */
const char *header_value_problem(const char *s);
/* Whether there is any of them in a well-formed one; "%%" is not. */
bool header_value_has_expression(const char *s);
/* Whether the host pattern `a` covers all of what `b` covers. */
bool host_covers(const char *a, const char *b);

/* ---- fields ---- */

/* Names of Services and Namespaces are single labels, all others may have dots. */
void validate_object_name(struct decoder *d, const struct node *value, const void *name);
void validate_namespace(struct decoder *d, const struct node *value, const void *name);
void validate_labels(struct decoder *d, const struct node *value, const void *kvs);
void validate_ip(struct decoder *d, const struct node *value, const void *string);
void validate_gateway_refs(struct decoder *d, const struct node *value, const void *strs);
void validate_export_to(struct decoder *d, const struct node *value, const void *strs);
void validate_subset_name(struct decoder *d, const struct node *value, const void *string);
void validate_destination_host(struct decoder *d, const struct node *value, const void *string);
void validate_rule_host(struct decoder *d, const struct node *value, const void *string);
void validate_header_names(struct decoder *d, const struct node *value, const void *strs);

/* ---- subnets ---- */

/* `text` as the API server takes it, the bits given. */
bool valid_subnet(const char *text, struct cidr *out);
/* `text`, which stands at `value`, as the API server takes it, the bits given. False after an
 * error. */
bool decode_subnet(struct decoder *d, const struct node *value, const char *text, struct cidr *out);
/* Those of the list `value`, whose texts are `given`. */
void decode_subnets(struct decoder *d, const struct node *value, const struct strs *given,
		    struct cidr **items, size_t *count);

/* ---- the same for the API server ---- */

/* Bounds that its prices need (struct field's `max`). */
enum {
	ROUTES_MAX = 1024,	 /* of a VirtualService's http, tls and tcp */
	MATCHES_MAX = 256,	 /* of one of them */
	DESTINATIONS_MAX = 256,	 /* likewise */
	MIRRORS_MAX = 64,	 /* likewise */
	ORIGINS_MAX = 256,	 /* of a corsPolicy */
	SUBSETS_MAX = 256,	 /* of a DestinationRule */
	PORT_SETTINGS_MAX = 256, /* of a trafficPolicy */
	SERVERS_MAX = 256,	 /* of a Gateway */
	PORT_NAME_MAX = 255,	 /* bytes of a port's name */
	TEXT_MAX = 4096,	 /* bytes of a text that expressions look into */
};

#define CRD_DNS_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define CRD_HOST "(\\*|(\\*-?)?" CRD_DNS_LABEL ")(\\." CRD_DNS_LABEL ")*\\.?"
#define CRD_GATEWAY_REF \
	"^(" CRD_DNS_LABEL "(\\." CRD_DNS_LABEL ")*|(\\.|" CRD_DNS_LABEL ")/" CRD_DNS_LABEL ")$"
#define CRD_LABEL_VALUE "^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$"

#define CRD_IP "([0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)"
/* What rule_host_problem() in schema_vs.c takes, the SNI names of clusters among it. */
#define CRD_RULE_HOST "^(" CRD_HOST "|" CRD_IP "|outbound_\\.[0-9]+_\\..*)$"
#define CRD_SERVER_HOST                                                                  \
	"^((\\*|\\.|" CRD_DNS_LABEL ")/)?(\\*|\\*\\." CRD_DNS_LABEL "(\\." CRD_DNS_LABEL \
	")*\\.?|" CRD_DNS_LABEL "((\\." CRD_DNS_LABEL ")+\\.?|\\.)|" CRD_IP ")$"
#define CRD_HEADER "^:?[A-Za-z0-9!#$%&'*+.^_`|~-]+$"

extern const struct cel cel_export_to[], cel_weights[];

/* The n-th element of a list, for its position. */
const struct node *validate_nth(const struct node *list, size_t n);

#endif
