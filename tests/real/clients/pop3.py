"""poplib against one POP3 server: reads a job as JSON from standard input, prints what it saw as JSON."""

import base64
import json
import poplib
import ssl
import sys


def connect(job):
    context = ssl.create_default_context(cafile=job["authority"])
    if job["tls"] == "implicit":
        return poplib.POP3_SSL(job["host"], job["port"], context=context, timeout=20)
    client = poplib.POP3(job["host"], job["port"], timeout=20)
    if job["tls"] == "starttls":
        client.stls(context)
    return client


job = json.load(sys.stdin)
client = connect(job)
client.user(job["user"])
client.pass_(job["password"])
sizes = [int(line.split()[1]) for line in client.list()[1]]
ids = [line.split()[1].decode() for line in client.uidl()[1]]
messages = []
for number in range(1, len(sizes) + 1):
    content = b"".join(line + b"\r\n" for line in client.retr(number)[1])
    messages.append(base64.b64encode(content).decode())
client.dele(len(sizes))
client.quit()
json.dump({"sizes": sizes, "ids": ids, "messages": messages}, sys.stdout)
