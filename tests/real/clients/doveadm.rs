//! doveadm (Dovecot): its `imapc` storage as a migration tool. It logs in by SASL PLAIN as an administrator and names the
//! mailbox that it acts as, as imapsync does with `--authuser1`.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::child;
use crate::endpoint::{Endpoint, Tls};
use crate::programs;
use crate::scratch::Scratch;

/// Owner of the copy: Dovecot gives mail to no root.
const MAIL_UID: u32 = 5000;

/// The exit status by which it asks to be run again.
const RUN_AGAIN: i32 = 2;
const RUNS_MAX: usize = 4;

/// A copy of a mailbox that lies here between its source and its target.
pub(crate) struct Copy {
    scratch: Scratch,
}

impl Copy {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        scratch.folder("run");
        chown(scratch.folder("mail"), Some(MAIL_UID), Some(MAIL_UID)).unwrap();
        Self { scratch }
    }

    /// Makes the copy here what `mailbox` is: the administrator is the one who logs in at `endpoint`.
    pub(crate) fn pull(&self, endpoint: &Endpoint, mailbox: &str) -> Output {
        self.run(endpoint, mailbox, &["backup", "-R", "imapc:"])
    }

    /// Brings into `mailbox` what the copy has.
    pub(crate) fn push(&self, endpoint: &Endpoint, mailbox: &str) -> Output {
        self.run(endpoint, mailbox, &["sync", "-1", "imapc:"])
    }

    /// Again where it asks for that, as folders that it has just made can be too new for it (doveadm-sync(1), exit status).
    fn run(&self, endpoint: &Endpoint, mailbox: &str, verb: &[&str]) -> Output {
        let config = self.configuration(endpoint, mailbox);
        let mut command = Command::new(programs::find("doveadm"));
        command.arg("-c").arg(config).args(verb).env("USER", "root").env("HOME", self.scratch.path("mail"));
        let mut output = child::run(&mut command, b"");
        for _ in 1..RUNS_MAX {
            if output.status.code() != Some(RUN_AGAIN) {
                break;
            }
            output = child::run(&mut command, b"");
        }
        output
    }

    fn configuration(&self, endpoint: &Endpoint, mailbox: &str) -> PathBuf {
        let tls = match endpoint.tls {
            Tls::Implicit => "imaps",
            Tls::Starttls => "starttls",
            Tls::Plain => "no",
        };
        let Endpoint { port, user, password, authority, .. } = endpoint;
        // By address: without a Dovecot of its own it resolves no name.
        self.scratch.write_secret(
            "doveadm.conf",
            format!(
                "base_dir = {run}\ninstance_name = locum-copy\nlog_path = /dev/stderr\n\
                 mail_location = maildir:{mail}/Maildir\nmail_home = {mail}\nmail_uid = {MAIL_UID}\nmail_gid = {MAIL_UID}\n\
                 first_valid_uid = {MAIL_UID}\n\
                 namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n\
                 imapc_host = 127.0.0.1\nimapc_port = {port}\nimapc_ssl = {tls}\nssl_client_ca_file = {authority}\n\
                 imapc_user = {mailbox}\nimapc_master_user = {user}\nimapc_password = {password}\n\
                 imapc_features = rfc822.size fetch-headers\n",
                run = self.scratch.path("run").display(),
                mail = self.scratch.path("mail").display(),
                authority = authority.display(),
            ),
        )
    }
}
