//! The sender that a MAIL command names (RFC 5321 section 4.1.2, with what devices leave out). It must never find another
//! one in a command than an upstream would: what could be read in two ways is not read at all.

/// Whom MAIL names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// `<>`: bounces and notifications, which nobody is to answer.
    Nobody,
    /// An address; its local part without quotes where it needs none.
    Address(String),
}

/// The sender in what stands behind the word MAIL; `None` if that cannot be read in one way alone.
pub(super) fn sender(arguments: &[u8]) -> Option<Sender> {
    /// Its small letter is an ASCII one: no pattern is to match it.
    const KELVIN: char = '\u{212a}';
    let text = std::str::from_utf8(arguments).ok()?;
    if text.chars().any(|c| c.is_control() || c == KELVIN) {
        return None;
    }
    let (word, rest) = text.split_at_checked("FROM:".len())?;
    if !word.eq_ignore_ascii_case("FROM:") {
        return None;
    }
    let rest = rest.trim_start_matches(' ');
    let Some(rest) = rest.strip_prefix('<') else {
        let (path, parameters) = rest.split_once(' ').unwrap_or((rest, ""));
        return if are_plain(parameters) { mailbox(path) } else { None };
    };
    let end = closing_bracket(rest)?;
    let (path, behind) = (&rest[..end], &rest[end + 1..]);
    match path {
        _ if !are_plain(behind) || !(behind.is_empty() || behind.starts_with(' ')) => None,
        "" => Some(Sender::Nobody),
        path => mailbox(without_route(path)?),
    }
}

/// Some servers take whatever stands in brackets for the sender, wherever that is. Only `AUTH=<>` (RFC 4954 section 5) has
/// any among parameters.
fn are_plain(parameters: &str) -> bool {
    parameters.split(' ').all(|word| word.eq_ignore_ascii_case("AUTH=<>") || !word.contains(['<', '>']))
}

/// Where the bracket is closed: not within quotes.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.bytes().position(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ => return byte == b'>' && !is_quoted,
        }
        false
    })
}

/// `@relay.test,@other.test:alice@contoso.com` is alice (RFC 5321 appendix C: a source route is taken and ignored).
fn without_route(path: &str) -> Option<&str> {
    if !path.starts_with('@') {
        return Some(path);
    }
    let (route, mailbox) = path.split_once(':')?;
    let is_hop = |hop: &str| hop.strip_prefix('@').is_some_and(is_domain);
    route.split(',').all(is_hop).then_some(mailbox)
}

fn mailbox(text: &str) -> Option<Sender> {
    let (local, domain) = match text.strip_prefix('"') {
        Some(quoted) => {
            let (plain, behind) = unquote(quoted)?;
            let quoted = &text[..text.len() - behind.len()];
            // As it stands where the quotes matter: then its blanks and signs are no pattern's.
            let local = if is_dot_string(&plain) { plain } else { quoted.to_owned() };
            (local, behind.strip_prefix('@')?)
        }
        None => {
            let (local, domain) = text.split_once('@')?;
            (is_dot_string(local).then(|| local.to_owned())?, domain)
        }
    };
    let is_literal = |text: &str| {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        inner.is_some_and(|inner| inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-".contains(&byte)))
    };
    (is_domain(domain) || is_literal(domain)).then(|| Sender::Address(format!("{local}@{domain}")))
}

/// What stands in the quotes, and what behind them.
fn unquote(text: &str) -> Option<(String, &str)> {
    let (mut plain, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((plain, &text[at + 1..])),
            '\\' => plain.push(chars.next()?.1),
            c => plain.push(c),
        }
    }
    None
}

/// Atoms and dots, in any order: devices have both at the ends. With SMTPUTF8 (RFC 6531) all beyond ASCII is one too.
fn is_dot_string(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c) || is_beyond_ascii(c))
}

fn is_domain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c) || is_beyond_ascii(c))
}

fn is_beyond_ascii(c: char) -> bool {
    !c.is_ascii() && !c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_one_sender() {
        for line in [
            "FROM:<scans@contoso.com>",
            "from:<scans@contoso.com> SIZE=1024 BODY=8BITMIME",
            "From:   <scans@contoso.com> AUTH=<>",
            "FROM:scans@contoso.com",
            "FROM: scans@contoso.com SIZE=1",
            "FROM:<@relay.test,@b.test:scans@contoso.com>",
            "FROM:<\"scans\"@contoso.com>",
            "FROM:<\"s\\cans\"@contoso.com>",
        ] {
            assert_eq!(sender(line.as_bytes()), Some(Sender::Address("scans@contoso.com".into())), "{line}");
        }
        assert_eq!(sender(b"FROM:<> SIZE=7"), Some(Sender::Nobody));
        for (line, address) in [
            ("FROM:<jos\u{e9}@contoso.com> SMTPUTF8", "jos\u{e9}@contoso.com"),
            ("FROM:<\"a b>@x\"@contoso.com>", "\"a b>@x\"@contoso.com"),
            ("FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]"),
        ] {
            assert_eq!(sender(line.as_bytes()), Some(Sender::Address(address.into())), "{line}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        for line in [
            "",
            "FROM",
            "FROM <a@b.test>",
            "FROM :<a@b.test>",
            "TO:<a@b.test>",
            "FROM:",
            "FROM:<a@b.test",
            "FROM:<a@b.test>x",
            "FROM:<a@b.test><c@d.test>",
            "FROM:a@b.test <c@d.test>",
            "FROM:<a@b.test> <c@d.test>",
            "FROM:<a@b.test> AUTH=<c@d.test>",
            "FROM:Name <a@b.test>",
            "FROM:<a@b.test@c.test>",
            "FROM:<a@b.test,@x.test:c@d.test>",
            "FROM:<@x.test>",
            "FROM:<@:a@b.test>",
            "FROM:< a@b.test >",
            "FROM:<a b@c.test>",
            "FROM:<a(b)@c.test>",
            "FROM:<\"a@b.test>",
            "FROM:<\"a\"b@c.test>",
            "FROM:<a@b.test\u{7}>",
            "FROM:\t<a@b.test>",
            "FROM:<\u{212a}@b.test>",
            "FROM:<a@>",
            "FROM:<a>",
        ] {
            assert_eq!(sender(line.as_bytes()), None, "{line:?}");
        }
        assert_eq!(sender(b"FROM:<\xff@b.test>"), None);
    }
}
