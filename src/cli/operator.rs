//! `locum operator …`: who may sign in to the API and the console. Whoever runs it has the rights to write the store, which is
//! more than any operator has; so the last admin may be revoked here, and that is said.

use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;

use super::exit::{self, Failure};
use super::list::{Found, Listing};
use super::{desk, output};
use crate::management;
use crate::management::operators::{self, Changes, Issued, New, NewToken, Shown};
use crate::management::{Desk, Fault};
use crate::model::{RecordKind, Role};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make an operator, or give one another token, and print the token, once.
    Add(Add),
    /// Change what an operator may do.
    Set {
        /// The operator.
        name: String,
        /// What the operator may do: viewer, operator or admin.
        #[arg(long)]
        role: Role,
    },
    /// List all operators with their tokens.
    List(Listing),
    /// Revoke one token of an operator, or the operator. It holds on all nodes within 2 s.
    Revoke {
        /// The operator.
        #[arg(required_unless_present = "damaged", conflicts_with = "damaged")]
        name: Option<String>,
        /// This token alone, by its id, as `locum operator list` has it.
        #[arg(long, value_name = "ID")]
        token: Option<String>,
        /// Remove the record of this id, which cannot be read, as `locum operator list` says.
        #[arg(long, value_name = "ID", conflicts_with = "token")]
        damaged: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// The name: letters, digits and . _ - + @. It stands in the audit and in what the operator changes.
    name: String,
    /// What the operator may do: viewer, operator or admin. An operator that is there keeps its own.
    #[arg(long)]
    role: Option<Role>,
    /// What the token is for.
    #[arg(long, default_value = "")]
    label: String,
    /// When the token ends, such as 2027-01-31T00:00:00Z; never without it.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    expires: Option<Timestamp>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    let desk = desk::open(path).await?;
    match command {
        Command::Add(add) => run_add(&desk, add).await,
        Command::Set { name, role } => {
            let shown = operators::change(&desk, &name, &Changes { role, even_last_admin: true }).await?;
            output::note(format!("{}: {} from now on, on all nodes within 2 s", shown.name, shown.role));
            warn_without_admin(&desk).await
        }
        Command::List(listing) => run_list(&desk, &listing).await,
        Command::Revoke { damaged: Some(id), .. } => {
            output::note(format!("{}: removed", management::remove_damaged(&desk, RecordKind::Operator, &id).await?));
            Ok(())
        }
        Command::Revoke { name, token, .. } => revoke(&desk, &name.unwrap_or_default(), token.as_deref()).await,
    }
}

async fn run_add(desk: &Desk, add: Add) -> Result<()> {
    let Add { name, role, label, expires, json } = add;
    let there = match operators::show(desk, &name).await {
        Ok(shown) => Some(shown.role),
        Err(error) if error.fault() == Fault::Missing => None,
        Err(error) => return Err(error.into()),
    };
    let issued = match (there, role) {
        (None, None) => {
            let message = format!("{name} is new; say what it may do with --role: viewer, operator or admin");
            return Err(Failure::new(exit::USAGE, message).into());
        }
        (None, Some(role)) => operators::add(desk, &New { name, role, label, expires }).await?,
        (Some(has), Some(wanted)) if has != wanted => {
            let message =
                format!("{name} is there as {has}; change that with `locum operator set {name} --role {wanted}`");
            return Err(Failure::new(exit::CANNOT_CREATE, message).into());
        }
        (Some(_), _) => operators::add_token(desk, &name, &NewToken { label, expires }).await?,
    };
    tell(&issued, json);
    Ok(())
}

/// The one time that a token is printed.
fn tell(issued: &Issued, json: bool) {
    let Issued { operator, role, id, expires, token } = issued;
    let text = token.expose_text().unwrap_or_default(); // tokens are ASCII
    if json {
        let told =
            serde_json::json!({ "operator": operator, "role": role, "id": id, "expires": expires, "token": text });
        return output::once(told);
    }
    output::note(format!("{operator} ({role}): token {id} issued; it is shown this once:"));
    output::once(text);
}

async fn run_list(desk: &Desk, listing: &Listing) -> Result<()> {
    let page = async |after: Option<&_>, limit| desk.directory.operators_page(after, limit).await;
    let Found { records, rest } = listing.read(RecordKind::Operator, page).await?;
    let mut shown: Vec<Shown> = records.into_iter().map(Shown::from).collect();
    shown.sort_by(|one, other| one.name.cmp(&other.name));
    if listing.json {
        output::json(&shown)?;
    } else {
        let hint = "no operators; make one with `locum operator add NAME --role ROLE`";
        let header = ["OPERATOR", "ROLE", "TOKEN", "LABEL", "CREATED", "EXPIRES"];
        output::table(header, shown.iter().flat_map(rows).collect(), listing.none(hint));
    }
    rest.tell()
}

/// One for each token.
fn rows(shown: &Shown) -> Vec<[String; 6]> {
    let row = |[token, label, created, expires]: [String; 4]| {
        [shown.name.clone(), shown.role.to_string(), token, label, created, expires]
    };
    if shown.tokens.is_empty() {
        return vec![row(["none".into(), String::new(), String::new(), String::new()])];
    }
    let rows = shown.tokens.iter().map(|token| {
        let expires = match token.expires {
            None => "never".to_owned(),
            Some(expires) if token.expired => format!("{} (over)", output::day(expires)),
            Some(expires) => output::day(expires),
        };
        row([token.id.clone(), token.label.clone(), output::day(token.created), expires])
    });
    rows.collect()
}

async fn revoke(desk: &Desk, name: &str, token: Option<&str>) -> Result<()> {
    if token.is_none() && management::was_damaged(desk, RecordKind::Operator, name).await? {
        output::note(format!("{name}: removed; its record was damaged"));
        return Ok(());
    }
    match token {
        None => {
            operators::revoke(desk, name, true).await?;
            output::note(format!("{name}: revoked with all its tokens, on all nodes within 2 s"));
        }
        Some(id) => {
            operators::revoke_token(desk, name, id, true).await?;
            output::note(format!("{name}: token {id} revoked, on all nodes within 2 s"));
        }
    }
    warn_without_admin(desk).await
}

/// Only who has the rights to write the store, or the Unix socket of a node, can make one then.
async fn warn_without_admin(desk: &Desk) -> Result<()> {
    if !operators::is_there_an_admin(desk).await? {
        output::note("note: no operator with the role admin and a token that is good is left");
    }
    Ok(())
}

fn parse_time(text: &str) -> Result<Timestamp, &'static str> {
    text.parse().map_err(|_| "expected a time such as 2027-01-31T00:00:00Z")
}
