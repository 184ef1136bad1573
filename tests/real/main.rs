//! Tests with real servers and real mail clients: Dovecot and Postfix as the provider, and eight clients that know
//! nothing of Locum. `tests/install` installs them; a missing one fails its tests.
//!
//! Every scenario runs over every way of protecting the connection, and over every [`lab::Route`]: straight to the
//! servers, which proves the scenario, and through Locum, which then proves Locum.

#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

#[path = "../support/child.rs"]
#[expect(dead_code, reason = "mail servers are stopped in peace alone")]
mod child;
mod clients;
mod dovecot;
mod endpoint;
mod front;
mod issuer;
mod lab;
mod locum;
mod mail;
mod migration;
mod postfix;
mod programs;
mod rotation;
mod scenarios;
mod scratch;
mod senders;
mod tokens;

use std::fs;
use std::path::Path;

use ::locum::model::Protocol;

use crate::clients::{curl, swaks};
use crate::dovecot::Mailbox;
use crate::endpoint::{Endpoint, Tls};
use crate::lab::{Lab, Route};

/// Runs `scenario` with implicit TLS, STARTTLS and neither, each with a mailbox of its own, and checks the logs.
fn over_every_tls(route: &impl Route, protocol: Protocol, scenario: fn(&Endpoint, &Mailbox)) {
    for tls in Tls::ALL {
        let mailbox = route.lab().mailbox(tls);
        scenario(&route.endpoint(protocol, tls, mailbox), mailbox);
    }
    route.check_logs();
}

/// Every client over the way that `$open` opens.
macro_rules! matrix {
    ($open:expr) => {
        matrix!($open, Imap, imap: with_curl, with_imaplib, with_async_imap, with_mbsync, with_fetchmail);
        matrix!($open, Pop3, pop3: with_curl, with_poplib, with_fetchmail);
        matrix!($open, Submission, submission: with_curl, with_swaks, with_msmtp, with_smtplib, with_lettre);
    };
    ($open:expr, $protocol:ident, $room:ident: $($scenario:ident),*) => {
        mod $room {
            $(#[test]
            fn $scenario() {
                let route = $open;
                crate::over_every_tls(&route, ::locum::model::Protocol::$protocol, crate::scenarios::$room::$scenario);
            })*
        }
    };
}

mod directly {
    matrix!(crate::lab::Lab::start());
}

mod through_locum {
    matrix!(crate::locum::Locum::start(crate::lab::Lab::start(), crate::endpoint::Tls::Implicit));
}

/// The other way of beginning TLS upstream: a client for each protocol is enough to try it.
mod through_locum_with_starttls_upstream {
    matrix!(super::open(), Imap, imap: with_curl);
    matrix!(super::open(), Pop3, pop3: with_curl);
    matrix!(super::open(), Submission, submission: with_swaks);

    fn open() -> crate::locum::Locum {
        crate::locum::Locum::start(crate::lab::Lab::start(), crate::endpoint::Tls::Starttls)
    }
}

#[test]
fn the_provider_refuses_every_other_password_and_the_log_shows_it() {
    let lab = Lab::start();
    let mailbox = lab.mailbox(Tls::Implicit);
    for (attempt, protocol) in (1..).zip(Protocol::ALL) {
        let right = lab.endpoint(protocol, Tls::Implicit, mailbox);
        let wrong = Endpoint { password: "an older password".to_owned(), ..right.clone() };
        match protocol {
            Protocol::Imap => assert_eq!(curl::exit_code(&wrong, "imap"), Some(67)),
            Protocol::Pop3 => assert_eq!(curl::exit_code(&wrong, "pop3"), Some(67)),
            Protocol::Submission => assert!(swaks::refusal(&wrong, "PLAIN").starts_with("535 5.7.8")),
        }
        let refused = child::eventually("the refusal in the log", || {
            let refused = lab.dovecot.answers().refused;
            (refused == attempt).then_some(refused)
        });
        assert_eq!(refused, attempt);
    }
    assert_eq!(lab.dovecot.answers().accepted, 0);
    for log in [lab.dovecot.log(), lab.postfix.log()] {
        assert!(!log.contains("an older password") && !log.contains(&mailbox.password), "a log holds a password");
    }
}

#[test]
fn the_log_names_user_mechanism_and_protection_of_each_login() {
    let lab = Lab::start();
    let mailbox = lab.mailbox(Tls::Starttls);
    curl::folders(&lab.dovecot.imap(Tls::Starttls, mailbox));
    curl::folders(&lab.dovecot.imap(Tls::Plain, mailbox));
    curl::pop3_sizes(&lab.dovecot.pop3(Tls::Implicit, mailbox));
    let mail = clients::Outgoing { from: &mailbox.address, to: &mailbox.address, message: &mail::simple("hello") };
    swaks::submit(&lab.postfix.submission(Tls::Starttls, mailbox), "LOGIN", &mail);

    let answers = lab.dovecot.answers_after(4);
    assert_eq!((answers.accepted, answers.refused), (4, 0));
    let logins = child::eventually("three logins in the log", || {
        let logins = lab.dovecot.logins();
        (logins.len() >= 3).then_some(logins)
    });
    let seen: Vec<_> = logins.iter().map(|login| (login.protocol.as_str(), login.tls)).collect();
    assert_eq!(seen, [("imap", true), ("imap", false), ("pop3", true)]);
    assert!(logins.iter().all(|login| login.user == mailbox.address && login.mechanism == "PLAIN"), "{logins:?}");
    let senders =
        child::eventually("a sender in Postfix's log", || Some(lab.postfix.senders()).filter(|all| !all.is_empty()));
    assert_eq!(senders, [("LOGIN".to_owned(), mailbox.address.clone())]);
}

#[test]
fn two_labs_live_side_by_side_and_leave_no_process_behind() {
    let (one, other) = (Lab::start(), Lab::start());
    let groups = [&one, &other].map(|lab| [lab.dovecot.pid(), lab.postfix.pid()]);
    let mailbox = one.mailbox(Tls::Implicit);
    mailbox.plant("INBOX", &mail::simple("only here"), "");
    assert_eq!(curl::pop3_sizes(&one.dovecot.pop3(Tls::Implicit, mailbox)).len(), 1);
    let twin = other.mailbox(Tls::Implicit);
    assert!(curl::pop3_sizes(&other.dovecot.pop3(Tls::Implicit, twin)).is_empty());
    drop((one, other));
    for group in groups.into_iter().flatten() {
        child::eventually("the end of every process of a server", || processes_of(group).is_empty().then_some(()));
    }
}

/// Live processes of a process group, from `/proc`.
fn processes_of(group: u32) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let stat = fs::read_to_string(entry.unwrap().path().join(Path::new("stat"))).unwrap_or_default();
        // pid (name) state parent group ...
        let Some((_, after_name)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<_> = after_name.split(' ').collect();
        if fields[0] != "Z" && fields[2] == group.to_string() {
            found.push(stat);
        }
    }
    found
}
