//! Secrets from another system, hashed there or chosen, with the clients that they prove. It must never quote a hash or a
//! secret.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{accounts_of, is_bound, new};
use crate::broker::client_secret::{self, ChooseError, ChosenHash};
use crate::broker::{DirectoryError, Versioned};
use crate::management::import::{Outcome, Told};
use crate::management::{Desk, Fault, GivenSecret, ManagementError, check_label, check_new_name};
use crate::model::{Binding, Client, ClientSecret, Secret, SecretSource, Verifier, normalise};
use crate::store::Version;

/// Rows of one request: what is hashed here takes some 20 ms each, and who asks waits.
pub const ROWS_MAX: usize = 100;

/// Clients that are worked on at a time: a server is waited for once per so many, and has time for others.
const AT_ONCE: usize = 8;

/// Secrets from another system.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ClientImport)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Up to 100 of them. The same may be sent again: what is there already is left as it is.
    #[schema(max_items = 100)]
    pub clients: Vec<ImportRow>,
    /// Let clients have several accounts; they must then name one at each login, which only SASL PLAIN can.
    #[serde(default)]
    pub several: bool,
    /// Say what would be done, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// One secret of one client: hashed, or as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ClientImportRow)]
#[serde(deny_unknown_fields)]
pub struct ImportRow {
    /// The login name.
    pub login: String,
    /// A hash of it: argon2id, bcrypt, SHA-crypt, {SSHA} and its kin.
    #[serde(default)]
    pub hash: Option<GivenSecret>,
    /// The secret itself, to be hashed here.
    #[serde(default)]
    pub secret: Option<GivenSecret>,
    /// The accounts that it acts as; without any, the one that is called as it is.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// What to call the secret.
    #[serde(default)]
    pub label: String,
    /// When it expires.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ClientsImported)]
pub struct Imported {
    /// Of each row, in order.
    pub rows: Vec<Told>,
}

/// One secret of one client, looked at.
#[derive(Debug)]
pub struct Row {
    /// The login name.
    pub login: String,
    /// What the client is to be bound to.
    pub bindings: Bindings,
    /// What is to prove it.
    pub proof: Proof,
    /// What to call the secret.
    pub label: String,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

/// Accounts that a row names.
#[derive(Debug)]
pub enum Bindings {
    /// Each of these has to be one.
    All(Vec<String>),
    /// Those of these that are.
    Any(Vec<String>),
}

/// What is to prove a client.
#[derive(Debug)]
pub enum Proof {
    /// What was hashed elsewhere.
    Hash(ChosenHash),
    /// What is to be hashed.
    Secret(Secret),
}

/// What becomes of the rows of one client.
#[derive(Debug)]
pub struct Planned {
    /// Of each row, in order.
    pub outcomes: Vec<Outcome>,
    /// What is to be written; `None` where nothing is.
    pub write: Option<(Client, Option<Version>)>,
}

/// Rows of one client are written in one go, or each would be in the way of the next.
pub fn rows_of_one<R>(rows: Vec<R>, login: impl Fn(&R) -> &str) -> Vec<Vec<R>> {
    let (mut groups, mut known) = (Vec::<Vec<R>>::new(), HashMap::new());
    for row in rows {
        let at = *known.entry(normalise(login(&row))).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

/// Brings them in, each client by itself. What became of each is told; nothing of a row that cannot be used is an error.
///
/// # Errors
/// If a row cannot be read at all, in which case nothing was done, or the store fails.
pub async fn import(desk: &Desk, import: Import) -> Result<Imported, ManagementError> {
    let Import { clients, several, dry_run } = import;
    if clients.is_empty() || clients.len() > ROWS_MAX {
        return Err(ManagementError::new(Fault::Usage, format!("send 1 to {ROWS_MAX} clients in one request")));
    }
    let mut rows = Vec::new();
    for (number, row) in clients.into_iter().enumerate() {
        let at = |error: ManagementError| {
            ManagementError::new(error.fault(), format!("clients[{number}]: {error}; nothing was done"))
        };
        rows.push((number, Row::of(row).map_err(at)?));
    }
    let groups = rows_of_one(rows, |(_, row)| &row.login);
    let mut done = stream::iter(groups.into_iter().map(|group| bring(desk, group, several, dry_run))).buffered(AT_ONCE);
    let mut told = Vec::new();
    while let Some(rows) = done.next().await {
        told.extend(rows?);
    }
    told.sort_by_key(|(number, _)| *number);
    Ok(Imported { rows: told.into_iter().map(|(_, told)| told).collect() })
}

/// Brings in the rows of one client.
async fn bring(
    desk: &Desk,
    group: Vec<(usize, Row)>,
    several: bool,
    dry_run: bool,
) -> Result<Vec<(usize, Told)>, DirectoryError> {
    let names: Vec<(usize, String)> = group.iter().map(|(number, row)| (*number, row.login.clone())).collect();
    let rows = group.into_iter().map(|(_, row)| row).collect();
    let Planned { mut outcomes, write } = plan(desk, rows, several).await?;
    if let Some((client, version)) = write.filter(|_| !dry_run)
        && let Err(error) = desk.directory.put_client(&client, version).await
    {
        let failed = Outcome::Failed { cause: error.to_string(), passes: error.is_transient() };
        let hoped = outcomes.iter_mut().filter(|it| matches!(it, Outcome::Added { .. }));
        hoped.for_each(|outcome| *outcome = failed.clone());
    }
    Ok(names.into_iter().zip(outcomes).map(|((number, name), outcome)| (number, outcome.told(&name))).collect())
}

/// What becomes of the rows of one client. Nothing is written.
///
/// # Errors
/// If the store fails, but not where this record alone cannot be read.
pub async fn plan(desk: &Desk, rows: Vec<Row>, several: bool) -> Result<Planned, DirectoryError> {
    let login = rows.first().map(|row| row.login.clone()).unwrap_or_default();
    let (mut client, version) = match desk.directory.client(&login).await {
        Ok(Some(Versioned { record, version, .. })) => (record, Some(version)),
        Ok(None) => (new(&login), None),
        // One that cannot be read stops no other.
        Err(error) if !error.is_transient() => {
            let refused = Outcome::Refused(error.to_string());
            return Ok(Planned { outcomes: vec![refused; rows.len()], write: None });
        }
        Err(error) => return Err(error),
    };
    let mut outcomes = Vec::new();
    for row in rows {
        outcomes.push(match accounts_named(desk, &client, &row.bindings).await? {
            Ok(accounts) => add(&mut client, row, accounts, several).await,
            Err(why) => Outcome::Refused(why),
        });
    }
    let changes = outcomes.iter().any(|outcome| matches!(outcome, Outcome::Added { .. }));
    Ok(Planned { outcomes, write: changes.then_some((client, version)) })
}

/// The accounts that a row gives its client, as they are called; or why it gives none.
async fn accounts_named(
    desk: &Desk,
    client: &Client,
    wanted: &Bindings,
) -> Result<Result<Vec<String>, String>, DirectoryError> {
    let (Bindings::All(names) | Bindings::Any(names)) = wanted;
    let mut found = Vec::new();
    for name in names {
        match desk.directory.account(name).await? {
            Some(account) => found.push(account.record.name),
            None if matches!(wanted, Bindings::Any(_)) => {}
            None => return Ok(Err(missing(name))),
        }
    }
    if found.is_empty() && client.bindings.is_empty() {
        return Ok(Err(names
            .first()
            .map_or_else(|| "it is a new client: say which account it acts as".to_owned(), |name| missing(name))));
    }
    Ok(Ok(found))
}

fn missing(name: &str) -> String {
    format!("there is no account {name}; add it with `locum account add` or `locum account import`")
}

/// Adds what a row says to the client, if it can have that.
async fn add(client: &mut Client, row: Row, mut accounts: Vec<String>, several: bool) -> Outcome {
    let now = Timestamp::now();
    accounts.retain(|account| !is_bound(client, account));
    let there = match found(client, &row.proof).await {
        Ok(there) => there,
        Err(error) => return Outcome::Failed { cause: error.to_string(), passes: true },
    };
    if there.is_some() && accounts.is_empty() {
        return Outcome::Same;
    }
    let before = accounts_of(client);
    let bound = before + accounts.len();
    if bound > before.max(1) && !several {
        return Outcome::Refused(format!(
            "it would be bound to {bound} accounts and have to name one at each login, which only SASL PLAIN can; say \
             --several if that is what you want"
        ));
    }
    let id = match there {
        Some(id) => id,
        None if row.expires.is_some_and(|end| end <= now) => {
            return Outcome::Refused("its secret has expired: it would never work".to_owned());
        }
        None => match made(client, row, now).await {
            Ok(secret) => {
                let id = secret.id.clone();
                client.secrets.push(secret);
                id
            }
            Err(error @ (ChooseError::Unfit | ChooseError::TooMany)) => return Outcome::Refused(error.to_string()),
            Err(error) => return Outcome::Failed { cause: error.to_string(), passes: true },
        },
    };
    client.bindings.extend(accounts.into_iter().map(Binding::Account));
    Outcome::Added { id: Some(id) }
}

/// The id of the secret that this is, if the client has it.
async fn found(client: &Client, proof: &Proof) -> Result<Option<String>, client_secret::Busy> {
    match proof {
        Proof::Hash(hash) => {
            let is_it = |secret: &&ClientSecret| matches!(&secret.verifier, Verifier::Chosen { hash: there } if there == hash.as_str());
            Ok(client.secrets.iter().find(is_it).map(|secret| secret.id.clone()))
        }
        Proof::Secret(secret) => client_secret::chosen_one(&client.secrets, secret).await,
    }
}

async fn made(client: &Client, row: Row, now: Timestamp) -> Result<ClientSecret, ChooseError> {
    client_secret::check_room(&client.secrets)?;
    let Row { proof, label, expires, .. } = row;
    let source = SecretSource::Imported;
    Ok(match proof {
        Proof::Hash(hash) => ClientSecret {
            id: client_secret::random_id()?,
            label,
            verifier: Verifier::Chosen { hash: hash.as_str().to_owned() },
            created: now,
            expires,
            source,
        },
        Proof::Secret(secret) => ClientSecret { expires, ..client_secret::choose(&label, source, &secret, now).await? },
    })
}

impl Row {
    fn of(row: ImportRow) -> Result<Self, ManagementError> {
        let ImportRow { login, hash, secret, accounts, label, expires } = row;
        let login = check_new_name(&login)?.to_owned();
        let proof = match (hash, secret) {
            (Some(hash), None) => {
                let hash = hash.into_secret();
                let text = hash.expose_text().unwrap_or_default(); // it came as text
                let hash = ChosenHash::parse(text).map_err(|why| ManagementError::invalid(why.to_string()))?;
                Proof::Hash(hash)
            }
            (None, Some(secret)) => Proof::Secret(secret.into_secret()),
            _ => return Err(ManagementError::new(Fault::Usage, "say what proves it: `hash` or `secret`")),
        };
        let names = accounts.iter().map(|name| check_new_name(name).map(str::to_owned));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let bindings = if names.is_empty() { Bindings::Any(vec![login.clone()]) } else { Bindings::All(names) };
        let label = check_label(&label)?.to_owned();
        Ok(Self { login, bindings, proof, label, expires })
    }
}
