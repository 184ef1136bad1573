//! The service account of a pod. Its token is read anew for each login: the kubelet replaces it long before it ends.

use serde_json::json;

use super::super::failure::Failure;
use super::super::servers::Servers;
use super::super::source::Place;
use super::exchange::{Call, Granted, known};
use super::setback::Setback;

#[derive(Debug)]
pub(super) struct KubernetesLogin {
    pub(super) mount: String,
    pub(super) role: String,
    pub(super) place: Place,
}

impl KubernetesLogin {
    pub(super) async fn obtain(&self, servers: &Servers) -> Result<Granted, Setback> {
        let token = self.place.read().map_err(|error| Setback::unreadable(&error))?;
        let body = json!({ "role": self.role, "jwt": token.expose_text() });
        let call = Call::post(format!("auth/{}/login", self.mount), &body);
        let answer = call.make(servers, "login", None).await.and_then(Granted::parse);
        answer.map_err(|failure| self.explain(&failure))
    }

    fn explain(&self, failure: &Failure) -> Setback {
        let Self { mount, role, place } = self;
        match failure {
            failure if failure.says(known::INVALID_ROLE) => Setback::Lasting(format!(
                "there is no role {role} at auth/{mount}: correct role in [store.login], or make it"
            )),
            // That the method is not there, that Kubernetes does not know the token, and that the role is for others are
            // told in the same way.
            Failure::Forbidden | Failure::NotMounted | Failure::Absent => Setback::Lasting(format!(
                "auth/{mount} refused the service account token in {place}: enable the Kubernetes method there, let it \
                 reach the Kubernetes that issued the token, and let the role {role} be for that service account; or \
                 correct mount in [store.login]"
            )),
            failure => Setback::of(failure, &format!("cannot log in at auth/{mount} as the role {role}")),
        }
    }
}
