// SPDX-License-Identifier: Apache-2.0
/*
 * The life of a connection, as a script of packets between client (c) and endpoint (e).
 *
 *   c:S       SYN            e:SA     SYN+ACK       c:A      ACK of everything so far
 *   c:D       10 bytes       c:FA     FIN+ACK       c:R      RST, e:RA RST+ACK
 *   c:N       SYN with another initial number       e:M      SYN+ACK with another one
 *   sweep     one sweep      age=MS   the connection gets older
 *   count     the bytes of open connections are counted
 *   full      there is no room in `tcp_traffic` for more rows
 *   gone=c|e  that pod's interface goes away        del=e    the endpoint's Pod is deleted, its
 *                                                            interface stays
 * And behind the flags:
 *   pN   N bytes of payload        s+N, s-N   N above or below the right sequence number
 *   xN   names window scale N      a+N, a-N   likewise the acknowledgement
 *   =N   sequence number N         wN         window N
 *   ^    a copy or a forgery: what its sender sends later is as if it had not been
 *   !    a sequence number far outside the window
 */
#include <criterion/criterion.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"

enum {
	CLIENT_ISN = 1000,
	ENDPOINT_ISN = 5000,
	OTHER_CLIENT_ISN = 900000,
	OTHER_ENDPOINT_ISN = 800000
};

struct side {
	struct tuple sends; /* what its packets carry */
	__u32 next;	    /* sequence number of its next byte */
	__u32 fin;	    /* of its FIN; 0 before that */
};

struct script {
	struct env *env;
	struct side client, endpoint;
	int last; /* action of the last packet */
	__u8 last_flags;
	bool translated; /* the last packet came out with other addresses */
};

enum { UNTOUCHED = 1, TRANSLATED };

static const struct row {
	const char *what, *events;
	struct env_options o;
	unsigned entries;
	__u64 active, peak, total, fail;
	__u64 bytes;		/* of the client's; 0 is not checked */
	struct tcp_traffic tcp; /* not checked where nothing was opened, but against the entry */
	bool rest;		/* it is in the row for what finds no room */
	int last;		/* action of the last packet: 0 is not checked */
	__u8 last_flags;	/* of what came out, with `last` */
	int touched;
} rows[] = {
	{ "a SYN takes one reservation", "c:S", .entries = 2, .active = 1, .peak = 1, .total = 1,
	  .touched = TRANSLATED },
	{ "a repeated SYN takes no second one", "c:S c:S c:S", .entries = 2, .active = 1, .peak = 1,
	  .total = 1 },
	{ "open", "c:S e:SA c:A c:D e:A", .entries = 2, .active = 1, .peak = 1, .total = 1,
	  .touched = TRANSLATED },
	{ "Fast Open: the SYN's data is acknowledged with it",
	  "c:Sp100 e:SA c:A age=3000 sweep",
	  { .connect_timeout_ms = 2000 },
	  .entries = 2,
	  .active = 1,
	  .peak = 1,
	  .total = 1 },
	{ "Fast Open: the endpoint takes the SYN without its data",
	  "c:Sp100 e:SAa-100 c:As-100^ age=3000 sweep",
	  { .connect_timeout_ms = 2000 },
	  .entries = 2,
	  .active = 1,
	  .peak = 1,
	  .total = 1 },
	{ "Fast Open: the endpoint takes some of the data",
	  "c:Sp100 e:SAa-40 c:As-40^ age=3000 sweep",
	  { .connect_timeout_ms = 2000 },
	  .entries = 2,
	  .active = 1,
	  .peak = 1,
	  .total = 1 },
	{ "Fast Open: the endpoint answers before it is acknowledged",
	  "c:Sp100 e:SA e:D c:A c:FA e:FA c:A", .entries = 2, .peak = 1, .total = 1 },
	{ "a SYN+ACK of more than was sent opens nothing",
	  "c:S e:SAa+1 age=3000 sweep",
	  { .connect_timeout_ms = 2000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .fail = 1 },
	{ "a SYN+ACK of what was before the SYN opens nothing",
	  "c:S e:SAa-1 age=3000 sweep",
	  { .connect_timeout_ms = 2000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .fail = 1 },
	{ "a SYN+ACK sent again", "c:S e:SA e:SA c:A c:D e:SA^ e:A c:FA e:FA c:A", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "another SYN+ACK before the first is acknowledged: SYN cookies",
	  "c:S e:SA e:M c:A c:D e:A c:FA e:FA c:A", .entries = 2, .peak = 1, .total = 1 },
	{ "... or the first is, after all", "c:S e:SA e:M^ c:A c:D e:A c:FA e:FA c:A", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "... and a RST with the other's number is none of this connection's",
	  "c:S e:SA e:M^ c:A e:RA=800001^", .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "another SYN+ACK after that is none", "c:S e:SA c:A e:M^ c:FA e:FA c:A", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "simultaneous open",
	  "c:S e:S c:SA e:SA age=3000 sweep",
	  { .connect_timeout_ms = 2000 },
	  .entries = 2,
	  .active = 1,
	  .peak = 1,
	  .total = 1 },
	{ "simultaneous open, the endpoint has the client's SYN+ACK",
	  "c:S e:S c:SA e:A age=3000 sweep",
	  { .connect_timeout_ms = 2000 },
	  .entries = 2,
	  .active = 1,
	  .peak = 1,
	  .total = 1 },
	{ "simultaneous open, and its end", "c:S e:S c:SA e:SA c:D e:A c:FA e:FA c:A", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "both SYNs, and no more",
	  "c:S e:S age=3000 sweep",
	  { .connect_timeout_ms = 2000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .fail = 1 },
	{ "data before any answer is the endpoint's business",
	  "c:S c:D age=3000 sweep",
	  { .connect_timeout_ms = 2000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .fail = 1 },
	{ "client closes first", "c:S e:SA c:A c:FA e:FA c:A", .entries = 2, .peak = 1,
	  .total = 1 },
	{ "... and soon nothing is left", "c:S e:SA c:A c:FA e:FA c:A age=10100 sweep", .peak = 1,
	  .total = 1 },
	{ "... but not at once: the last ACK may be lost",
	  "c:S e:SA c:A c:FA e:FA c:A age=9000 sweep e:FA", .entries = 2, .peak = 1, .total = 1,
	  .touched = TRANSLATED },
	{ "endpoint closes first", "c:S e:SA c:A e:FA c:A c:FA e:A", .entries = 2, .peak = 1,
	  .total = 1 },
	{ "three segments", "c:S e:SA c:A c:FA e:FA c:A", .entries = 2, .peak = 1, .total = 1 },
	{ "simultaneous close", "c:S e:SA c:A c:FA e:FAa-1 e:A c:A", .entries = 2, .peak = 1,
	  .total = 1 },
	{ "a FIN that is only seen ends nothing", "c:S e:SA c:A c:FA e:FA", .entries = 2,
	  .active = 1, .peak = 1, .total = 1 },
	{ "nor do two", "c:S e:SA c:A c:FA e:FAa-1", .entries = 2, .active = 1, .peak = 1,
	  .total = 1 },
	{ "a FIN repeated does no harm", "c:S e:SA c:A c:FA c:FA e:FA e:FA c:FA c:A", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "half closed", "c:S e:SA c:A c:FA e:A", .entries = 2, .active = 1, .peak = 1,
	  .total = 1 },
	{ "half closed and still sending", "c:S e:SA c:A c:FA e:A age=100000 e:D age=100000 sweep",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "half closed and silent", "c:S e:SA c:A c:FA e:A age=131000 sweep", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "the last bytes, sent again after a pause",
	  "c:S e:SA c:A e:FA c:A c:D c:FA age=60000 sweep c:Ds-11^ c:FA", .entries = 2, .active = 1,
	  .peak = 1, .total = 1, .touched = TRANSLATED },
	{ "... longer than that TCP doesn't pause",
	  "c:S e:SA c:A e:FA c:A c:D c:FA age=131000 sweep", .entries = 2, .peak = 1, .total = 1 },
	{ "... and acknowledged",
	  "c:S e:SA c:A e:FA c:A c:D c:FA age=60000 sweep c:Ds-11^ c:FA e:A", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "a FIN where there has been data is none",
	  "c:S e:SA c:A c:D c:D c:FAs-15^ e:A age=131000 sweep", .entries = 2, .active = 1,
	  .peak = 1, .total = 1 },
	{ "... even if as much was acknowledged once",
	  "c:S e:SA c:A c:D c:D c:FAs-16^ e:Aa-15 e:A e:FA c:A", .entries = 2, .active = 1,
	  .peak = 1, .total = 1 },
	{ "a FIN without the data in front of it, and then the right one",
	  "c:S e:SA c:A e:FAs+1000^ c:A c:FA e:A e:FA c:A", .entries = 2, .peak = 1, .total = 1 },
	{ "... within the window", "c:S e:SA c:A e:FAs+100^ c:A c:FA e:A e:FA c:A", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "data that a FIN overtakes", "c:S e:SA c:A c:Ds+10^ c:FAs+20^ e:A c:D c:D c:FA e:FA c:A",
	  .entries = 2, .peak = 1, .total = 1 },
	{ "a FIN with data, sent again with more",
	  "c:S e:SA c:A c:FAp10 c:FAp20s-11^ e:FA c:A age=131000 sweep", .entries = 2, .peak = 1,
	  .total = 1 },
	{ "a FIN beyond the window", "c:S e:SA c:A e:A c:FAs+70000^ age=131000 sweep", .entries = 2,
	  .active = 1, .peak = 1, .total = 1 },
	{ "a FIN of the endpoint's beyond the window", "c:S e:SA c:A e:FAs+70000^ age=131000 sweep",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "a FIN within it, before what is missing", "c:S e:SA c:A c:FAs+10 c:Ds-11^ e:FA c:A",
	  .entries = 2, .peak = 1, .total = 1 },
	{ "a FIN below the window", "c:S e:SA c:A c:D e:A c:FAs-20^ age=131000 sweep", .entries = 2,
	  .active = 1, .peak = 1, .total = 1 },
	{ "a FIN that acknowledges what was never sent", "c:S e:SA c:A c:FAa+1^ age=131000 sweep",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "... of the endpoint's", "c:S e:SA c:A e:FAa+1^ age=131000 sweep", .entries = 2,
	  .active = 1, .peak = 1, .total = 1 },
	{ "a FIN without ACK", "c:S e:SA c:A c:F^ age=131000 sweep", .entries = 2, .active = 1,
	  .peak = 1, .total = 1 },
	{ "an ACK of what was never sent acknowledges no FIN", "c:S e:SA c:A c:FA e:FA c:Aa+1^",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "an ACK beyond the window acknowledges no FIN", "c:S e:SA c:A c:FA e:FA c:As+70000^",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "old data does not keep a connection alive",
	  "c:S e:SA c:A c:D e:A age=1500 c:Ds-20^ age=1000 sweep",
	  { .idle_timeout_ms = 2000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1 },
	{ "both name a window scale", "c:Sx7 e:SAx7 c:A e:A c:FAs+70000^ age=131000 sweep",
	  .entries = 2, .peak = 1, .total = 1 },
	{ "one does: no window is scaled", "c:Sx7 e:SA c:A e:A c:FAs+70000^ age=131000 sweep",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "the other does", "c:S e:SAx7 c:A e:A c:FAs+70000^ age=131000 sweep", .entries = 2,
	  .active = 1, .peak = 1, .total = 1 },
	{ "a SYN's own window is not scaled", "c:Sx7 e:SAx7w1000 c:A c:FAs+70000^ age=131000 sweep",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "repeated bytes are not counted", "c:S e:SA c:A c:D c:Ds-10^ c:D c:Ds-5^ e:A",
	  .entries = 2, .active = 1, .peak = 1, .total = 1, .bytes = 25 },
	{ "nor is a FIN", "c:S e:SA c:A c:D c:FA c:FA e:A", .entries = 2, .active = 1, .peak = 1,
	  .total = 1, .bytes = 10 },
	{ "RST from the client", "c:S e:SA c:A c:R", .peak = 1, .total = 1 },
	{ "RST from the endpoint", "c:S e:SA c:A e:R", .peak = 1, .total = 1 },
	{ "both RST", "c:S e:SA c:A c:R e:R", .peak = 1, .total = 1 },
	{ "RST after FIN", "c:S e:SA c:A c:FA e:R", .peak = 1, .total = 1 },
	{ "refused by the endpoint", "c:S e:RA", .peak = 1, .total = 1, .fail = 1 },
	{ "a refusal of something else", "c:S e:RAa+5", .entries = 2, .active = 1, .peak = 1,
	  .total = 1 },
	{ "a RST without ACK is no answer to a SYN", "c:S e:R", .entries = 2, .active = 1,
	  .peak = 1, .total = 1 },
	{ "given up by the client", "c:S c:R age=3100 sweep", .entries = 2, .peak = 1, .total = 1 },
	{ "a RST out of the blue ends nothing", "c:S e:SA c:A e:R! age=3100 sweep", .entries = 2,
	  .active = 1, .peak = 1, .total = 1 },
	{ "a RST one beyond what was sent", "c:S e:SA c:A c:Rs+1^ age=3100 sweep", .entries = 2,
	  .active = 1, .peak = 1, .total = 1 },
	{ "a RST one below", "c:S e:SA c:A c:Rs-1^ age=3100 sweep", .entries = 2, .active = 1,
	  .peak = 1, .total = 1 },
	{ "... but for a FIN that has been acknowledged",
	  "c:S e:SA c:A c:FA e:A c:Rs-1^ age=3100 sweep", .entries = 2, .peak = 1, .total = 1 },
	{ "data and RST: the endpoint may not have the data", "c:S e:SA c:A c:D c:R", .entries = 2,
	  .active = 1, .peak = 1, .total = 1 },
	{ "... and says no more: it had", "c:S e:SA c:A c:D c:R age=3100 sweep", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "... nor since: what it says was under way", "c:S e:SA c:A c:D c:R e:A age=3100 sweep",
	  .entries = 2, .peak = 1, .total = 1 },
	{ "... or it answers: it had not", "c:S e:SA c:A c:D c:R age=1500 e:Aa-10 age=1600 sweep",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "... and after that it is answered with RST", "c:S e:SA c:A c:D c:R age=3100 sweep e:A",
	  .entries = 2, .peak = 1, .total = 1, .last = TC_ACT_REDIRECT, .last_flags = RST },
	{ "a RST where the endpoint was, with more under way", "c:S e:SA c:A c:D c:Rs-10^",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "... which has arrived", "c:S e:SA c:A c:D c:Rs-10^ age=1500 e:A age=2000 sweep",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "a RST within what is under way", "c:S e:SA c:A c:D c:D c:Rs-10^ age=3100 sweep",
	  .entries = 2, .peak = 1, .total = 1 },
	{ "the endpoint resets before the client has acknowledged anything", "c:S e:SA e:R",
	  .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "... and nothing follows", "c:S e:SA e:R age=3100 sweep", .entries = 2, .peak = 1,
	  .total = 1 },
	{ "... with ACK, which the client takes in any case", "c:S e:SA e:RA", .peak = 1,
	  .total = 1 },
	{ "a copy of the SYN on an open connection, then RST", "c:S e:SA c:A c:S e:R", .peak = 1,
	  .total = 1 },
	{ "... and data meanwhile", "c:S e:SA c:A c:D e:A c:S=1000^ c:D e:A e:R", .peak = 1,
	  .total = 1 },
	{ "a SYN on an open connection is the endpoint's business", "c:S e:SA c:A c:N^",
	  .entries = 2, .active = 1, .peak = 1, .total = 1, .touched = TRANSLATED },
	{ "... which asks back, and is told", "c:S e:SA c:A c:N e:Aa-898999 c:R=1001", .peak = 1,
	  .total = 1 },
	{ "... or has forgotten it, too", "c:S e:SA c:A c:N e:RA=0 age=3100 sweep", .entries = 2,
	  .peak = 1, .total = 1 },
	{ "... or would have, were it the client's",
	  "c:S e:SA c:A c:N^ e:RA=0a+898999^ age=1500 c:A sweep age=3000 sweep", .entries = 2,
	  .active = 1, .peak = 1, .total = 1 },
	{ "... which makes it a new one: its first FIN is the first",
	  "c:S e:SA c:A c:FA c:N e:M c:A e:FA", .entries = 2, .active = 1, .peak = 1, .total = 1 },
	{ "... with an end of its own", "c:S e:SA c:A c:FA c:N e:M c:A e:FA c:A c:FA e:A",
	  .entries = 2, .peak = 1, .total = 1 },
	{ "a copy of the old SYN+ACK doesn't", "c:S e:SA c:A c:FA c:N^ e:SA^ e:FA c:A",
	  .entries = 2, .peak = 1, .total = 1 },
	{ "the same port again after a close", "c:S e:SA c:A e:FA c:A c:FA e:A c:N", .entries = 2,
	  .active = 1, .peak = 1, .total = 2 },
	{ "a copy of the SYN after that is none", "c:S e:SA c:A e:FA c:A c:FA e:A c:S=1000^",
	  .entries = 2, .peak = 1, .total = 1 },
	{ "no answer within 10 s", "c:S age=10100 sweep", .entries = 2, .peak = 1, .total = 1,
	  .fail = 1 },
	{ "repeated SYNs don't extend that", "c:S age=9000 c:S age=1100 sweep", .entries = 2,
	  .peak = 1, .total = 1, .fail = 1 },
	{ "a SYN repeated after that is refused", "c:S age=10100 sweep c:S", .entries = 2,
	  .peak = 1, .total = 1, .fail = 1, .last = TC_ACT_REDIRECT, .last_flags = RST | ACK },
	{ "connectTimeout",
	  "c:S age=300 sweep",
	  { .connect_timeout_ms = 200 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .fail = 1 },
	{ "within connectTimeout",
	  "c:S age=100 sweep",
	  { .connect_timeout_ms = 200 },
	  .entries = 2,
	  .active = 1,
	  .peak = 1,
	  .total = 1 },
	{ "idleTimeout",
	  "c:S e:SA c:A age=2100 sweep",
	  { .idle_timeout_ms = 2000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1 },
	{ "within idleTimeout",
	  "c:S e:SA c:A age=1500 e:D age=1500 sweep",
	  { .idle_timeout_ms = 2000 },
	  .entries = 2,
	  .active = 1,
	  .peak = 1,
	  .total = 1 },
	{ "after idleTimeout the client gets RST",
	  "c:S e:SA c:A age=2100 sweep c:D",
	  { .idle_timeout_ms = 2000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .last = TC_ACT_REDIRECT,
	  .last_flags = RST },
	{ "... and so does the endpoint",
	  "c:S e:SA c:A age=2100 sweep e:D",
	  { .idle_timeout_ms = 2000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .last = TC_ACT_REDIRECT,
	  .last_flags = RST },
	{ "maxConnectionDuration",
	  "c:S e:SA c:A age=4000 c:D age=1100 c:D sweep",
	  { .max_duration_ms = 5000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1 },
	{ "a handshake that the client doesn't complete", "c:S e:SA age=10100 sweep", .entries = 2,
	  .peak = 1, .total = 1, .fail = 1 },
	{ "the client's pod goes", "c:S e:SA c:A gone=c sweep", .entries = 2, .peak = 1,
	  .total = 1 },
	{ "... the endpoint is told, and it is soon forgotten",
	  "c:S e:SA c:A gone=c sweep age=11000 sweep", .peak = 1, .total = 1 },
	{ "the endpoint's pod goes", "c:S e:SA c:A gone=e sweep", .entries = 2, .peak = 1,
	  .total = 1 },
	{ "... and the client's next packet is answered with RST", "c:S e:SA c:A gone=e sweep c:D",
	  .entries = 2, .peak = 1, .total = 1, .last = TC_ACT_REDIRECT, .last_flags = RST },
	{ "... and a minute later nothing is left", "c:S e:SA c:A gone=e sweep age=61000 sweep",
	  .peak = 1, .total = 1 },
	{ "the endpoint's Pod is deleted", "c:S e:SA c:A del=e sweep", .entries = 2, .peak = 1,
	  .total = 1 },
	{ "the endpoint's pod goes during the handshake", "c:S gone=e sweep", .entries = 2,
	  .peak = 1, .total = 1, .fail = 1 },
	{ "a packet of no connection is passed", "c:D", .last = TC_ACT_UNSPEC,
	  .touched = UNTOUCHED },
	{ "a reply of no connection is passed", "e:SA", .last = TC_ACT_UNSPEC,
	  .touched = UNTOUCHED },
	{ "a RST of no connection is passed", "c:R", .last = TC_ACT_UNSPEC, .touched = UNTOUCHED },
	{ "hairpin: a pod reaches itself",
	  "c:S e:SA c:A c:FA e:FA c:A",
	  { .hairpin = true },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .last = TC_ACT_REDIRECT },
	{ "from outside",
	  "c:S e:SA c:A c:D e:A",
	  { .outside = true },
	  .entries = 2,
	  .active = 1,
	  .peak = 1,
	  .total = 1,
	  .touched = TRANSLATED },
	{ "from outside to another node",
	  "c:S e:SA c:A c:D e:A",
	  { .outside = true, .remote_endpoint = true },
	  .entries = 4,
	  .active = 1,
	  .peak = 1,
	  .total = 1,
	  .touched = TRANSLATED },
	{ "... and its end",
	  "c:S e:SA c:A c:FA e:FA c:A age=10100 sweep",
	  { .outside = true, .remote_endpoint = true },
	  .peak = 1,
	  .total = 1 },
	{ "... or its end by RST",
	  "c:S e:SA c:A e:R",
	  { .outside = true, .remote_endpoint = true },
	  .peak = 1,
	  .total = 1 },
	{ "who talks to whom: it is open once the endpoint has answered", "c:S e:SA", .entries = 2,
	  .active = 1, .peak = 1, .total = 1, .tcp = { 1, 0, 0, 0 } },
	{ "... and data is counted with its end, both ways",
	  "c:S e:SA c:A c:D c:Ds-10^ e:A e:D e:D c:A c:FA e:FA c:A", .entries = 2, .peak = 1,
	  .total = 1, .tcp = { 1, 1, 10, 20 } },
	{ "... not twice, if it was counted before",
	  "c:S e:SA c:A c:D count e:D count e:D c:A "
	  "count count c:FA e:FA c:A count",
	  .entries = 2, .peak = 1, .total = 1, .tcp = { 1, 1, 10, 20 } },
	{ "... and before, it is seen as well", "c:S e:SA c:A c:D e:D e:D count c:D", .entries = 2,
	  .active = 1, .peak = 1, .total = 1, .tcp = { 1, 0, 10, 20 } },
	{ "... until a RST", "c:S e:SA c:A c:D e:D count c:D e:A c:R", .peak = 1, .total = 1,
	  .tcp = { 1, 1, 20, 10 } },
	{ "... until it has been idle for too long",
	  "c:S e:SA c:A c:D count e:D age=3000 sweep count",
	  { .idle_timeout_ms = 2000 },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .tcp = { 1, 1, 10, 10 } },
	{ "... or the endpoint is gone", "c:S e:SA c:A c:D count e:D gone=e sweep", .entries = 2,
	  .peak = 1, .total = 1, .tcp = { 1, 1, 10, 10 } },
	{ "... with the SYN's own data", "c:Sp100 e:SA c:A e:A count", .entries = 2, .active = 1,
	  .peak = 1, .total = 1, .tcp = { 1, 0, 100, 0 } },
	{ "... of a pod that calls itself",
	  "c:S e:SA c:A c:D e:D count c:FA e:FA c:A",
	  { .hairpin = true },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .tcp = { 1, 1, 10, 10 } },
	{ "... from outside",
	  "c:S e:SA c:A c:D e:D count c:FA e:FA c:A",
	  { .outside = true },
	  .entries = 2,
	  .peak = 1,
	  .total = 1,
	  .tcp = { 1, 1, 10, 10 } },
	{ "... in the row for all that there is no room for", "full c:S e:SA c:A c:D count e:D",
	  .entries = 2, .active = 1, .peak = 1, .total = 1, .rest = true, .tcp = { 1, 0, 10, 0 } },
	{ "... to its end", "full c:S e:SA c:A c:D count e:D c:FA e:FA c:A", .entries = 2,
	  .peak = 1, .total = 1, .rest = true, .tcp = { 1, 1, 10, 10 } },
	{ "an empty cluster refuses",
	  "c:S",
	  { .no_endpoint = true },
	  .last = TC_ACT_REDIRECT,
	  .last_flags = RST | ACK },
	{ "from outside, no way to the endpoint refuses",
	  "c:S",
	  { .outside = true, .remote_endpoint = true, .no_route = true },
	  .last = TC_ACT_REDIRECT,
	  .last_flags = RST | ACK },
	{ "a pod's way is the node's affair",
	  "c:S",
	  { .remote_endpoint = true, .no_route = true },
	  .entries = 2,
	  .active = 1,
	  .peak = 1,
	  .total = 1,
	  .touched = TRANSLATED },
	{ "before the first rules everything is passed",
	  "c:S",
	  { .without_generation = true },
	  .last = TC_ACT_UNSPEC,
	  .touched = UNTOUCHED },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "+10", "-10" or "10" at *at, which moves behind it. */
static int number(const char **at)
{
	char *end;
	long n = strtol(*at, &end, 10);

	cr_assert(end > *at && is_digit(end[-1]), "a number was expected: %s", *at);
	*at = end;
	return n;
}

struct event {
	struct env_packet p;
	bool copy, absolute;
};

static void parse_event(const char *text, struct event *v)
{
	struct env_packet *p = &v->p;
	const char *c = text + 2;

	while (*c) {
		switch (*c++) {
		case 'S':
		case 'N':
			p->flags |= SYN;
			break;
		case 'M':
			p->flags |= SYN | ACK;
			break;
		case 'A':
			p->flags |= ACK;
			break;
		case 'F':
			p->flags |= FIN;
			break;
		case 'R':
			p->flags |= RST;
			break;
		case 'D':
			p->flags |= ACK, p->payload = 10;
			break;
		case '!':
			p->seq += 1u << 30;
			break;
		case '^':
			v->copy = true;
			break;
		case 'p':
			p->payload = number(&c);
			break;
		case 's':
			p->seq += number(&c);
			break;
		case 'a':
			p->ack += number(&c);
			break;
		case 'x':
			p->wscale = number(&c) + 1;
			break;
		case 'w':
			p->window = number(&c);
			break;
		case '=':
			p->seq = number(&c), v->absolute = true;
			break;
		default:
			cr_assert_fail("bad event %s", text);
		}
	}
}

static __u32 isn_of(const char *text)
{
	if (strchr(text, 'N'))
		return OTHER_CLIENT_ISN;
	return strchr(text, 'M') ? OTHER_ENDPOINT_ISN : text[0] == 'c' ? CLIENT_ISN : ENDPOINT_ISN;
}

/* Where it is seen first and for good: an endpoint's packet on its way out to the client. */
static const char *program_for(const struct script *s, bool client)
{
	struct tuple key = s->endpoint.sends;
	bool hairpin = !memcmp(&key.dst, &s->client.sends.dst, sizeof(key.dst));
	bool outside = !memcmp(&(struct addr[]){ env_node(s->env) }, &s->client.sends.dst,
			       sizeof(struct addr));

	if (outside)
		return client ? "from_nic" : "to_nic";
	return client || hairpin ? "from_pod" : "to_pod";
}

static void send_packet(struct script *s, const char *text)
{
	bool client = text[0] == 'c';
	struct side *from = client ? &s->client : &s->endpoint,
		    *peer = client ? &s->endpoint : &s->client;
	struct event v = { .p = { .t = from->sends, .window = 65535 } };
	struct side before = *from;
	struct env_result r;

	parse_event(text, &v);
	/* Repeated SYNs and FINs carry the same number. */
	if ((v.p.flags & SYN) && !v.absolute)
		from->next = isn_of(text);
	if ((v.p.flags & SYN) && !v.absolute && isn_of(text) > 10000)
		from->fin = 0;
	if ((v.p.flags & FIN) && from->fin && !v.copy)
		from->next = from->fin;
	if ((v.p.flags & FIN) && !v.copy)
		from->fin = from->next;
	if (!v.absolute)
		v.p.seq += from->next;
	v.p.ack = v.p.flags & ACK ? v.p.ack + peer->next : 0;
	r = env_run(s->env, program_for(s, client), &v.p);
	cr_expect(r.checksums_ok, "%s: checksums", text);
	from->next = v.p.seq + v.p.payload + !!(v.p.flags & SYN) + !!(v.p.flags & FIN);
	if (v.p.flags & RST)
		*from = before;
	if (v.copy)
		*from = before;
	s->last = r.action;
	s->last_flags = r.packet.flags;
	s->translated = memcmp(&r.packet.t, &v.p.t, sizeof(v.p.t)) != 0;
}

/* What the endpoint's packets look like follows from the forward entry. */
static void learn_endpoint(struct script *s)
{
	struct conn c;

	if (env_conn(s->env, &s->client.sends, &c))
		tuple_turn(&s->endpoint.sends, &c.to);
}

static void run_event(struct script *s, const char *event)
{
	struct addr endpoint = env_endpoint(s->env);

	if (event[1] == ':') {
		send_packet(s, event);
		learn_endpoint(s);
	} else if (!strcmp(event, "sweep")) {
		env_sweep(s->env, 1);
	} else if (!strncmp(event, "age=", 4)) {
		env_age(s->env, &s->client.sends, atoi(event + 4));
	} else if (!strncmp(event, "gone=", 5)) {
		env_pod_gone(s->env, event[5] == 'c' ? CLIENT_IF : ENDPOINT_IF);
	} else if (!strcmp(event, "count")) {
		env_count_traffic(s->env);
	} else if (!strcmp(event, "full")) {
		env_fill_tcp_rows(s->env);
	} else if (!strcmp(event, "del=e")) {
		env_addr_gone(s->env, &endpoint);
	} else {
		cr_assert_fail("bad event %s", event);
	}
}

/* Whatever has happened: what holds a place and has been opened is not closed yet. */
static void check_balance(const struct row *row, struct script *s, const struct tcp_traffic *t,
			  const char *variant)
{
	struct conn c;
	bool open = env_conn(s->env, &s->client.sends, &c) && c.reservation && c.traffic;

	cr_expect_eq(t->opened - t->closed, open, "%s, %s: %llu opened, %llu closed", row->what,
		     variant, t->opened, t->closed);
	cr_expect(t->opened || (!t->received && !t->sent), "%s, %s: bytes of none", row->what,
		  variant);
	cr_expect(env_tcp_counted(s->env) <= open, "%s, %s: it has ended", row->what, variant);
}

static void check_traffic(const struct row *row, struct script *s, const char *variant)
{
	struct tcp_traffic t = row->rest ? env_tcp_rest(s->env) : env_tcp_traffic(s->env);

	check_balance(row, s, &t, variant);
	if (!row->rest)
		cr_expect_eq(env_tcp_rows(s->env), t.opened > 0, "%s, %s: %u rows", row->what,
			     variant, env_tcp_rows(s->env));
	if (!row->tcp.opened)
		return;
	cr_expect(!memcmp(&t, &row->tcp, sizeof(t)),
		  "%s, %s: opened %llu, closed %llu, received %llu, sent %llu", row->what, variant,
		  t.opened, t.closed, t.received, t.sent);
}

static void check_row(const struct row *row, struct script *s, const char *variant)
{
	struct cluster_stat c = env_cluster(s->env);
	struct cluster_limit l = env_limit(s->env);
	struct conn forward;

	cr_expect_eq(env_entries(s->env), row->entries, "%s, %s: %u entries", row->what, variant,
		     env_entries(s->env));
	cr_expect_eq(env_counted(s->env), row->entries, "%s, %s: %llu counted", row->what, variant,
		     env_counted(s->env));
	cr_expect_eq(l.steered, row->active, "%s, %s: active %u", row->what, variant, l.steered);
	cr_expect_eq(env_endpoint_stat(s->env).active, row->active, "%s, %s: endpoint's active",
		     row->what, variant);
	cr_expect_eq(l.peak, row->peak, "%s, %s: peak %u", row->what, variant, l.peak);
	cr_expect_eq(c.cx_total, row->total, "%s, %s: total %llu", row->what, variant, c.cx_total);
	cr_expect_eq(c.connect_fail, row->fail, "%s, %s: fail %llu", row->what, variant,
		     c.connect_fail);
	if (row->bytes)
		cr_expect(env_conn(s->env, &s->client.sends, &forward) &&
				  forward.bytes == row->bytes,
			  "%s, %s: %llu bytes", row->what, variant, forward.bytes);
	check_traffic(row, s, variant);
	if (row->touched)
		cr_expect_eq(s->translated, row->touched == TRANSLATED, "%s, %s: translated: %d",
			     row->what, variant, s->translated);
	if (row->last || row->last_flags) {
		cr_expect_eq(s->last, row->last, "%s, %s: action %d", row->what, variant, s->last);
		if (row->last_flags)
			cr_expect_eq(s->last_flags, row->last_flags, "%s, %s: flags %x", row->what,
				     variant, s->last_flags);
	}
}

static void run_row(const struct row *row, int family)
{
	struct env_options o = row->o;
	struct script s = { .client.next = CLIENT_ISN + 1, .endpoint.next = ENDPOINT_ISN + 1 };
	char events[256], *event, *rest;

	o.family = family;
	s.env = env_new(&o);
	s.client.sends = (struct tuple){ .src = env_client(s.env),
					 .dst = env_vip(s.env),
					 .sport = CLIENT_PORT,
					 .dport = VIP_PORT };
	s.endpoint.sends = (struct tuple){ .src = env_endpoint(s.env),
					   .dst = env_client(s.env),
					   .sport = ENDPOINT_PORT,
					   .dport = CLIENT_PORT };
	snprintf(events, sizeof(events), "%s", row->events);
	for (event = strtok_r(events, " ", &rest); event; event = strtok_r(NULL, " ", &rest))
		run_event(&s, event);
	check_row(row, &s, family == 4 ? "IPv4" : "IPv6");
	env_free(s.env);
}

Test(conn, life, .timeout = 120)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		run_row(&rows[i], 4);
		run_row(&rows[i], 6);
	}
}
