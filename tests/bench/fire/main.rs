//! How Locum fares under fire: `cargo bench --bench fire`. Clients that mean well come and go all the time, from one address;
//! others do what they can to spoil it. For each kind of attack it shows how many got in before, during and after, how long that took,
//! and what it cost Locum. It ends with 1 if anybody was turned away for an attack, or something did not come back.
//! docs/benchmarks.md says what the figures mean.

#![expect(clippy::unwrap_used, reason = "what cannot be measured shall say where")]

#[path = "../figures.rs"]
#[expect(dead_code, reason = "some of it is for the other benchmarks")]
mod figures;
#[path = "../load/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for the soak")]
mod load;
#[path = "../../support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod openbao;
#[path = "../../process/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod program;
mod report;
#[path = "../../support/stage.rs"]
#[expect(dead_code, reason = "some of it is for the other benchmarks")]
mod stage;

use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval};

use load::attacks::{self, Attack, Attackers, Order};
use load::clients::Way;
use load::{Caller, Field, Key, Tally, Vitals};
use stage::address;

/// Mailboxes, each with a client that means well; and the clients beside them whose secrets were chosen.
const ACCOUNTS: usize = 200;
const CHOSEN: usize = 240;
/// Mailboxes whose clients are attackers, and the bytes of the one message in each.
const ATTACKERS: usize = 40;
const MESSAGE_BYTES: usize = 1 << 20;
/// Mailboxes at each provider that does not behave.
const STUCK: usize = 20;

/// Clients at once, each of which begins a session this often, if it is done with the one before: 40 a second in all.
const CLIENTS: usize = 24;
const PACE: Duration = Duration::from_millis(600);
/// So often one comes whose secret was chosen and that Locum has not seen before: a slow hash is to be computed.
const CHOSEN_PACE: Duration = Duration::from_millis(1500);

/// The time before each attack and after it; the attack, from the start of the attackers.
const QUIET: Duration = Duration::from_secs(3);
const ATTACK: Duration = Duration::from_secs(12);
/// Descriptors are back within this time after an attack, or they are not back: a client that closes its side may still wait for an
/// answer, so that for 5 s it keeps what it has.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// What is done, one after the other.
const ACTS: &[(&str, Attack)] = &[
    ("commands behind STARTTLS, 64 at once", Attack::Injection),
    ("literals, lines, parentheses without end, 64 at once", Attack::Bombs),
    ("2,400 slow ones: a byte a second, readers of nothing", Attack::Drips),
    ("10,000 silent connections, one address", Attack::Silence { sources: 1 }),
    ("10,000 silent connections, 10,000 addresses", Attack::Silence { sources: 10_000 }),
    ("10,000 stuck behind a ClientHello, one address", Attack::Hello { sources: 1 }),
    ("10,000 stuck behind a ClientHello, 10,000 addresses", Attack::Hello { sources: 10_000 }),
    ("wrong passwords, one address", Attack::Guesses { sources: 1 }),
    ("wrong passwords, 10,000 addresses", Attack::Guesses { sources: 10_000 }),
    ("wrong chosen passwords, one address", Attack::ChosenGuesses { sources: 1 }),
    ("wrong chosen passwords, 10,000 addresses", Attack::ChosenGuesses { sources: 10_000 }),
    ("connections reset at once, 64 addresses", Attack::Storm),
    ("TLS handshakes without end, 64 addresses", Attack::Handshakes),
    ("320 sessions that order 64 MiB and read nothing", Attack::Stalls),
    ("300 logins at providers that are silent, drip, never end", Attack::BadProviders),
];

/// When it was what.
pub(crate) struct Act {
    name: &'static str,
    began: Instant,
    /// From the start of the attackers to their end.
    attacked: Instant,
    ended: Instant,
    settled: Instant,
    over: Instant,
    /// Descriptors before it, and once it was over.
    descriptors: [u64; 2],
    resident: [u64; 2],
    seen: BTreeMap<String, usize>,
}

#[expect(clippy::print_stdout, reason = "what was measured is what is wanted")]
fn main() -> ExitCode {
    if attacks::serve_if_told() {
        return ExitCode::SUCCESS;
    }
    load::raise_descriptors();
    // Behind `--`, a part of the name of what is to be done alone.
    let wanted: Vec<String> = env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let runtime = Runtime::new().unwrap();
    let field = Field::new(&runtime, ACCOUNTS + ATTACKERS, CHOSEN).with_fakes(&runtime, STUCK);
    let message = b"x".repeat(78).into_iter().chain(*b"\r\n").cycle().take(MESSAGE_BYTES).collect::<Vec<u8>>();
    for number in ACCOUNTS..ACCOUNTS + ATTACKERS {
        field.stage.provider.sandbox.deliver(&address(number), &message);
    }
    let (served, caller) = field.serve();
    let vitals = Vitals::watch(served.pid(), served.port("admin"));
    let tally = Arc::<Tally>::default();
    let honest = &field.issued[..ACCOUNTS];
    send_clients(&runtime, &caller, honest, &field.chosen, &tally);
    thread::sleep(QUIET); // the first of all pay for what others find made

    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|it| name.contains(it.as_str()));
    let mut acts = Vec::new();
    for &(name, attack) in ACTS.iter().filter(|(name, _)| is_wanted(name)) {
        let order = Order::new(attack, &field, caller.doors, &field.issued[ACCOUNTS..]);
        acts.push(act(name, &order, &vitals));
    }
    thread::sleep(load::clients::PATIENCE); // whoever came during the last one has an answer, or has given up
    let (table, complaints) = report::write(&acts, &tally, &vitals);
    println!("{table}");
    for complaint in &complaints {
        println!("- {complaint}");
    }
    served.stop().succeeded();
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stderr, reason = "the table itself goes to standard output")]
fn act(name: &'static str, order: &Order, vitals: &Vitals) -> Act {
    eprintln!("{name} ...");
    let (look, gauges) = vitals.now();
    let began = Instant::now();
    thread::sleep(QUIET);
    let attacked = Instant::now();
    let attackers = Attackers::start(order);
    thread::sleep(ATTACK);
    let seen = attackers.stop();
    let ended = Instant::now();
    // As many as clients that mean well may have open.
    let enough = gauges.descriptors + 4 * CLIENTS as u64;
    let settled_at = vitals.wait(SETTLE_MAX, |it| it.descriptors <= enough);
    let settled = Instant::now();
    thread::sleep(QUIET);
    let (after, _) = vitals.now();
    let descriptors = [gauges.descriptors, settled_at.map_or(u64::MAX, |it| it.descriptors)];
    let resident = [look.resident, after.resident];
    Act { name, began, attacked, ended, settled, over: Instant::now(), descriptors, resident, seen }
}

/// Clients that mean well, until the program ends.
fn send_clients(runtime: &Runtime, caller: &Caller, issued: &[Key], chosen: &[Key], tally: &Arc<Tally>) {
    for number in 0..CLIENTS {
        let keys: Vec<Key> = issued.iter().skip(number).step_by(CLIENTS).cloned().collect();
        let (caller, tally, way) = (caller.clone(), Arc::clone(tally), Way::ALL[number % Way::ALL.len()]);
        let first = tokio::time::Instant::now() + PACE * number as u32 / CLIENTS as u32;
        runtime.spawn(async move {
            let mut turns = tokio::time::interval_at(first, PACE);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for turn in 0.. {
                turns.tick().await;
                let began = Instant::now();
                tally.note(way.name(), began, caller.visit(way, &keys[turn % keys.len()]).await);
            }
        });
    }
    let (caller, tally, keys) = (caller.clone(), Arc::clone(tally), chosen.to_vec());
    let next = AtomicUsize::new(0);
    runtime.spawn(async move {
        let mut turns = interval(CHOSEN_PACE);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let key = keys[next.fetch_add(1, Ordering::Relaxed) % keys.len()].clone();
            let (caller, tally) = (caller.clone(), Arc::clone(&tally));
            // Each for itself: one that waits is no reason for the next one not to come.
            tokio::spawn(async move {
                let began = Instant::now();
                tally.note("IMAP, a chosen secret's first time", began, caller.visit(Way::Imap, &key).await);
            });
        }
    });
}
