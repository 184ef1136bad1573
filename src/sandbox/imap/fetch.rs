//! FETCH (RFC 3501 sections 6.4.5 and 7.4.2): what can be asked of a message, and the answer. Message bytes go to the
//! connection from where they are kept; they must never be copied whole.

use std::borrow::Cow;
use std::io;

use super::view::flags;
use super::{Args, Fault, envelope};
use crate::sandbox::connection::Connection;
use crate::sandbox::mailbox::Message;
use crate::sandbox::message;

/// One thing asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Flags,
    Uid,
    InternalDate,
    Size,
    Envelope,
    /// BODYSTRUCTURE, and BODY without a section, under the name it was asked by.
    Structure(&'static str),
    Content(Content),
}

/// Bytes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    /// How the answer names them.
    name: String,
    part: Part,
    /// The first byte and how many, of the part.
    partial: Option<(usize, usize)>,
    marks_seen: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Whole,
    Header,
    Text,
    /// Header fields of these names, or all but these.
    Fields {
        names: Vec<String>,
        but_these: bool,
    },
    /// A part that the message does not have: to the sandbox every message is one part.
    Nothing,
}

impl Item {
    pub(super) fn marks_seen(&self) -> bool {
        matches!(self, Self::Content(content) if content.marks_seen)
    }

    fn content(name: &str, part: Part, marks_seen: bool) -> Self {
        Self::Content(Content { name: name.to_owned(), part, partial: None, marks_seen })
    }
}

/// The items of a command: one, a macro, or several in parentheses.
pub(super) fn parse(args: &mut Args) -> Result<Vec<Item>, Fault> {
    let mut items = Vec::new();
    if !args.take(b'(') {
        match word(args)?.as_str() {
            "FAST" => return Ok(vec![Item::Flags, Item::InternalDate, Item::Size]),
            "ALL" => return Ok(vec![Item::Flags, Item::InternalDate, Item::Size, Item::Envelope]),
            "FULL" => {
                let body = Item::Structure("BODY");
                return Ok(vec![Item::Flags, Item::InternalDate, Item::Size, Item::Envelope, body]);
            }
            word => return Ok(vec![item(word, args)?]),
        }
    }
    while !args.take(b')') {
        if !items.is_empty() {
            args.space()?;
        }
        let word = word(args)?;
        items.push(item(&word, args)?);
    }
    if items.is_empty() { Err(Fault::Malformed) } else { Ok(items) }
}

fn word(args: &mut Args) -> Result<String, Fault> {
    args.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'.').map(|word| word.to_ascii_uppercase())
}

fn item(word: &str, args: &mut Args) -> Result<Item, Fault> {
    Ok(match word {
        "FLAGS" => Item::Flags,
        "UID" => Item::Uid,
        "INTERNALDATE" => Item::InternalDate,
        "RFC822.SIZE" => Item::Size,
        "ENVELOPE" => Item::Envelope,
        "BODYSTRUCTURE" => Item::Structure("BODYSTRUCTURE"),
        "RFC822" => Item::content(word, Part::Whole, true),
        "RFC822.HEADER" => Item::content(word, Part::Header, false),
        "RFC822.TEXT" => Item::content(word, Part::Text, true),
        "BODY" if args.peek() != Some(b'[') => Item::Structure("BODY"),
        "BODY" => section(args, true)?,
        "BODY.PEEK" => section(args, false)?,
        _ => return Err(Fault::Malformed),
    })
}

/// `[…]` and `<first.count>`.
fn section(args: &mut Args, marks_seen: bool) -> Result<Item, Fault> {
    args.expect(b'[')?;
    let text = if args.peek() == Some(b']') { String::new() } else { args.take_while(|byte| byte != b']')? };
    args.expect(b']')?;
    let text = text.to_ascii_uppercase();
    let mut content = Content { name: format!("BODY[{text}]"), part: part(&text)?, partial: None, marks_seen };
    if args.take(b'<') {
        let first = args.number()?;
        args.expect(b'.')?;
        let count = args.number()?;
        args.expect(b'>')?;
        content.name = format!("{}<{first}>", content.name);
        content.partial = Some((first, count));
    }
    Ok(Item::Content(content))
}

fn part(text: &str) -> Result<Part, Fault> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok(match word {
        "" => Part::Whole,
        "HEADER" => Part::Header,
        // The only part of a message of one part is its text.
        "TEXT" | "1" => Part::Text,
        "HEADER.FIELDS" | "HEADER.FIELDS.NOT" => {
            let names = rest.trim().strip_prefix('(').and_then(|names| names.strip_suffix(')'));
            let names = names.ok_or(Fault::Malformed)?.split_ascii_whitespace();
            let names = names.map(|name| name.trim_matches('"').to_owned()).collect();
            Part::Fields { names, but_these: word.ends_with(".NOT") }
        }
        part if part.starts_with(|first: char| first.is_ascii_digit()) => Part::Nothing,
        _ => return Err(Fault::Malformed),
    })
}

/// Sends the answer for one message.
pub(super) async fn send(
    connection: &mut Connection,
    number: usize,
    items: &[Item],
    message: &Message,
    recent: bool,
) -> io::Result<()> {
    connection.send(format!("* {number} FETCH (").as_bytes()).await?;
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            connection.send(b" ").await?;
        }
        let text = match item {
            Item::Content(content) => {
                send_content(connection, content, message).await?;
                continue;
            }
            Item::Flags => format!("FLAGS {}", flags(&message.flags, recent)).into_bytes(),
            Item::Uid => format!("UID {}", message.uid).into_bytes(),
            Item::InternalDate => {
                format!("INTERNALDATE \"{}\"", message.received.strftime("%d-%b-%Y %H:%M:%S +0000")).into_bytes()
            }
            Item::Size => format!("RFC822.SIZE {}", message.bytes.len()).into_bytes(),
            Item::Envelope => [b"ENVELOPE ".as_slice(), &envelope::envelope(&message.bytes)].concat(),
            Item::Structure(name) => [name.as_bytes(), b" ", &envelope::structure(&message.bytes)].concat(),
        };
        connection.send(&text).await?;
    }
    connection.send(b")\r\n").await
}

async fn send_content(connection: &mut Connection, content: &Content, message: &Message) -> io::Result<()> {
    if content.part == Part::Nothing {
        return connection.send(format!("{} NIL", content.name).as_bytes()).await;
    }
    let part = content.part.of(&message.bytes);
    let bytes = match content.partial {
        Some((first, count)) => {
            let first = first.min(part.len());
            &part[first..first.saturating_add(count).min(part.len())]
        }
        None => &part,
    };
    connection.send(format!("{} {{{}}}\r\n", content.name, bytes.len()).as_bytes()).await?;
    connection.send(bytes).await
}

impl Part {
    fn of<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if *self == Self::Whole {
            return Cow::Borrowed(bytes);
        }
        let (header, body) = message::split(bytes);
        match self {
            Self::Whole | Self::Nothing => Cow::Borrowed(b""),
            Self::Header => Cow::Borrowed(header),
            Self::Text => Cow::Borrowed(body),
            Self::Fields { names, but_these } => {
                let wanted = |field: &message::Field<'_>| names.iter().any(|name| field.is(name)) != *but_these;
                let fields = message::fields(header).into_iter().filter(wanted);
                let mut found: Vec<u8> = fields.flat_map(|field| field.raw).copied().collect();
                found.extend_from_slice(b"\r\n");
                Cow::Owned(found)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"From: a@b\r\nSubject: s\r\n\tt\r\nTo: c@d\r\n\r\nbody";

    fn of(text: &str) -> Vec<u8> {
        part(text).ok().unwrap().of(MESSAGE).into_owned()
    }

    #[test]
    fn parts_of_a_message() {
        assert_eq!(of(""), MESSAGE);
        assert_eq!(of("TEXT"), b"body");
        assert_eq!([of("HEADER"), of("TEXT")].concat(), MESSAGE);
        assert_eq!(of("HEADER.FIELDS (SUBJECT \"TO\" DATE)"), b"Subject: s\r\n\tt\r\nTo: c@d\r\n\r\n");
        assert_eq!(of("HEADER.FIELDS.NOT (SUBJECT)"), b"From: a@b\r\nTo: c@d\r\n\r\n");
        assert!(part("HEADER.FIELDS").is_err() && part("BODY").is_err());
    }
}
