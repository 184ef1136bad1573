//! `locum serve` as a supervisor sees it: when it is ready, how it ends, and what it outlives.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use locum::sandbox::Face;
use rustix::process::Signal;

use crate::support::{DEADLINE, Home, Provider, Served, Wire, trusted};

const ADDRESS: &str = "alice@gmail.test";
const APP_PASSWORD: &str = "abcdefghijklmnop";

/// Locum in front of a provider, and the secret of the client `scan`.
struct Stage {
    home: Home,
    secret: String,
    _provider: Provider,
}

/// The drain has this long, in the configuration's words.
fn stage(drain_timeout: &str) -> Stage {
    let home = Home::made();
    let provider = Provider::new(Face::Gmail, &trusted(&home));
    provider.add(ADDRESS, APP_PASSWORD);
    let upstream = provider.serve();
    home.configure(&format!(
        "[upstream.gmail]\n{upstream}\n[limits]\ndrain-timeout = \"{drain_timeout}\"\n[[listener]]\nname = \"imap\"\n\
         protocol = \"imap\"\nbind = \"127.0.0.1:0\"\ntls = \"none\"\nplaintext-networks = \"127.0.0.0/8\"\n"
    ));
    home.run_with(&["account", "add", ADDRESS, "--upstream", "gmail", "--secret-stdin"], APP_PASSWORD).succeeded();
    let secret = home.run(&["client", "issue", "scan", "--account", ADDRESS]).succeeded().stdout.trim().to_owned();
    Stage { home, secret, _provider: provider }
}

impl Stage {
    fn logged_in(&self, served: &Served) -> Wire {
        let mut wire = Wire::plain(served.port("imap"));
        wire.ask(&format!("a LOGIN scan {}", self.secret), "a OK");
        wire
    }
}

#[test]
fn sigterm_ends_it_when_the_sessions_have_ended() {
    let stage = stage("1h");
    let served = stage.home.serve();
    let mut session = stage.logged_in(&served);
    let mut stranger = Wire::plain(served.port("imap"));
    stranger.expect("* OK");
    served.signal(Signal::TERM);
    served.wait_for_log("draining sessions=2");
    stranger.expect("* BYE");
    session.ask("b NOOP", "b OK"); // who is logged in has time
    session.ask("c LOGOUT", "c OK");
    drop((session, stranger));
    let run = served.wait().succeeded();
    run.said("stopped");
    assert_eq!(run.stdout, "");
}

#[test]
fn the_audit_is_in_the_log_where_no_file_has_it() {
    let stage = stage("1s");
    let config = stage.home.read("locum.toml");
    for (audit, is_logged) in [("", true), ("[audit]\npath = \"audit.jsonl\"\n", false)] {
        let filter = "[telemetry]\nlog = \"warn,locum::app=info,locum::cli=info\"\n";
        stage.home.write("locum.toml", format!("{config}\n{filter}{audit}"));
        let served = stage.home.serve();
        stage.logged_in(&served).ask("b LOGOUT", "b OK");
        let run = served.stop().succeeded();
        assert_eq!(run.stderr.contains("\"event\":\"decision\""), is_logged, "{}", run.stderr);
    }
    assert!(stage.home.read("audit.jsonl").contains("\"event\":\"decision\""));
}

#[test]
fn sigterm_ends_it_when_the_time_is_up() {
    let stage = stage("1s");
    let served = stage.home.serve();
    let mut session = stage.logged_in(&served);
    session.say("b APPEND INBOX {9}"); // and never what it promised
    session.expect("+ ");
    let began = Instant::now();
    served.signal(Signal::TERM);
    let run = served.wait().succeeded();
    assert!(began.elapsed() >= Duration::from_secs(1), "the session had no time");
    run.said("time is up").said("stopped");
    session.drain();
}

#[test]
fn a_second_sigint_ends_it_at_once() {
    let stage = stage("1h");
    let served = stage.home.serve();
    let _session = stage.logged_in(&served);
    served.signal(Signal::INT);
    served.wait_for_log("draining sessions=1");
    served.signal(Signal::INT);
    served.wait().succeeded().said("stopped at once, as asked twice");
}

#[test]
fn it_works_on_when_nobody_reads_its_log() {
    let stage = stage("1h");
    let mut child = stage.home.command(&["serve"]).stdout(Stdio::null()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut port = None;
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "it is never ready");
        if let Some((_, address)) = line.split_once("address=127.0.0.1:") {
            port = Some(address.trim().parse().unwrap());
        }
        if line.trim_end().ends_with("ready") {
            break;
        }
    }
    drop(log); // as when the process at the other end of `2>&1 |` dies
    for _ in 0..2 {
        let mut wire = Wire::plain(port.unwrap());
        wire.ask(&format!("a LOGIN scan {}", stage.secret), "a OK");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_command_line_works_while_it_serves() {
    let stage = stage("1h");
    let served = stage.home.serve();
    let other = stage.home.run(&["client", "issue", "other", "--account", ADDRESS]).succeeded().stdout;
    let mut wire = Wire::plain(served.port("imap"));
    wire.ask(&format!("a LOGIN other {}", other.trim()), "a OK");
    drop(wire);
    stage.home.run(&["client", "revoke", "other", "--all"]).succeeded();
    let mut wire = Wire::plain(served.port("imap"));
    wire.ask(&format!("a LOGIN other {}", other.trim()), "a NO [AUTHENTICATIONFAILED]");
    drop(wire);
    served.stop().succeeded();
}

#[test]
fn the_demo_goes_as_it_must() {
    let home = Home::empty();
    let run = home.run(&["demo", "--once"]).succeeded();
    assert!(run.stdout.ends_with("All went as it must.\n"), "{run:#?}");
    assert_eq!(home.folder().read_dir().unwrap().count(), 0, "it left something behind");
}

#[test]
fn the_demo_keeps_serving_until_it_is_interrupted() {
    let home = Home::empty();
    let mut child = home.command(&["demo"]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("Ctrl-C ends it") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended by itself");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    let began = Instant::now();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success() && began.elapsed() < DEADLINE);
}
