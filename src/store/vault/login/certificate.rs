//! A TLS client certificate. The connection shows it; the login only asks what it is good for.

use serde_json::json;

use super::super::failure::Failure;
use super::super::servers::Servers;
use super::exchange::{Call, Granted, known};
use super::setback::Setback;

#[derive(Debug)]
pub(super) struct CertificateLogin {
    pub(super) mount: String,
    pub(super) role: Option<String>,
}

impl CertificateLogin {
    pub(super) async fn obtain(&self, servers: &Servers) -> Result<Granted, Setback> {
        let body = self.role.as_ref().map_or_else(|| json!({}), |role| json!({ "name": role }));
        let call = Call::post(format!("auth/{}/login", self.mount), &body);
        let answer = call.make(servers, "login", None).await.and_then(Granted::parse);
        answer.map_err(|failure| self.explain(&failure))
    }

    fn explain(&self, failure: &Failure) -> Setback {
        let mount = &self.mount;
        match failure {
            Failure::Refused { text, .. } if text.starts_with(known::NO_CERTIFICATE) => Setback::Lasting(format!(
                "no client certificate reached auth/{mount}: name the servers themselves in address, and not a proxy that \
                 ends TLS before them"
            )),
            Failure::Refused { text, .. } if text.contains("certificate") => Setback::Lasting(format!(
                "no role at auth/{mount} fits the client certificate: add its authority and its name to a role, or correct \
                 certificate and role in [store.login]"
            )),
            Failure::Forbidden | Failure::NotMounted | Failure::Absent => Setback::Lasting(format!(
                "there is no login by certificate at auth/{mount}, or not from this address: enable the method there, or \
                 correct mount in [store.login]"
            )),
            failure => Setback::of(failure, &format!("cannot log in by certificate at auth/{mount}")),
        }
    }
}
