"""Chats all the while, and then compares what was acknowledged with what is there.

    ledger.py URL SECONDS

Sends over HTTP, under a key for each chat, and repeats what was not acknowledged. In the end the
receiver's timeline must have every chat that was acknowledged once, in the order in which they were
sent, and no other.
"""

import json
import sys
import time
import urllib.error
import urllib.request
import uuid


def ask(url, path, body=None, token=None):
    request = urllib.request.Request(url + path)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=15) as answer:
        return json.load(answer)


def main(url, seconds):
    run = uuid.uuid4().hex[:8]
    sender, receiver = (
        ask(url, "/v1/login/demo", {"name": f"{who}-{run}"}) for who in ("a", "b")
    )
    acknowledged, repeats = [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        content = f"{run} {len(acknowledged)}"
        body = {
            "clientMsgId": uuid.uuid4().hex,
            "targetUserId": receiver["user"]["id"],
            "content": content,
        }
        patience = time.monotonic() + 60
        while True:
            try:
                ask(url, "/v1/chats", body, sender["token"])
                break
            except (urllib.error.URLError, OSError, ValueError) as error:
                final = isinstance(error, urllib.error.HTTPError) and error.code not in (429, 503)
                if final or time.monotonic() > patience:
                    raise
                repeats += 1
                time.sleep(0.5)
        acknowledged.append(content)
        # The limit of a user is five a second.
        time.sleep(0.21)
    found, since = [], 0
    while True:
        path = f"/v1/events?since={since}&limit=100"
        page = ask(url, path, token=receiver["token"])
        found += [event["chat"]["content"] for event in page["events"]]
        since = page["events"][-1]["seq"] if page["events"] else since
        if not page["hasMore"]:
            break
    assert found == acknowledged, f"{len(acknowledged)} acknowledged, {len(found)} found"
    print(f"ledger: {len(found)} chats, each once and in order, {repeats} repeats")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
