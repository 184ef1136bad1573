//! Nodes that count failed logins together at a real Redis server: what it holds, and what becomes of logins when it is away,
//! silent, full, or will not have us.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use locum::model::{Protocol, Refusal};
use locum::store::KeySource;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::answers::{accepted, refused};
use crate::child::{Server, free_port, run_well};
use crate::support::{Doors, Identity, Lab, Plan, Wire};

const PASSWORD: &str = "hqzvkxjwpbmfgytd";

/// All that Locum needs of it. What it may do and where stands in docs/operations.md.
const RIGHTS: &str = "resetkeys ~locum:* -@all +set +incr +exists +pttl +pexpire +del";

/// A Redis server in a folder of its own, with one user for Locum and one for the test.
struct Redis {
    server: Server,
    dir: TempDir,
    port: u16,
    is_tls: bool,
}

impl Redis {
    /// Plain, or with TLS alone.
    fn start(tls: Option<&Identity>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        write(path("password"), PASSWORD);
        write(path("wrong-password"), "another");
        write(path("key"), "wYdVt0P9b2mT5cN8aFh3LqXrGk7sJz1e");
        let port = free_port();
        let listening = match tls {
            None => format!("port {port}\n"),
            Some(identity) => {
                write(path("ca.crt"), &identity.pems.certificate);
                write(path("tls.key"), &identity.pems.key);
                let [certificate, key] = ["ca.crt", "tls.key"].map(|name| path(name).display().to_string());
                format!(
                    "port 0\ntls-port {port}\ntls-cert-file {certificate}\ntls-key-file {key}\n\
                     tls-ca-cert-file {certificate}\ntls-auth-clients no\n"
                )
            }
        };
        let configuration = format!(
            "{listening}bind 127.0.0.1 -::1\ndir {}\nsave \"\"\nlogfile {}\nuser default off\n\
             user locum on >{PASSWORD} {RIGHTS}\nuser test on >{PASSWORD} ~* &* +@all\n",
            dir.path().display(),
            path("log").display()
        );
        write(path("redis.conf"), &configuration);
        let server = Self::spawn(&dir, port);
        Self { server, dir, port, is_tls: tls.is_some() }
    }

    fn spawn(dir: &TempDir, port: u16) -> Server {
        let mut command = Command::new("redis-server");
        command.arg(dir.path().join("redis.conf"));
        let mut server = Server::spawn("redis-server", &mut command, vec![dir.path().join("log")]);
        assert!(server.listens(&[port]), "it ended");
        server
    }

    /// After it was killed.
    fn start_again(&mut self) {
        self.server = Self::spawn(&self.dir, self.port);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `[limits.shared]` for it.
    fn toml(&self) -> String {
        let [ca, password, key] = ["ca.crt", "password", "key"].map(|name| self.path(name).display().to_string());
        let tls = if self.is_tls { format!("ca-file = \"{ca}\"\ntls = true") } else { "tls = false".to_owned() };
        format!(
            "[admin]\nbind = \"127.0.0.1:0\"\n[limits.shared]\naddress = \"localhost:{}\"\n{tls}\nusername = \"locum\"\n\
             password-file = \"{password}\"\ndigest-key-file = \"{key}\"\n",
            self.port
        )
    }

    /// What it says to the test.
    fn ask(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.env("REDISCLI_AUTH", PASSWORD).args(["--user", "test", "-p", &self.port.to_string()]);
        if self.is_tls {
            command.args(["-h", "localhost", "--tls", "--cacert"]).arg(self.path("ca.crt"));
        }
        String::from_utf8(run_well(command.args(arguments), b"")).unwrap()
    }

    fn keys(&self) -> Vec<String> {
        self.ask(&["--scan"]).lines().map(str::to_owned).collect()
    }
}

fn write(path: PathBuf, text: &str) {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// What the node says of it to whoever asks whether it is ready.
async fn readiness(node: &Doors) -> String {
    let mut wire = Wire::connect(node.address("admin")).await;
    wire.write("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    wire.rest().await
}

/// Waits until it says so, and is ready all the same.
async fn says(node: &Doors, state: &str) -> String {
    let wanted = format!(r#""name":"throttle","state":"{state}""#);
    let waiting = async {
        loop {
            let said = readiness(node).await;
            if said.contains(&wanted) && said.contains(r#""ready":true"#) {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let said = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    let said = match said {
        Ok(said) => said,
        Err(_) => panic!("never {state}: {}", readiness(node).await),
    };
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    said
}

async fn is_told(node: &Doors, login: &str, secret: &str, refusal: Refusal) {
    let (_wire, answer) = node.present(Protocol::Imap, login, secret).await;
    assert_eq!(answer, refused(Protocol::Imap, refusal), "{login}");
}

/// That alice is let in, so often.
async fn logs_in(lab: &Lab, times: usize) {
    for _ in 0..times {
        let (mut wire, answer) = lab.present(Protocol::Imap, &lab.alice.login, &lab.alice.secret).await;
        assert_eq!(answer, accepted(Protocol::Imap));
        wire.write("z LOGOUT\r\n").await;
        wire.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_count_together_and_the_server_learns_no_names() {
    let redis = Redis::start(Some(&Identity::of("localhost")));
    let lab = Plan::new().toml(&redis.toml()).tune(|config| config.broker.failures_per_login_max = 4).start().await;
    let other = lab.node(|_| {}).await;
    says(&lab, "shared").await;
    says(&other, "shared").await;
    let (login, secret) = (&lab.alice.login, &lab.alice.secret);
    for guess in 0..2 {
        is_told(&lab, login, &format!("guess-{guess}"), Refusal::WrongCredentials).await;
        is_told(&other, login, &format!("other-guess-{guess}"), Refusal::WrongCredentials).await;
    }
    let third = lab.node(|_| {}).await;
    says(&third, "shared").await;
    for node in [&*lab, &other, &third] {
        is_told(node, login, secret, Refusal::LimitReached).await;
    }
    lab.log_in(Protocol::Submission, &lab.scanner).await;

    let keys = redis.keys();
    assert!(keys.iter().any(|key| key.starts_with("locum:h:")) && keys.len() >= 4, "{keys:?}");
    let values: Vec<String> = keys.iter().map(|key| redis.ask(&["get", key])).collect();
    for text in keys.iter().chain(&values) {
        assert!(!text.contains(login) && !text.contains("127.0.0.1") && !text.contains("guess"), "{text}");
    }
    for key in keys {
        let left: i64 = redis.ask(&["pttl", &key]).trim().parse().unwrap();
        assert!(left > 0 || left == -2, "{key} ends by itself: {left}"); // or has done so
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_login_makes_good_at_all_nodes() {
    let redis = Redis::start(None);
    let lab = Plan::new().toml(&redis.toml()).tune(|config| config.broker.failures_per_login_max = 2).start().await;
    let other = lab.node(|_| {}).await;
    says(&lab, "shared").await;
    says(&other, "shared").await;
    is_told(&lab, &lab.alice.login, "one", Refusal::WrongCredentials).await;
    other.log_in(Protocol::Imap, &lab.alice).await;
    is_told(&other, &lab.alice.login, "two", Refusal::WrongCredentials).await;
    other.log_in(Protocol::Imap, &lab.alice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_go_on_when_the_server_is_killed_or_silent_and_it_comes_back() {
    let mut redis = Redis::start(None);
    let plan = Plan::new().toml(&redis.toml()).tune(|config| {
        config.broker.failures_per_address_max = 100_000;
        config.broker.failures_per_login_max = 2;
    });
    let lab = plan.start().await;
    says(&lab, "shared").await;
    let flooding = async {
        // Until the rest is through.
        for number in 0.. {
            is_told(&lab, &format!("nobody{number}"), "guess", Refusal::WrongCredentials).await;
        }
    };
    let through = async {
        logs_in(&lab, 3).await;
        redis.server.kill();
        logs_in(&lab, 5).await;
        let said = says(&lab, "alone").await;
        assert!(said.contains(r#""degraded":true"#), "{said}");
        // It counts by itself meanwhile.
        for guess in ["one", "two"] {
            is_told(&lab, "somebody", guess, Refusal::WrongCredentials).await;
        }
        is_told(&lab, "somebody", "three", Refusal::LimitReached).await;

        redis.start_again();
        says(&lab, "shared").await;
        is_told(&lab, "someone", "one", Refusal::WrongCredentials).await;
        assert!(redis.keys().iter().any(|key| key.starts_with("locum:c:")));

        redis.server.signal(Signal::STOP);
        logs_in(&lab, 5).await;
        let said = says(&lab, "alone").await;
        assert!(said.contains("did not answer within"), "{said}");
        redis.server.signal(Signal::CONT);
        says(&lab, "shared").await;
    };
    tokio::select! {
        () = flooding => unreachable!("it has no end"),
        () = through => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_full_or_will_not_have_us_is_told_and_stands_in_nobodys_way() {
    let redis = Redis::start(None);
    let lab = Plan::new().toml(&redis.toml()).start().await;
    says(&lab, "shared").await;
    let wrong = redis.path("wrong-password");
    let refused = lab
        .node(|config| {
            let shared = config.broker.shared.as_mut().unwrap();
            shared.password = Some(KeySource::File(wrong));
        })
        .await;
    let said = says(&refused, "alone").await;
    assert!(said.contains("refuses the user or the password") && !said.contains("another"), "{said}");
    refused.log_in(Protocol::Imap, &lab.alice).await;

    redis.ask(&["config", "set", "maxmemory", "1"]);
    is_told(&lab, "nobody", "guess", Refusal::WrongCredentials).await;
    let said = says(&lab, "alone").await;
    assert!(said.contains("OOM") || said.contains("memory"), "{said}");
    logs_in(&lab, 2).await;
    redis.ask(&["config", "set", "maxmemory", "0"]);
    says(&lab, "shared").await;
}
