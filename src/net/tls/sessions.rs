//! What is kept of handshakes with upstreams, to be taken up again: it spares both ends the certificates and signatures, which
//! are a third of the work. rustls keeps eight tickets for a name, and a ticket of TLS 1.3 is good for one connection
//! (RFC 8446, C.4): with more clients than that at once most would shake hands anew. It must never give a ticket out twice.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use rustls::NamedGroup;
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// Tickets for one name: as many as connections to it are begun within the time of a handshake, in a rush. One takes two to four
/// KiB, most of it the provider's certificates.
const TICKETS_MAX: usize = 128;

/// Names of upstreams.
const NAMES_MAX: usize = 256;

/// Handshakes with upstreams that can be taken up.
#[derive(Debug)]
pub(super) struct Sessions {
    /// Of TLS 1.2, and which group of keys a name takes.
    others: ClientSessionMemoryCache,
    tickets: Mutex<HashMap<ServerName<'static>, VecDeque<Tls13ClientSessionValue>>>,
}

impl Sessions {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { others: ClientSessionMemoryCache::new(NAMES_MAX), tickets: Mutex::default() }
    }

    fn tickets(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, VecDeque<Tls13ClientSessionValue>>> {
        self.tickets.lock().expect("nothing panics while it holds this lock")
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.others.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.others.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.others.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.others.tls12_session(server_name)
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.others.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(&self, server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut tickets = self.tickets();
        if !tickets.contains_key(&server_name) && tickets.len() >= NAMES_MAX {
            tickets.clear(); // no configuration has so many; the next handshakes bring them again
        }
        let kept = tickets.entry(server_name).or_default();
        if kept.len() == TICKETS_MAX {
            kept.pop_front();
        }
        kept.push_back(value);
    }

    fn take_tls13_ticket(&self, server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        // The newest: it lives for longest.
        self.tickets().get_mut(server_name)?.pop_back()
    }
}

#[cfg(test)]
mod tests;
