//! A running node, as its admin socket answers. It must never be asked anything but over that socket: who may open it is
//! known by the system, and no token is needed.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::cli::exit::{self, Failure};

/// Time for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes of one answer.
const ANSWER_BYTES_MAX: usize = 16 << 20;

pub(super) struct Node {
    socket: PathBuf,
}

/// What a node says that does not do it.
#[derive(Deserialize)]
struct Problem {
    title: String,
    detail: Option<String>,
}

impl Node {
    pub(super) fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        Ok(serde_json::from_slice(&self.ask(Method::GET, path, Body::empty()).await?)?)
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let body = Body::from(serde_json::to_vec(body)?);
        Ok(serde_json::from_slice(&self.ask(Method::POST, path, body).await?)?)
    }

    pub(super) async fn delete(&self, path: &str) -> Result<()> {
        self.ask(Method::DELETE, path, Body::empty()).await.map(drop)
    }

    pub(super) async fn delete_telling<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        Ok(serde_json::from_slice(&self.ask(Method::DELETE, path, Body::empty()).await?)?)
    }

    async fn ask(&self, method: Method, path: &str, body: Body) -> Result<Vec<u8>> {
        let asking = timeout(ANSWER_TIMEOUT, self.exchange(method, path, body));
        let late = || self.failure(exit::TEMPORARY, format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()));
        let (status, body) = asking.await.map_err(|_| late())??;
        if status.is_success() {
            return Ok(body);
        }
        let said: Option<Problem> = serde_json::from_slice(&body).ok();
        let said = said.map(|problem| problem.detail.unwrap_or(problem.title));
        Err(Failure::new(code(status), said.unwrap_or_else(|| format!("the node answers with status {status}"))).into())
    }

    async fn exchange(&self, method: Method, path: &str, body: Body) -> Result<(StatusCode, Vec<u8>)> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => {
                self.failure(exit::DENIED, "you may not open it; be root, or who runs the node")
            }
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                self.failure(exit::TEMPORARY, "no node listens there; is `locum serve` running?")
            }
            _ => self.failure(exit::TEMPORARY, error),
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)?;
        let asking = async move {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX).await?;
            anyhow::Ok((status, body.to_vec()))
        };
        // The connection is over when nobody asks any more.
        let (answer, _) = tokio::join!(asking, connection);
        answer
    }

    fn failure(&self, code: u8, what: impl std::fmt::Display) -> Failure {
        Failure::new(code, format!("{}: {what}", self.socket.display()))
    }
}

/// The exit code for what a node answers.
fn code(status: StatusCode) -> u8 {
    match status {
        StatusCode::BAD_REQUEST => exit::USAGE,
        StatusCode::UNPROCESSABLE_ENTITY => exit::DATA,
        StatusCode::NOT_FOUND => exit::NOT_FOUND,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => exit::DENIED,
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => exit::TEMPORARY,
        _ => exit::SOFTWARE,
    }
}
