//! Against rustls' buffered connections at the other end.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::*;
use crate::net::tls::{self, Pems};

/// More than any buffer between both ends holds.
const MUCH: usize = 20 << 20;

struct Ends {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Ends {
    fn speaking(version: &'static SupportedProtocolVersion) -> Self {
        let pems = tls::self_signed(&["localhost".to_owned()]).unwrap();
        Self::showing(&pems, &pems, version)
    }

    fn showing(shown: &Pems, trusted: &Pems, version: &'static SupportedProtocolVersion) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.certificate.as_bytes()).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server: tls::server_config_from_pems(shown).unwrap(), client: Arc::new(client) }
    }
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// Ours as a client, and the other one as a server.
async fn as_client(ends: &Ends) -> (Secured, TlsStream<TcpStream>) {
    let (client, server) = sockets().await;
    let theirs = TlsAcceptor::from(Arc::clone(&ends.server)).accept(server);
    let (ours, theirs) = tokio::join!(Secured::connect(client, Arc::clone(&ends.client), name()), theirs);
    (ours.unwrap(), theirs.unwrap().into())
}

/// As a server that says nothing of itself, so that the end of the handshake need not wait for it.
async fn accepted(socket: TcpStream, config: &Arc<ServerConfig>) -> io::Result<Secured> {
    let mut ours = Secured::accept(socket, Arc::clone(config)).await?;
    ours.flush().await?;
    Ok(ours)
}

/// Ours as a server, and the other one as a client.
async fn as_server(ends: &Ends) -> (Secured, TlsStream<TcpStream>) {
    let (client, server) = sockets().await;
    let theirs = TlsConnector::from(Arc::clone(&ends.client)).connect(name(), client);
    let (ours, theirs) = tokio::join!(accepted(server, &ends.server), theirs);
    (ours.unwrap(), theirs.unwrap().into())
}

async fn in_every_way(check: impl AsyncFn(Secured, TlsStream<TcpStream>)) {
    for version in [&TLS12, &TLS13] {
        let ends = Ends::speaking(version);
        let (ours, theirs) = as_client(&ends).await;
        check(ours, theirs).await;
        let (ours, theirs) = as_server(&ends).await;
        check(ours, theirs).await;
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn much_goes_both_ways_at_once_and_comes_as_it_was_sent() {
    in_every_way(async |ours, theirs| {
        let sent = pattern(MUCH);
        let (mut our_reader, mut our_writer) = tokio::io::split(ours);
        let (mut their_reader, mut their_writer) = tokio::io::split(theirs);
        let (mut at_ours, mut at_theirs) = (Vec::new(), Vec::new());
        let (sent_by_us, sent_by_them) = (&sent, &sent);
        let ways = tokio::join!(
            async move {
                our_writer.write_all(sent_by_us).await?;
                our_writer.shutdown().await
            },
            async move {
                their_writer.write_all(sent_by_them).await?;
                their_writer.shutdown().await
            },
            our_reader.read_to_end(&mut at_ours),
            their_reader.read_to_end(&mut at_theirs),
        );
        assert!(ways.0.is_ok() && ways.1.is_ok() && ways.2.is_ok(), "{ways:?}");
        ways.3.expect("it was told that no more would come");
        assert!(at_ours == sent && at_theirs == sent, "{} and {} bytes came", at_ours.len(), at_theirs.len());
    })
    .await;
}

#[tokio::test]
async fn a_connection_at_rest_holds_no_buffer() {
    in_every_way(async |mut ours, mut theirs| {
        let mut buffer = [0; 5];
        for _ in 0..3 {
            theirs.write_all(b"hello").await.unwrap();
            ours.read_exact(&mut buffer).await.unwrap();
            ours.write_all(&buffer).await.unwrap();
            theirs.read_exact(&mut buffer).await.unwrap();
            assert_eq!(&buffer, b"hello");
        }
        let held = [ours.incoming.capacity(), ours.beyond.capacity(), ours.outgoing.capacity()];
        assert_eq!(held, [0; 3]);
    })
    .await;
}

#[tokio::test]
async fn nothing_stays_in_the_buffers_of_the_thread() {
    in_every_way(async |mut ours, mut theirs| {
        theirs.write_all(b"correct horse battery staple").await.unwrap();
        let mut buffer = [0; 7];
        ours.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"correct");
        assert_eq!(&ours.beyond[ours.taken..], b" horse battery staple", "what nobody has asked for yet");
        let is_clean = INCOMING.with_borrow(|buffer| buffer.iter().all(|byte| *byte == 0));
        assert!(is_clean, "what was decrypted stays where it was received");
    })
    .await;
}

#[tokio::test]
async fn who_takes_nothing_is_kept_one_buffer_and_no_more() {
    in_every_way(async |mut ours, mut theirs| {
        let chunk = pattern(PLAIN_BYTES);
        let mut sent = 0;
        let wait = Duration::from_millis(200); // long enough for loopback to be full
        while let Ok(count) = tokio::time::timeout(wait, ours.write(&chunk)).await {
            sent += count.unwrap();
        }
        assert!((1..=OUTGOING_BYTES).contains(&(ours.outgoing.len() - ours.sent)), "{}", ours.outgoing.len());
        let mut received = vec![0; sent];
        let (read, flushed) = tokio::join!(theirs.read_exact(&mut received), ours.flush());
        assert!(read.is_ok() && flushed.is_ok());
        assert!(received.chunks(PLAIN_BYTES).all(|part| part == &chunk[..part.len()]), "in order and whole");
        assert_eq!(ours.outgoing.capacity(), 0);
    })
    .await;
}

#[tokio::test]
async fn records_that_come_byte_by_byte_are_put_together() {
    for version in [&TLS12, &TLS13] {
        let ends = Ends::speaking(version);
        let (near, mut far) = sockets().await;
        let (client, mut middle) = sockets().await;
        // Each byte in a packet of its own, from the client to us; whole, the other way.
        let crumbling = tokio::spawn(async move {
            far.set_nodelay(true).unwrap();
            let mut buffer = [0; 16384];
            loop {
                let mut byte = [0];
                tokio::select! {
                    read = middle.read(&mut byte) => match read {
                        Ok(1) => { far.write_all(&byte).await.unwrap(); tokio::task::yield_now().await }
                        _ => break,
                    },
                    read = far.read(&mut buffer) => match read {
                        Ok(count @ 1..) => middle.write_all(&buffer[..count]).await.unwrap(),
                        _ => break,
                    },
                }
            }
        });
        let theirs = TlsConnector::from(Arc::clone(&ends.client)).connect(name(), client);
        let (ours, theirs) = tokio::join!(accepted(near, &ends.server), theirs);
        let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
        let sent = pattern(20_000);
        theirs.write_all(&sent).await.unwrap();
        theirs.flush().await.unwrap();
        let mut received = vec![0; sent.len()];
        ours.read_exact(&mut received).await.unwrap();
        assert_eq!(received, sent);
        drop((ours, theirs));
        crumbling.await.unwrap();
    }
}

#[tokio::test]
async fn after_the_peers_goodbye_there_is_no_more_to_read_and_we_may_still_write() {
    in_every_way(async |mut ours, theirs| {
        let (mut reader, mut writer) = tokio::io::split(theirs);
        writer.write_all(b"last words").await.unwrap();
        writer.shutdown().await.unwrap();
        let mut heard = Vec::new();
        ours.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"last words");
        ours.write_all(b"and ours").await.unwrap();
        ours.shutdown().await.unwrap();
        heard.clear();
        reader.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"and ours");
    })
    .await;
}

#[tokio::test]
async fn a_goodbye_is_the_end_though_the_connection_stays() {
    in_every_way(async |mut ours, mut theirs| {
        theirs.write_all(b"bye").await.unwrap();
        theirs.flush().await.unwrap();
        let mut read = [0; 16];
        assert_eq!(ours.read(&mut read).await.unwrap(), 3);
        match &mut theirs {
            TlsStream::Client(stream) => stream.get_mut().1.send_close_notify(),
            TlsStream::Server(stream) => stream.get_mut().1.send_close_notify(),
        }
        theirs.flush().await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(10), ours.read(&mut read)).await;
        assert_eq!(end.expect("it has been told").unwrap(), 0);
    })
    .await;
}

/// What the end of a handshake and our first words are in, as the client receives them.
#[tokio::test]
async fn the_ticket_goes_with_the_greeting_or_before_we_wait() {
    for greets in [true, false] {
        let ends = Ends::speaking(&TLS13);
        let (client, server) = sockets().await;
        let theirs = TlsConnector::from(Arc::clone(&ends.client)).connect(name(), client);
        let (ours, theirs) = tokio::join!(Secured::accept(server, Arc::clone(&ends.server)), theirs);
        let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
        assert!(!ours.outgoing.is_empty(), "the tickets");
        let mut read = [0; 16];
        if greets {
            ours.write_all(b"hello").await.unwrap();
            assert_eq!(theirs.read(&mut read).await.unwrap(), 5);
        } else {
            assert!(ours.read(&mut read).now_or_never().is_none(), "nothing was said");
        }
        assert!(ours.outgoing.is_empty());
    }
}

#[tokio::test]
async fn who_closes_without_a_goodbye_is_at_its_end() {
    in_every_way(async |mut ours, theirs| {
        let (mut socket, _) = match theirs {
            TlsStream::Client(stream) => {
                let (socket, _) = stream.into_inner();
                (socket, ())
            }
            TlsStream::Server(stream) => {
                let (socket, _) = stream.into_inner();
                (socket, ())
            }
        };
        socket.shutdown().await.unwrap();
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_was_changed_on_its_way_is_refused_and_the_peer_is_told() {
    in_every_way(async |mut ours, theirs| {
        let mut socket = match theirs {
            TlsStream::Client(stream) => stream.into_inner().0,
            TlsStream::Server(stream) => stream.into_inner().0,
        };
        // A record of application data that nobody with the keys has made.
        let mut forged = vec![23, 3, 3, 0, 64];
        forged.extend([7; 64]);
        socket.write_all(&forged).await.unwrap();
        let error = ours.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let again = ours.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::BrokenPipe, "and nothing is read any more");
        let cause = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        assert_eq!(cause, Some(&rustls::Error::DecryptError));
        drop(ours);
        let mut told = Vec::new();
        socket.read_to_end(&mut told).await.unwrap();
        assert!(told.len() > 5, "an alert: {told:?}");
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused_and_the_server_is_told() {
    let [shown, other] = [(); 2].map(|()| tls::self_signed(&["localhost".to_owned()]).unwrap());
    let ends = Ends::showing(&shown, &other, &TLS13);
    let (client, server) = sockets().await;
    let theirs = TlsAcceptor::from(Arc::clone(&ends.server)).accept(server);
    let (ours, theirs) = tokio::join!(Secured::connect(client, Arc::clone(&ends.client), name()), theirs);
    let error = ours.unwrap_err();
    assert!(error.get_ref().is_some_and(|error| error.is::<rustls::Error>()), "{error}");
    let told = theirs.map(drop).unwrap_err().to_string();
    assert!(told.contains("alert"), "{told}");
}

#[tokio::test]
async fn a_peer_that_leaves_in_the_handshake_or_speaks_something_else_is_said_so() {
    let ends = Ends::speaking(&TLS13);
    let (client, server) = sockets().await;
    drop(client);
    let error = Secured::accept(server, Arc::clone(&ends.server)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);

    let (mut client, server) = sockets().await;
    client.write_all(b"EHLO client\r\n").await.unwrap();
    let error = Secured::accept(server, Arc::clone(&ends.server)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_change_of_keys_in_the_middle_is_followed() {
    let ends = Ends::speaking(&TLS13);
    let (mut ours, theirs) = as_server(&ends).await;
    let TlsStream::Client(mut theirs) = theirs else { panic!("the other end is a client") };
    let mut buffer = [0; 5];
    for _ in 0..3 {
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        theirs.write_all(b"hello").await.unwrap();
        ours.read_exact(&mut buffer).await.unwrap();
        ours.write_all(&buffer).await.unwrap();
        theirs.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"hello");
    }
}

#[tokio::test]
async fn the_next_handshake_is_shorter() {
    for version in [&TLS12, &TLS13] {
        let ends = Ends::speaking(version);
        for expected in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
            let (mut ours, mut theirs) = as_client(&ends).await;
            assert_eq!(ours.agreed().handshake_kind(), Some(expected));
            // In TLS 1.3 the ticket comes behind the handshake.
            theirs.write_all(b"x").await.unwrap();
            ours.read_exact(&mut [0]).await.unwrap();
        }
    }
}
