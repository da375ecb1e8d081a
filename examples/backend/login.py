#!/usr/bin/env python3
"""A company's back end that logs its own users in to the chat, in Python's standard library.

    IMSERVER_KEY=imk_… python3 examples/backend/login.py
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

ADMIN = "http://127.0.0.1:8080/v1/admin"
KEY = os.environ["IMSERVER_KEY"]
# In place of your own users: account and password, then your id and the name.
USERS = {("zhang", "rain"): ("u-1001", "张三"), ("li", "snow"): ("u-1002", "李四")}


def admin(method, path, body):
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = Request(ADMIN + path, json.dumps(body).encode(), headers, method=method)
    with urlopen(request, timeout=5) as answer:
        return json.load(answer)


class Login(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        user = USERS.get((asked.get("account"), asked.get("password")))
        if user is None:
            return self.answer(401, {"detail": "wrong account or password"})
        user_id, name = user
        admin("PUT", f"/users/{user_id}", {"name": name})
        self.answer(200, admin("POST", "/sessions", {"externalId": user_id}))

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body, ensure_ascii=False).encode())

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", 9000), Login).serve_forever()
