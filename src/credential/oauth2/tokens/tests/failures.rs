//! What an authority that fails is spared, and for how long.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::super::super::{FailureKind, Grant, HttpAnswer, HttpError};
use super::super::Tokens;
use super::{Fake, Form, Wanted, answer, granted, refused, run, text, tokens, wanted};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Asks every second for so long, and says at which seconds the authority was asked.
async fn asked_at(tokens: &Tokens, fake: &Fake, wanted: &Wanted, span: u64) -> Vec<u64> {
    let (began, mut asked) = (Instant::now(), Vec::new());
    while began.elapsed() < seconds(span) {
        let before = fake.count();
        tokens.access_token(wanted).await.unwrap_err();
        if fake.count() > before {
            asked.push(began.elapsed().as_secs());
        }
        sleep(seconds(1)).await;
    }
    asked
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_says_how_long_is_obeyed() {
    let fake = Fake::new(|_, _| {
        Ok(HttpAnswer { retry_after: Some(seconds(90)), ..answer(429, r#"{"error":"temporarily_unavailable"}"#) })
    });
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let asked = asked_at(&tokens, &fake, &wanted(Grant::ClientCredentials, "c1"), 100).await;
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!((90..=92).contains(&asked[1]), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_two_minutes_where_time_may_help() {
    let fake = Fake::new(|count, _| match count % 2 {
        0 => Err(HttpError::Unreachable("connection refused".into())),
        _ => Ok(answer(502, "<html>Bad gateway</html>")),
    });
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let asked = asked_at(&tokens, &fake, &wanted(Grant::ClientCredentials, "c1"), 1000).await;
    let pauses: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (pause, step) in pauses.iter().zip([2, 4, 8, 16, 32, 64, 120, 120, 120]) {
        assert!((step * 8 / 10..=step + 2).contains(pause), "{pauses:?}");
    }
    assert!(pauses.len() >= 9, "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn pauses_are_long_where_somebody_has_to_act() {
    for error in ["invalid_client", "consent_required"] {
        let fake = Fake::new(move |_, _| refused(401, error));
        let tokens = tokens(&fake, &Arc::default());
        let _running = run(&tokens);
        let asked = asked_at(&tokens, &fake, &wanted(Grant::ClientCredentials, "c1"), 4000).await;
        let pauses: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (pause, step) in pauses.iter().zip([60, 120, 240, 480, 900, 900]) {
            assert!((step * 8 / 10..=step + 2).contains(pause), "{pauses:?}");
        }
        assert!(pauses.len() >= 6, "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_repaired_in_the_portal_works_after_the_pause() {
    let fake = Fake::new(|count, _| if count == 0 { refused(401, "invalid_client") } else { granted("t", 3600) });
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let wanted = wanted(Grant::ClientCredentials, "c1");
    assert_eq!(tokens.access_token(&wanted).await.unwrap_err().kind(), FailureKind::Permanent);
    sleep(seconds(61)).await;
    assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "t");
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_hangs_is_given_up() {
    let fake = Fake::slow(seconds(3600), |_, _| granted("t", 3600));
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let began = Instant::now();
    let failure = tokens.access_token(&wanted(Grant::ClientCredentials, "c1")).await.unwrap_err();
    assert_eq!((began.elapsed(), failure.kind()), (seconds(15), FailureKind::Transient));
    assert!(failure.to_string().contains("15s"), "{failure}");
}

/// The time that a signed request was made at.
fn issued(form: &Form) -> i64 {
    let claims = form["assertion"].split('.').nth(1).unwrap();
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap();
    serde_json::from_slice::<serde_json::Value>(&claims).unwrap()["iat"].as_i64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn where_only_the_clocks_disagree_the_authoritys_time_is_used_once() {
    let ahead = SignedDuration::from_secs(7200);
    let theirs = move || Timestamp::now().checked_add(ahead).unwrap();
    let fake = Fake::new(move |count, form| match (theirs().as_second() - issued(form)).abs() < 60 {
        true => granted(&format!("t{count}"), 3600),
        false => {
            let body = r#"{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."}"#;
            Ok(HttpAnswer { date: Some(theirs()), ..answer(400, body) })
        }
    });
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    assert_eq!(text(&tokens.access_token(&wanted(Grant::ServiceAccount, "c1")).await.unwrap()), "t1");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_not_the_reason_is_tried_no_third_time() {
    let fake = Fake::new(|_, _| {
        let date = Timestamp::now().checked_sub(SignedDuration::from_secs(600)).unwrap();
        let body = r#"{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token"}"#;
        Ok(HttpAnswer { date: Some(date), ..answer(400, body) })
    });
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let failure = tokens.access_token(&wanted(Grant::ServiceAccount, "c1")).await.unwrap_err().to_string();
    assert_eq!(fake.count(), 2);
    assert!(failure.contains("clock is 6") || failure.contains("clock is 599"), "{failure}");
    assert!(failure.contains("s ahead of the authority's"), "{failure}");
}
