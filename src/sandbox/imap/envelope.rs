//! ENVELOPE and BODYSTRUCTURE (RFC 3501 section 7.4.2). Every message is described as one part, whatever it says of
//! itself: the sandbox takes no MIME apart.

use crate::sandbox::connection::line_length;
use crate::sandbox::message;

/// The ENVELOPE of a message.
pub(super) fn envelope(bytes: &[u8]) -> Vec<u8> {
    let (header, _) = message::split(bytes);
    let value = |name| message::value(header, name);
    let from = addresses(value("From"));
    let or_from = |name| match addresses(value(name)) {
        list if list == b"NIL" => from.clone(),
        list => list,
    };
    let parts = [
        nstring(value("Date").as_deref()),
        nstring(value("Subject").as_deref()),
        from.clone(),
        or_from("Sender"),
        or_from("Reply-To"),
        addresses(value("To")),
        addresses(value("Cc")),
        addresses(value("Bcc")),
        nstring(value("In-Reply-To").as_deref()),
        nstring(value("Message-ID").as_deref()),
    ];
    [b"(".as_slice(), &parts.join(b" ".as_slice()), b")"].concat()
}

/// The body structure of a message: text with its lines, or a part of the type it names. A multipart is shown as the
/// text that it is on the wire.
pub(super) fn structure(bytes: &[u8]) -> Vec<u8> {
    let (header, body) = message::split(bytes);
    let content_type = message::value(header, "Content-Type").unwrap_or_default();
    let content_type = String::from_utf8_lossy(&content_type).into_owned();
    let (full, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
    let encoding = message::value(header, "Content-Transfer-Encoding").unwrap_or_else(|| b"7BIT".to_vec());
    let (kind, subkind) = match full.trim().to_ascii_uppercase().split_once('/') {
        Some((kind, subkind)) if !matches!(kind, "MULTIPART" | "MESSAGE") => (kind.to_owned(), subkind.to_owned()),
        _ => ("TEXT".to_owned(), "PLAIN".to_owned()),
    };
    let charset = parameters.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    let charset = charset.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    let parameters = match charset {
        Some((_, charset)) => {
            [b"(\"CHARSET\" ".as_slice(), &nstring(Some(charset.trim_matches('"').as_bytes())), b")"].concat()
        }
        None if kind == "TEXT" => b"(\"CHARSET\" \"us-ascii\")".to_vec(),
        None => b"NIL".to_vec(),
    };
    let mut parts = vec![
        nstring(Some(kind.as_bytes())),
        nstring(Some(subkind.as_bytes())),
        parameters,
        b"NIL".to_vec(),
        b"NIL".to_vec(),
        nstring(Some(&encoding)),
        body.len().to_string().into_bytes(),
    ];
    if kind == "TEXT" {
        parts.push(lines(body).to_string().into_bytes());
    }
    [b"(".as_slice(), &parts.join(b" ".as_slice()), b")"].concat()
}

fn lines(mut body: &[u8]) -> usize {
    let mut lines = 0;
    while let Some(length) = line_length(body) {
        lines += 1;
        body = &body[length..];
    }
    lines + usize::from(!body.is_empty())
}

/// A quoted string where its characters allow it, a literal else; NIL where there is none.
fn nstring(text: Option<&[u8]>) -> Vec<u8> {
    match text {
        None => b"NIL".to_vec(),
        Some(text) if text.iter().all(|byte| (b' '..0x7F).contains(byte)) => {
            let mut quoted = vec![b'"'];
            for &byte in text {
                if matches!(byte, b'"' | b'\\') {
                    quoted.push(b'\\');
                }
                quoted.push(byte);
            }
            quoted.push(b'"');
            quoted
        }
        Some(text) => [format!("{{{}}}\r\n", text.len()).as_bytes(), text].concat(),
    }
}

fn addresses(value: Option<Vec<u8>>) -> Vec<u8> {
    let list: Vec<Vec<u8>> = value.iter().flat_map(|value| split_list(value)).filter_map(address).collect();
    if list.is_empty() { b"NIL".to_vec() } else { [b"(".as_slice(), &list.concat(), b")"].concat() }
}

/// Splits at commas that stand neither in quotation marks nor in brackets.
fn split_list(value: &[u8]) -> Vec<&[u8]> {
    let (mut quoted, mut depth, mut escaped) = (false, 0_usize, false);
    let separates = |&byte: &u8| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'<' | b'(' if !quoted => depth += 1,
            b'>' | b')' if !quoted => depth = depth.saturating_sub(1),
            b',' => return !quoted && depth == 0,
            _ => {}
        }
        false
    };
    value.split(separates).collect()
}

/// `Name <local@host>`, `local@host (Name)` or `local@host`.
fn address(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    let position = |wanted: u8| text.iter().rposition(|&byte| byte == wanted);
    let (name, spec) = match (position(b'<'), position(b'(')) {
        (Some(open), _) => {
            let spec = &text[open + 1..];
            (&text[..open], spec.strip_suffix(b">").unwrap_or(spec))
        }
        (None, Some(open)) => {
            let name = &text[open + 1..];
            (name.strip_suffix(b")").unwrap_or(name), &text[..open])
        }
        (None, None) => (b"".as_slice(), text),
    };
    let spec = spec.trim_ascii();
    if spec.is_empty() {
        return None;
    }
    let (local, host) = match spec.iter().rposition(|&byte| byte == b'@') {
        Some(at) => (&spec[..at], &spec[at + 1..]),
        None => (spec, b"".as_slice()),
    };
    let name = name.trim_ascii();
    let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
    let name: Vec<u8> = name.iter().copied().filter(|&byte| byte != b'\\').collect();
    let name = nstring((!name.is_empty()).then_some(name.as_slice()));
    Some([b"(".as_slice(), &name, b" NIL ", &nstring(Some(local)), b" ", &nstring(Some(host)), b")"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_envelope() {
        let message = b"Date: Mon, 1 Jun 2026 10:00:00 +0000\r\nSubject: a \"b\"\r\nFrom: \"Doe, J.\" <j@x.org>\r\n\
            To: k@y.org (Kim), <l@z.org>\r\nMessage-ID: <1@x>\r\n\r\nhi";
        assert_eq!(
            text(envelope(message)),
            "(\"Mon, 1 Jun 2026 10:00:00 +0000\" \"a \\\"b\\\"\" \
             ((\"Doe, J.\" NIL \"j\" \"x.org\")) ((\"Doe, J.\" NIL \"j\" \"x.org\")) ((\"Doe, J.\" NIL \"j\" \"x.org\")) \
             ((\"Kim\" NIL \"k\" \"y.org\")(NIL NIL \"l\" \"z.org\")) NIL NIL NIL \"<1@x>\")"
        );
        assert_eq!(text(envelope(b"\r\n")), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
        assert!(text(envelope("Subject: ü\r\n\r\n".as_bytes().to_vec().as_slice())).contains(" {2}\r\nü "));
    }

    #[test]
    fn structures() {
        let plain = b"Content-Type: text/html; charset=\"utf-8\"\r\n\r\na\r\nb";
        assert_eq!(text(structure(plain)), "(\"TEXT\" \"HTML\" (\"CHARSET\" \"utf-8\") NIL NIL \"7BIT\" 4 2)");
        let scan = b"Content-Type: application/pdf; name=x\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n";
        assert_eq!(text(structure(scan)), "(\"APPLICATION\" \"PDF\" NIL NIL NIL \"base64\" 6)");
        assert!(text(structure(b"Content-Type: multipart/mixed\r\n\r\n")).starts_with("(\"TEXT\" \"PLAIN\""));
    }
}
