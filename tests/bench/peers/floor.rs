//! A bare relay from TLS to TLS: no mail, no decision, nothing but what any program must do that stands between. It is the
//! floor for all others, with or without taking up earlier handshakes at the upstream.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use locum::net::tls::{self, Pems};
use rustls::client::Resumption;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use zeroize::Zeroizing;

use crate::cores::Side;
use crate::load::raise_descriptors;
use crate::role::{self, Role};

pub(crate) const ROLE: &str = "floor";

/// What is read at once, as in Locum.
const BUFFER_BYTES: usize = 32 * 1024;

/// Connections that wait to be accepted: a crowd comes at once.
pub(crate) const BACKLOG: i32 = 4096;

/// What it has to know.
#[derive(Serialize, Deserialize)]
struct Order {
    certificate: String,
    key: String,
    trust: PathBuf,
    resumes: bool,
    shape: Shape,
    /// Where it relays to, each from a port of its own.
    targets: Vec<u16>,
}

/// How it uses the cores.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Shape {
    /// One thread.
    Alone,
    /// A runtime with a thread for each core; what one has begun another may go on with.
    Shared,
    /// A runtime of one thread for each core, with a socket of its own: the kernel deals connections out (SO_REUSEPORT).
    Apart,
}

/// Starts one; the ports from which it relays to each of `targets`.
pub(crate) fn start(
    pems: &Pems,
    trust: PathBuf,
    (resumes, shape): (bool, Shape),
    targets: Vec<u16>,
) -> (Role, Vec<u16>) {
    let (certificate, key) = (pems.certificate.clone(), pems.key.to_string());
    let mut role = Role::start(ROLE, Side::Subject, &Order { certificate, key, trust, resumes, shape, targets });
    let ports = role.answer();
    (role, ports)
}

/// Relays until the process ends.
pub(crate) fn serve() {
    raise_descriptors();
    let Order { certificate, key, trust, resumes, shape, targets } = role::order();
    let pems = Pems { certificate, key: Zeroizing::new(key) };
    let mut server = (*tls::server_config_from_pems(&pems).unwrap()).clone();
    server.ticketer = Ticketer::new().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trust).unwrap()).unwrap();
    // As rustls has it of itself.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut client = builder.with_root_certificates(roots).with_no_client_auth();
    if !resumes {
        client.resumption = Resumption::disabled();
    }
    let (acceptor, connector) = (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (mut runtimes, reactors) = match shape {
        Shape::Alone => (runtime::Builder::new_current_thread(), 1),
        Shape::Shared => (runtime::Builder::new_multi_thread(), 1),
        Shape::Apart => (runtime::Builder::new_current_thread(), cores),
    };
    // The first one finds the ports; the others take the same.
    let mut ports = vec![0; targets.len()];
    let mut listeners = Vec::new();
    for _ in 0..reactors {
        let sockets: Vec<_> = ports.iter().map(|port| bound(*port).unwrap()).collect();
        ports = sockets.iter().map(|it| it.local_addr().unwrap().port()).collect();
        listeners.push(sockets);
    }
    role::tell(&ports);
    role::answer_each(|| ());
    let threads = listeners.into_iter().map(|sockets| {
        let (acceptor, connector, targets) = (acceptor.clone(), connector.clone(), targets.clone());
        let runtime = runtimes.enable_all().build().unwrap();
        thread::spawn(move || {
            runtime.block_on(async {
                for (socket, target) in sockets.into_iter().zip(targets) {
                    let listener = TcpListener::from_std(socket).unwrap();
                    tokio::spawn(accept(listener, acceptor.clone(), connector.clone(), target));
                }
                std::future::pending::<()>().await;
            });
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|it| it.join().unwrap());
}

/// On this machine, at that port or any.
pub(crate) fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::from_std(bound(port)?)
}

fn bound(port: u16) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, connector: TlsConnector, target: u16) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        // A client that breaks off sees it; nobody else has to.
        tokio::spawn(async move { relay(socket, acceptor, connector, target).await.ok() });
    }
}

async fn relay(socket: TcpStream, acceptor: TlsAcceptor, connector: TlsConnector, target: u16) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut downstream = acceptor.accept(socket).await?;
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").expect("it is a name");
    let mut upstream = connector.connect(name, socket).await?;
    copy_bidirectional_with_sizes(&mut downstream, &mut upstream, BUFFER_BYTES, BUFFER_BYTES).await?;
    upstream.shutdown().await
}
