//! What a provider's line says. The grammar of its head is `imap-proto`'s; text and response code are taken out here,
//! because `imap-proto` knows few codes, takes Exchange Online's bracketed server name for none, and must not be given
//! a whole line at all:
//!
//! **Invariant:** `imap-proto` never sees more than two words. Given a whole line it can be made to panic (a character
//! beyond ASCII right behind a response code) and to overflow the stack, which kills the process (a thousand opening
//! brackets in a BODYSTRUCTURE). Before login no reply that matters has such parts.

use imap_proto::Response;
pub(super) use imap_proto::Status;

/// One line of a provider, read as far as it matters before login.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    /// It asks for more; the text is a challenge in base64, or words for people.
    Continue(&'a [u8]),
    /// The end of a command.
    Tagged { tag: String, condition: Condition<'a> },
    /// A condition that belongs to no command: the greeting, BYE, news.
    Untagged(Condition<'a>),
    /// An untagged list of capabilities.
    Capabilities(Vec<String>),
    /// Any other line.
    Other,
}

/// OK, NO, BAD, PREAUTH or BYE, and what is said with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Condition<'a> {
    pub(super) status: Status,
    /// The whole of it, for the operator: status, code and text.
    pub(super) said: &'a [u8],
    /// The list in a `[CAPABILITY …]` code.
    pub(super) capabilities: Option<Vec<String>>,
}

/// Reads one line, without its line end.
pub(super) fn read(line: &[u8]) -> Reply<'_> {
    // Some servers leave out the blank behind the plus sign.
    if let Some(challenge) = line.strip_prefix(b"+") {
        return Reply::Continue(challenge.trim_ascii());
    }
    let (first, said) = split_word(line);
    let (second, text) = split_word(said);
    if first == b"*" && second.eq_ignore_ascii_case(b"CAPABILITY") {
        return Reply::Capabilities(words(text));
    }
    let condition = |status| Condition { status, said, capabilities: capability_code(text) };
    match Response::parse(&[first, b" ", second, b"\r\n"].concat()) {
        Ok((_, Response::Data { status, .. })) => Reply::Untagged(condition(status)),
        Ok((_, Response::Done { tag, status, .. })) => Reply::Tagged { tag: tag.0, condition: condition(status) },
        _ => Reply::Other,
    }
}

/// A response code stands at the very beginning of the text; brackets elsewhere are text.
fn capability_code(text: &[u8]) -> Option<Vec<String>> {
    let inner = text.strip_prefix(b"[")?;
    let end = inner.iter().position(|&byte| byte == b']')?;
    let (name, list) = split_word(&inner[..end]);
    name.eq_ignore_ascii_case(b"CAPABILITY").then(|| words(list))
}

/// The words of a list. They go to clients and logs, so anything that is not printable ASCII is left out.
fn words(list: &[u8]) -> Vec<String> {
    list.split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty() && word.iter().all(u8::is_ascii_graphic))
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == b' ') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn untagged(line: &str) -> (Status, Option<Vec<String>>) {
        match read(line.as_bytes()) {
            Reply::Untagged(condition) => (condition.status, condition.capabilities),
            other => panic!("{line} is {other:?}"),
        }
    }

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn conditions_are_read_with_their_code() {
        let line = b"L1 NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)";
        let said: &[u8] = b"NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)";
        let condition = Condition { status: Status::No, said, capabilities: None };
        assert_eq!(read(line), Reply::Tagged { tag: "L1".into(), condition });
        let greeting = untagged("* OK [CAPABILITY IMAP4rev1 SASL-IR  AUTH=PLAIN ] ready");
        assert_eq!(greeting, (Status::Ok, Some(list(&["IMAP4rev1", "SASL-IR", "AUTH=PLAIN"]))));
        assert_eq!(untagged("* ok [capability IMAP4rev2]"), (Status::Ok, Some(list(&["IMAP4rev2"]))));
        assert_eq!(untagged("* BYE").0, Status::Bye);
        assert_eq!(untagged("* PREAUTH hello").0, Status::PreAuth);
    }

    #[test]
    fn brackets_that_are_no_code_are_text() {
        for line in [
            "* OK The Microsoft Exchange IMAP4 service is ready. [TQBPAEMASwA=]",
            "* OK [TQBPAEMASwA=] ready",
            "* OK ready [CAPABILITY IMAP4rev1]",
            "* OK [CAPABILITY IMAP4rev1",
        ] {
            assert_eq!(untagged(line), (Status::Ok, None), "{line}");
        }
    }

    #[test]
    fn lists_are_taken_as_they_are() {
        assert_eq!(
            read(b"* CAPABILITY IMAP4  X-A* AUTH=PLAIN"),
            Reply::Capabilities(list(&["IMAP4", "X-A*", "AUTH=PLAIN"]))
        );
        assert_eq!(read(b"* capability"), Reply::Capabilities(Vec::new()));
        assert_eq!(read(b"* CAPABILITY A\x07B \xc3\xa9 OK"), Reply::Capabilities(list(&["OK"])));
    }

    #[test]
    fn continuations_need_no_blank() {
        assert_eq!(read(b"+ "), Reply::Continue(b""));
        assert_eq!(read(b"+"), Reply::Continue(b""));
        assert_eq!(read(b"+ VXNlcm5hbWU6"), Reply::Continue(b"VXNlcm5hbWU6"));
    }

    #[test]
    fn lines_that_a_parser_could_choke_on_do_no_harm() {
        let deep = [b"* 1 FETCH (BODYSTRUCTURE ".as_slice(), &[b'('; 16_000]].concat();
        assert_eq!(read(&deep), Reply::Other);
        assert_eq!(untagged("* OK [ALERT]\u{e9}a").0, Status::Ok);
        for line in [b"".as_slice(), b" ", b"*", b"* ", b"L1", b"L1 ", b"L1 OKAY x", b"* 5 EXISTS", b"\xff\xfe \x80"] {
            assert_eq!(read(line), Reply::Other, "{line:?}");
        }
    }

    #[test]
    fn imap_proto_agrees_about_plain_lines() {
        for line in ["* OK hello", "* BYE [ALERT] gone", "L1 NO LOGIN failed.", "L1 BAD Command Argument Error. 11"] {
            let whole = format!("{line}\r\n");
            match (Response::parse(whole.as_bytes()).unwrap().1, read(line.as_bytes())) {
                (Response::Data { status, .. }, Reply::Untagged(ours)) => assert_eq!(status, ours.status),
                (Response::Done { tag: theirs, status, .. }, Reply::Tagged { tag, condition }) => {
                    assert_eq!((theirs.0, status), (tag, condition.status));
                }
                (theirs, ours) => panic!("{line}: {theirs:?} but {ours:?}"),
            }
        }
    }
}
