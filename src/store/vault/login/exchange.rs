//! The requests of a login, and what they grant. It must never repeat what the server said but for texts that are known: a
//! secret is in each of these requests, and the server might quote it.

use std::fmt;
use std::time::Duration;

use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError as RestError;
use serde_json::Value;
use vaultrs::api;
use vaultrs::client::VaultClient;
use vaultrs::error::ClientError;
use zeroize::Zeroizing;

use super::super::failure::Failure;
use super::super::servers::Servers;
use super::super::source::word;
use crate::model::Secret;

/// No lease is taken to be longer: ten years. Times are added to, and a server may say what it likes.
const LEASE_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What servers say to a login and what helps to know, each in its own words.
pub(super) mod known {
    pub(crate) const INVALID_ROLE_OR_SECRET: &str = "invalid role or secret ID";
    pub(crate) const INVALID_ROLE: &str = "invalid role name";
    pub(crate) const NO_NAMESPACE: &str = "namespace not found";
    pub(crate) const NOT_RENEWABLE: &str = "lease is not renewable";
    pub(crate) const NOT_WRAPPED: &str = "wrapping token is not valid or does not exist";
    pub(crate) const NO_CERTIFICATE: &str = "no client certificate";
}

/// The texts that may be repeated, longest first where one holds another.
const KNOWN: &[&str] = &[
    known::INVALID_ROLE_OR_SECRET,
    known::INVALID_ROLE,
    known::NO_NAMESPACE,
    known::NOT_RENEWABLE,
    known::NOT_WRAPPED,
    "invalid certificate or no client certificate supplied",
    known::NO_CERTIFICATE,
    "failed to match all constraints for this login certificate",
    "service account name not authorized",
    "namespace not authorized",
    "service account unauthorized",
    "invalid audience (aud) claim",
    "invalid issuer (iss) claim",
    "source address",
    "quota exceeded",
    // These tell one failure from another (failure.rs).
    "no handler for route",
    "local node not active",
    "sealed",
];

/// A request with a token of its own, or none.
#[derive(Clone)]
pub(super) struct Call {
    method: RequestMethod,
    path: String,
    body: Zeroizing<Vec<u8>>,
}

impl Call {
    pub(super) fn get(path: &str) -> Self {
        Self { method: RequestMethod::GET, path: path.to_owned(), body: Zeroizing::default() }
    }

    pub(super) fn post(path: String, body: &Value) -> Self {
        Self { method: RequestMethod::POST, path, body: Zeroizing::new(body.to_string().into_bytes()) }
    }

    /// Makes it. The token that other requests are made with stays out of it.
    pub(super) async fn make(
        &self,
        servers: &Servers,
        operation: &'static str,
        token: Option<&Secret>,
    ) -> Result<Value, Failure> {
        let run = |client, call| async move { api::exec_with_no_result(&client, call).await };
        self.run(servers, operation, token, run).await
    }

    /// Makes it where the answer is empty.
    pub(super) async fn tell(&self, servers: &Servers, operation: &'static str, token: &Secret) -> Result<(), Failure> {
        let run = |client, call| async move { api::exec_with_empty(&client, call).await };
        self.run(servers, operation, Some(token), run).await
    }

    async fn run<T, Fut>(
        &self,
        servers: &Servers,
        operation: &'static str,
        token: Option<&Secret>,
        run: impl Fn(VaultClient, Self) -> Fut,
    ) -> Result<T, Failure>
    where
        Fut: Future<Output = Result<T, ClientError>>,
    {
        let token = token.and_then(Secret::expose_text).unwrap_or_default();
        servers
            .write(operation, |mut client| {
                client.middle.token = token.to_owned();
                let answer = run(client, self.clone());
                async move { answer.await.map_err(hushed) }
            })
            .await
    }
}

#[async_trait::async_trait]
impl Endpoint for Call {
    type Response = Value;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        self.method.clone()
    }

    fn body(&self) -> Result<Option<Vec<u8>>, RestError> {
        Ok((!self.body.is_empty()).then(|| self.body.to_vec()))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The error with of each text only what is known of it.
fn hushed(error: ClientError) -> ClientError {
    let ClientError::APIError { code, errors } = error else { return error };
    let known = |text: &String| KNOWN.iter().find(|known| text.contains(*known)).copied();
    let mut hushed: Vec<String> = errors.iter().filter_map(known).map(str::to_owned).collect();
    // That nothing at all is said has a meaning of its own.
    if hushed.is_empty() && !errors.is_empty() {
        hushed.push(String::new());
    }
    ClientError::APIError { code, errors: hushed }
}

/// How long a token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    /// What is left; `None` if it does not end.
    pub(super) left: Option<Duration>,
    /// What a renewal asks for.
    pub(super) full: Duration,
    pub(super) renewable: bool,
}

impl Life {
    fn new(left: u64, full: u64, renewable: bool) -> Self {
        let [left, full] = [left, full].map(|secs| Duration::from_secs(secs).min(LEASE_MAX));
        Self { left: (!left.is_zero()).then_some(left), full: full.max(left), renewable }
    }

    /// From the answer to a login or a renewal.
    pub(super) fn granted(answer: &Value) -> Result<Self, Failure> {
        let auth = &answer["auth"];
        match (auth["lease_duration"].as_u64(), auth["renewable"].as_bool()) {
            (Some(left), Some(renewable)) => Ok(Self::new(left, left, renewable)),
            _ => Err(Failure::Garbled),
        }
    }

    /// Asks the server about a token that somebody else obtained.
    pub(super) async fn look_up(servers: &Servers, token: &Secret) -> Result<Self, Failure> {
        let answer = Call::get("auth/token/lookup-self").make(servers, "lookup_self", Some(token)).await?;
        let data = &answer["data"];
        // Batch tokens and root tokens may lack the last two.
        let left = data["ttl"].as_u64().ok_or(Failure::Garbled)?;
        let renewable = data["renewable"].as_bool().unwrap_or_default();
        Ok(Self::new(left, data["creation_ttl"].as_u64().unwrap_or(left), renewable))
    }
}

/// What a login obtained.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) token: Secret,
    /// `None` where nobody asked yet.
    pub(super) life: Option<Life>,
}

impl Granted {
    pub(super) fn parse(mut answer: Value) -> Result<Self, Failure> {
        let life = Life::granted(&answer)?;
        let token = taken(&mut answer, "/auth/client_token")?;
        Ok(Self { token, life: Some(life) })
    }
}

/// A secret out of an answer.
pub(super) fn taken(answer: &mut Value, pointer: &str) -> Result<Secret, Failure> {
    match answer.pointer_mut(pointer).map(Value::take) {
        Some(Value::String(text)) => word(Zeroizing::new(text).as_bytes()).ok_or(Failure::Garbled),
        _ => Err(Failure::Garbled),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_what_the_server_says_only_the_known_is_repeated() {
        let said = ["invalid role or secret ID: hunter2", "hunter2 is no secret id"].map(str::to_owned).to_vec();
        let hushed = hushed(ClientError::APIError { code: 400, errors: said });
        let failure = Failure::from(hushed);
        assert_eq!(failure, Failure::Refused { code: 400, text: "invalid role or secret ID".into() });
    }

    #[test]
    fn a_token_that_no_header_can_hold_is_not_taken() {
        let answer = |token: &str| json!({"auth": {"client_token": token, "lease_duration": 60, "renewable": true}});
        assert_eq!(Granted::parse(answer("s.a")).unwrap().token, Secret::new("s.a"));
        for token in ["", "s.\r\nX-Evil: 1", "s.ä"] {
            assert_eq!(Granted::parse(answer(token)).unwrap_err(), Failure::Garbled);
        }
        assert_eq!(Granted::parse(json!({"auth": null})).unwrap_err(), Failure::Garbled);
    }

    #[test]
    fn a_lease_of_zero_does_not_end_and_none_is_too_long_to_count() {
        assert_eq!(Life::new(0, 0, false).left, None);
        assert_eq!(Life::new(u64::MAX, 1, true).full, LEASE_MAX);
    }

    #[test]
    fn no_debug_shows_what_is_sent() {
        let call = Call::post("auth/approle/login".into(), &json!({"secret_id": "hunter2"}));
        assert_eq!(format!("{call:?}"), r#"Call { path: "auth/approle/login", .. }"#);
    }
}
