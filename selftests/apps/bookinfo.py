#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Bookinfo application of Istio's tutorials: four services, each calling the next by its name.

	bookinfo.py ROLE [PORT]     ROLE: productpage, details, reviews-v1, reviews-v2, reviews-v3, ratings

A service is called as NAME:9080, where NAME is whatever the machine resolves it to. What the tutorials observe is built in:
how long each waits for which other, which tries again, which passes which headers on, and what is shown in place of what did not come.
"""
import functools
import html
import http.client
import http.cookies
import http.server
import json
import re
import socket
import socketserver
import sys
import urllib.parse

PORT = 9080

# What a service passes on when it calls another one, so that the calls of one page can be told to belong together.
PASSED_ON = ("x-request-id", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags", "b3",
	"traceparent", "tracestate", "x-ot-span-context", "x-cloud-trace-context", "grpc-trace-bin", "user-agent")

JSON = "application/json"
HTML = "text/html; charset=utf-8"


def call(service, path, headers, seconds):
	"""The status and the JSON of the answer; (None, None) if none came within that many seconds."""
	connection = http.client.HTTPConnection(service, PORT, timeout=seconds)
	try:
		connection.request("GET", path, headers=headers)
		response = connection.getresponse()
		body = response.read()
		return response.status, json.loads(body) if response.status == 200 else None
	except (OSError, http.client.HTTPException, ValueError):
		return None, None
	finally:
		connection.close()


def passed_on(request, *more):
	return {name: request.headers[name] for name in (*PASSED_ON, *more) if name in request.headers}


def as_json(content, status=200):
	return status, JSON, json.dumps(content), {}


def product_of(path, service):
	"""The number in /SERVICE/NUMBER, or None."""
	found = re.fullmatch(f"/{service}/([0-9]+)", path)
	return found and int(found[1])


# ---- ratings and details: they call no other service ----

def ratings(request):
	product = product_of(request.path, "ratings")
	if product is not None:
		return as_json({"id": product, "ratings": {"Reviewer1": 5, "Reviewer2": 4}})


def details(request):
	product = product_of(request.path, "details")
	if product is not None:
		return as_json({"id": product, "author": "William Shakespeare", "year": 1595, "type": "paperback", "pages": 200,
			"publisher": "PublisherA", "language": "English", "ISBN-10": "1234567890", "ISBN-13": "123-1234567890"})


# ---- reviews: version 1 asks for no ratings, 2 shows them as black stars, 3 as red ones ----

REVIEWS = {
	"Reviewer1": "Two pairs of twins, one day, and nobody who asks the right question. I have laughed all evening.",
	"Reviewer2": "Light and quick. Whoever looks for depth will find it in his later plays.",
}


def rating(stars, color):
	if stars is None:
		return {"error": "Ratings service is currently unavailable"}
	return {"stars": stars, "color": color}


def reviews(request, version, color=None, patience=None):
	product = product_of(request.path, "reviews")
	if product is None:
		return None
	shown = [{"reviewer": name, "text": text} for name, text in REVIEWS.items()]
	if color:
		_, answer = call("ratings", f"/ratings/{product}", passed_on(request, "end-user"), patience)
		stars = answer["ratings"] if answer else {}
		for review in shown:
			review["rating"] = rating(stars.get(review["reviewer"]), color)
	return as_json({"id": str(product), "podname": version, "clustername": "null", "reviews": shown})


# ---- productpage: HTML for people, JSON below /api ----

PRODUCT = {"id": 0, "title": "The Comedy of Errors",
	"descriptionHtml": "A play by <a href=\"https://en.wikipedia.org/wiki/The_Comedy_of_Errors\">Shakespeare</a>: twins, "
	"lost and mistaken for each other."}
STYLE = "body { font-family: sans-serif; margin: 2em } article { margin: 1em 0 } .error { color: gray }\n"
PAGE = """<!DOCTYPE html>
<html>
<head><title>Simple Bookstore App</title><link rel="stylesheet" href="/static/style.css"></head>
<body>
{session}
<h1>{title}</h1>
<p>{summary}</p>
<h2>Book Details</h2>
{details}
<h2>Book Reviews</h2>
{reviews}
</body>
</html>
"""
SIGN_IN = """<form method="post" action="/login"><input name="username" placeholder="User name">
<input name="passwd" type="password" placeholder="Password"><button>Sign in</button></form>"""
SIGNED_IN = """<p>Signed in as <b>{user}</b> (<a href="/logout">sign out</a>)</p>"""
ERROR = """<h3>Error fetching product {what}!</h3>
<p class="error">{error}</p>"""


def user_of(request):
	cookie = http.cookies.SimpleCookie(request.headers.get("cookie", "")).get("session")
	return urllib.parse.unquote(cookie.value) if cookie else ""


def calls_headers(request):
	"""The header by which the other services know the user comes from the session alone, never from the browser."""
	headers = passed_on(request)
	user = user_of(request)
	if user:
		headers["end-user"] = user
	return headers


def fetch(request, service, product, what=None, tries=1):
	"""Three seconds for each try; whatever is not a 200 in this time counts as nothing."""
	for _ in range(tries):
		status, answer = call(service, f"/{service}/{product}", calls_headers(request), 3)
		if status == 200:
			return 200, answer
	return status or 500, {"error": f"Sorry, product {what or service} are currently unavailable for this book."}


FETCH = {
	"details": functools.partial(fetch, service="details"),
	"reviews": functools.partial(fetch, service="reviews", tries=2),
	"ratings": functools.partial(fetch, service="ratings"),
}


def stars_html(given):
	if "error" in given:
		return f'<p class="error">{html.escape(given["error"])}</p>'
	shown = "★" * given["stars"] + "☆" * (5 - given["stars"])
	return f'<font color="{html.escape(given["color"])}">{shown}</font>'


def review_html(review):
	text = f'<blockquote>{html.escape(review["text"])}</blockquote><p>— {html.escape(review["reviewer"])}</p>'
	stars = stars_html(review["rating"]) if "rating" in review else ""
	return f"<article>{text}{stars}</article>"


def reviews_html(answer):
	served_by = f'<p>Reviews served by: {html.escape(answer["podname"])}</p>'
	return "\n".join([*map(review_html, answer["reviews"]), served_by])


def details_html(answer):
	rows = (f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>" for name, value in answer.items())
	return f'<table>{"".join(rows)}</table>'


def part_html(request, what, shown):
	status, answer = FETCH[what](request, product=PRODUCT["id"])
	if status != 200:
		return ERROR.format(what=what, error=html.escape(answer["error"]))
	return shown(answer)


def page(request):
	user = user_of(request)
	return 200, HTML, PAGE.format(
		session=SIGNED_IN.format(user=html.escape(user)) if user else SIGN_IN,
		title=html.escape(PRODUCT["title"]), summary=PRODUCT["descriptionHtml"],
		details=part_html(request, "details", details_html), reviews=part_html(request, "reviews", reviews_html)), {}


def back_to_page(user):
	"""A browser's way back from signing in or out; no user ends the session."""
	cookie = f"session={urllib.parse.quote(user)}; Path=/; HttpOnly" + ("" if user else "; Max-Age=0")
	return 302, HTML, "", {"Location": "/productpage", "Set-Cookie": cookie}


def login(request):
	return back_to_page(urllib.parse.parse_qs(request.body).get("username", [""])[0])


def api(request, path):
	if path == "/api/v1/products":
		return as_json([PRODUCT])
	found = re.fullmatch("/api/v1/products/([0-9]+)(?:/(reviews|ratings))?", path)
	if found:
		status, answer = FETCH[found[2] or "details"](request, product=found[1])
		return as_json(answer, status)


def productpage(request):
	path = urllib.parse.urlsplit(request.path).path
	if path == "/login" and request.command == "POST":
		return login(request)
	if path == "/logout":
		return back_to_page("")
	if path in ("/", "/index.html", "/productpage"):
		return page(request)
	if path == "/static/style.css":
		return 200, "text/css", STYLE, {}
	return api(request, path)


ROLES = {
	"productpage": productpage,
	"details": details,
	"reviews-v1": functools.partial(reviews, version="reviews-v1"),
	"reviews-v2": functools.partial(reviews, version="reviews-v2", color="black", patience=10),
	"reviews-v3": functools.partial(reviews, version="reviews-v3", color="red", patience=2.5),
	"ratings": ratings,
}


# ---- the server ----

class Server(http.server.ThreadingHTTPServer):
	address_family = socket.AF_INET6
	request_queue_size = 1024

	def server_bind(self):
		# IPv4, too. HTTPServer's own would ask the DNS for this machine's name.
		self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
		socketserver.TCPServer.server_bind(self)


class Request(http.server.BaseHTTPRequestHandler):
	protocol_version = "HTTP/1.1"
	wbufsize = -1 # head and body in one piece
	role = None

	def do_GET(self):
		self.body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
		answer = as_json({"status": "healthy"}) if self.path == "/health" else type(self).role(self)
		status, kind, body, headers = answer or as_json({"error": "not found"}, 404)
		body = body.encode()
		self.send_response(status)
		for name, value in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
			self.send_header(name, str(value))
		self.end_headers()
		if self.command != "HEAD":
			self.wfile.write(body)

	do_HEAD = do_POST = do_GET

	def log_request(self, code="-", size="-"):
		headers = getattr(self, "headers", None) or {}
		who, host, call_id = (headers.get(name, "-") for name in ("end-user", "host", "x-request-id"))
		# In one write, or the lines of two threads may become one.
		sys.stdout.write(f'{self.client_address[0]} "{self.requestline}" {int(code)} host={host} end-user={who} id={call_id}\n')
		sys.stdout.flush()


def main():
	if len(sys.argv) not in (2, 3) or sys.argv[1] not in ROLES:
		sys.exit(__doc__)
	Request.role = staticmethod(ROLES[sys.argv[1]])
	server = Server(("::", int(sys.argv[2]) if len(sys.argv) == 3 else PORT), Request)
	print(f"{sys.argv[1]}: listening on {server.server_address[1]}", flush=True)
	server.serve_forever()


if __name__ == "__main__":
	main()
