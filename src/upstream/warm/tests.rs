//! What is kept, for how long, and for whom: by a clock that stands still, with connections that nothing is said on.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use rustls::{ClientConfig, RootCertStore};
use tokio::time::advance;

use super::*;
use crate::model::presets;
use crate::proto::{self, ClientLimits, ClientOptions};
use crate::upstream::Options;

const NAME: &str = "own";

fn endpoint() -> Endpoint {
    let profile = presets::preset("fastmail").unwrap();
    Endpoint { warm_max: 2, ..profile.endpoints[&Protocol::Pop3].clone() }
}

fn means() -> Arc<Means> {
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Arc::new(Means { options: Options::default(), tls: Arc::new(tls) })
}

/// A provider's connections, and what it was dialled by.
struct Provider {
    listener: TcpListener,
    endpoint: Endpoint,
    means: Arc<Means>,
}

impl Provider {
    fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap(), endpoint: endpoint(), means: means() }
    }

    /// One that waits, and the provider's end of it.
    fn kept(&self) -> (Kept, TcpStream) {
        let socket = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = tokio::net::TcpStream::from_std(socket).unwrap();
        let options = ClientOptions { starttls: false, name: "x.test".to_owned(), limits: ClientLimits::default() };
        let mut dialogue = proto::client(Protocol::Pop3, Goal::Wait, options);
        dialogue.receive(b"+OK\r\n+OK\r\nUSER\r\n.\r\n");
        assert!(matches!(dialogue.next_action(), ClientAction::Send(_)));
        assert!(matches!(dialogue.next_action(), ClientAction::Ready(_)));
        (Kept::new(Stream::Plain(socket), dialogue), self.listener.accept().unwrap().0)
    }

    fn log_in(&self, warm: &Warm) -> Option<Kept> {
        warm.take(NAME, Protocol::Pop3, &self.endpoint, &self.means)
    }
}

#[tokio::test(start_paused = true)]
async fn one_is_wanted_for_four_logins_and_no_more_than_there_may_be() {
    let (warm, provider) = (Warm::default(), Provider::new());
    let mut wanted = Vec::new();
    for _ in 0..20 {
        assert!(provider.log_in(&warm).is_none());
        wanted.extend(warm.wanted());
    }
    assert_eq!(wanted.len(), 2, "they are coming, and none is asked for twice");

    let slowly = Warm::default();
    for _ in 0..20 {
        assert!(provider.log_in(&slowly).is_none());
        assert!(slowly.wanted().is_empty());
        advance(KEPT_FOR / 3 + Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_is_used_first_and_another_one_is_made_for_it() {
    let (warm, provider) = (Warm::default(), Provider::new());
    (0..8).for_each(|_| drop(provider.log_in(&warm)));
    let mut others = Vec::new();
    for wanted in warm.wanted() {
        let (kept, other) = provider.kept();
        assert!(warm.put(&wanted, Some(kept)).is_none());
        others.push(other);
        advance(Duration::from_secs(1)).await;
    }
    let taken = provider.log_in(&warm).unwrap();
    assert_eq!(taken.stream.socket().local_addr().unwrap(), others[0].peer_addr().unwrap());
    assert_eq!(warm.wanted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn none_is_used_that_is_old_or_was_spoken_on_or_hung_up() {
    let provider = Provider::new();
    let (good, _other) = provider.kept();
    assert!(provider.log_in(&holding(&provider, good)).is_some());

    let (old, _other) = provider.kept();
    let warm = holding(&provider, old);
    advance(KEPT_FOR).await;
    assert!(provider.log_in(&warm).is_none());

    let (told, mut other) = provider.kept();
    other.write_all(b"-ERR going down\r\n").unwrap();
    told.stream.socket().readable().await.unwrap();
    assert!(provider.log_in(&holding(&provider, told)).is_none());

    let (left, other) = provider.kept();
    drop(other);
    left.stream.socket().readable().await.unwrap();
    let warm = holding(&provider, left);
    assert_eq!(warm.sweep().len(), 1);
    assert!(provider.log_in(&warm).is_none());
}

/// With that one, which is the only one.
fn holding(provider: &Provider, kept: Kept) -> Warm {
    let warm = Warm::default();
    (0..4).for_each(|_| drop(provider.log_in(&warm)));
    assert!(warm.put(&warm.wanted()[0], Some(kept)).is_none());
    warm
}

#[tokio::test(start_paused = true)]
async fn none_is_used_for_another_place_or_by_other_means() {
    let (warm, mut provider) = (Warm::default(), Provider::new());
    let changes: [fn(&mut Provider); 2] = [|it| it.endpoint.port += 1, |it| it.means = means()];
    for change in changes {
        (0..4).for_each(|_| drop(provider.log_in(&warm)));
        let wanted = warm.wanted();
        let (kept, _other) = provider.kept();
        assert!(warm.put(&wanted[0], Some(kept)).is_none());
        change(&mut provider);
        assert!(provider.log_in(&warm).is_none());
        // One that is done only now is not wanted, either.
        assert!(warm.put(&wanted[0], Some(provider.kept().0)).is_some());
        assert!(provider.log_in(&warm).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn where_one_cannot_be_made_none_is_for_a_while() {
    let (warm, provider) = (Warm::default(), Provider::new());
    (0..4).for_each(|_| drop(provider.log_in(&warm)));
    let wanted = warm.wanted();
    assert!(warm.put(&wanted[0], None).is_none());
    (0..8).for_each(|_| drop(provider.log_in(&warm)));
    assert!(warm.wanted().is_empty());
    advance(KEPT_FOR).await;
    (0..4).for_each(|_| drop(provider.log_in(&warm)));
    assert_eq!(warm.wanted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_logs_in_any_more_nothing_is_left_and_goodbye_is_said() {
    let (warm, provider) = (Warm::default(), Provider::new());
    (0..4).for_each(|_| drop(provider.log_in(&warm)));
    let wanted = warm.wanted();
    let (kept, mut other) = provider.kept();
    assert!(warm.put(&wanted[0], Some(kept)).is_none());
    advance(KEPT_FOR).await;
    let swept = warm.sweep();
    assert_eq!(swept.len(), 1);
    assert!(warm.with(|shelves| shelves.is_empty()));
    for kept in swept {
        kept.leave().await;
    }
    let mut said = String::new();
    std::io::Read::read_to_string(&mut other, &mut said).unwrap();
    assert_eq!(said, "QUIT\r\n");
}
