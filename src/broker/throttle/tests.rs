//! Floods, crowds, scanners and sites at the throttle as a whole, in paused time.

use std::net::Ipv6Addr;

use futures_util::future::join_all;
use tokio::time::advance;

use super::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn options() -> Options {
    Options {
        failures_per_login_max: 2,
        failures_per_address_max: 3,
        failures_per_site_max: 5,
        failure_window: Duration::from_secs(60),
        hold_back_max: Duration::from_secs(240),
        shared: None,
    }
}

/// What becomes of an attempt, in a word.
async fn attempt(throttle: &Throttle, peer: IpAddr, login: &str, proof: &str, is_right: bool) -> &'static str {
    match throttle.admit(peer, login.as_bytes(), Some(&Secret::new(proof))).await {
        Admission::HoldBack { first: true } => "held back",
        Admission::HoldBack { first: false } => "still held back",
        Admission::Repeat { first: true } => "repeated",
        Admission::Repeat { first: false } => "still repeated",
        Admission::Look(look) if is_right => {
            look.succeeded(peer, login.as_bytes()).await;
            "in"
        }
        Admission::Look(look) => {
            look.failed(peer, login.as_bytes()).await;
            "wrong"
        }
    }
}

async fn guess(throttle: &Throttle, peer: IpAddr, login: &str, proof: &str) -> &'static str {
    attempt(throttle, peer, login, proof, false).await
}

async fn log_in(throttle: &Throttle, peer: IpAddr, login: &str) -> &'static str {
    attempt(throttle, peer, login, "right", true).await
}

#[tokio::test(start_paused = true)]
async fn a_login_is_held_back_at_its_source_and_nowhere_else() {
    let throttle = Throttle::new(options());
    assert_eq!(guess(&throttle, PEER, "a", "1").await, "wrong");
    assert_eq!(guess(&throttle, PEER, " A ", "2").await, "wrong");
    assert_eq!(log_in(&throttle, PEER, "a").await, "held back");
    assert_eq!(log_in(&throttle, PEER, "a").await, "still held back");
    assert_eq!(log_in(&throttle, OTHER, "a").await, "in", "never by login alone");
    assert_eq!(log_in(&throttle, PEER, "b").await, "in");
    assert_eq!(throttle.held_back(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_logins_from_one_source_are_held_back() {
    let throttle = Throttle::new(options());
    for login in ["a", "b", "c"] {
        assert_eq!(guess(&throttle, PEER, login, "1").await, "wrong");
    }
    assert_eq!(guess(&throttle, PEER, "d", "1").await, "held back");
    assert_eq!(guess(&throttle, OTHER, "d", "1").await, "wrong");
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_guessing_waits_longer_each_time_and_who_stops_is_forgiven() {
    let throttle = Throttle::new(options());
    for (round, seconds) in [60, 120, 240, 240].into_iter().enumerate() {
        assert_eq!(guess(&throttle, PEER, "a", &format!("{round} 1")).await, "wrong");
        assert_eq!(guess(&throttle, PEER, "a", &format!("{round} 2")).await, "wrong");
        assert_eq!(guess(&throttle, PEER, "a", "3").await, "held back");
        advance(Duration::from_secs(seconds - 1)).await;
        assert_eq!(guess(&throttle, PEER, "a", "3").await, "still held back");
        advance(Duration::from_secs(1)).await;
        // What it did as a source is no part of this.
        throttle.memory().sources = Table::new(SOURCES_MAX);
    }
    advance(Duration::from_secs(240 + 120 + 60)).await;
    assert_eq!(guess(&throttle, PEER, "a", "4").await, "wrong");
    assert_eq!(guess(&throttle, PEER, "a", "5").await, "wrong");
    assert_eq!(guess(&throttle, PEER, "a", "6").await, "held back");
    advance(Duration::from_secs(60)).await;
    assert_eq!(log_in(&throttle, PEER, "a").await, "in", "as at the first time");
}

#[tokio::test(start_paused = true)]
async fn a_right_login_makes_good_what_its_pair_did_and_not_what_its_source_did() {
    let throttle = Throttle::new(options());
    assert_eq!(guess(&throttle, PEER, "a", "1").await, "wrong");
    assert_eq!(log_in(&throttle, PEER, "a").await, "in");
    assert_eq!(guess(&throttle, PEER, "a", "2").await, "wrong");
    assert_eq!(log_in(&throttle, PEER, "a").await, "in", "one failure counts, not two");
    assert_eq!(guess(&throttle, PEER, "b", "1").await, "wrong");
    assert_eq!(log_in(&throttle, PEER, "c").await, "held back", "three of the source do");
}

#[tokio::test(start_paused = true)]
async fn who_has_proven_itself_is_not_held_back_for_what_others_do_behind_the_same_address() {
    let throttle = Throttle::new(options());
    assert_eq!(log_in(&throttle, PEER, "office").await, "in");
    for login in ["a", "b", "c"] {
        guess(&throttle, PEER, login, "1").await;
    }
    assert_eq!(log_in(&throttle, PEER, "stranger").await, "held back");
    assert_eq!(log_in(&throttle, PEER, "office").await, "in");
    // Its own failures count against it as ever: who guesses at it gains nothing.
    assert_eq!(guess(&throttle, PEER, "office", "1").await, "wrong");
    assert_eq!(guess(&throttle, PEER, "office", "2").await, "wrong");
    assert_eq!(log_in(&throttle, PEER, "office").await, "held back");
    advance(PROVEN_FOR).await;
    for login in ["d", "e", "f"] {
        guess(&throttle, PEER, login, "1").await;
    }
    assert_eq!(log_in(&throttle, PEER, "office").await, "held back", "that was yesterday");
}

#[tokio::test(start_paused = true)]
async fn a_scanner_with_an_old_password_holds_nobody_back_and_not_itself() {
    let throttle = Throttle::new(options());
    let mut said = Vec::new();
    for _ in 0..60 {
        said.push(guess(&throttle, PEER, "scan", "old").await);
        advance(Duration::from_secs(10)).await;
    }
    assert_eq!(said.iter().filter(|it| it.contains("held")).count(), 0);
    assert!(said[..4] == ["wrong", "wrong", "repeated", "still repeated"], "{:?}", &said[..4]);
    assert_eq!(
        said.iter().filter(|it| **it == "wrong").count(),
        20,
        "two a minute are looked at: it may be right by now"
    );
    assert_eq!(log_in(&throttle, PEER, "office").await, "in");
    // It has counted once, and another wrong password counts.
    assert_eq!(log_in(&throttle, PEER, "scan").await, "in");
    assert_eq!(guess(&throttle, PEER, "scan", "other").await, "wrong");
}

#[tokio::test(start_paused = true)]
async fn a_password_that_has_become_right_is_found_right() {
    let throttle = Throttle::new(options());
    for _ in 0..5 {
        guess(&throttle, PEER, "scan", "early").await;
    }
    assert_eq!(attempt(&throttle, PEER, "scan", "early", true).await, "still repeated");
    advance(Duration::from_secs(60)).await;
    assert_eq!(attempt(&throttle, PEER, "scan", "early", true).await, "in");
    for _ in 0..5 {
        assert_eq!(attempt(&throttle, PEER, "scan", "early", true).await, "in");
    }
}

#[tokio::test(start_paused = true)]
async fn one_customer_of_ipv6_has_one_allowance_for_all_its_networks() {
    let throttle = Throttle::new(options());
    let of = |site, network| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, site, network, 0, 0, 0, 1));
    for network in 0..5 {
        assert_eq!(guess(&throttle, of(1, network), "a", "1").await, "wrong");
    }
    assert_eq!(log_in(&throttle, of(1, 99), "a").await, "held back");
    assert_eq!(log_in(&throttle, of(2, 99), "a").await, "in");
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_guesses_at_once_is_looked_at_no_more_often_than_one_after_the_other() {
    let throttle = Throttle::new(options());
    let guesses = (0..100).map(|number| {
        let throttle = &throttle;
        async move {
            match throttle.admit(PEER, b"a", Some(&Secret::new(number.to_string()))).await {
                Admission::Look(look) => {
                    tokio::time::sleep(Duration::from_millis(20)).await; // the hash
                    look.failed(PEER, b"a").await;
                    true
                }
                _ => false,
            }
        }
    });
    let looked_at = join_all(guesses).await.into_iter().filter(|it| *it).count();
    assert_eq!(looked_at, 2);
    assert!(throttle.memory().under_way.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_devices_with_right_passwords_is_let_in() {
    let throttle = Throttle::new(options());
    let logins = (0..100).map(|number: u32| {
        let (throttle, login) = (&throttle, format!("device {}", number % 50));
        async move {
            let admission = throttle.admit(PEER, login.as_bytes(), Some(&Secret::new("right"))).await;
            let Admission::Look(look) = admission else { return false };
            tokio::time::sleep(Duration::from_millis(20)).await;
            look.release();
            tokio::time::sleep(Duration::from_secs(5)).await; // the authority
            look.succeeded(PEER, login.as_bytes()).await;
            true
        }
    });
    assert!(join_all(logins).await.into_iter().all(|it| it));
    assert!(throttle.memory().under_way.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_flood_from_many_addresses_washes_out_nothing_and_is_bounded() {
    let throttle = Throttle::new(options());
    guess(&throttle, PEER, "a", "1").await;
    guess(&throttle, PEER, "a", "2").await;
    for number in 0..PAIRS_MAX as u32 + 1000 {
        let peer = IpAddr::V4((0x0a00_0000 + number).into());
        throttle.count(&throttle.digester.subjects(peer, b"a"), None, now());
    }
    assert_eq!(log_in(&throttle, PEER, "a").await, "held back");
    let memory = throttle.memory();
    assert_eq!((memory.pairs.len(), memory.sources.len()), (PAIRS_MAX + 1, SOURCES_MAX));
}
