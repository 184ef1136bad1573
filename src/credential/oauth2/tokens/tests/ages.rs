//! What is done with a token as it ages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::super::super::{FailureKind, Grant, Granted, HttpAnswer, HttpError, TokenEndpoint};
use super::super::life::{AccessToken, Age};
use super::super::{TokenOptions, Tokens, shield};
use super::{Fake, Kept, granted, refused, run, text, tokens, wanted};
use crate::model::Secret;

const AHEAD: Duration = Duration::from_secs(15 * 60);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_token_is_due_a_while_before_its_end_and_not_at_the_same_time_everywhere() {
    let began = Instant::now();
    let of = |life| {
        let granted = Granted { access_token: Secret::new("t"), expires_in: seconds(life), refresh_token: None };
        AccessToken::new(&granted, began, AHEAD, &shield())
    };
    for (life, due, nearly_over) in [(3600, 2700, 3540), (86_400, 85_500, 86_340), (600, 450, 540), (60, 45, 54)] {
        let token = of(life);
        assert_eq!(token.age(began + seconds(due) - Duration::from_millis(1)), Age::Fresh, "{life}");
        assert_eq!(token.age(began + seconds(nearly_over) - Duration::from_millis(1)), Age::Due, "{life}");
        assert_eq!(token.age(began + seconds(nearly_over)), Age::NearlyOver, "{life}");
        assert_eq!(token.age(began + seconds(life)), Age::Over, "{life}");
    }
    let in_between = began + seconds(3600) - AHEAD.mul_f64(0.9);
    let ages: Vec<Age> = (0..100).map(|_| of(3600).age(in_between)).collect();
    assert!(ages.contains(&Age::Fresh) && ages.contains(&Age::Due));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_due_is_used_at_once_and_replaced_meanwhile() {
    let fake = Fake::slow(seconds(10), |count, _| granted(&format!("t{count}"), 3600));
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let wanted = wanted(Grant::ClientCredentials, "c1");
    tokens.access_token(&wanted).await.unwrap();
    sleep(seconds(3000)).await;
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "t0");
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    sleep(seconds(11)).await;
    assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "t1");
    assert_eq!(fake.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_nearly_over_is_waited_for() {
    let fake = Fake::new(|count, _| granted(&format!("t{count}"), 3600));
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let wanted = wanted(Grant::ClientCredentials, "c1");
    tokens.access_token(&wanted).await.unwrap();
    sleep(seconds(3550)).await;
    assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "t1");
}

#[tokio::test(start_paused = true)]
async fn nobody_who_has_a_token_waits_long_for_another() {
    let is_slow = Arc::new(AtomicBool::new(false));
    let fake = Fake::slow(seconds(0), |count, _| granted(&format!("t{count}"), 3600));
    let slow = Fake::hanging("", |_, _| granted("late", 3600));
    let endpoint = Switch { is_slow: Arc::clone(&is_slow), fake, slow };
    let tokens = Arc::new(Tokens::new(Arc::new(endpoint), Arc::<Kept>::default(), TokenOptions::default()));
    let _running = run(&tokens);
    let wanted = wanted(Grant::ClientCredentials, "c1");
    tokens.access_token(&wanted).await.unwrap();
    is_slow.store(true, Ordering::Relaxed);
    sleep(seconds(3550)).await;
    let began = Instant::now();
    assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "t0");
    assert!(began.elapsed() <= seconds(3), "{:?}", began.elapsed());
}

/// One authority while it is well, another when it is not.
#[derive(Debug)]
struct Switch {
    is_slow: Arc<AtomicBool>,
    fake: Arc<Fake>,
    slow: Arc<Fake>,
}

#[async_trait]
impl TokenEndpoint for Switch {
    async fn post(&self, url: &str, form: &[(&str, Secret)]) -> Result<HttpAnswer, HttpError> {
        let now = if self.is_slow.load(Ordering::Relaxed) { &self.slow } else { &self.fake };
        now.post(url, form).await
    }
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_a_token_is_used_to_its_end() {
    let is_out = Arc::new(AtomicBool::new(false));
    let fake = Fake::new({
        let is_out = Arc::clone(&is_out);
        move |count, _| match is_out.load(Ordering::Relaxed) {
            true => refused(503, "temporarily_unavailable"),
            false => granted(&format!("t{count}"), 3600),
        }
    });
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let wanted = wanted(Grant::ClientCredentials, "c1");
    tokens.access_token(&wanted).await.unwrap();
    is_out.store(true, Ordering::Relaxed);
    for at in [2800, 3000, 3550, 3590] {
        let began = tokens.access_token(&wanted).await.unwrap();
        sleep(seconds(at).saturating_sub(seconds(3600).saturating_sub(began.left()))).await;
        assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "t0", "{at}");
    }
    sleep(seconds(20)).await;
    assert_eq!(tokens.access_token(&wanted).await.unwrap_err().kind(), FailureKind::Transient);
    is_out.store(false, Ordering::Relaxed);
    sleep(seconds(121)).await;
    tokens.access_token(&wanted).await.unwrap();
}
