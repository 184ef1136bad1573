//! Where the pages are. Names go into addresses as one segment each, whatever is in them.

use std::fmt::Write;

/// A name as one segment of a path, or as a value of a query: what is no letter, digit or one of `-_~` is encoded, and so is
/// what a browser would take for the folder above.
pub(super) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'@' | b'.' => {
                encoded.push(char::from(byte))
            }
            byte => {
                let _ = write!(encoded, "%{byte:02X}"); // a string takes all
            }
        }
    }
    encoded
}

/// The page of a noun's item: `/console/accounts/alice@example.com`.
pub(super) fn item(noun: &str, name: &str) -> String {
    format!("{}/{noun}/{}", super::ROOT, encode(name))
}

/// Where somebody may be sent after signing in: a page of the console and nothing else, so that a link to the sign-in page
/// cannot lead out.
pub(super) fn own(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(super::ROOT)?;
    let is_below = rest.is_empty() || rest.starts_with('/') || rest.starts_with('?');
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (is_below && is_plain && !rest.starts_with("//")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_whatever_it_holds() {
        assert_eq!(item("accounts", "alice@example.com"), "/console/accounts/alice@example.com");
        assert_eq!(item("accounts", "</a>?#&%\u{e9}"), "/console/accounts/%3C%2Fa%3E%3F%23%26%25%C3%A9");
        assert_eq!(encode("a b&c=d"), "a%20b%26c%3Dd");
    }

    #[test]
    fn nobody_is_sent_out_of_the_console() {
        assert_eq!(own("/console/accounts?after=a"), Some("/console/accounts?after=a"));
        for path in
            ["https://evil.test", "//evil.test", "/console//evil.test", "/consoles", "/console\r\nx: y", "/console/\\x"]
        {
            assert_eq!(own(path), None, "{path:?}");
        }
    }
}
