//! mbsync (isync): one full synchronisation of every folder with a Maildir, both ways.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::child;
use crate::endpoint::{Endpoint, Tls};
use crate::mail;
use crate::programs;
use crate::scratch::{Scratch, let_settle};

/// The local half: a Maildir tree that outlives single runs.
pub(crate) struct Local {
    scratch: Scratch,
    mail: PathBuf,
}

impl Local {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        let mail = scratch.folder("mail");
        Self { scratch, mail }
    }

    /// Synchronises with `endpoint` once.
    pub(crate) fn synchronise(&self, endpoint: &Endpoint) {
        let password = self.scratch.write_secret("password", format!("{}\n", endpoint.password));
        let tls = match endpoint.tls {
            Tls::Implicit => "IMAPS",
            Tls::Starttls => "STARTTLS",
            Tls::Plain => "None",
        };
        let mail = self.mail.display();
        let config = self.scratch.write_secret(
            "mbsyncrc",
            format!(
                "IMAPStore remote\nHost {}\nPort {}\nUser {}\nPassCmd \"cat {}\"\nSSLType {tls}\nSystemCertificates no\n\
                 CertificateFile {}\nTimeout 20\n\nMaildirStore local\nPath {mail}/\nInbox {mail}/INBOX\n\
                 SubFolders Verbatim\n\nChannel all\nFar :remote:\nNear :local:\nPatterns *\nCreate Both\nExpunge None\n\
                 SyncState *\n",
                endpoint.host,
                endpoint.port,
                endpoint.user,
                password.display(),
                endpoint.authority.display(),
            ),
        );
        for folder in self.folders() {
            for part in ["cur", "new"] {
                let_settle(&self.mail.join(&folder).join(part));
            }
        }
        let mut command = Command::new(programs::find("mbsync"));
        child::run_well(command.arg("--config").arg(config).arg("--all").env("HOME", self.scratch.path("")), b"");
    }

    /// Copies all folders from one account to another, both by IMAP, with dates. Folders of the target that the source has
    /// not stay.
    pub(crate) fn copy(&self, from: &Endpoint, to: &Endpoint) -> Output {
        let store = |name: &str, endpoint: &Endpoint| {
            let password = self.scratch.write_secret(name, format!("{}\n", endpoint.password));
            let tls = match endpoint.tls {
                Tls::Implicit => "IMAPS",
                Tls::Starttls => "STARTTLS",
                Tls::Plain => "None",
            };
            format!(
                "IMAPStore {name}\nHost {}\nPort {}\nUser \"{}\"\nPassCmd \"cat {}\"\nSSLType {tls}\n\
                 SystemCertificates no\nCertificateFile {}\nTimeout 20\n\n",
                endpoint.host,
                endpoint.port,
                endpoint.user.replace('\\', r"\\"),
                password.display(),
                endpoint.authority.display(),
            )
        };
        let state = self.scratch.folder("state");
        let config = self.scratch.write_secret(
            "copyrc",
            format!(
                "{}{}Channel all\nFar :from:\nNear :to:\nPatterns *\nSync Pull\nCreate Near\nExpunge None\n\
                 CopyArrivalDate yes\nSyncState {}/\n",
                store("from", from),
                store("to", to),
                state.display(),
            ),
        );
        let mut command = Command::new(programs::find("mbsync"));
        child::run(command.arg("--config").arg(config).arg("--all").env("HOME", self.scratch.path("")), b"")
    }

    /// The folders that lie here, sorted, `/` between levels.
    pub(crate) fn folders(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_folders(&self.mail, "", &mut found);
        found.sort();
        found
    }

    /// The messages of a folder in wire form, with their Maildir flags, in the order of the far side's numbers. The
    /// header field that mbsync adds to recognise its own messages is taken out.
    pub(crate) fn messages(&self, folder: &str) -> Vec<(Vec<u8>, String)> {
        let mut found = Vec::new();
        for part in ["cur", "new"] {
            for entry in fs::read_dir(self.mail.join(folder).join(part)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                // 1700000000.R123.host,U=7:2,S
                let uid: u32 = name.split_once(",U=").unwrap().1.split(':').next().unwrap().parse().unwrap();
                let flags = name.split_once(":2,").map(|(_, flags)| flags.to_owned()).unwrap_or_default();
                let content = without_field(&mail::with_crlf(&fs::read(&path).unwrap()), b"X-TUID:");
                found.push((uid, content, flags));
            }
        }
        found.sort();
        found.into_iter().map(|(_, content, flags)| (content, flags)).collect()
    }

    /// Puts a message into a folder, for the next run to carry up.
    pub(crate) fn plant(&self, folder: &str, message: &[u8], flags: &str) {
        let folder = self.mail.join(folder);
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        fs::write(folder.join("cur").join(format!("1700000001.planted.test:2,{flags}")), mail::with_lf(message))
            .unwrap();
    }
}

fn collect_folders(at: &Path, name: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(at).unwrap() {
        let entry = entry.unwrap();
        let child = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().is_dir() || ["cur", "new", "tmp"].contains(&child.as_str()) {
            continue;
        }
        let child = if name.is_empty() { child } else { format!("{name}/{child}") };
        if entry.path().join("cur").is_dir() {
            found.push(child.clone());
        }
        collect_folders(&entry.path(), &child, found);
    }
}

/// `message` without the header lines that begin with `field`.
pub(crate) fn without_field(message: &[u8], field: &[u8]) -> Vec<u8> {
    let mut in_header = true;
    let keep = |line: &&[u8]| {
        in_header &= *line != b"\r\n";
        !(in_header && line.starts_with(field))
    };
    message.split_inclusive(|byte| *byte == b'\n').filter(keep).collect::<Vec<_>>().concat()
}
