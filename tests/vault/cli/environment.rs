//! What libraries read from the environment changes nothing: neither whom a node trusts, nor whom it asks, nor by way of
//! whom.

use std::net::TcpListener;

use super::{CONFIG, Desk, Office, write_policies};
use crate::openbao::Cluster;

/// A place that somebody else would like everything to go by.
struct Trap {
    listener: TcpListener,
    address: String,
}

impl Trap {
    fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, address }
    }

    /// All that could lead there.
    fn environment(&self) -> Vec<(&'static str, &str)> {
        let addresses = ["VAULT_ADDR", "BAO_ADDR", "VAULT_AGENT_ADDR", "VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY"];
        let proxies = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
        let mut environment: Vec<_> =
            addresses.iter().chain(&proxies).map(|name| (*name, self.address.as_str())).collect();
        environment.extend([("VAULT_NAMESPACE", "elsewhere"), ("VAULT_WRAP_TTL", "5m"), ("VAULT_CLIENT_TIMEOUT", "0")]);
        environment
    }

    /// A connection that waits to be accepted is one that was made.
    fn is_untouched(&self) -> bool {
        self.listener.accept().is_err()
    }
}

const DIAL: [&str; 2] = ["check", "--dial"];

#[tokio::test(flavor = "multi_thread")]
async fn an_untrusted_server_stays_one() {
    let cluster = Cluster::start(1).await;
    let root = cluster.on(0);
    root.mount_kv2("locum").await;
    write_policies(&root).await;
    let file = cluster.ca_file().display().to_string();
    let desk = Desk::at(&root, &format!("ca-file = \"{file}\"\n")).await;
    let good = desk.config.replace("[upstream.gmail]\npreset = \"gmail\"\n", "");
    let untrusting = good.replace(&format!("ca-file = \"{file}\"\n"), "");
    let token = root.token(&["locum-operator"], "1h").await;
    let trap = Trap::set();
    for skip in ["", "1", "true", "yes"] {
        let mut environment = trap.environment();
        environment.extend([("VAULT_SKIP_VERIFY", skip), ("BAO_SKIP_VERIFY", skip)]);
        environment.extend([("VAULT_CACERT", file.as_str()), ("BAO_CACERT", &file), ("VAULT_CAPATH", &file)]);
        desk.configure("locum.toml", &untrusting);
        desk.run_in(&environment, &DIAL).ended(CONFIG).said("its certificate is not trusted");
        desk.run_in(&environment, &["serve"]).ended(CONFIG);
        environment.push(("VAULT_TOKEN", &token));
        desk.run_in(&environment, &["account", "list"]).ended(CONFIG).said("its certificate is not trusted");

        desk.configure("locum.toml", &good);
        desk.run_in(&environment, &["account", "list"]).succeeded();
        desk.run_in(&environment, &DIAL).succeeded();
    }
    assert!(trap.is_untouched());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_asked_by_no_proxy() {
    let office = Office::open().await;
    let trap = Trap::set();
    let mut environment = trap.environment();
    let config = office.desk.config.replace("[upstream.gmail]\npreset = \"gmail\"\n", "");
    office.desk.configure("locum.toml", &config);
    office.desk.run_in(&environment, &DIAL).succeeded();
    environment.push(("VAULT_TOKEN", &office.operator));
    office.desk.run_in(&environment, &["account", "list"]).succeeded();
    assert!(trap.is_untouched());
}
