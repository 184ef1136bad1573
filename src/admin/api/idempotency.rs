//! `Idempotency-Key`: a program that did not hear the answer to a POST sends it again with the same key, and nothing is made
//! twice. What was answered is kept in memory, by this node, for some minutes; an answer that held a secret is not, and the
//! repeat is told only that and what was made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::digest;
use serde_json::Value;

use super::json::read;
use super::limits::IMPORT_BYTES_MAX;
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Said in an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long an answer is kept: longer than a program that was restarted takes to ask again.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);

/// Answers that are kept. More POSTs in ten minutes, each with a key, is a migration, which has imports of its own.
const KEPT_MAX: usize = 1_000;

/// Bytes of an answer that is kept: what was made, not a report. In all this is 16 MiB at the most.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// Characters of a key: a UUID has 36.
const KEY_CHARS_MAX: usize = 128;

/// Fields by whose names an answer holds a secret, where whoever made it forgot to say so.
const SECRETS: [&str; 4] = ["secret", "token", "password", "wrapping_token"];

/// Borne by an answer in which there is a secret: it is not kept, nor looked into.
#[derive(Debug, Clone, Copy)]
pub(super) struct HoldsSecret;

/// The requests of late that had a key.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<HashMap<Key, Entry>>>);

/// Whose key, by which token, and the key.
type Key = (String, Option<String>, String);

#[derive(Debug)]
struct Entry {
    since: Instant,
    /// Of all that was asked for.
    asked: [u8; 32],
    outcome: Outcome,
}

#[derive(Debug, Clone)]
enum Outcome {
    /// It is worked on.
    UnderWay,
    /// What was answered.
    Answered { status: StatusCode, headers: HeaderMap, body: Bytes },
    /// Something was answered that is not kept.
    Unkept { location: Option<String> },
}

/// A request that is worked on. Dropped with nothing kept, it leaves nothing: whoever asks again is the first.
struct Turn<'k> {
    kept: &'k Kept,
    key: Option<Key>,
}

/// Has a request with a key done once.
pub(super) async fn once(State(kept): State<Kept>, request: Request, next: Next) -> Response {
    let is_made = request.method() == Method::POST;
    let Some(given) = request.headers().get(KEY).filter(|_| is_made) else { return next.run(request).await };
    let text = given.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > KEY_CHARS_MAX {
        return Problem::usage(format!("`idempotency-key` has 1 to {KEY_CHARS_MAX} characters")).into_response();
    }
    // By the token, too: a process of this machine may be called as an operator is.
    let caller = request.extensions().get::<Caller>().cloned();
    let (name, token) = caller.map(|caller| (caller.name, caller.token)).unwrap_or_default();
    let key = (name, token, text.to_owned());
    let (parts, body) = request.into_parts();
    let body = match read(&parts.headers, body, IMPORT_BYTES_MAX).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let asked = fingerprint(&[target.as_bytes(), &body]);
    let turn = match kept.begin(key, asked, Instant::now()) {
        Ok(turn) => turn,
        Err(answer) => return *answer,
    };
    let answer = next.run(Request::from_parts(parts, Body::from(Bytes::from_owner(body)))).await;
    turn.end(answer).await
}

/// With its length before it, no part can be taken for two.
fn fingerprint(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_le_bytes());
        context.update(part);
    }
    context.finish().as_ref().try_into().unwrap_or_default() // SHA-256 has 32 bytes
}

impl Kept {
    /// Whether it is to be done now; else what is answered in its place.
    fn begin(&self, key: Key, asked: [u8; 32], now: Instant) -> Result<Turn<'_>, Box<Response>> {
        let mut kept = self.0.lock().expect("no holder of this lock panics");
        kept.retain(|_, entry| now.saturating_duration_since(entry.since) < KEPT_FOR);
        if let Some(entry) = kept.get(&key) {
            return Err(Box::new(entry.again(&asked)));
        }
        if kept.len() >= KEPT_MAX {
            let detail = "too many requests with a key of late; send this one later, or without";
            return Err(Box::new(Problem::too_many(detail, KEPT_FOR.as_secs()).into_response()));
        }
        kept.insert(key.clone(), Entry { since: now, asked, outcome: Outcome::UnderWay });
        Ok(Turn { kept: self, key: Some(key) })
    }
}

impl Entry {
    /// The answer to the same key again.
    fn again(&self, asked: &[u8; 32]) -> Response {
        let conflict = |detail: String| Problem::new(StatusCode::CONFLICT, "repeated", "this was asked before", detail);
        if self.asked != *asked {
            let detail = "this `idempotency-key` was sent before with another request; each request has its own";
            return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "this cannot be used", detail)
                .into_response();
        }
        match self.outcome.clone() {
            Outcome::UnderWay => {
                conflict("the first request with this key is worked on; ask again".to_owned()).into_response()
            }
            Outcome::Answered { status, headers, body } => {
                let mut answer = (status, headers, body).into_response();
                answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                answer
            }
            Outcome::Unkept { location } => {
                let made = location.map(|location| format!(": {location}")).unwrap_or_default();
                let detail = format!(
                    "it was done already{made}; what it said is not kept, as there was a secret in it or it was long: if it is \
                     lost, revoke that and make another"
                );
                conflict(detail).into_response()
            }
        }
    }
}

impl Turn<'_> {
    /// Keeps what came of it, if anything was done.
    async fn end(mut self, answer: Response) -> Response {
        if !answer.status().is_success() {
            return answer; // nothing was made, and the next try may
        }
        let is_secret = answer.extensions().get::<HoldsSecret>().is_some();
        let (parts, body) = answer.into_parts();
        let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response(); // it is in memory, and does not fail
        };
        let location = || parts.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let outcome = if is_secret || body.len() > ANSWER_BYTES_MAX || holds_secret(&body) {
            Outcome::Unkept { location: location() }
        } else {
            Outcome::Answered { status: parts.status, headers: parts.headers.clone(), body: body.clone() }
        };
        if let Some(key) = self.key.take()
            && let Some(entry) = self.kept.0.lock().expect("no holder of this lock panics").get_mut(&key)
        {
            entry.outcome = outcome;
        }
        Response::from_parts(parts, Body::from(body))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.kept.0.lock().expect("no holder of this lock panics").remove(&key);
        }
    }
}

/// Whether there is a field in it that is a secret, by its name. What is no JSON may hold anything.
fn holds_secret(body: &[u8]) -> bool {
    fn is_in(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields
                .iter()
                .any(|(name, value)| (SECRETS.contains(&name.as_str()) && value.is_string()) || is_in(value)),
            Value::Array(items) => items.iter().any(is_in),
            _ => false,
        }
    }
    !body.is_empty() && serde_json::from_slice(body).map_or(true, |value| is_in(&value))
}

#[cfg(test)]
mod tests {
    use axum::Extension;

    use super::*;
    use crate::management::clients::{self, Handed};
    use crate::management::operators::Issued;
    use crate::model::{Role, Secret};

    fn key(text: &str) -> Key {
        ("alice".into(), Some("t1".into()), text.into())
    }

    async fn json(answer: Response) -> (u16, Value) {
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn made(body: &str) -> Response {
        (StatusCode::CREATED, [(header::LOCATION, "/v1/things/a")], body.to_owned()).into_response()
    }

    #[tokio::test]
    async fn what_was_answered_is_answered_again() {
        let (kept, now) = (Kept::default(), Instant::now());
        let turn = kept.begin(key("1"), [1; 32], now).ok().unwrap();
        let (status, problem) = json(*kept.begin(key("1"), [1; 32], now).err().unwrap()).await;
        assert_eq!((status, &problem["type"]), (409, &"repeated".into()), "it is worked on");
        turn.end(made("{\"name\":\"a\"}")).await;
        let again = *kept.begin(key("1"), [1; 32], now).err().unwrap();
        assert_eq!(again.headers()["location"], "/v1/things/a");
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert_eq!(json(again).await, (201, serde_json::json!({"name": "a"})));
        let (status, _) = json(*kept.begin(key("1"), [2; 32], now).err().unwrap()).await;
        assert_eq!(status, 422, "another request");
        assert!(kept.begin(("bob".into(), Some("t1".into()), "1".into()), [1; 32], now).is_ok(), "another operator");
        assert!(kept.begin(("alice".into(), None, "1".into()), [1; 32], now).is_ok(), "one of this machine");
        assert!(kept.begin(key("1"), [1; 32], now + KEPT_FOR).is_ok(), "a while ago");
    }

    #[tokio::test]
    async fn a_secret_is_not_kept() {
        let (kept, now) = (Kept::default(), Instant::now());
        let turn = kept.begin(key("1"), [1; 32], now).ok().unwrap();
        let answer = turn.end(made("{\"of\":[{\"secret\":\"canary\"}]}")).await;
        assert_eq!(json(answer).await.1["of"][0]["secret"], "canary");
        assert!(!format!("{kept:?}").contains("canary"));
        let (status, problem) = json(*kept.begin(key("1"), [1; 32], now).err().unwrap()).await;
        assert!(status == 409 && problem["detail"].as_str().unwrap().contains("/v1/things/a"), "{problem}");
    }

    #[tokio::test]
    async fn no_answer_that_hands_out_a_secret_is_kept() {
        let (kept, now) = (Kept::default(), Instant::now());
        let id = "a".to_owned();
        let secret = || Secret::new("canary");
        let token = Handed::Wrapped { token: secret(), ttl: Duration::from_secs(60) };
        let bodies = [Handed::Plain(secret()), token].map(|handed| {
            let issued = clients::Issued { login: id.clone(), id: id.clone(), is_new: true, handed, weakness: None };
            issued.once().expose_text().unwrap().to_owned()
        });
        assert!(bodies.iter().all(|body| body.contains("canary")));
        let operator = Issued { operator: id.clone(), role: Role::Viewer, id, expires: None, token: secret() };
        let named = bodies.into_iter().chain([serde_json::to_string(&operator).unwrap()]).map(|body| made(&body));
        let marked = made("{\"word\":\"canary\"}");
        let marked = (Extension(HoldsSecret), marked).into_response();
        for (number, answer) in named.chain([marked]).enumerate() {
            kept.begin(key(&number.to_string()), [1; 32], now).ok().unwrap().end(answer).await;
            assert_eq!(kept.begin(key(&number.to_string()), [1; 32], now).err().unwrap().status(), 409, "{number}");
        }
        assert!(!format!("{kept:?}").contains("canary"));
    }

    #[tokio::test]
    async fn what_failed_or_was_given_up_may_be_tried_again() {
        let (kept, now) = (Kept::default(), Instant::now());
        kept.begin(key("1"), [1; 32], now).ok().unwrap().end(StatusCode::SERVICE_UNAVAILABLE.into_response()).await;
        drop(kept.begin(key("1"), [1; 32], now).ok().unwrap());
        assert!(kept.begin(key("1"), [1; 32], now).is_ok());
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let (kept, now) = (Kept::default(), Instant::now());
        for number in 0..KEPT_MAX {
            let mut turn = kept.begin(key(&number.to_string()), [1; 32], now).ok().unwrap();
            turn.key = None;
        }
        assert_eq!(kept.begin(key("one more"), [1; 32], now).err().unwrap().status(), 429);
    }
}
