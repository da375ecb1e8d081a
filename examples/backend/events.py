#!/usr/bin/env python3
"""A company's back end that hears what happens in the chat, and is asked before each send, in Python's standard
library. Both are signed by Standard Webhooks (https://www.standardwebhooks.com), which has libraries for other
languages.

    python3 examples/backend/events.py
"""

import base64
import hmac
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The secret of both in imserver.toml.
SECRET = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def is_signed(headers, body):
    """Whether this body comes from the service, and is no older than five minutes."""
    sent_at = headers.get("webhook-timestamp", "0")
    signed = f"{headers.get('webhook-id')}.{sent_at}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(SECRET, signed, "sha256")).decode()
    signatures = headers.get("webhook-signature", "").split()
    is_new = sent_at.isdigit() and abs(time.time() - int(sent_at)) < 300
    return is_new and any(hmac.compare_digest(expected, each) for each in signatures)


class Events(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_signed(self.headers, body):
            return self.answer(401, {})
        event = json.loads(body)
        if event["type"] == "chat.before_send":
            return self.answer(200, verdict(event["data"]["chat"]))
        # An event may come again, with the same id. A real back end keeps the ids that it has seen.
        print(event["type"], json.dumps(event["data"], ensure_ascii=False), flush=True)
        self.answer(200, {})

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body, ensure_ascii=False).encode())

    def log_message(self, *_):
        pass


def verdict(chat):
    """Whether a chat may be sent."""
    if "微信号" in chat["content"]:
        return {"action": "deny", "detail": "请不要发送联系方式"}
    return {"action": "allow"}


ThreadingHTTPServer(("127.0.0.1", 9001), Events).serve_forever()
