//! `locum client …`: login names, what proves them, and what they may do.

mod add;
mod bind;
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

use super::account::Format;
use super::list::Listing;
use super::{desk, output};
use crate::management::clients;
use crate::management::remove_damaged;
use crate::model::RecordKind;
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
    let desk = desk::look(path).await?;
    match command {
        Command::Issue(issue) => issue::run(&desk, issue).await,
        Command::Import(import) => import::run(&desk, import).await,
        Command::Bind(bind) => bind::bind(&desk, bind).await,
        Command::Unbind { login, what } => bind::unbind(&desk, &login, what).await,
        Command::Add(add) => add::run(&desk, add).await,
        Command::Set(set) => set::run(&desk, set).await,
        Command::List(listing) => show::list(&desk, &listing).await,
        Command::Show { login, format } => show::one(&clients::show(&desk, &login).await?, &format),
        Command::Revoke { what: Revoked { damaged: Some(id), .. }, .. } => {
            output::note(format!("{}: removed", remove_damaged(&desk, RecordKind::Client, &id).await?));
            Ok(())
        }
        Command::Revoke { login, what } => revoke::run(&desk, &login.unwrap_or_default(), what.secret.as_deref()).await,
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
