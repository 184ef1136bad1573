//! A migration as its engineer does it: one client of Locum that may act as any mailbox of a pattern, for a time and from one
//! address, and real tools that copy a mailbox of a real server into another with it. What the tools say is not believed:
//! source and target are compared straight at the server.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use locum::model::Protocol;

use crate::child;
use crate::clients::census::{self, Folders, Planted};
use crate::clients::doveadm::Copy;
use crate::clients::mbsync::Local;
use crate::dovecot::Mailbox;
use crate::endpoint::{Endpoint, Tls};
use crate::lab::{Lab, Route};
use crate::locum::Locum;
use crate::mail;

/// Who migrates, and what it is let do.
const MIGRATOR: &str = "migrator@example.test";
const PATTERN: &str = "reader-*@example.test";

/// Locum before a provider, and the secret of the migrator.
struct Scene {
    locum: Locum,
    secret: String,
}

impl Scene {
    fn new() -> Self {
        let locum = Locum::start(Lab::start(), Tls::Implicit);
        let hour = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
        let limits = ["--expires", &hour, "--network", "127.0.0.1"];
        locum.operator(&[&["client", "bind", MIGRATOR, "--mailboxes", PATTERN][..], &limits].concat());
        let secret = locum.operator(&["client", "issue", MIGRATOR]);
        Self { locum, secret }
    }

    fn source(&self) -> &Mailbox {
        self.locum.lab().mailbox(Tls::Implicit)
    }

    fn target(&self) -> &Mailbox {
        self.locum.lab().mailbox(Tls::Starttls)
    }

    /// Where the migrator connects; `login` is what it types.
    fn door(&self, tls: Tls, login: &str) -> Endpoint {
        let endpoint = self.locum.endpoint(Protocol::Imap, tls, self.source());
        Endpoint { user: login.to_owned(), password: self.secret.clone(), ..endpoint }
    }

    /// All that a mailbox holds, by the provider's own account.
    fn census(&self, mailbox: &Mailbox) -> Folders {
        census::take(&self.locum.lab().dovecot.imap(Tls::Implicit, mailbox))
    }

    /// Nested folders, names that need care, every flag, old and odd dates, and messages that are hard to carry.
    fn fill(&self, keywords: bool) {
        let source = self.locum.lab().dovecot.imap(Tls::Implicit, self.source());
        let folders = [
            "Archive",
            "Archive/2003",
            "Archive/2003/Q1",
            "Sent &- drafts",
            "Gr&APwA3w-e",
            "&TgAeSw-",
            "It's 100%",
            "Empty",
        ];
        let keywords = |all: &str| {
            let all = if keywords { all } else { all.split(" $").next().unwrap() };
            if all.ends_with(')') { all.to_owned() } else { format!("{all})") }
        };
        let (simple, awkward, large) = (mail::simple("plain"), mail::awkward("odd"), mail::large("heavy"));
        let plant = |folder, flags: &str, date, content| (folder, keywords(flags), date, content);
        let planted = [
            plant(
                "INBOX",
                "(\\Seen \\Answered \\Flagged \\Draft \\Deleted $Forwarded $Work)",
                "01-Feb-2003 04:05:06 +0200",
                &simple,
            ),
            plant("INBOX", "()", "29-Feb-2000 23:59:59 -0800", &awkward),
            plant("INBOX", "(\\Seen)", "22-Nov-2026 12:00:00 +0000", &large),
            plant("Archive/2003/Q1", "(\\Answered $NotJunk)", " 1-Jan-1999 00:00:00 +0000", &awkward),
            plant("Gr&APwA3w-e", "(\\Flagged)", "31-Dec-2020 23:30:00 +0530", &simple),
            plant("Sent &- drafts", "(\\Draft)", "10-Oct-2010 10:10:10 +0000", &simple),
            plant("It's 100%", "(\\Deleted)", "09-Sep-2019 09:09:09 -0330", &simple),
            plant("&TgAeSw-", "(\\Seen $label1)", "08-Aug-2018 08:08:08 +0000", &awkward),
        ];
        let planted: Vec<Planted<'_>> =
            planted.iter().map(|(folder, flags, date, content)| Planted { folder, flags, date, content }).collect();
        census::fill(&source, &folders, &planted);
    }

    /// Nobody but the accounts themselves logged in at the provider, and with their own passwords.
    fn check_logs(&self) {
        self.locum.check_logs();
        assert!(!self.locum.output().contains(&self.secret), "Locum shows a client secret");
    }
}

/// Panics unless the folders, and of every message flags, date and bytes are the same.
#[track_caller]
fn assert_equal(found: &Folders, expected: &Folders) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "folders");
    for (folder, expected) in expected {
        let found = &found[folder];
        assert_eq!(found.len(), expected.len(), "messages in {folder}");
        for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
            let what = format!("message {number} in {folder}");
            assert_eq!((&found.flags, found.date), (&expected.flags, expected.date), "{what}");
            mail::assert_same(&found.content, &expected.content, &what);
        }
    }
}

#[test]
fn doveadm_copies_an_account_with_all_that_is_in_it() {
    let scene = Scene::new();
    scene.fill(true);
    let (door, copy) = (scene.door(Tls::Implicit, MIGRATOR), Copy::new());
    let pulled = copy.pull(&door, &scene.source().address);
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    let pushed = copy.push(&scene.door(Tls::Starttls, MIGRATOR), &scene.target().address);
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    let source = scene.census(scene.source());
    assert_eq!((source.len(), source["INBOX"].len(), source["INBOX"][0].flags.len()), (9, 3, 7));
    assert_equal(&scene.census(scene.target()), &source);
    scene.check_logs();
}

#[test]
fn mbsync_copies_one_into_the_other_by_the_login_alone() {
    let scene = Scene::new();
    scene.fill(false);
    let (source, target) = (&scene.source().address, &scene.target().address);
    // It knows no authorization identity: the one form is a Dovecot master user's, the other Exchange's.
    let from = scene.door(Tls::Implicit, &format!("{source}*{MIGRATOR}"));
    let to = scene.door(Tls::Starttls, &format!("{MIGRATOR}\\{}", target.split('@').next().unwrap()));
    let copied = Local::new().copy(&from, &to);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let source = scene.census(scene.source());
    assert_eq!((source.len(), source["INBOX"].len(), source["INBOX"][0].flags.len()), (9, 3, 5));
    assert_equal(&scene.census(scene.target()), &source);
    scene.check_logs();
}

#[test]
fn outside_pattern_network_and_time_all_is_refused_alike() {
    let scene = Scene::new();
    let (here, elsewhere) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
    let source = &scene.source().address;
    let port = scene.door(Tls::Plain, MIGRATOR).port;
    let ask = |asked: &str, from: Ipv4Addr| present(port, from, asked, MIGRATOR, &scene.secret);
    let before = scene.locum.lab().dovecot.logins().len();
    assert!(ask(source, here).0.starts_with("a OK "), "it is let in where all holds");

    let soon = (Timestamp::now() + SignedDuration::from_secs(1)).to_string();
    let bind = ["client", "bind", "late@example.test", "--mailboxes", PATTERN, "--expires", &soon];
    scene.locum.operator(&bind);
    let late = scene.locum.operator(&["client", "issue", "late@example.test"]);
    let mut refusals = vec![
        ("outside the pattern", ask("boss@example.test", here)),
        ("outside the pattern, of another domain", ask("reader-implicit@example.org", here)),
        ("in the pattern, and there is none", ask("reader-nobody@example.test", here)),
        ("from elsewhere", ask(source, elsewhere)),
        ("from elsewhere, and there is none", ask("reader-nobody@example.test", elsewhere)),
        ("no address at all", ask("*", here)),
    ];
    let after_its_end = child::eventually("the end of a delegation", || {
        let answer = present(port, here, source, "late@example.test", &late);
        (!answer.0.starts_with("a OK ")).then_some(answer)
    });
    refusals.push(("after its end", after_its_end));
    for (what, (answer, took)) in refusals {
        assert_eq!(answer, "a NO [AUTHORIZATIONFAILED] This login is not permitted here\r\n", "{what}");
        assert!(took >= Duration::from_millis(250), "{what}: sooner than the others");
    }

    // The tools of above are let down the same way, and nothing is changed.
    let outside = Copy::new().pull(&scene.door(Tls::Implicit, MIGRATOR), "boss@example.test");
    assert!(!outside.status.success());
    let from = scene.door(Tls::Implicit, &format!("boss@example.test*{MIGRATOR}"));
    let to = scene.door(Tls::Implicit, &format!("{}*{MIGRATOR}", scene.target().address));
    assert!(!Local::new().copy(&from, &to).status.success());
    let logins = scene.locum.lab().dovecot.logins();
    assert!(
        logins[before..].iter().all(|login| [source, &scene.target().address].contains(&&login.user)),
        "{logins:?}"
    );
}

/// One login by SASL PLAIN from that address: the answer, and how long it took.
fn present(port: u16, from: Ipv4Addr, authzid: &str, authcid: &str, secret: &str) -> (String, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let socket = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap().into_std().unwrap()
    });
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut lines = BufReader::new(socket);
    let mut greeting = String::new();
    lines.read_line(&mut greeting).unwrap();
    let response = BASE64.encode(format!("{authzid}\0{authcid}\0{secret}").as_bytes());
    let began = Instant::now();
    lines.get_mut().write_all(format!("a AUTHENTICATE PLAIN {response}\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    lines.read_line(&mut answer).unwrap();
    (answer, began.elapsed())
}
