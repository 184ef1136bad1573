//! Exit codes, after `sysexits.h`: scripts and supervisors tell by them whether another try makes sense.

use std::fmt;
use std::process::ExitCode;

use anyhow::Error;

use crate::app::Problems;
use crate::broker::DirectoryError;
use crate::config::ConfigErrors;
use crate::credential::CredentialError;
use crate::management::{Fault, ManagementError};
use crate::rotation::machine::StepError;
use crate::rotation::{HookError, RotationError};
use crate::store::{KeyError, OpenError, StoreError, migrate};

/// Wrong arguments (`EX_USAGE`).
pub(super) const USAGE: u8 = 64;
/// The input cannot be used (`EX_DATAERR`).
pub(super) const DATA: u8 = 65;
/// What was named does not exist (`EX_NOINPUT`).
pub(super) const NOT_FOUND: u8 = 66;
/// Something went otherwise than it must (`EX_SOFTWARE`).
pub(super) const SOFTWARE: u8 = 70;
/// The system refused something (`EX_OSERR`).
pub(super) const OS_ERROR: u8 = 71;
/// Something is there already, or cannot be made (`EX_CANTCREAT`).
pub(super) const CANNOT_CREATE: u8 = 73;
/// The result could not be written (`EX_IOERR`).
pub(super) const IO_ERROR: u8 = 74;
/// It may work later (`EX_TEMPFAIL`).
pub(super) const TEMPORARY: u8 = 75;
/// Somebody who could allow it does not (`EX_NOPERM`).
pub(super) const DENIED: u8 = 77;
/// The configuration, or a file it names, is wrong (`EX_CONFIG`).
pub(super) const CONFIG: u8 = 78;
/// Part of it is done, and the rest failed for good. `sysexits.h` has no word for that, and ends one below.
pub(super) const PARTIAL: u8 = 79;

/// An error of the command line itself, with the exit code that it asks for.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    pub(super) fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The exit code for an error.
pub(super) fn code_of(error: &Error) -> ExitCode {
    let code = if let Some(failure) = error.downcast_ref::<Failure>() {
        failure.code
    } else if error.is::<ConfigErrors>() {
        CONFIG
    } else if let Some(problems) = error.downcast_ref::<Problems>() {
        if problems.are_passing() { TEMPORARY } else { CONFIG }
    } else if let Some(error) = error.downcast_ref::<OpenError>() {
        match error {
            OpenError::Exists { .. } => CANNOT_CREATE,
            error if error.is_transient() => TEMPORARY,
            _ => CONFIG,
        }
    } else if let Some(error) = error.downcast_ref::<migrate::Error>() {
        match &error.source {
            source if source.is_transient() => TEMPORARY,
            StoreError::Config(_) => CONFIG,
            _ => DATA,
        }
    } else if error.is::<CredentialError>() {
        DATA
    } else if error.is::<KeyError>() {
        CANNOT_CREATE // one that is read is an `OpenError`
    } else if let Some(error) = error.downcast_ref::<RotationError>() {
        of_rotation(error)
    } else if let Some(error) = error.downcast_ref::<ManagementError>() {
        of_management(error)
    } else {
        error.downcast_ref::<DirectoryError>().map_or(SOFTWARE, of_directory)
    };
    ExitCode::from(code)
}

fn of_management(error: &ManagementError) -> u8 {
    match (error, error.fault()) {
        (ManagementError::Directory(error), _) => of_directory(error),
        (ManagementError::Rotation(error), _) => of_rotation(error),
        (_, Fault::Invalid) => DATA,
        (_, Fault::Usage) => USAGE,
        (_, Fault::Missing) => NOT_FOUND,
        (_, Fault::Exists) => CANNOT_CREATE,
        (_, Fault::Conflict | Fault::Temporary) => TEMPORARY,
        (_, Fault::Denied) => DENIED,
        (_, Fault::Broken) => CONFIG,
    }
}

fn of_directory(error: &DirectoryError) -> u8 {
    match error {
        error if error.is_transient() => TEMPORARY,
        DirectoryError::Store(StoreError::Config(_)) => CONFIG,
        _ => DATA,
    }
}

/// The exit code for a rotation that does not go on. [`TEMPORARY`]: the same, run again later, may succeed.
/// [`CANNOT_CREATE`]: something has to be done before; which, the message says. [`NOT_FOUND`]: there is nothing to do it
/// with. [`DATA`]: the provider refuses the credential, or does not take it.
pub(super) fn of_rotation(error: &RotationError) -> u8 {
    match error {
        RotationError::Directory(error) => of_directory(error),
        error if error.is_transient() => TEMPORARY,
        RotationError::StillUsed { .. } => TEMPORARY,
        RotationError::Missing(_) => NOT_FOUND,
        RotationError::Step(error) => match error {
            // Time alone ends these.
            StepError::Applying { .. } | StepError::Asked { .. } | StepError::Overlap { .. } => TEMPORARY,
            StepError::UnderWay { .. }
            | StepError::Another
            | StepError::OtherPrevious
            | StepError::Full { .. }
            | StepError::NotSet
            | StepError::NotVerified
            | StepError::VerifiedLongAgo { .. }
            | StepError::Replaced
            | StepError::MayBeInForce => CANNOT_CREATE,
            StepError::NothingStaged | StepError::NoPrevious | StepError::NoCurrent | StepError::NoLeftover(_) => {
                NOT_FOUND
            }
            StepError::Same(_) | StepError::Failed { .. } | StepError::Miscounted { .. } => DATA,
        },
        RotationError::Hook { error, .. } => match error {
            HookError::NotConfigured | HookError::NotMeant(_) | HookError::CannotStart { .. } => CONFIG,
            _ => DATA,
        },
        RotationError::Reason(_)
        | RotationError::SetInVain { .. }
        | RotationError::NothingToVerify { .. }
        | RotationError::OtherMailbox { .. }
        | RotationError::Refused { .. }
        | RotationError::Broken { .. }
        | RotationError::Unverified { .. }
        | RotationError::RolledBack { .. } => DATA,
    }
}
