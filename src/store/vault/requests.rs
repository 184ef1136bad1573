//! Requests that the client library does not have, or has in a form that OpenBao does not answer.

use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use serde_json::Value;

use crate::model::Secret;

/// A request without a body whose answer is taken as it is.
#[derive(Debug, Clone)]
pub(super) struct Plain {
    method: RequestMethod,
    path: String,
    query: Option<String>,
}

impl Plain {
    /// The server's state. The codes for "standby" and "sealed" are asked to be 200: the answer is a state, not a failure.
    pub(super) fn health() -> Self {
        let query = "standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200";
        Self { method: RequestMethod::GET, path: "sys/health".into(), query: Some(query.into()) }
    }

    /// What is mounted at `mount`, as far as the token may know it.
    pub(super) fn mounted(mount: &str) -> Self {
        Self { method: RequestMethod::GET, path: format!("sys/internal/ui/mounts/{mount}"), query: None }
    }

    /// What the token is.
    pub(super) fn token() -> Self {
        Self { method: RequestMethod::GET, path: "auth/token/lookup-self".into(), query: None }
    }

    /// The settings of a KV engine of version 2.
    pub(super) fn engine(mount: &str) -> Self {
        Self { method: RequestMethod::GET, path: format!("{mount}/config"), query: None }
    }

    /// The keys of a folder. A server that does not know paging answers with all of them.
    pub(super) fn list(mount: &str, folder: &str, after: Option<&str>, limit: usize) -> Self {
        let query = after.map_or_else(|| format!("limit={limit}"), |after| format!("after={after}&limit={limit}"));
        Self { method: RequestMethod::LIST, path: format!("{mount}/metadata/{folder}"), query: Some(query) }
    }
}

#[async_trait::async_trait]
impl Endpoint for Plain {
    type Response = Value;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        self.method.clone()
    }

    fn query(&self) -> Result<Option<String>, ClientError> {
        Ok(self.query.clone())
    }
}

/// A document to be wrapped: the answer is a token in place of it. The time it is kept for is a header.
#[derive(Debug)]
pub(super) struct Wrap(Secret);

impl Wrap {
    pub(super) fn of(document: &Secret) -> Self {
        Self(document.clone())
    }
}

#[async_trait::async_trait]
impl Endpoint for Wrap {
    type Response = Value;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        "sys/wrapping/wrap".into()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::POST
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(Some(self.0.expose().to_owned()))
    }
}
