"""smtplib against one submission server: reads a job as JSON from standard input and sends its message."""

import base64
import json
import smtplib
import ssl
import sys

job = json.load(sys.stdin)
context = ssl.create_default_context(cafile=job["authority"])
name = "client.example.test"
if job["tls"] == "implicit":
    client = smtplib.SMTP_SSL(job["host"], job["port"], name, context=context, timeout=20)
else:
    client = smtplib.SMTP(job["host"], job["port"], name, timeout=20)
    if job["tls"] == "starttls":
        client.starttls(context=context)
client.login(job["user"], job["password"])
client.sendmail(job["from"], [job["to"]], base64.b64decode(job["message"]), mail_options=["BODY=8BITMIME"])
client.quit()
json.dump({}, sys.stdout)
