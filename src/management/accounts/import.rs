//! Many new accounts, by rows. Nothing is written before all rows have been looked at; one that is there is not changed: who
//! wants that says so for each.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::add::{NewAccount, account};
use super::read::profile_of;
use crate::management::import::{Outcome, Told};
use crate::management::{Desk, Fault, ManagementError, OperationProgress};
use crate::model::{Account, CredentialKind, StoredCredential, normalise};

/// Rows of one request. A file with more is imported by `locum account import`.
const ROWS_MAX: usize = 1_000;

/// What is to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportWanted {
    /// The accounts, 1000 at the most.
    pub rows: Vec<NewAccount>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountsImported {
    /// Whether nothing was written, because a row is refused or nothing was to be.
    pub nothing_written: bool,
    /// What became of each row, in their order.
    pub rows: Vec<Told>,
}

/// Makes many accounts.
///
/// # Errors
/// See [`ManagementError`]; what is wrong with a row is none.
pub async fn import(
    desk: &Desk,
    wanted: ImportWanted,
    progress: &OperationProgress,
) -> Result<AccountsImported, ManagementError> {
    let total = wanted.rows.len();
    if total > ROWS_MAX {
        let message =
            format!("{total} rows are more than {ROWS_MAX}; `locum account import` takes a file of any length");
        return Err(ManagementError::new(Fault::Usage, message));
    }
    let (mut rows, mut to_write, mut seen) = (Vec::with_capacity(total), Vec::with_capacity(total), HashMap::new());
    for (number, new) in wanted.rows.into_iter().enumerate() {
        let name = new.name.clone();
        let twice = seen.insert(normalise(&name), number);
        let (outcome, write) = match twice {
            Some(before) => (Outcome::Refused(format!("its account is row {}, too", before + 1)), None),
            None => look_at(desk, new).await?,
        };
        rows.push((name, outcome));
        to_write.push(write);
    }
    let refused = rows.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Refused(_))).count();
    let nothing_written = wanted.dry_run || refused > 0;
    if nothing_written {
        progress.say(format!("{total} looked at, {refused} refused; nothing is written"));
    } else {
        write(desk, &mut rows, to_write, progress).await;
    }
    let rows = rows.iter().map(|(name, outcome)| outcome.told(name)).collect();
    Ok(AccountsImported { nothing_written, rows })
}

async fn write(
    desk: &Desk,
    rows: &mut [(String, Outcome)],
    to_write: Vec<Option<Account>>,
    progress: &OperationProgress,
) {
    let (total, mut has_failed) = (rows.len(), false);
    for (number, ((_, outcome), account)) in rows.iter_mut().zip(to_write).enumerate() {
        progress.show(number, total);
        let Some(account) = account else { continue };
        if has_failed {
            *outcome = Outcome::NotTried;
        } else if let Err(error) = desk.directory.put_account(&account, None).await {
            has_failed = error.is_transient();
            *outcome = Outcome::Failed { cause: error.to_string(), passes: has_failed };
        }
    }
    progress.show(total, total);
}

/// What is to become of a row, and the account that is to be written.
async fn look_at(desk: &Desk, new: NewAccount) -> Result<(Outcome, Option<Account>), ManagementError> {
    let made = profile_of(&desk.profiles, &new.upstream).and_then(|profile| account(desk, profile, new.clone()));
    let made = match made {
        Ok(made) => made,
        Err(why) => return Ok((Outcome::Refused(why.to_string()), None)),
    };
    Ok(match desk.directory.account(&made.name).await {
        Ok(None) => (Outcome::Added { id: password_of(&made).map(|stored| stored.id.clone()) }, Some(made)),
        Ok(Some(found)) if is_same(&found.record, &made) => (Outcome::Same, None),
        Ok(Some(_)) => {
            let why = "there is such an account, with something else in it; change it by itself".to_owned();
            (Outcome::Refused(why), None)
        }
        // One that cannot be read stops no other.
        Err(error) if !error.is_transient() => (Outcome::Refused(error.to_string()), None),
        Err(error) => return Err(error.into()),
    })
}

/// Whether nothing is wanted that is not there.
pub fn is_same(found: &Account, wanted: &Account) -> bool {
    let password = match (password_of(found), password_of(wanted)) {
        (Some(found), Some(wanted)) => found.material == wanted.material,
        (_, None) => true,
        (None, Some(_)) => false,
    };
    password && (&found.upstream, &found.identity) == (&wanted.upstream, &wanted.identity)
}

/// The app password that logins use.
pub fn password_of(account: &Account) -> Option<&StoredCredential> {
    account.credentials.get(&CredentialKind::AppPassword)?.current.as_ref()
}
