//! swaks, the SMTP test tool. Options and password come from a configuration file of mode 0600.

use std::process::Command;

use super::Outgoing;
use crate::child;
use crate::endpoint::{Endpoint, Tls};
use crate::programs;
use crate::scratch::Scratch;

/// Submits a message with AUTH PLAIN or LOGIN. The message goes over as it is.
pub(crate) fn submit(endpoint: &Endpoint, mechanism: &str, mail: &Outgoing<'_>) {
    submit_with(endpoint, mechanism, mail, "");
}

/// The same with further options.
pub(crate) fn submit_with(endpoint: &Endpoint, mechanism: &str, mail: &Outgoing<'_>, options: &str) {
    let scratch = Scratch::new();
    let output = run(&scratch, endpoint, mechanism, mail, options);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "swaks failed ({}):\n{said}", output.status);
}

/// As [`submit`], for a login that must be refused; returns the server's answer to it.
pub(crate) fn refusal(endpoint: &Endpoint, mechanism: &str) -> String {
    let scratch = Scratch::new();
    let mail = Outgoing { from: &endpoint.user, to: &endpoint.user, message: b"Subject: never\r\n\r\n" };
    let output = run(&scratch, endpoint, mechanism, &mail, "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(28), "swaks did not stop at the login:\n{said}");
    refused_answer(&said)
}

/// `<** ` and, inside TLS, `<~* ` begin an answer that swaks did not want.
fn refused_answer(said: &str) -> String {
    let answer = said.lines().find_map(|line| line.strip_prefix("<** ").or_else(|| line.strip_prefix("<~* ")));
    answer.unwrap_or_else(|| panic!("no refusal in:\n{said}")).to_owned()
}

/// As [`submit`], for a sender that must be refused; returns the answer to it.
pub(crate) fn refused_sender(endpoint: &Endpoint, from: &str, to: &str) -> String {
    let scratch = Scratch::new();
    let mail = Outgoing { from, to, message: b"Subject: never\r\n\r\n" };
    let output = run(&scratch, endpoint, "PLAIN", &mail, "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(23), "swaks did not stop at the sender:\n{said}");
    refused_answer(&said)
}

fn run(
    scratch: &Scratch,
    endpoint: &Endpoint,
    mechanism: &str,
    mail: &Outgoing<'_>,
    options: &str,
) -> std::process::Output {
    let message = scratch.write("message", stuffed(mail.message));
    let tls = match endpoint.tls {
        Tls::Implicit => "tls-on-connect\ntls-verify\n",
        Tls::Starttls => "tls\ntls-verify\n",
        Tls::Plain => "",
    };
    let Endpoint { host, port, user, password, authority, .. } = endpoint;
    let config = scratch.write_secret(
        "swaksrc",
        format!(
            "server {host}\nport {port}\nhelo client.example.test\nfrom {}\nto {}\nauth {mechanism}\nauth-user {user}\n\
             auth-password {password}\nauth-hide-password\ntls-ca-path {}\n{tls}{options}no-data-fixup\ndata @{}\ntimeout 20\n",
            mail.from,
            mail.to,
            authority.display(),
            message.display(),
        ),
    );
    child::run(Command::new(programs::find("swaks")).arg("--config").arg(config).env("HOME", scratch.path("")), b"")
}

/// Content as DATA carries it: with `no-data-fixup` swaks adds neither dots nor the end.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + message.len() / 64);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".");
    wire
}
