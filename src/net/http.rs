//! The HTTP client towards authorities. It must never follow a redirect (what is posted would go along), take a setting
//! from the environment (a proxy would see it), speak without TLS, or read without end.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderName, RETRY_AFTER};
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use zeroize::Zeroizing;

use crate::model::Secret;

/// How long an idle connection is kept for the next request. TLS decrypts in a buffer that it keeps, and a part of the last
/// token would lie there in clear for as long as its connection lives.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Idle connections kept to each host.
const IDLE_MAX: usize = 4;

/// The most of a library's text that is repeated.
const TEXT_CHARS_MAX: usize = 200;

/// Bounds for requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// Time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Time for a request, from its beginning to the last byte of its answer.
    pub request_timeout: Duration,
    /// The longest body that is read. Answers with tokens have some kilobytes.
    pub body_bytes_max: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            body_bytes_max: 256 * 1024,
        }
    }
}

/// Why there is no answer. Neither what was sent nor what was received is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpsError {
    /// It cannot be reached, or breaks off.
    #[error("{0}")]
    Unreachable(String),
    /// Its certificate is not one to trust.
    #[error("{0}")]
    Untrusted(String),
    /// It takes too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// Its answer is longer than that.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// An answer of any status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// `Retry-After` as it came.
    pub retry_after: Option<String>,
    /// `Date` as it came.
    pub date: Option<String>,
    /// The body.
    pub body: Secret,
}

/// A client for HTTPS.
#[derive(Debug, Clone)]
pub struct Https {
    client: Client,
    options: HttpOptions,
}

impl Https {
    /// A client that trusts what `tls` trusts.
    ///
    /// # Errors
    /// If the library cannot be set up so.
    pub fn new(tls: &Arc<ClientConfig>, options: HttpOptions) -> Result<Self, HttpsError> {
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .https_only(true)
            .http1_only()
            .connect_timeout(options.connect_timeout.min(options.request_timeout))
            .timeout(options.request_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .tls_backend_preconfigured(ClientConfig::clone(tls))
            .build()
            .map_err(|error| HttpsError::Unreachable(plain(&error.to_string())))?;
        Ok(Self { client, options })
    }

    /// Posts a form (`application/x-www-form-urlencoded`).
    ///
    /// # Errors
    /// If there is no answer. A refusal is one.
    pub async fn post_form(&self, url: &str, form: &[(&str, Secret)]) -> Result<Reply, HttpsError> {
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(reqwest::header::ACCEPT, "application/json")
            // The library takes the buffer over; the allocator of the program wipes it when it is freed.
            .body(std::mem::take(&mut *encode(form)));
        let mut response = request.send().await.map_err(|error| self.failed(&error))?;
        let header = |name: HeaderName| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (retry_after, date) = (header(RETRY_AFTER), header(DATE));
        let status = response.status().as_u16();
        let body = self.body(&mut response).await?;
        Ok(Reply { status, retry_after, date, body })
    }

    async fn body(&self, response: &mut reqwest::Response) -> Result<Secret, HttpsError> {
        let max = self.options.body_bytes_max;
        let mut chunks = Vec::new();
        let mut length = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            length += chunk.len();
            if length > max {
                return Err(HttpsError::TooLong(max));
            }
            chunks.push(chunk);
        }
        let mut body = Vec::with_capacity(length);
        chunks.iter().for_each(|chunk| body.extend_from_slice(chunk));
        Ok(Secret::new(body))
    }

    /// The innermost cause is the telling one.
    fn failed(&self, error: &reqwest::Error) -> HttpsError {
        if error.is_timeout() {
            let is_connect = error.is_connect();
            let bound = if is_connect { self.options.connect_timeout } else { self.options.request_timeout };
            return HttpsError::TimedOut(bound.min(self.options.request_timeout));
        }
        let causes = || std::iter::successors(Some(error as &(dyn Error + 'static)), |error| cause_of(*error));
        let text = causes().last().map(|cause| plain(&cause.to_string())).unwrap_or_default();
        match causes().find_map(|cause| cause.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(_)) => HttpsError::Untrusted(text),
            Some(rustls::Error::InvalidMessage(_)) => {
                HttpsError::Unreachable("what listens there speaks no TLS".into())
            }
            _ => HttpsError::Unreachable(text),
        }
    }
}

/// An I/O error passes over what it was made of when it is asked for its source, and here one is made of another.
fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// A library's text, fit for one line of ours.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ").chars().take(TEXT_CHARS_MAX).collect()
}

/// <https://url.spec.whatwg.org/#application/x-www-form-urlencoded>, in a buffer that has room for all of it at once.
fn encode(form: &[(&str, Secret)]) -> Zeroizing<Vec<u8>> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"*-._".contains(&byte);
    let pieces = form.iter().map(|(name, value)| (name.as_bytes(), value.expose()));
    let length: usize = pieces.clone().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(length));
    for (name, value) in pieces {
        if !body.is_empty() {
            body.push(b'&');
        }
        for (at, piece) in [name, value].into_iter().enumerate() {
            if at == 1 {
                body.push(b'=');
            }
            for &byte in piece {
                match byte {
                    b' ' => body.push(b'+'),
                    byte if is_plain(byte) => body.push(byte),
                    byte => {
                        let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
                        body.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
                    }
                }
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded() {
        let form = [("a", Secret::new("x y&=%é")), ("b-_.*", Secret::new("")), ("c", Secret::new("~+/"))];
        assert_eq!(encode(&form).as_slice(), b"a=x+y%26%3D%25%C3%A9&b-_.*=&c=%7E%2B%2F");
    }
}
