"""imaplib against one IMAP server: reads a job as JSON from standard input, prints what it saw as JSON."""

import base64
import imaplib
import json
import re
import ssl
import sys


def must(answer):
    status, data = answer
    if status != "OK":
        raise SystemExit(f"the server said {status} {data}")
    return data


def connect(job):
    context = ssl.create_default_context(cafile=job["authority"])
    if job["tls"] == "implicit":
        return imaplib.IMAP4_SSL(job["host"], job["port"], ssl_context=context, timeout=20)
    client = imaplib.IMAP4(job["host"], job["port"], timeout=20)
    if job["tls"] == "starttls":
        must(client.starttls(context))
    return client


def read(client):
    """Every message of the selected folder with its flags."""
    messages = []
    for number in must(client.search(None, "ALL"))[0].split():
        parts = must(client.fetch(number, "(FLAGS BODY.PEEK[])"))
        # The flags may stand before the literal or behind it.
        text = b"".join(part if isinstance(part, bytes) else part[0] for part in parts)
        content = next(part[1] for part in parts if isinstance(part, tuple))
        flags = set(re.search(rb"FLAGS \(([^)]*)\)", text).group(1).decode().split())
        # Recent says which session came first, nothing about the message.
        flags.discard("\\Recent")
        messages.append({"content": base64.b64encode(content).decode(), "flags": sorted(flags)})
    return messages


job = json.load(sys.stdin)
client = connect(job)
must(client.login(job["user"], job["password"]))
folders = [re.search(rb'"/" "?([^"]*)"?$', line).group(1).decode() for line in must(client.list())]
must(client.select(f'"{job["folder"]}"'))
messages = read(client)
found = [int(number) for number in must(client.search(None, "SUBJECT", f'"{job["subject"]}"'))[0].split()]
must(client.store("1", "+FLAGS", "(\\Flagged)"))
must(client.append(f'"{job["folder"]}"', "(\\Answered)", None, base64.b64decode(job["message"])))
client.logout()
json.dump({"folders": folders, "messages": messages, "found": found}, sys.stdout)
