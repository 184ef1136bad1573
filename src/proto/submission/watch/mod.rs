//! The look at what a client submits after its login, the only one there is, and only where a policy or a pace asks for it
//! (decision 25). It follows commands and replies, keeps a sender that the policy does not name from the upstream, holds a
//! message until its turn, and counts what the upstream took. It must never change or reorder a byte that goes on, and
//! never let one go on of which it does not know whether it is a command or part of a message.
//!
//! - [`Watch`]: bytes of both sides in, bytes for both sides and [`Notice`]s out.
//! - Only commands that it knows go on. What it answers itself comes in its place among the upstream's replies.
//! - Behind DATA, behind the end of a message, behind a line without CR, and before MAIL and BDAT nothing goes on until all
//!   that went before is answered: what the two sides might read differently is never under way together.
//!
//! The header of a message is not looked at: whom `From` names there is the provider's to judge.

mod content;
mod replies;
mod sender;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::mem;

use crate::model::AddressPattern;
use content::{Content, Found};
use replies::Replies;
use sender::{Sender, sender};

/// The longest command, its end included. RFC 5321 section 4.5.3.1.4 has 512 bytes, and the extensions add some 1,500. No
/// server may take the end of a longer one for the next command: Postfix reads 2,048 bytes at a time.
const COMMAND_BYTES_MAX: usize = 2048;

/// Commands that wait for their answers. A client may name all 500 recipients that Exchange takes in one go.
const UNANSWERED_MAX: usize = 1024;

/// Bytes that wait for either side, before no more are taken.
const BUFFER_BYTES_MAX: usize = 32 * 1024;

/// The largest chunk (RFC 3030): within what every server counts in. Providers take 150 MB at most.
const CHUNK_BYTES_MAX: u64 = i32::MAX as u64;

const NOT_PERMITTED: &str = "550 5.7.1 This login may not send as that address";
const UNREADABLE_SENDER: &str = "501 5.1.7 The sender cannot be read: MAIL FROM:<alice@example.com>";
const TOO_EARLY: &str = "451 4.3.2 Too many messages at the moment, try again later";
const BEHIND_LOGIN: &str = "503 5.5.1 Not after login";
const UNKNOWN: &str = "500 5.5.2 Command not recognized";
const CONTROLS: &str = "500 5.5.2 A command must hold neither CR nor NUL";
const NO_CHUNKS: &str = "502 5.5.1 BDAT is not available";
const NO_RECIPIENT: &str = "503 5.5.1 No recipient, or a chunk was refused";

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct WatchOptions {
    /// Senders that the client may name; empty for all.
    pub senders: Vec<AddressPattern>,
    /// Whether each message waits for its turn.
    pub paced: bool,
    /// Whether the upstream offers CHUNKING. To one that does not know BDAT its octets would be commands.
    pub chunking: bool,
}

/// What the caller has to know or do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A message waits for its turn: [`Watch::turn_came`] or [`Watch::turn_failed`] is called for.
    Turn,
    /// Some of a message went on: it counts, whatever becomes of it.
    Begun,
    /// The upstream took the message.
    Taken,
    /// The upstream did not take a message that was begun.
    Refused,
    /// There is no message any more, and none was begun.
    Reset,
    /// The upstream put a message off, in these words.
    PutOff(String),
}

/// The look at one session.
#[derive(Debug)]
pub struct Watch {
    options: WatchOptions,
    state: State,
    /// From the client; what stands before `taken` has gone on.
    input: Vec<u8>,
    taken: usize,
    replies: Replies,
    for_upstream: Vec<u8>,
    for_client: Vec<u8>,
    unanswered: VecDeque<Expected>,
    notices: VecDeque<Notice>,
    /// The upstream took a sender, and has a transaction with it.
    has_sender: bool,
    /// A recipient was taken, and nothing was refused since that would make chunks unwelcome.
    has_recipient: bool,
    client_ended: bool,
    upstream_ended: bool,
    messages: u64,
    over: Option<&'static str>,
}

#[derive(Debug)]
enum State {
    Commands,
    /// Held until all is answered.
    Held,
    /// MAIL, so many bytes long, waits for its turn.
    Turn {
        length: usize,
    },
    Content(Content),
    /// So many octets of a chunk, and whether they go on.
    Chunk {
        left: u64,
        goes_on: bool,
    },
    Over,
}

/// What the next reply is about.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Mail,
    Recipient,
    /// Whether the line ended in CRLF.
    Data {
        clean: bool,
    },
    Message,
    Chunk {
        last: bool,
    },
    /// RSET, EHLO and HELO end a transaction (RFC 5321 section 4.1.4).
    Reset,
    Other,
    /// Ours, and not the upstream's.
    Answer(&'static str),
}

impl Watch {
    /// A look that begins right behind the login.
    pub fn new(options: WatchOptions) -> Self {
        Self {
            options,
            state: State::Commands,
            input: Vec::new(),
            taken: 0,
            replies: Replies::default(),
            for_upstream: Vec::new(),
            for_client: Vec::new(),
            unanswered: VecDeque::new(),
            notices: VecDeque::new(),
            has_sender: false,
            has_recipient: false,
            client_ended: false,
            upstream_ended: false,
            messages: 0,
            over: None,
        }
    }

    /// Takes what the client sent.
    pub fn client_sent(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.advance();
    }

    /// The client will send no more.
    pub fn client_ended(&mut self) {
        self.client_ended = true;
    }

    /// Takes what the upstream sent.
    pub fn upstream_sent(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.over.is_none() {
            match self.replies.next_line(&mut bytes) {
                Ok(None) => {}
                Ok(Some(line)) => {
                    self.for_client.extend_from_slice(&line.bytes);
                    if line.is_last {
                        self.answered(line.code, &line.bytes);
                    }
                }
                Err(_) => self.lose_track(),
            }
        }
        self.advance();
    }

    /// The upstream will send no more.
    pub fn upstream_ended(&mut self) {
        self.upstream_ended = true;
        let rest = self.replies.take_rest();
        self.for_client.extend_from_slice(&rest);
    }

    /// Whether there is room for more of the client.
    pub fn client_may_send(&self) -> bool {
        self.over.is_none() && self.input.len() - self.taken < BUFFER_BYTES_MAX && self.may_put_out()
    }

    /// Whether there is room for more of the upstream.
    pub fn upstream_may_send(&self) -> bool {
        self.over.is_none() && self.for_client.len() < BUFFER_BYTES_MAX
    }

    /// What goes to the client now.
    pub fn for_client(&mut self) -> Vec<u8> {
        let bytes = mem::take(&mut self.for_client);
        self.advance();
        bytes
    }

    /// What goes to the upstream now.
    pub fn for_upstream(&mut self) -> Vec<u8> {
        let bytes = mem::take(&mut self.for_upstream);
        self.advance();
        bytes
    }

    /// Whether nothing more will go to the upstream, once the client has ended: half a command never does.
    pub fn is_done_up(&self) -> bool {
        let rest = &self.input[self.taken..];
        let waits = match self.state {
            State::Turn { .. } => true,
            State::Commands | State::Held => rest.contains(&b'\n'),
            State::Content(_) | State::Chunk { .. } => !rest.is_empty(),
            State::Over => false,
        };
        // Who has hung up answers nothing more.
        self.client_ended && self.for_upstream.is_empty() && (!waits || self.upstream_ended)
    }

    /// The next thing to know, oldest first.
    pub fn next_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// The message that waits goes on.
    pub fn turn_came(&mut self) {
        if let State::Turn { length } = self.state {
            self.state = State::Commands;
            self.forward(length, Expected::Mail);
            self.advance();
        }
    }

    /// The message that waits is put off.
    pub fn turn_failed(&mut self) {
        if let State::Turn { length } = self.state {
            self.state = State::Commands;
            self.answer(length, TOO_EARLY);
            self.advance();
        }
    }

    /// Whether the message that waits can still become one: not if the client ended before it said that a text follows, for
    /// it will send none.
    pub fn turn_is_of_use(&self) -> bool {
        let State::Turn { length } = self.state else { return false };
        let mut lines = self.input[self.taken + length..].split(|&byte| byte == b'\n');
        let has_text = |line: &[u8]| {
            line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"DATA") || verb.eq_ignore_ascii_case(b"BDAT"))
        };
        !self.upstream_ended && (!self.client_ended || lines.any(has_text))
    }

    /// Messages that the upstream took.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Why the session has to end; what is [for the client](Self::for_client) then are the last words.
    pub fn over(&self) -> Option<&'static str> {
        self.over
    }

    fn may_put_out(&self) -> bool {
        self.for_upstream.len() < BUFFER_BYTES_MAX && self.for_client.len() < BUFFER_BYTES_MAX
    }

    /// Lets go on what may.
    fn advance(&mut self) {
        while self.may_put_out() && self.step() {}
        if self.taken == self.input.len() {
            (self.input, self.taken) = (Vec::new(), 0); // gives the memory back
        } else if self.taken > 0 {
            self.input.drain(..self.taken);
            self.taken = 0;
        }
    }

    fn step(&mut self) -> bool {
        match &mut self.state {
            State::Commands => self.next_command(),
            State::Held => {
                let all_answered = self.unanswered.is_empty();
                if all_answered {
                    self.state = State::Commands;
                }
                all_answered
            }
            State::Content(content) => {
                let (taken, found) = content.pass(&self.input[self.taken..], &mut self.for_upstream);
                self.taken += taken;
                match found {
                    Found::Text => return false,
                    Found::End => {
                        self.unanswered.push_back(Expected::Message);
                        self.state = State::Held;
                    }
                    Found::DoubtfulDot => self.end(
                        "521 5.5.2 A dot alone on a line must stand between CRLF and CRLF; the message was not sent",
                        "a line of a single dot in a message was not between CRLF and CRLF",
                    ),
                }
                true
            }
            State::Chunk { left, goes_on } => {
                let rest = &self.input[self.taken..];
                let count = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                if *goes_on {
                    self.for_upstream.extend_from_slice(&rest[..count]);
                }
                self.taken += count;
                *left -= count as u64;
                let is_whole = *left == 0;
                if is_whole {
                    self.state = State::Commands;
                }
                is_whole
            }
            State::Turn { .. } | State::Over => false,
        }
    }

    /// Reads one command, if it is there and may be read now.
    fn next_command(&mut self) -> bool {
        let rest = &self.input[self.taken..];
        let window = &rest[..rest.len().min(COMMAND_BYTES_MAX)];
        let Some(length) = window.iter().position(|&byte| byte == b'\n').map(|at| at + 1) else {
            if rest.len() >= COMMAND_BYTES_MAX {
                self.end("500 5.5.2 Line too long", "a command was too long");
            }
            return false;
        };
        if self.unanswered.len() >= UNANSWERED_MAX {
            return false;
        }
        let line = &rest[..length];
        let clean = line.ends_with(b"\r\n");
        let text = &line[..length - 1 - usize::from(clean)];
        if text.iter().any(|byte| matches!(byte, b'\r' | 0)) {
            return self.answer(length, CONTROLS);
        }
        let end = text.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(text.len());
        let (verb, arguments) = (text[..end].to_ascii_uppercase(), text[end..].trim_ascii());
        match verb.as_slice() {
            b"MAIL" | b"BDAT" if !self.unanswered.is_empty() => false,
            b"MAIL" => {
                let refused = self.objection(arguments);
                self.mail(length, refused)
            }
            b"BDAT" => {
                let chunk = chunk(arguments).filter(|_| clean);
                self.chunk(length, chunk)
            }
            b"RCPT" => self.forward(length, Expected::Recipient),
            b"DATA" => {
                self.forward(length, Expected::Data { clean });
                self.state = State::Held;
                true
            }
            b"RSET" | b"EHLO" | b"HELO" => self.forward(length, Expected::Reset),
            b"NOOP" | b"QUIT" | b"HELP" | b"VRFY" | b"EXPN" => self.forward(length, Expected::Other),
            b"STARTTLS" | b"AUTH" => self.answer(length, BEHIND_LOGIN),
            _ => self.answer(length, UNKNOWN),
        }
    }

    /// What speaks against a sender. None at all is none of those that a policy names.
    fn objection(&self, arguments: &[u8]) -> Option<&'static str> {
        if self.options.senders.is_empty() {
            return None;
        }
        match sender(arguments) {
            Some(Sender::Address(address)) if self.options.senders.iter().any(|it| it.matches(&address)) => None,
            Some(Sender::Address(_) | Sender::Nobody) => Some(NOT_PERMITTED),
            None => Some(UNREADABLE_SENDER),
        }
    }

    fn mail(&mut self, length: usize, refused: Option<&'static str>) -> bool {
        match refused {
            Some(words) => self.answer(length, words),
            None if self.options.paced => {
                self.state = State::Turn { length };
                self.notices.push_back(Notice::Turn);
                false
            }
            None => self.forward(length, Expected::Mail),
        }
    }

    /// A chunk goes on only where the upstream surely knows that it is one.
    fn chunk(&mut self, length: usize, chunk: Option<(u64, bool)>) -> bool {
        let Some((left, last)) = chunk else {
            self.end("501 5.5.4 BDAT needs a number of octets", "the size of a chunk could not be read");
            return false;
        };
        let goes_on = self.options.chunking && self.has_recipient;
        if goes_on {
            self.forward(length, Expected::Chunk { last });
            self.notices.push_back(Notice::Begun);
        } else {
            self.answer(length, if self.options.chunking { NO_RECIPIENT } else { NO_CHUNKS });
        }
        self.state = State::Chunk { left, goes_on };
        true
    }

    /// Lets a command go on. Where a line ends without CR is for the upstream to say: nothing follows before it has.
    fn forward(&mut self, length: usize, expected: Expected) -> bool {
        let line = &self.input[self.taken..self.taken + length];
        if !line.ends_with(b"\r\n") {
            self.state = State::Held;
        }
        self.for_upstream.extend_from_slice(line);
        self.taken += length;
        self.unanswered.push_back(expected);
        true
    }

    /// Answers a command in the upstream's place.
    fn answer(&mut self, length: usize, words: &'static str) -> bool {
        self.taken += length;
        self.unanswered.push_back(Expected::Answer(words));
        self.give_answers();
        true
    }

    /// Those answers of ours that nothing of the upstream's comes before.
    fn give_answers(&mut self) {
        while let Some(&Expected::Answer(words)) = self.unanswered.front() {
            self.unanswered.pop_front();
            self.say(words);
        }
    }

    /// The upstream answered what is oldest.
    fn answered(&mut self, code: u16, line: &[u8]) {
        let is_good = (200..300).contains(&code);
        let Some(expected) = self.unanswered.pop_front() else {
            // It may hang up on its own (RFC 5321 section 3.8), and has nothing else to say unasked.
            if code != 421 {
                self.lose_track();
            }
            return;
        };
        match expected {
            Expected::Data { clean } if code == 354 => {
                self.state = State::Content(Content::new(clean));
                self.notices.push_back(Notice::Begun);
            }
            // It waits for more, and nobody knows what of.
            _ if (300..400).contains(&code) => self.lose_track(),
            Expected::Mail => {
                self.has_recipient = false;
                if is_good {
                    self.has_sender = true;
                } else {
                    self.put_off(code, line);
                    // A second MAIL is refused, and the first holds (RFC 5321 section 4.1.4).
                    if !self.has_sender {
                        self.notices.push_back(Notice::Reset);
                    }
                }
            }
            Expected::Recipient => self.has_recipient |= is_good,
            Expected::Message | Expected::Chunk { last: true } => {
                (self.has_sender, self.has_recipient) = (false, false);
                self.messages += u64::from(is_good);
                self.put_off(code, line);
                self.notices.push_back(if is_good { Notice::Taken } else { Notice::Refused });
            }
            Expected::Chunk { last: false } if !is_good => {
                (self.has_sender, self.has_recipient) = (false, false);
                self.put_off(code, line);
                self.notices.push_back(Notice::Refused);
            }
            Expected::Reset if is_good => {
                (self.has_sender, self.has_recipient) = (false, false);
                self.notices.push_back(Notice::Reset);
            }
            Expected::Data { .. }
            | Expected::Chunk { .. }
            | Expected::Reset
            | Expected::Other
            | Expected::Answer(_) => {}
        }
        self.give_answers();
    }

    fn put_off(&mut self, code: u16, line: &[u8]) {
        if (400..500).contains(&code) {
            self.notices.push_back(Notice::PutOff(String::from_utf8_lossy(line.trim_ascii_end()).into_owned()));
        }
    }

    fn lose_track(&mut self) {
        self.end("421 4.3.0 The upstream's replies cannot be followed", "the upstream's replies could not be followed");
    }

    /// Ends the session: nothing more goes to the upstream.
    fn end(&mut self, words: &str, why: &'static str) {
        self.say(words);
        self.state = State::Over;
        self.over = Some(why);
        self.for_upstream.clear();
        self.unanswered.clear();
        self.taken = self.input.len();
    }

    fn say(&mut self, words: &str) {
        self.for_client.extend_from_slice(words.as_bytes());
        self.for_client.extend_from_slice(b"\r\n");
    }
}

/// The size of a chunk, and whether it is the last (RFC 3030 section 2).
fn chunk(arguments: &[u8]) -> Option<(u64, bool)> {
    let mut words = arguments.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let digits = words.next().filter(|word| word.iter().all(u8::is_ascii_digit))?;
    let size: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"LAST") => true,
        Some(_) => return None,
    };
    (words.next().is_none() && size <= CHUNK_BYTES_MAX).then_some((size, last))
}
