//! What the program said: its answer, and its words for people. Both come from outside: neither is shown as it came, for it
//! may quote what was sent, or what was made.

use std::os::unix::process::ExitStatusExt;

use serde::Deserialize;

use super::process::{Ended, STDERR_BYTES_MAX};
use super::{Action, HookError, Request};
use crate::model::Secret;
use crate::model::secret;

/// The most of its words that an operator is shown.
const SHOWN_CHARS_MAX: usize = 1000;

/// The most characters of a label: no portal takes more.
const LABEL_CHARS_MAX: usize = 200;

/// In an answer that is none, what is so long may be a secret.
const WORD_BYTES_MIN: usize = 4;

/// What was made.
pub(in crate::rotation) struct Made {
    pub(in crate::rotation) secret: Secret,
    /// The name it bears in the portal, if not the one that was asked for.
    pub(in crate::rotation) label: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    ok: bool,
    secret: Option<Text>,
    label: Option<String>,
    error: Option<String>,
    #[serde(default)]
    retry: bool,
}

#[derive(Deserialize)]
struct Text(#[serde(with = "secret::in_record")] Secret);

/// What the answer comes to.
pub(super) fn read(request: &Request<'_>, ended: Ended) -> Result<Option<Made>, HookError> {
    let Ended { status, stdout, stderr } = ended;
    let answer: Result<Answer, _> = serde_json::from_slice(&stdout);
    let secrets = match &answer {
        Ok(answer) => request.secret.into_iter().chain(answer.secret.iter().map(|Text(it)| it)).cloned().collect(),
        Err(_) => secrets_in(request.secret, &stdout),
    };
    let words = || shown(&stderr, &secrets);
    match answer {
        Ok(Answer { error: Some(message), secret: None, retry, .. }) => {
            Err(HookError::Refused { message: shown(message.as_bytes(), &secrets), retry })
        }
        _ if !status.success() => {
            let how = match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit code {code}"),
                (None, signal) => format!("signal {}", signal.unwrap_or_default()),
            };
            Err(HookError::Exited { how, stderr: words() })
        }
        // The parser's own words quote what they are about.
        Err(error) => {
            let what = if stdout.trim_ascii().is_empty() {
                "it is empty".to_owned()
            } else {
                format!("it is not what was expected in line {}, column {}", error.line(), error.column())
            };
            Err(HookError::Garbage { what, stderr: words() })
        }
        Ok(Answer { error: Some(_), .. }) => {
            Err(HookError::Garbage { what: "it has both an error and a secret".to_owned(), stderr: words() })
        }
        Ok(Answer { secret: Some(Text(secret)), label, .. }) if request.action == Action::Make => {
            let label = label.and_then(|label| fit(&label, &secret));
            Ok(Some(Made { secret, label }))
        }
        Ok(_) if request.action == Action::Make => Err(HookError::MissingSecret { stderr: words() }),
        Ok(Answer { ok: true, .. }) => Ok(None),
        Ok(_) => Err(HookError::Garbage { what: "it says neither ok nor error".to_owned(), stderr: words() }),
    }
}

/// A label as it may be shown. `None` if nothing is left of it: one that nobody can find in the portal is none. Nor is one that
/// has the secret in it, which would be told to everybody.
fn fit(label: &str, secret: &Secret) -> Option<String> {
    let label: String = label.chars().filter(|c| !c.is_control()).take(LABEL_CHARS_MAX).collect();
    let label = label.trim();
    let tells = secret.expose_text().is_some_and(|secret| !secret.is_empty() && label.contains(secret));
    (!label.is_empty() && !tells).then(|| label.to_owned())
}

/// What was sent, and what may be secret in an answer that cannot be read.
pub(super) fn secrets_in(sent: Option<&Secret>, answer: &[u8]) -> Vec<Secret> {
    sent.cloned().into_iter().chain(words_in(answer).map(Secret::new)).collect()
}

/// What may be secret in an answer that cannot be read.
fn words_in(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_edge = |byte: &u8| !byte.is_ascii_graphic() && byte.is_ascii() || b"\"',:{}[]\\".contains(byte);
    answer.split(is_edge).filter(|word| word.len() >= WORD_BYTES_MIN)
}

/// Words from outside, fit to be shown: printable, in one line, not too many, and without these secrets.
pub(super) fn shown(bytes: &[u8], secrets: &[Secret]) -> String {
    let longest = secrets.iter().map(|secret| secret.expose().len()).max().unwrap_or_default();
    // Where the words were cut off, a secret may have been, too.
    let end = if bytes.len() >= STDERR_BYTES_MAX { bytes.len() - longest } else { bytes.len() };
    let mut at = 0;
    let mut masked = Vec::with_capacity(end);
    while at < end {
        let secret = secrets.iter().map(Secret::expose).filter(|secret| bytes[at..].starts_with(secret));
        if let Some(length) = secret.map(<[u8]>::len).max().filter(|length| *length > 0) {
            masked.extend_from_slice(b"[REDACTED]");
            at += length;
        } else {
            masked.push(bytes[at]);
            at += 1;
        }
    }
    let text = String::from_utf8_lossy(&masked);
    let mut shown = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
    }
    match shown.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{} …", &shown[..end]),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use jiff::Timestamp;
    use zeroize::Zeroizing;

    use super::*;

    fn answered(
        action: Action,
        sent: Option<&str>,
        code: i32,
        stdout: &str,
        stderr: &str,
    ) -> Result<String, HookError> {
        let sent = sent.map(Secret::new);
        let request = Request {
            action,
            op: "hook-1",
            account: "a",
            identity: "a",
            upstream: "u",
            label: "",
            secret: sent.as_ref(),
            id: None,
            deadline: Timestamp::UNIX_EPOCH,
        };
        let status = ExitStatus::from_raw(code << 8);
        let [stdout, stderr] = [stdout, stderr].map(|it| Zeroizing::new(it.as_bytes().to_vec()));
        let made = read(&request, Ended { status, stdout, stderr })?;
        Ok(made.map_or_else(String::new, |made| {
            format!("{}/{}", made.secret.expose_text().unwrap(), made.label.unwrap_or_default())
        }))
    }

    #[test]
    fn answers() {
        let make = |stdout| answered(Action::Make, None, 0, stdout, "");
        assert_eq!(make(r#"{"secret":"abc","label":"phone\n2"}"#), Ok("abc/phone2".to_owned()));
        assert_eq!(make(r#"{"secret":"abc","more":1}"#), Ok("abc/".to_owned()));
        for label in [r"\u0007", "  ", "", "the abc one"] {
            let answer = format!(r#"{{"secret":"abc","label":"{label}"}}"#);
            assert_eq!(answered(Action::Make, None, 0, &answer, ""), Ok("abc/".to_owned()), "{label}");
        }
        assert_eq!(make(r#"{"ok":true}"#), Err(HookError::MissingSecret { stderr: String::new() }));
        let refused = HookError::Refused { message: "too many".to_owned(), retry: true };
        assert_eq!(make(r#"{"error":"too\nmany","retry":true}"#), Err(refused));
        for garbage in [
            "",
            "abc",
            r#"{"secret":"a"} x"#,
            r#"{"secret":7}"#,
            r#"{"secret":"a","error":"b"}"#,
            r#"{"secret":"a","secret":"b"}"#,
        ] {
            assert!(matches!(make(garbage), Err(HookError::Garbage { .. })), "{garbage}");
        }
        assert_eq!(answered(Action::Set, Some("s"), 0, r#"{"ok":true}"#, ""), Ok(String::new()));
        assert!(matches!(answered(Action::Set, Some("s"), 0, "{}", ""), Err(HookError::Garbage { .. })));
        let failed = answered(Action::Revoke, None, 3, r#"{"ok":true}"#, "oh");
        assert_eq!(failed, Err(HookError::Exited { how: "exit code 3".to_owned(), stderr: "oh".to_owned() }));
    }

    #[test]
    fn no_secret_is_in_what_is_shown() {
        let texts = [
            answered(Action::Set, Some("hunter22"), 1, "", "+ set hunter22\u{1b}[0m"),
            answered(Action::Set, Some("hunter22"), 0, r#"{"error":"no hunter22 here"}"#, ""),
            answered(Action::Make, None, 1, r#"{"secret":"hunter22"}"#, "made hunter22"),
            answered(Action::Make, None, 0, "hunter22\n", "made hunter22"),
            answered(Action::Make, None, 0, r#"{"secret":["hunter22"]}"#, "made hunter22"),
        ];
        for text in texts {
            let text = text.unwrap_err().to_string();
            assert!(!text.contains("hunter22") && !text.contains('\u{1b}'), "{text}");
        }
        let cut = [vec![b'x'; STDERR_BYTES_MAX - 3], b"hun".to_vec()].concat();
        assert!(!shown(&cut, &[Secret::new("hunter22")]).contains("hun"));
    }
}
