//! Those who mean no good. They are a process of their own, the benchmark's program again, with one thread: they have as many
//! descriptors as Locum has, and no more than one core. They must never run against anything but this machine's own loopback.
//!
//! - [`Attack`]: what they do; [`Order`]: to whom. [`Attackers`]: the process, from the side of who started it.
//! - `crowds`: connections that are held; `bombs`: what is too much or too early; `slow`: what never ends; `guesses`: wrong
//!   passwords; `storms`: what is over at once.

mod bombs;
mod crowds;
mod guesses;
mod slow;
mod storms;

use std::collections::BTreeMap;
use std::env;
use std::future::Future;
use std::io::{self, BufRead, Read, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::clients::{Caller, Doors, trusting};
use super::{Field, Key, raise_descriptors};

/// The argument that makes an attacker of the benchmark's program.
const ROLE: &str = "--attack";

/// Connections that are held at once where connections are what it is about.
const CROWD: usize = 10_000;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Attack {
    /// Commands right behind STARTTLS, which must not be done inside of TLS.
    Injection,
    /// Literals, lines and parentheses without end.
    Bombs,
    /// A byte a second, in the handshake, the dialogue and the login; and readers of nothing.
    Drips,
    /// Connections that say nothing, from one address, or from 10,000.
    Silence { sources: usize },
    /// The same, stuck behind a ClientHello.
    Hello { sources: usize },
    /// Wrong passwords for logins that there are and that there are not, from so many addresses.
    Guesses { sources: usize },
    /// Wrong passwords for logins whose password was chosen, which takes a slow hash to see.
    ChosenGuesses { sources: usize },
    /// Connections that are reset at once.
    Storm,
    /// TLS handshakes, one after the other; most of them cut short once Locum has had its work.
    Handshakes,
    /// Clients that log in, want much, and read nothing.
    Stalls,
    /// Clients of providers that do not answer, or do not end.
    BadProviders,
}

/// What attackers have to know. By standard input: there are secrets in it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    attack: Attack,
    doors: Doors,
    /// Locum's certificate.
    certificate: PathBuf,
    /// How much less than all of it is done, in percent.
    percent: usize,
    /// Logins that there are, without their secrets.
    logins: Vec<String>,
    /// The same of those whose secrets were chosen.
    chosen: Vec<String>,
    /// Good clients, for what takes one.
    keys: Vec<Key>,
    stuck: Vec<Key>,
}

impl Order {
    /// Against everything in the field; `keys` are clients that the attackers have of their own.
    pub(crate) fn new(attack: Attack, field: &Field, doors: Doors, keys: &[Key]) -> Self {
        let logins = |keys: &[Key]| keys.iter().map(|it| it.login.clone()).collect();
        Self {
            attack,
            doors,
            certificate: field.trust.clone(),
            percent: 100,
            logins: logins(&field.issued),
            chosen: logins(&field.chosen),
            keys: keys.to_vec(),
            stuck: field.stuck.clone(),
        }
    }

    /// Of all that, so many percent.
    pub(crate) fn scaled(self, percent: usize) -> Self {
        Self { percent, ..self }
    }

    fn share(&self, whole: usize) -> usize {
        (whole * self.percent / 100).max(1)
    }
}

/// The process, until it is stopped.
pub(crate) struct Attackers {
    child: Child,
}

impl Attackers {
    pub(crate) fn start(order: &Order) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        let mut child = command.arg(ROLE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let order = serde_json::to_string(order).unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{order}").unwrap();
        Self { child }
    }

    /// Ends it; what it did and saw, each how often.
    pub(crate) fn stop(mut self) -> BTreeMap<String, usize> {
        drop(self.child.stdin.take()); // which is the sign
        let mut counts = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut counts).unwrap();
        assert!(self.child.wait().unwrap().success(), "the attackers fell over");
        serde_json::from_str(&counts).unwrap()
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}

/// Attacks, if that is what the program was started for, until standard input ends.
#[expect(clippy::print_stdout, reason = "what attackers saw is for who sent them")]
pub(crate) fn serve_if_told() -> bool {
    if !env::args().any(|it| it == ROLE) {
        return false;
    }
    raise_descriptors();
    let mut order = String::new();
    io::stdin().lock().read_line(&mut order).unwrap();
    let order: Order = serde_json::from_str(&order).unwrap();
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seen = Arc::<Seen>::default();
    let until = thread::spawn(|| io::copy(&mut io::stdin().lock(), &mut io::sink()));
    runtime.block_on(async {
        let (over, is_over) = oneshot::channel();
        thread::spawn(move || {
            let _ = until.join();
            let _ = over.send(()); // nobody waits any more if the attack itself came to an end
        });
        tokio::select! {
            _ = is_over => {}
            () = attack(order, Arc::clone(&seen)) => {}
        }
    });
    println!("{}", serde_json::to_string(&*seen.0.lock().unwrap()).unwrap());
    runtime.shutdown_background();
    true
}

/// What attackers did and saw.
#[derive(Default)]
struct Seen(Mutex<BTreeMap<&'static str, usize>>);

impl Seen {
    fn note(&self, what: &'static str) {
        *self.0.lock().unwrap().entry(what).or_default() += 1;
    }

    /// The most that there were of it.
    fn note_most(&self, what: &'static str, count: usize) {
        let mut seen = self.0.lock().unwrap();
        let most = seen.entry(what).or_default();
        *most = (*most).max(count);
    }
}

/// One attacker's view.
#[derive(Clone)]
struct Side {
    order: Arc<Order>,
    seen: Arc<Seen>,
    trust: Arc<ClientConfig>,
}

impl Side {
    fn caller(&self, source: Ipv4Addr) -> Caller {
        Caller { doors: self.order.doors, trust: Arc::clone(&self.trust), source }
    }
}

async fn attack(order: Order, seen: Arc<Seen>) {
    let trust = trusting(&order.certificate);
    let side = Side { order: Arc::new(order), seen, trust };
    match side.order.attack {
        Attack::Injection => bombs::inject(&side).await,
        Attack::Bombs => bombs::throw(&side).await,
        Attack::Drips => slow::drip(&side).await,
        Attack::Silence { sources } => crowds::hold(&side, sources, false).await,
        Attack::Hello { sources } => crowds::hold(&side, sources, true).await,
        Attack::Guesses { sources } => guesses::guess(&side, sources, false).await,
        Attack::ChosenGuesses { sources } => guesses::guess(&side, sources, true).await,
        Attack::Storm => storms::reset(&side).await,
        Attack::Handshakes => storms::shake(&side).await,
        Attack::Stalls => slow::stall(&side).await,
        Attack::BadProviders => guesses::wait_for_providers(&side).await,
    }
}

/// So many at once, each over and over again.
async fn crew<F>(count: usize, one: impl Fn(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let crew: JoinSet<()> = (0..count).map(one).collect();
    crew.join_all().await;
}
