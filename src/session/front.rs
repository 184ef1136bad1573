//! Who is at the other end: the peer of the socket, or the client that a front end speaks for. It must never believe an
//! address that does not come from a front end which the listener names.

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use ipnet::IpNet;
use metrics::{counter, describe_counter};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::strangers::Stranger;
use super::{Listener, ListenerTls, Sessions};
use crate::audit::Origin;
use crate::model::{DeviceCertificate, Refusal};
use crate::net::{Stream, read_proxy_header};
use crate::proto::SpokenFor;

const HEADER_ERRORS: &str = "locum_proxy_header_errors_total";

/// A front end that is set up wrongly is so for each of its connections; the log says it once in this time.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Who is at the other end of a session.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) origin: Origin,
    /// The peer that TLS is spoken with. It stays, whatever XCLIENT says.
    pub(super) hand: IpAddr,
    /// Its part of the places for those that have not logged in. A front end that speaks for many has none of its own.
    stranger: Option<Stranger>,
    /// The address that XCLIENT is taken from. It stays that of the front end, whatever is said by it.
    front_end: Option<IpAddr>,
    /// How many front ends spoke before XCLIENT.
    hops: usize,
    /// Whether XCLIENT was said: then TLS, and the certificate in it, are the front end's.
    is_spoken_for: bool,
}

impl Guest {
    /// Whether it is a front end that may say for whom it speaks.
    pub(super) fn is_front_end(&self) -> bool {
        self.front_end.is_some()
    }

    /// Whether it may log in without TLS.
    pub(super) fn may_log_in_plainly(&self, listener: &Listener) -> bool {
        contains(&listener.options.plaintext_networks, self.origin.peer)
    }

    /// The certificate that it showed, if it is its own.
    pub(super) fn certificate(&self, stream: &Stream) -> Option<DeviceCertificate> {
        if self.is_spoken_for { None } else { stream.device_certificate() }
    }
}

impl Sessions {
    /// Finds out who came, and whether there is a place for it; `None` if it is to be closed without a word.
    pub(super) async fn welcome(
        &self,
        listener: &Listener,
        session: u64,
        socket: &mut TcpStream,
        peer: SocketAddr,
    ) -> Option<Guest> {
        let front_ends = &listener.options.front_ends;
        let (mut peer, mut via) = (peer.ip().to_canonical(), Vec::new());
        if contains(&front_ends.proxy_protocol, peer)
            && let Some(client) = self.spoken_for(listener, socket, peer).await?
        {
            via.push(std::mem::replace(&mut peer, client));
        }
        let allow = &listener.options.allow;
        if !allow.is_empty() && !contains(allow, peer) {
            tracing::debug!(session, listener = listener.options.name, %peer, "not from an allowed network");
            return None;
        }
        let front_end = contains(&front_ends.xclient, peer).then_some(peer);
        let stranger = match front_end {
            Some(_) => None,
            None => {
                let admitted = self.strangers.admit(peer);
                if admitted.is_none() {
                    // Silently: words would cost a TLS handshake each.
                    let listener = &listener.options.name;
                    tracing::debug!(session, listener, %peer, "its address has too many sessions that have not logged in");
                }
                Some(admitted?)
            }
        };
        let hops = via.len();
        let origin = Origin {
            session,
            listener: listener.options.name.as_str().into(),
            protocol: listener.options.protocol,
            peer,
            via,
            tls: listener.options.tls == ListenerTls::Implicit,
            tls_version: None,
        };
        Some(Guest { origin, hand: peer, stranger, front_end, hops, is_spoken_for: false })
    }

    /// The client that the header of the PROXY protocol names; within, `None` where it names none.
    async fn spoken_for(
        &self,
        listener: &Listener,
        socket: &mut TcpStream,
        front_end: IpAddr,
    ) -> Option<Option<IpAddr>> {
        // Sent by the front end at once, it is as late as a handshake may be.
        let reading = timeout(self.manner().options.tls_handshake_timeout, read_proxy_header(socket));
        let why = match self.drain.run_until_cancelled(reading).await? {
            Ok(Ok(client)) => return Some(client),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no header of the PROXY protocol came in time".to_owned(),
        };
        let listener = &listener.options.name;
        tracing::debug!(listener, %front_end, why, "closed without a proper header");
        self.misfits.note(listener, front_end, &why);
        None
    }

    /// Counts another one as the peer, for which a front end speaks; whether it may log in without TLS.
    pub(super) fn change_peer(&self, listener: &Listener, guest: &mut Guest, said: SpokenFor) -> Result<bool, Refusal> {
        let front_end = guest.front_end.ok_or(Refusal::NotPermitted)?;
        guest.is_spoken_for = true;
        match said {
            SpokenFor::Same => {}
            SpokenFor::Unknown => {
                guest.origin.via.truncate(guest.hops);
                (guest.origin.peer, guest.stranger) = (front_end, None);
            }
            SpokenFor::Address(client) => {
                tracing::debug!(%client, "a front end speaks for a client");
                let allow = &listener.options.allow;
                if !allow.is_empty() && !contains(allow, client) {
                    return Err(Refusal::NotPermitted);
                }
                guest.stranger = None; // before it is counted anew: it may be the same
                guest.stranger = Some(self.strangers.admit(client).ok_or(Refusal::LimitReached)?);
                guest.origin.via.truncate(guest.hops);
                guest.origin.via.push(front_end);
                guest.origin.peer = client;
            }
        }
        Ok(guest.may_log_in_plainly(listener))
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// Connections of front ends that were closed for want of a header: said now and then, counted always.
#[derive(Debug)]
pub(super) struct Misfits {
    said: Mutex<Option<Instant>>,
}

impl Misfits {
    pub(super) fn new() -> Self {
        describe_counter!(
            HEADER_ERRORS,
            "Connections of front ends that were closed for want of a PROXY protocol header."
        );
        Self { said: Mutex::default() }
    }

    fn note(&self, listener: &str, front_end: IpAddr, why: &str) {
        counter!(HEADER_ERRORS).increment(1);
        if self.is_to_be_said(Instant::now()) {
            tracing::warn!(
                listener,
                %front_end,
                why,
                "a front end does not begin its connections as proxy-protocol-from says; set it up for the PROXY protocol \
                 towards this listener, its health checks too, or take it out"
            );
        }
    }

    fn is_to_be_said(&self, now: Instant) -> bool {
        let mut said = self.said.lock().expect("no holder of this lock panics");
        let is_due = said.is_none_or(|said| now.duration_since(said) >= SAID_AGAIN_AFTER);
        if is_due {
            *said = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misfit_is_said_once_a_minute() {
        let (misfits, now) = (Misfits::new(), Instant::now());
        assert!(misfits.is_to_be_said(now));
        assert!(!misfits.is_to_be_said(now + SAID_AGAIN_AFTER - Duration::from_millis(1)));
        assert!(misfits.is_to_be_said(now + SAID_AGAIN_AFTER));
        assert!(!misfits.is_to_be_said(now + SAID_AGAIN_AFTER));
    }
}
