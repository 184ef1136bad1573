//! `locum session`: who is in on a running node, and what is said before login. Of all verbs only these talk to the node, by
//! its admin socket; whoever may open that is an operator.

mod node;

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::{ArgGroup, Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{self, Failure};
use super::output;
use crate::config::Config;
use crate::management::sessions::{Closed, NewTrace, SessionItem, Trace};
use node::Node;

/// Between two looks for new lines of a trace: a person reads them.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Sessions of one answer.
const PAGE: usize = 200;

/// Pages of a list: more sessions than a node may have.
const PAGES_MAX: usize = 1000;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the sessions that are logged in.
    List(ListArguments),
    /// End a session, or all of a login or an account. The client may log in again at once.
    Close(CloseArguments),
    /// Show what is said before login, from now on: of a login, an address or a listener. Neither a secret nor mail is in it.
    Trace(TraceArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Of this login alone.
    #[arg(long)]
    login: Option<String>,
    /// Of this account alone.
    #[arg(long)]
    account: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true)]
pub(super) struct CloseArguments {
    /// Its number, as `session list` tells it.
    #[arg(conflicts_with_all = ["login", "account"])]
    id: Option<u64>,
    /// All of this login.
    #[arg(long)]
    login: Option<String>,
    /// All of this account.
    #[arg(long)]
    account: Option<String>,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whose").required(true).multiple(true).args(["login", "peer", "listener"])))]
pub(super) struct TraceArguments {
    /// Of whoever names this login.
    #[arg(long)]
    login: Option<String>,
    /// Of whoever comes from this address.
    #[arg(long, value_name = "ADDRESS")]
    peer: Option<IpAddr>,
    /// Of whoever comes to this listener.
    #[arg(long)]
    listener: Option<String>,
    /// For so many seconds, up to 3600.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// As JSON, one object a line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    let config = Config::load(path)?;
    let none = || {
        let message = format!(
            "{}: no socket in [admin], by which a node is talked to; name one, and start the node anew",
            path.display()
        );
        Failure::new(exit::CONFIG, message)
    };
    let node = Node::at(config.admin.socket.ok_or_else(none)?);
    match command {
        Command::List(arguments) => list(&node, &arguments).await,
        Command::Close(arguments) => close(&node, &arguments).await,
        Command::Trace(arguments) => trace(&node, arguments).await,
    }
}

/// A page of sessions, as it comes in.
#[derive(serde::Deserialize)]
struct Sessions {
    items: Vec<SessionItem>,
    next: Option<String>,
}

async fn list(node: &Node, arguments: &ListArguments) -> Result<()> {
    let whose = whose(arguments.login.as_deref(), arguments.account.as_deref());
    let (mut all, mut after) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let page: Sessions = node.get(&format!("/v1/sessions?limit={PAGE}{whose}{after}")).await?;
        all.extend(page.items);
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    if arguments.json {
        return Ok(output::json(&all)?);
    }
    let rows = all.into_iter().map(|it| {
        [
            it.id.to_string(),
            it.login,
            it.account,
            it.protocol.to_string(),
            it.listener,
            it.peer.to_string(),
            it.state,
            output::minute(it.since).to_string(),
            format!("{} / {}", it.bytes_up, it.bytes_down),
        ]
    });
    let header = ["ID", "LOGIN", "ACCOUNT", "PROTOCOL", "LISTENER", "FROM", "STATE", "SINCE", "BYTES UP / DOWN"];
    output::table(header, rows.collect(), "nobody is logged in");
    Ok(())
}

async fn close(node: &Node, arguments: &CloseArguments) -> Result<()> {
    if let Some(id) = arguments.id {
        node.delete(&format!("/v1/sessions/{id}")).await?;
        output::note(format!("session {id}: closed"));
        return Ok(());
    }
    let whose = whose(arguments.login.as_deref(), arguments.account.as_deref());
    let Closed { closed } = node.delete_telling(&format!("/v1/sessions?{}", whose.trim_start_matches('&'))).await?;
    match closed {
        0 => Err(Failure::new(exit::NOT_FOUND, "no such session is open on this node").into()),
        1 => {
            output::note("1 session closed");
            Ok(())
        }
        closed => {
            output::note(format!("{closed} sessions closed"));
            Ok(())
        }
    }
}

async fn trace(node: &Node, arguments: TraceArguments) -> Result<()> {
    let TraceArguments { login, peer, listener, seconds, json } = arguments;
    let wish = NewTrace { login, peer, listener, seconds: Some(seconds) };
    let begun: Trace = node.post("/v1/traces", &wish).await?;
    output::note(format!("trace {}, until {}; Ctrl-C ends it", begun.id, output::minute(begun.until)));
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shown = tokio::select! {
        shown = show(node, &begun.id, json) => shown,
        _ = interrupt.recv() => Ok(()),
    };
    // It may be over and forgotten.
    let _ = node.delete(&format!("/v1/traces/{}", begun.id)).await;
    shown
}

async fn show(node: &Node, id: &str, json: bool) -> Result<()> {
    let mut after = 0;
    loop {
        let trace: Trace = node.get(&format!("/v1/traces/{id}?after={after}")).await?;
        for line in &trace.lines {
            after = line.number;
            if json {
                output::line(serde_json::to_string(line)?);
            } else {
                let seconds = Duration::from_millis(line.after_ms).as_secs_f64();
                output::line(format!("{:>6} {seconds:>8.3} {:>8}  {}", line.session, line.who, line.text));
            }
        }
        match trace.over {
            Some(why) if trace.lines.is_empty() => {
                output::note(format!("the trace is over: {why}"));
                return Ok(());
            }
            Some(_) => {}
            None => tokio::time::sleep(LOOK_INTERVAL).await,
        }
    }
}

/// Whose sessions, as the rest of a query.
fn whose(login: Option<&str>, account: Option<&str>) -> String {
    let part = |name: &str, value: Option<&str>| {
        value.map(|value| format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))).unwrap_or_default()
    };
    part("login", login) + &part("account", account)
}
