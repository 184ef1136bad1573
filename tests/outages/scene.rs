//! What each fault is put to: two nodes with clients that log in all the time, and newcomers that neither node has read.
//! One node may use what it remembers for hours, the other (`strict`) not at all.

use std::time::{Duration, Instant};

use futures::future::join_all;
use locum::config::Config;
use locum::model::Protocol;
use locum::sandbox::Behaviour;
use locum::store::Options;
use locum::store::vault::Options as VaultOptions;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::house::House;
use crate::looks::{Look, figure};
use crate::openbao::{Cluster, eventually};
use crate::support::{Actor, Doors, Lab, Node, Plan};
use crate::traffic::{Traffic, Verdict};

/// One scene at a time: metrics are of the process, and so are two cores.
static STAGE: Mutex<()> = Mutex::const_new(());

impl House {
    /// A stage whose nodes read from here. `more` are lines of `[store]`.
    pub(crate) async fn plan(&self, more: &str) -> Plan {
        let admin = "[admin]\nbind = \"127.0.0.1:0\"\n";
        Plan::new().store(&self.toml(more), self.operator(more).await).toml(admin)
    }
}

pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) house: House,
    pub(crate) lab: Lab,
    strict: Node,
    refresh_after: Duration,
    newcomers: usize,
    _alone: MutexGuard<'static, ()>,
}

impl Scene {
    /// `tune` changes what the nodes are set up with.
    pub(crate) async fn set(servers: usize, token_ttl: &str, tune: impl Fn(&mut VaultOptions) + 'static) -> Self {
        let alone = STAGE.lock().await;
        let cluster = Cluster::start(servers).await;
        let root = cluster.on(cluster.leader().await);
        let house = House::found(&root, &cluster.addresses(), Some(cluster.ca_file()), token_ttl).await;
        // A standby takes a second or two to find out that a new engine has been set up.
        for node in 0..servers {
            let node = cluster.on(node);
            eventually("the engine on each server", async || {
                let (status, _) = node.api("GET", "locum/data/changes/head", Value::Null).await;
                (status == 404).then_some(())
            })
            .await;
        }
        let lab = house.plan("").await.tune(move |config| tune(vault(config))).start().await;
        let mut refresh_after = Duration::ZERO;
        let strict = lab.node(|config| {
            let options = vault(config);
            (refresh_after, options.cache.max_stale) = (options.cache.refresh_after, Duration::ZERO);
        });
        let strict = strict.await;
        for node in [&*lab, &strict] {
            Look::until(node, "up", "").await;
        }
        Self { cluster, house, lab, strict, refresh_after, newcomers: 0, _alone: alone }
    }

    /// A fault in which nobody can ask the store, which ends. `reason` is in what the node says of it.
    pub(crate) async fn outage(
        &mut self,
        name: &str,
        reason: &str,
        begin: impl AsyncFnOnce(&mut Cluster, &House),
        end: impl AsyncFnOnce(&mut Cluster, &House),
    ) {
        let newcomer = self.newcomer().await;
        let nobody = Actor { login: format!("{}-misspelt", newcomer.login), ..newcomer.clone() };
        let (known, strict) = self.traffic().await;
        let stale_before = figure(&self.lab, STALE).await;

        let struck = Instant::now();
        begin(&mut self.cluster, &self.house).await;
        let look = Look::until(&self.lab, "down", reason).await;
        assert_eq!(look.verdict(), (200, true, true), "{name}: {look:?}");
        let noticed = Instant::now();
        let look = Look::until(&self.strict, "down", reason).await;
        assert_eq!(look.verdict(), (503, false, false), "{name}: {look:?}");

        let unreachable = figure(&self.lab, UNREACHABLE).await;
        let known_go_on = async {
            for _ in 0..ROUNDS {
                known.all(Verdict::LetIn).await;
            }
        };
        // At once: where servers are silent, each of these takes the time of a request or two.
        tokio::join!(
            tell(&self.lab, &newcomer, Verdict::Later, name),
            tell(&self.lab, &nobody, Verdict::Later, name),
            known_go_on,
            strict.all(Verdict::Later),
        );
        assert_eq!(figure(&self.lab, UP).await, 0.0, "{name}");
        assert!(unreachable > 0.0 && figure(&self.lab, UNREACHABLE).await > unreachable, "{name}");
        let has_stale = figure(&self.lab, STALE).await > stale_before;
        assert!(has_stale || struck.elapsed() < self.refresh_after, "{name}: nothing was stale");

        let over = Instant::now();
        end(&mut self.cluster, &self.house).await;
        let ended = Instant::now();
        for node in [&*self.lab, &self.strict] {
            let look = Look::until(node, "up", "").await;
            assert_eq!(look.verdict(), (200, true, false), "{name}: {look:?}");
        }
        let recovered = ended.elapsed();
        assert_eq!(figure(&self.lab, UP).await, 1.0, "{name}");
        assert_eq!(figure(&self.lab, UNREACHABLE).await, 0.0, "{name}");
        tell(&self.lab, &newcomer, Verdict::LetIn, name).await;
        tell(&self.lab, &nobody, Verdict::Wrong, name).await;
        known.all(Verdict::LetIn).await;
        strict.all(Verdict::LetIn).await;

        let (known, strict) = (known.end().await, strict.end().await);
        known.are_all(name, &[Verdict::LetIn]);
        strict.are_all(name, &[Verdict::LetIn, Verdict::Later]);
        let (logins, median, longest) = known.figures(noticed, over);
        println!(
            "{name}: seen after {:.1?}; {logins} logins of known clients while it lasted took {median:.0?} (median), \
             {longest:.0?} (longest), before it was seen {:.0?} (longest); up again {recovered:.1?} after its end",
            noticed - struck,
            known.figures(struck, noticed).2,
        );
        // Generous: the machine has two cores, and the clients share them with the servers.
        assert!(median < Duration::from_secs(1) && longest < Duration::from_secs(3), "{name}: the outage is paid for");
    }

    /// A fault that clients must not notice, nor newcomers. `act` returns when it is over.
    pub(crate) async fn nuisance(&mut self, name: &str, act: impl AsyncFnOnce(&mut Cluster, &Witness<'_>)) {
        let newcomer = self.newcomer().await;
        let (known, strict) = self.traffic().await;
        let struck = Instant::now();
        let witness =
            Witness { name, lab: &self.lab, house: &self.house, known: &known, strict: &strict, newcomer: &newcomer };
        act(&mut self.cluster, &witness).await;
        let over = Instant::now();
        let (known, strict) = (known.end().await, strict.end().await);
        known.are_all(name, &[Verdict::LetIn]);
        // While servers change roles there are moments in which none answers.
        strict.are_all(name, &[Verdict::LetIn, Verdict::Later]);
        let (logins, median, longest) = known.figures(struck, over);
        println!("{name}: {logins} logins of known clients took {median:.0?} (median), {longest:.0?} (longest)");
    }

    /// A client that neither node has read.
    pub(crate) async fn newcomer(&mut self) -> Actor {
        self.newcomers += 1;
        let (login, app_password) = (format!("newcomer{}", self.newcomers), "mnbvcxzlkjhgfdsa");
        let newcomer = self.lab.enrol(&login, "gmail", app_password).await;
        self.lab.gmail.add_mailbox(&newcomer.address, app_password, Behaviour::Normal);
        newcomer
    }

    /// At both nodes; each client has been let in.
    async fn traffic(&self) -> (Traffic, Traffic) {
        let traffic = (Traffic::start(&self.lab, &self.lab), Traffic::start(&self.strict, &self.lab));
        tokio::join!(traffic.0.all(Verdict::LetIn), traffic.1.all(Verdict::LetIn));
        traffic
    }
}

/// Sees that a fault is none to clients while it lasts.
pub(crate) struct Witness<'a> {
    name: &'a str,
    pub(crate) lab: &'a Lab,
    pub(crate) house: &'a House,
    known: &'a Traffic,
    strict: &'a Traffic,
    newcomer: &'a Actor,
}

impl Witness<'_> {
    /// Old clients and new ones are let in, and the store is up.
    pub(crate) async fn sees_nothing(&self) {
        for protocol in Protocol::ALL {
            eventually("a newcomer to be let in", async || {
                let (_wire, answer) = self.lab.present(protocol, &self.newcomer.login, &self.newcomer.secret).await;
                let verdict = Verdict::of(protocol, &answer);
                assert!([Verdict::LetIn, Verdict::Later].contains(&verdict), "{}: {protocol}: {answer}", self.name);
                (verdict == Verdict::LetIn).then_some(())
            })
            .await;
        }
        self.goes_on().await;
        Look::until(self.lab, "up", "").await;
    }

    /// Old clients are let in, some times each.
    pub(crate) async fn goes_on(&self) {
        for _ in 0..ROUNDS {
            tokio::join!(self.known.all(Verdict::LetIn), self.strict.all(Verdict::LetIn));
        }
    }
}

/// Each client logs in at least so often while a fault lasts.
const ROUNDS: usize = 5;

const UP: &str = "locum_store_up";
const UNREACHABLE: &str = "locum_store_unreachable_seconds";
const STALE: &str = "locum_store_stale_reads_total";

/// What happens in minutes by default, in seconds.
pub(crate) fn hasty(options: &mut VaultOptions) {
    options.request_timeout = Duration::from_secs(1);
    options.cache.refresh_after = Duration::from_millis(200);
    options.cache.poll_interval = Duration::from_millis(200);
}

pub(crate) fn vault(config: &mut Config) -> &mut VaultOptions {
    match &mut config.store {
        Options::Vault(options) => options,
        other => panic!("it is a Vault: {other:?}"),
    }
}

/// One login by every protocol, at once, each of which is to be told that.
pub(crate) async fn tell(node: &Doors, actor: &Actor, verdict: Verdict, name: &str) {
    let logins = Protocol::ALL.map(async |protocol| {
        let (_wire, answer) = node.present(protocol, &actor.login, &actor.secret).await;
        assert_eq!(Verdict::of(protocol, &answer), verdict, "{name}: {} by {protocol}: {answer}", actor.login);
    });
    join_all(logins).await;
}
