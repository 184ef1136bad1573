//! `locum client …`: login names, what proves them, and what they may do.

mod add;
mod bind;
mod handout;
mod import;
mod issue;
mod limits;
mod revoke;
mod set;
mod show;

use std::net::IpAddr;
use std::path::Path;

use anyhow::Result;
use ipnet::IpNet;
use jiff::Timestamp;

use super::account::{Format, check_name};
use super::exit::{self, Failure};
use super::list::{self, Listing};
use super::open_directory;
use crate::broker::{Directory, Versioned};
use crate::config::Config;
use crate::model::{Client, RecordKind};
use add::Add;
use bind::{Bind, Bound};
use import::Import;
use issue::Issue;
use revoke::Revoked;
use set::Set;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Issue a secret for a client and print it, once. The client is made if it is new.
    Issue(Issue),
    /// Take over clients with their hashed passwords from another system, by a CSV or LDIF file.
    Import(Import),
    /// Let a client act as an account, or as any mailbox that a pattern names. The client is made if it is new.
    Bind(Bind),
    /// Take from a client an account, or the mailboxes of a pattern, that it may act as. Its sessions by that end.
    Unbind {
        /// Its login name.
        login: String,
        #[command(flatten)]
        what: Bound,
    },
    /// Add a client without a secret: one to be imported, or the first that it presents.
    Add(Add),
    /// Change what a client may do. It holds for its open sessions, too, but for hours and the number of sessions.
    Set(Set),
    /// List all clients.
    List(Listing),
    /// Show one client.
    Show {
        /// Its login name.
        login: String,
        #[command(flatten)]
        format: Format,
    },
    /// Revoke one secret of a client, or the client with all of its secrets. The sessions that came by it end on all nodes.
    Revoke {
        /// Its login name.
        #[arg(required_unless_present = "damaged", conflicts_with = "damaged")]
        login: Option<String>,
        #[command(flatten)]
        what: Revoked,
    },
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    let (config, directory) = open_directory(path).await?;
    match command {
        Command::Issue(issue) => issue::run(&config, &directory, issue).await,
        Command::Import(import) => import::run(&directory, import).await,
        Command::Bind(bind) => bind::bind(&config, &directory, bind).await,
        Command::Unbind { login, what } => bind::unbind(&directory, &login, what).await,
        Command::Add(add) => add::run(&config, &directory, add).await,
        Command::Set(set) => set::run(&config, &directory, set).await,
        Command::List(listing) => show::list(&directory, &listing).await,
        Command::Show { login, format } => show::one(&directory, &login, &format).await,
        Command::Revoke { what: Revoked { damaged: Some(id), .. }, .. } => {
            list::remove_damaged(&directory, RecordKind::Client, &id).await
        }
        Command::Revoke { login, what } => {
            revoke::run(&config, &directory, &login.unwrap_or_default(), what.secret.as_deref()).await
        }
    }
}

async fn find(directory: &Directory, login: &str) -> Result<Versioned<Client>> {
    let login = check_name(login)?;
    let missing = || Failure::new(exit::NOT_FOUND, format!("there is no client {login}; see `locum client list`"));
    Ok(directory.client(login).await?.ok_or_else(missing)?)
}

/// A listener that is not there lets nobody in.
fn check_listeners(config: &Config, named: &[String]) -> Result<()> {
    let known: Vec<&str> = config.listeners.iter().map(|listener| listener.name.as_str()).collect();
    match named.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let message = format!("the configuration has no listener {name}; it has: {}", known.join(", "));
            Err(Failure::new(exit::USAGE, message).into())
        }
    }
}

fn extend<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !list.contains(&one) {
            list.push(one);
        }
    }
}

fn parse_time(text: &str) -> Result<Timestamp, &'static str> {
    text.parse().map_err(|_| "expected a time such as 2027-01-31T00:00:00Z")
}

/// An address alone is a network of one.
fn parse_network(text: &str) -> Result<IpNet, &'static str> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| "expected a network such as 10.0.0.0/8 or 2001:db8::/32")
}
