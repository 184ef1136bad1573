//! More clients than places: newcomers are let in at the cost of those that only connected, or are told to come again; who
//! is logged in notices nothing; and who gives up while it waits leaves its place to the next.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use locum::config::Config;
use locum::model::Protocol;

use crate::answers::accepted;
use crate::support::{Door, Lab, Plan, Wire, plain, present};

const IMAP: &str = "* BYE [UNAVAILABLE] Too many connections, try again later\r\n";

/// What a client is told that there is no place for.
fn words(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => IMAP,
        Protocol::Pop3 => "-ERR [SYS/TEMP] Too many connections, try again later\r\n",
        Protocol::Submission => "421 4.3.2 Too many connections, try again later\r\n",
    }
}

async fn lab(sessions_max: usize, grace: Duration) -> Lab {
    let tune = move |config: &mut Config| {
        config.session.sessions_max = sessions_max;
        config.session.unproven_grace = grace;
    };
    Plan::new().tune(tune).start().await
}

/// Another client each time.
fn stranger(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 7, number).into()
}

async fn knock(lab: &Lab, number: u8, door: Door, protocol: Protocol) -> Wire {
    Wire::connect_from(stranger(number), lab.address(&door.listener(protocol))).await
}

#[tokio::test]
async fn who_finds_no_place_is_told_so_where_that_costs_nothing() {
    let lab = lab(2, Duration::ZERO).await;
    let mut inside = vec![lab.log_in(Protocol::Imap, &lab.alice).await, lab.log_in(Protocol::Imap, &lab.alice).await];
    for protocol in Protocol::ALL {
        for door in [Door::Plain, Door::StartTls] {
            let late = Wire::connect(lab.address(&door.listener(protocol))).await;
            assert_eq!(late.rest().await, words(protocol), "{protocol} {door:?}");
        }
        let late = Wire::connect(lab.address(&Door::Implicit.listener(protocol))).await;
        assert_eq!(late.rest().await, "", "{protocol}: a word would cost a handshake");
    }
    for wire in &mut inside {
        assert!(wire.ask("n NOOP").await.starts_with("n OK"), "who is in notices nothing");
    }
    drop(inside.pop());
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut next = loop {
        let mut next = Wire::connect(lab.address(&Door::Plain.listener(Protocol::Imap))).await;
        if next.line().await.starts_with("* OK") {
            break next;
        }
        assert!(Instant::now() < deadline, "the place is not given back");
    };
    let answer = present(&mut next, Protocol::Imap, &lab.alice.login, &lab.alice.secret).await;
    assert_eq!(answer, accepted(Protocol::Imap));
}

#[tokio::test]
async fn who_only_connected_makes_room_and_is_told_so() {
    for protocol in Protocol::ALL {
        let lab = lab(8, Duration::ZERO).await;
        let mut inside = lab.log_in(Protocol::Imap, &lab.alice).await;
        // One address with two, three with one each, and one of an address from which somebody is in: six places are for those
        // without a login.
        let under_tls = lab.open(protocol).await;
        let mut crowd = vec![under_tls];
        for _ in 0..2 {
            let mut wire = knock(&lab, 9, Door::Plain, protocol).await;
            wire.line().await;
            crowd.push(wire);
        }
        let single = [2, 3, 4].map(|number| knock(&lab, number, Door::Plain, protocol));
        let mut single = futures::future::join_all(single).await;
        for wire in &mut single {
            wire.line().await;
        }
        let (answer, _wire) = {
            let mut wire = knock(&lab, 5, Door::Plain, Protocol::Imap).await;
            wire.line().await;
            (present(&mut wire, Protocol::Imap, &lab.alice.login, &lab.alice.secret).await, wire)
        };
        assert_eq!(answer, accepted(Protocol::Imap), "the newcomer gets in");
        let mut lost = crowd.split_off(1);
        let last = lost.pop().unwrap();
        assert_eq!(lost.pop().unwrap().rest().await, words(protocol), "the older one of the address that has most");
        let mut last = last;
        assert!(last.is_silent_for(Duration::from_millis(50)).await, "one was enough");
        for wire in &mut single {
            assert!(wire.is_silent_for(Duration::from_millis(1)).await);
        }
        assert!(inside.ask("n NOOP").await.starts_with("n OK"));
        drop(crowd);
    }
}

#[tokio::test]
async fn under_tls_the_word_comes_under_tls_and_in_a_handshake_there_is_none() {
    let lab = lab(4, Duration::ZERO).await;
    let greeted = lab.open(Protocol::Imap).await;
    let silent = Wire::connect(lab.address("imaps")).await;
    let _third = knock(&lab, 3, Door::Implicit, Protocol::Imap).await;
    // Two of these are of one address, and there are no more places for those without a login.
    // By the same door: whoever came to it first was taken first.
    let mut fourth = knock(&lab, 1, Door::Implicit, Protocol::Imap).await.start_tls(&lab.client_tls).await;
    assert!(fourth.line().await.starts_with("* OK"));
    assert_eq!(greeted.rest().await, IMAP);
    let mut fifth = knock(&lab, 2, Door::Implicit, Protocol::Imap).await.start_tls(&lab.client_tls).await;
    assert!(fifth.line().await.starts_with("* OK"));
    assert_eq!(silent.rest().await, "");
}

#[tokio::test]
async fn nobody_is_sent_away_before_it_could_log_in() {
    let lab = lab(4, Duration::from_secs(60)).await;
    let mut early = Vec::new();
    for number in 0..3 {
        let mut wire = knock(&lab, number, Door::Plain, Protocol::Imap).await;
        assert!(wire.line().await.starts_with("* OK"));
        early.push(wire);
    }
    for number in 10..40 {
        assert_eq!(knock(&lab, number, Door::StartTls, Protocol::Imap).await.rest().await, IMAP);
    }
    for wire in &mut early[..2] {
        let answer = present(wire, Protocol::Imap, &lab.alice.login, &lab.alice.secret).await;
        assert_eq!(answer, accepted(Protocol::Imap));
    }
}

#[tokio::test]
async fn one_address_has_so_many_connections_logged_in_or_not() {
    let lab = Plan::new().tune(|config| config.session.connections_per_address_max = Some(2)).start().await;
    let mut first = lab.log_in(Protocol::Imap, &lab.alice).await;
    let _second = lab.log_in(Protocol::Pop3, &lab.alice).await;
    let third = Wire::connect(lab.address("imap-plain")).await;
    assert_eq!(third.rest().await, IMAP);
    assert!(knock(&lab, 1, Door::Plain, Protocol::Imap).await.line().await.starts_with("* OK"), "others may");
    assert!(first.ask("n NOOP").await.starts_with("n OK"));
}

/// One session for each mailbox, and those that hang up are noticed at once.
async fn narrow_lab() -> Lab {
    let tune = |config: &mut Config| {
        for profile in config.upstreams.values_mut() {
            std::sync::Arc::make_mut(profile).endpoints.values_mut().for_each(|endpoint| endpoint.sessions_max = 1);
        }
        config.session.hang_up_grace = Duration::from_millis(1);
        config.upstream.gate_timeout = Duration::from_secs(60);
        config.session.sessions_max = 8;
    };
    Plan::new().tune(tune).start().await
}

#[tokio::test]
async fn who_hangs_up_while_it_waits_is_noticed_before_its_turn() {
    let lab = narrow_lab().await;
    let _first = lab.log_in(Protocol::Submission, &lab.alice).await;
    let response = plain("", &lab.alice.login, &lab.alice.secret);
    let deadline = Instant::now() + Duration::from_secs(20);
    // Far more than there are places: each is given back long before the minute at the gate is over.
    for number in 0..40 {
        let mut wire = loop {
            let mut wire = Wire::connect(lab.address("submission-plain")).await;
            if wire.line().await.starts_with("220 ") {
                break wire;
            }
            assert!(Instant::now() < deadline, "places of those that hung up are not given back: {number}");
            tokio::time::sleep(Duration::from_millis(5)).await; // between two looks
        };
        wire.ehlo().await;
        wire.write(format!("AUTH PLAIN {response}\r\n")).await;
        assert!(wire.is_silent_for(Duration::from_millis(5)).await);
        drop(wire);
    }
    let hung_up = |event: &&serde_json::Value| {
        event["reason"] == "the client hung up, before the upstream was entered" && event["login"] == lab.alice.login
    };
    while lab.audit().iter().filter(hung_up).count() < 40 {
        assert!(Instant::now() < deadline, "{:?}", lab.audit());
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.gmail.logins().len(), 1, "the provider heard of none of them");
}

#[tokio::test]
async fn who_says_more_while_it_waits_loses_none_of_it() {
    let lab = narrow_lab().await;
    let first = lab.log_in(Protocol::Imap, &lab.alice).await;
    let mut second = lab.connect(Protocol::Imap, Door::Implicit).await;
    second.write(format!("a LOGIN {} {}\r\nb NOOP\r\n", lab.alice.login, lab.alice.secret)).await;
    assert!(second.is_silent_for(Duration::from_millis(20)).await);
    // More than is read meanwhile; and then it says that this was all, and waits for its answers.
    let many: String = (0..1000).map(|number| format!("c{number} NOOP\r\n")).collect();
    second.write(many).await;
    second.write("d LOGOUT\r\n").await;
    second.finish().await;
    assert!(second.is_silent_for(Duration::from_millis(20)).await);
    drop(first);
    assert_eq!(second.line().await, accepted(Protocol::Imap));
    let answers = second.until("d OK").await;
    let tagged: Vec<_> = answers.iter().filter(|line| !line.starts_with('*')).collect();
    assert_eq!(tagged.len(), 1002);
    assert!(tagged[0].starts_with("b OK") && tagged[1].starts_with("c0 OK") && tagged[1000].starts_with("c999 OK"));
}
