//! Everything that a node does, a few times over: whatever it opened for that it has closed again. How memory fares over hours is for
//! `cargo bench --bench soak`.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use locum::net::tls::{self, Pems};
use locum::sandbox::Face;
use rustix::process::Signal;
use socket2::SockRef;

use crate::support::{DEADLINE, Home, Provider, Served, Wire, ask, trusted};

const ADDRESS: &str = "alice@contoso.test";

/// The first opens what stays open.
const CYCLES: usize = 4;

/// Threads for what blocks come as they are wanted, and go when they have had nothing to do for a while.
const BLOCKING_THREADS_MAX: u64 = 8;

const LISTENERS: &str = r#"
[admin]
bind = "127.0.0.1:0"
socket = "admin.sock"
api = true
[audit]
path = "audit.jsonl"
[rotation]
second-look = "1s"
[[listener]]
name = "imaps"
protocol = "imap"
bind = "127.0.0.1:0"
[[listener]]
name = "pop3s"
protocol = "pop3"
bind = "127.0.0.1:0"
[[listener]]
name = "submission"
protocol = "submission"
bind = "127.0.0.1:0"
tls = "starttls"
"#;

struct Node {
    home: Home,
    provider: Provider,
    served: Served,
    secret: String,
    certificates: [Pems; 2],
}

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    descriptors: u64,
    tasks: u64,
    sessions: u64,
}

impl Node {
    fn start() -> Self {
        let home = Home::made();
        let provider = Provider::new(Face::ExchangeWithPasswords, &trusted(&home));
        home.configure(&format!("[upstream.work]\n{}\n{LISTENERS}", provider.serve()));
        provider.add(ADDRESS, &password(0));
        let add = ["account", "add", ADDRESS, "--upstream", "work", "--label", "turn 0", "--secret-stdin"];
        home.run_with(&add, password(0)).succeeded();
        let secret = home.run(&["client", "issue", "scan", "--account", ADDRESS]).succeeded().stdout.trim().to_owned();
        let certificates = [(); 2].map(|()| tls::self_signed(&["localhost".to_owned()]).unwrap());
        let served = home.serve();
        Self { home, provider, served, secret, certificates }
    }

    fn open(&self) -> Open {
        let mut wire = Wire::plain(self.served.port("admin"));
        wire.say("GET /metrics HTTP/1.0\r\n");
        let text = String::from_utf8(wire.drain()).unwrap();
        let sum = |name: &str| {
            let is_of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
            let values =
                text.lines().filter(is_of).map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap());
            values.sum::<f64>() as u64
        };
        Open { descriptors: sum("process_open_fds"), tasks: sum("locum_tasks"), sessions: sum("locum_sessions") }
    }

    /// Waits until nobody is in, and no more is open than that.
    fn wait_until_no_more_than(&self, descriptors: u64, tasks: u64) -> Open {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let open = self.open();
            if open.sessions == 0 && open.descriptors <= descriptors && open.tasks <= tasks {
                return open;
            }
            assert!(Instant::now() < deadline, "{open:?} in place of {descriptors} descriptors, {tasks} tasks");
            thread::sleep(Duration::from_millis(20)); // between two looks
        }
    }

    fn threads(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.served.pid())).unwrap();
        status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().parse().unwrap()
    }

    fn greeted(&self, listener: &str) -> Wire {
        let port = self.served.port(listener);
        if listener != "submission" {
            let mut wire = Wire::tls(port, &self.home.trust());
            wire.expect(if listener == "imaps" { "* OK" } else { "+OK" });
            return wire;
        }
        let mut wire = Wire::plain(port);
        wire.expect("220 ");
        wire.ask("EHLO scan", "250 ");
        wire.ask("STARTTLS", "220 ");
        let mut wire = wire.start_tls(&self.home.trust());
        wire.ask("EHLO scan", "250 ");
        wire
    }

    fn logged_in(&self, listener: &str) -> Wire {
        let (mut wire, secret) = (self.greeted(listener), &self.secret);
        match listener {
            "imaps" => drop(wire.ask(&format!("a LOGIN scan {secret}"), "a OK")),
            "pop3s" => {
                wire.ask("USER scan", "+OK");
                wire.ask(&format!("PASS {secret}"), "+OK");
            }
            _ => {
                let response = BASE64.encode(format!("\0scan\0{secret}").as_bytes());
                drop(wire.ask(&format!("AUTH PLAIN {response}"), "235"));
            }
        }
        wire
    }

    /// Another certificate.
    fn reload(&self, cycle: usize) {
        let Pems { certificate, key } = &self.certificates[cycle % 2];
        self.home.write("tls.crt", certificate);
        self.home.write("tls.key", key.as_bytes());
        self.served.signal(Signal::HUP);
        self.served.wait_for_lines(cycle + 1, "reloaded: listener imaps: certificate until ");
    }

    /// Another app password.
    fn rotate(&self, cycle: usize) {
        let (label, new) = (format!("turn {}", cycle + 1), password(cycle + 1));
        self.provider.add(ADDRESS, &new);
        let stage = ["rotate", "stage", ADDRESS, "--label", &label, "--secret-stdin"];
        self.home.run_with(&stage, &new).succeeded();
        for verb in [&["verify", ADDRESS][..], &["promote", ADDRESS], &["retire", ADDRESS, "--now", "--yes"]] {
            self.home.run(&[&["rotate"], verb].concat()).succeeded();
        }
    }

    /// A client that comes, is in, and is no client any more.
    fn revoke(&self) {
        let issued = self.home.run(&["client", "issue", "guest", "--account", ADDRESS]).succeeded();
        let mut wire = self.greeted("imaps");
        wire.ask(&format!("a LOGIN guest {}", issued.stdout.trim()), "a OK");
        self.home.run(&["client", "revoke", "guest", "--all"]).succeeded();
        wire.drain();
    }

    /// Leaves at each point of a session, by a farewell of the transport and by a reset.
    fn break_off(&self) {
        for reset in [false, true] {
            for point in 0..6 {
                let port = self.served.port("imaps");
                let socket = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
                if reset {
                    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
                }
                if point == 0 {
                    continue;
                }
                let mut wire = Wire::on(socket);
                if point == 1 {
                    wire.write(&[0x16, 3, 1]); // the first bytes of a ClientHello
                    continue;
                }
                let mut wire = wire.start_tls(&self.home.trust());
                wire.expect("* OK");
                match point {
                    2 => {}
                    3 => drop(wire.ask("a AUTHENTICATE PLAIN", "+")),
                    4 => wire.say(&format!("a LOGIN scan {}", self.secret)),
                    _ => {
                        wire.ask(&format!("a LOGIN scan {}", self.secret), "a OK");
                        wire.ask("b APPEND INBOX {1000}", "+");
                        wire.write(b"Subject: never to be");
                    }
                }
            }
        }
    }

    fn cycle(&self, cycle: usize) {
        self.reload(cycle);
        let mut idle = self.logged_in("imaps");
        idle.ask("b SELECT INBOX", "b OK");
        idle.ask("c IDLE", "+");
        for (listener, end) in [("imaps", "b LOGOUT"), ("pop3s", "QUIT"), ("submission", "QUIT")] {
            let mut wire = self.logged_in(listener);
            wire.say(end);
            wire.drain();
            // And one that just goes.
            drop(self.logged_in(listener));
        }
        let mut wrong = self.greeted("imaps");
        wrong.ask(&format!("a LOGIN nobody-{cycle} wrong"), "a NO");
        drop(wrong);
        self.break_off();
        self.revoke();
        for page in ["/v1/sessions", "/v1/clients", "/v1/reports/rotation"] {
            assert_eq!(ask(&self.home, "GET", page, None).0, 200, "{page}");
        }
        self.home.run(&["session", "list"]).succeeded();
        idle.ask("DONE", "c OK");
        idle.ask("d LOGOUT", "d OK");
        drop(idle);
        self.rotate(cycle);
    }
}

fn password(turn: usize) -> String {
    format!("n3w-Gd4Ls9Ph6Mc1Jf-{turn}")
}

#[test]
fn what_was_opened_is_closed_again() {
    let node = Node::start();
    node.cycle(0);
    let first = node.wait_until_no_more_than(u64::MAX, u64::MAX);
    let threads = node.threads();
    for cycle in 1..CYCLES {
        node.cycle(cycle);
    }
    let last = node.wait_until_no_more_than(first.descriptors, first.tasks);
    assert_eq!(last.sessions, 0);
    let now = node.threads();
    assert!(now <= threads + BLOCKING_THREADS_MAX, "{now} threads in place of {threads}");
    node.served.stop().succeeded();
}
