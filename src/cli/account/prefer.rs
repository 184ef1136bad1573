//! Which kind of credential an account is entered with, as an operator wants it.

use crate::cli::kinds::{self, Kinds};
use crate::management::accounts;
use crate::model::Protocol;

/// What is wanted.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Prefer {
    /// The kinds of credential to log in upstream with, best first: oauth2, app-password, or both with a comma between
    /// them, so that the second is tried where the first fails; none: no preference.
    #[arg(long, value_name = "KIND[,KIND]")]
    pub(super) prefer: Option<Kinds>,
    /// The same for one protocol, such as submission=app-password.
    #[arg(long, value_name = "PROTOCOL=KIND[,KIND]", value_parser = kinds::parse_for_protocol)]
    pub(super) prefer_for: Vec<(Protocol, Kinds)>,
}

impl Prefer {
    pub(super) fn names_any(&self) -> bool {
        self.prefer.is_some() || !self.prefer_for.is_empty()
    }

    /// As the use cases take it.
    pub(super) fn wanted(self) -> accounts::Prefer {
        let by_protocol = self.prefer_for.into_iter().map(|(protocol, Kinds(kinds))| (protocol, kinds)).collect();
        accounts::Prefer { all: self.prefer.map(|Kinds(kinds)| kinds), by_protocol }
    }
}
