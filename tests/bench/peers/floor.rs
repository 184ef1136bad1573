//! A bare relay from TLS to TLS: no mail, no decision, nothing but what any program must do that stands between. It is the
//! floor for all others, with or without taking up earlier handshakes at the upstream.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use locum::net::tls::{self, Pems};
use rustls::client::Resumption;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
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
pub(crate) const BACKLOG: u32 = 4096;

/// What it has to know.
#[derive(Serialize, Deserialize)]
struct Order {
    certificate: String,
    key: String,
    trust: PathBuf,
    resumes: bool,
    /// Where it relays to, each from a port of its own.
    targets: Vec<u16>,
}

/// Starts one; the ports from which it relays to each of `targets`.
pub(crate) fn start(pems: &Pems, trust: PathBuf, resumes: bool, targets: Vec<u16>) -> (Role, Vec<u16>) {
    let (certificate, key) = (pems.certificate.clone(), pems.key.to_string());
    let mut role = Role::start(ROLE, Side::Subject, &Order { certificate, key, trust, resumes, targets });
    let ports = role.answer();
    (role, ports)
}

/// Relays until the process ends.
pub(crate) fn serve() {
    raise_descriptors();
    let Order { certificate, key, trust, resumes, targets } = role::order();
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
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut ports = Vec::new();
        for target in targets {
            let listener = listen(0).unwrap();
            ports.push(listener.local_addr().unwrap().port());
            tokio::spawn(accept(listener, acceptor.clone(), connector.clone(), target));
        }
        role::tell(&ports);
        role::answer_each(|| ());
        std::future::pending::<()>().await;
    });
}

/// On this machine, at that port or any.
pub(crate) fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(BACKLOG)
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
