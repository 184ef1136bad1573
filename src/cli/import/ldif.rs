//! LDIF (RFC 2849), as directories export it: entries with folded lines, values in base64, comments. Only content is read;
//! a file of changes is none. It must never quote what stands in a file: that may be a secret.

use data_encoding::BASE64;

/// One entry.
#[derive(Debug)]
pub(in crate::cli) struct Entry {
    /// The line that it begins on.
    pub(in crate::cli) line: u64,
    values: Vec<Value>,
}

#[derive(Debug)]
struct Value {
    line: u64,
    /// In small letters, without options such as `;lang-de`.
    attribute: String,
    bytes: Vec<u8>,
}

/// Whether a file looks like LDIF.
pub(in crate::cli) fn is_ldif(bytes: &[u8]) -> bool {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let first = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b" "));
    first.is_some_and(|line| [&b"version:"[..], b"dn:"].iter().any(|begin| begins(line, begin)))
}

/// The entries; with each line that cannot be read, why. The line `version: 1` is no entry.
pub(in crate::cli) fn entries(bytes: &[u8]) -> (Vec<Entry>, Vec<(u64, String)>) {
    let (mut entries, mut bad) = (Vec::<Entry>::new(), Vec::new());
    let mut is_open = false;
    for (line, text) in unfolded(bytes) {
        if text.is_empty() {
            is_open = false;
            continue;
        }
        let value = match value(line, &text) {
            Ok(value) => value,
            Err(why) => {
                bad.push((line, why));
                continue;
            }
        };
        match (value.attribute.as_str(), is_open) {
            ("version", false) => {}
            ("dn", _) => {
                is_open = true;
                entries.push(Entry { line, values: Vec::new() });
            }
            ("changetype", true) if value.bytes != b"add" => {
                bad.push((line, "it is a change, and no entry: let the directory be exported as it is".to_owned()));
            }
            (_, true) => entries.last_mut().expect("one was pushed when it was opened").values.push(value),
            (_, false) => bad.push((line, "an entry begins with its dn".to_owned())),
        }
    }
    (entries, bad)
}

impl Entry {
    /// The values of an attribute that are text, each with its line.
    ///
    /// # Errors
    /// If one is not.
    pub(in crate::cli) fn texts(&self, attribute: &str) -> Result<Vec<(u64, &str)>, (u64, String)> {
        let values = self.values.iter().filter(|value| value.attribute.eq_ignore_ascii_case(attribute));
        values
            .map(|value| match std::str::from_utf8(&value.bytes) {
                Ok(text) => Ok((value.line, text.trim())),
                Err(_) => Err((value.line, format!("column {attribute}: it is not in UTF-8"))),
            })
            .collect()
    }
}

/// Lines with those that continue them, each by the number of its first; without comments.
fn unfolded(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut lines: Vec<(u64, Vec<u8>)> = Vec::new();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (line.strip_prefix(b" "), lines.last_mut()) {
            (Some(more), Some((_, begun))) => begun.extend_from_slice(more),
            _ => lines.push((number, line.to_owned())),
        }
    }
    lines.retain(|(_, line)| !line.starts_with(b"#"));
    lines
}

fn value(line: u64, text: &[u8]) -> Result<Value, String> {
    let none = || "it is no line `attribute: value`".to_owned();
    let at = text.iter().position(|byte| *byte == b':').ok_or_else(none)?;
    let name = std::str::from_utf8(&text[..at]).map_err(|_| none())?;
    let attribute = name.split(';').next().unwrap_or_default().to_ascii_lowercase();
    if attribute.is_empty() || !attribute.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
        return Err(none());
    }
    let rest = &text[at + 1..];
    let bytes = if let Some(encoded) = rest.strip_prefix(b":") {
        let decoded = BASE64.decode(encoded.trim_ascii());
        decoded.map_err(|_| format!("column {attribute}: it is no base64, which `::` announces"))?
    } else if rest.starts_with(b"<") {
        return Err(format!("column {attribute}: it names a file, which is not looked for"));
    } else {
        rest.trim_ascii_start().to_owned()
    };
    Ok(Value { line, attribute, bytes })
}

fn begins(line: &[u8], with: &[u8]) -> bool {
    line.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# exported\n version 1\nversion: 1\n\ndn: uid=a,dc=x\nuid: a\nmail: a@x.test\nmail;primary: aa@x.te\n st\n\
        userPassword:: e1NTSEF9ZUo2S0VJamtVcUFNcEFU\n MXR3d2Q0bDUwVmRqaFo5YnU=\n\n\ndn:: dWlkPWIsZGM9eA==\r\nUID:b\r\n";

    #[test]
    fn entries_are_read_with_folded_lines_and_base64() {
        assert!(is_ldif(FILE.as_bytes()) && is_ldif(b"\n# x\nDN: uid=a\n"));
        assert!(!is_ldif(b"login,hash\n") && !is_ldif(b""));
        let (entries, bad) = entries(FILE.as_bytes());
        assert_eq!(bad, []);
        assert_eq!(entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [5, 14]);
        assert_eq!(entries[0].texts("mail").unwrap(), [(7, "a@x.test"), (8, "aa@x.test")]);
        assert_eq!(entries[0].texts("userPassword").unwrap(), [(10, "{SSHA}eJ6KEIjkUqAMpAT1twwd4l50VdjhZ9bu")]);
        assert_eq!(entries[1].texts("uid").unwrap(), [(15, "b")]);
    }

    #[test]
    fn what_is_wrong_is_told_by_line_and_column_and_never_quoted() {
        let text =
            b"dn: uid=a\nuserPassword:: canary!\nuserPassword:< file:///canary\ncanary\n: canary\ncan ary: x\n\n\
            uid: canary\n\ndn: uid=b\nchangetype: modify\nuid:: /w==\n";
        let (entries, bad) = entries(text);
        assert_eq!(
            bad.iter().map(|(line, why)| (*line, why.as_str())).collect::<Vec<_>>(),
            [
                (2, "column userpassword: it is no base64, which `::` announces"),
                (3, "column userpassword: it names a file, which is not looked for"),
                (4, "it is no line `attribute: value`"),
                (5, "it is no line `attribute: value`"),
                (6, "it is no line `attribute: value`"),
                (8, "an entry begins with its dn"),
                (11, "it is a change, and no entry: let the directory be exported as it is"),
            ]
        );
        assert_eq!(entries[1].texts("uid").unwrap_err(), (12, "column uid: it is not in UTF-8".to_owned()));
    }
}
