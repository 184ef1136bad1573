//! What a dialogue remembers of itself for a trace. What a client said comes in as a word of ours and as nothing else: the type
//! sees to it that no byte of a peer's is in it.

use std::borrow::Cow;

use super::{Remark, Speaker};
use crate::model::Mechanism;

/// Bytes of our own answers that are remembered until somebody asks; it is asked after each action.
const REMARKS_MAX: usize = 1024;

/// Remembers nothing until it is told to.
#[derive(Debug, Default)]
pub(super) struct Transcript(Option<Vec<Remark>>);

impl Transcript {
    pub(super) fn begin(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(super) fn take(&mut self) -> Vec<Remark> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The client said something of that kind.
    pub(super) fn client(&mut self, text: &'static str) {
        self.add(|| Remark { speaker: Speaker::Client, text: Cow::Borrowed(text) });
    }

    /// We said this; it is nothing but words of ours.
    pub(super) fn locum(&mut self, text: &str) {
        self.add(|| Remark { speaker: Speaker::Locum, text: Cow::Owned(text.trim_ascii_end().to_owned()) });
    }

    /// We said this over IMAP, where answers begin with the client's tag: it is the client's, and left out.
    pub(super) fn locum_tagged(&mut self, text: &str) {
        if self.0.is_none() {
            return;
        }
        for line in text.lines() {
            let is_untagged = line.starts_with("* ") || line.starts_with("+ ");
            let shown = if is_untagged { line } else { line.split_once(' ').map_or("", |(_, rest)| rest) };
            self.locum(shown);
        }
    }

    fn add(&mut self, remark: impl FnOnce() -> Remark) {
        if let Some(remarks) = self.0.as_mut().filter(|remarks| remarks.len() < REMARKS_MAX) {
            remarks.push(remark());
        }
    }
}

/// What is told of a login by SASL: the mechanism, if it is one that is known, be it offered or not.
pub(super) fn mechanism(name: &[u8], with_response: bool) -> &'static str {
    const UNKNOWN: (&str, &str) =
        ("login by an unknown mechanism", "login by an unknown mechanism, with a response (withheld)");
    const OTHERS: [(&str, &str, &str); 9] = [
        ("CRAM-MD5", "login by CRAM-MD5", "login by CRAM-MD5, with a response (withheld)"),
        ("DIGEST-MD5", "login by DIGEST-MD5", "login by DIGEST-MD5, with a response (withheld)"),
        ("NTLM", "login by NTLM", "login by NTLM, with a response (withheld)"),
        ("GSSAPI", "login by GSSAPI", "login by GSSAPI, with a response (withheld)"),
        ("EXTERNAL", "login by EXTERNAL", "login by EXTERNAL, with a response (withheld)"),
        ("ANONYMOUS", "login by ANONYMOUS", "login by ANONYMOUS, with a response (withheld)"),
        ("SCRAM-SHA-1", "login by SCRAM-SHA-1", "login by SCRAM-SHA-1, with a response (withheld)"),
        ("SCRAM-SHA-256", "login by SCRAM-SHA-256", "login by SCRAM-SHA-256, with a response (withheld)"),
        ("XOAUTH2", "login by XOAUTH2", "login by XOAUTH2, with a response (withheld)"),
    ];
    let (without, with) = match Mechanism::with_password_from_name(name) {
        Some(Mechanism::Plain) => ("login by PLAIN", "login by PLAIN, with a response (withheld)"),
        Some(Mechanism::Login) => ("login by LOGIN", "login by LOGIN, with a response (withheld)"),
        Some(Mechanism::Xoauth2 | Mechanism::Oauthbearer) | None => OTHERS
            .iter()
            .find(|(known, ..)| name.eq_ignore_ascii_case(known.as_bytes()))
            .map_or(UNKNOWN, |&(_, without, with)| (without, with)),
    };
    if with_response { with } else { without }
}
