//! Devices that cannot log in: which one it is, by where it comes from or by the certificate it showed. It must never take
//! one mark in place of another, nor let a client send in the name of others than its policy names.

use jiff::Timestamp;
use tokio::time::Instant;

use super::delegation::{ActsAs, acts_as};
use super::keyring::{Freshness, Search, Spent};
use super::login_form::Asked;
use super::policy;
use super::throttle::Admission;
use super::{Broker, Lease, Reason, Terms, millis};
use crate::audit::{Event, Origin};
use crate::model::{DeviceCertificate, Entrance, Mark, Recognition};

/// How a login by a certificate that nobody knows is called: no recognition has it.
const BY_CERTIFICATE: &str = "client certificate";

impl Broker {
    /// Decides about a client that sends mail without a login. `certificate` is what it showed and has the key of. One audit
    /// event is written either way, but none where nothing speaks for it: who merely forgot to log in is told so.
    ///
    /// # Errors
    /// The [`Reason`] why it is not let in.
    pub async fn recognise(
        &self,
        certificate: Option<&DeviceCertificate>,
        origin: &Origin,
        entrance: &Entrance,
    ) -> Result<Lease, Reason> {
        let began = Instant::now();
        if certificate.is_none() && by_network(entrance, origin).is_none() {
            return Err(Reason::NotRecognised);
        }
        // Failures count against the address alone: no login was named.
        let look = match self.throttle.admit(origin.peer, b"", None).await {
            Admission::Look(look) => look,
            Admission::HoldBack { first } | Admission::Repeat { first } => {
                if first {
                    let denied = Err(Reason::Throttled);
                    self.audit.record(origin, &event("", BY_CERTIFICATE, &denied, began));
                }
                return Err(Reason::Throttled);
            }
        };
        match find(entrance, origin, certificate) {
            Ok(recognition) => {
                drop(look); // who is recognised by where it comes from has proven nothing
                let decision = self.try_recognise(recognition, certificate, origin, entrance).await;
                let decision = decision.and_then(|lease| self.seated(lease));
                let method = recognition.mark.method();
                let told = event(&recognition.client, method, &decision, began);
                match &decision {
                    Err(_) => self.audit.record(origin, &told),
                    Ok(_) => {
                        if let Err(unwritten) = self.audit.commit(origin, &told).await {
                            let denied = Err(Reason::Unwritten(unwritten));
                            self.audit.record(origin, &event(&recognition.client, method, &denied, began));
                            return denied;
                        }
                    }
                }
                decision
            }
            Err(reason) => {
                look.failed(origin.peer, b"").await;
                let denied = Err(reason);
                self.audit.record(origin, &event("", BY_CERTIFICATE, &denied, began));
                denied
            }
        }
    }

    async fn try_recognise(
        &self,
        recognition: &Recognition,
        certificate: Option<&DeviceCertificate>,
        origin: &Origin,
        entrance: &Entrance,
    ) -> Result<Lease, Reason> {
        let client = self.keyring.directory().client(&recognition.client).await?.ok_or(Reason::UnknownLogin)?.record;
        policy::check_time(&client, Timestamp::now())?;
        policy::check(&client, origin)?;
        if client.policy.senders.is_empty() {
            return Err(Reason::SendersNotPinned);
        }
        let ends = match (&recognition.mark, certificate) {
            (Mark::Certificate(_), Some(certificate)) => Some(certificate.valid_until),
            _ => None,
        };
        let ActsAs { account, delegation } = acts_as(&client, &Asked::Itself, origin.peer, Timestamp::now())?;
        let terms = Terms::of(&client, None, delegation).ending_with(ends);
        let terms = Terms { recognised: Some(recognition.mark.clone()), ..terms };
        let account = self.account(&account, Freshness::Remembered).await?;
        let search = Search { fresh: Freshness::Remembered, only: None, spent: &Spent::default() };
        self.lease(&client.login, account, origin.protocol, &entrance.upstreams, search, terms).await
    }
}

/// What is audited of a decision about a device.
fn event(login: &str, method: &'static str, decision: &Result<Lease, Reason>, began: Instant) -> Event {
    Event::Decision {
        outcome: if decision.is_ok() { "allow" } else { "deny" },
        reason: decision.as_ref().err().map(ToString::to_string),
        login: login.to_owned(),
        method,
        way: None,
        client_secret: None,
        account: decision.as_ref().ok().map(|lease| lease.account().to_owned()),
        delegated: decision.as_ref().is_ok_and(|lease| lease.terms().is_delegated),
        asked: None,
        duration_ms: millis(began),
    }
}

/// Who it is. A certificate speaks alone: who shows one that is not known, or is over, is nobody, wherever it comes from.
fn find<'a>(
    entrance: &'a Entrance,
    origin: &Origin,
    certificate: Option<&DeviceCertificate>,
) -> Result<&'a Recognition, Reason> {
    let Some(shown) = certificate else { return by_network(entrance, origin).ok_or(Reason::NotRecognised) };
    let is_shown = |it: &&Recognition| it.mark == Mark::Certificate(shown.fingerprint);
    let known = entrance.recognitions.iter().find(is_shown);
    let recognition = known.ok_or(Reason::CertificateUnknown { fingerprint: shown.fingerprint })?;
    let now = Timestamp::now();
    if now < shown.valid_from || shown.valid_until <= now {
        return Err(Reason::CertificateNotValid { from: shown.valid_from, until: shown.valid_until });
    }
    Ok(recognition)
}

/// The narrowest network that it comes from.
fn by_network<'a>(entrance: &'a Entrance, origin: &Origin) -> Option<&'a Recognition> {
    let networks = entrance.recognitions.iter().filter_map(|it| match &it.mark {
        Mark::Network(network) if network.contains(&origin.peer) => Some((network.prefix_len(), it)),
        _ => None,
    });
    networks.max_by_key(|(bits, _)| *bits).map(|(_, recognition)| recognition)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::{Fingerprint, Protocol};

    fn origin(peer: &str) -> Origin {
        super::super::tests::origin("smtp", Protocol::Submission, peer.parse().unwrap())
    }

    fn certificate(der: &[u8], valid_from: &str, valid_until: &str) -> DeviceCertificate {
        let [valid_from, valid_until] = [valid_from, valid_until].map(|it| it.parse().unwrap());
        DeviceCertificate { fingerprint: Fingerprint::of(der), valid_from, valid_until }
    }

    fn entrance() -> Entrance {
        let known = |client: &str, mark| Recognition { client: client.into(), mark };
        let recognitions = vec![
            known("floor", Mark::Network("10.3.0.0/24".parse().unwrap())),
            known("scanner", Mark::Network("10.3.0.9/32".parse().unwrap())),
            known("plotter", Mark::Certificate(Fingerprint::of(b"plotter"))),
        ];
        Entrance { recognitions, ..Entrance::default() }
    }

    fn who(peer: &str, certificate: Option<&DeviceCertificate>) -> Result<String, String> {
        let entrance = entrance();
        find(&entrance, &origin(peer), certificate).map(|it| it.client.clone()).map_err(|it| it.to_string())
    }

    #[test]
    fn the_narrowest_network_counts() {
        assert_eq!(who("10.3.0.9", None), Ok("scanner".into()));
        assert_eq!(who("10.3.0.10", None), Ok("floor".into()));
        assert!(who("10.3.1.9", None).is_err());
        assert!(who("::ffff:10.3.0.9", None).is_err(), "addresses come here in their plain form");
    }

    #[test]
    fn a_certificate_speaks_alone() {
        let good = certificate(b"plotter", "2020-01-01T00:00:00Z", "4000-01-01T00:00:00Z");
        assert_eq!(who("10.9.9.9", Some(&good)), Ok("plotter".into()));
        assert_eq!(who("10.3.0.9", Some(&good)), Ok("plotter".into()));
        let unknown = certificate(b"other", "2020-01-01T00:00:00Z", "4000-01-01T00:00:00Z");
        assert!(who("10.3.0.9", Some(&unknown)).unwrap_err().contains(&unknown.fingerprint.to_string()));
    }

    #[test]
    fn a_certificate_has_its_time() {
        let over = certificate(b"plotter", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
        assert!(who("10.3.0.9", Some(&over)).unwrap_err().contains("2021-01-01"));
        let early = certificate(b"plotter", "3999-01-01T00:00:00Z", "4000-01-01T00:00:00Z");
        assert!(who("10.3.0.9", Some(&early)).is_err());
    }
}
