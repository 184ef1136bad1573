//! Doors to what only this room sees, for the fuzz targets (`tests/fuzz`). A release has none of them. It must hold nothing
//! but doors.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::process::Ended;
use super::{Action, HookError, Request, answer};
use crate::model::Secret;

/// What a program's answer comes to: the secret that it made, and its label.
///
/// # Errors
/// If it did not do what it was asked for.
pub fn answered(
    action: Action,
    sent: Option<&Secret>,
    code: u8,
    stdout: &[u8],
    stderr: &[u8],
) -> Result<Option<(Secret, Option<String>)>, HookError> {
    let request = Request {
        action,
        op: "op",
        account: "account",
        identity: "identity",
        upstream: "upstream",
        label: "label",
        secret: sent,
        id: None,
        deadline: Timestamp::UNIX_EPOCH,
    };
    let status = ExitStatus::from_raw(i32::from(code) << 8);
    let ended = Ended { status, stdout: Zeroizing::new(stdout.to_vec()), stderr: Zeroizing::new(stderr.to_vec()) };
    answer::read(&request, ended).map(|made| made.map(|made| (made.secret, made.label)))
}
