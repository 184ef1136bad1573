//! Five hundred sessions and constant logins, while the configuration is read again twenty times with another certificate each,
//! and while the program is replaced: no login fails and no session ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use locum::net::TlsOptions;
use locum::net::tls::{self, Pems};
use locum::sandbox::Face;
use rustix::process::{Pid, Signal, kill_process};
use rustls::ClientConfig;

use crate::drain::Manager;
use crate::support::{Home, Provider, Served, Wire, trusted};

const ADDRESS: &str = "alice@contoso.test";
const APP_PASSWORD: &str = "abcdefghijklmnop";

const SESSIONS: usize = 500;
const RELOADS: usize = 20;

/// Who logs in again and again, and who moves bytes all the time.
const LOGGING_IN: usize = 3;
const BUSY: usize = 4;

struct Stage {
    home: Home,
    secret: String,
    _provider: Provider,
}

impl Stage {
    fn new() -> Self {
        let home = Home::made();
        let provider = Provider::new(Face::ExchangeWithPasswords, &trusted(&home));
        provider.add(ADDRESS, APP_PASSWORD);
        let upstream = provider.serve().replace("tls = \"implicit\" }", "tls = \"implicit\", sessions-max = 1000 }");
        let listener = |protocol: &str, name: &str, more: &str| {
            format!("[[listener]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\n{more}\n")
        };
        let plain = "tls = \"none\"\nplaintext-networks = \"127.0.0.0/8\"";
        home.configure(&format!(
            "[upstream.exchange]\n{upstream}\n{}{}{}{}",
            listener("imap", "imaps", ""),
            listener("imap", "imap", plain),
            listener("pop3", "pop3", plain),
            listener("submission", "submission", plain),
        ));
        let add = ["account", "add", ADDRESS, "--upstream", "exchange", "--secret-stdin"];
        home.run_with(&add, APP_PASSWORD).succeeded();
        let secret = home.run(&["client", "issue", "scan", "--account", ADDRESS]).succeeded().stdout.trim().to_owned();
        Self { home, secret, _provider: provider }
    }
}

/// Where clients find it, whichever process serves.
#[derive(Clone)]
struct Doors {
    secret: String,
    trust: Arc<ClientConfig>,
    imaps: u16,
    imap: u16,
    pop3: u16,
    submission: u16,
}

impl Doors {
    fn of(stage: &Stage, served: &Served, trust: Arc<ClientConfig>) -> Self {
        let port = |name| served.port(name);
        let secret = stage.secret.clone();
        Self {
            secret,
            trust,
            imaps: port("imaps"),
            imap: port("imap"),
            pop3: port("pop3"),
            submission: port("submission"),
        }
    }

    fn session(&self, number: usize) -> Session {
        match number % 10 {
            0 => self.imap(Wire::tls(self.imaps, &self.trust)),
            1 | 2 => {
                let mut wire = Wire::plain(self.pop3);
                wire.expect("+OK");
                wire.ask("USER scan", "+OK");
                wire.ask(&format!("PASS {}", self.secret), "+OK");
                Session { wire, ask: "NOOP", answer: "+OK" }
            }
            3 => {
                let mut wire = Wire::plain(self.submission);
                wire.ask("EHLO test", "250 ");
                let plain = data_encoding::BASE64.encode(format!("\0scan\0{}", self.secret).as_bytes());
                wire.ask(&format!("AUTH PLAIN {plain}"), "235");
                Session { wire, ask: "NOOP", answer: "250" }
            }
            _ => self.imap(Wire::plain(self.imap)),
        }
    }

    fn imap(&self, mut wire: Wire) -> Session {
        wire.ask(&format!("a LOGIN scan {}", self.secret), "a OK");
        Session { wire, ask: "b NOOP", answer: "b OK" }
    }
}

struct Session {
    wire: Wire,
    ask: &'static str,
    answer: &'static str,
}

impl Session {
    #[track_caller]
    fn echo(&mut self) {
        self.wire.ask(self.ask, self.answer);
    }
}

/// Clients that do not stop until they are told to. A panic of one is a login that failed, or a session that ended.
struct Crowd {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn new(count: usize, doors: &Doors, act: fn(&Doors, &mut dyn FnMut() -> bool)) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..count).map(|_| {
            let (doors, stop, done) = (doors.clone(), Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || {
                act(&doors, &mut || {
                    done.fetch_add(1, Ordering::SeqCst);
                    !stop.load(Ordering::SeqCst)
                });
            })
        });
        let threads = threads.collect();
        Self { stop, done, threads }
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().for_each(|thread| thread.join().expect("a client met with a failure"));
        self.done.load(Ordering::SeqCst)
    }
}

fn log_in_again_and_again(doors: &Doors, goes_on: &mut dyn FnMut() -> bool) {
    let mut number = 0;
    loop {
        doors.session(number).echo();
        number += 1;
        if !goes_on() {
            return;
        }
    }
}

fn move_bytes(doors: &Doors, goes_on: &mut dyn FnMut() -> bool) {
    let mut session = doors.imap(Wire::plain(doors.imap));
    session.wire.ask("s SELECT INBOX", "s OK");
    while goes_on() {
        let message = vec![b'x'; 20_000];
        session.wire.ask(&format!("m APPEND INBOX {{{}}}", message.len()), "+ ");
        session.wire.write(&message);
        session.wire.ask("", "m OK");
        session.echo();
    }
}

/// What clients trust that have seen all of these.
fn trust(home: &Home, all: &[Pems]) -> Arc<ClientConfig> {
    home.write("all.crt", all.iter().map(|pems| pems.certificate.as_str()).collect::<String>());
    tls::client_config(&TlsOptions { upstream_ca_files: vec![home.path("all.crt")], ..TlsOptions::default() }).unwrap()
}

#[test]
fn five_hundred_sessions_outlive_reloads_and_an_upgrade() {
    let stage = Stage::new();
    let pems: Vec<Pems> = (0..=RELOADS).map(|_| tls::self_signed(&["localhost".to_owned()]).unwrap()).collect();
    let write = |pems: &Pems| {
        stage.home.write("tls.crt", &pems.certificate);
        stage.home.write("tls.key", pems.key.as_bytes());
    };
    write(&pems[0]);
    let manager = Manager::new(&stage.home);
    let served = manager.serve(&stage.home, &[]);
    let doors = Doors::of(&stage, &served, trust(&stage.home, &pems));
    let mut sessions = sessions(&doors);
    let logins = Crowd::new(LOGGING_IN, &doors, log_in_again_and_again);
    let busy = Crowd::new(BUSY, &doors, move_bytes);

    for (number, pems) in pems.iter().enumerate().skip(1) {
        write(pems);
        let before = logins.done();
        served.signal(Signal::HUP);
        assert!(manager.hear("RELOADING=1").iter().any(|line| line.starts_with("MONOTONIC_USEC=")));
        manager.hear("READY=1");
        served.wait_for_lines(number, "reloaded: listener imaps: certificate until ");
        // Whoever comes now is shown this one, and this one alone.
        drop(doors.imap(Wire::tls(doors.imaps, &stage.home.trust())));
        while logins.done() < before + LOGGING_IN {
            thread::yield_now();
        }
    }
    sessions.iter_mut().for_each(Session::echo);

    let before = logins.done();
    served.signal(Signal::USR2);
    let ready = manager.hear("READY=1");
    let pid = ready.iter().find_map(|line| line.strip_prefix("MAINPID=")).expect("it says who it is");
    let successor = Successor(Pid::from_raw(pid.parse().unwrap()).unwrap());
    assert_ne!(pid, served.pid().to_string());
    served.wait_for_lines(1, "the sessions of this process go on until they end");
    while logins.done() < before + 10 {
        thread::yield_now();
    }
    // The successor lets in who comes, and the process before it lets nobody go.
    drop(doors.imap(Wire::tls(doors.imaps, &stage.home.trust())));
    sessions.iter_mut().for_each(Session::echo);
    let (logins, moved) = (logins.end(), busy.end());
    assert!(logins >= RELOADS * LOGGING_IN && moved > BUSY, "{logins} logins, {moved} messages");
    assert_eq!(sessions.len(), SESSIONS);
    drop(sessions);
    kill_process(successor.0, Signal::TERM).unwrap();
    manager.hear("STOPPING=1");
    let run = served.wait().succeeded();
    assert_eq!(run.stderr.matches("listening").count(), 4 + 4, "each process said where it listens, once");
}

/// All of them, by some at once.
fn sessions(doors: &Doors) -> Vec<Session> {
    const AT_ONCE: usize = 8;
    let threads: Vec<_> = (0..AT_ONCE)
        .map(|first| {
            let doors = doors.clone();
            thread::spawn(move || (first..SESSIONS).step_by(AT_ONCE).map(|it| doors.session(it)).collect::<Vec<_>>())
        })
        .collect();
    threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
}

/// Ended with the test, whichever way that ends.
struct Successor(Pid);

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL); // it may have ended by itself
    }
}

#[test]
fn a_successor_that_does_not_come_to_serve_changes_nothing() {
    let stage = Stage::new();
    let served = stage.home.serve();
    let doors = Doors::of(&stage, &served, stage.home.trust());
    let mut session = doors.session(0);
    let config = stage.home.read("locum.toml");
    stage.home.write("locum.toml", format!("{config}\n[nonsense]\n"));
    served.signal(Signal::USR2);
    served.wait_for_lines(1, "no successor serves, and this process goes on");
    session.echo();
    doors.session(1).echo();
    drop(session);
    served.stop().succeeded();
}
