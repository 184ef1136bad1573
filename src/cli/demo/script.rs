//! The script of `locum demo --once`: what a newcomer would try by hand, narrated, and stopped at the first surprise.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use data_encoding::BASE64;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::output;
use super::stage::{Actor, Stage};
use crate::model::Secret;
use crate::net::Stream;

/// Any answer on loopback is there long before.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) async fn play(stage: &Stage) -> Result<()> {
    super::introduce(stage);
    read_by_imap(stage).await.context("reading by IMAP")?;
    read_by_pop3(stage).await.context("reading by POP3")?;
    send(stage, &stage.alice).await.context("sending as alice")?;
    send(stage, &stage.scanner).await.context("sending as the scanner")?;
    see_it_arrive(stage).await.context("seeing the mail arrive")?;
    see_wrong_passwords_refused(stage).await.context("presenting a wrong password")?;
    see_that_passwords_were_not_mixed(stage)?;
    rotate_while_alice_reads(stage).await.context("rotating the app password")?;
    switch_to_oauth2(stage).await.context("switching to OAuth2")?;
    show_audit(stage)
}

async fn read_by_imap(stage: &Stage) -> Result<()> {
    scene("Alice reads her mail by IMAP");
    let mut imap = imap_login(stage, stage.alice.client_secret_text()).await?;
    imap.expect("a2 OK").await?;
    imap.say("a3 LIST \"\" *").await?;
    let folders = imap.expect("a3 OK").await?;
    ensure!(folders.iter().any(|line| line.contains("INBOX")), "there is no INBOX among the folders");
    imap.say("a4 SELECT INBOX").await?;
    imap.expect("a4 OK").await?;
    imap.say("a5 FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]").await?;
    let message = imap.expect("a5 OK").await?;
    ensure!(message.iter().any(|line| line == "Subject: Welcome"), "the message is not the one delivered");
    imap.say("a6 LOGOUT").await?;
    imap.expect("a6 OK").await.map(drop)
}

async fn read_by_pop3(stage: &Stage) -> Result<()> {
    scene("and by POP3");
    let mut pop3 = pop3_login(stage, stage.alice.client_secret_text()).await?;
    pop3.expect("+OK").await?;
    pop3.say("RETR 1").await?;
    let message = pop3.expect(".").await?;
    ensure!(message.iter().any(|line| line == "Good to see you."), "the message is not the one delivered");
    pop3.say("QUIT").await?;
    pop3.expect("+OK").await.map(drop)
}

async fn send(stage: &Stage, actor: &Actor) -> Result<()> {
    scene(&format!("{} sends a message through {}", actor.login, actor.provider));
    let mut submission = submission_login(stage, actor, actor.client_secret_text()).await?;
    submission.expect("235 ").await?;
    submission.say(&format!("MAIL FROM:<{}>", actor.address)).await?;
    submission.expect("250 ").await?;
    submission.say(&format!("RCPT TO:<{}>", actor.address)).await?;
    submission.expect("250 ").await?;
    submission.say("DATA").await?;
    submission.expect("354 ").await?;
    for line in ["Subject: Sent through Locum", "", "With a password the provider has never seen.", "."] {
        submission.say(line).await?;
    }
    submission.expect("250 ").await?;
    submission.say("QUIT").await?;
    submission.expect("221 ").await.map(drop)
}

async fn see_it_arrive(stage: &Stage) -> Result<()> {
    scene("Both messages have arrived");
    for actor in [&stage.alice, &stage.scanner] {
        let expected: &[u8] = b"Subject: Sent through Locum\r\n\r\nWith a password the provider has never seen.\r\n";
        let inbox = actor.sandbox.messages(&actor.address, "INBOX");
        ensure!(inbox.iter().any(|message| message.ends_with(expected)), "{} has not got the message", actor.address);
        output::line(format!("    in the INBOX of {}: {} messages", actor.address, inbox.len()));
    }
    let mut imap = imap_login(stage, stage.alice.client_secret_text()).await?;
    imap.expect("a2 OK").await?;
    imap.say("a3 EXAMINE INBOX").await?;
    let inbox = imap.expect("a3 OK").await?;
    ensure!(inbox.iter().any(|line| line == "* 2 EXISTS"), "IMAP does not show two messages");
    Ok(())
}

async fn see_wrong_passwords_refused(stage: &Stage) -> Result<()> {
    scene("A wrong password is refused, and no provider hears of it");
    let logins = || stage.alice.sandbox.logins().len();
    let before = logins();
    let wrong = "not-the-password";
    imap_login(stage, wrong).await?.expect("a2 NO [AUTHENTICATIONFAILED]").await?;
    pop3_login(stage, wrong).await?.expect("-ERR [AUTH]").await?;
    submission_login(stage, &stage.alice, wrong).await?.expect("535 5.7.8").await?;
    // The app password is the provider's: Locum does not take it from a client.
    let app_password = stage.alice.app_password.expose_text().unwrap_or_default();
    imap_login(stage, app_password).await?.expect("a2 NO [AUTHENTICATIONFAILED]").await?;
    ensure!(logins() == before, "an upstream was dialled for a client that had not proved itself");
    Ok(())
}

fn see_that_passwords_were_not_mixed(stage: &Stage) -> Result<()> {
    scene("What the providers saw");
    for actor in [&stage.alice, &stage.scanner] {
        let saw = |secret: &Secret| actor.sandbox.was_presented(secret);
        ensure!(saw(&actor.app_password), "{} has not seen the app password", actor.provider);
        ensure!(!saw(&actor.client_secret), "{} has seen the client's password", actor.provider);
        output::line(format!("    {}: the app password, and never the client's", actor.provider));
    }
    Ok(())
}

async fn rotate_while_alice_reads(stage: &Stage) -> Result<()> {
    scene("Alice's app password is rotated while she reads");
    let alice = &stage.alice;
    let mut reading = imap_login(stage, alice.client_secret_text()).await?;
    reading.expect("a2 OK").await?;
    let new = stage.rotate().await?;
    output::line(
        "    a new app password was staged, verified by real logins, and promoted; the old one is kept for a day",
    );
    let old = &alice.app_password;
    ensure!(alice.sandbox.remove_password(&alice.address, old), "the provider did not know the old app password");
    output::line("    now the provider deletes the old one; the session goes on, and so does the next:");
    reading.say("a3 NOOP").await?;
    reading.expect("a3 OK").await?;
    let before = alice.sandbox.times_presented(&new);
    imap_login(stage, alice.client_secret_text()).await?.expect("a2 OK").await?;
    ensure!(alice.sandbox.times_presented(&new) == before + 1, "the last login was not with the new app password");
    output::line("    Alice's own password is what it was");
    Ok(())
}

async fn switch_to_oauth2(stage: &Stage) -> Result<()> {
    scene(
        "December 2026: the scanner's account is switched to OAuth2 in the store, then Exchange switches passwords off",
    );
    stage.switch_to_oauth2().await?;
    let exchange = &stage.scanner.sandbox;
    exchange.switch_passwords_off();
    send(stage, &stage.scanner).await.context("sending as the scanner")?;
    let by_token = exchange.logins().last().is_some_and(|login| login.mechanism == "AUTH XOAUTH2");
    ensure!(by_token, "the last login was not by a token");
    output::line("    the same scanner with the same password; Exchange saw an access token");
    Ok(())
}

fn show_audit(stage: &Stage) -> Result<()> {
    scene("What the security officer reads");
    let audit = fs::read_to_string(stage.dir.path().join("audit.jsonl")).context("the audit is not there")?;
    for line in audit.lines().take(3) {
        output::line(format!("    {line}"));
    }
    output::line(format!("    … {} lines in all", audit.lines().count()));
    Ok(())
}

async fn imap_login(stage: &Stage, password: &str) -> Result<Talk> {
    let mut imap = Talk::connect(stage.ports.imap).await?;
    imap.expect("* OK").await?;
    imap.say("a1 STARTTLS").await?;
    imap.expect("a1 OK").await?;
    let mut imap = imap.start_tls(&stage.client_tls).await?;
    imap.say_hidden(&format!("a2 LOGIN {} {password}", stage.alice.login), "a2 LOGIN alice ********").await?;
    Ok(imap)
}

async fn pop3_login(stage: &Stage, password: &str) -> Result<Talk> {
    let mut pop3 = Talk::connect(stage.ports.pop3).await?;
    pop3.expect("+OK").await?;
    pop3.say("STLS").await?;
    pop3.expect("+OK").await?;
    let mut pop3 = pop3.start_tls(&stage.client_tls).await?;
    pop3.say(&format!("USER {}", stage.alice.login)).await?;
    pop3.expect("+OK").await?;
    pop3.say_hidden(&format!("PASS {password}"), "PASS ********").await?;
    Ok(pop3)
}

/// As most devices do it: AUTH LOGIN.
async fn submission_login(stage: &Stage, actor: &Actor, password: &str) -> Result<Talk> {
    let mut submission = Talk::connect(stage.ports.submission).await?;
    submission.expect("220 ").await?;
    submission.say(&format!("EHLO {}", actor.login)).await?;
    submission.expect("250 ").await?;
    submission.say("STARTTLS").await?;
    submission.expect("220 ").await?;
    let mut submission = submission.start_tls(&stage.client_tls).await?;
    submission.say(&format!("EHLO {}", actor.login)).await?;
    submission.expect("250 ").await?;
    submission.say("AUTH LOGIN").await?;
    submission.expect("334 VXNlcm5hbWU6").await?;
    submission.say(&BASE64.encode(actor.login.as_bytes())).await?;
    submission.expect("334 UGFzc3dvcmQ6").await?;
    submission.say_hidden(&BASE64.encode(password.as_bytes()), "********").await?;
    Ok(submission)
}

fn scene(title: &str) {
    output::line(format!("\n{title}"));
}

/// A conversation in lines, shown as it goes.
struct Talk {
    stream: BufReader<Stream>,
}

impl Talk {
    async fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        Ok(Self { stream: BufReader::new(Stream::Plain(stream)) })
    }

    async fn start_tls(self, config: &Arc<ClientConfig>) -> Result<Self> {
        let name = ServerName::try_from("localhost")?;
        let stream = self.stream.into_inner().connect_tls(Arc::clone(config), name).await?;
        output::line("    -- TLS --");
        Ok(Self { stream: BufReader::new(stream) })
    }

    async fn say(&mut self, line: &str) -> Result<()> {
        self.say_hidden(line, line).await
    }

    async fn say_hidden(&mut self, line: &str, shown: &str) -> Result<()> {
        output::line(format!("    > {shown}"));
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        Ok(self.stream.flush().await?)
    }

    /// Reads up to the line that begins with `last`; anything else that would end the answer is a surprise.
    async fn expect(&mut self, last: &str) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = timeout(ANSWER_TIMEOUT, self.stream.read_line(&mut line)).await;
            let Ok(read) = read else { bail!("no answer; expected {last:?}") };
            if read? == 0 {
                bail!("the connection was closed; expected {last:?}");
            }
            let line = line.trim_end().to_owned();
            output::line(format!("    < {line}"));
            let is_last = line.starts_with(last);
            let is_refusal =
                [" NO ", " BAD "].iter().any(|word| line.get(2..).is_some_and(|rest| rest.starts_with(word)))
                    || ["-ERR", "4", "5"].iter().any(|start| line.starts_with(start));
            lines.push(line);
            if is_last {
                return Ok(lines);
            }
            ensure!(!is_refusal, "expected {last:?}");
        }
    }
}
