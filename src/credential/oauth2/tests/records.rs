//! What can be stored, and what is said of what cannot.

use jiff::Timestamp;

use super::super::{Authentication, Grant, OAuth2};
use super::{OTHER, RSA, application, openssl, service_account, with_certificate};
use crate::model::Secret;

fn store(credential: OAuth2, now: Timestamp) -> Result<OAuth2, String> {
    let stored = credential.into_stored("c1".into(), "", now).map_err(|error| error.to_string())?;
    OAuth2::from_stored(&stored).map_err(|error| error.to_string())
}

#[track_caller]
fn is_refused(credential: OAuth2, part: &str) {
    let said = store(credential, Timestamp::now()).unwrap_err();
    assert!(said.contains(part), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

fn secret(secret: &str, expires: Option<Timestamp>) -> Authentication {
    Authentication::Secret { secret: Secret::new(secret), expires }
}

#[test]
fn each_credential_comes_back_as_it_was() {
    let at = Some("2027-03-01T00:00:00Z".parse().unwrap());
    let delegated = |authentication| OAuth2 { grant: Grant::RefreshToken, ..application(authentication) };
    for credential in [
        application(secret("s1", None)),
        application(secret("s1", at)),
        with_certificate(&RSA.certificate, &RSA.key),
        delegated(Authentication::Public),
        delegated(secret("s1", at)),
        service_account(),
    ] {
        assert_eq!(store(credential.clone(), Timestamp::now()), Ok(credential));
    }
}

#[test]
fn keys_that_cannot_be_used_are_refused_with_what_to_do() {
    let sec1 = openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout"], "");
    let ec = openssl(&["pkey", "-in", "IN"], &sec1);
    let small = openssl(&["genrsa", "1024"], "");
    let encrypted = openssl(&["pkey", "-in", "IN", "-aes256", "-passout", "pass:x"], &RSA.key);
    let old_encrypted = openssl(&["rsa", "-in", "IN", "-traditional", "-aes256", "-passout", "pass:x"], &RSA.key);
    let damaged = RSA.key.replace(&RSA.key[200..300], &RSA.key[400..500]);
    for (key, part) in [
        (sec1.as_str(), "not an RSA key"),
        (&ec, "not an RSA key"),
        (&small, "under 2048 bits"),
        (&encrypted, "is encrypted"),
        (&old_encrypted, "is encrypted"),
        (&damaged, "is damaged"),
        (&RSA.certificate, "no private key"),
        ("canary", "no private key"),
        ("", "no private key"),
        (&OTHER.key, "not the one of the certificate"),
    ] {
        is_refused(with_certificate(&RSA.certificate, key), part);
        if key != OTHER.key {
            let authentication = Authentication::Key { key: Secret::new(key), id: None };
            is_refused(OAuth2 { authentication, ..service_account() }, part);
        }
    }
    is_refused(with_certificate("canary", &RSA.key), "no certificate in PEM form");
    is_refused(with_certificate(&RSA.key, &RSA.key), "no certificate in PEM form");
}

#[test]
fn a_certificate_is_stored_in_its_time_only() {
    let credential = || with_certificate(&RSA.certificate, &RSA.key);
    let said = store(credential(), "2100-01-01T00:00:00Z".parse().unwrap()).unwrap_err();
    assert!(said.contains("expired on"), "{said}");
    let said = store(credential(), "2000-01-01T00:00:00Z".parse().unwrap()).unwrap_err();
    assert!(said.contains("not valid before"), "{said}");
}

#[test]
fn parts_that_do_not_go_together_are_refused() {
    let of = |grant, authentication| OAuth2 { grant, ..application(authentication) };
    let key = || Authentication::Key { key: Secret::new(RSA.key.as_str()), id: None };
    is_refused(of(Grant::ClientCredentials, Authentication::Public), "needs a secret or a certificate");
    is_refused(of(Grant::ClientCredentials, key()), "goes with its certificate");
    is_refused(of(Grant::RefreshToken, key()), "goes with its certificate");
    is_refused(of(Grant::ServiceAccount, secret("canary", None)), "needs its private key");
    is_refused(of(Grant::ServiceAccount, Authentication::Public), "needs its private key");
    for broken in ["", "canary\n", "canary\0"] {
        is_refused(application(secret(broken, None)), "must be one line");
    }
    is_refused(OAuth2 { tenant: Some("a/b".into()), ..application(secret("canary", None)) }, "the tenant must be");
    is_refused(OAuth2 { client_id: "a b".into(), ..application(secret("canary", None)) }, "must be one word");
}

#[test]
fn the_end_is_that_of_the_secret_or_of_the_certificate() {
    let at = "2027-03-01T00:00:00Z".parse().unwrap();
    assert_eq!(application(secret("s1", Some(at))).expires(), Some(at));
    assert_eq!(application(secret("s1", None)).expires(), None);
    assert_eq!(service_account().expires(), None);
    let left = with_certificate(&RSA.certificate, &RSA.key).expires().unwrap().duration_since(Timestamp::now());
    assert!((29 * 24..=30 * 24).contains(&left.as_hours()), "{left:?}");
}

#[test]
fn a_service_account_is_read_from_googles_key_file() {
    let file = |key: &str, kind: &str| {
        let json = serde_json::json!({
            "type": kind,
            "project_id": "project",
            "private_key_id": "kid-1",
            "private_key": key,
            "client_email": "locum@project.iam.gserviceaccount.com",
            "token_uri": "https://evil.example/token",
        });
        OAuth2::service_account(&Secret::new(json.to_string()))
    };
    assert_eq!(file(&RSA.key, "service_account"), Ok(service_account()));
    for (key, kind) in [(RSA.key.as_str(), "authorized_user"), ("canary", "service_account")] {
        let said = file(key, kind).unwrap_err().to_string();
        assert!(said.contains("no key file") || said.contains("no private key"), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
    for text in ["canary", "{}", "[]", r#"{"type":"service_account","private_key":"canary","client_email":7}"#] {
        let said = OAuth2::service_account(&Secret::new(text)).unwrap_err().to_string();
        assert!(said.contains("no key file") && !said.contains("canary"), "{said}");
    }
}

#[test]
fn each_part_makes_another_version() {
    let first = application(secret("s1", None));
    let others = [
        application(secret("s2", None)),
        OAuth2 { tenant: Some("fabrikam.com".into()), ..first.clone() },
        OAuth2 { client_id: "another".into(), ..first.clone() },
        OAuth2 { grant: Grant::RefreshToken, ..first.clone() },
        with_certificate(&RSA.certificate, &RSA.key),
    ];
    assert_eq!(first.version("c1"), first.clone().version("c1"));
    assert_ne!(first.version("c1"), first.version("c2"));
    for other in others {
        assert_ne!(first.version("c1"), other.version("c1"), "{other:?}");
    }
}
