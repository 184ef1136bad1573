//! Many records at once: what all imports have in common. It must never quote what came in: that may be a secret.

use serde::Serialize;
use utoipa::ToSchema;

/// What is to be done, or was, with one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is, or would be, in the store.
    Added {
        /// The id of the secret that it brought, if it did.
        id: Option<String>,
    },
    /// It was there already.
    Same,
    /// It does not fit what is there.
    Refused(String),
    /// It could not be written; whether it may be later.
    Failed {
        /// In words.
        cause: String,
        /// Whether running it again may help.
        passes: bool,
    },
    /// It was not come to.
    NotTried,
}

/// What became of a row, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ImportedRow)]
pub struct Told {
    /// Whose it is.
    pub name: String,
    /// `added`, `there already`, `refused`, `failed` or `not tried`.
    pub outcome: &'static str,
    /// Why, in words.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub cause: String,
    /// The id of the secret that it brought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl Outcome {
    /// Its name, in result files and answers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Added { .. } => "added",
            Self::Same => "there already",
            Self::Refused(_) => "refused",
            Self::Failed { .. } => "failed",
            Self::NotTried => "not tried",
        }
    }

    /// Why it is not in the store; empty if it is.
    pub fn cause(&self) -> &str {
        match self {
            Self::Refused(cause) | Self::Failed { cause, .. } => cause,
            Self::Added { .. } | Self::Same | Self::NotTried => "",
        }
    }

    /// As it is told of that row.
    pub fn told(&self, name: &str) -> Told {
        let secret = if let Self::Added { id } = self { id.clone() } else { None };
        Told { name: name.to_owned(), outcome: self.name(), cause: self.cause().to_owned(), secret }
    }
}
