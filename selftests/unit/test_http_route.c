// SPDX-License-Identifier: Apache-2.0
/*
 * Requests to the rules of selftests/rules/http, and what has to happen to them: the destination
 * (its subset, or its cluster), then what is changed of the request (=set +added -removed), what
 * else the route says, and after a < what is changed of the response.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "cleanup.h"
#include "test_http_util.h"

struct row {
	struct http_ask ask;
	const char *want;
};

#define PREFLIGHT "access-control-request-method: GET\n"

static const struct row mesh[] = {
	/* uri */
	{ { .host = "uri", .path = "/exact" }, "v1" },
	{ { .host = "uri", .path = "/exact?a=b" }, "v1" },
	{ { .host = "uri", .path = "/exact#part" }, "v1" },
	{ { .host = "uri", .path = "/exact/" }, "404" },
	{ { .host = "uri", .path = "/Exact" }, "404" },
	{ { .host = "uri", .path = "/pre" }, "v2" },
	{ { .host = "uri", .path = "/prefix" }, "v2" },
	{ { .host = "uri", .path = "/pre/x?y" }, "v2" },
	{ { .host = "uri", .path = "/?x=/pre" }, "404" },
	{ { .host = "uri", .path = "/a12" }, "v3" },
	{ { .host = "uri", .path = "/a12?q=1" }, "v3" },
	{ { .host = "uri", .path = "/a12/x" }, "404" },
	{ { .host = "uri", .path = "/x/a12" }, "404" },
	{ { .host = "uri", .path = "/b/anything/c" }, "v3" },
	{ { .host = "uri", .path = "/b/anything/cd" }, "404" },
	/* the first rule that holds */
	{ { .host = "order", .path = "/a/b" }, "v1" },
	{ { .host = "order", .path = "/z" }, "v1" },
	{ { .host = "order", .path = "/never" }, "v3" },
	/* method, scheme */
	{ { .host = "method", .method = "POST" }, "v1" },
	{ { .host = "method", .method = "post" }, "v3" },
	{ { .host = "method", .method = "PUT" }, "v3" },
	{ { .host = "method", .method = "PUT", .scheme = "https" }, "v1" },
	{ { .host = "method", .method = "DELETE" }, "v2" },
	/* headers */
	{ { .host = "headers", .headers = "end-user: jason" }, "v1" },
	{ { .host = "headers", .headers = "END-User: jason" }, "v1" },
	{ { .host = "headers", .headers = "end-user: Jason" }, "404" },
	{ { .host = "headers", .headers = "end-user: jason\nend-user: x" }, "404" },
	{ { .host = "headers", .headers = "x-tier: Golden\nX-B: " }, "v2" },
	{ { .host = "headers", .headers = "x-tier: Golden" }, "404" },
	{ { .host = "headers", .headers = "x-c: ccc" }, "v3" },
	{ { .host = "headers", .headers = "x-c: cccd" }, "404" },
	{ { .host = "headers", .headers = "cookie: a=b;user=jason" }, "v3" },
	{ { .host = "headers", .headers = "cookie: a=b;user=jasons" }, "404" },
	/* withoutHeaders: what is missing is as good as empty */
	{ { .host = "without", .path = "/value" }, "v1" },
	{ { .host = "without", .path = "/value", .headers = "x-a: 2" }, "v1" },
	{ { .host = "without", .path = "/value", .headers = "x-a: 1" }, "v3" },
	{ { .host = "without", .path = "/star" }, "v2" },
	{ { .host = "without", .path = "/star", .headers = "x-a: " }, "v3" },
	{ { .host = "without", .path = "/any" }, "v3" },
	{ { .host = "without", .path = "/any", .headers = "x-a: 1" }, "v3" },
	{ { .host = "without", .path = "/empty" }, "v2" },
	{ { .host = "without", .path = "/empty", .headers = "x-a: 1" }, "v3" },
	/* queryParams */
	{ { .host = "params", .path = "/?q=1" }, "v1" },
	{ { .host = "params", .path = "/x?a=b&q=1&c" }, "v1" },
	{ { .host = "params", .path = "/?q=1&q=2" }, "v1" },
	{ { .host = "params", .path = "/?q=2&q=1" }, "404" },
	{ { .host = "params", .path = "/?p=aaa&flag" }, "v2" },
	{ { .host = "params", .path = "/?p=aaa&flag=" }, "v2" },
	{ { .host = "params", .path = "/?p=aaa" }, "404" },
	{ { .host = "params", .path = "/?p=aab&flag" }, "404" },
	{ { .host = "params", .path = "/?r=abc" }, "v3" },
	{ { .host = "params", .path = "/q=1" }, "404" },
	/* ignoreUriCase: not for regex */
	{ { .host = "fold", .path = "/fOObar" }, "v1" },
	{ { .host = "fold", .path = "/bar" }, "v1" },
	{ { .host = "fold", .path = "/Rxx" }, "v2" },
	{ { .host = "fold", .path = "/rxx" }, "404" },
	/* who calls; without a rule for the client the service is as if there were none */
	{ { .host = "source", .labels = "app=sleep" }, "v1" },
	{ { .host = "source", .labels = "app=sleep,version=v2" }, "v1" },
	{ { .host = "source.default", .from = "client", .labels = "app=sleep,version=v2" }, "v2" },
	{ { .host = "source.default", .from = "other" }, "v3" },
	{ { .host = "source.default", .from = "client" }, "80||source.default.svc.cluster.local" },
	{ { .host = "named.default", .from = "other" }, "v2" },
	{ { .host = "named.default", .from = "client" }, "80||named.default.svc.cluster.local" },
	{ { .host = "nothing" }, "80||nothing.default.svc.cluster.local" },
	/* the port that is called */
	{ { .host = "ports", .path = "/x" }, "v2" },
	{ { .host = "ports", .path = "/y" }, "404" },
	{ { .host = "ports", .port = 8080, .path = "/y" }, "v1" },
	{ { .host = "ports:9999", .port = 8080, .path = "/y" }, "v1" },
	/* names */
	{ { .host = "plain" }, "80||plain.default.svc.cluster.local" },
	{ { .host = "plain:80", .port = 8080 }, "8080||plain.default.svc.cluster.local" },
	{ { .host = "PLAIN.default" }, "80||plain.default.svc.cluster.local" },
	{ { .host = "plain.default.svc" }, "80||plain.default.svc.cluster.local" },
	{ { .host = "plain.default.svc.cluster.local." }, "80||plain.default.svc.cluster.local" },
	{ { .host = "10.96.0.21" }, "80||plain.default.svc.cluster.local" },
	{ { .host = "plain", .from = "other" }, "pass" },
	{ { .host = "www.example.com" }, "pass" },
	{ { .host = "" }, "pass" },
	{ { .host = "x.wild.example" }, "v2" },
	{ { .host = "x.a.wild.example:80" }, "v3" },
	{ { .host = "wild.example" }, "pass" },
	{ { .host = "exact.example" }, "v2" },
	{ { .host = "svc.literal" }, "v2" },
	{ { .host = "x.wild.example", .port = 8080 }, "pass" },
	{ { .host = "x.wild.example", .port = 1234 }, "v2" },
	/* a port that says nothing of its protocol */
	{ { .host = "sniffed", .port = 9000 }, "v1" },
	{ { .host = "sniffed", .port = 9001 }, "pass" },
	{ { .host = "sniffed", .port = 3306 }, "pass" },
	{ { .host = "quiet", .port = 9000 }, "pass" },
	/* weights */
	{ { .host = "weights", .path = "/one" }, "v1" },
	{ { .host = "weights", .path = "/missing", .turn = 0 }, "v1" },
	{ { .host = "weights", .path = "/missing", .turn = 1 }, "v1" },
	{ { .host = "weights", .turn = 0 }, "v1" },
	{ { .host = "weights", .turn = 1 }, "v2" },
	{ { .host = "weights", .turn = 2 }, "v1" },
	{ { .host = "weights", .turn = 3 }, "v2" },
	/* rewrite */
	{ { .host = "rewrite", .path = "/api/x?q=1" }, "v1 path=//x?q=1" },
	{ { .host = "rewrite", .path = "/old?q=1" }, "v1 path=/new?q=1" },
	{ { .host = "rewrite", .path = "/rx/y?z" }, "v1 path=/whole?z host=other.example" },
	{ { .host = "rewrite", .path = "/up/x" }, "v1 path=/down/x" },
	{ { .host = "rewrite", .path = "/x" }, "v2 path=/all/x" },
	{ { .host = "regex", .path = "/service/foo/v1/api?x=1" },
	  "v1 path=/v1/api/instance/foo?x=1" },
	{ { .host = "regex", .path = "/service" }, "v1" },
	{ { .host = "regex", .path = "/foo?foo" }, "v1 path=/f[o][o]?foo" },
	/* headers */
	{ { .host = "hdr", .path = "/one" },
	  "v1 -gone =x:route =y:route +z:1 =x:dest <-server <+r:1" },
	{ { .host = "hdr", .path = "/host" }, "v1 host=from.route" },
	{ { .host = "hdr", .path = "/" }, "v1 host=from.dest" },
	{ { .host = "multi", .turn = 0 }, "v1 host=d1 =x:dest =x:route" },
	{ { .host = "multi", .turn = 1 }, "v2 =x:route" },
	/* redirect */
	{ { .host = "redirect", .path = "/uri?q=1" }, "301 http://redirect/new?q=1" },
	{ { .host = "redirect", .path = "/query?q=1" }, "302 http://redirect/new?own=1" },
	{ { .host = "redirect:80", .path = "/authority?q" },
	  "307 https://other.example/authority?q" },
	{ { .host = "redirect", .path = "/port" }, "301 https://redirect:8443/port" },
	{ { .host = "redirect:80", .path = "/port" }, "301 https://redirect:8443/port" },
	{ { .host = "redirect", .path = "/default" }, "301 https://redirect/default" },
	{ { .host = "redirect", .path = "/derive" }, "301 http://redirect/derive" },
	{ { .host = "redirect:80", .path = "/derive" }, "301 http://redirect:80/derive" },
	{ { .host = "redirect", .port = 8080, .path = "/derive" },
	  "301 http://redirect:8080/derive" },
	{ { .host = "redirect:8080", .port = 8080, .path = "/derive" },
	  "301 http://redirect:8080/derive" },
	{ { .host = "redirect", .path = "/derive-https" }, "301 https://redirect:80/derive-https" },
	{ { .host = "redirect:80" }, "308 https://redirect/" },
	{ { .host = "redirect:8080" }, "308 https://redirect:8080/" },
	/* directResponse */
	{ { .host = "direct", .path = "/empty" }, "204" },
	{ { .host = "direct", .path = "/x" }, "503 down <=x-why:maintenance" },
	/* fault */
	{ { .host = "fault", .headers = "end-user: jason" }, "v1 delay=7000@100 abort=500@12.5" },
	{ { .host = "fault", .path = "/never" }, "v1 abort=500@0" },
	{ { .host = "fault", .path = "/old" }, "v1 delay=2000@50 abort=UNAVAILABLE@100" },
	{ { .host = "fault", .path = "/x" }, "v1" },
	/* mirror */
	{ { .host = "mirror", .path = "/all" }, "v1 mirror=v2@100" },
	{ { .host = "mirror", .path = "/some" }, "v1 mirror=v2@12.5" },
	{ { .host = "mirror", .path = "/old" }, "v1 mirror=v2@40" },
	{ { .host = "mirror", .path = "/x" }, "v1 mirror=v3@100" },
	/* corsPolicy */
	{ { .host = "cors" }, "v1" },
	{ { .host = "cors", .headers = "origin: https://bad" }, "v1" },
	{ { .host = "cors", .headers = "Origin: https://ok" },
	  "v1 <Allow-Origin:https://ok <Allow-Credentials:true <Expose-Headers:x-e" },
	{ { .host = "cors", .headers = "origin: https://b1" },
	  "v1 <Allow-Origin:https://b1 <Allow-Credentials:true <Expose-Headers:x-e" },
	{ { .host = "cors", .headers = "origin: https://b1.evil" }, "v1" },
	{ { .host = "cors", .method = "OPTIONS", .headers = PREFLIGHT "origin: https://ok" },
	  "200 <Allow-Origin:https://ok <Allow-Credentials:true <Allow-Methods:GET,POST "
	  "<Allow-Headers:x-a,x-b <Max-Age:86400" },
	{ { .host = "cors", .method = "OPTIONS", .headers = PREFLIGHT "origin: https://bad" },
	  "v1" },
	{ { .host = "cors", .method = "OPTIONS", .headers = "origin: https://ok" },
	  "v1 <Allow-Origin:https://ok <Allow-Credentials:true <Expose-Headers:x-e" },
	{ { .host = "cors",
	    .path = "/ignore",
	    .method = "OPTIONS",
	    .headers = PREFLIGHT "origin: https://bad" },
	  "200" },
	{ { .host = "cors", .path = "/any", .headers = "origin: null" }, "v1 <Allow-Origin:null" },
	/* timeout, retries */
	{ { .host = "timeout", .path = "/timeout" }, "v1 timeout=500" },
	{ { .host = "timeout", .path = "/retries" },
	  "v1 timeout=10000 retries=3/2000/6 retry-on=418" },
	{ { .host = "timeout", .path = "/off" }, "v1 retries=0/0/0" },
	{ { .host = "timeout", .path = "/x" }, "v1" },
	/* authority sees what the client wrote */
	{ { .host = "authority" }, "v1" },
	{ { .host = "authority.default" }, "v2" },
	{ { .host = "authority:80" }, "v3" },
	{ { .host = "authority:81" }, "404" },
	/* destinations that aren't there */
	{ { .host = "subset", .path = "/undefined" }, "none:v7" },
	{ { .host = "subset", .path = "/service" }, "none:80||nobody.default.svc.cluster.local" },
	{ { .host = "subset", .path = "/external" }, "none:443||www.example.com" },
	{ { .host = "subset", .path = "/x" }, "v9" },
};

static const struct row gateway[] = {
	/* rules for one host are appended by age, what takes everything comes last */
	{ { .host = "a.example.com", .path = "/1" }, "old" },
	{ { .host = "a.example.com", .path = "/2" }, "young" },
	{ { .host = "a.example.com", .path = "/3" }, "old-all" },
	{ { .host = "b.example.com", .path = "/2" }, "old-all" },
	{ { .host = "b.example.com:80", .path = "/1" }, "old" },
	/* hosts */
	{ { .host = "c.example.com", .path = "/all" }, "9000||app.default.svc.cluster.local" },
	{ { .host = "c.example.com", .path = "/none" }, "404" },
	{ { .host = "example.com", .path = "/all" }, "404" },
	{ { .host = "own.test", .path = "/all" }, "9000||app.default.svc.cluster.local" },
	{ { .host = "dot.test", .path = "/all" }, "9000||app.default.svc.cluster.local" },
	{ { .host = "not.test", .path = "/all" }, "404" },
	{ { .host = "short", .path = "/all" }, "9000||app.default.svc.cluster.local" },
	{ { .host = "short.default.svc.cluster.local", .path = "/all" },
	  "9000||app.default.svc.cluster.local" },
	{ { .host = "elsewhere", .path = "/all" }, "404" },
	/* gateways, ports and sources in a match */
	{ { .host = "c.example.com", .path = "/labels" }, "ingress" },
	{ { .host = "c.example.com", .path = "/mesh" }, "404" },
	{ { .host = "c.example.com", .path = "/gw" }, "gw" },
	{ { .host = "c.example.com", .path = "/port" }, "port80" },
	{ { .host = "c.example.com", .path = "/port", .port = 8080 }, "404" },
	/* several gateways on a port; redirects; ports without a rule */
	{ { .host = "second.test", .port = 8080 }, "9000||app.default.svc.cluster.local" },
	{ { .host = "redirected.test:8081", .port = 8081, .path = "/x?y" },
	  "301 https://redirected.test:8081/x?y" },
	{ { .host = "redirected.test:80", .port = 8081 }, "301 https://redirected.test/" },
	{ { .host = "redirected.test", .port = 8081, .scheme = "https" }, "404" },
	{ { .host = "x", .port = 8082 }, "404" },
	{ { .host = "x", .port = 8083 }, "no listener" },
	/* delegates */
	{ { .host = "root.test", .port = 8080, .path = "/shop/v1/x" },
	  "v1 =via:root timeout=1000" },
	{ { .host = "root.test", .port = 8080, .path = "/shop" }, "v3 =via:root timeout=3000" },
	{ { .host = "root.test", .port = 8080, .path = "/login" }, "v3 =via:root timeout=3000" },
	{ { .host = "root.test", .port = 8080, .path = "/login", .headers = "x: y" },
	  "header =via:shop timeout=3000" },
	{ { .host = "root.test", .port = 8080, .path = "/elsewhere" }, "404" },
	{ { .host = "root.test", .port = 8080, .path = "/legacy/x" }, "legacy path=/shop/x" },
	{ { .host = "root.test", .port = 8080, .path = "/gone" }, "404" },
	{ { .host = "root.test", .port = 8080, .path = "/hidden" }, "404" },
	{ { .host = "root.test", .port = 8080, .path = "/root" }, "root" },
};

static const struct row namespaces[] = {
	{ { .host = "svc", .from = "shop" }, "older" },
	{ { .host = "svc.shop", .from = "shop" }, "older" },
	{ { .host = "svc.shop", .from = "default" }, "younger" },
	{ { .host = "10.96.0.1", .from = "default" }, "younger" },
	/* the DestinationRule in the client's own namespace is the one, and lacks the subset */
	{ { .host = "svc.shop", .from = "client" }, "none:younger" },
	{ { .host = "svc", .from = "client" }, "80||svc.client.svc.cluster.local" },
	{ { .host = "svc", .from = "default" }, "pass" },
	{ { .host = "hidden.shop", .from = "default" }, "younger" },
	{ { .host = "[fd00::3]:80", .from = "default" }, "younger" },
	/* an ExternalName stands for another service, with rules of its own */
	{ { .host = "alias", .from = "client" }, "80||svc.client.svc.cluster.local" },
	{ { .host = "alias.client", .from = "shop" }, "80||svc.client.svc.cluster.local" },
	{ { .host = "ruled", .from = "client", .path = "/a" }, "80||svc.client.svc.cluster.local" },
	{ { .host = "ruled", .from = "client", .path = "/b" }, "404" },
	{ { .host = "away", .from = "client" }, "pass" },
	{ { .host = "www.example.com", .from = "client" }, "none:younger" },
	{ { .host = "www.example.com", .from = "default" }, "pass" },
};

static void check(const char *path, const struct row *rows, size_t count, const char *from)
{
	_cleanup_(http_tables_free) struct http_tables t = { 0 };

	http_tables_file(&t, path);
	for (size_t i = 0; i < count; i++) {
		struct http_ask ask = rows[i].ask;
		_cleanup_free_ char *said = NULL;

		if (from)
			ask.from = from;
		said = http_said(&t, &ask);
		cr_expect_str_eq(said, rows[i].want,
				 "%s: %s %s %s from %s (%s): \"%s\", not \"%s\"", path,
				 ask.method ? ask.method : "GET", ask.host,
				 ask.path ? ask.path : "/", ask.from ? ask.from : "default",
				 ask.headers ? ask.headers : "", said, rows[i].want);
	}
}

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))

Test(http_route, requests_in_the_mesh)
{
	check("selftests/rules/http/mesh.yaml", mesh, COUNT(mesh), NULL);
}

Test(http_route, requests_at_gateways)
{
	check("selftests/rules/http/gateway.yaml", gateway, COUNT(gateway), "gateway");
}

Test(http_route, requests_from_namespaces)
{
	check("selftests/rules/http/namespaces.yaml", namespaces, COUNT(namespaces), NULL);
}

Test(http_route, why_a_rule_is_passed_over)
{
	static const struct row rows[] = {
		{ { .host = "headers", .headers = "end-user: x" },
		  "headers http[0].match[0]: header end-user: 'x' is not 'jason'\n"
		  "headers http[1].match[0]: header x-tier: missing\n"
		  "headers http[2].match[0]: header x-c: missing\n"
		  "headers http[2].match[1]: header cookie: missing\n404" },
		{ { .host = "uri", .path = "/a" },
		  "uri http[0].match[0]: uri: '/a' is not '/exact'\n"
		  "uri http[1].match[0]: uri: '/a' does not start with '/pre'\n"
		  "uri http[2].match[0]: uri: '/a' does not match '/a[0-9]+|/b.*c'\n404" },
		{ { .host = "ports" },
		  "ports http[0].match[0]: port: 80 is not 8080\n"
		  "ports http[1].match[0]: uri: '/' does not start with '/x'\n404" },
		{ { .host = "source.default", .from = "x" },
		  "source http[2].match[1]: gateways: mesh is not among them\n"
		  "source http[0].match[0]: sourceNamespace: 'x' is not 'default'\n"
		  "source http[1].match[0]: sourceLabels: the client does not have app=sleep, "
		  "version=v2\n"
		  "source http[2].match[0]: sourceNamespace: 'x' is not 'other'\n"
		  "80||source.default.svc.cluster.local" },
		{ { .host = "without", .path = "/value", .headers = "x-a: 1" },
		  "without http[0].match[0]: withoutHeaders x-a: is '1'\n"
		  "without http[1].match[0]: uri: '/value' does not start with '/star'\n"
		  "without http[2].match[0]: uri: '/value' does not start with '/any'\n"
		  "without http[3].match[0]: uri: '/value' does not start with '/empty'\nv3" },
	};
	_cleanup_(http_tables_free) struct http_tables t = { 0 };

	http_tables_file(&t, "selftests/rules/http/mesh.yaml");
	for (size_t i = 0; i < COUNT(rows); i++) {
		_cleanup_free_ char *said = http_said_skipped(&t, &rows[i].ask);

		cr_expect_str_eq(said, rows[i].want, "\n%s\nnot\n%s", said, rows[i].want);
	}
}
