//! What went wrong with one request, sorted by what helps. It must never carry a byte of a request or of an answer but for
//! the server's own error texts, and these only where no secret was sent.

use std::error::Error;
use std::io;

use rustify::errors::ClientError as RestError;
use vaultrs::error::ClientError;

use super::super::StoreError;

/// The most of a server's text that is repeated.
const TEXT_CHARS_MAX: usize = 200;

/// Why one request got no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// There is nothing under that key.
    #[error("the server has nothing there")]
    Absent,
    /// There was something under that key, and its newest version is deleted or destroyed.
    #[error("the record was deleted")]
    Deleted {
        /// The version that is deleted.
        version: u64,
    },
    /// The key has another version than was expected.
    #[error("the record has another version")]
    Conflict,
    /// The token is invalid, or does not permit this; only the token's own state tells which.
    #[error("the server denied it (403)")]
    Forbidden,
    /// No engine is mounted there.
    #[error("nothing is mounted there: correct mount in [store], or enable a KV engine of version 2 at that path")]
    NotMounted,
    /// The server takes no value of that size.
    #[error("the value is too large for the server")]
    TooLarge,
    /// The server is sealed.
    #[error("the server is sealed: unseal it")]
    Sealed,
    /// The server has never been initialised.
    #[error("the server is not initialised: run `bao operator init` or `vault operator init` there")]
    Uninitialised,
    /// No server is the active one, or it is not known to the one that was asked.
    #[error("the cluster has no active server now")]
    NoLeader,
    /// It sent us elsewhere, and the token must not go along.
    #[error("the server answered with a redirect ({0}), which is not followed: name the servers themselves in address")]
    Redirected(u16),
    /// It may be better soon.
    #[error("the server answered {code}{}", quoted(.text))]
    Failing {
        /// The HTTP status.
        code: u16,
        /// What it said, if that can be shown.
        text: String,
    },
    /// No connection, or no answer in time.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// Its certificate is not one to trust.
    #[error(
        "its certificate is not trusted: {0}; name its authority in ca-file, and the server by a name in its certificate"
    )]
    Untrusted(String),
    /// The answer is not what a Vault answers. Its content is not repeated.
    #[error("the answer is not one of a Vault: correct address in [store]")]
    Garbled,
    /// It refuses the request as such.
    #[error("the server refused it ({code}){}", quoted(.text))]
    Refused {
        /// The HTTP status.
        code: u16,
        /// What it said, if that can be shown.
        text: String,
    },
}

impl Failure {
    /// Whether another server of the cluster may answer otherwise.
    pub(super) fn is_of_one_server(&self) -> bool {
        self.is_transient() || matches!(self, Self::Untrusted(_) | Self::Garbled)
    }

    /// Whether the same request may succeed later with nobody doing anything at our side.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Sealed
            | Self::Uninitialised
            | Self::NoLeader
            | Self::Redirected(_)
            | Self::Failing { .. }
            | Self::Unreachable(_) => true,
            Self::Absent
            | Self::Deleted { .. }
            | Self::Conflict
            | Self::Forbidden
            | Self::NotMounted
            | Self::TooLarge
            | Self::Untrusted(_)
            | Self::Garbled
            | Self::Refused { .. } => false,
        }
    }

    /// The same of a server that was known to be the right one. Its certificate has expired, or a balancer answers in its
    /// place: it will be back with nobody doing anything at our side, as after any outage.
    pub(super) fn of_known_server(self) -> Self {
        match self {
            Self::Untrusted(_) | Self::Garbled => Self::Unreachable(self.to_string()),
            other => other,
        }
    }

    /// Whether the server said this.
    pub(super) fn says(&self, part: &str) -> bool {
        matches!(self, Self::Failing { text, .. } | Self::Refused { text, .. } if text.contains(part))
    }

    /// A word for metrics.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Absent | Self::Deleted { .. } => "absent",
            Self::Conflict => "conflict",
            Self::Forbidden => "forbidden",
            Self::NotMounted => "not_mounted",
            Self::TooLarge => "too_large",
            Self::Sealed => "sealed",
            Self::Uninitialised => "uninitialised",
            Self::NoLeader => "no_leader",
            Self::Redirected(_) => "redirected",
            Self::Failing { .. } => "failing",
            Self::Unreachable(_) => "unreachable",
            Self::Untrusted(_) => "untrusted",
            Self::Garbled => "garbled",
            Self::Refused { .. } => "refused",
        }
    }

    /// The same without what the server said: for requests in which a secret was sent, which it might repeat.
    pub(super) fn without_text(self) -> Self {
        match self {
            Self::Failing { code, .. } => Self::Failing { code, text: String::new() },
            Self::Refused { code, .. } => Self::Refused { code, text: String::new() },
            other => other,
        }
    }

    /// For the callers of the store. `about` says what was tried.
    pub(super) fn into_store_error(self, about: &str) -> StoreError {
        let text = format!("{about}: {self}");
        if self.is_transient() { StoreError::Unavailable(text) } else { StoreError::Config(text) }
    }
}

/// From the library's error, whose own texts and `Debug` may quote whole answers.
impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::APIError { code, errors } => of_texts(code, &errors),
            ClientError::RestClientError { source } => of_rest(source),
            _ => Self::Garbled,
        }
    }
}

fn of_texts(code: u16, errors: &[String]) -> Failure {
    let text = errors.join("; ");
    let says = |part: &str| text.contains(part);
    match code {
        404 if errors.is_empty() => Failure::Absent,
        404 if says("no handler for route") => Failure::NotMounted,
        400 if says("check-and-set parameter did not match") => Failure::Conflict,
        // A new engine sets itself up, on standbys a little later.
        400 if says("non-versioned to versioned data") => Failure::Failing { code, text: plain(&text) },
        403 => Failure::Forbidden,
        413 => Failure::TooLarge,
        500 if says("value being too large") => Failure::TooLarge,
        500 if says("local node not active") => Failure::NoLeader,
        501 => Failure::Uninitialised,
        503 if says("sealed") => Failure::Sealed,
        300..=399 => Failure::Redirected(code),
        429 | 412 | 472 | 473 | 500..=599 => Failure::Failing { code, text: plain(&text) },
        _ => Failure::Refused { code, text: plain(&text) },
    }
}

fn of_rest(error: RestError) -> Failure {
    match error {
        RestError::ServerResponseError { code: code @ 300..=399, .. } => Failure::Redirected(code),
        RestError::ServerResponseError { code: 404, content } => {
            let version = content.as_deref().and_then(deleted_version);
            version.map_or(Failure::Garbled, |version| Failure::Deleted { version })
        }
        RestError::ServerResponseError { code: code @ (429 | 500..=599), .. } => {
            Failure::Failing { code, text: String::new() }
        }
        RestError::ServerResponseError { .. } | RestError::ResponseParseError { .. } => Failure::Garbled,
        RestError::RequestError { source, .. } | RestError::ResponseError { source } => of_transport(source.as_ref()),
        _ => Failure::Garbled,
    }
}

/// A deleted version comes with status 404 and its metadata.
fn deleted_version(content: &str) -> Option<u64> {
    let content: serde_json::Value = serde_json::from_str(content).ok()?;
    content.pointer("/data/metadata/version")?.as_u64()
}

/// The innermost cause is the telling one; addresses are known to the reader, and secrets are in none of these.
fn of_transport(error: &(dyn Error + 'static)) -> Failure {
    let causes = || std::iter::successors(Some(error), |error| cause_of(*error));
    let text = causes().last().map(|cause| plain(&cause.to_string())).unwrap_or_default();
    // Of an end without TLS's goodbye rustls tells where to read about it, which is no use to an operator.
    let kinds = || causes().filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    if kinds().any(|kind| kind == io::ErrorKind::UnexpectedEof) {
        return Failure::Unreachable("it hung up".into());
    }
    match causes().find_map(|cause| cause.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(_)) => Failure::Untrusted(text),
        // A server without TLS, or something else that listens there.
        Some(rustls::Error::InvalidMessage(_)) => Failure::Unreachable("what listens there speaks no TLS".into()),
        _ => Failure::Unreachable(text),
    }
}

/// An I/O error passes over what it was made of when it is asked for its source, and here one is made of another.
fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// Somebody else's text, made fit for one line of ours.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(TEXT_CHARS_MAX).collect()
}

fn quoted(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(code: u16, texts: &[&str]) -> Failure {
        let errors = texts.iter().map(|&text| text.to_owned()).collect();
        ClientError::APIError { code, errors }.into()
    }

    #[test]
    fn what_servers_say_is_understood() {
        // Texts of OpenBao 2.7.2.
        let conflict = "check-and-set parameter did not match the current version";
        let refused = "1 error occurred:\n\t* permission denied\n\n";
        for (code, texts, expected) in [
            (404, vec![], Failure::Absent),
            (404, vec!["no handler for route \"locum/data/x\". route entry not found."], Failure::NotMounted),
            (400, vec![conflict], Failure::Conflict),
            (403, vec!["permission denied"], Failure::Forbidden),
            (403, vec![refused], Failure::Forbidden),
            (503, vec!["Vault is sealed"], Failure::Sealed),
            (501, vec![], Failure::Uninitialised),
            (500, vec!["local node not active but active cluster node not found"], Failure::NoLeader),
            (500, vec!["put failed due to value being too large; got 2 bytes, max: 1"], Failure::TooLarge),
            (307, vec![], Failure::Redirected(307)),
        ] {
            assert_eq!(sorted(code, &texts), expected, "{code} {texts:?}");
        }
    }

    #[test]
    fn what_may_pass_is_transient_and_what_needs_a_person_is_not() {
        assert!(sorted(500, &["leadership lost while committing log"]).is_transient());
        assert!(sorted(429, &[]).is_transient() && sorted(502, &[]).is_transient() && sorted(412, &[]).is_transient());
        assert!(sorted(503, &["Vault is sealed"]).is_transient());
        assert!(
            sorted(400, &["Waiting for the primary to upgrade from non-versioned to versioned data."]).is_transient()
        );
        assert!(!sorted(400, &["invalid role or secret ID"]).is_transient());
        assert!(!sorted(403, &[]).is_transient() && !sorted(404, &[]).is_transient());
        assert!(!Failure::Untrusted("x".into()).is_transient());
        assert!(Failure::Untrusted("x".into()).is_of_one_server(), "another server may have a better certificate");
    }

    #[test]
    fn a_certificate_is_found_wrong_however_deep_it_is_told() {
        let wrong = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let io = io::Error::new(io::ErrorKind::InvalidData, wrong);
        let io = io::Error::other(io);
        assert_eq!(of_transport(&io), Failure::Untrusted("invalid peer certificate: UnknownIssuer".into()));
    }

    #[test]
    fn a_server_that_hangs_up_is_said_in_plain_words() {
        let io = io::Error::new(io::ErrorKind::UnexpectedEof, "peer closed connection: https://docs.rs/rustls");
        assert_eq!(of_transport(&io::Error::other(io)), Failure::Unreachable("it hung up".into()));
    }

    #[test]
    fn an_answer_that_is_none_is_not_repeated() {
        let content = Some("<html>canary-7d1f</html>".to_owned());
        for code in [200, 404, 502] {
            let source = RestError::ServerResponseError { code, content: content.clone() };
            let failure = Failure::from(ClientError::RestClientError { source });
            assert!(!format!("{failure} {failure:?}").contains("canary"), "{failure}");
        }
        let source = RestError::ResponseParseError {
            source: serde_json::from_str::<u64>("\"canary-7d1f\"").unwrap_err().into(),
            content,
        };
        let failure = Failure::from(ClientError::RestClientError { source });
        assert_eq!(failure, Failure::Garbled);
    }

    #[test]
    fn a_servers_text_is_one_short_line() {
        let failure = sorted(400, &["one\n\ttwo\x1b[2J", &"x".repeat(1000)]);
        let text = failure.to_string();
        assert!(text.starts_with("the server refused it (400): one two [2J; xxx"), "{text}");
        assert!(text.len() < 300 && !text.contains(char::is_control), "{text}");
        assert_eq!(failure.without_text().to_string(), "the server refused it (400)");
    }

    #[test]
    fn the_version_of_what_was_deleted_is_kept() {
        let content = r#"{"data":{"data":null,"metadata":{"deletion_time":"2026-11-22T00:00:00Z","version":3}}}"#;
        let source = RestError::ServerResponseError { code: 404, content: Some(content.into()) };
        assert_eq!(Failure::from(ClientError::RestClientError { source }), Failure::Deleted { version: 3 });
    }
}
