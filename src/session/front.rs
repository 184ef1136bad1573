//! Who is at the other end: the peer of the socket, or the client that a front end speaks for. It must never believe an
//! address that does not come from a front end which the listener names.

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use ipnet::IpNet;
use metrics::{counter, describe_counter};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::capacity::{Place, Shed};
use super::error::SessionError;
use super::{FrontEnds, Listener, ListenerTls, Sessions, meters};
use crate::audit::Origin;
use crate::model::{DeviceCertificate, Refusal};
use crate::net::{Stream, descriptors_beyond, read_proxy_header, say_at_once};
use crate::proto::{self, Goodbye, ServerAction, ServerLimits, ServerOptions, ServerTls, SpokenFor};

const HEADER_ERRORS: &str = "locum_proxy_header_errors_total";

/// A front end that is set up wrongly is so for each of its connections; the log says it once in this time.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A connection that has a place.
#[derive(Debug)]
pub struct Arrival {
    pub(super) socket: TcpStream,
    /// Who connected.
    pub(super) peer: IpAddr,
    pub(super) place: Place,
}

/// Who is at the other end of a session.
#[derive(Debug)]
pub(super) struct Guest<'a> {
    pub(super) origin: Origin,
    /// The peer that TLS is spoken with. It stays, whatever XCLIENT says.
    pub(super) hand: IpAddr,
    /// Counted as its address's. That of a front end that speaks for many is nobody's.
    pub(super) place: &'a Place,
    /// The address that XCLIENT is taken from. It stays that of the front end, whatever is said by it.
    front_end: Option<IpAddr>,
    /// How many front ends spoke before XCLIENT.
    hops: usize,
    /// Whether XCLIENT was said: then TLS, and the certificate in it, are the front end's.
    is_spoken_for: bool,
}

impl Guest<'_> {
    /// Whether it is a front end that may say for whom it speaks.
    pub(super) fn is_front_end(&self) -> bool {
        self.front_end.is_some()
    }

    /// Whether it may log in without TLS.
    pub(super) fn may_log_in_plainly(&self, listener: &Listener) -> bool {
        contains(&listener.options.plaintext_networks, self.origin.peer)
    }

    /// Does that, unless its place is needed for another before it is done.
    pub(super) async fn or_lost<T>(
        &self,
        state: &'static str,
        work: impl Future<Output = Result<T, SessionError>>,
    ) -> Result<T, SessionError> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.place.lost() => Err(SessionError::Displaced { state }),
        }
    }

    /// The certificate that it showed, if it is its own.
    pub(super) fn certificate(&self, stream: &Stream) -> Option<DeviceCertificate> {
        if self.is_spoken_for { None } else { stream.device_certificate() }
    }
}

impl Sessions {
    /// A place for a connection; without one it is closed, with a word where that costs nothing. Nothing here waits.
    pub fn admit(&self, listener: &Listener, socket: TcpStream, peer: SocketAddr) -> Option<Arrival> {
        let peer = peer.ip().to_canonical();
        let FrontEnds { proxy_protocol, xclient } = &listener.options.front_ends;
        let brings_header = contains(proxy_protocol, peer);
        meters::count_connection(&listener.options);
        if !brings_header && !listener.allows(peer) {
            tracing::debug!(listener = listener.options.name, %peer, "not from an allowed network");
            return None;
        }
        let counted = (!brings_header && !contains(xclient, peer)).then_some(peer);
        match self.capacity.enter(counted, descriptors_beyond(&socket)) {
            Ok(place) => Some(Arrival { socket, peer, place }),
            Err(shed) => {
                self.turn_away(listener, &socket, peer, shed);
                None
            }
        }
    }

    /// Tells a client that there is no place for it, if that takes no handshake.
    fn turn_away(&self, listener: &Listener, socket: &TcpStream, peer: IpAddr, shed: Shed) {
        meters::count_shed(shed);
        tracing::debug!(listener = listener.options.name, %peer, reason = shed.name(), "turned away");
        if listener.options.tls == ListenerTls::Implicit {
            return; // words would cost what there is least of: a signature
        }
        let options = ServerOptions {
            name: self.manner().name.clone(),
            tls: ServerTls::Absent,
            plaintext_login: false,
            keywords: Vec::new(),
            takes_xclient: false,
            recognises: false,
            limits: ServerLimits::default(),
        };
        let mut dialogue = proto::server(listener.options.protocol, options);
        dialogue.shut_down(Goodbye::Overloaded);
        while let ServerAction::Send(words) = dialogue.next_action() {
            say_at_once(socket, words.as_bytes());
        }
    }

    /// Finds out who came, and whether there is a place for it; `None` if it is to be closed without a word.
    pub(super) async fn welcome<'a>(
        &self,
        listener: &Listener,
        session: u64,
        socket: &mut TcpStream,
        mut peer: IpAddr,
        place: &'a Place,
    ) -> Option<Guest<'a>> {
        let front_ends = &listener.options.front_ends;
        let mut via = Vec::new();
        if contains(&front_ends.proxy_protocol, peer) {
            let spoken_for = tokio::select! {
                spoken_for = self.spoken_for(listener, socket, peer) => spoken_for?,
                () = place.lost() => return None,
            };
            if let Some(client) = spoken_for {
                via.push(std::mem::replace(&mut peer, client));
            }
            if !listener.allows(peer) {
                tracing::debug!(session, listener = listener.options.name, %peer, "not from an allowed network");
                return None;
            }
        }
        let front_end = contains(&front_ends.xclient, peer).then_some(peer);
        if let Err(shed) = place.belongs_to(front_end.is_none().then_some(peer)) {
            self.turn_away(listener, socket, peer, shed);
            return None;
        }
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
        Some(Guest { origin, hand: peer, place, front_end, hops, is_spoken_for: false })
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
    pub(super) fn change_peer(
        &self,
        listener: &Listener,
        guest: &mut Guest<'_>,
        said: SpokenFor,
    ) -> Result<bool, Refusal> {
        let front_end = guest.front_end.ok_or(Refusal::NotPermitted)?;
        guest.is_spoken_for = true;
        match said {
            SpokenFor::Same => {}
            SpokenFor::Unknown => {
                guest.origin.via.truncate(guest.hops);
                guest.origin.peer = front_end;
                let _ = guest.place.belongs_to(None); // a front end may have as many as it likes
            }
            SpokenFor::Address(client) => {
                tracing::debug!(%client, "a front end speaks for a client");
                if !listener.allows(client) {
                    return Err(Refusal::NotPermitted);
                }
                guest.place.belongs_to(Some(client)).map_err(|shed| {
                    meters::count_shed(shed);
                    Refusal::LimitReached
                })?;
                guest.origin.via.truncate(guest.hops);
                guest.origin.via.push(front_end);
                guest.origin.peer = client;
            }
        }
        Ok(guest.may_log_in_plainly(listener))
    }
}

impl Listener {
    /// Whether somebody from there may connect at all.
    fn allows(&self, peer: IpAddr) -> bool {
        self.options.allow.is_empty() || contains(&self.options.allow, peer)
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
