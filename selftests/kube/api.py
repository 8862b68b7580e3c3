# SPDX-License-Identifier: Apache-2.0
"""The administrator's requests to the tests' API server."""
import http.client
import json
import ssl
import sys
import time


class Api:
    """Over one connection, which is made anew when it ends. A server that is away is waited for, for so many seconds."""

    def __init__(self, directory, port, patience=0):
        self.directory, self.port, self.patience, self.connection = directory, port, patience, None

    def connect(self):
        context = ssl.create_default_context(cafile=self.directory + "/ca.crt")
        self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=30)

    def once(self, method, path, text, head):
        if not self.connection:
            self.connect()
        self.connection.request(method, path, text, head)
        answer = self.connection.getresponse()
        back = answer.read()
        return answer.status, json.loads(back) if back[:1] == b"{" else {}

    def text(self, path):
        """What a path that answers with no JSON has."""
        with open(self.directory + "/admin.token", encoding="ascii") as token:
            head = {"Authorization": "Bearer " + token.read().strip()}
        self.connect()
        self.connection.request("GET", path, headers=head)
        return self.connection.getresponse().read().decode()

    def raw(self, method, path, body=None, kind="application/json"):
        """Returns status and JSON."""
        with open(self.directory + "/admin.token", encoding="ascii") as token:
            head = {"Authorization": "Bearer " + token.read().strip(), "Content-Type": kind}
        text = None if body is None else json.dumps(body)
        deadline, tries = time.monotonic() + self.patience, 2
        while True:
            try:
                status, answer = self.once(method, path, text, head)
                if status < 500 or time.monotonic() > deadline:
                    return status, answer
                time.sleep(0.2)
            except (OSError, http.client.HTTPException):
                self.connection, tries = None, tries - 1
                if tries <= 0 and time.monotonic() > deadline:
                    raise
                if tries <= 0:
                    time.sleep(0.2)

    def call(self, method, path, body=None, kind="application/json", allow=()):
        """Ends the program where the status is neither good nor allowed. Returns the JSON."""
        status, answer = self.raw(method, path, body, kind)
        if status >= 300 and status not in allow:
            sys.exit(f"FAIL: {method} {path}: {status} {answer.get('message')}")
        return answer
