//! Why an operator's wish was not fulfilled. The text is for the operator and says what to do; the fault is for those who
//! answer in codes: exit codes of the command line, states of HTTP.

use crate::broker::DirectoryError;
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
}

/// What kind of reason it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
            Self::Directory(error) => match error {
                DirectoryError::Changed { .. }
                | DirectoryError::Removed { .. }
                | DirectoryError::Store(StoreError::Conflict { .. }) => Fault::Conflict,
                error if error.is_transient() => Fault::Temporary,
                _ => Fault::Broken,
            },
        }
    }
}
