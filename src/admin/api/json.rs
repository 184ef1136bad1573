//! JSON in and out. What comes in may hold a secret: it is read into one buffer that is wiped, and no message quotes a value
//! from it, only where it stands and what belongs there.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use zeroize::Zeroizing;

use super::limits::{BODY_BYTES_MAX, BODY_TIMEOUT, DROPPED_BYTES_MAX};
use crate::admin::problem::Problem;

/// The most characters of a message about a value: lists of what is expected can be long.
const MESSAGE_CHARS_MAX: usize = 400;

/// A body of JSON, in and out, of up to `MAX` bytes where it comes in. It must be the last argument of a handler. What comes
/// in should refuse fields that it does not know (`#[serde(deny_unknown_fields)]`).
#[derive(Debug, Clone, Copy)]
pub(in crate::admin) struct Json<T, const MAX: usize = BODY_BYTES_MAX>(pub(in crate::admin) T);

/// What was made: 201, and where it is from now on.
#[derive(Debug, Clone)]
pub(in crate::admin) struct Created<T> {
    /// The path of it.
    pub(in crate::admin) location: String,
    /// What is said of it.
    pub(in crate::admin) body: T,
}

impl<T: DeserializeOwned, S: Sync, const MAX: usize> FromRequest<S> for Json<T, MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            let detail = "send JSON, and say so: `content-type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "this is not read", detail));
        }
        parse(&read(&parts.headers, body, MAX).await?).map(Self)
    }
}

impl<T: Serialize, const MAX: usize> IntoResponse for Json<T, MAX> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer does not become JSON"); // of a value of ours: a map whose keys are no strings
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let Self { location, body } = self;
        (StatusCode::CREATED, [(header::LOCATION, location)], Json::<T>(body)).into_response()
    }
}

/// `application/json`, or a kind of it, whatever parameters follow.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// All of a body, if it is no more than that and comes in time. What is too long is read to its end within reason, and dropped:
/// who is still sending when the connection is closed does not hear why.
pub(super) async fn read(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|length| length > DROPPED_BYTES_MAX) {
        return Err(too_large(bytes_max));
    }
    let reading = async {
        // With the room it needs from the start, it is never moved, and leaves no copy that is not wiped.
        let mut whole = Zeroizing::new(Vec::with_capacity(told.unwrap_or(bytes_max).min(bytes_max)));
        let mut chunks = body.into_data_stream();
        let mut length = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Problem::usage("the body broke off"))?;
            length += chunk.len();
            if length <= bytes_max {
                whole.extend_from_slice(&chunk);
            } else if length > DROPPED_BYTES_MAX {
                break;
            }
        }
        if length > bytes_max { Err(too_large(bytes_max)) } else { Ok(whole) }
    };
    let late = || {
        let detail = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "too slow", detail)
    };
    tokio::time::timeout(BODY_TIMEOUT, reading).await.unwrap_or_else(|_| Err(late()))
}

fn too_large(bytes_max: usize) -> Problem {
    let detail = format!("a body has up to {bytes_max} bytes here; send it in parts");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "too much at once", detail)
}

/// What was meant by that text.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    // A list would be taken for the fields of an object, one after the other.
    if text.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
        let detail = "the body must be an object, not a list";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "this cannot be used", detail));
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        complaint(&path, error.inner())
    })?;
    json.end().map_err(|error| complaint("", &error))?;
    Ok(parsed)
}

/// Where it is wrong and what belongs there, without what stands there.
fn complaint(path: &str, error: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Data => {
            let field =
                if matches!(path, "" | "." | "?") { "the body".to_owned() } else { format!("`{}`", bounded(path)) };
            let detail = format!("{field}: {} ({place})", without_value(&error.to_string()));
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "this cannot be used", detail)
        }
        Category::Eof => Problem::usage(format!("the JSON ends too early ({place})")),
        Category::Syntax | Category::Io => Problem::usage(format!("this is no JSON ({place})")),
    }
}

/// A message of `serde` without the value that it is about: that may be a secret in the wrong place.
fn without_value(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    if ["missing field", "unknown field", "duplicate field"].iter().any(|kind| message.starts_with(kind)) {
        return bounded(message);
    }
    let is_of_serde = ["invalid type", "invalid value", "invalid length", "unknown variant"]
        .iter()
        .any(|kind| message.starts_with(kind));
    if let Some((found, expected)) = message.rsplit_once(", expected ").filter(|_| is_of_serde) {
        let kinds = ["string", "integer", "floating point", "boolean", "map", "sequence", "null"];
        let found = found.strip_prefix("invalid type: ").unwrap_or_default();
        let kind = kinds.into_iter().find(|kind| found.starts_with(kind));
        let instead = kind.map(|kind| format!(", not {kind}")).unwrap_or_default();
        return bounded(&format!("expected {expected}{instead}"));
    }
    // A message of some type's own. Those of other libraries quote what they were given.
    let quotes = message.contains(['"', '\'', '`']);
    if quotes { "not of the form that belongs here".to_owned() } else { bounded(message) }
}

fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is there to be read into")]
    struct Wish {
        name: String,
        count: u8,
        at: Option<jiff::Timestamp>,
        role: Option<crate::model::Role>,
        nested: Option<Vec<Self>>,
    }

    fn refused(text: &str) -> (u16, String) {
        let problem = parse::<Wish>(text.as_bytes()).unwrap_err();
        (problem.status, problem.detail.unwrap_or_default())
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_without_its_value() {
        for (text, status, says) in [
            ("{", 400, "ends too early (line 1, column 1)"),
            ("{]", 400, "no JSON"),
            ("{\"name\":\"canary\",\"count\":1} x", 400, "no JSON"),
            ("[1]", 422, "the body"),
            ("{\"name\":\"canary\"}", 422, "missing field `count`"),
            ("{\"nmae\":\"canary\"}", 422, "unknown field `nmae`, expected one of"),
            ("{\"name\":\"x\",\"count\":\"canary\"}", 422, "`count`: expected u8, not string (line 1"),
            ("{\"name\":\"x\",\"count\":\"canary, expected canary\"}", 422, "`count`: expected "),
            ("{\"name\":\"x\",\"count\":1,\"role\":\"canary\"}", 422, "`role`: expected one of `viewer`"),
            ("{\"name\":\"x\",\"count\":1,\"at\":\"canary\"}", 422, "`at`: "),
            (
                "{\"name\":\"x\",\"count\":1,\"nested\":[{\"name\":\"y\",\"count\":\"canary\"}]}",
                422,
                "`nested[0].count`",
            ),
        ] {
            let (found, detail) = refused(text);
            assert_eq!(found, status, "{text}: {detail}");
            assert!(detail.contains(says) && !detail.contains("canary"), "{text}: {detail}");
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound() {
        let body = |bytes: usize| Body::from("x".repeat(bytes));
        assert_eq!(read(&HeaderMap::new(), body(10), 10).await.unwrap().len(), 10);
        assert_eq!(read(&HeaderMap::new(), body(11), 10).await.unwrap_err().status, 413);
        let told = HeaderMap::from_iter([(header::CONTENT_LENGTH, "999999999".parse().unwrap())]);
        assert_eq!(read(&told, body(0), 10).await.unwrap_err().status, 413);
    }

    #[test]
    fn json_is_told_by_its_content_type() {
        for (kind, is) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(is_json(&headers), is, "{kind}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
