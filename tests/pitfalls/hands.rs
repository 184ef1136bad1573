//! What these tests have in common: dialogues with providers in each protocol, up to any point, and what holds behind each
//! attack.

use std::future::Future;
use std::time::Duration;

use locum::model::Protocol;
use locum::sandbox::Start;
use tokio::time::timeout;

use crate::support::{Fake, Identity, Lab, Plan, Step, Wire};

/// Nothing that nobody has in common with a text of a protocol.
pub(crate) const APP_PASSWORD: &str = "zkvqxjwpbmfhygtd";

/// The words of a protocol, as a provider and a client say them.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    pub(crate) protocol: Protocol,
    pub(crate) greeting: &'static str,
    /// What Locum asks first.
    pub(crate) question: &'static str,
    /// The answer where PLAIN is offered.
    pub(crate) offers_plain: &'static str,
    /// What the credential comes with.
    pub(crate) login: &'static str,
    /// The answer to that where the login is good.
    pub(crate) welcome: &'static str,
}

pub(crate) const WORDS: [Words; 3] = [
    Words {
        protocol: Protocol::Imap,
        greeting: "* OK ready\r\n",
        question: "CAPABILITY",
        offers_plain: "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\nL1 OK done\r\n",
        login: "AUTHENTICATE PLAIN",
        welcome: "L2 OK [CAPABILITY IMAP4rev1] in\r\n",
    },
    Words {
        protocol: Protocol::Pop3,
        greeting: "+OK ready\r\n",
        question: "CAPA",
        offers_plain: "+OK\r\nUSER\r\n.\r\n",
        login: "PASS",
        welcome: "+OK in\r\n",
    },
    Words {
        protocol: Protocol::Submission,
        greeting: "220 mx ready\r\n",
        question: "EHLO",
        offers_plain: "250-mx\r\n250 AUTH PLAIN\r\n",
        login: "AUTH PLAIN",
        welcome: "235 2.7.0 in\r\n",
    },
];

impl Words {
    /// A provider under TLS up to the line that holds the credential.
    pub(crate) fn until_login(&self, identity: &Identity) -> Vec<Step> {
        use Step::{Hear, Say, Tls};
        let mut script =
            vec![Tls(identity.server.clone()), Say(self.greeting), Hear(self.question), Say(self.offers_plain)];
        if self.protocol == Protocol::Pop3 {
            script.extend([Hear("USER"), Say("+OK\r\n")]);
        }
        script.push(Hear(self.login));
        script
    }
}

/// Something to say that was put together.
pub(crate) fn say(text: impl Into<String>) -> Step {
    Step::Say(text.into().leak())
}

/// A script for one provider, by name and protocol.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) start: Start,
    pub(crate) script: Vec<Step>,
}

impl Part {
    pub(crate) fn new(name: impl Into<String>, protocol: Protocol, start: Start, script: Vec<Step>) -> Self {
        Self { name: name.into(), protocol, start, script }
    }
}

/// A lab with these providers, all of which have the certificate that is trusted.
pub(crate) async fn stage(plan: Plan, identity: &Identity, parts: Vec<Part>) -> (Lab, Vec<Fake>) {
    let mut plan = plan.trust(identity);
    let mut fakes = Vec::new();
    for Part { name, protocol, start, script } in parts {
        let fake = Fake::play(&name, protocol, start, &script).await;
        plan = plan.fake(&fake);
        fakes.push(fake);
    }
    (plan.start().await, fakes)
}

/// Nobody was let in or looked at, no provider saw a login, and a client that behaves is served.
pub(crate) async fn nothing_came_of_it(lab: &Lab) {
    assert_eq!(lab.audit(), Vec::<serde_json::Value>::new());
    assert_eq!((lab.gmail.logins(), lab.exchange.logins()), (vec![], vec![]));
    for protocol in Protocol::ALL {
        lab.log_in(protocol, &lab.alice).await;
    }
}

/// Whether a login was let in.
pub(crate) fn is_in(answer: &str) -> bool {
    ["a OK ", "+OK ", "235 "].iter().any(|start| answer.starts_with(start))
}

/// One login by SASL PLAIN.
pub(crate) async fn by_plain(wire: &mut Wire, protocol: Protocol, response: &str) -> String {
    let command = if protocol == Protocol::Imap { "a AUTHENTICATE PLAIN" } else { "AUTH PLAIN" };
    wire.ask(&format!("{command} {response}")).await
}

/// Looks until it is so.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let looking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await; // looked at again, until it is so
        }
    };
    in_time(what, looking).await;
}

/// Its outcome, which comes long before.
pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}
