//! Connections to upstreams. The name is resolved anew at each dial: providers move their front ends all the time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::listener::tune;

/// Why an upstream could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("cannot resolve {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's answer.
        source: io::Error,
    },
    /// No address took the connection.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The last address tried.
        address: SocketAddr,
        /// Its answer.
        source: io::Error,
    },
    /// This process itself listens there.
    #[error("{host} leads to {address}, where this process listens itself")]
    Own {
        /// The name.
        host: String,
        /// The address.
        address: SocketAddr,
    },
    /// Time is up.
    #[error("no connection to {host}:{port} within {limit:?}")]
    TimedOut {
        /// The name.
        host: String,
        /// The port.
        port: u16,
        /// The limit.
        limit: Duration,
    },
}

/// Whether who dials `dialled` gets to `listening`, of this machine. `here` is the own end of the connection, if there is one
/// yet: to whom both ends are one, that is this machine.
pub fn leads_to(dialled: SocketAddr, listening: SocketAddr, here: Option<IpAddr>) -> bool {
    let (to, at) = (dialled.ip().to_canonical(), listening.ip().to_canonical());
    let is_here = to.is_loopback() || to.is_unspecified() || here.is_some_and(|here| here.to_canonical() == to);
    let is_anywhere = at.is_unspecified() && at.is_ipv4() == to.is_ipv4();
    dialled.port() == listening.port() && (to == at || is_anywhere && is_here)
}

/// Connects to the first address of `host` that answers, all within `limit`. Each address gets an equal share of the
/// time that is left, so that one dead address (often IPv6) does not use it all up. What leads to one of `own`, where this process
/// listens, is not connected to: a login would go round until nothing is left.
///
/// # Errors
/// See [`DialError`].
pub async fn dial(host: &str, port: u16, own: &[SocketAddr], limit: Duration) -> Result<TcpStream, DialError> {
    let deadline = Instant::now() + limit;
    let timed_out = || DialError::TimedOut { host: host.to_owned(), port, limit };
    let resolve_error = |source| DialError::Resolve { host: host.to_owned(), source };

    let addresses: Vec<SocketAddr> = timeout_at(deadline, lookup_host((host, port)))
        .await
        .map_err(|_| timed_out())?
        .map_err(resolve_error)?
        .collect();

    let mut failure = resolve_error(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    let is_own = |address, here| own.iter().any(|&listening| leads_to(address, listening, here));
    let refuse = |address| Err(DialError::Own { host: host.to_owned(), address });
    for (index, &address) in addresses.iter().enumerate() {
        if is_own(address, None) {
            return refuse(address);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + left / others, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                if is_own(address, stream.local_addr().ok().map(|here| here.ip())) {
                    return refuse(address);
                }
                tune(&stream);
                return Ok(stream);
            }
            Ok(Err(source)) => failure = DialError::Connect { address, source },
            Err(_) => failure = timed_out(),
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = dial("127.0.0.1", address.port(), &[], Duration::from_secs(5)).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot connect to {address}")), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_name_is_a_resolve_error() {
        let error = dial("nowhere.invalid", 993, &[], Duration::from_secs(20)).await.unwrap_err();
        assert!(matches!(error, DialError::Resolve { .. }), "{error}");
    }

    #[test]
    fn what_leads_to_a_listener() {
        let leads = |dialled: &str, listening: &str, here: Option<&str>| {
            leads_to(dialled.parse().unwrap(), listening.parse().unwrap(), here.map(|here| here.parse().unwrap()))
        };
        assert!(leads("192.0.2.1:993", "192.0.2.1:993", None));
        assert!(leads("[::ffff:192.0.2.1]:993", "192.0.2.1:993", None));
        assert!(leads("127.0.0.2:993", "0.0.0.0:993", None) && leads("[::1]:993", "[::]:993", None));
        assert!(leads("0.0.0.0:993", "0.0.0.0:993", None), "connecting to it is connecting to loopback");
        assert!(leads("192.0.2.1:993", "0.0.0.0:993", Some("192.0.2.1")));
        // Another port, another machine, another socket of this one.
        assert!(!leads("192.0.2.1:994", "0.0.0.0:993", Some("192.0.2.1")));
        assert!(
            !leads("192.0.2.1:993", "0.0.0.0:993", Some("192.0.2.7")) && !leads("192.0.2.1:993", "0.0.0.0:993", None)
        );
        assert!(!leads("127.0.0.2:993", "127.0.0.1:993", Some("127.0.0.1")));
        assert!(!leads("127.0.0.1:993", "[::]:993", None));
    }

    #[tokio::test]
    async fn an_address_of_our_own_is_refused() {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = [SocketAddr::from(([0, 0, 0, 0], port))];
        let error = dial("localhost", port, &own, Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, DialError::Own { .. }), "{error}");
    }
}
