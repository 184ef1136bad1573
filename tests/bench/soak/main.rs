//! Hours of a site in minutes: `cargo bench --bench soak -- --minutes 10`. All at once and all the time: clients that do what
//! clients do, some that stay for long, wrong passwords, connections that break off at every point, attacks on a small scale,
//! rotations, reloads with another certificate each, clients that come and go, tokens that end, a provider that restarts, an
//! audit that is cut into files, and operators who look at all of it. It shows how the process fares and ends with 1 if it grows, or if a
//! client was turned away that should not have been. docs/benchmarks.md says what the figures mean.

#![expect(clippy::unwrap_used, reason = "what cannot be measured shall say where")]

mod days;
#[path = "../figures.rs"]
#[expect(dead_code, reason = "some of it is for the other benchmarks")]
mod figures;
#[path = "../load/mod.rs"]
#[expect(dead_code, reason = "some of it is for the bench under fire")]
mod load;
#[path = "../../support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod openbao;
mod operators;
#[path = "../../process/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod program;
mod report;
mod second;
mod slope;
#[path = "../../support/stage.rs"]
#[expect(dead_code, reason = "some of it is for the other benchmarks")]
mod stage;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use load::attacks::{self, Attack, Attackers, Order};
use load::{Caller, Field, Tally, Vitals};

/// How long it goes on where nothing else is said.
const MINUTES: f64 = 10.0;
/// Of it so much is for tables to fill, for the allocator to find its size, and for whatever is made at first use.
const WARM_UP: f64 = 0.3;

/// Mailboxes with a client each, which are for clients that mean well; behind them those that are rotated, whose clients come
/// as well; and one for what operators make and remove.
const ACCOUNTS: usize = 120;
const ROTATED: usize = 8;
/// Clients whose secret was chosen.
const CHOSEN: usize = 40;
/// Mailboxes at each provider that does not behave.
const STUCK: usize = 4;

/// An attack lasts so long, and then there is none for as long.
const ATTACK: Duration = Duration::from_secs(4);
/// Of what the bench under fire does.
const PERCENT: usize = 3;

const ATTACKS: &[Attack] = &[
    Attack::Injection,
    Attack::Bombs,
    Attack::Drips,
    Attack::Silence { sources: 50 },
    Attack::Hello { sources: 50 },
    Attack::Guesses { sources: 50 },
    Attack::ChosenGuesses { sources: 50 },
    Attack::Storm,
    Attack::Handshakes,
    Attack::BadProviders,
];

/// What everybody who takes part in it knows.
#[derive(Clone)]
struct Soak {
    field: Arc<Field>,
    caller: Caller,
    over: Arc<AtomicBool>,
    /// What is done that no client sees, each counted.
    deeds: Arc<AtomicUsize>,
}

impl Soak {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn deed(&self) {
        self.deeds.fetch_add(1, Ordering::Relaxed);
    }
}

#[expect(clippy::print_stdout, reason = "what was measured is what is wanted")]
fn main() -> ExitCode {
    if attacks::serve_if_told() {
        return ExitCode::SUCCESS;
    }
    load::raise_descriptors();
    let time = Duration::from_secs_f64(60.0 * minutes());
    let runtime = Runtime::new().unwrap();
    let mut field = Field::new(&runtime, ACCOUNTS + ROTATED, CHOSEN).with_fakes(&runtime, STUCK);
    operators::prepare(&mut field);
    let second = second::Second::beside(&runtime, &field);
    let (served, caller) = field.serve();
    let (pid, vitals) = (served.pid(), Vitals::watch(served.pid(), served.port("admin")));
    let (field, over) = (Arc::new(field), Arc::<AtomicBool>::default());
    let soak = Soak { field, caller, over, deeds: Arc::default() };
    let [tally, by_token] = [(); 2].map(|()| Arc::<Tally>::default());

    let began = Instant::now();
    days::send_clients(&runtime, &soak, &tally);
    second.send_clients(&runtime, &soak, &by_token);
    second.restart_again_and_again(&runtime);
    let mut working = operators::work(&soak, pid);
    let attacked = soak.clone();
    working.push(thread::spawn(move || attack(&attacked)));

    let mut rows = report::rows();
    for tenth in 1..=10 {
        let until = began + time * tenth / 10;
        let from = until - time / 10;
        thread::sleep(until.saturating_duration_since(Instant::now()));
        report::put(&mut rows, began, (from, until), &vitals, &tally);
    }
    let (warm, ended) = (began + time.mul_f64(WARM_UP), Instant::now());
    let slopes = report::slopes(&vitals, warm, tally.logins_between(warm, ended));
    soak.over.store(true, Ordering::Relaxed);
    for one in working {
        one.join().unwrap();
    }
    let deeds = soak.deeds.load(Ordering::Relaxed);
    let others = by_token.phase(began, ended);
    println!("{rows}\n{}", slopes.table);
    println!(
        "Operators did {deeds} things meanwhile. By tokens, at a provider that restarts: {}.",
        report::told(&others, ended - began)
    );
    let mut complaints = slopes.complaints;
    complaints.extend(tally.phase(began, ended).failures.iter().map(|(why, count)| format!("{count} times {why}")));
    for complaint in &complaints {
        println!("- {complaint}");
    }
    drop(vitals);
    served.stop().succeeded();
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What stands behind `--minutes`.
fn minutes() -> f64 {
    let arguments: Vec<String> = env::args().collect();
    let given = arguments.windows(2).find(|it| it[0] == "--minutes").map(|it| it[1].parse());
    given.transpose().expect("a number of minutes").unwrap_or(MINUTES)
}

/// One kind after the other, on a small scale.
fn attack(soak: &Soak) {
    for kind in ATTACKS.iter().cycle() {
        let order = Order::new(*kind, &soak.field, soak.caller.doors, &[]).scaled(PERCENT);
        let attackers = Attackers::start(&order);
        thread::sleep(ATTACK);
        attackers.stop();
        thread::sleep(ATTACK);
        if soak.is_over() {
            return;
        }
    }
}
