//! SEARCH (RFC 3501 section 6.4.4). A key that is not known makes the command bad: a wrong answer would be worse.

use jiff::civil::Date;
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;

use super::command::SequenceSet;
use super::view::{Known, View};
use super::{Args, Fault};
use crate::sandbox::mailbox::{Mailbox, Message};
use crate::sandbox::message;

/// How deep NOT, OR and parentheses may stand in each other.
const DEPTH_MAX: usize = 16;

/// A condition.
pub(super) enum Key {
    All(Vec<Key>),
    Either(Box<Key>, Box<Key>),
    Not(Box<Key>),
    Flag(String),
    Recent,
    Numbers(SequenceSet),
    Uids(SequenceSet),
    Received(When, Date),
    Dated(When, Date),
    Larger(usize),
    Smaller(usize),
    Field(String, Vec<u8>),
    Body(Vec<u8>),
    Text(Vec<u8>),
}

/// How a date is compared with a day.
#[derive(Clone, Copy)]
pub(super) enum When {
    Before,
    On,
    Since,
}

/// All keys up to the end of the command, after a charset, which is taken for what it is called and changes nothing.
pub(super) fn parse(args: &mut Args) -> Result<Key, Fault> {
    let mut keys = Vec::new();
    loop {
        keys.push(key(args, 0)?);
        if args.end().is_ok() {
            return Ok(Key::All(keys));
        }
        args.space()?;
    }
}

fn key(args: &mut Args, depth: usize) -> Result<Key, Fault> {
    if depth > DEPTH_MAX {
        return Err(Fault::Malformed);
    }
    if args.take(b'(') {
        let mut keys = vec![key(args, depth + 1)?];
        while !args.take(b')') {
            args.space()?;
            keys.push(key(args, depth + 1)?);
        }
        return Ok(Key::All(keys));
    }
    if args.peek().is_some_and(|byte| byte.is_ascii_digit() || byte == b'*') {
        return args.set().map(Key::Numbers);
    }
    let word = args.keyword()?;
    let not = |key| Key::Not(Box::new(key));
    let flag = |flag: &str| Key::Flag(flag.to_owned());
    Ok(match word.as_str() {
        "ALL" => Key::All(Vec::new()),
        "ANSWERED" | "DELETED" | "DRAFT" | "FLAGGED" | "SEEN" => flag(&format!("\\{word}")),
        "UNANSWERED" | "UNDELETED" | "UNDRAFT" | "UNFLAGGED" | "UNSEEN" => not(flag(&format!("\\{}", &word[2..]))),
        "RECENT" => Key::Recent,
        "OLD" => not(Key::Recent),
        "NEW" => Key::All(vec![Key::Recent, not(flag("\\Seen"))]),
        "CHARSET" => {
            string(args)?;
            args.space()?;
            key(args, depth + 1)?
        }
        "NOT" => {
            args.space()?;
            not(key(args, depth + 1)?)
        }
        "OR" => {
            args.space()?;
            let first = key(args, depth + 1)?;
            args.space()?;
            Key::Either(Box::new(first), Box::new(key(args, depth + 1)?))
        }
        "KEYWORD" | "UNKEYWORD" => {
            args.space()?;
            let keyword = flag(&args.atom()?);
            if word == "KEYWORD" { keyword } else { not(keyword) }
        }
        "UID" => {
            args.space()?;
            Key::Uids(args.set()?)
        }
        "BEFORE" => Key::Received(When::Before, date(args)?),
        "ON" => Key::Received(When::On, date(args)?),
        "SINCE" => Key::Received(When::Since, date(args)?),
        "SENTBEFORE" => Key::Dated(When::Before, date(args)?),
        "SENTON" => Key::Dated(When::On, date(args)?),
        "SENTSINCE" => Key::Dated(When::Since, date(args)?),
        "LARGER" => Key::Larger(number(args)?),
        "SMALLER" => Key::Smaller(number(args)?),
        "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => Key::Field(word, string(args)?),
        "HEADER" => {
            let name = String::from_utf8(string(args)?).map_err(|_| Fault::Malformed)?;
            Key::Field(name, string(args)?)
        }
        "BODY" => Key::Body(string(args)?),
        "TEXT" => Key::Text(string(args)?),
        _ => return Err(Fault::Malformed),
    })
}

fn string(args: &mut Args) -> Result<Vec<u8>, Fault> {
    args.space()?;
    args.string().map(|string| string.to_vec())
}

fn number(args: &mut Args) -> Result<usize, Fault> {
    args.space()?;
    args.number()
}

/// `1-Feb-1994`, with or without quotation marks.
fn date(args: &mut Args) -> Result<Date, Fault> {
    let text = String::from_utf8(string(args)?).map_err(|_| Fault::Malformed)?;
    strtime::parse("%d-%b-%Y", text).and_then(|date| date.to_date()).map_err(|_| Fault::Malformed)
}

/// Numbers or ids of the messages that a session knows and that fit.
pub(super) fn hits(key: &Key, view: &View, mailbox: &Mailbox, by_uid: bool) -> Vec<usize> {
    let all = SequenceSet::parse("1:*").and_then(|all| view.resolve(&all, true)).unwrap_or_default();
    let last = (view.exists(), view.uids().last().unwrap_or_default());
    let fits = |&(number, known): &(usize, Known)| {
        mailbox.message(known.uid).is_some_and(|message| Candidate { message, known, number, last }.fits(key))
    };
    let hits = all.into_iter().filter(fits);
    hits.map(|(number, known)| if by_uid { known.uid as usize } else { number }).collect()
}

struct Candidate<'a> {
    message: &'a Message,
    known: Known,
    number: usize,
    /// The last number and the last id.
    last: (usize, u32),
}

impl Candidate<'_> {
    fn fits(&self, key: &Key) -> bool {
        let bytes = self.message.bytes.as_slice();
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        match key {
            Key::All(keys) => keys.iter().all(|key| self.fits(key)),
            Key::Either(first, second) => self.fits(first) || self.fits(second),
            Key::Not(key) => !self.fits(key),
            Key::Flag(flag) => self.message.flags.has(flag),
            Key::Recent => self.known.recent,
            Key::Numbers(set) => set.contains(small(self.number), small(self.last.0)),
            Key::Uids(set) => set.contains(self.known.uid, self.last.1),
            Key::Received(when, day) => when.fits(self.message.received.to_zoned(TimeZone::UTC).date(), *day),
            Key::Dated(when, day) => sent(bytes).is_some_and(|date| when.fits(date, *day)),
            Key::Larger(size) => bytes.len() > *size,
            Key::Smaller(size) => bytes.len() < *size,
            Key::Field(name, text) => {
                let (header, _) = message::split(bytes);
                message::value(header, name).is_some_and(|value| contains(&value, text))
            }
            Key::Body(text) => contains(message::split(bytes).1, text),
            Key::Text(text) => contains(bytes, text),
        }
    }
}

impl When {
    fn fits(self, date: Date, day: Date) -> bool {
        match self {
            Self::Before => date < day,
            Self::On => date == day,
            Self::Since => date >= day,
        }
    }
}

fn sent(bytes: &[u8]) -> Option<Date> {
    let date = message::value(message::split(bytes).0, "Date")?;
    // Many a device gets the day of the week wrong.
    let parser = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    parser.parse_zoned(&date).ok().map(|date| date.date())
}

/// Whether text is in there, in any case of ASCII.
fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text))
}
