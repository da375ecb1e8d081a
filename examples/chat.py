#!/usr/bin/env python3
"""A client of imserver in Python's standard library: says hello, prints each frame on a line.

    python3 examples/chat.py USER_ID TOKEN --since 0
    python3 examples/chat.py USER_ID TOKEN --group '周末爬山' OTHER_ID --say '几点走？'
"""

import argparse
import base64
import json
import os
import socket
import sys
import urllib.request
import uuid

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def main():
    parser = argparse.ArgumentParser(description="prints the frames of a user's socket")
    parser.add_argument("user_id", type=int)
    parser.add_argument("token")
    parser.add_argument("--at", default="127.0.0.1:8080", metavar="HOST:PORT")
    parser.add_argument("--since", type=int, help="the last event that was applied; none: from now on")
    parser.add_argument("--send", nargs=2, metavar=("TARGET_USER_ID", "CONTENT"))
    parser.add_argument("--group", nargs=2, metavar=("TITLE", "USER_IDS"), help="begins a group with these: 7,8,9")
    parser.add_argument("--say", metavar="CONTENT", help="into the group")
    parser.add_argument("--mention", type=int, metavar="USER_ID", help="calls somebody by name in what is said")
    parser.add_argument("--recall", action="store_true", help="takes back what was sent")
    parser.add_argument("--frames", type=int, default=0, help="end after so many; 0: never")
    args = parser.parse_args()

    link, stream = connect(args.at, args.user_id, args.token)
    say(link, {"type": "hello", "since": args.since})
    printed = 0
    while (frame := next_frame(link, stream)) is not None:
        print(frame, flush=True)
        printed += 1
        if printed == args.frames:
            break
        frame = json.loads(frame)
        if frame["type"] == "ready" and args.send:
            target, content = args.send
            send(link, {"targetUserId": int(target), "content": content})
        if frame["type"] == "ready" and args.group:
            title, others = args.group
            others = [int(other) for other in others.split(",")]
            new = {"kind": "group", "key": str(uuid.uuid4()), "title": title, "userIds": others}
            group = post(args.at, args.token, "/v1/conversations", new)
            if args.say:
                mentions = [args.mention] if args.mention else None
                send(link, {"conversationId": group["id"], "content": args.say, "mentions": mentions})
        if frame["type"] == "sent" and args.recall:
            post(args.at, args.token, f"/v1/chats/{frame['chat']['id']}/recall", {})
    write(link, CLOSE, (1000).to_bytes(2, "big"))


def connect(at, user_id, token):
    """Opens a WebSocket, with the token as a second subprotocol."""
    host, port = at.rsplit(":", 1)
    link = socket.create_connection((host, int(port)), timeout=90)
    link.sendall(
        f"GET /imserver/{user_id} HTTP/1.1\r\nHost: {at}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
        f"Sec-WebSocket-Protocol: imserver.v1, bearer.{token}\r\n\r\n".encode()
    )
    stream = link.makefile("rb")
    head = b""
    while (line := stream.readline()) not in (b"\r\n", b""):
        head += line
    if b" 101 " not in head.split(b"\r\n")[0]:
        sys.exit(f"{head.decode().strip()}\n\n{stream.read().decode()}")
    return link, stream


def next_frame(link, stream):
    """The next text frame; None when the socket is closed. The server sends none in pieces."""
    while True:
        head = stream.read(2)
        if len(head) < 2:
            sys.exit("the connection was lost")
        opcode, size = head[0] & 15, head[1] & 127
        if size > 125:
            size = int.from_bytes(stream.read(2 if size == 126 else 8), "big")
        payload = stream.read(size)
        if opcode == TEXT:
            return payload.decode()
        if opcode == PING:
            write(link, PONG, payload)
        if opcode == CLOSE:
            code, reason = int.from_bytes(payload[:2], "big"), payload[2:].decode()
            print(f"closed: {code} {reason}", file=sys.stderr)
            return None


def post(at, token, path, body):
    """Asks for something over HTTP, and returns the answer."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{at}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def send(link, chat):
    """Sends a chat under a key of its own. Whoever is not sure that it arrived sends the same again."""
    say(link, {"type": "send", "clientMsgId": str(uuid.uuid4()), **chat})


def say(link, frame):
    write(link, TEXT, json.dumps(frame, ensure_ascii=False).encode())


def write(link, opcode, payload):
    """Writes one frame, masked as clients must."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    else:
        head = bytes([0x80 | opcode, 0x80 | 126]) + size.to_bytes(2, "big")
    mask = os.urandom(4)
    link.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))


if __name__ == "__main__":
    main()
