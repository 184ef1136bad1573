//! Whether a stranger can tell by the clock whom Locum knows: `cargo bench --bench timing`. Unknown logins, wrong secrets and
//! secrets that have expired, in turn over real sockets, by every protocol, with the records in a file and in a real OpenBao. It
//! judges no time; docs/benchmarks.md says what the figures mean. An argument is the number of tries of a kind at a store.

#![expect(clippy::unwrap_used, reason = "what cannot be measured shall say where")]

#[path = "../support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod openbao;
#[path = "../process/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod program;
#[path = "../support/stage.rs"]
#[expect(dead_code, reason = "some of it is for the other benchmarks")]
mod stage;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use locum::broker::Directory;
use locum::model::Protocol;
use tokio::runtime::Runtime;

use openbao::Cluster;
use program::Wire;
use stage::{Stage, login};

const TRIES: usize = 2_000;

/// Clients there are: so many that no pair of login and address is held back within 2,000 tries.
const CLIENTS: usize = 100;

/// Tries at once: with more, two cores would have more to hash than they can, and what is measured is the queue.
const AT_ONCE: usize = 6;

/// After this many refusals a connection ends.
const REFUSALS: usize = 3;

const MORE: &str = r#"
[[listener]]
name = "pop3s"
protocol = "pop3"
bind = "127.0.0.1:0"
[[listener]]
name = "submissions"
protocol = "submission"
bind = "127.0.0.1:0"
[limits]
failures-per-login-max = 1000
failures-per-address-max = 100000
failure-window = "1s"
"#;

/// Whom a stranger claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    UnknownLogin,
    WrongSecret,
    /// With a secret that was issued to somebody: what is computed depends on the form of the secret.
    UnknownWithIssued,
    ExpiredSecret,
}

const KINDS: [Kind; 4] = [Kind::UnknownLogin, Kind::WrongSecret, Kind::UnknownWithIssued, Kind::ExpiredSecret];

#[expect(clippy::print_stdout, reason = "what was measured is what is wanted")]
fn main() {
    let tries = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(TRIES);
    println!(
        "| store | protocol | unknown login | wrong secret | differs by | unknown, issued | expired | differs by |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let runtime = Runtime::new().unwrap();
    measure("a file", Stage::on_sqlite(), &runtime, tries);
    let cluster = runtime.block_on(Cluster::start(1));
    let stage = Stage::on_vault(&runtime, &cluster.on(0), "");
    measure("OpenBao", stage, &runtime, tries);
}

#[expect(clippy::print_stdout, reason = "what was measured is what is wanted")]
fn measure(store: &str, mut stage: Stage, runtime: &Runtime, tries: usize) {
    runtime.block_on(stage.enrol(CLIENTS, 8));
    runtime.block_on(expire(&stage));
    let path = stage.home.path("locum.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + MORE).unwrap();
    let node = stage.home.serve();
    let mut all = KINDS.map(|_| Vec::new());
    for (protocol, listener) in
        [(Protocol::Imap, "imaps"), (Protocol::Pop3, "pop3s"), (Protocol::Submission, "submissions")]
    {
        let times = tried(&stage, protocol, node.port(listener), tries.div_ceil(Protocol::ALL.len()));
        println!("{}", row(store, protocol.name(), &times));
        all.iter_mut().zip(times).for_each(|(all, times)| all.extend(times));
    }
    println!("{}", row(store, "all", &all));
    node.stop().succeeded();
}

/// The medians, and by how much two differ that should not.
fn row(store: &str, protocol: &str, times: &[Vec<Duration>; KINDS.len()]) -> String {
    let ms = times.each_ref().map(|times| {
        let mut times = times.clone();
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    });
    let differs = |one: f64, other: f64| format!("{:+.2} %", (other - one) / one * 100.0);
    let [unknown, wrong, unknown_with_issued, expired] = ms.map(|ms| format!("{ms:.2} ms"));
    let (first, second) = (differs(ms[0], ms[1]), differs(ms[2], ms[3]));
    format!("| {store} | {protocol} | {unknown} | {wrong} | {first} | {unknown_with_issued} | {expired} | {second} |")
}

/// The second half of the clients has secrets that are over.
async fn expire(stage: &Stage) {
    let directory = Directory::of_operator(stage.store().await, "operator@timing");
    for number in CLIENTS / 2..CLIENTS {
        let found = directory.client(&login(number)).await.unwrap().unwrap();
        let mut client = found.record;
        client.secrets.iter_mut().for_each(|secret| secret.expires = Some(Timestamp::UNIX_EPOCH));
        directory.put_client(&client, Some(found.version)).await.unwrap();
    }
}

/// So many tries of each kind, in turn.
fn tried(stage: &Stage, protocol: Protocol, port: u16, tries: usize) -> [Vec<Duration>; KINDS.len()] {
    let next = AtomicUsize::new(0);
    let times = KINDS.map(|_| Mutex::new(Vec::new()));
    let answers = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                'connections: loop {
                    let mut wire = open(stage, protocol, port);
                    for _ in 0..REFUSALS {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= tries * KINDS.len() {
                            break 'connections;
                        }
                        let at = number % KINDS.len();
                        let (login, secret) = presented(stage, KINDS[at], number / KINDS.len());
                        let (took, answer) = present(&mut wire, protocol, &login, &secret);
                        times[at].lock().unwrap().push(took);
                        answers.lock().unwrap().insert(answer);
                    }
                }
            });
        }
    });
    let answers = answers.into_inner().unwrap();
    assert_eq!(answers.len(), 1, "one answer to all of them: {answers:?}");
    times.map(|times| times.into_inner().unwrap())
}

/// No wrong secret comes twice, and none looks as if it were issued: a slow hash is computed for each.
fn presented(stage: &Stage, kind: Kind, number: usize) -> (String, String) {
    let guess = format!("guess-{kind:?}-{number}");
    match kind {
        Kind::UnknownLogin => (format!("nobody{}@example.com", number % (CLIENTS / 2)), guess),
        Kind::WrongSecret => (login(number % (CLIENTS / 2)), guess),
        Kind::UnknownWithIssued => {
            let secret = stage.secret(number % CLIENTS).expose_text().unwrap().to_owned();
            (format!("nobody{}@example.com", number % CLIENTS), secret)
        }
        Kind::ExpiredSecret => {
            let number = CLIENTS / 2 + number % (CLIENTS / 2);
            (login(number), stage.secret(number).expose_text().unwrap().to_owned())
        }
    }
}

fn open(stage: &Stage, protocol: Protocol, port: u16) -> Wire {
    let mut wire = Wire::tls(port, &stage.home.trust());
    match protocol {
        Protocol::Imap => drop(wire.expect("* OK")),
        Protocol::Pop3 => drop(wire.expect("+OK")),
        Protocol::Submission => {
            wire.expect("220 ");
            wire.say("EHLO timing.test");
            wire.expect("250 ");
        }
    }
    wire
}

/// From the line with the secret to the answer.
fn present(wire: &mut Wire, protocol: Protocol, login: &str, secret: &str) -> (Duration, String) {
    let line = match protocol {
        Protocol::Imap => format!("a LOGIN {login} {secret}"),
        Protocol::Pop3 => {
            wire.say(&format!("USER {login}"));
            wire.expect("+OK");
            format!("PASS {secret}")
        }
        Protocol::Submission => {
            let plain = data_encoding::BASE64.encode(format!("\0{login}\0{secret}").as_bytes());
            format!("AUTH PLAIN {plain}")
        }
    };
    let began = Instant::now();
    wire.say(&line);
    let answer = wire.line();
    (began.elapsed(), answer)
}
