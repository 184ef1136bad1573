//! Who asks, how often the authority is asked, and what is kept under which key.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::super::super::{FailureKind, Grant};
use super::super::{TokenOptions, Tokens};
use super::{Fake, Kept, authority, granted, run, text, tokens, wanted};

#[tokio::test(start_paused = true)]
async fn two_hundred_that_ask_at_once_make_one_request() {
    let fake = Fake::new(|count, _| granted(&format!("t{count}"), 3600));
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let wanted = wanted(Grant::ClientCredentials, "c1");
    let outcomes = join_all((0..200).map(|_| tokens.access_token(&wanted))).await;
    assert!(outcomes.iter().all(|outcome| text(outcome.as_ref().unwrap()) == "t0"));
    assert_eq!(fake.count(), 1);
    assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "t0");
    assert_eq!(fake.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_dropped_aborts_no_request() {
    let fake = Fake::slow(Duration::from_secs(3), |count, _| granted(&format!("t{count}"), 3600));
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let wanted = wanted(Grant::ClientCredentials, "c1");
    timeout(Duration::from_secs(1), tokens.access_token(&wanted)).await.unwrap_err();
    assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "t0");
    assert_eq!(fake.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_asks_while_nobody_runs_waits_for_so_long_and_no_longer() {
    let fake = Fake::new(|_, _| granted("t", 3600));
    let tokens = tokens(&fake, &Arc::default());
    let wanted = wanted(Grant::ClientCredentials, "c1");
    let began = Instant::now();
    let failure = tokens.access_token(&wanted).await.unwrap_err();
    assert_eq!(began.elapsed(), TokenOptions::default().wait);
    assert_eq!(failure.kind(), FailureKind::Transient);
    assert!(failure.to_string().contains("nobody asks for tokens"), "{failure}");
    let _running = run(&tokens);
    assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "t");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cut_off_leaves_room_for_the_next() {
    let fake = Fake::slow(Duration::from_secs(5), |_, _| granted("t", 3600));
    let tokens = tokens(&fake, &Arc::default());
    let wanted = wanted(Grant::ClientCredentials, "c1");
    let running = run(&tokens);
    let cut = async {
        sleep(Duration::from_secs(1)).await;
        drop(running);
    };
    let (failure, ()) = tokio::join!(tokens.access_token(&wanted), cut);
    assert_eq!(failure.unwrap_err().kind(), FailureKind::Transient);
    let _running = run(&tokens);
    assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "t");
}

#[tokio::test(start_paused = true)]
async fn an_application_has_one_token_and_a_service_account_one_for_each_mailbox() {
    for (grant, expected) in [(Grant::ClientCredentials, 1), (Grant::ServiceAccount, 2)] {
        let fake = Fake::new(|count, _| granted(&format!("t{count}"), 3600));
        let tokens = tokens(&fake, &Arc::default());
        let _running = run(&tokens);
        let mut wanted = wanted(grant, "c1");
        for subject in ["alice@contoso.com", "bob@contoso.com", "alice@contoso.com"] {
            wanted.subject = subject.into();
            tokens.access_token(&wanted).await.unwrap();
        }
        assert_eq!(fake.count(), expected, "{grant}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_moves_brings_no_token_along() {
    let fake = Fake::new(|count, _| granted(&format!("t{count}"), 3600));
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let mut wanted = wanted(Grant::ClientCredentials, "c1");
    tokens.access_token(&wanted).await.unwrap();
    wanted.authority = authority("https://login.example.net/token");
    assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "t1");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_gives_way_to_a_newer_one_once() {
    let fake = Fake::new(|count, _| granted(&format!("t{count}"), 3600));
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let wanted = wanted(Grant::ClientCredentials, "c1");
    let first = tokens.access_token(&wanted).await.unwrap();
    assert_eq!(tokens.another(&wanted, &first).await.unwrap(), None, "it is as new as can be");
    sleep(TokenOptions::default().young).await;
    let others = join_all((0..50).map(|_| tokens.another(&wanted, &first))).await;
    assert!(others.iter().all(|other| text(other.as_ref().unwrap().as_ref().unwrap()) == "t1"));
    assert_eq!(fake.count(), 2);
    // Who comes late with the first gets the second, and who comes with the second gets none.
    let second = tokens.another(&wanted, &first).await.unwrap().unwrap();
    assert_eq!(text(&second), "t1");
    assert_eq!(tokens.another(&wanted, &second).await.unwrap(), None);
    assert_eq!(fake.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_hangs_holds_up_no_other() {
    let fake = Fake::hanging("hangs", |_, _| granted("t", 3600));
    let tokens = tokens(&fake, &Arc::default());
    let _running = run(&tokens);
    let of = |number: usize| {
        let mut wanted = wanted(Grant::ClientCredentials, &format!("c{number}"));
        wanted.authority = authority("https://hangs.example.net/token");
        wanted
    };
    let hung: Vec<_> = (0..200).map(of).collect();
    let hanging = join_all(hung.iter().map(|wanted| tokens.access_token(wanted)));
    let served = async {
        // All the others have asked by then.
        sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        tokens.access_token(&wanted(Grant::ClientCredentials, "other")).await.unwrap();
        began.elapsed()
    };
    let (failures, took) = tokio::join!(hanging, served);
    assert!(failures.iter().all(Result::is_err));
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(fake.count() <= 1 + 2 * TokenOptions::default().at_once, "{}", fake.count());
}

#[tokio::test(start_paused = true)]
async fn no_more_tokens_are_kept_than_allowed() {
    let fake = Fake::new(|count, _| granted(&format!("t{count}"), 3600));
    let options = TokenOptions { tokens_max: 16, ..TokenOptions::default() };
    let tokens = Arc::new(Tokens::new(Arc::clone(&fake) as _, Arc::new(Kept::default()) as _, options));
    let _running = run(&tokens);
    for number in 0..100 {
        tokens.access_token(&wanted(Grant::ClientCredentials, &format!("c{number}"))).await.unwrap();
        assert!(tokens.shelf().len() <= 16);
    }
    // What was used last is there still.
    tokens.access_token(&wanted(Grant::ClientCredentials, "c99")).await.unwrap();
    assert_eq!(fake.count(), 100);
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_goes_first() {
    let fake = Fake::new(|count, _| granted(&format!("t{count}"), if count == 0 { 3600 } else { 60 }));
    let options = TokenOptions { tokens_max: 16, ..TokenOptions::default() };
    let tokens = Arc::new(Tokens::new(Arc::clone(&fake) as _, Arc::new(Kept::default()) as _, options));
    let _running = run(&tokens);
    for number in 0..16 {
        tokens.access_token(&wanted(Grant::ClientCredentials, &format!("c{number}"))).await.unwrap();
    }
    sleep(Duration::from_secs(120)).await;
    tokens.access_token(&wanted(Grant::ClientCredentials, "new")).await.unwrap();
    assert_eq!(tokens.shelf().len(), 2);
}
