//! The provider's servers themselves: real processes that are killed, or stand still. Locum goes straight to their ports.

use std::process::Command;
use std::time::Duration;

use locum::model::Protocol;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;

use crate::child::Server;
use crate::endpoint::Tls;
use crate::openbao::eventually;
use crate::page;
use crate::programs;
use crate::stage::{Bound, Bystanders, Client, Plan, Provider, Reason, Stage, View};

const ROW: &str = "served";

/// A server of the provider.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Dovecot,
    Postfix,
}

struct Row {
    words: &'static str,
    which: Which,
    /// SIGKILL, or SIGSTOP and later SIGCONT.
    is_killed: bool,
    bound: Bound,
    said: &'static str,
    /// What a session that was open says afterwards.
    session: &'static str,
}

const ROWS: [Row; 4] = [
    Row {
        words: "Postfix stands still (SIGSTOP)",
        which: Which::Postfix,
        is_killed: false,
        bound: Bound::Handshake,
        said: "no answer within 4s",
        session: "waits, goes on",
    },
    Row {
        words: "Postfix is killed",
        which: Which::Postfix,
        is_killed: true,
        bound: Bound::AtOnce,
        said: "Connection refused",
        session: "closed",
    },
    Row {
        words: "Dovecot stands still (SIGSTOP)",
        which: Which::Dovecot,
        is_killed: false,
        bound: Bound::Handshake,
        said: "no answer within 4s",
        session: "waits, goes on",
    },
    Row {
        words: "Dovecot is killed",
        which: Which::Dovecot,
        is_killed: true,
        bound: Bound::AtOnce,
        said: "Connection refused",
        session: "closed",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_whose_servers_hang_or_die_is_back_when_they_are() {
    let mut plan = Plan::new(&[ROW]);
    plan.is_direct = true;
    // The bystanders are at another provider.
    plan.healthy_elsewhere = true;
    let stage = plan.start().await;
    let bystanders = Bystanders::of(&stage).await;
    let mut again = Vec::new();
    let mut seen = Vec::new();
    for row in &ROWS {
        seen.push(befall(&stage, row, &mut again).await);
    }
    bystanders.end(10).await;
    let head = ["Fault", "new logins", "at the latest after", "a session that is open", "the audit says"];
    page::holds("servers", &head, &seen);
}

async fn befall(stage: &Stage, row: &Row, again: &mut Vec<Server>) -> Vec<String> {
    let (pid, protocols) = match row.which {
        Which::Dovecot => (stage.provider.dovecot.pid(), &[Protocol::Imap, Protocol::Pop3][..]),
        Which::Postfix => (stage.provider.postfix.pid(), &[Protocol::Submission][..]),
    };
    let group = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let mut open: Vec<Client> = Vec::new();
    for protocol in protocols {
        open.push(stage.enter(ROW, *protocol).await);
    }
    kill_process_group(group, if row.is_killed { Signal::KILL } else { Signal::STOP }).unwrap();
    for protocol in protocols.iter().filter(|_| row.is_killed) {
        // Not all of its processes end at once.
        let port = stage.provider.port(*protocol, Tls::Implicit);
        eventually("a port that nobody serves", async || TcpStream::connect(("127.0.0.1", port)).await.err()).await;
    }
    let (mut words, mut reasons) = (Vec::new(), Vec::new());
    for protocol in protocols {
        let before = stage.failures(ROW, *protocol);
        let (_, view, took) = stage.log_in(ROW, *protocol).await;
        assert_eq!(view, View::Later, "{}", row.words);
        assert!(took < row.bound.longest(), "{} by {protocol}: {took:?}", row.words);
        words.push(view.words(*protocol));
        let reason = stage.reason(ROW, *protocol, before).await;
        assert!(reason.detail.contains(row.said), "{}: {reason:?}", row.words);
        reasons.push(reason);
    }
    if row.is_killed {
        again.push(start_again(&stage.provider, row.which));
        for client in &mut open {
            assert!(client.is_ended().await);
        }
    } else {
        for client in &mut open {
            client.ask_for_nothing().await;
            assert!(client.waits(Duration::from_millis(300)).await, "{}: an open session ended", row.words);
        }
        kill_process_group(group, Signal::CONT).unwrap();
        for client in &mut open {
            assert!(client.hears_ok().await, "{}: an open session did not go on", row.words);
        }
    }
    for protocol in protocols {
        stage.enter(ROW, *protocol).await.finish().await;
    }
    let (bound, session) = (row.bound.word().to_owned(), row.session.to_owned());
    vec![row.words.to_owned(), words.join(", "), bound, session, Reason::cell(&reasons)]
}

/// The same server by the same configuration, at the same ports.
fn start_again(provider: &Provider, which: Which) -> Server {
    let scratch = &provider.scratch;
    let output = std::fs::File::create(scratch.path("again.out")).unwrap();
    let (name, mut command, protocols) = match which {
        Which::Dovecot => {
            // Its number is taken as long as nobody has waited for its end.
            std::fs::remove_file(scratch.path("run/master.pid")).unwrap();
            let mut command = Command::new(programs::find("dovecot"));
            command.arg("-F").arg("-c").arg(scratch.path("dovecot.conf"));
            ("Dovecot", command, &[Protocol::Imap, Protocol::Pop3][..])
        }
        Which::Postfix => {
            let mut command = Command::new(programs::find("master"));
            command.arg("-c").arg(scratch.path("postfix")).arg("-d");
            ("Postfix", command, &[Protocol::Submission][..])
        }
    };
    command.stdout(output.try_clone().unwrap()).stderr(output);
    let mut server = Server::spawn(name, &mut command, vec![scratch.path("again.out")]);
    let ports: Vec<_> = protocols.iter().map(|protocol| provider.port(*protocol, Tls::Implicit)).collect();
    assert!(server.listens(&ports), "{name} does not start again");
    server
}
