//! The record of one operator: who may look at this system and change it, over HTTP.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Verifier;

/// One person, or one program, that manages this system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operator {
    /// Who it is; it stands in the audit, and in the records that it changes.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it signs in with. Any one of them does.
    pub tokens: Vec<OperatorToken>,
}

/// What an operator signs in with: made by Locum, shown once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperatorToken {
    /// Its name: part of the token itself, and in each audit event.
    pub id: String,
    /// What it was made for, in the operator's words.
    pub label: String,
    /// The stored form.
    pub verifier: Verifier,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is good for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// What an operator may do. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look at everything but secrets, which nobody can.
    Viewer,
    /// Change accounts, clients and credentials; close and trace sessions.
    Operator,
    /// Make operators, and have the configuration read again.
    Admin,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The name used in records, on the command line and over HTTP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| "expected viewer, operator or admin".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Role;

    #[test]
    fn each_role_may_what_those_before_it_may() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
