//! IMAP4rev1 (RFC 3501) as the provider speaks it: login with its texts, then small but real mailboxes.
//!
//! - `login`: before login. `folders`: commands on folders. `selected`: commands on messages of the selected folder.
//! - `view`: what one session believes about its folder, and what it must be told. `fetch`, `search`, `envelope`: the
//!   large words of their commands. `command`: the grammar.

mod command;
mod envelope;
mod fetch;
mod folders;
mod login;
mod search;
mod selected;
mod view;

use std::io;
use std::net::SocketAddr;

use super::authority::book::TokenId;
use super::connection::Connection;
use super::mailbox::Folders;
use super::{Behaviour, Sandbox, Start};
use crate::model::Protocol;
use command::{Args, Received, Rules};
use view::View;

/// Unusable commands and refused logins before the connection ends.
const BAD_COMMANDS_MAX: u32 = 10;
const REFUSALS_MAX: u32 = 3;

/// How a command ends. The texts stand behind the tag.
enum Answer {
    /// `OK`, a response code with its blank or nothing, and the face's own words for the command.
    Done(String),
    /// This line.
    Line(String),
    /// The same, and the connection ends behind it, with a goodbye if there is one.
    Last(Option<String>, Option<&'static str>),
}

impl Answer {
    fn done() -> Self {
        Self::Done(String::new())
    }

    fn line(text: impl Into<String>) -> Self {
        Self::Line(text.into())
    }
}

/// Why a command has no answer of its own.
enum Fault {
    /// It does not have the form that it should have.
    Malformed,
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Session<'a> {
    sandbox: &'a Sandbox,
    connection: &'a mut Connection,
    tls: bool,
    /// The normalised address of the account that is logged in.
    account: Option<String>,
    /// Whether there is a mailbox behind the login.
    connected: bool,
    /// The token whose life the session shares.
    token: Option<TokenId>,
    view: Option<View>,
    bad_commands: u32,
    refusals: u32,
}

/// Holds a session until either side ends it.
pub(super) async fn serve(
    sandbox: &Sandbox,
    connection: &mut Connection,
    peer: SocketAddr,
    start: Start,
) -> io::Result<()> {
    connection.send_line(&sandbox.texts().imap_greeting(peer.ip())).await?;
    let tls = start == Start::Implicit;
    let (account, token, view) = (None, None, None);
    let (connected, bad_commands, refusals) = (true, 0, 0);
    Session { sandbox, connection, tls, account, connected, token, view, bad_commands, refusals }.run().await
}

impl Session<'_> {
    async fn run(mut self) -> io::Result<()> {
        loop {
            let rules =
                Rules { logged_in: self.account.is_some(), literal_plus: self.sandbox.texts().imap_literal_plus() };
            let mut args = match command::read(self.connection, rules).await? {
                Received::Command(args) => args,
                Received::TooLarge(tag) => {
                    let text = self.sandbox.texts().imap_append_too_large();
                    self.connection.send_line(&format!("{tag} {text}")).await?;
                    continue;
                }
                Received::Hopeless => return self.connection.send_line(self.sandbox.texts().imap_enough()).await,
            };
            if !self.command(&mut args).await? {
                return Ok(());
            }
        }
    }

    /// Carries one command out and answers it. Says whether the session goes on.
    async fn command(&mut self, args: &mut Args) -> io::Result<bool> {
        let Ok(tag) = args.take_while(|byte| byte > b' ' && byte < 0x7F && byte != b'+') else {
            return self.bad("*").await;
        };
        let named = args.space().and_then(|()| args.keyword());
        let Ok(name) = named else { return self.bad(&tag).await };
        if let Some(goes_on) = self.begin_tls(&tag, &name).await? {
            return Ok(goes_on);
        }
        let answer = match self.dispatch(&name, args).await {
            Ok(answer) => answer,
            Err(Fault::Malformed) => return self.bad(&tag).await,
            Err(Fault::Io(error)) => return Err(error),
        };
        // Numbers must not change under a command that speaks in them (RFC 3501 section 7.4.1).
        self.tell_changes(!matches!(name.as_str(), "FETCH" | "STORE" | "SEARCH")).await?;
        match answer {
            Answer::Done(code) => {
                let text = self.sandbox.texts().imap_done(&name);
                self.connection.send_line(&format!("{tag} OK {code}{text}")).await?;
                Ok(true)
            }
            Answer::Line(text) => {
                self.connection.send_line(&format!("{tag} {text}")).await?;
                Ok(true)
            }
            Answer::Last(text, goodbye) => {
                if let Some(text) = text {
                    self.connection.send_line(&format!("{tag} {text}")).await?;
                }
                if let Some(goodbye) = goodbye {
                    self.connection.send_line(goodbye).await?;
                }
                Ok(false)
            }
        }
    }

    async fn dispatch(&mut self, name: &str, args: &mut Args) -> Result<Answer, Fault> {
        if name != "LOGOUT"
            && let Some(last) = self.ended(name)
        {
            return Ok(last);
        }
        match name {
            "CAPABILITY" => {
                self.untagged(&format!("CAPABILITY {}", self.capability())).await?;
                return Ok(Answer::done());
            }
            "NOOP" if self.account.is_none() => return Ok(Answer::done()),
            "ID" => {
                self.connection.send_line(self.sandbox.texts().imap_id()).await?;
                return Ok(Answer::done());
            }
            "LOGOUT" => {
                self.connection.send_line(self.sandbox.texts().imap_bye()).await?;
                let done = self.sandbox.texts().imap_done(name);
                return Ok(Answer::Last(Some(format!("OK {done}")), None));
            }
            _ => {}
        }
        if self.account.is_none() {
            return match name {
                "LOGIN" => self.log_in(args).await,
                "AUTHENTICATE" => self.authenticate(args).await,
                _ => Err(Fault::Malformed),
            };
        }
        match name {
            "NOOP" | "CHECK" => Ok(Answer::done()),
            "NAMESPACE" => {
                self.untagged("NAMESPACE ((\"\" \"/\")) NIL NIL").await?;
                Ok(Answer::done())
            }
            "LIST" => self.list(args, false).await,
            "LSUB" => self.list(args, true).await,
            "STATUS" => self.status(args).await,
            "SELECT" => self.select(args, false).await,
            "EXAMINE" => self.select(args, true).await,
            "CREATE" => self.create(args),
            "DELETE" => self.delete(args),
            "RENAME" => self.rename(args),
            "SUBSCRIBE" => self.subscribe(args, true),
            "UNSUBSCRIBE" => self.subscribe(args, false),
            "APPEND" => self.append(args),
            "IDLE" => self.idle().await,
            _ => self.selected(name, args).await,
        }
    }

    /// The last word, where the session is logged in and cannot go on.
    fn ended(&self, command: &str) -> Option<Answer> {
        let (texts, account) = (self.sandbox.texts(), self.account.as_deref()?);
        let behaviour = if self.connected { self.sandbox.behaviour(account) } else { Behaviour::NotConnected };
        if let Some((text, goodbye)) = texts.imap_not_connected(behaviour) {
            return Some(Answer::Last(Some(text.to_owned()), Some(goodbye)));
        }
        if !self.sandbox.token_is_over(self.token) {
            return None;
        }
        Some(match texts.imap_token_over_tagged(command) {
            Some(text) => Answer::Last(Some(text.to_owned()), None),
            None => Answer::Last(None, Some(texts.imap_token_over())),
        })
    }

    fn capability(&self) -> &'static str {
        match self.account {
            Some(_) => self.sandbox.texts().imap_capability_after(),
            None => self.sandbox.texts().imap_capability_before(self.tls),
        }
    }

    /// STARTTLS (RFC 3501 section 6.2.1); nothing if the command is another one.
    async fn begin_tls(&mut self, tag: &str, name: &str) -> io::Result<Option<bool>> {
        if name != "STARTTLS" {
            return Ok(None);
        }
        if self.tls {
            return self.bad(tag).await.map(Some);
        }
        self.connection.send_line(&format!("{tag} OK Begin TLS negotiation now.")).await?;
        self.connection.start_tls(self.sandbox.tls()).await?;
        self.tls = true;
        Ok(Some(true))
    }

    /// Answers a command that cannot be read or has no place here.
    async fn bad(&mut self, tag: &str) -> io::Result<bool> {
        let text = self.sandbox.texts().imap_bad();
        self.connection.send_line(&format!("{tag} {text}")).await?;
        self.bad_commands += 1;
        if self.bad_commands < BAD_COMMANDS_MAX {
            return Ok(true);
        }
        self.connection.send_line(self.sandbox.texts().imap_enough()).await?;
        Ok(false)
    }

    async fn untagged(&mut self, line: &str) -> io::Result<()> {
        self.connection.send_line(&format!("* {line}")).await
    }

    fn with_folders<T>(&self, work: impl FnOnce(&mut Folders) -> T) -> Result<T, Fault> {
        let account = self.account.as_deref().ok_or(Fault::Malformed)?;
        Ok(self.sandbox.with_folders(account, work))
    }

    /// Tells what others changed in the selected folder.
    async fn tell_changes(&mut self, with_expunges: bool) -> io::Result<()> {
        let (Some(account), Some(view)) = (&self.account, &mut self.view) else { return Ok(()) };
        let news = self.sandbox.with_folders(account, |folders| {
            folders.with_validity(view.validity()).map(|mailbox| view.catch_up(mailbox, with_expunges))
        });
        for line in news.unwrap_or_default() {
            self.connection.send_line(&line).await?;
        }
        Ok(())
    }

    fn record_refusal(&mut self, method: &'static str) -> bool {
        self.refusals += 1;
        tracing::trace!(protocol = %Protocol::Imap, method, "sandbox refused a login");
        self.refusals >= REFUSALS_MAX
    }
}
