//! Records that cannot be read: nothing can be said of them, but that they are to go.

use super::{Desk, Fault, ManagementError};
use crate::broker::Damage;
use crate::model::{RecordId, RecordKind};

/// Removes a record that cannot be read, by the id that a list told, with or without its folder. One that can is left as
/// it is.
///
/// # Errors
/// If it is none, or can be read.
pub async fn remove_damaged(desk: &Desk, kind: RecordKind, named: &str) -> Result<RecordId, ManagementError> {
    let hash = named.strip_prefix(kind.folder()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(named);
    let wrong = || {
        let folder = kind.folder();
        ManagementError::new(Fault::Usage, format!("--damaged takes an id such as {folder}/p7ret…, as a list tells it"))
    };
    let id = RecordId::from_hash(kind, hash).ok_or_else(wrong)?;
    match desk.directory.remove_damaged(&id).await? {
        Damage::Removed => Ok(id),
        Damage::None => {
            let message = format!("{id} is not damaged, so it is left as it is: remove it by its name");
            Err(ManagementError::invalid(message))
        }
        Damage::NoRecord => Err(ManagementError::missing(format!("there is no record {id}"))),
    }
}

/// Removes the record of that name if it cannot be read; whether that was so.
///
/// # Errors
/// If the store fails.
pub async fn was_damaged(desk: &Desk, kind: RecordKind, name: &str) -> Result<bool, ManagementError> {
    Ok(desk.directory.remove_damaged(&RecordId::new(kind, name)).await? == Damage::Removed)
}
