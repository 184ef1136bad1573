//! What a client may say before login: a small grammar, read by hand, forgiving where clients are sloppy and nowhere
//! else. It must never look past what it was given, allocate by a number from the wire, or panic.

use zeroize::Zeroizing;

use crate::model::Secret;
use crate::sasl::PART_BYTES_MAX;

/// A tag longer than this is garbage: clients send four to ten octets.
const TAG_BYTES_MAX: usize = 128;

/// Commands that RFC 3501, RFC 9051 and common extensions know once somebody is logged in.
const AFTER_LOGIN: [&str; 25] = [
    "APPEND",
    "CHECK",
    "CLOSE",
    "COMPRESS",
    "COPY",
    "CREATE",
    "DELETE",
    "ENABLE",
    "EXAMINE",
    "EXPUNGE",
    "FETCH",
    "IDLE",
    "LIST",
    "LSUB",
    "MOVE",
    "NAMESPACE",
    "RENAME",
    "SEARCH",
    "SELECT",
    "STATUS",
    "STORE",
    "SUBSCRIBE",
    "UID",
    "UNSELECT",
    "UNSUBSCRIBE",
];

/// A command, with its arguments still unread.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    Capability,
    Noop,
    Logout,
    Id,
    StartTls,
    Login(&'a [u8]),
    Authenticate(&'a [u8]),
    /// One that needs a login first.
    AfterLogin,
    Unknown,
}

/// Reads the tag and the command of a line; no tag if the line has none that could be sent back.
pub(super) fn parse(text: &[u8]) -> (Option<&str>, Command<'_>) {
    let (tag, rest) = next_word(text);
    let Some(tag) = std::str::from_utf8(tag).ok().filter(|tag| is_tag(tag)) else {
        return (None, Command::Unknown);
    };
    let (verb, arguments) = next_word(rest);
    let is = |name: &str| verb.eq_ignore_ascii_case(name.as_bytes());
    let command = match () {
        () if is("CAPABILITY") => Command::Capability,
        () if is("NOOP") => Command::Noop,
        () if is("LOGOUT") => Command::Logout,
        () if is("ID") => Command::Id,
        () if is("STARTTLS") => Command::StartTls,
        () if is("LOGIN") => Command::Login(arguments),
        () if is("AUTHENTICATE") => Command::Authenticate(arguments),
        () if AFTER_LOGIN.iter().any(|name| is(name)) => Command::AfterLogin,
        () => Command::Unknown,
    };
    (Some(tag), command)
}

/// The mechanism's name and the initial response of AUTHENTICATE. Either may stand in quotes, as some clients send it.
pub(super) fn authenticate_arguments(arguments: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let (mechanism, rest) = next_word(arguments);
    let (initial_response, rest) = next_word(rest);
    if mechanism.is_empty() || !rest.is_empty() {
        return None;
    }
    Some((unquoted(mechanism), (!initial_response.is_empty()).then(|| unquoted(initial_response))))
}

/// The two arguments of LOGIN, as they come in: text, then perhaps a literal, then text again.
#[derive(Debug, Default)]
pub(super) struct LoginArguments {
    found: Vec<Secret>,
    malformed: bool,
}

impl LoginArguments {
    /// Takes the text behind the word LOGIN.
    pub(super) fn begin(text: &[u8], literal_follows: bool) -> Self {
        let mut arguments = Self::default();
        arguments.read(text, literal_follows);
        arguments
    }

    /// Takes a literal.
    pub(super) fn literal(&mut self, mut bytes: Zeroizing<Vec<u8>>) {
        self.push(Secret::new(std::mem::take(&mut *bytes)));
    }

    /// Takes the text behind a literal.
    pub(super) fn text(&mut self, text: &[u8], literal_follows: bool) {
        if text.first().is_some_and(|&byte| byte != b' ') {
            self.malformed = true;
        }
        self.read(text, literal_follows);
    }

    /// Whether nothing that may still come can make a LOGIN of it.
    pub(super) fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// Name and password, if there are exactly these two.
    pub(super) fn finish(self) -> Option<(Secret, Secret)> {
        let [name, password] = <[Secret; 2]>::try_from(self.found).ok()?;
        (!self.malformed && !name.is_empty()).then_some((name, password))
    }

    fn read(&mut self, text: &[u8], literal_follows: bool) {
        let mut left = skip_blanks(text);
        while let Some(first) = left.first() {
            let (argument, rest) = match first {
                b'"' => match quoted(left) {
                    Some(found) => found,
                    None => return self.malformed = true,
                },
                _ => {
                    let (word, rest) = next_word(left);
                    (Secret::new(word), rest)
                }
            };
            self.push(argument);
            left = skip_blanks(rest);
        }
        if literal_follows && (self.found.len() >= 2 || text.last().is_some_and(|&byte| byte != b' ')) {
            self.malformed = true;
        }
    }

    fn push(&mut self, argument: Secret) {
        let bytes = argument.expose();
        if self.found.len() >= 2 || bytes.len() > PART_BYTES_MAX || bytes.contains(&0) {
            self.malformed = true;
        } else {
            self.found.push(argument);
        }
    }
}

/// A quoted string, and what is behind it. A backslash quotes only itself and the quotation mark; before anything else
/// it stands for itself, since clients send `"DOMAIN\user"` as people type it.
fn quoted(text: &[u8]) -> Option<(Secret, &[u8])> {
    // Built at its full length, so that no half-grown copy of a password stays behind.
    let mut value = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut at = 1;
    loop {
        match (*text.get(at)?, text.get(at + 1)) {
            (b'"', None | Some(b' ')) => break,
            (b'"', Some(_)) => return None,
            (b'\\', Some(&escaped @ (b'"' | b'\\'))) => {
                value.push(escaped);
                at += 2;
            }
            (byte, _) => {
                value.push(byte);
                at += 1;
            }
        }
    }
    Some((Secret::new(std::mem::take(&mut *value)), &text[at + 1..]))
}

/// The characters of RFC 3501's tag and the odd ones that clients use; it is sent back, so nothing that could break or
/// begin a line of its own.
fn is_tag(tag: &str) -> bool {
    (1..=TAG_BYTES_MAX).contains(&tag.len())
        && tag != "*"
        && !tag.starts_with('+')
        && tag.bytes().all(|byte| byte.is_ascii_graphic() && !b"(){\"".contains(&byte))
}

/// The next word, and what is behind it without the blanks in between.
fn next_word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = skip_blanks(text);
    let end = text.iter().position(|&byte| byte == b' ').unwrap_or(text.len());
    (&text[..end], skip_blanks(&text[end..]))
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|&&byte| byte == b' ').count()..]
}

fn unquoted(word: &[u8]) -> &[u8] {
    word.strip_prefix(b"\"").and_then(|word| word.strip_suffix(b"\"")).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let (name, password) = LoginArguments::begin(text, false).finish()?;
        Some((name.expose().to_vec(), password.expose().to_vec()))
    }

    fn pair(name: &[u8], password: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        Some((name.to_vec(), password.to_vec()))
    }

    #[test]
    fn tag_and_command_are_told_apart() {
        assert_eq!(parse(b"a1 NOOP"), (Some("a1"), Command::Noop));
        assert_eq!(parse(b"  a1   noop  "), (Some("a1"), Command::Noop));
        assert_eq!(parse(b"A.1-b]% Capability"), (Some("A.1-b]%"), Command::Capability));
        assert_eq!(parse(b"a LOGIN u p"), (Some("a"), Command::Login(b"u p")));
        assert_eq!(parse(b"a uid FETCH 1 (FLAGS)"), (Some("a"), Command::AfterLogin));
        assert_eq!(parse(b"a"), (Some("a"), Command::Unknown));
        assert_eq!(parse(b"GET / HTTP/1.1"), (Some("GET"), Command::Unknown));
    }

    #[test]
    fn what_could_not_be_sent_back_is_no_tag() {
        let long = [b'x'; TAG_BYTES_MAX + 1];
        for line in [b"".as_slice(), b"   ", b"* NOOP", b"+ NOOP", b"\x16\x03\x01 x", b"\xe4 NOOP", b"(a NOOP", &long] {
            assert_eq!(parse(line), (None, Command::Unknown), "{line:?}");
        }
    }

    #[test]
    fn login_arguments_may_be_sloppy() {
        assert_eq!(login(b"user pass"), pair(b"user", b"pass"));
        assert_eq!(login(b"  user   pass  "), pair(b"user", b"pass"));
        assert_eq!(login(b"DOMAIN\\user pa%ss"), pair(b"DOMAIN\\user", b"pa%ss"));
        assert_eq!(login(b"user pa(ss"), pair(b"user", b"pa(ss"));
        assert_eq!(login(b"user pa\"ss"), pair(b"user", b"pa\"ss"));
        assert_eq!(login(b"us\xe9r p\xc3\xa4ss"), pair(b"us\xe9r", b"p\xc3\xa4ss"));
        assert_eq!(login(b"\"DOMAIN\\user\" \"a \\\"b\\\" \\\\c\""), pair(b"DOMAIN\\user", b"a \"b\" \\c"));
        assert_eq!(login(b"\"\xfcser\" \"\""), pair(b"\xfcser", b""));
    }

    #[test]
    fn what_is_not_two_arguments_is_no_login() {
        for line in [
            b"".as_slice(),
            b"user",
            b"a b c",
            b"user \"pass",
            b"user \"pa\\\"",
            b"user \"pass\"x",
            b"\"\" pass",
            b"user \"",
            b"user p\0ss",
        ] {
            assert_eq!(login(line), None, "{line:?}");
        }
        let long = [b"user ".as_slice(), &[b'x'; PART_BYTES_MAX + 1]].concat();
        assert_eq!(login(&long), None);
    }

    #[test]
    fn literals_stand_between_blanks() {
        let literal = || Zeroizing::new(b"l i".to_vec());
        let mut both = LoginArguments::begin(b"", true);
        both.literal(literal());
        both.text(b" ", true);
        both.literal(literal());
        both.text(b"", false);
        let (name, password) = both.finish().unwrap();
        assert_eq!((name.expose(), password.expose()), (b"l i".as_slice(), b"l i".as_slice()));

        let mut glued = LoginArguments::begin(b"", true);
        glued.literal(literal());
        glued.text(b"pass", false);
        assert!(glued.is_malformed());
        assert!(LoginArguments::begin(b"user", true).is_malformed(), "no blank before the mark");
        assert!(LoginArguments::begin(b"a b ", true).is_malformed(), "a third argument");
    }

    #[test]
    fn authenticate_takes_quotes() {
        assert_eq!(authenticate_arguments(b"PLAIN"), Some((b"PLAIN".as_slice(), None)));
        assert_eq!(
            authenticate_arguments(b"\"PLAIN\" AGEAYg=="),
            Some((b"PLAIN".as_slice(), Some(b"AGEAYg==".as_slice())))
        );
        assert_eq!(authenticate_arguments(b"plain  = "), Some((b"plain".as_slice(), Some(b"=".as_slice()))));
        assert_eq!(authenticate_arguments(b""), None);
        assert_eq!(authenticate_arguments(b"PLAIN a b"), None);
    }

    #[test]
    fn debug_shows_no_argument() {
        assert!(!format!("{:?}", LoginArguments::begin(b"scan geheim", false)).contains("geheim"));
    }
}
