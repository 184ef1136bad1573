//! Credentials, requests and answers; keys and certificates by `openssl`, as operators make them.

mod answers;
mod assertions;
mod records;

use std::fs;
use std::process::Command;
use std::sync::LazyLock;

use super::{Authentication, Grant, OAuth2};
use crate::model::Secret;

/// A key and a certificate for it, PEM.
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) certificate: String,
}

/// A good one.
pub(super) static RSA: LazyLock<Pair> = LazyLock::new(pair);

/// Another one.
static OTHER: LazyLock<Pair> = LazyLock::new(pair);

fn pair() -> Pair {
    let key = openssl(&["genrsa", "2048"], "");
    let certificate = openssl(&["req", "-x509", "-new", "-key", "IN", "-days", "30", "-subj", "/CN=locum"], &key);
    Pair { key, certificate }
}

/// What `openssl` writes; `IN` among the arguments stands for a file with that text.
fn openssl(arguments: &[&str], text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.pem");
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let arguments = arguments.iter().map(|&argument| if argument == "IN" { file } else { argument });
    let output = Command::new("openssl").args(arguments).output().expect("openssl is there (tests/install)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn application(authentication: Authentication) -> OAuth2 {
    OAuth2 {
        tenant: Some("contoso.onmicrosoft.com".into()),
        client_id: "11111111-2222-3333-4444-555555555555".into(),
        authentication,
        grant: Grant::ClientCredentials,
    }
}

fn with_certificate(certificate: &str, key: &str) -> OAuth2 {
    application(Authentication::Certificate { certificate: certificate.into(), key: Secret::new(key) })
}

fn service_account() -> OAuth2 {
    OAuth2 {
        tenant: None,
        client_id: "locum@project.iam.gserviceaccount.com".into(),
        authentication: Authentication::Key { key: Secret::new(RSA.key.as_str()), id: Some("kid-1".into()) },
        grant: Grant::ServiceAccount,
    }
}
