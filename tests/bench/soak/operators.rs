//! What operators do all day, by the command line and over HTTP: rotate, reload with another certificate, make clients and remove
//! them, and look at everything there is.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use locum::model::Secret;
use locum::net::tls;
use rustix::process::{Pid, Signal, kill_process};

use crate::load::Field;
use crate::program::{Run, ask, finish};
use crate::stage::address;
use crate::{ACCOUNTS, ROTATED, Soak};

/// From one to the next of each kind.
const REST: Duration = Duration::from_millis(300);
const RELOAD_PACE: Duration = Duration::from_secs(7);

/// A session lasts for a minute at the most.
const RETIRE_TRIES_MAX: usize = 300;

/// What is looked at over HTTP.
const PAGES: &[&str] = &[
    "/readyz",
    "/metrics",
    "/v1/sessions",
    "/v1/clients",
    "/v1/accounts",
    "/v1/overview",
    "/v1/reports/rotation",
    "/v1/audit?limit=20",
    "/",
];

/// Certificates that Locum shows in turns.
const CERTIFICATES: [&str; 2] = ["first", "second"];

/// Has the files and keys of the configuration that this takes.
pub(crate) fn prepare(field: &mut Field) {
    let home = &field.stage.home;
    let other = tls::self_signed(&["localhost".to_owned()]).unwrap();
    let pems = [(home.read("tls.crt"), home.read("tls.key")), (other.certificate.clone(), other.key.to_string())];
    for (name, (certificate, key)) in CERTIFICATES.iter().zip(&pems) {
        home.write(&format!("{name}.crt"), certificate);
        home.write(&format!("{name}.key"), key);
    }
    home.write("trust.crt", format!("{}{}", pems[0].0, pems[1].0));
    let config = home.read("locum.toml");
    let config = config
        .replace("[admin]\n", "[admin]\nsocket = \"admin.sock\"\napi = true\nconsole = true\n")
        .replace("[audit]\n", "[audit]\nmax-size = \"1MiB\"\nkeep = 3\n");
    home.write("locum.toml", config + "[rotation]\nsecond-look = \"1s\"\n");
    field.trust = home.path("trust.crt");
}

/// Begins all of it, until the soak is over.
pub(crate) fn work(soak: &Soak, pid: u32) -> Vec<JoinHandle<()>> {
    let again = |rest: Duration, deed: fn(&Soak, u32, usize)| {
        let soak = soak.clone();
        thread::spawn(move || {
            for turn in 0.. {
                deed(&soak, pid, turn);
                soak.deed();
                thread::sleep(rest);
                if soak.is_over() {
                    return;
                }
            }
        })
    };
    vec![again(REST, rotate), again(RELOAD_PACE, reload), again(REST, change_clients), again(REST, look)]
}

fn run(soak: &Soak, arguments: &[&str]) -> Run {
    soak.field.stage.run(arguments)
}

/// One account's password takes the place of the one before.
fn rotate(soak: &Soak, _: u32, turn: usize) {
    let name = address(ACCOUNTS + turn % ROTATED);
    let (label, secret) = (format!("turn {turn}"), format!("n3w-{turn:012}"));
    soak.field.stage.provider.sandbox.add_password(&name, Secret::new(secret.as_str()));
    let stage = ["rotate", "stage", &name, "--label", &label, "--secret-stdin"];
    soak.field.stage.home.run_with(&stage, &secret).succeeded();
    for verb in ["verify", "promote"] {
        run(soak, &["rotate", verb, &name]);
    }
    // While somebody is in by it, it is not to be had.
    let retire = || finish(soak.field.stage.command(&["rotate", "retire", &name, "--now", "--yes"]).spawn().unwrap());
    let tries = (0..RETIRE_TRIES_MAX).map(|_| retire());
    if tries.inspect(|_| thread::sleep(REST)).any(|it| it.code == Some(0)) {
        run(soak, &["rotate", "deleted", &name, "--all"]);
    } else {
        panic!("{name}: never retired: {:#?}", retire());
    }
    // Those of the turns before: one that logs in has read its record by now.
    let before = soak.field.stage.provider.sandbox.passwords(&name);
    for old in before.iter().rev().skip(2) {
        soak.field.stage.provider.sandbox.remove_password(&name, old);
    }
}

fn reload(soak: &Soak, pid: u32, turn: usize) {
    let home = &soak.field.stage.home;
    for kind in ["key", "crt"] {
        home.write(&format!("tls.{kind}"), home.read(&format!("{}.{kind}", CERTIFICATES[turn % 2])));
    }
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::HUP).unwrap();
}

fn change_clients(soak: &Soak, _: u32, turn: usize) {
    let login = format!("passing-{}", turn % 20);
    run(soak, &["client", "issue", &login, "--account", &address(0)]);
    run(soak, &["session", "list"]);
    run(soak, &["client", "revoke", &login, "--all"]);
}

fn look(soak: &Soak, _: u32, turn: usize) {
    let (status, _) = ask(&soak.field.stage.home, "GET", PAGES[turn % PAGES.len()], None);
    // An overview is not there at first.
    assert!([200, 303, 503].contains(&status), "{}: {status}", PAGES[turn % PAGES.len()]);
}
