//! Looks behind a login: whether there is a mailbox, and how much is in it. Nothing is changed there, nothing is marked as
//! seen, and no message is read.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::classify::{Cause, Verdict, classify, classify_farewell};
use super::{Attempt, LoggedIn, UpstreamError, Upstreams};
use crate::broker::Lease;
use crate::model::{CredentialKind, Protocol, Secret};
use crate::net::Stream;
use crate::proto;

/// One line of an answer. EXAMINE lists the flags of the folder, which are the longest.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Lines of one answer. EXAMINE has about ten.
const LINES_MAX: usize = 128;

/// One read from the provider.
const READ_BYTES: usize = 4096;

/// A mailbox that was looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mailbox {
    /// Messages in the INBOX; `None` for submission, which has none.
    pub messages: Option<u64>,
}

impl Upstreams {
    /// Logs in as a session does, looks whether the mailbox opens, and leaves.
    ///
    /// # Errors
    /// As for [`Upstreams::log_in`], and if the provider refuses the look.
    pub async fn probe_mailbox(&self, lease: &Lease) -> Result<Mailbox, UpstreamError> {
        let attempt = Attempt::of(lease, Instant::now());
        // It submits nothing: the pace of those who do is not its own.
        let LoggedIn { stream, ready, places: _places, pacer: _ } =
            self.log_in_within(lease, self.means().options.gate_timeout, None).await?;
        let unread = ready.early;
        let mut look = Look { attempt, stream, unread, secret: &lease.credentials().secret, state: "" };
        let until = Instant::now() + self.means().options.login_timeout;
        let looked = match lease.protocol() {
            Protocol::Imap => {
                let has_unselect = ready.keywords.iter().any(|word| word.eq_ignore_ascii_case("UNSELECT"));
                timeout_at(until, look.imap(has_unselect)).await
            }
            Protocol::Pop3 => timeout_at(until, look.pop3()).await,
            Protocol::Submission => timeout_at(until, look.submission()).await,
        };
        let messages = looked.unwrap_or_else(|_| {
            Err(look.broken(format!("timed out: no answer within {:?}", self.means().options.login_timeout)))
        })?;
        Ok(Mailbox { messages })
    }
}

/// A session that is logged in and looks.
struct Look<'a> {
    attempt: Attempt<'a>,
    stream: Stream,
    /// What has come and is not read yet.
    unread: Vec<u8>,
    /// To be masked where the provider repeats it.
    secret: &'a Secret,
    /// What was asked last.
    state: &'static str,
}

impl Look<'_> {
    /// EXAMINE, and not NOOP: Exchange Online may answer a NOOP as if there were no mailbox, and open it all the same.
    async fn imap(&mut self, has_unselect: bool) -> Result<Option<u64>, UpstreamError> {
        self.ask("EXAMINE INBOX", "P1 EXAMINE INBOX\r\n").await?;
        let mut messages = None;
        for _ in 0..LINES_MAX {
            let line = self.line().await?;
            if let Some(answer) = line.strip_prefix(b"P1 ") {
                if !begins_with(answer, "OK") {
                    return Err(self.refused(answer));
                }
                if messages.is_none() {
                    return Err(self.broken("the answer has no number of messages".to_owned()));
                }
                self.leave_imap(has_unselect).await;
                return Ok(messages);
            }
            match line.strip_prefix(b"* ") {
                Some(bye) if begins_with(bye, "BYE") => return Err(self.turned_away(bye)),
                Some(data) => messages = exists(data).or(messages),
                None => {}
            }
        }
        Err(self.broken("an answer has too many lines".to_owned()))
    }

    /// Politely, if the provider listens; what was to be known is known.
    async fn leave_imap(&mut self, has_unselect: bool) {
        if has_unselect && (self.ask("UNSELECT", "P2 UNSELECT\r\n").await.is_err() || !self.has_heard(b"P2 ").await) {
            return;
        }
        if self.ask("LOGOUT", "P3 LOGOUT\r\n").await.is_ok() {
            self.has_heard(b"P3 ").await;
        }
    }

    async fn pop3(&mut self) -> Result<Option<u64>, UpstreamError> {
        self.ask("STAT", "STAT\r\n").await?;
        let line = self.line().await?;
        if !begins_with(&line, "+OK") {
            return Err(self.refused(&line));
        }
        let Some(messages) = number(line.split(|&byte| byte == b' ').nth(1)) else {
            return Err(self.broken("the answer has no number of messages".to_owned()));
        };
        if self.ask("QUIT", "QUIT\r\n").await.is_ok() {
            self.has_heard(b"").await;
        }
        Ok(Some(messages))
    }

    async fn submission(&mut self) -> Result<Option<u64>, UpstreamError> {
        self.ask("NOOP", "NOOP\r\n").await?;
        let line = self.line().await?;
        match line.first() {
            Some(b'2') => {}
            _ if line.starts_with(b"421") => return Err(self.turned_away(&line)),
            _ => return Err(self.refused(&line)),
        }
        if self.ask("QUIT", "QUIT\r\n").await.is_ok() {
            self.has_heard(b"").await;
        }
        Ok(None)
    }

    async fn ask(&mut self, state: &'static str, command: &str) -> Result<(), UpstreamError> {
        self.state = state;
        let sent = async {
            self.stream.write_all(command.as_bytes()).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| self.broken(error.to_string()))
    }

    /// Reads until a line that begins so, and says whether it came.
    async fn has_heard(&mut self, beginning: &[u8]) -> bool {
        for _ in 0..LINES_MAX {
            match self.line().await {
                Ok(line) if line.starts_with(beginning) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        false
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<Vec<u8>, UpstreamError> {
        let mut buffer = [0; READ_BYTES];
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(line.trim_ascii_end().to_vec());
            }
            if self.unread.len() >= LINE_BYTES_MAX {
                return Err(self.broken("a line is too long".to_owned()));
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) => return Err(self.broken("it hung up".to_owned())),
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                Err(error) => return Err(self.broken(error.to_string())),
            }
        }
    }

    fn refused(&self, answer: &[u8]) -> UpstreamError {
        self.failed(answer, "refused", classify)
    }

    fn turned_away(&self, answer: &[u8]) -> UpstreamError {
        self.failed(answer, "turned away", classify_farewell)
    }

    fn failed(
        &self,
        answer: &[u8],
        how: &str,
        classify: fn(&str, Protocol, CredentialKind) -> Verdict,
    ) -> UpstreamError {
        let said = proto::masked(answer, self.secret);
        let verdict = match classify(&said, self.attempt.protocol, self.attempt.kind) {
            // Whatever it says: it took the credential a moment ago.
            Verdict { cause: Cause::AuthBad, .. } => Cause::Refused.into(),
            verdict => verdict,
        };
        self.attempt.failed(self.state, verdict, format!("{how}: {said}"))
    }

    fn broken(&self, what: String) -> UpstreamError {
        self.attempt.failed(self.state, Cause::Unavailable.into(), what)
    }
}

/// The number in `12 EXISTS` (RFC 3501 section 7.3.1).
fn exists(data: &[u8]) -> Option<u64> {
    let mut words = data.split(|&byte| byte == b' ');
    let count = number(words.next());
    words.next().filter(|word| word.eq_ignore_ascii_case(b"EXISTS")).and(count)
}

fn number(word: Option<&[u8]>) -> Option<u64> {
    std::str::from_utf8(word?).ok()?.parse().ok()
}

/// Whether a status begins like this, in any case.
fn begins_with(line: &[u8], status: &str) -> bool {
    line.get(..status.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(status.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_messages_is_read_and_nothing_else() {
        assert_eq!(exists(b"12 EXISTS"), Some(12));
        assert_eq!(exists(b"0 exists"), Some(0));
        for other in
            [&b"12 RECENT"[..], b"EXISTS", b"x EXISTS", b"12", b"", b"-1 EXISTS", b"99999999999999999999 EXISTS"]
        {
            assert_eq!(exists(other), None, "{}", String::from_utf8_lossy(other));
        }
    }
}
