//! The files that pages need: one style sheet, one small script, one picture. All are our own and in the program itself.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::admin::Office;

const STYLE: &str = concat!(include_str!("assets/tokens.css"), include_str!("assets/console.css"));
const SCRIPT: &str = include_str!("assets/console.js");
const PICTURE: &str = include_str!("assets/locum.svg");

/// What distinguishes the files of this program from those of another one: browsers keep them.
static EDITION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    [STYLE, SCRIPT, PICTURE].hash(&mut hasher);
    format!("{:016x}", hasher.finish())
});

/// The address of a file.
pub(super) fn path(file: &str) -> String {
    format!("{}/assets/{file}?{}", super::ROOT, *EDITION)
}

/// The files. They are the same for everybody, and nobody needs to sign in for them.
pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new()
        .route("/console/assets/console.css", get(|| file("text/css; charset=utf-8", STYLE)))
        .route("/console/assets/console.js", get(|| file("text/javascript; charset=utf-8", SCRIPT)))
        .route("/console/assets/locum.svg", get(|| file("image/svg+xml", PICTURE)))
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, text)
}
