//! What operators do over HTTP, for the audit: each request that may change something, and each that is not permitted.
//! Looking is not put down, or nobody would find the rest.

use std::net::IpAddr;
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

/// Characters of a reason that stand in the audit: a line with a long one would not fit, and be lost.
const REASON_CHARS_MAX: usize = 512;

/// What a request asks for, as the audit says it.
#[derive(Debug, Clone)]
pub(in crate::admin) struct Asked {
    action: String,
    subject: String,
    peer: Option<IpAddr>,
}

impl Asked {
    /// By its head.
    pub(in crate::admin) fn of(request: &Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        Self {
            action: format!("{} {matched}", request.method()),
            subject: bounded(request.uri().path(), PATH_CHARS_MAX),
            peer: request.extensions().get::<Peer>().and_then(Peer::address),
        }
    }
}

/// Something that was begun. Dropped before its end, it is put down all the same: whoever hangs up after asking must not be
/// able to do things that nobody finds.
struct Begun {
    office: Arc<Office>,
    deed: Option<Deed>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(deed) = self.deed.take() {
            let reason = Some("it was broken off before its answer; it may have been done".to_owned());
            self.office.desk.load().note(Deed { reason, ..deed });
        }
    }
}

/// Puts down that a request was refused before it came to who would have done it. What it was is read from its head.
pub(in crate::admin) fn note_refused(office: &Office, asked: &Asked, caller: &Caller, why: &str) {
    let Asked { action, subject, peer } = asked.clone();
    let (actor, token, reason) =
        (Some(caller.name.clone()), caller.token.clone(), Some(bounded(why, REASON_CHARS_MAX)));
    office.desk.load().note(Deed { action, reason, refused: true, actor, token, peer, subject: Some(subject) });
}

fn bounded(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

/// Puts down what comes of a request. It stands behind the sign-in.
pub(in crate::admin) async fn audited(State(office): State<Arc<Office>>, request: Request, next: Next) -> Response {
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let Asked { action, subject, peer } = Asked::of(&request);
    let caller = request.extensions().get::<Caller>().cloned();
    let (actor, token) = caller.map(|caller| (caller.name, caller.token)).unzip();
    let deed = Deed { action, actor, token: token.flatten(), peer, subject: Some(subject), ..Deed::default() };

    let mut begun = Begun { deed: (!is_look).then(|| deed.clone()), office: Arc::clone(&office) };
    let response = next.run(request).await;
    begun.deed = None;
    let status = response.status();
    let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if is_look && !refused {
        return response;
    }
    let failed = status.is_client_error() || status.is_server_error();
    let said = response.extensions().get::<Reason>().map(|Reason(reason)| bounded(reason, REASON_CHARS_MAX));
    let reason = said.or_else(|| failed.then(|| status.to_string()));
    office.desk.load().note(Deed { reason, refused, ..deed });
    response
}
