//! What is measured: the store by itself, the program's commands, its start, logins, and how changes come round.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use locum::audit::{Audit as Nowhere, Origin};
use locum::broker::{Broker, Directory, tokens};
use locum::config::Config;
use locum::model::{Attempt, Entrance, Protocol, RecordId, RecordKind, Secret};
use locum::net::{HttpOptions, Https, tls};
use locum::store::{self, Expected, Options};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::figures::{Table, Times, mebibytes, short, time};
use crate::openbao::child::free_port;
use crate::openbao::{Audit, Calls};
use crate::program::{Served, Wire};
use crate::stage::{Stage, address, login};

/// How often what takes microseconds or milliseconds is done.
const MANY: usize = 100;
/// How often what takes a good part of a second is done.
const SOME: usize = 11;
/// How often what takes seconds is done.
const FEW: usize = 5;

/// Records that are written at once where they are many, and clients that log in at once.
const WRITES_AT_ONCE: usize = 32;
const LOGINS_AT_ONCE: usize = 8;

/// After so long a node keeps no connection to its server.
const QUIET_TIME: Duration = Duration::from_secs(2);

/// How long a node is watched that has nothing to do.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// A stage to measure on.
pub(crate) struct Bed {
    name: &'static str,
    stage: Stage,
    runtime: Runtime,
    /// What its server is asked.
    audit: Option<Audit>,
}

impl Bed {
    pub(crate) fn new(name: &'static str, stage: Stage, runtime: Runtime) -> Self {
        Self { name, stage, runtime, audit: None }
    }

    pub(crate) fn audited(self, audit: Audit) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// Everything, with so many accounts and then with so many.
    pub(crate) fn measure(&mut self, sizes: [usize; 2], table: &mut Table) {
        for size in sizes {
            table.column(format!("{}, {size} accounts", self.name));
            self.fill(size, table);
            self.ask(table);
            self.list(table);
            self.start(table);
            self.decide(table);
            self.log_in(size, table);
        }
    }

    fn fill(&mut self, size: usize, table: &mut Table) {
        let (before, _) = (self.stage.enrolled(), self.calls());
        let took = time(|| self.runtime.block_on(self.stage.enrol(size, WRITES_AT_ONCE)));
        let records = 2 * (size - before);
        table.put(
            &format!("write records, {WRITES_AT_ONCE} at once"),
            format!("{} a second", short(records as f64 / took.as_secs_f64())),
        );
        self.put_calls(&format!("write records, {WRITES_AT_ONCE} at once: requests for each"), records, table);
    }

    /// The store by itself.
    fn ask(&mut self, table: &mut Table) {
        let store = self.runtime.block_on(self.stage.store());
        let listed = |limit| self.runtime.block_on(store.list(RecordKind::Account, None, limit)).unwrap();
        let ids = listed(MANY);
        let written = Times::of(ids.len(), |round| {
            self.runtime.block_on(async {
                let found = store.read_latest(&ids[round]).await.unwrap().unwrap();
                store.write(&ids[round], &found.value, Expected::Version(found.version)).await.unwrap();
            });
        });
        table.put("read one record and write it back", written);
        let read = Times::of(ids.len(), |round| drop(self.runtime.block_on(store.read(&ids[round])).unwrap().unwrap()));
        table.put("read one record", read);
        table.put("list 1000 ids", Times::of(SOME, |_| drop(listed(1000))));
        table.put("list all ids", Times::of(SOME, |_| drop(listed(usize::MAX))));
    }

    /// What an operator types.
    fn list(&mut self, table: &mut Table) {
        for (arguments, rounds) in [(&["--limit", "10"][..], SOME), (&[], SOME), (&["--all"], FEW)] {
            let command = [&["account", "list"], arguments].concat();
            self.calls();
            let times = Times::of(rounds, |_| drop(self.stage.run(&command)));
            table.put(&format!("`locum {}`", command.join(" ")), times);
            self.put_calls(&format!("`locum {}`: requests", command.join(" ")), rounds, table);
        }
    }

    /// From nothing until clients are served.
    fn start(&mut self, table: &mut Table) {
        self.calls();
        let starts = (0..SOME).map(|_| {
            let began = Instant::now();
            let node = self.serve();
            let took = began.elapsed();
            node.stop().succeeded();
            took
        });
        table.put("`locum serve` until it is ready", starts.collect::<Times>());
        self.put_calls("`locum serve` until it is ready: requests", SOME, table);
    }

    /// A node that says that it is ready.
    fn serve(&self) -> Served {
        let node = self.stage.home.serve();
        Wire::plain(node.port("admin")).ask("GET /readyz HTTP/1.0\r\n", "HTTP/1.0 200");
        node
    }

    /// What a login costs before its upstream is dialled, in this process: of clients that this node has not seen, and of
    /// the same again.
    fn decide(&mut self, table: &mut Table) {
        let Config { store, upstreams, broker: options, tls: tls_options, tokens: bounds, .. } = self.stage.config();
        let served = self.runtime.block_on(store::serve(&store)).unwrap();
        let entrance = Entrance { upstreams: upstreams.keys().cloned().collect(), ..Entrance::default() };
        let directory = Directory::new(served.store);
        let https = Https::new(&tls::client_config(&tls_options).unwrap(), HttpOptions::default()).unwrap();
        let tokens = Arc::new(tokens(directory.clone(), https, bounds));
        let broker = Broker::new(directory, tokens, upstreams, Nowhere::default(), options);
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let origin = Origin {
            session: 1,
            listener: "imaps".into(),
            protocol: Protocol::Imap,
            peer,
            via: vec![],
            tls: true,
            tls_version: None,
        };
        let mut decided = |what: &str| {
            self.calls();
            let times = Times::of(MANY.min(self.stage.enrolled()), |number| {
                let (authcid, proof) = (login(number).into_bytes(), self.stage.secret(number).clone());
                let attempt = Attempt { authcid, authzid: None, proof, method: "LOGIN" };
                self.runtime.block_on(broker.decide(&attempt, &origin, &entrance)).unwrap();
            });
            table.put(&format!("decide about a client's {what} login"), times);
        };
        decided("first");
        decided("next");
    }

    /// Whole logins, from LOGIN to OK, the provider's included; and what it takes to remember everybody.
    fn log_in(&mut self, size: usize, table: &mut Table) {
        let node = self.serve();
        let port = node.port("imaps");
        self.stage.log_in(&mut self.stage.connect(port), 0); // the first of all pays for what others find made
        let seen = MANY.min(size - 1);
        for what in ["first", "next"] {
            self.calls();
            let logins = (1..=seen).map(|number| {
                let mut wire = self.stage.connect(port);
                time(|| self.stage.log_in(&mut wire, number))
            });
            table.put(&format!("log in, a client's {what} time"), logins.collect::<Times>());
            self.put_calls(&format!("log in, a client's {what} time: requests"), seen, table);
        }
        let (before, quiet) = (resident_bytes(&node), (seen + 1)..(seen + 1 + SOME).min(size));
        if !quiet.is_empty() {
            let logins = quiet.clone().map(|number| {
                thread::sleep(QUIET_TIME);
                let mut wire = self.stage.connect(port);
                time(|| self.stage.log_in(&mut wire, number))
            });
            table.put("log in, a client's first time, after two seconds of quiet", logins.collect::<Times>());
        }
        let next = AtomicUsize::new(quiet.end);
        let all_in = time(|| {
            thread::scope(|scope| {
                for _ in 0..LOGINS_AT_ONCE {
                    scope.spawn(|| {
                        while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|it| *it < size) {
                            self.stage.log_in(&mut self.stage.connect(port), number);
                        }
                    });
                }
            });
        });
        let others = size - quiet.end;
        if others > 0 {
            let rate = short(others as f64 / all_in.as_secs_f64());
            table.put(&format!("first logins, {LOGINS_AT_ONCE} at once"), format!("{rate} a second"));
        }
        table.put("memory of the node when it has served 100 clients", mebibytes(before));
        table.put("memory of the node when it has served all", mebibytes(resident_bytes(&node)));
        node.stop().succeeded();
    }

    /// How a change comes round, and what it costs to look for one.
    pub(crate) fn measure_changes(&mut self, table: &mut Table) {
        let node = self.serve();
        self.calls();
        let before = cpu_time(&node);
        thread::sleep(IDLE_TIME);
        let busy = cpu_time(&node) - before;
        table.put("a node that has nothing to do, in a minute: requests", describe(&self.calls(), 1));
        table.put("a node that has nothing to do, in a minute: processor time", format!("{} ms", busy.as_millis()));
        node.stop().succeeded();
        for (how, is_pushed) in [("polled", false), ("pushed", true)] {
            let times = self.runtime.block_on(self.notice(is_pushed));
            table.put(&format!("from a write until another node has it, {how}"), times);
        }
    }

    async fn notice(&self, is_pushed: bool) -> Times {
        let Options::Vault(mut options) = self.stage.config().store else { panic!("a file has no nodes") };
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        options.cache.refresh_after = Duration::from_secs(3600);
        if is_pushed {
            options.peer_bind = Some(peer);
            options.cache.poll_interval = Duration::from_secs(3600);
        }
        let writer = self.stage.store_telling(&[peer][..usize::from(is_pushed)]).await;
        let served = store::serve(&Options::Vault(options)).await.unwrap();
        let (stop, node) = (CancellationToken::new(), served.store);
        let upkeep = tokio::spawn(served.upkeep.run(stop.clone()));
        let id = RecordId::new(RecordKind::Account, &address(0));
        let mut version = node.read(&id).await.unwrap().unwrap().version;
        let mut times = Vec::new();
        for round in 0..=2 * SOME {
            // Not in step with the polls, nor so soon after one that a notice would have to wait.
            tokio::time::sleep(Duration::from_millis(200 + round as u64 * 389 % 2000)).await;
            let began = Instant::now();
            let value = Secret::new(format!("round {round}"));
            version = writer.write(&id, &value, Expected::Version(version)).await.unwrap();
            while node.read(&id).await.unwrap().unwrap().version < version {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            times.push(began.elapsed());
        }
        stop.cancel();
        upkeep.await.unwrap();
        times.into_iter().skip(1).collect() // until the first, the node did not know where the feed stood
    }

    /// What the server was asked since this was called last.
    fn calls(&mut self) -> Calls {
        self.audit.as_mut().map(Audit::calls).unwrap_or_default()
    }

    fn put_calls(&mut self, what: &str, times: usize, table: &mut Table) {
        if self.audit.is_some() {
            table.put(what, describe(&self.calls(), times));
        }
    }
}

/// Calls in words, each as often as it comes on one of so many times.
fn describe(calls: &Calls, times: usize) -> String {
    let mut sorted = BTreeMap::<&str, usize>::new();
    for (call, count) in calls {
        let is = |text: &str| call.contains(text);
        let word = match () {
            () if is("list ") => "1 list",
            () if is("data/changes") && is("read ") => "5 feed reads",
            () if is("data/changes") => "4 feed writes",
            () if is("data/") && is("read ") => "2 record reads",
            () if is("data/") => "3 record writes",
            () => "6 others",
        };
        *sorted.entry(word).or_default() += count;
    }
    let words = sorted.iter().map(|(word, count)| format!("{} {}", short(*count as f64 / times as f64), &word[2..]));
    let words: Vec<String> = words.collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn resident_bytes(node: &Served) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Processor time that the threads of a process have used.
fn cpu_time(node: &Served) -> Duration {
    let threads = fs::read_dir(format!("/proc/{}/task", node.pid())).unwrap();
    let nanoseconds = threads.map(|thread| {
        let text = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        text.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}
