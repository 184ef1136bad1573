//! async-imap, the Rust IMAP client, on tokio and rustls.

use std::fmt::Debug;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use async_imap::extensions::idle::IdleResponse;
use async_imap::{Client, Session};
use futures::TryStreamExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::endpoint::{Endpoint, Tls};

/// The whole scenario may take this long.
const TIME_MAX: Duration = Duration::from_secs(30);

pub(super) trait Wire: AsyncRead + AsyncWrite + Debug + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Wire for T {}

/// What the client saw.
pub(crate) struct View {
    pub(crate) folders: Vec<String>,
    /// Content of the folder's messages in order of UID.
    pub(crate) messages: Vec<Vec<u8>>,
    /// The message that arrived during IDLE.
    pub(crate) arrived: Vec<u8>,
}

/// Lists folders, reads all of `folder`, appends `message` to it as `\Seen`, marks the first message `\Deleted` and
/// expunges it, then waits in IDLE until the message arrives that `deliver` brings in, and reads that.
pub(crate) fn read_append_idle(endpoint: &Endpoint, folder: &str, message: &[u8], deliver: impl FnOnce()) -> View {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scenario = async {
        let mut session = log_in(endpoint).await;
        let mut names = session.list(None, Some("*")).await.unwrap();
        let mut folders = Vec::new();
        while let Some(name) = names.try_next().await.unwrap() {
            folders.push(name.name().to_owned());
        }
        drop(names);
        session.select(folder).await.unwrap();
        let messages = read(&mut session, "1:*").await;
        session.append(folder, Some("(\\Seen)"), None, message).await.unwrap();
        session.store("1", "+FLAGS.SILENT (\\Deleted)").await.unwrap().try_collect::<Vec<_>>().await.unwrap();
        session.expunge().await.unwrap().try_collect::<Vec<_>>().await.unwrap();
        let (mut session, sequence) = idle(session, deliver).await;
        let arrived = read(&mut session, &sequence.to_string()).await.pop().unwrap();
        session.logout().await.unwrap();
        View { folders, messages, arrived }
    };
    runtime.block_on(async { timeout(TIME_MAX, scenario).await }).unwrap_or_else(|_| panic!("{endpoint}: timed out"))
}

/// Waits for an EXISTS that `deliver` causes, and returns its number.
async fn idle(session: Session<Box<dyn Wire>>, deliver: impl FnOnce()) -> (Session<Box<dyn Wire>>, u32) {
    let mut idle = session.idle();
    idle.init().await.unwrap();
    deliver();
    loop {
        let (news, _stop) = idle.wait();
        let IdleResponse::NewData(news) = news.await.unwrap() else { panic!("IDLE ended by itself") };
        if let imap_proto::Response::MailboxData(imap_proto::MailboxDatum::Exists(number)) = news.parsed() {
            let number = *number;
            return (idle.done().await.unwrap(), number);
        }
    }
}

async fn read(session: &mut Session<Box<dyn Wire>>, sequence: &str) -> Vec<Vec<u8>> {
    let fetched = session.fetch(sequence, "(UID BODY.PEEK[])").await.unwrap();
    let mut found: Vec<_> =
        fetched.map_ok(|one| (one.uid, one.body().unwrap().to_vec())).try_collect::<Vec<_>>().await.unwrap();
    found.sort();
    found.into_iter().map(|(_, content)| content).collect()
}

pub(super) async fn log_in(endpoint: &Endpoint) -> Session<Box<dyn Wire>> {
    let socket = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await.unwrap();
    let wire: Box<dyn Wire> = match endpoint.tls {
        Tls::Implicit => Box::new(shake_hands(endpoint, socket).await),
        Tls::Starttls => {
            let mut client = Client::new(socket);
            client.read_response().await.unwrap().expect("a greeting comes first");
            client.run_command_and_check_ok("STARTTLS", None).await.unwrap();
            // After STARTTLS there is no second greeting, so the session is made without reading one.
            Box::new(shake_hands(endpoint, client.into_inner()).await)
        }
        Tls::Plain => Box::new(socket),
    };
    let mut client = Client::new(wire);
    if endpoint.tls != Tls::Starttls {
        client.read_response().await.unwrap().expect("a greeting comes first");
    }
    client.login(&endpoint.user, &endpoint.password).await.map_err(|(error, _)| error).unwrap()
}

async fn shake_hands(endpoint: &Endpoint, socket: TcpStream) -> impl Wire + 'static {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&fs::read(&endpoint.authority).unwrap()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(endpoint.host.clone()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap()
}
