//! fetchmail: takes all messages of a mailbox away and hands each to a delivery script, over IMAP or POP3.

use std::fs;
use std::process::Command;

use crate::child;
use crate::endpoint::{Endpoint, Tls};
use crate::mail;
use crate::programs;
use crate::scratch::Scratch;

/// Fetches every message of the inbox and deletes it there; returns them in wire form, in order. `protocol` is `IMAP`
/// or `POP3`.
pub(crate) fn take_all(endpoint: &Endpoint, protocol: &str) -> Vec<Vec<u8>> {
    let scratch = Scratch::new();
    let delivered = scratch.folder("delivered");
    let script = scratch.write_script(
        "deliver",
        &format!("#!/bin/sh\ncd {} || exit 75\nexec cat >$(printf %04d $(($(ls | wc -l) + 1)))\n", delivered.display()),
    );
    let tls = match endpoint.tls {
        Tls::Implicit => "ssl",
        // A named version makes STARTTLS a must; `auto` would go on without it.
        Tls::Starttls => "sslproto \"TLS1.2+\"",
        Tls::Plain => "sslproto \"\"",
    };
    let verify = if endpoint.tls == Tls::Plain {
        String::new()
    } else {
        format!("sslcertck sslcertfile \"{}\"", endpoint.authority.display())
    };
    let config = scratch.write_secret(
        "fetchmailrc",
        format!(
            "set no syslog\nset invisible\npoll {} protocol {protocol} service {} timeout 20 auth password no dns uidl\n\
             user \"{}\" password \"{}\" is nobody here {tls} {verify} fetchall no keep no rewrite no stripcr pass8bits \
             no mimedecode mda \"{}\"\n",
            endpoint.host,
            endpoint.port,
            endpoint.user,
            quoted(&endpoint.password),
            script.display(),
        ),
    );
    let mut command = Command::new(programs::find("fetchmail"));
    command
        .arg("--fetchmailrc")
        .arg(config)
        .arg("--pidfile")
        .arg(scratch.path("pid"))
        .args(["--nodetach", "--verbose"]);
    child::run_well(command.env("HOME", scratch.path("")).env("FETCHMAILHOME", scratch.path("")), b"");
    let mut files: Vec<_> = fs::read_dir(delivered).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| mail::with_crlf(&fs::read(file).unwrap())).collect()
}

/// The inside of a quoted string of fetchmailrc. A quote ends the string even behind a backslash, so it goes as a number.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\042")
}
