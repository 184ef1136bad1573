//! What is asked, and that what is signed can be verified.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use ring::digest;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::{Authentication, FailureKind, Grant, OAuth2, Request};
use super::{RSA, application, openssl, service_account, with_certificate};
use crate::model::{Authority, Secret, presets};

const NOW: i64 = 1_795_400_000;

fn authority(preset: &str) -> Authority {
    presets::preset(preset).unwrap().authority.unwrap()
}

fn asked(credential: &OAuth2, preset: &str, refresh_token: Option<&str>) -> (String, BTreeMap<&'static str, String>) {
    let refresh_token = refresh_token.map(Secret::new);
    let now = Timestamp::from_second(NOW).unwrap();
    let request =
        Request::new(credential, &authority(preset), "alice@contoso.com", refresh_token.as_ref(), now).unwrap();
    let text = |value: Secret| value.expose_text().unwrap().to_owned();
    (request.url, request.form.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// The header and the claims of a JWT whose signature is good.
fn verified(token: &str, algorithm: &'static dyn VerificationAlgorithm) -> (Value, Value) {
    let der = CertificateDer::from_pem_slice(RSA.certificate.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let key = UnparsedPublicKey::new(algorithm, &certificate.public_key().subject_public_key.data);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let decoded = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).unwrap();
    key.verify(signed.as_bytes(), &decoded(signature)).expect("the signature is good");
    let (header, claims) = signed.split_once('.').unwrap();
    let json = |part| serde_json::from_slice(&decoded(part)).unwrap();
    (json(header), json(claims))
}

#[test]
fn an_application_asks_with_its_secret() {
    let secret = Authentication::Secret { secret: Secret::new("s~ 1"), expires: None };
    let (url, form) = asked(&application(secret), "exchange-online", None);
    assert_eq!(url, "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token");
    let expected = BTreeMap::from([
        ("grant_type", "client_credentials"),
        ("client_id", "11111111-2222-3333-4444-555555555555"),
        ("client_secret", "s~ 1"),
        ("scope", "https://outlook.office365.com/.default"),
    ]);
    assert_eq!(form, expected.into_iter().map(|(name, value)| (name, value.to_owned())).collect());
}

#[test]
fn an_application_asks_with_its_certificate() {
    let pkcs1 = openssl(&["rsa", "-in", "IN", "-traditional"], &RSA.key);
    assert!(pkcs1.contains("BEGIN RSA PRIVATE KEY"), "{pkcs1:.40}");
    let mut seen = Vec::new();
    for key in [&RSA.key, &pkcs1] {
        let (url, form) = asked(&with_certificate(&RSA.certificate, key), "exchange-online", None);
        assert!(!form.contains_key("client_secret"));
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let (header, mut claims) = verified(&form["client_assertion"], &RSA_PSS_2048_8192_SHA256);
        let der = CertificateDer::from_pem_slice(RSA.certificate.as_bytes()).unwrap();
        let thumbprint = BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, &der).as_ref());
        assert_eq!(header, json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint }));
        let id = claims["jti"].take().as_str().unwrap().to_owned();
        assert!(id.len() == 36 && id.as_bytes()[14] == b'4', "{id}");
        seen.push(id);
        let client_id = "11111111-2222-3333-4444-555555555555";
        let expected = json!({
            "aud": url, "iss": client_id, "sub": client_id, "jti": null, "nbf": NOW, "iat": NOW, "exp": NOW + 600,
        });
        assert_eq!(claims, expected);
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn a_service_account_asks_for_one_mailbox() {
    let (url, form) = asked(&service_account(), "gmail", None);
    assert_eq!(url, "https://oauth2.googleapis.com/token");
    assert_eq!(form.len(), 2);
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (header, claims) = verified(&form["assertion"], &RSA_PKCS1_2048_8192_SHA256);
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "kid-1" }));
    let expected = json!({
        "iss": "locum@project.iam.gserviceaccount.com",
        "sub": "alice@contoso.com",
        "scope": "https://mail.google.com/",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": NOW,
        "exp": NOW + 600,
    });
    assert_eq!(claims, expected);
}

#[test]
fn a_refresh_token_is_sent_with_what_the_application_has() {
    let ways = [
        (Authentication::Public, None),
        (Authentication::Secret { secret: Secret::new("s1"), expires: None }, Some("client_secret")),
        (with_certificate(&RSA.certificate, &RSA.key).authentication, Some("client_assertion")),
    ];
    for (authentication, expected) in ways {
        let credential = OAuth2 { grant: Grant::RefreshToken, ..application(authentication) };
        let (_, form) = asked(&credential, "exchange-online", Some("r1"));
        assert_eq!((form["grant_type"].as_str(), form["refresh_token"].as_str()), ("refresh_token", "r1"));
        assert_eq!(form["scope"].split(' ').next_back(), Some("offline_access"));
        for field in ["client_secret", "client_assertion"] {
            assert_eq!(form.contains_key(field), expected == Some(field), "{field}");
        }
    }
}

#[test]
fn a_url_with_a_tenant_needs_one() {
    let secret = Authentication::Secret { secret: Secret::new("s1"), expires: None };
    let credential = OAuth2 { tenant: None, ..application(secret) };
    let failure = Request::new(&credential, &authority("exchange-online"), "", None, Timestamp::now()).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Permanent);
    assert!(failure.to_string().contains("names no tenant"), "{failure}");
    assert!(Request::new(&credential, &authority("gmail"), "", None, Timestamp::now()).is_ok());
}

#[test]
fn without_a_refresh_token_none_is_asked_for() {
    let credential = OAuth2 { grant: Grant::RefreshToken, ..application(Authentication::Public) };
    let failure = Request::new(&credential, &authority("exchange-online"), "", None, Timestamp::now()).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::NeedsConsent);
}
