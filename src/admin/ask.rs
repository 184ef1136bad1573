//! One question to a running process over its own admin listener, for who stands beside it. It must never sign in: what it
//! asks is told to anybody who can connect.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request, StatusCode, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes of an answer. Readiness with all its reasons has some hundred.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether it lives.
    Health,
    /// Whether it serves clients, and if not, why.
    Readiness,
}

impl Question {
    /// Where it is asked.
    pub fn path(self) -> &'static str {
        match self {
            Self::Health => "/healthz",
            Self::Readiness => "/readyz",
        }
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it is as one would wish.
    pub good: bool,
    /// In its own words.
    pub text: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Who is there speaks no HTTP, or stopped in the middle of it.
    #[error("the connection broke")]
    Broken(#[from] hyper::Error),
    /// More than any answer of ours.
    #[error("the answer cannot be read")]
    Unreadable(#[source] axum::Error),
}

/// Asks over a connection to the admin listener, and uses it up. How long that may take is for the caller to bound.
///
/// # Errors
/// If nothing that is HTTP comes back.
pub async fn ask(
    connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    question: Question,
) -> Result<Answer, AskError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static(question.path());
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    let asked = async {
        let response = sender.send_request(request).await?;
        let good = response.status() == StatusCode::OK;
        let body = Body::new(response.into_body());
        let body = to_bytes(body, ANSWER_BYTES_MAX).await.map_err(AskError::Unreadable)?;
        Ok(Answer { good, text: String::from_utf8_lossy(&body).into_owned() })
    };
    // A connection moves only while somebody looks after it.
    let mut asked = std::pin::pin!(asked);
    tokio::select! {
        answer = &mut asked => answer,
        ended = connection => {
            ended?;
            asked.await
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// What is understood of these bytes, and what was asked.
    async fn asked(question: Question, reply: &[u8]) -> (Result<Answer, AskError>, String) {
        let (ours, mut theirs) = duplex(1 << 10);
        let (answer, heard) = tokio::join!(ask(ours, question), async {
            let mut heard = [0; 1 << 10];
            let count = theirs.read(&mut heard).await.unwrap();
            theirs.write_all(reply).await.unwrap();
            drop(theirs);
            String::from_utf8_lossy(&heard[..count]).into_owned()
        });
        (answer, heard)
    }

    #[tokio::test]
    async fn an_answer_is_good_if_its_status_is() {
        let (answer, heard) = asked(Question::Health, b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n").await;
        assert!(heard.starts_with("GET /healthz HTTP/1.1\r\nhost: localhost\r\n"), "{heard}");
        assert_eq!(answer.unwrap(), Answer { good: true, text: "ok\n".to_owned() });
        let (answer, heard) = asked(Question::Readiness, b"HTTP/1.1 503 Wait\r\nconnection: close\r\n\r\nwhy").await;
        assert!(heard.starts_with("GET /readyz "), "{heard}");
        assert_eq!(answer.unwrap(), Answer { good: false, text: "why".to_owned() });
    }

    #[tokio::test]
    async fn who_speaks_no_http_gives_no_answer() {
        for reply in [&b"* OK ready\r\n"[..], b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"] {
            let (answer, _) = asked(Question::Health, reply).await;
            assert!(answer.is_err(), "{answer:?}");
        }
    }
}
