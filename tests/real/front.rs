//! Front ends that know nothing of Locum: swaks speaks XCLIENT and both versions of the PROXY protocol, curl the first.

use std::net::{IpAddr, Ipv4Addr};

use ::locum::model::Protocol;
use serde_json::Value;

use crate::clients::{Outgoing, curl, swaks};
use crate::endpoint::Tls;
use crate::lab::{Lab, Route};
use crate::locum::{BY_PROXY, BY_XCLIENT, Locum};
use crate::mail;

/// The client that they speak for.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77));

#[test]
fn front_ends_that_speak_xclient_and_the_proxy_protocol_are_understood() {
    let locum = Locum::start(Lab::start(), Tls::Implicit);
    let xclient = format!("local-interface {BY_XCLIENT}\nxclient-addr {CLIENT}\nxclient-name a.example.test\n");
    let proxy = |more: &str| {
        format!(
            "local-interface {BY_PROXY}\n{more}\nproxy-source {CLIENT}\nproxy-source-port 50000\n\
             proxy-dest 127.0.0.1\nproxy-dest-port 587\n"
        )
    };
    let ways = [
        (xclient, BY_XCLIENT),
        (proxy("proxy-version 1\nproxy-family TCP4"), BY_PROXY),
        (proxy("proxy-version 2\nproxy-family AF_INET\nproxy-protocol STREAM\nproxy-command PROXY"), BY_PROXY),
    ];
    let mut stored = 0;
    for tls in Tls::ALL {
        let mailbox = locum.lab().mailbox(tls);
        let endpoint = locum.endpoint(Protocol::Submission, tls, mailbox);
        for (options, front_end) in &ways {
            let message = mail::simple("by a front end");
            let outgoing = Outgoing { from: &mailbox.address, to: &mailbox.address, message: &message };
            swaks::submit_with(&endpoint, "PLAIN", &outgoing, options);
            stored += 1;
            let came = came(&locum);
            assert_eq!(came.len(), stored, "{endpoint}");
            assert_eq!(came.last(), Some(&(CLIENT.to_string(), (*front_end).to_owned())), "{endpoint}");
        }
        mailbox.stored_after("INBOX", ways.len());
        // curl says its own address.
        let shown = curl::folders_by_proxy(&locum.endpoint(Protocol::Imap, tls, mailbox), BY_PROXY);
        assert!(String::from_utf8_lossy(&shown).contains("INBOX"), "{endpoint}");
        stored += 1;
        assert_eq!(came(&locum).last(), Some(&(BY_PROXY.to_owned(), BY_PROXY.to_owned())), "{endpoint}");
    }
    locum.check_logs();
}

/// Who was let in so far, and by way of whom.
fn came(locum: &Locum) -> Vec<(String, String)> {
    let text = locum.output();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(&line[line.find("{\"")?..]).ok());
    let decisions = events.filter(|event| event["event"] == "decision");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    decisions.map(|event| (text(&event["peer"]), text(&event["via"][0]))).collect()
}
