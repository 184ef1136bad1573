//! A secret that Locum makes for a client. It is told once, to who had it made, or left with the server of the store for who
//! has a token.

use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::limits::check_listeners;
use super::{accounts_of, extend, find_account, is_bound, new};
use crate::broker::Versioned;
use crate::broker::client_secret::{self, Alphabet, BITS_ENOUGH, ChooseError, Form, IssueError};
use crate::management::{Desk, Fault, ManagementError, check_label, check_new_name};
use crate::model::{Binding, Client, Protocol, Secret};

/// Less is over before somebody has read it.
pub const TTL_MIN: Duration = Duration::from_secs(60);
/// A secret that nobody took for a week nobody wants.
pub const TTL_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A secret to be made. The client is made, too, if it is new.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = NewClientSecret)]
#[serde(default, deny_unknown_fields)]
pub struct Issue {
    /// The accounts that the client acts as, beside those that it has.
    pub accounts: Vec<String>,
    /// Let it have several; it must then name one at each login, which only SASL PLAIN can.
    pub several: bool,
    /// What to call this secret.
    pub label: String,
    /// When this secret expires.
    pub expires: Option<Timestamp>,
    /// How many characters it has; those of the id count. Without it, as many as are good.
    pub length: Option<usize>,
    /// Which characters it is made of.
    pub alphabet: Alphabet,
    /// Leave it with the server of the store, a Vault, and answer with a token that takes it out, once, within so many
    /// seconds.
    pub wrap_ttl: Option<u64>,
    /// Protocols that a new client may use; without any, all.
    pub protocols: Vec<Protocol>,
    /// Listeners that a new client may come through; without any, all.
    pub listeners: Vec<String>,
    /// Networks that a new client may come from; without any, all.
    #[schema(value_type = Vec<String>)]
    pub networks: Vec<IpNet>,
}

/// A secret that was made just now. It is nowhere else, and is told once.
#[derive(Debug)]
pub struct Issued {
    /// The client.
    pub login: String,
    /// The id of the secret.
    pub id: String,
    /// Whether the client was made, too.
    pub is_new: bool,
    /// How it is handed over.
    pub handed: Handed,
    /// Why it is weaker than others, if it is.
    pub weakness: Option<Weakness>,
}

/// How a secret is handed over.
#[derive(Debug)]
pub enum Handed {
    /// By itself.
    Plain(Secret),
    /// By a token that takes it out.
    Wrapped {
        /// The token.
        token: Secret,
        /// How long it does.
        ttl: Duration,
    },
}

/// A secret with few random bits, for a device that takes no better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Weakness {
    /// Its characters.
    pub length: usize,
    /// How much of it nobody can know.
    pub random_bits: u32,
    /// How much would be as good as any.
    pub bits_enough: u32,
    /// The characters that this would take.
    pub length_enough: usize,
}

/// What is told of it, once.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedClientSecret)]
pub struct IssuedOnce<'a> {
    login: &'a str,
    id: &'a str,
    /// The secret; it is nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    /// In its place, a token that takes it out of the server of the store, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrapping_token: Option<&'a str>,
    /// How long the token does, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
}

impl Issued {
    /// As JSON, for who had it made and nobody else.
    pub fn once(&self) -> Secret {
        let (login, id) = (&*self.login, &*self.id);
        let told = match &self.handed {
            // Both are ASCII.
            Handed::Plain(secret) => {
                IssuedOnce { login, id, secret: secret.expose_text(), wrapping_token: None, ttl: None }
            }
            Handed::Wrapped { token, ttl } => {
                let (wrapping_token, ttl) = (token.expose_text(), Some(ttl.as_secs()));
                IssuedOnce { login, id, secret: None, wrapping_token, ttl }
            }
        };
        Secret::new(serde_json::to_vec(&told).unwrap_or_default()) // no map in it has keys that are no strings
    }
}

/// Makes a secret, and the client if it is new.
///
/// # Errors
/// If an account or a listener is none, the secret would be too weak, or the client would get more than was asked for.
pub async fn issue(desk: &Desk, login: &str, issue: Issue) -> Result<Issued, ManagementError> {
    let login = check_new_name(login)?;
    let label = check_label(&issue.label)?.to_owned();
    check_listeners(desk, &issue.listeners)?;
    if issue.expires.is_some_and(|end| end <= Timestamp::now()) {
        return Err(ManagementError::invalid("a secret that expires in the past would never work"));
    }
    let ttl = issue.wrap_ttl.map(check_ttl).transpose()?;
    let (form, expires) = (Form { alphabet: issue.alphabet, length: issue.length }, issue.expires);
    let (mut client, version) = prepared(desk, login, issue).await?;
    let now = Timestamp::now();
    let made = client_secret::issue_as(form, &label, expires, &client.secrets, now).await;
    let (record, secret) = made.map_err(refused)?;
    let (id, is_new) = (record.id.clone(), version.is_none());
    client.secrets.push(record);
    // First, so that nobody has a secret that was lost on its way; a token for one that is never good does no harm.
    let handed = match ttl {
        Some(ttl) => Handed::Wrapped { token: wrap(desk, &client.login, &id, &secret, ttl).await?, ttl },
        None => Handed::Plain(secret),
    };
    desk.directory.put_client(&client, version).await?;
    Ok(Issued { login: client.login, id, is_new, handed, weakness: Weakness::of(form) })
}

/// The client that is to have it, with what it is to have besides.
async fn prepared(
    desk: &Desk,
    login: &str,
    issue: Issue,
) -> Result<(Client, Option<crate::store::Version>), ManagementError> {
    let usage = |message: String| ManagementError::new(Fault::Usage, message);
    let mut accounts = Vec::new();
    for account in &issue.accounts {
        accounts.push(find_account(desk, account).await?.name);
    }
    let (mut client, version) = match desk.directory.client(login).await? {
        Some(Versioned { record, version, .. }) => (record, Some(version)),
        None if accounts.is_empty() => {
            return Err(usage(format!(
                "{login} is a new client: say which account it acts as with --account, or let it act as many with `locum \
                 client bind`"
            )));
        }
        None => (new(login), None),
    };
    let (bound, policy) = (accounts_of(&client), client.policy.clone());
    for account in accounts {
        if !is_bound(&client, &account) {
            client.bindings.push(Binding::Account(account));
        }
    }
    extend(&mut client.policy.protocols, issue.protocols);
    extend(&mut client.policy.listeners, issue.listeners);
    extend(&mut client.policy.networks, issue.networks);
    let accounts = accounts_of(&client);
    if accounts > bound.max(1) && !issue.several {
        return Err(usage(format!(
            "{login} would be bound to {accounts} accounts and have to name one at each login, which only SASL PLAIN can; \
             use another login for another account, or say --several if that is what you want"
        )));
    }
    if version.is_some() && client.policy != policy {
        return Err(usage(format!(
            "limits hold for all secrets of {login}, and it has others already; use another login for other limits"
        )));
    }
    Ok((client, version))
}

/// Leaves the secret with the server of the store, and returns the token. So it passes through no terminal, mail or ticket,
/// and a second one who tries is told that somebody was faster.
async fn wrap(desk: &Desk, login: &str, id: &str, secret: &Secret, ttl: Duration) -> Result<Secret, ManagementError> {
    let secret = secret.expose_text(); // issued secrets are ASCII
    let document = IssuedOnce { login, id, secret, wrapping_token: None, ttl: None };
    let document = Secret::new(serde_json::to_vec(&document).unwrap_or_default()); // as above
    desk.directory.wrap(&document, ttl).await?.ok_or_else(|| {
        let message = "--wrap needs a store that is a Vault or OpenBao; this one is not: issue it without --wrap";
        ManagementError::new(Fault::Usage, message)
    })
}

fn check_ttl(seconds: u64) -> Result<Duration, ManagementError> {
    let ttl = Duration::from_secs(seconds);
    if (TTL_MIN..=TTL_MAX).contains(&ttl) {
        return Ok(ttl);
    }
    let (min, max) = (TTL_MIN.as_secs(), TTL_MAX.as_secs());
    Err(ManagementError::invalid(format!("a token for a secret does for {min} to {max} seconds")))
}

fn refused(error: IssueError) -> ManagementError {
    let fault = match error {
        IssueError::TooShort { .. } | IssueError::TooLong => Fault::Usage,
        IssueError::NoIdLeft | IssueError::Chosen(ChooseError::TooMany) => Fault::Exists,
        IssueError::Chosen(_) | IssueError::NoRandomness(_) | IssueError::Busy(_) => Fault::Temporary,
    };
    ManagementError::new(fault, error.to_string())
}

impl Weakness {
    fn of(form: Form) -> Option<Self> {
        let (length, random_bits, length_enough) = (form.length(), form.random_bits(), form.length_enough());
        (random_bits < BITS_ENOUGH).then_some(Self { length, random_bits, bits_enough: BITS_ENOUGH, length_enough })
    }
}
