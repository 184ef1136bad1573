//! What operators do over HTTP, for the audit: each request that may change something, and each that is not permitted.
//! Looking is not put down, or nobody would find the rest.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::Peer;
use crate::admin::Office;
use crate::admin::caller::Caller;
use crate::admin::problem::Reason;
use crate::management::operators::Deed;

/// Characters of a path that stand in the audit.
const PATH_CHARS_MAX: usize = 256;

/// Puts down what comes of a request. It stands behind the sign-in.
pub(in crate::admin) async fn audited(State(office): State<Arc<Office>>, request: Request, next: Next) -> Response {
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let matched = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let action = format!("{} {matched}", request.method());
    let subject = request.uri().path().chars().take(PATH_CHARS_MAX).collect();
    let caller = request.extensions().get::<Caller>().cloned();
    let peer = request.extensions().get::<Peer>().and_then(Peer::address);

    let response = next.run(request).await;
    let status = response.status();
    let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if is_look && !refused {
        return response;
    }
    let failed = status.is_client_error() || status.is_server_error();
    let said = response.extensions().get::<Reason>().map(|Reason(reason)| reason.clone());
    let reason = failed.then(|| said.unwrap_or_else(|| status.to_string()));
    let (actor, token) = caller.map(|caller| (caller.name, caller.token)).unzip();
    let deed = Deed { action, reason, refused, actor, token: token.flatten(), peer, subject: Some(subject) };
    office.desk.load().note(deed);
    response
}
