//! POP3 capabilities (RFC 2449 section 6): what a provider offers, and what a listener may offer before it knows the
//! provider. It must never let one through that is about login or TLS: those are each side's own.

/// Capabilities that mean the same through a relay. LANG and UTF8 do not: they would have to be told before login.
const PASSED_ON: [&str; 5] = ["TOP", "UIDL", "PIPELINING", "EXPIRE", "LOGIN-DELAY"];

/// What a provider offers in its answer to CAPA.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// All capabilities with their arguments.
    pub(super) keywords: Vec<String>,
}

impl Offer {
    /// Takes one line of the answer. Lines that are not ASCII are none of the standard's.
    pub(super) fn take_line(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        if !line.is_empty() && line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            self.keywords.push(line.iter().copied().map(char::from).collect());
        }
    }

    pub(super) fn has(&self, keyword: &str) -> bool {
        arguments_of(keyword, &self.keywords).is_some()
    }

    /// The SASL mechanisms by name.
    pub(super) fn mechanisms(&self) -> &str {
        arguments_of("SASL", &self.keywords).unwrap_or_default()
    }
}

/// The capabilities that are in every list and can be kept through a relay, in a fixed order. A number (how long
/// messages stay, how often to log in) is only shown where it holds for all.
pub(in crate::proto) fn shared_keywords(lists: &[Vec<String>]) -> Vec<String> {
    let shared = PASSED_ON.iter().filter_map(|keyword| {
        let arguments: Vec<&str> = lists.iter().map(|list| arguments_of(keyword, list)).collect::<Option<_>>()?;
        let (first, others) = arguments.split_first()?;
        let agreed = others.iter().all(|other| other.eq_ignore_ascii_case(first));
        match *keyword {
            "EXPIRE" | "LOGIN-DELAY" => (agreed && is_plain(first)).then(|| format!("{keyword} {first}")),
            _ => Some((*keyword).to_owned()),
        }
    });
    shared.collect()
}

/// A number or a word or two (RFC 2449 sections 6.5 and 6.7): they stand before strangers.
fn is_plain(arguments: &str) -> bool {
    const BYTES_MAX: usize = 32;
    arguments.len() <= BYTES_MAX && arguments.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
}

fn arguments_of<'a>(keyword: &str, list: &'a [String]) -> Option<&'a str> {
    list.iter().find_map(|line| {
        let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
        name.eq_ignore_ascii_case(keyword).then(|| arguments.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &str) -> Vec<String> {
        words.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn exchange_online_and_gmail_share_this() {
        let exchange = list("TOP,UIDL,SASL PLAIN XOAUTH2,USER");
        let gmail = list("USER,RESP-CODES,EXPIRE 0,LOGIN-DELAY 300,TOP,UIDL,X-GOOGLE-RICO,SASL PLAIN XOAUTH2");
        assert_eq!(shared_keywords(&[exchange, gmail.clone()]), ["TOP", "UIDL"]);
        assert_eq!(shared_keywords(&[gmail]), ["TOP", "UIDL", "EXPIRE 0", "LOGIN-DELAY 300"]);
        assert!(shared_keywords(&[]).is_empty(), "nothing is known of no upstream");
    }

    #[test]
    fn numbers_must_agree() {
        let delays = [list("top,login-delay 300"), list("TOP,LOGIN-DELAY 60")];
        assert_eq!(shared_keywords(&delays), ["TOP"]);
        assert_eq!(shared_keywords(&[list("EXPIRE NEVER"), list("expire never")]), ["EXPIRE NEVER"]);
    }

    #[test]
    fn odd_lines_are_left_out() {
        let mut offer = Offer::default();
        for line in [b"sasl PLAIN LOGIN ".as_slice(), b"", b"X-\xff", b"USER\x1b"] {
            offer.take_line(line);
        }
        assert_eq!((offer.mechanisms(), offer.has("USER"), offer.keywords.len()), ("PLAIN LOGIN", false, 1));
    }
}
