//! Clients of other people: Python's standard library and curl, where they are installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use locum::model::Protocol;
use locum::sandbox::{Face, Start};
use tempfile::TempDir;

use crate::support::{ALICE, PASSWORD, Provider};

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\n.dot\r\nbody\r\n";

/// Runs a program; nothing where it is not installed, which the test says aloud.
async fn run(program: &'static str, arguments: Vec<String>) -> Option<Output> {
    let output = tokio::task::spawn_blocking(move || Command::new(program).args(arguments).output());
    match output.await.unwrap() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{program}: {error}"),
    }
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn write(folder: &TempDir, name: &str, text: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

const PYTHON: &str = r#"
import imaplib, poplib, smtplib, ssl, sys
certificate, user, password, imap_port, pop3_port, submission_port = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate)
body = b"Subject: hello\r\n\r\n.dot\r\nbody\r\n"

with smtplib.SMTP("localhost", int(submission_port)) as smtp:
    smtp.starttls(context=context)
    smtp.login(user, password)
    assert smtp.sendmail(user, [user, "x@elsewhere.test"], body) == {}

imap = imaplib.IMAP4("localhost", int(imap_port))
imap.starttls(context)
assert imap.login(user, password)[0] == "OK"
assert imap.select("INBOX") == ("OK", [b"1"])
assert imap.fetch("1", "(UID BODY[])")[1][0][1] == body
assert imap.append("[Gmail]/Drafts", "(\\Draft)", None, body)[0] == "OK"
assert imap.store("1", "+FLAGS", "\\Flagged")[0] == "OK"
assert imap.uid("SEARCH", None, "FLAGGED") == ("OK", [b"1"])
assert len(imap.list()[1]) == 6
imap.close()
imap.logout()

pop3 = poplib.POP3_SSL("localhost", int(pop3_port), context=context)
pop3.user(user)
pop3.pass_(password)
assert pop3.stat() == (1, len(body))
assert b"\r\n".join(pop3.retr(1)[1]) + b"\r\n" == body
pop3.dele(1)
pop3.quit()
"#;

#[tokio::test]
async fn python() {
    let provider = Provider::new(Face::Gmail);
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec![
        text(&write(&folder, "client.py", PYTHON.as_bytes())),
        text(&write(&folder, "certificate.pem", provider.certificate_pem.as_bytes())),
        ALICE.to_owned(),
        PASSWORD.to_owned(),
    ];
    for (protocol, start) in
        [(Protocol::Imap, Start::StartTls), (Protocol::Pop3, Start::Implicit), (Protocol::Submission, Start::StartTls)]
    {
        arguments.push(provider.listen(protocol, start).await.port().to_string());
    }
    let Some(output) = run("python3", arguments).await else { return skipped("python3") };
    assert!(output.status.success(), "{}", said(&output));
    assert!(provider.sandbox.messages(ALICE, "INBOX").is_empty(), "POP3 removed it");
    assert_eq!(provider.sandbox.messages(ALICE, "[Gmail]/Drafts"), [MESSAGE]);
    assert_eq!(provider.sandbox.sent()[0].message.as_slice(), MESSAGE);
}

#[tokio::test]
async fn curl() {
    let provider = Provider::new(Face::Gmail);
    let folder = tempfile::tempdir().unwrap();
    let certificate = text(&write(&folder, "certificate.pem", provider.certificate_pem.as_bytes()));
    let mail = text(&write(&folder, "mail.eml", MESSAGE));
    let imap = provider.listen(Protocol::Imap, Start::Implicit).await.port();
    let pop3 = provider.listen(Protocol::Pop3, Start::StartTls).await.port();
    let submission = provider.listen(Protocol::Submission, Start::StartTls).await.port();
    let command = |rest: &[&str]| {
        let user = format!("{ALICE}:{PASSWORD}");
        let fixed = ["-sS", "--max-time", "30", "--ssl-reqd", "--cacert", &certificate, "-u", &user];
        fixed.iter().chain(rest).map(|&argument| argument.to_owned()).collect::<Vec<_>>()
    };
    let url = format!("smtp://localhost:{submission}");
    let send = command(&[&url, "--mail-from", ALICE, "--mail-rcpt", ALICE, "-T", &mail]);
    let Some(output) = run("curl", send).await else { return skipped("curl") };
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(provider.sandbox.messages(ALICE, "INBOX"), [MESSAGE]);
    let upload = command(&[&format!("imaps://localhost:{imap}/%5BGmail%5D%2FDrafts"), "-T", &mail]);
    let output = run("curl", upload).await.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(provider.sandbox.messages(ALICE, "[Gmail]/Drafts"), [MESSAGE]);
    for url in [format!("imaps://localhost:{imap}/INBOX;MAILINDEX=1"), format!("pop3://localhost:{pop3}/1")] {
        let output = run("curl", command(&[&url])).await.unwrap();
        assert!(output.status.success(), "{url}: {}", said(&output));
        assert_eq!(output.stdout, MESSAGE, "{url}");
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run must not look like one that passed")]
fn skipped(program: &str) {
    eprintln!("skipped: {program} is not installed");
}
