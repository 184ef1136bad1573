//! Submission (RFC 6409, RFC 5321, RFC 3030, RFC 4954) as the provider speaks it. It takes mail for anybody, delivers
//! it to the accounts of this sandbox, and must never send any further.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::connection::Connection;
use super::login::{Asked, Exchanged, exchange, explain, inline_attempt};
use super::message;
use super::texts::{Refusal, Verdict};
use super::{Sandbox, Sent, Start};
use crate::model::{Attempt, Protocol};

/// Recipients of one message: what Exchange sets out with.
const RECIPIENTS_MAX: usize = 500;
/// Refused logins before the connection ends.
const REFUSALS_MAX: u32 = 3;
const MALFORMED: &str = "501 5.5.2 Cannot decode the response";

struct Session<'a> {
    sandbox: &'a Sandbox,
    connection: &'a mut Connection,
    peer: SocketAddr,
    tls: bool,
    greeted: bool,
    account: Option<String>,
    /// There once it is logged in.
    seat: Option<Seat>,
    transaction: Option<Transaction>,
    refusals: u32,
}

/// One of the account's sessions, counted until it ends.
struct Seat {
    sandbox: Sandbox,
    address: String,
}

impl Seat {
    fn take(sandbox: &Sandbox, address: &str) -> Self {
        if let Some(account) = sandbox.state().account(address) {
            account.sends.connections += 1;
        }
        Self { sandbox: sandbox.clone(), address: address.to_owned() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(account) = self.sandbox.state().account(&self.address) {
            // An account may have been replaced meanwhile.
            account.sends.connections = account.sends.connections.saturating_sub(1);
        }
    }
}

#[derive(Default)]
struct Transaction {
    from: String,
    recipients: Vec<String>,
    /// What BDAT brought so far.
    chunks: Option<Vec<u8>>,
    /// Bytes that DATA cannot carry were announced (RFC 3030 section 3).
    binary: bool,
}

/// Whether the session goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Stay,
    Close,
}

/// Holds a session until either side ends it.
pub(super) async fn serve(
    sandbox: &Sandbox,
    connection: &mut Connection,
    peer: SocketAddr,
    start: Start,
) -> io::Result<()> {
    connection.send_line(&sandbox.texts().smtp_greeting()).await?;
    let tls = start == Start::Implicit;
    let (account, seat, transaction) = (None, None, None);
    let mut session =
        Session { sandbox, connection, peer, tls, greeted: false, account, seat, transaction, refusals: 0 };
    while session.command().await? == Next::Stay {}
    Ok(())
}

impl Session<'_> {
    async fn command(&mut self) -> io::Result<Next> {
        let line = self.connection.read_line().await?;
        let end = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
        let (verb, rest) = (&line[..end], line[end..].trim_ascii());
        match verb.to_ascii_uppercase().as_slice() {
            b"EHLO" => self.hello(true).await,
            b"HELO" => self.hello(false).await,
            b"STARTTLS" => self.begin_tls().await,
            b"AUTH" => self.authenticate(rest, line.len()).await,
            b"NOOP" => self.say("250 2.0.0 OK").await,
            b"RSET" => {
                self.transaction = None;
                self.say("250 2.0.0 Resetting").await
            }
            b"VRFY" => self.say("252 2.1.5 Cannot VRFY user").await,
            b"QUIT" => {
                self.say(&self.sandbox.texts().smtp_bye()).await?;
                Ok(Next::Close)
            }
            b"MAIL" => self.mail(&String::from_utf8_lossy(rest)).await,
            b"RCPT" => self.recipient(&String::from_utf8_lossy(rest)).await,
            b"DATA" => self.data().await,
            b"BDAT" => self.chunk(&String::from_utf8_lossy(rest)).await,
            _ => {
                self.sandbox.hold_back().await;
                self.say(&self.sandbox.texts().smtp_junk()).await
            }
        }
    }

    async fn hello(&mut self, extended: bool) -> io::Result<Next> {
        self.greeted = true;
        self.transaction = None;
        let hello = self.sandbox.texts().smtp_hello(self.peer.ip());
        if !extended {
            return self.say(&format!("250 {hello}")).await;
        }
        let keywords = self.sandbox.texts().smtp_keywords(self.tls);
        let mut lines = vec![hello];
        lines.extend(keywords.iter().map(|&keyword| keyword.to_owned()));
        let last = lines.len() - 1;
        for (at, line) in lines.iter().enumerate() {
            let separator = if at == last { ' ' } else { '-' };
            self.connection.send_line(&format!("250{separator}{line}")).await?;
        }
        Ok(Next::Stay)
    }

    async fn begin_tls(&mut self) -> io::Result<Next> {
        if !self.greeted {
            return self.say("503 5.5.2 Send hello first").await;
        }
        if self.tls {
            return self.say("503 5.5.2 Only one STARTTLS command can be issued per session").await;
        }
        self.say(self.sandbox.texts().smtp_starttls()).await?;
        self.connection.start_tls(self.sandbox.tls()).await?;
        // All that was said before is forgotten (RFC 3207 section 4.2).
        (self.tls, self.greeted, self.transaction) = (true, false, None);
        Ok(Next::Stay)
    }

    async fn authenticate(&mut self, rest: &[u8], line_length: usize) -> io::Result<Next> {
        let mut words = rest.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        let asked = Asked::from_name(words.next().unwrap_or_default());
        let initial = words.next();
        let texts = self.sandbox.texts();
        if !self.greeted {
            return self.say("503 5.5.2 Send hello first").await;
        }
        if self.account.is_some() || self.transaction.is_some() {
            return self.say("503 5.5.1 Bad sequence of commands").await;
        }
        let is_offered = match asked {
            Asked::Known(mechanism) => texts.offers(Protocol::Submission, mechanism),
            Asked::Unknown => false,
        };
        let too_long = texts.smtp_auth_line_too_long(line_length);
        if !is_offered || !self.tls || too_long.is_some() {
            if let Some(attempt) = inline_attempt(asked, false, initial) {
                self.sandbox.turn_away(Protocol::Submission, &attempt);
            }
            return match too_long {
                Some(lines) => self.say_all(&lines).await,
                None => self.say(&texts.smtp_no_mechanism()).await,
            };
        }
        match exchange(self.connection, asked, false, "334 ", initial).await? {
            Exchanged::Attempt(attempt) => self.decide(&attempt).await,
            Exchanged::Cancelled => self.say(&texts.smtp_cancelled()).await,
            Exchanged::Malformed => self.say(MALFORMED).await,
        }
    }

    async fn decide(&mut self, attempt: &Attempt) -> io::Result<Next> {
        let texts = self.sandbox.texts();
        match self.sandbox.log_in(Protocol::Submission, attempt) {
            Verdict::Refuse(refusal) => {
                if !explain(self.connection, &refusal, attempt.method, "334 ").await? {
                    return self.say(MALFORMED).await;
                }
                self.refuse(refusal).await
            }
            Verdict::Accept { address, .. } => {
                self.seat = Some(Seat::take(self.sandbox, &address));
                self.account = Some(address);
                self.say(texts.smtp_logged_in()).await
            }
        }
    }

    async fn refuse(&mut self, refusal: Refusal) -> io::Result<Next> {
        self.sandbox.hold_back().await;
        self.say_all(&refusal.reply).await?;
        self.refusals += 1;
        Ok(if refusal.closes || self.refusals >= REFUSALS_MAX { Next::Close } else { Next::Stay })
    }

    async fn mail(&mut self, rest: &str) -> io::Result<Next> {
        let texts = self.sandbox.texts();
        if !self.greeted {
            return self.say("503 5.5.2 Send hello first").await;
        }
        if self.account.is_none() {
            return self.say_all(&texts.smtp_unauthenticated(self.tls)).await;
        }
        if self.transaction.is_some() {
            return self.say("503 5.5.2 Sender already specified").await;
        }
        let Some((from, parameters)) = path(rest, "FROM:") else {
            return self.say("501 5.5.4 Invalid arguments").await;
        };
        let parameters = parameters.to_ascii_uppercase();
        let value = |name| parameters.split_ascii_whitespace().find_map(|parameter| parameter.strip_prefix(name));
        match value("SIZE=").map(str::parse::<usize>) {
            Some(Err(_)) => return self.say("501 5.5.4 Invalid arguments").await,
            Some(Ok(size)) if size > texts.smtp_size_max() => return self.say(&texts.smtp_too_large()).await,
            Some(Ok(_)) | None => {}
        }
        let binary = value("BODY=") == Some("BINARYMIME");
        self.transaction = Some(Transaction { from, binary, ..Transaction::default() });
        self.say("250 2.1.0 Sender OK").await
    }

    async fn recipient(&mut self, rest: &str) -> io::Result<Next> {
        let Some(transaction) = &mut self.transaction else {
            return self.say("503 5.5.2 Need mail command").await;
        };
        if transaction.chunks.is_some() {
            return self.say("503 5.5.1 Bad sequence of commands").await;
        }
        if transaction.recipients.len() == RECIPIENTS_MAX {
            return self.say("452 4.5.3 Too many recipients").await;
        }
        match path(rest, "TO:") {
            Some((recipient, _)) if !recipient.is_empty() => {
                transaction.recipients.push(recipient);
                self.say("250 2.1.5 Recipient OK").await
            }
            _ => self.say("501 5.1.3 Invalid address").await,
        }
    }

    async fn data(&mut self) -> io::Result<Next> {
        match &self.transaction {
            Some(transaction)
                if !transaction.recipients.is_empty() && transaction.chunks.is_none() && !transaction.binary => {}
            _ => return self.say("503 5.5.2 Need rcpt command").await,
        }
        self.say("354 Start mail input; end with <CRLF>.<CRLF>").await?;
        match self.connection.read_dotted(self.sandbox.texts().smtp_size_max()).await? {
            Some(message) => self.submit(message).await,
            None => self.too_large().await,
        }
    }

    /// BDAT (RFC 3030 section 2): the bytes follow the command whatever is thought of it.
    async fn chunk(&mut self, rest: &str) -> io::Result<Next> {
        let mut words = rest.split_ascii_whitespace();
        let Some(Ok(count)) = words.next().map(str::parse::<usize>) else {
            // Where the next command begins is unknown now.
            self.say("501 5.5.4 Invalid arguments").await?;
            return Ok(Next::Close);
        };
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let size_max = self.sandbox.texts().smtp_size_max();
        let transaction = self.transaction.as_mut().filter(|transaction| !transaction.recipients.is_empty());
        let Some(transaction) = transaction else {
            self.connection.skip(count).await?;
            return match self.account {
                Some(_) => self.say("503 5.5.2 Need rcpt command").await,
                None => self.say_all(&self.sandbox.texts().smtp_unauthenticated(self.tls)).await,
            };
        };
        let chunks = transaction.chunks.get_or_insert_default();
        if chunks.len().saturating_add(count) > size_max {
            self.connection.skip(count).await?;
            return self.too_large().await;
        }
        self.connection.read_exactly(count, chunks).await?;
        if !last {
            return self.say(&format!("250 2.6.0 CHUNK received OK, {count} octets")).await;
        }
        let message = std::mem::take(chunks);
        self.submit(message).await
    }

    async fn too_large(&mut self) -> io::Result<Next> {
        self.transaction = None;
        self.say(&self.sandbox.texts().smtp_too_large()).await
    }

    async fn submit(&mut self, message: Vec<u8>) -> io::Result<Next> {
        let texts = self.sandbox.texts();
        let (Some(account), Some(transaction)) = (self.account.clone(), self.transaction.take()) else {
            return self.say("503 5.5.1 Bad sequence of commands").await;
        };
        let Transaction { from, recipients, .. } = transaction;
        if let Some(text) = texts.smtp_message_refusal(self.sandbox.behaviour(&account), &account, &from) {
            return self.say(&text).await;
        }
        let excess = self.sandbox.state().account(&account).and_then(|account| account.sends.admit());
        if let Some(text) = excess.and_then(|excess| texts.smtp_too_many(excess)) {
            return self.say(&text).await;
        }
        let id = message::value(message::split(&message).0, "Message-ID");
        let id = id.and_then(|id| String::from_utf8(id).ok());
        let sent = Sent { account, from, recipients, message: Arc::new(message) };
        self.sandbox.state().submit(self.sandbox.face(), sent);
        self.say(&texts.smtp_taken(id.as_deref())).await
    }

    async fn say(&mut self, line: &str) -> io::Result<Next> {
        self.connection.send_line(line).await?;
        Ok(Next::Stay)
    }

    async fn say_all(&mut self, lines: &[String]) -> io::Result<Next> {
        for line in lines {
            self.connection.send_line(line).await?;
        }
        Ok(Next::Stay)
    }
}

/// The address behind `FROM:` or `TO:`, and the parameters behind it. A blank before it and missing brackets are
/// forgiven: devices send both.
fn path<'a>(rest: &'a str, word: &str) -> Option<(String, &'a str)> {
    let (start, rest) = rest.split_at_checked(word.len())?;
    if !start.eq_ignore_ascii_case(word) {
        return None;
    }
    let rest = rest.trim_start();
    let (address, parameters) = match rest.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?,
        None => rest.split_once(' ').unwrap_or((rest, "")),
    };
    (!address.contains(char::is_control)).then(|| (address.trim().to_owned(), parameters))
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn paths_of_standards_and_of_devices() {
        for line in ["FROM:<a@b>", "from: <a@b>", "FROM:a@b", "FROM: a@b SIZE=1", "FROM:<a@b> SIZE=1 BODY=8BITMIME"] {
            assert_eq!(path(line, "FROM:").unwrap().0, "a@b", "{line}");
        }
        assert_eq!(path("FROM:<> SIZE=7", "FROM:").unwrap(), (String::new(), " SIZE=7"));
        for line in ["", "FROM", "TO:<a@b>", "FROM:<a@b", "FROM:<a\x07@b>"] {
            assert_eq!(path(line, "FROM:"), None, "{line}");
        }
    }
}
