//! The sockets that the process listens on.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::explain;
use crate::net;

/// Listens on each address, or notes why not.
pub(super) fn bind_each(name: &str, addresses: &[SocketAddr], problems: &mut Vec<String>) -> Vec<TcpListener> {
    let mut sockets = Vec::new();
    for &address in addresses {
        match net::bind(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) => problems.push(format!("{name}: {}", explain(&error))),
        }
    }
    sockets
}
