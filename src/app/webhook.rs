//! The webhook that alerts are posted to. Its token is read from its file each time, so that it can be changed while the
//! process runs, and must never be in an error or the log.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::model::Secret;
use crate::net::{Https, HttpsError};
use crate::rotation::{Courier, Undelivered, WebhookOptions};

/// No token is longer.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;

/// What others than owner and group may do with the file of the token.
const OTHERS: u32 = 0o007;

/// A service that takes alerts.
#[derive(Debug)]
pub struct Webhook {
    https: Https,
    options: WebhookOptions,
}

impl Webhook {
    /// The one of these options.
    pub fn new(https: Https, options: WebhookOptions) -> Self {
        Self { https, options }
    }

    /// Whether its token can be read; says what to do if not.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn check(options: &WebhookOptions) -> Result<(), String> {
        token(options).map(drop)
    }
}

#[async_trait]
impl Courier for Webhook {
    async fn deliver(&self, message: &str) -> Result<(), Undelivered> {
        let token = token(&self.options).map_err(|why| Undelivered { why, passes: false })?;
        let posted = self.https.post_json(&self.options.url, token.as_ref(), message).await;
        let failed = |why: String, passes| Err(Undelivered { why, passes });
        match posted {
            Ok(reply) => match reply.status {
                200..=299 => Ok(()),
                // A redirect is not followed: it would take the token along.
                status @ (408 | 429 | 500..=599) => failed(format!("it answers with status {status}"), true),
                status => {
                    failed(format!("it answers with status {status}: see url and token in [rotation.webhook]"), false)
                }
            },
            Err(error @ HttpsError::Untrusted(_)) => failed(format!("its certificate is not trusted: {error}"), false),
            // It has answered, and whoever says so much has taken it.
            Err(HttpsError::TooLong(_)) => Ok(()),
            Err(error @ (HttpsError::Unreachable(_) | HttpsError::TimedOut(_))) => failed(error.to_string(), true),
        }
    }
}

/// The token, if there is to be one.
fn token(options: &WebhookOptions) -> Result<Option<Secret>, String> {
    options.token_file.as_deref().map(read_token).transpose()
}

fn read_token(path: &Path) -> Result<Secret, String> {
    let place = path.display();
    let failed = |error: std::io::Error| format!("cannot read the webhook's token in {place}: {error}");
    // Looked at before it is opened: opening a FIFO would wait for a writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("the webhook's token-file {place} is not a plain file"));
    }
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode();
    if mode & OTHERS != 0 {
        return Err(format!("{place} is open to everybody (mode {:04o}): run `chmod o= {place}`", mode & 0o7777));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(TOKEN_BYTES_MAX as usize));
    file.take(TOKEN_BYTES_MAX).read_to_end(&mut text).map_err(failed)?;
    let token = text.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(format!("{place} holds no token: it must be one line of plain ASCII without blanks"));
    }
    Ok(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_one_word_that_not_everybody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let read = |content: &str, mode| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read_token(&path)
        };
        assert_eq!(read("canary\n", 0o640).unwrap(), Secret::new("canary"));
        for (content, mode) in [("canary", 0o644), ("", 0o600), ("two canaries", 0o600), ("canary\ncanary", 0o600)] {
            let said = read(content, mode).unwrap_err();
            assert!(!said.contains("canary"), "{said}");
        }
        assert!(read_token(folder.path()).unwrap_err().contains("not a plain file"));
        assert!(read_token(&folder.path().join("none")).unwrap_err().contains("cannot read"));
    }
}
