//! Connections to upstreams. The name is resolved anew at each dial: providers move their front ends all the time.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
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

/// The names that are being resolved now: one look-up for all who want the same at the same time. The system's resolver
/// holds a thread until it gives up, half a minute where no name server answers, and the process has 512 of these for all
/// work that blocks: a crowd at one such name must not take them all.
#[derive(Debug, Default)]
pub struct Names {
    /// By host and port. An entry is as old as the oldest login that waits for it; as many as profiles at the most.
    #[expect(clippy::type_complexity, reason = "it is what the library calls a future that several await")]
    flights: Mutex<HashMap<(String, u16), WeakShared<BoxFuture<'static, Looked>>>>,
}

/// What a look-up found, for several.
#[derive(Debug, Clone)]
struct Looked(Result<Arc<[SocketAddr]>, (io::ErrorKind, Arc<str>)>);

impl Names {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Arc<[SocketAddr]>> {
        let flight = self.flight(host, port, |host| {
            async move { lookup_host((host.as_str(), port)).await.map(Iterator::collect) }.boxed()
        });
        flight.await.0.map_err(|(kind, text)| io::Error::new(kind, &*text))
    }

    /// The look-up that is under way, or a new one. One that is over is never used again.
    fn flight(
        &self,
        host: &str,
        port: u16,
        look: impl FnOnce(String) -> BoxFuture<'static, io::Result<Arc<[SocketAddr]>>>,
    ) -> Shared<BoxFuture<'static, Looked>> {
        let mut flights = self.flights.lock().expect("nothing panics while it holds this lock");
        flights.retain(|_, flight| flight.upgrade().is_some_and(|flight| flight.peek().is_none()));
        let name = (host.to_owned(), port);
        if let Some(flight) = flights.get(&name).and_then(WeakShared::upgrade) {
            return flight;
        }
        let looking = look(host.to_owned());
        let shareable = |error: io::Error| (error.kind(), error.to_string().into());
        let flight = async move { Looked(looking.await.map_err(shareable)) }.boxed().shared();
        flights.extend(flight.downgrade().map(|flight| (name, flight)));
        flight
    }
}

/// Connects to the first address of `host` that answers, all within `limit`. Each address gets an equal share of the
/// time that is left, so that one dead address (often IPv6) does not use it all up. What leads to one of `own`, where this process
/// listens, is not connected to: a login would go round until nothing is left.
///
/// # Errors
/// See [`DialError`].
pub async fn dial(
    names: &Names,
    host: &str,
    port: u16,
    own: &[SocketAddr],
    limit: Duration,
) -> Result<TcpStream, DialError> {
    let deadline = Instant::now() + limit;
    let timed_out = || DialError::TimedOut { host: host.to_owned(), port, limit };
    let resolve_error = |source| DialError::Resolve { host: host.to_owned(), source };

    let resolving = timeout_at(deadline, names.resolve(host, port)).await;
    let addresses = resolving.map_err(|_| timed_out())?.map_err(resolve_error)?;

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
    async fn a_crowd_at_one_name_is_one_look_up() {
        let (names, looks, answer) = (Names::default(), Arc::new(Mutex::new(0)), Arc::new(tokio::sync::Notify::new()));
        let come = |host: &str| {
            let (looks, answer) = (Arc::clone(&looks), Arc::clone(&answer));
            names.flight(host, 993, |_| {
                *looks.lock().unwrap() += 1;
                async move {
                    answer.notified().await;
                    Ok(Arc::from([SocketAddr::from(([192, 0, 2, 1], 993))]))
                }
                .boxed()
            })
        };
        let mut crowd: Vec<_> = (0..1000).map(|_| come("silent.test")).collect();
        let other = come("other.test");
        assert_eq!(*looks.lock().unwrap(), 2, "one for each name");
        crowd.drain(..900); // these have waited for long enough, and the others wait on
        assert!(crowd[0].clone().now_or_never().is_none());
        answer.notify_one();
        for one in crowd {
            assert_eq!(one.await.0.unwrap().len(), 1);
        }
        drop(come("silent.test"));
        assert_eq!(*looks.lock().unwrap(), 3, "what was found is not used again");
        drop(other);
        drop(come("other.test"));
        assert_eq!(*looks.lock().unwrap(), 4, "nobody waited for the other any more");
    }

    #[tokio::test]
    async fn a_closed_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error =
            dial(&Names::default(), "127.0.0.1", address.port(), &[], Duration::from_secs(5)).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot connect to {address}")), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_name_is_a_resolve_error() {
        let error = dial(&Names::default(), "nowhere.invalid", 993, &[], Duration::from_secs(20)).await.unwrap_err();
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
        let error = dial(&Names::default(), "localhost", port, &own, Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, DialError::Own { .. }), "{error}");
    }
}
