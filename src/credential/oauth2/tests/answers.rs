//! What authorities answer, and what comes of it.

use std::time::Duration;

use super::super::{FailureKind, Granted, HttpAnswer, TokenFailure};
use crate::model::Secret;
use FailureKind::{NeedsConsent, Permanent, Transient};

fn answer(status: u16, body: &str) -> HttpAnswer {
    HttpAnswer { status, retry_after: None, date: None, body: Secret::new(body) }
}

fn read(status: u16, body: &str) -> Result<Granted, TokenFailure> {
    Granted::from_answer(&answer(status, body), &form("client_secret"))
}

/// The form of a grant that has this field.
fn form(field: &'static str) -> Vec<(&'static str, Secret)> {
    vec![("client_id", Secret::new("11111111-aaaa")), (field, Secret::new("canary-7f3a~Secret"))]
}

#[test]
fn a_token_lives_as_long_as_is_said_within_reason() {
    for (said, seconds) in [
        ("", 3600),
        (r#","expires_in":null"#, 3600),
        (r#","expires_in":4000"#, 4000),
        (r#","expires_in":"4000""#, 4000),
        (r#","expires_in":" 4000 ""#, 4000),
        (r#","expires_in":4000.7"#, 4000),
        (r#","expires_in":100000"#, 86_400),
        (r#","expires_in":1e300"#, 86_400),
    ] {
        let granted = read(200, &format!(r#"{{"access_token":"abc"{said}}}"#)).unwrap();
        assert_eq!(granted.expires_in.as_secs(), seconds, "{said}");
        assert_eq!((granted.access_token, granted.refresh_token), (Secret::new("abc"), None));
    }
    for said in ["0", "-5", "\"0\"", "\"-1\""] {
        let failure = read(200, &format!(r#"{{"access_token":"abc","expires_in":{said}}}"#)).unwrap_err();
        assert_eq!(failure.kind(), Transient);
        assert!(failure.to_string().contains("over already"), "{failure}");
    }
}

#[test]
fn what_else_stands_in_an_answer_does_not_matter() {
    let body = r#"{"token_type":"BEARER","scope":"x","expires_in":3599,"ext_expires_in":3599,"id_token":{"a":[1]},
        "access_token":"ya29.a-b_c~d+e/f==","refresh_token":"1//0g-x_y z","foo":null}"#;
    let granted = read(200, body).unwrap();
    assert_eq!(granted.access_token, Secret::new("ya29.a-b_c~d+e/f=="));
    assert_eq!(granted.refresh_token, Some(Secret::new("1//0g-x_y z")));
    assert_eq!(granted.expires_in, Duration::from_secs(3599));
}

#[test]
fn answers_that_cannot_be_used_are_told_plainly() {
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(9217));
    let deep = format!(r#"{{"access_token":{}"#, "[".repeat(5000));
    for (status, body, part) in [
        (200, "", "is no token endpoint"),
        (200, "<html>canary</html>", "is no token endpoint"),
        (200, r#""canary""#, "is no token endpoint"),
        (200, r#"["canary"]"#, "is no token endpoint"),
        (200, r#"{"access_token":"canary"#, "is no token endpoint"),
        (200, deep.as_str(), "is no token endpoint"),
        (404, "<html>canary</html>", "(404) is no token endpoint"),
        (200, "{}", "no access_token"),
        (200, r#"{"access_token":7}"#, "access_token is no string"),
        (200, r#"{"access_token":["canary"]}"#, "access_token is no string"),
        (200, r#"{"access_token":{"a":"canary"}}"#, "access_token is no string"),
        (200, r#"{"access_token":""}"#, "characters that no token has"),
        (200, r#"{"access_token":"canary\r\nA1 LOGOUT"}"#, "characters that no token has"),
        (200, r#"{"access_token":"canary\u0001"}"#, "characters that no token has"),
        (200, r#"{"access_token":"canary canary"}"#, "characters that no token has"),
        (200, &long, "longer than mail protocols can carry"),
        (200, r#"{"access_token":"canary","token_type":"mac"}"#, "not Bearer"),
        (200, r#"{"access_token":"canary","token_type":7}"#, "not Bearer"),
        (200, r#"{"access_token":"canary","expires_in":true}"#, "expires_in is no number"),
        (200, r#"{"access_token":"canary","expires_in":"soon"}"#, "expires_in is no number"),
        (200, r#"{"access_token":"canary","refresh_token":7}"#, "refresh_token is no string"),
        (200, r#"{"access_token":"canary","refresh_token":"canary\n"}"#, "refresh_token has characters"),
        (301, "", "redirect (301)"),
        (302, r#"{"access_token":"canary"}"#, "redirect (302)"),
    ] {
        let failure = read(status, body).unwrap_err();
        assert_eq!(failure.kind(), Permanent, "{failure}");
        let said = format!("{failure} {failure:?}");
        assert!(said.contains(part), "{said}");
        assert!(!said.contains("canary"), "{said}");
        assert!(failure.to_string().contains("token-url"), "{said}");
    }
}

#[test]
fn trouble_that_passes_is_transient_whatever_the_body_says() {
    for (status, body) in [
        (429, ""),
        (429, r#"{"error":"invalid_request"}"#),
        (500, "<html>"),
        (503, r#"{"error":"invalid_grant"}"#),
        (504, ""),
        (400, r#"{"error":"temporarily_unavailable"}"#),
        (400, r#"{"error":"server_error"}"#),
        (400, r#"{"error":"slow_down"}"#),
        (400, r#"{"error":"invalid_request","error_codes":[90033]}"#),
    ] {
        let answer = HttpAnswer { retry_after: Some(Duration::from_secs(7)), ..answer(status, body) };
        let failure = Granted::from_answer(&answer, &form("refresh_token")).unwrap_err();
        assert_eq!(failure.kind(), Transient, "{status} {body}");
        assert_eq!(failure.retry_after(), Some(Duration::from_secs(7)));
        assert!(!failure.wants_other_token());
    }
    // Microsoft's code says that it passes.
    let failure = Granted::from_answer(
        &answer(400, r#"{"error":"invalid_grant","error_codes":[90033]}"#),
        &form("refresh_token"),
    );
    let failure = failure.unwrap_err();
    assert_eq!((failure.kind(), failure.wants_other_token()), (Transient, false));
}

#[test]
fn error_words_decide() {
    for (word, kind) in [
        ("invalid_grant", Permanent),
        ("invalid_client", Permanent),
        ("unauthorized_client", Permanent),
        ("invalid_scope", Permanent),
        ("invalid_request", Permanent),
        ("unsupported_grant_type", Permanent),
        ("disabled_client", Permanent),
        ("deleted_client", Permanent),
        ("something_new", Permanent),
        ("interaction_required", NeedsConsent),
        ("consent_required", NeedsConsent),
        ("login_required", NeedsConsent),
        ("access_denied", NeedsConsent),
        ("authorization_pending", Transient),
    ] {
        let failure = read(400, &format!(r#"{{"error":"{word}"}}"#)).unwrap_err();
        assert_eq!((failure.kind(), failure.code(), failure.error()), (kind, Some(word), Some(word)));
        assert!(!failure.wants_other_token(), "no refresh token was sent");
    }
    // A refusal may come with any status, and with none of its own.
    assert_eq!(read(200, r#"{"error":"invalid_client"}"#).unwrap_err().code(), Some("invalid_client"));
    for broken in ["7", "[]", "{}", r#""UPPER CASE""#, r#""\u001b[2J""#] {
        let failure = read(400, &format!(r#"{{"error":{broken}}}"#)).unwrap_err();
        assert_eq!((failure.kind(), failure.code()), (Permanent, None), "{broken}");
    }
}

/// Every code of Microsoft that is known, with who has to act.
#[test]
fn codes_are_told_with_cause_and_remedy() {
    const CONSENT: &[u64] = &[
        50055, 50056, 50072, 50074, 50076, 50078, 50079, 50097, 50105, 50131, 50133, 50144, 50158, 50173, 53000, 53001,
        53002, 53003, 530_035, 65001, 65004, 70000, 70008, 70043, 90094, 700_082,
    ];
    const CORRECT: &[u64] = &[
        28000, 50020, 50034, 50053, 50057, 50126, 50194, 50196, 70001, 70002, 70011, 70018, 70019, 90002, 500_011,
        650_052, 650_056, 650_057, 700_011, 700_016, 700_024, 700_025, 700_027, 7_000_112, 7_000_215, 7_000_218,
        7_000_222,
    ];
    let all = CONSENT.iter().map(|&code| (code, NeedsConsent)).chain(CORRECT.iter().map(|&code| (code, Permanent)));
    for (code, kind) in all.chain([(70016, Transient), (90033, Transient)]) {
        let body = format!(
            r#"{{"error":"invalid_grant","error_description":"AADSTS{code}: Words. Trace ID: 1 Timestamp: 2",
                "error_codes":[{code}],"trace_id":"aaaa-1","correlation_id":"bbbb-2"}}"#
        );
        let failure = Granted::from_answer(&answer(400, &body), &form("client_secret")).unwrap_err();
        assert_eq!(failure.kind(), kind, "{code}");
        assert_eq!(failure.code(), Some(format!("AADSTS{code}").as_str()));
        let said = failure.to_string();
        assert!(said.ends_with(&format!("(AADSTS{code}, trace aaaa-1, correlation bbbb-2)")), "{said}");
        assert!(failure.cause().len() > 15 && failure.remedy().len() > 12, "{said}");
        assert!(!said.contains("Words"), "what is known needs no other words: {said}");
    }
    let first_known = r#"{"error":"invalid_grant","error_codes":["x",1,65001]}"#;
    assert_eq!(read(400, first_known).unwrap_err().kind(), NeedsConsent);
}

#[test]
fn a_code_in_the_text_explains_and_does_not_decide() {
    let body = r#"{"error":"invalid_client","error_description":"AADSTS65001: The user has not consented."}"#;
    let failure = read(401, body).unwrap_err();
    assert_eq!((failure.kind(), failure.code()), (Permanent, Some("AADSTS65001")));
    assert!(failure.cause().contains("consented"), "{failure}");
}

#[test]
fn google_is_understood() {
    for (field, body, kind, part) in [
        (
            "refresh_token",
            r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
            Permanent,
            "expired, or was revoked",
        ),
        (
            "assertion",
            r#"{"error":"invalid_grant","error_description":"Invalid email or User ID"}"#,
            Permanent,
            "no mailbox of this name",
        ),
        (
            "assertion",
            r#"{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes)"}"#,
            Permanent,
            "set this machine's clock right",
        ),
        (
            "assertion",
            r#"{"error":"unauthorized_client","error_description":"Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested."}"#,
            NeedsConsent,
            "Domain-wide delegation",
        ),
        (
            "refresh_token",
            r#"{"error":"invalid_grant","error_description":"reauth related error (invalid_rapt)","error_subtype":"invalid_rapt"}"#,
            NeedsConsent,
            "prove themselves again",
        ),
        (
            "client_secret",
            r#"{"error":"disabled_client","error_description":"The OAuth client was disabled."}"#,
            Permanent,
            "disabled",
        ),
        (
            "client_secret",
            r#"{"error":"deleted_client","error_description":"The OAuth client was deleted."}"#,
            Permanent,
            "deleted",
        ),
    ] {
        let failure = Granted::from_answer(&answer(400, body), &form(field)).unwrap_err();
        assert_eq!(failure.kind(), kind, "{failure}");
        assert!(failure.to_string().contains(part), "{failure}");
    }
}

#[test]
fn a_refresh_token_is_dead_by_invalid_grant_alone() {
    for (error, is_dead) in [("invalid_grant", true), ("invalid_client", false), ("interaction_required", false)] {
        let body = format!(r#"{{"error":"{error}","error_codes":[50076]}}"#);
        let failure = Granted::from_answer(&answer(400, &body), &form("refresh_token")).unwrap_err();
        assert_eq!(failure.wants_other_token(), is_dead, "{error}");
        let failure = Granted::from_answer(&answer(400, &body), &form("assertion")).unwrap_err();
        assert!(!failure.wants_other_token());
    }
}

#[test]
fn what_is_about_the_application_itself_is_told_apart() {
    let about = |status: u16, body: &str, field| {
        Granted::from_answer(&answer(status, body), &form(field)).unwrap_err().is_about_the_application()
    };
    for code in [70002, 700_011, 700_016, 700_025, 700_027, 7_000_215, 7_000_218, 7_000_222] {
        assert!(
            about(401, &format!(r#"{{"error":"invalid_client","error_codes":[{code}]}}"#), "client_secret"),
            "{code}"
        );
    }
    for code in [50057, 65001, 700_024, 7_000_112] {
        let body = format!(r#"{{"error":"invalid_client","error_codes":[{code}]}}"#);
        assert!(!about(401, &body, "client_secret"), "{code}");
    }
    assert!(about(401, r#"{"error":"invalid_client"}"#, "client_secret"));
    assert!(about(401, r#"{"error":"invalid_client","error_codes":[1]}"#, "client_secret"));
    assert!(!about(503, r#"{"error":"invalid_client"}"#, "client_secret"), "an authority in trouble is not definite");
    let of_key = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    assert!(about(400, of_key, "assertion"));
    assert!(!about(400, of_key, "refresh_token"));
    assert!(!about(400, r#"{"error":"invalid_grant"}"#, "assertion"));
}

#[test]
fn nothing_that_was_sent_is_repeated() {
    for field in ["client_secret", "client_assertion", "assertion", "refresh_token", "code", "device_code"] {
        for said in ["canary-7f3a~Secret", "CANARY-7F3A~SECRET", "x canary-7f3a...", "'nary-7f3a~Secret'"] {
            let body = format!(r#"{{"error":"odd_error","error_description":"No good: {said}"}}"#);
            let failure = Granted::from_answer(&answer(400, &body), &form(field)).unwrap_err();
            let said = format!("{failure} {failure:?}").to_lowercase();
            assert!(said.contains("no good: ") && !said.contains("nary-7f"), "{said}");
        }
    }
    let failure = read(400, r#"{"error":"canary-7f3a~secret","trace_id":"canary-7f3a~Secret"}"#).unwrap_err();
    assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
}

#[test]
fn an_unknown_text_is_one_short_printable_line() {
    let body = serde_json::json!({ "error": "odd", "error_description": format!("one\r\n\ttwo\u{1b}[2J {}", "x".repeat(5000)) });
    let failure = read(400, &body.to_string()).unwrap_err().to_string();
    assert!(failure.contains("(odd, \"one two [2J xxx"), "{failure}");
    let body = r#"{"error":"odd","error_description":"New words.\r\nTrace ID: 1\r\nCorrelation ID: 2"}"#;
    assert!(read(400, body).unwrap_err().to_string().ends_with("(odd, \"New words.\")"));
    assert!(failure.len() < 700 && !failure.contains(char::is_control), "{failure}");
}
