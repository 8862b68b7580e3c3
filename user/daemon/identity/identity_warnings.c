// SPDX-License-Identifier: Apache-2.0
#include "daemon/identity/identity_warnings.h"

#include <string.h>

#include "lib/model/remarks.h"

enum { SOON_DAYS = 14, DAY_S = 86400 };

static const struct pos nowhere;

static void warn_of_ca(const struct identity_ca *ca, int64_t now, struct errors *warnings)
{
	int64_t left = ca->not_after - now;

	if (ca->problem)
		errors_remark(warnings, REMARK_CA, NULL, nowhere, "the CA of mutual TLS: %s%s",
			      ca->problem,
			      ca->subject ? ": what was there before stays in use" : "");
	if (!ca->subject || !ca->not_after)
		return;
	if (left <= 0)
		errors_remark(warnings, REMARK_CA, NULL, nowhere,
			      "the CA of mutual TLS, \"%s\", has expired", ca->subject);
	else if (left < (int64_t)SOON_DAYS * DAY_S)
		errors_remark(warnings, REMARK_CA, NULL, nowhere,
			      "the CA of mutual TLS, \"%s\", expires in %lld days", ca->subject,
			      (long long)(left / DAY_S));
}

void identities_warn(const struct identities *ids, int64_t now, struct errors *warnings)
{
	struct identities_state s;

	identities_tell(ids, &s);
	if (s.ca.from)
		warn_of_ca(&s.ca, now, warnings);
	if (s.good < s.wanted)
		errors_remark(warnings, REMARK_CA, NULL, nowhere,
			      "%zu of this node's %zu identities have no certificate: %s: their "
			      "connections to other nodes, and from there, are refused",
			      s.wanted - s.good, s.wanted,
			      s.problem ? s.problem : "it is waited for");
	else if (s.problem)
		errors_remark(warnings, REMARK_CA, NULL, nowhere,
			      "certificates of mutual TLS are not renewed: %s: they are used until "
			      "their end",
			      s.problem);
}
