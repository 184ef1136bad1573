//! A stand-in for Kubernetes, as far as OpenBao asks it: whose service account a token is. It knows one.

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Stands for a signature that holds.
const GENUINE: &str = "genuine";
const AUDIENCE: &str = "https://kubernetes.default.svc";
const UID: &str = "0f2b8d5a-6c1e-4e43-9c41-1d9f2a7f3f10";

/// The stand-in, until it is dropped.
pub(crate) struct Kubernetes {
    address: SocketAddr,
    authority: String,
    _stop: DropGuard,
}

impl Kubernetes {
    /// The namespace of the service account.
    pub(crate) const NAMESPACE: &str = "mail";
    /// The service account.
    pub(crate) const ACCOUNT: &str = "locum";

    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let ended = stop.clone().cancelled_owned();
        let reviews = Router::new().route("/apis/authentication.k8s.io/v1/tokenreviews", post(review));
        tokio::spawn(async move { axum::serve(listener, reviews).with_graceful_shutdown(ended).await });
        let authority = rcgen::generate_simple_self_signed(["kubernetes".to_owned()]).unwrap().cert.pem();
        Self { address, authority, _stop: stop.drop_guard() }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// OpenBao wants an authority to verify it by, even where there is no TLS.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// What a pod of the service account finds in its token file.
    pub(crate) fn service_account_token(&self) -> String {
        token(GENUINE)
    }

    /// The same, signed by somebody else.
    pub(crate) fn forged_token(&self) -> String {
        token("forged")
    }
}

/// A projected service account token. OpenBao leaves it to Kubernetes to look at the signature.
fn token(signature: &str) -> String {
    let (namespace, account) = (Kubernetes::NAMESPACE, Kubernetes::ACCOUNT);
    let claims = json!({
        "aud": [AUDIENCE],
        "iss": AUDIENCE,
        "sub": format!("system:serviceaccount:{namespace}:{account}"),
        "iat": 1_700_000_000,
        "exp": 4_000_000_000_u64,
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": UID}},
    });
    let parts = [json!({"alg": "RS256", "typ": "JWT"}).to_string(), claims.to_string(), signature.to_owned()];
    parts.map(|part| BASE64URL_NOPAD.encode(part.as_bytes())).join(".")
}

/// A `TokenReview`.
async fn review(body: String) -> impl IntoResponse {
    let asked: Value = serde_json::from_str(&body).unwrap();
    let status = if asked["spec"]["token"] == token(GENUINE) {
        let name = format!("system:serviceaccount:{}:{}", Kubernetes::NAMESPACE, Kubernetes::ACCOUNT);
        json!({"authenticated": true, "user": {"username": name, "uid": UID}, "audiences": [AUDIENCE]})
    } else {
        json!({"authenticated": false, "error": "it was signed by somebody else"})
    };
    let answer = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status});
    (StatusCode::CREATED, [(CONTENT_TYPE, "application/json")], answer.to_string())
}
