//! The ways to a token.

use std::ffi::OsString;
use std::fmt;

use super::super::super::OpenError;
use super::super::Login;
use super::super::servers::Servers;
use super::super::source::Place;
use super::approle::AppRoleLogin;
use super::bearer::Bearer;
use super::certificate::CertificateLogin;
use super::exchange::Granted;
use super::kubernetes::KubernetesLogin;
use super::setback::Setback;
use super::token::TokenLogin;
use crate::model::Secret;

/// One way to a token.
#[derive(Debug)]
pub(super) enum Method {
    Token(TokenLogin),
    AppRole(AppRoleLogin),
    Kubernetes(KubernetesLogin),
    Certificate(CertificateLogin),
}

impl Method {
    /// Checks what needs no server.
    pub(super) fn new(
        login: &Login,
        bearer: Bearer,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, OpenError> {
        let find = |source| Place::find(source, variable);
        Ok(match login {
            Login::Token(source) => Self::Token(TokenLogin { place: find(source)?, bearer }),
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

    /// Which token it is that they lead to, for people.
    pub(super) fn token(&self) -> String {
        match self {
            Self::Token(login) => format!("the token in {}", login.place),
            Self::AppRole(_) | Self::Kubernetes(_) | Self::Certificate(_) => {
                format!("the token of the {self} login in [store.login]")
            }
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
