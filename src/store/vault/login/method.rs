//! The ways to a token, and which one is taken.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::super::super::{KeySource, OpenError};
use super::super::servers::Servers;
use super::super::source::Place;
use super::super::{Login, Rights};
use super::approle::AppRoleLogin;
use super::certificate::CertificateLogin;
use super::exchange::Granted;
use super::kubernetes::KubernetesLogin;
use super::setback::Setback;
use super::token::TokenLogin;
use crate::model::Secret;

/// Where the tools of Vault and OpenBao take a token from, in this order; the file is in the home directory.
const OPERATOR_VARIABLES: [&str; 2] = ["VAULT_TOKEN", "BAO_TOKEN"];
const OPERATOR_FILE: &str = ".vault-token";

/// One way to a token.
#[derive(Debug)]
pub(super) enum Method {
    Token(TokenLogin),
    AppRole(AppRoleLogin),
    Kubernetes(KubernetesLogin),
    Certificate(CertificateLogin),
}

impl Method {
    /// Chooses, and checks what needs no server.
    pub(super) fn new(
        login: &Login,
        rights: Rights,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, OpenError> {
        let own = match rights {
            Rights::Operator => operators(variable).map(Login::Token),
            Rights::Node => None,
        };
        let find = |source| Place::find(source, variable);
        Ok(match own.as_ref().unwrap_or(login) {
            Login::Token(source) => Self::Token(TokenLogin { place: find(source)? }),
            // A node that finds its wrapping token used must take that for a theft.
            Login::AppRole { wrapped: true, .. } if rights == Rights::Operator => {
                return Err(OpenError::Setup(
                    "the wrapped secret id of [store.login] can be taken out once, and that is for the node: log in to \
                     the server as yourself (VAULT_TOKEN, BAO_TOKEN, or `bao login`)"
                        .into(),
                ));
            }
            Login::AppRole { mount, role_id, secret_id, wrapped } => {
                Self::AppRole(AppRoleLogin::new(mount.clone(), role_id.clone(), find(secret_id)?, *wrapped))
            }
            Login::Kubernetes { mount, role, token_file } => {
                let place = Place::OpenFile(token_file.clone());
                place.read()?;
                Self::Kubernetes(KubernetesLogin { mount: mount.clone(), role: role.clone(), place })
            }
            Login::Certificate { mount, role, .. } => {
                Self::Certificate(CertificateLogin { mount: mount.clone(), role: role.clone() })
            }
        })
    }

    /// Obtains a token that is not the one that was `refused`.
    pub(super) async fn obtain(&self, servers: &Servers, refused: Option<&Secret>) -> Result<Granted, Setback> {
        match self {
            Self::Token(login) => login.obtain(servers, refused).await,
            Self::AppRole(login) => login.obtain(servers).await,
            Self::Kubernetes(login) => login.obtain(servers).await,
            Self::Certificate(login) => login.obtain(servers).await,
        }
    }

    /// Whether the next login must not be cut short.
    pub(super) fn is_delicate(&self) -> bool {
        match self {
            Self::AppRole(login) => login.is_delicate(),
            Self::Token(_) | Self::Kubernetes(_) | Self::Certificate(_) => false,
        }
    }

    /// The login with a token that is not ours to end, nor to have another one of.
    pub(super) fn as_token(&self) -> Option<&TokenLogin> {
        match self {
            Self::Token(login) => Some(login),
            Self::AppRole(_) | Self::Kubernetes(_) | Self::Certificate(_) => None,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "token",
            Self::AppRole(_) => "AppRole",
            Self::Kubernetes(_) => "Kubernetes",
            Self::Certificate(_) => "certificate",
        })
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
