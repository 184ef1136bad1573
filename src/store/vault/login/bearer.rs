//! Whose token it is, and what to tell them where it does not suffice. It must never use up what a node needs.

use std::ffi::OsString;
use std::path::PathBuf;

use super::super::super::{KeySource, OpenError};
use super::super::{Login, Rights};

/// Where the tools of Vault and OpenBao take a token from, in this order; the file is in the home directory.
const OPERATOR_VARIABLES: [&str; 2] = ["VAULT_TOKEN", "BAO_TOKEN"];
const OPERATOR_FILE: &str = ".vault-token";

const NODE_POLICY: &str = "the policy for nodes (config/deploy/vault/locum-node.hcl)";
const OPERATOR_POLICY: &str = "the policy for operators (config/deploy/vault/locum-operator.hcl)";
const OWN_TOKEN: &str = "put an operator's token into VAULT_TOKEN or BAO_TOKEN, or run `bao login` or `vault login`";

/// Who bears the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bearer {
    /// A node, by the login in the configuration.
    Node,
    /// An operator, with a token of their own.
    Operator,
    /// An operator without one, by the login in the configuration.
    Guest,
}

impl Bearer {
    /// Who it is, and how they log in.
    pub(super) fn choose(
        login: &Login,
        rights: Rights,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(Self, Login), OpenError> {
        let own = match rights {
            Rights::Node => return Ok((Self::Node, login.clone())),
            Rights::Operator => operators(variable),
        };
        match (own, login) {
            (Some(own), _) => Ok((Self::Operator, Login::Token(own))),
            (None, Login::AppRole { wrapped: true, .. }) => Err(OpenError::Setup(format!(
                "this needs an operator's token, and there is none; the wrapped secret id in [store.login] is good for one \
                 login, and left to the node: {OWN_TOKEN}"
            ))),
            (None, login) => Ok((Self::Guest, login.clone())),
        }
    }

    /// What to do where the token is good and does not permit what was asked. `token` says which it is.
    pub(super) fn denied(self, token: &str) -> String {
        match self {
            Self::Node => format!("the server denied it (403) to {token}: give it {NODE_POLICY}"),
            Self::Operator => {
                format!("the server denied it (403) to {token}: give it {OPERATOR_POLICY}, or use another token")
            }
            Self::Guest => format!(
                "the server denied it (403) to {token}, which is a node's, and no operator's token was found: {OWN_TOKEN}"
            ),
        }
    }

    /// What to do where it does not even show whether there is an engine at the mount.
    pub(super) fn unseen(self, token: &str, mount: &str) -> String {
        let policy = match self {
            Self::Node | Self::Guest => NODE_POLICY,
            Self::Operator => OPERATOR_POLICY,
        };
        format!(
            "nothing is mounted at {mount}, or {token} may not see it: correct mount in [store], or enable a KV engine of \
             version 2 there; if there is one, give the token {policy}, with that mount in its paths"
        )
    }
}

/// The operator's own token, if there is any.
fn operators(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<KeySource> {
    let is_set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    if let Some(name) = OPERATOR_VARIABLES.iter().find(|name| is_set(name)) {
        return Some(KeySource::Environment((*name).to_owned()));
    }
    let file = PathBuf::from(variable("HOME")?).join(OPERATOR_FILE);
    file.exists().then_some(KeySource::File(file))
}
