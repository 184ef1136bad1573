//! Why an operator's wish was not fulfilled. The text is for the operator and says what to do; the fault is for those who
//! answer in codes: exit codes of the command line, states of HTTP.

use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::DirectoryError;
use crate::credential::CredentialError;
use crate::rotation::machine::StepError;
use crate::rotation::{HookError, RotationError};
use crate::store::StoreError;

/// Why something was not done. Nothing was changed, unless the text says so.
#[derive(Debug, thiserror::Error)]
pub enum ManagementError {
    /// A reason of this room's own: lower case, no full stop, no secret, with what to do.
    #[error("{message}")]
    Refused {
        /// Whose fault it is.
        fault: Fault,
        /// Why, and what to do.
        message: String,
    },
    /// The records could not be read or written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A rotation does not go on. What was done of it before stays done.
    #[error(transparent)]
    Rotation(RotationError),
    /// What was given is no credential.
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

impl From<RotationError> for ManagementError {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::Directory(error) => Self::Directory(error),
            error => Self::Rotation(error),
        }
    }
}

impl From<StepError> for ManagementError {
    fn from(error: StepError) -> Self {
        Self::Rotation(error.into())
    }
}

/// What kind of reason it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// What was asked for makes no sense: HTTP 422, exit code 65.
    Invalid,
    /// Some parts of what was asked for do not go together, or something is missing: HTTP 400, exit code 64.
    Usage,
    /// What was named does not exist: HTTP 404, exit code 66.
    Missing,
    /// It is there already, or no more of its kind can be: HTTP 409, exit code 73.
    Exists,
    /// Somebody else was faster, or it is not possible in this state: HTTP 409, exit code 75.
    Conflict,
    /// Whoever could allow it does not: HTTP 403, exit code 77.
    Denied,
    /// It may work later: HTTP 503, exit code 75.
    Temporary,
    /// The configuration, a record or a file is wrong: HTTP 500, exit code 78.
    Broken,
}

impl ManagementError {
    /// A reason of this room's own.
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self::Refused { fault, message: message.into() }
    }

    /// What was asked for makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Fault::Invalid, message)
    }

    /// What was named does not exist.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(Fault::Missing, message)
    }

    /// What kind of reason it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Refused { fault, .. } => *fault,
            Self::Directory(error) => of_directory(error),
            Self::Rotation(error) => of_rotation(error),
            Self::Credential(_) => Fault::Invalid,
        }
    }
}

fn of_directory(error: &DirectoryError) -> Fault {
    match error {
        DirectoryError::Changed { .. }
        | DirectoryError::Removed { .. }
        | DirectoryError::Store(StoreError::Conflict { .. }) => Fault::Conflict,
        // A node whose token may not write or list says so here.
        DirectoryError::Store(StoreError::Config(_)) => Fault::Denied,
        error if error.is_transient() => Fault::Temporary,
        _ => Fault::Broken,
    }
}

fn of_rotation(error: &RotationError) -> Fault {
    match error {
        RotationError::Directory(error) => of_directory(error),
        RotationError::Missing(_) => Fault::Missing,
        RotationError::StillUsed { .. } => Fault::Conflict,
        RotationError::Step(error) => match error {
            StepError::Same(_) | StepError::Failed { .. } | StepError::Miscounted { .. } => Fault::Invalid,
            StepError::NoLeftover(_) => Fault::Missing,
            _ => Fault::Conflict, // somebody has to do something else before, or wait
        },
        error if error.is_transient() => Fault::Temporary,
        // Whoever has a hook says so in the configuration: nothing is wrong where there is none.
        RotationError::Hook { error: HookError::NotConfigured, .. } => Fault::Conflict,
        RotationError::Hook { error: HookError::CannotStart { .. }, .. } => Fault::Broken,
        _ => Fault::Invalid, // the provider refuses it, or does not take it
    }
}
