//! Refresh tokens: no token is sent that is not stored, none is lost, and none that is dead is sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use super::super::super::{FailureKind, Grant, HttpAnswer, HttpError};
use super::{Fake, Kept, Ordering, answer, refused, run, text, tokens, wanted};

/// An authority that hands out another refresh token each time. The one before lives until the new one is used: then it and
/// all others that came of it are dead.
#[derive(Default)]
struct Rotating {
    live: BTreeSet<String>,
    parents: BTreeMap<String, String>,
    count: usize,
}

impl Rotating {
    fn fake(first: &str, expires_in: u64) -> (Arc<Fake>, Arc<Mutex<Self>>) {
        let rotating = Self { live: BTreeSet::from([first.to_owned()]), ..Self::default() };
        let rotating = Arc::new(Mutex::new(rotating));
        let fake = Fake::new({
            let rotating = Arc::clone(&rotating);
            move |_, form| rotating.lock().unwrap().refresh(&form["refresh_token"], expires_in)
        });
        (fake, rotating)
    }

    fn refresh(&mut self, used: &str, expires_in: u64) -> Result<HttpAnswer, HttpError> {
        if !self.live.contains(used) {
            return refused(400, "invalid_grant");
        }
        if let Some(parent) = self.parents.get(used).cloned() {
            let siblings = self.parents.iter().filter(|(_, of)| **of == parent).map(|(token, _)| token.clone());
            let dead: Vec<String> = siblings.filter(|token| token != used).chain([parent.clone()]).collect();
            self.live.retain(|token| !dead.contains(token));
        }
        self.count += 1;
        let new = format!("r{}", self.count);
        self.parents.insert(new.clone(), used.to_owned());
        self.live.insert(new.clone());
        let body = format!(
            r#"{{"access_token":"a{}","expires_in":{expires_in},"token_type":"bearer","refresh_token":"{new}"}}"#,
            self.count
        );
        Ok(answer(200, &body))
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_refresh_token_is_stored_before_it_is_used() {
    let (fake, _) = Rotating::fake("r0", 600);
    let kept = Kept::of("r0");
    let tokens = tokens(&fake, &kept);
    let _running = run(&tokens);
    let wanted = wanted(Grant::RefreshToken, "c1");
    for number in 1..=5 {
        assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), format!("a{number}"));
        assert_eq!(kept.now(), Some(format!("r{number}")));
        sleep(Duration::from_secs(601)).await;
    }
    let sent: Vec<String> = fake.posts.lock().unwrap().iter().map(|form| form["refresh_token"].clone()).collect();
    assert_eq!(sent, ["r0", "r1", "r2", "r3", "r4"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_killed_between_answer_and_store_loses_nothing() {
    let (fake, _) = Rotating::fake("r0", 600);
    let kept = Kept::of("r0");
    let (one, two) = (tokens(&fake, &kept), tokens(&fake, &kept));
    let wanted = wanted(Grant::RefreshToken, "c1");
    kept.holds_writes.store(true, Ordering::Relaxed);
    let running = run(&one);
    let killed = async {
        kept.is_writing.notified().await;
        drop(running);
    };
    let (lost, ()) = tokio::join!(one.access_token(&wanted), killed);
    lost.unwrap_err();
    assert_eq!((fake.count(), kept.now().as_deref()), (1, Some("r0")), "answered, and not stored");

    kept.holds_writes.store(false, Ordering::Relaxed);
    let _running = run(&two);
    for _ in 0..3 {
        tokens_of(&two, &wanted).await;
        sleep(Duration::from_secs(601)).await;
    }
    // The one that was killed comes back, and goes by what is stored.
    let _back = run(&one);
    tokens_of(&one, &wanted).await;
}

async fn tokens_of(tokens: &super::Tokens, wanted: &super::Wanted) -> String {
    text(&tokens.access_token(wanted).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn two_nodes_that_refresh_at_once_keep_one_token() {
    let (fake, rotating) = Rotating::fake("r0", 600);
    let kept = Kept::of("r0");
    let (one, two) = (tokens(&fake, &kept), tokens(&fake, &kept));
    let _running = (run(&one), run(&two));
    let wanted = wanted(Grant::RefreshToken, "c1");
    for _ in 0..5 {
        tokio::join!(tokens_of(&one, &wanted), tokens_of(&two, &wanted));
        assert!(rotating.lock().unwrap().live.contains(&kept.now().unwrap()), "what is stored is good");
        sleep(Duration::from_secs(601)).await;
    }
    assert!(fake.posts.lock().unwrap().len() >= 10);
}

/// An authority that lets a refresh token be used once.
#[tokio::test(start_paused = true)]
async fn who_is_slower_waits_for_the_faster_to_store_what_it_got() {
    let used = Mutex::new(BTreeSet::new());
    let fake = Fake::new(move |_, form| {
        let token = form["refresh_token"].clone();
        let mut used = used.lock().unwrap();
        if !used.insert(token) {
            return refused(400, "invalid_grant");
        }
        let count = used.len();
        Ok(answer(200, &format!(r#"{{"access_token":"a{count}","refresh_token":"r{count}"}}"#)))
    });
    let kept = Kept::of("r0");
    let (one, two) = (tokens(&fake, &kept), tokens(&fake, &kept));
    let _running = (run(&one), run(&two));
    let wanted = wanted(Grant::RefreshToken, "c1");
    kept.holds_writes.store(true, Ordering::Relaxed);
    let store = async {
        kept.is_writing.notified().await;
        sleep(Duration::from_secs(1)).await;
        kept.holds_writes.store(false, Ordering::Relaxed);
        kept.go_on.notify_one();
    };
    let (one, two, ()) = tokio::join!(tokens_of(&one, &wanted), tokens_of(&two, &wanted), store);
    assert_eq!(BTreeSet::from([one.as_str(), two.as_str()]), BTreeSet::from(["a1", "a2"]));
    assert_eq!(kept.now().as_deref(), Some("r2"));
}

#[tokio::test(start_paused = true)]
async fn a_dead_refresh_token_is_sent_no_second_time() {
    let fake = Fake::new(|_, form| match form["refresh_token"].as_str() {
        "good" => super::granted("a", 3600),
        _ => refused(400, "invalid_grant"),
    });
    let kept = Kept::of("dead");
    let tokens = tokens(&fake, &kept);
    let _running = run(&tokens);
    let wanted = wanted(Grant::RefreshToken, "c1");
    for _ in 0..200 {
        let failure = tokens.access_token(&wanted).await.unwrap_err();
        assert_eq!((failure.kind(), failure.code()), (FailureKind::Permanent, Some("invalid_grant")));
        sleep(Duration::from_secs(30)).await;
    }
    assert_eq!(fake.count(), 1);
    // Somebody signs in, under the same credential or on another node.
    kept.put(Some("good"));
    sleep(Duration::from_secs(15)).await;
    assert_eq!(text(&tokens.access_token(&wanted).await.unwrap()), "a");
    // What was dead stays so, whatever the store goes back to.
    kept.put(Some("dead"));
    sleep(Duration::from_secs(3601)).await;
    tokens.access_token(&wanted).await.unwrap_err();
    assert_eq!(fake.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_another_node_stored_meanwhile_is_tried_once() {
    let kept = Kept::of("old");
    let fake = Fake::new({
        let kept = Arc::clone(&kept);
        move |_, form| match form["refresh_token"].as_str() {
            "new" => super::granted("a", 3600),
            _ => {
                kept.put(Some("new"));
                refused(400, "invalid_grant")
            }
        }
    });
    let tokens = tokens(&fake, &kept);
    let _running = run(&tokens);
    assert_eq!(text(&tokens.access_token(&wanted(Grant::RefreshToken, "c1")).await.unwrap()), "a");
    assert_eq!(fake.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_its_token_is_used_and_the_new_one_is_stored_when_it_is_back() {
    let (fake, _) = Rotating::fake("r0", 600);
    let kept = Kept::of("r0");
    let tokens = tokens(&fake, &kept);
    let _running = run(&tokens);
    let wanted = wanted(Grant::RefreshToken, "c1");
    kept.set_away(true);
    assert_eq!(tokens_of(&tokens, &wanted).await, "a1");
    assert_eq!(kept.now().as_deref(), Some("r0"));
    // The next refresh waits for it: no token is used that is not stored.
    sleep(Duration::from_secs(601)).await;
    let failure = tokens.access_token(&wanted).await.unwrap_err();
    assert_eq!((failure.kind(), fake.count()), (FailureKind::Transient, 1), "{failure}");
    assert!(failure.to_string().contains("sealed"), "{failure}");
    kept.set_away(false);
    sleep(Duration::from_secs(121)).await;
    assert_eq!(kept.now().as_deref(), Some("r1"), "stored, with nobody asking");
    assert_eq!(tokens_of(&tokens, &wanted).await, "a2");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_stored_survives_a_run_that_is_cut_off() {
    let (fake, _) = Rotating::fake("r0", 600);
    let kept = Kept::of("r0");
    let tokens = tokens(&fake, &kept);
    let running = run(&tokens);
    let wanted = wanted(Grant::RefreshToken, "c1");
    kept.set_away(true);
    tokens_of(&tokens, &wanted).await;
    drop(running);
    kept.set_away(false);
    let _running = run(&tokens);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(kept.now().as_deref(), Some("r1"));
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_what_is_under_way() {
    let (fake, _) = Rotating::fake("r0", 600);
    let kept = Kept::of("r0");
    let tokens = tokens(&fake, &kept);
    let mut running = run(&tokens);
    let wanted = wanted(Grant::RefreshToken, "c1");
    let stop = async {
        sleep(Duration::from_millis(50)).await;
        running.stop.cancel();
        (&mut running.task).await.unwrap();
    };
    let (token, ()) = tokio::join!(tokens.access_token(&wanted), stop);
    assert_eq!((text(&token.unwrap()).as_str(), kept.now().as_deref()), ("a1", Some("r1")));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_was_removed_meanwhile_ends_it() {
    let (fake, _) = Rotating::fake("r0", 600);
    let kept = Kept::of("r0");
    let tokens = tokens(&fake, &kept);
    let _running = run(&tokens);
    kept.holds_writes.store(true, Ordering::Relaxed);
    let removed = async {
        kept.is_writing.notified().await;
        kept.put(None);
        kept.go_on.notify_one();
    };
    let wanted = wanted(Grant::RefreshToken, "c1");
    let (failure, ()) = tokio::join!(tokens.access_token(&wanted), removed);
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::NeedsConsent);
    assert!(failure.to_string().contains("no refresh token is kept"), "{failure}");
    assert_eq!(kept.now(), None);
}

#[tokio::test(start_paused = true)]
async fn who_signs_in_is_served_soon() {
    let (fake, _) = Rotating::fake("r0", 600);
    let kept = Arc::new(Kept::default());
    let tokens = tokens(&fake, &kept);
    let _running = run(&tokens);
    let wanted = wanted(Grant::RefreshToken, "c1");
    for _ in 0..50 {
        assert_eq!(tokens.access_token(&wanted).await.unwrap_err().kind(), FailureKind::NeedsConsent);
        sleep(Duration::from_secs(60)).await;
    }
    kept.put(Some("r0"));
    assert_eq!(tokens_of(&tokens, &wanted).await, "a1");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_is_kept_though_the_rest_of_its_answer_is_of_no_use() {
    for rest in [
        r#""access_token":"a","expires_in":"soon""#,
        r#""access_token":"a","expires_in":0"#,
        r#""access_token":"two words""#,
        r#""access_token":"a","token_type":"mac""#,
    ] {
        let fake = Fake::new(move |_, form| match form["refresh_token"].as_str() {
            "r0" => Ok(answer(200, &format!(r#"{{{rest},"refresh_token":"r1"}}"#))),
            "r1" => super::granted("good", 3600),
            _ => refused(400, "invalid_grant"),
        });
        let kept = Kept::of("r0");
        let tokens = tokens(&fake, &kept);
        let _running = run(&tokens);
        let wanted = wanted(Grant::RefreshToken, "c1");
        tokens.access_token(&wanted).await.unwrap_err();
        assert_eq!(kept.now().as_deref(), Some("r1"), "{rest}");
        sleep(Duration::from_secs(61)).await;
        assert_eq!(tokens_of(&tokens, &wanted).await, "good", "{rest}");
    }
}

/// What the store says is old where it does not answer: it may be a token that was sent before.
#[tokio::test(start_paused = true)]
async fn a_dead_refresh_token_is_not_sent_in_the_place_of_another_dead_one() {
    let kept = Kept::of("r0");
    let fake = Fake::new({
        let kept = Arc::clone(&kept);
        move |_, form| {
            let next = match form["refresh_token"].as_str() {
                "r0" => "r1",
                "r1" => "r2",
                _ => "r0",
            };
            kept.put(Some(next));
            refused(400, "invalid_grant")
        }
    });
    let tokens = tokens(&fake, &kept);
    let _running = run(&tokens);
    let wanted = wanted(Grant::RefreshToken, "c1");
    for _ in 0..3 {
        tokens.access_token(&wanted).await.unwrap_err();
        sleep(Duration::from_secs(60)).await;
    }
    let sent: Vec<String> = fake.posts.lock().unwrap().iter().map(|form| form["refresh_token"].clone()).collect();
    assert_eq!(sent, ["r0", "r1", "r2"]);
}
