//! Connections to upstreams. It must never wait for an address that does not answer while there is another one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::listener::tune;
use super::names::{Found, Names};

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

/// Until another address is tried beside those that have not answered (RFC 8305, section 5).
const ATTEMPTS_APART: Duration = Duration::from_millis(250);

/// Connects to the address of `host` that answers first, all within `limit`. One after the other is begun with, the two families
/// by turns, and none waits for long for those before it (Happy Eyeballs, RFC 8305): a dead address, often of IPv6, costs a quarter of a
/// second. What leads to one of `own`, where this process listens, is not connected to: a login would go round until nothing is
/// left.
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
    let dialled = timeout(limit, race(names, (host, port), own)).await;
    let dialled = dialled.unwrap_or_else(|_| Err(DialError::TimedOut { host: host.to_owned(), port, limit }));
    if dialled.is_err() {
        names.doubt(host, port);
    }
    dialled
}

async fn race(names: &Names, (host, port): (&str, u16), own: &[SocketAddr]) -> Result<TcpStream, DialError> {
    let Found { known, mut flight } = names.find(host, port);
    let mut may_be_old = flight.is_none();
    let mut addresses = by_turns(known.as_deref().unwrap_or_default());
    let mut begun = 0;
    let mut attempts = FuturesUnordered::new();
    let mut next_at = Instant::now();
    let mut failure = None;
    loop {
        if begun < addresses.len() && (attempts.is_empty() || Instant::now() >= next_at) {
            attempts.push(connect(addresses[begun], host, own));
            (begun, next_at) = (begun + 1, Instant::now() + ATTEMPTS_APART);
        }
        if attempts.is_empty() && flight.is_none() && std::mem::take(&mut may_be_old) {
            // It may have moved a moment ago.
            names.doubt(host, port);
            flight = names.find(host, port).flight;
        }
        if attempts.is_empty() && flight.is_none() {
            return Err(failure.unwrap_or_else(|| {
                let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                DialError::Resolve { host: host.to_owned(), source }
            }));
        }
        let (is_looked_up, looked_up) = (flight.is_some(), OptionFuture::from(flight.as_mut()));
        tokio::select! {
            biased;
            Some(attempted) = attempts.next(), if !attempts.is_empty() => match attempted {
                Err(error @ DialError::Own { .. }) => return Err(error),
                Err(error) => {
                    failure = Some(error);
                    next_at = Instant::now();
                }
                Ok(stream) => return Ok(stream),
            },
            Some(looked_up) = looked_up, if is_looked_up => {
                flight = None;
                match looked_up {
                    Ok(found) => {
                        let new = by_turns(&found);
                        addresses.extend(new.into_iter().filter(|address| !addresses.contains(address)).collect::<Vec<_>>());
                    }
                    Err((kind, text)) => {
                        let source = io::Error::new(kind, &*text);
                        failure.get_or_insert(DialError::Resolve { host: host.to_owned(), source });
                    }
                }
            },
            () = sleep_until(next_at), if begun < addresses.len() => {}
        }
    }
}

/// The addresses in the order in which they were found, but one of each family after the other (RFC 8305, section 4).
fn by_turns(found: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first_kind = |address: &&SocketAddr| found.first().is_some_and(|first| first.is_ipv4() == address.is_ipv4());
    let (mut first, mut second) = (found.iter().filter(is_first_kind), found.iter().filter(|it| !is_first_kind(it)));
    let mut ordered = Vec::with_capacity(found.len());
    while ordered.len() < found.len() {
        ordered.extend(first.next());
        ordered.extend(second.next());
    }
    ordered
}

async fn connect(address: SocketAddr, host: &str, own: &[SocketAddr]) -> Result<TcpStream, DialError> {
    let is_own = |here| own.iter().any(|&listening| leads_to(address, listening, here));
    let refuse = || DialError::Own { host: host.to_owned(), address };
    if is_own(None) {
        return Err(refuse());
    }
    let stream = TcpStream::connect(address).await.map_err(|source| DialError::Connect { address, source })?;
    if is_own(stream.local_addr().ok().map(|here| here.ip())) {
        return Err(refuse());
    }
    tune(&stream);
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::Mutex;

    use futures_util::FutureExt;
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    const NAME: (&str, u16) = ("mail.test", 993);

    #[tokio::test]
    async fn a_closed_port_is_named() {
        let address = refusing();
        let error =
            dial(&Names::default(), "127.0.0.1", address.port(), &[], Duration::from_secs(5)).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot connect to {address}")), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_name_is_a_resolve_error() {
        let error = dial(&Names::default(), "nowhere.invalid", 993, &[], Duration::from_secs(20)).await.unwrap_err();
        assert!(matches!(error, DialError::Resolve { .. }), "{error}");
    }

    /// Names of which a resolver said so, and then that.
    async fn names(first: &[SocketAddr], then: &[SocketAddr]) -> Names {
        let answers = Mutex::new(vec![then.to_vec(), first.to_vec()]);
        let names = Names::asking(move |_, _| {
            let mut answers = answers.lock().unwrap();
            let answer = if answers.len() > 1 { answers.pop() } else { answers.first().cloned() };
            ready(Ok(answer.into_iter().flatten().collect())).boxed()
        });
        names.find(NAME.0, NAME.1).flight.unwrap().await.unwrap();
        names
    }

    /// An address where nobody listens.
    fn refusing() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    /// An address that does not answer, for as long as what else is returned is there: its queue is full.
    async fn silent() -> (SocketAddr, impl Sized) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(connected) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            held.push(connected.unwrap());
        }
        (address, (listener, held))
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_keeps_nobody_from_the_next() {
        let (silent, _held) = silent().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let began = Instant::now();
        let stream = race(&names(&[silent, there], &[]).await, NAME, &[]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
        assert!(began.elapsed() >= ATTEMPTS_APART, "the first one had its time");
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_passed_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let stream = race(&names(&[refusing(), there], &[]).await, NAME, &[]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
    }

    #[tokio::test]
    async fn where_what_was_known_leads_nowhere_the_new_answer_is_tried() {
        let refusing = refusing();
        let (silent, _held) = silent().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let moved = race(&names(&[refusing], &[refusing, there]).await, NAME, &[]).await;
        assert_eq!(moved.unwrap().peer_addr().unwrap(), there, "it had moved since");
        let old = names(&[silent], &[there]).await;
        old.doubt(NAME.0, NAME.1);
        assert_eq!(race(&old, NAME, &[]).await.unwrap().peer_addr().unwrap(), there, "and joins the race");
        let error = race(&names(&[refusing], &[refusing]).await, NAME, &[]).await.unwrap_err();
        assert!(matches!(error, DialError::Connect { .. }), "{error}");
    }

    #[test]
    fn the_families_take_turns() {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let found = parse(&["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1", "192.0.2.1:1", "192.0.2.2:1"]);
        let wanted = parse(&["[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1", "192.0.2.2:1", "[2001:db8::3]:1"]);
        assert_eq!(by_turns(&found), wanted);
        assert!(by_turns(&[]).is_empty());
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
