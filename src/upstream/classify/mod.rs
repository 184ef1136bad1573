//! What a provider means by its refusal. Providers say different things under one code, so it is the sentence that
//! decides, and the code only where no sentence is known. What is known stands in [`table`].

mod table;

use std::fmt;
use std::time::Duration;

use crate::model::{CredentialKind, Protocol};
use table::{APP_PASSWORD_REMEDY, ROWS, Row, TOKEN_REMEDY, WRONG_CREDENTIAL};

/// What kind of trouble an upstream gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The credential is wrong: rotate it. Only this one counts against its version in the breaker.
    AuthBad,
    /// The access token was refused: get another, once; then it is for an operator.
    Token,
    /// The credential may be right, but the provider does not take this kind of login from this account.
    AuthPolicy,
    /// The protocol is switched off for the mailbox or the tenant.
    ProtocolOff,
    /// Logged in, but there is no mailbox behind it.
    MailboxMap,
    /// Too many connections, logins or messages.
    Limited,
    /// The login was refused in words that Locum does not know.
    Refused,
    /// It does not prove that it is who we dialled, or offers no TLS.
    Untrusted,
    /// Out of reach, or out of order.
    Unavailable,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AuthBad,
        Self::Token,
        Self::AuthPolicy,
        Self::ProtocolOff,
        Self::MailboxMap,
        Self::Limited,
        Self::Refused,
        Self::Untrusted,
        Self::Unavailable,
    ];

    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthBad => "auth-bad",
            Self::Token => "token",
            Self::AuthPolicy => "auth-policy",
            Self::ProtocolOff => "protocol-off",
            Self::MailboxMap => "mailbox-map",
            Self::Limited => "limited",
            Self::Refused => "refused",
            Self::Untrusted => "untrusted",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether it passes without anybody's doing.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Limited | Self::Unavailable => true,
            Self::AuthBad
            | Self::Token
            | Self::AuthPolicy
            | Self::ProtocolOff
            | Self::MailboxMap
            | Self::Refused
            | Self::Untrusted => false,
        }
    }

    fn plain(self) -> &'static str {
        match self {
            Self::AuthBad => "the provider refused the credential",
            Self::Token => "the provider refused the access token",
            Self::AuthPolicy => "the provider does not take this kind of login",
            Self::ProtocolOff => "the provider has this protocol switched off",
            Self::MailboxMap => "the provider let us in but reaches no mailbox",
            Self::Limited => "the provider limits us",
            Self::Refused => "the provider refused the login",
            Self::Untrusted => "the provider could not be verified",
            Self::Unavailable => "the provider is out of reach",
        }
    }

    /// What to do where nothing more is known.
    fn remedy(self) -> &'static str {
        match self {
            Self::AuthBad => APP_PASSWORD_REMEDY,
            Self::Token => TOKEN_REMEDY,
            Self::AuthPolicy => {
                "see `mechanisms` of the upstream, or give the account a credential of a kind that the provider takes"
            }
            Self::ProtocolOff => "switch it on at the provider",
            Self::MailboxMap => "look whether the account's identity is the mailbox's own address",
            Self::Limited => "lower sessions-max for this upstream",
            Self::Refused => "look at the account at the provider; its own words are all that is known",
            Self::Untrusted => "look at the upstream's host, and at upstream-ca-files if its certificate is your own",
            Self::Unavailable => "nothing, as a rule: the next login tries again",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plain())
    }
}

/// What is made of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) cause: Cause,
    /// What happened, in one sentence.
    pub(super) plain: &'static str,
    /// What to do about it.
    pub(super) remedy: &'static str,
}

impl Verdict {
    /// The upstream is this process.
    pub(super) fn of_a_loop() -> Self {
        Self {
            cause: Cause::Refused,
            plain: "the upstream is this Locum itself, and a login would go round for ever",
            remedy: "correct host and port of the upstream, or what the name resolves to on this machine",
        }
    }
}

impl From<Cause> for Verdict {
    fn from(cause: Cause) -> Self {
        Self { cause, plain: cause.plain(), remedy: cause.remedy() }
    }
}

impl From<&Row> for Verdict {
    fn from(row: &Row) -> Self {
        Self { cause: row.cause, plain: row.plain, remedy: row.remedy }
    }
}

/// What a provider's refusal of a login with this kind of credential means. Without evidence it is not the credential's:
/// a good one must not be given up for a fault that passes.
pub(super) fn classify(reply: &str, protocol: Protocol, kind: CredentialKind) -> Verdict {
    let verdict = judge(reply, protocol, kind);
    match (verdict.cause, kind) {
        // It is then the token that is wrong, which is made anew each hour, and not what it is got with.
        (Cause::AuthBad, CredentialKind::OAuth2) => Cause::Token.into(),
        _ => verdict,
    }
}

/// The same of what was said in place of an answer to the login: hanging up is no verdict on the credential, whatever is
/// said with it.
pub(super) fn classify_farewell(reply: &str, protocol: Protocol, kind: CredentialKind) -> Verdict {
    let verdict = judge(reply, protocol, kind);
    match verdict.cause {
        Cause::AuthBad | Cause::Refused => Cause::Unavailable.into(),
        _ => verdict,
    }
}

fn judge(reply: &str, protocol: Protocol, kind: CredentialKind) -> Verdict {
    let words = reply.to_ascii_lowercase();
    let applies = |row: &&Row| {
        words.contains(row.sentence)
            && row.protocol.is_none_or(|it| it == protocol)
            && row.kind.is_none_or(|it| it == kind)
    };
    match ROWS.iter().find(applies) {
        Some(row) => row.into(),
        // SMTP 4yz: transient (RFC 5321 section 4.2.1). IMAP BAD: it did not understand us.
        None if starts_with_transient_code(reply) || reply.starts_with("BAD ") => Cause::Unavailable.into(),
        None if is_about_the_credential(&words) => Cause::AuthBad.into(),
        // Behind a token this is how some say that they do not like it.
        None if kind == CredentialKind::OAuth2 && reply.starts_with("50") => Cause::Token.into(),
        None => Cause::Refused.into(),
    }
}

/// SMTP 535 (RFC 4954 section 6), POP3 [AUTH] (RFC 3206 section 4), or plain words.
fn is_about_the_credential(words: &str) -> bool {
    words.starts_with("535") || words.contains("[auth]") || WRONG_CREDENTIAL.iter().any(|wrong| words.contains(wrong))
}

fn starts_with_transient_code(reply: &str) -> bool {
    matches!(reply.as_bytes(), [b'4', b, c, ..] if b.is_ascii_digit() && c.is_ascii_digit())
}

/// How long the provider asks to be left alone, if it says so: `Suggested Backoff Time: 92415 milliseconds`.
pub(super) fn backoff(reply: &str) -> Option<Duration> {
    const ASKS: [&str; 4] = ["backoff time", "retry after", "try again in", "try again after"];
    let words = reply.to_ascii_lowercase();
    let behind = ASKS.iter().find_map(|ask| words.split_once(ask).map(|(_, behind)| behind))?;
    let behind = behind.trim_start_matches([':', ' ']);
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = behind.split_at(digits);
    let number = number.parse().ok()?;
    let unit: String = unit.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    match unit.as_str() {
        "ms" | "millisecond" | "milliseconds" => Some(Duration::from_millis(number)),
        "s" | "sec" | "second" | "seconds" => Some(Duration::from_secs(number)),
        "m" | "min" | "minute" | "minutes" => Some(Duration::from_secs(number.saturating_mul(60))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line of `tests/sentences`.
    struct Line {
        protocols: Vec<Protocol>,
        kinds: Vec<CredentialKind>,
        cause: &'static str,
        sentence: &'static str,
    }

    fn lines() -> Vec<Line> {
        const FILES: [&str; 2] = [
            include_str!("../../../tests/sentences/exchange-online.txt"),
            include_str!("../../../tests/sentences/others.txt"),
        ];
        let lines = FILES.into_iter().flat_map(str::lines).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(parse).collect()
    }

    fn parse(line: &'static str) -> Line {
        let columns: Vec<&'static str> = line.splitn(5, '|').map(str::trim).collect();
        let [_provider, protocol, kind, cause, sentence] = columns[..] else { panic!("five columns: {line}") };
        let protocols = match protocol {
            "any" => Protocol::ALL.to_vec(),
            named => vec![named.parse().unwrap()],
        };
        let kinds = match kind {
            "any" => vec![CredentialKind::AppPassword, CredentialKind::OAuth2],
            "app-password" => vec![CredentialKind::AppPassword],
            "oauth2" => vec![CredentialKind::OAuth2],
            other => panic!("no kind: {other}"),
        };
        Line { protocols, kinds, cause, sentence }
    }

    #[test]
    fn each_sentence_is_classified_as_its_table_says() {
        let lines = lines();
        assert!(lines.len() > 80, "the sentences are gone");
        let mut wrong = Vec::new();
        for Line { protocols, kinds, cause, sentence } in &lines {
            for (&protocol, &kind) in protocols.iter().flat_map(|it| kinds.iter().map(move |kind| (it, kind))) {
                let verdict = classify(sentence, protocol, kind);
                if verdict.cause.name() != *cause {
                    wrong.push(format!("{protocol}, {kind}: {sentence}: {}, not {cause}", verdict.cause.name()));
                }
                assert!(verdict.plain.len() > 10 && verdict.remedy.len() > 8, "{sentence}: {verdict:?}");
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// A row that no sentence reaches says nothing: another stands before it, or it is misspelt.
    #[test]
    fn each_row_is_reached_by_a_sentence() {
        let lines = lines();
        let is_reached = |row: &Row| {
            lines.iter().any(|line| {
                let both = line.protocols.iter().flat_map(|it| line.kinds.iter().map(move |kind| (*it, *kind)));
                both.into_iter().any(|(protocol, kind)| judge(line.sentence, protocol, kind) == row.into())
                    && line.sentence.to_ascii_lowercase().contains(row.sentence)
            })
        };
        let idle: Vec<&str> = ROWS.iter().filter(|row| !is_reached(row)).map(|row| row.sentence).collect();
        assert!(idle.is_empty(), "{idle:#?}");
        assert!(ROWS.iter().all(|row| row.sentence == row.sentence.to_ascii_lowercase()));
    }

    #[test]
    fn a_refused_token_is_told_apart_from_a_wrong_app_password() {
        let password =
            classify("535 5.7.3 Authentication unsuccessful", Protocol::Submission, CredentialKind::AppPassword);
        assert_eq!((password.cause, password.remedy), (Cause::AuthBad, APP_PASSWORD_REMEDY));
        let token = classify("535 5.7.3 Authentication unsuccessful", Protocol::Submission, CredentialKind::OAuth2);
        assert_eq!((token.cause, token.remedy), (Cause::Token, TOKEN_REMEDY));
        for part in ["audience and scope", "user=", "Object ID from Enterprise applications", "Add-MailboxPermission"] {
            assert!(TOKEN_REMEDY.contains(part), "{part}");
        }
    }

    #[test]
    fn who_hangs_up_says_nothing_about_the_credential() {
        let farewell = |reply, kind| classify_farewell(reply, Protocol::Imap, kind).cause;
        for kind in [CredentialKind::AppPassword, CredentialKind::OAuth2] {
            assert_eq!(farewell("BYE Authentication failed", kind), Cause::Unavailable);
            assert_eq!(farewell("BYE who are you", kind), Cause::Unavailable);
            assert_eq!(farewell("BYE Too many simultaneous connections.", kind), Cause::Limited);
        }
        assert_eq!(farewell("BYE Session invalidated - AccessTokenExpired", CredentialKind::OAuth2), Cause::Token);
    }

    #[test]
    fn a_provider_s_wish_to_be_left_alone_is_read() {
        for (reply, time) in [
            (
                "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds",
                Some(Duration::from_millis(92_415)),
            ),
            ("NO slow down, retry after 30 seconds", Some(Duration::from_secs(30))),
            ("421 4.7.0 Try again in 5 minutes [HOST]", Some(Duration::from_secs(300))),
            ("454 4.7.0 try again after 7s.", Some(Duration::from_secs(7))),
            ("NO Suggested Backoff Time: soon", None),
            ("NO retry after 99999999999999999999999 seconds", None),
            ("NO try again in 3 moons", None),
            ("NO try again later", None),
            ("", None),
        ] {
            assert_eq!(backoff(reply), time, "{reply}");
        }
    }
}
