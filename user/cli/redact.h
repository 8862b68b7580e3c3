/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLI_REDACT_H
#define WEFT_CLI_REDACT_H
/*
 * What must not leave the machine with a bug report is left out of texts and of JSON: private keys,
 * tokens, passwords, values of environment variables, query strings.
 */
#include <jansson.h>

#define REDACTED "(left out)"

/* A copy of the text without PEM blocks of private keys, JSON web tokens, what follows "Bearer" or
 * "Basic", the values of words as token=, password= and secret=, and the lines of the headers
 * Authorization and Cookie. NULL when out of memory. */
char *redact_text(const char *text);
/* A copy, cleaned: all strings in members that say by their name that they are secret, values of
 * "env", those of a policy's condition whose key names a secret, a Secret's data, and what
 * redact_text() finds in other texts. NULL when out of memory. */
json_t *redact_json(const json_t *value);
/* In place: what follows "?" in the members "path", "x_forwarded_path" and "uri". */
void redact_queries(json_t *value);

#endif
