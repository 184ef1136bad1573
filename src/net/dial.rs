//! Connections to upstreams. The name is resolved anew at each dial: providers move their front ends all the time.

use std::io;
use std::net::SocketAddr;
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

/// Connects to the first address of `host` that answers, all within `limit`. Each address gets an equal share of the
/// time that is left, so that one dead address (often IPv6) does not use it all up.
///
/// # Errors
/// See [`DialError`].
pub async fn dial(host: &str, port: u16, limit: Duration) -> Result<TcpStream, DialError> {
    let deadline = Instant::now() + limit;
    let timed_out = || DialError::TimedOut { host: host.to_owned(), port, limit };
    let resolve_error = |source| DialError::Resolve { host: host.to_owned(), source };

    let addresses: Vec<SocketAddr> = timeout_at(deadline, lookup_host((host, port)))
        .await
        .map_err(|_| timed_out())?
        .map_err(resolve_error)?
        .collect();

    let mut failure = resolve_error(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for (index, &address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + left / others, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
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
        let error = dial("127.0.0.1", address.port(), Duration::from_secs(5)).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot connect to {address}")), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_name_is_a_resolve_error() {
        let error = dial("nowhere.invalid", 993, Duration::from_secs(20)).await.unwrap_err();
        assert!(matches!(error, DialError::Resolve { .. }), "{error}");
    }
}
