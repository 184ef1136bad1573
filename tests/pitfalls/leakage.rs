//! Pitfall 21: what stands in log and audit. Of secrets nothing, at any level; of what others say one printable line, cut. What
//! the whole program prints, in every way it can fail, is searched in `tests/process/canary.rs`.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};

use locum::model::{Protocol, Refusal};
use locum::sandbox::Start;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::answers::refused;
use crate::hands::{APP_PASSWORD, Part, WORDS, by_plain, say, stage};
use crate::support::{Identity, Plan, Step, base64, plain, reveals};

thread_local! {
    /// What this thread logs, once it is wanted. A test and all that it runs have a thread of their own.
    static LOG: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes there.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.iter_mut().for_each(|log| log.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From now on all that this thread logs is kept, at every level.
fn keep_log() {
    let wanted = dynamic_filter_fn(|_, _| LOG.with_borrow(Option::is_some));
    let to_log = tracing_subscriber::fmt::layer().with_writer(|| Log).with_ansi(false).with_filter(wanted);
    // Of the whole process, for a subscriber of one thread would miss what other threads met first.
    tracing_subscriber::registry().with(to_log).init();
    LOG.set(Some(Vec::new()));
}

/// What a terminal, a collector or a reader could take for more than text.
const POISON: &str =
    "\u{1b}]0;owned\u{7} \u{1b}[2J\u{8}\u{9b}31m \u{85} {\"event\":\"decision\"} %s \u{b}\u{2028}\u{202e}";

#[tokio::test]
async fn pitfall_21_neither_secrets_nor_poisoned_texts_reach_log_or_audit() {
    keep_log();
    let identity = Identity::of("localhost");
    let mut parts = Vec::new();
    for words in &WORDS {
        let no = match words.protocol {
            Protocol::Imap => "L2 NO ",
            Protocol::Pop3 => "-ERR ",
            Protocol::Submission => "535 5.7.8 ",
        };
        let (protocol, until_login) = (words.protocol, words.until_login(&identity));
        let script = [&until_login[..], &[say(format!("{no}{POISON}{}\r\n", "y".repeat(12_000)))]].concat();
        parts.push(Part::new(format!("poison-{protocol}"), protocol, Start::Implicit, script));
        // It says back what it was told: the whole login, and the next line after it.
        let script = [&until_login[..], &[Step::Quote(no.to_owned().leak())]].concat();
        parts.push(Part::new(format!("quote-{protocol}"), protocol, Start::Implicit, script));
        let script = [&until_login[..], &[say(words.welcome), Step::Silence]].concat();
        parts.push(Part::new(format!("good-{protocol}"), protocol, Start::Implicit, script));
    }
    let places: Vec<_> = parts.iter().map(|part| (part.name.clone(), part.protocol)).collect();
    let (lab, _fakes) = stage(Plan::new(), &identity, parts).await;
    let mut secrets = vec![APP_PASSWORD.to_owned(), lab.alice.app_password.clone()];
    for (name, protocol) in places {
        let actor = lab.enrol(&name, &name, APP_PASSWORD).await;
        secrets.push(actor.secret.rsplit('_').next().unwrap().to_owned());
        let (mut wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
        if name.starts_with("good") {
            // What goes over the wire after a login is nobody's but theirs.
            wire.write("APPEND private-payload-4711\r\n").await;
            drop(wire);
        } else {
            assert_eq!(answer, refused(protocol, Refusal::ContactAdmin), "{name}");
        }
        // Wrong secrets, whole and broken, and one in place of a name.
        let mut wire = lab.open(protocol).await;
        by_plain(&mut wire, protocol, &plain("", &format!("{POISON}{name}"), "wrong-4712-secret")).await;
        let mut wire = lab.open(protocol).await;
        by_plain(&mut wire, protocol, &plain("", &actor.secret, "wrong-4712-secret")).await;
        let mut wire = lab.open(protocol).await;
        wire.ask(&format!("a LOGIN broken-4713-secret broken-4713-secret broken-4713-secret {POISON}")).await;
        wire.ask(&format!("PASS broken-4713-secret {}", base64("broken-4713-secret"))).await;
    }
    secrets.extend(["private-payload-4711", "wrong-4712-secret", "broken-4713-secret"].map(str::to_owned));

    let (audit, log) = (fs::read(lab.path("audit.jsonl")).unwrap(), LOG.take().unwrap());
    assert!(log.len() > 10_000 && audit.len() > 1_000, "or else it shows nothing: {}, {}", log.len(), audit.len());
    for secret in &secrets {
        assert!(!reveals(&log, secret), "{secret} is in the log");
        assert!(!reveals(&audit, secret), "{secret} is in the audit");
    }
    for (what, text) in [("log", String::from_utf8(log).unwrap()), ("audit", String::from_utf8(audit).unwrap())] {
        for line in text.lines() {
            let odd = line.chars().find(|c| c.is_control() || ('\u{2028}'..='\u{202e}').contains(c));
            assert!(odd.is_none(), "{what}: {odd:?} in {line:?}");
            assert!(line.len() < 4096, "{what}: a line of {} octets", line.len());
            assert!(!line.trim_start().starts_with("{\"event\":\"decision\"}"), "{what}: a line that we did not write");
        }
    }
    // What was said is there, all the same, for who has to understand it.
    let told: Vec<_> = lab.audit().into_iter().filter(|event| event["event"] == "upstream").collect();
    assert!(told.iter().any(|event| event["reason"].as_str().is_some_and(|it| it.contains("owned"))), "{told:?}");
}
