//! One connection, and what it may cost: a peer that says nothing, or takes nothing, must not keep a place.

use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Peer;
use super::api::REQUEST_TIMEOUT;

/// Time for the head of a request to come, from when it may: a connection that is kept waits no longer for its next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head. Probes send a few hundred, browsers some thousand.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Time in which a connection takes requests. Who has more to ask makes another one: no balancer pins a client to a node
/// for ever, and nobody keeps a place by asking now and then.
const AGE_MAX: Duration = Duration::from_secs(5 * 60);

/// Time for what is under way then: one request, and the time to take its answer.
const LAST_TIMEOUT: Duration = Duration::from_secs(REQUEST_TIMEOUT.as_secs() + 10);

/// Answers what is asked on a connection, until it is closed, or waits for too long.
pub(super) async fn serve(router: Router, connection: impl AsyncRead + AsyncWrite + Unpin, peer: Peer) {
    let router = TowerToHyperService::new(router);
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.call(request)
    });
    let mut serving = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(connection), answer)
    );
    let done = match tokio::time::timeout(AGE_MAX, serving.as_mut()).await {
        Ok(done) => Ok(done),
        Err(_) => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(LAST_TIMEOUT, serving).await
        }
    };
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an admin connection broke"),
        Err(_) => tracing::debug!("an admin connection took too long"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    /// Far more than any answer.
    const ROOM: usize = 1 << 20;

    fn router() -> Router {
        let peer = |Extension(peer): Extension<Peer>| async move { format!("{peer:?}\n") };
        let slow = || async {
            tokio::time::sleep(REQUEST_TIMEOUT).await;
            "late\n"
        };
        Router::new().route("/peer", get(peer)).route("/slow", get(slow))
    }

    async fn served(stream: DuplexStream) {
        serve(router(), stream, Peer::Address(Ipv4Addr::LOCALHOST.into())).await;
    }

    async fn rest(mut connection: DuplexStream) -> String {
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        text
    }

    /// What is answered, and after how many seconds the connection is closed.
    async fn answer(said: &str) -> (String, u64) {
        let (mut ours, theirs) = duplex(ROOM);
        ours.write_all(said.as_bytes()).await.unwrap();
        let began = Instant::now();
        served(theirs).await;
        (rest(ours).await, began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_loses_the_place() {
        for begun in ["", "GET /peer HTTP/1.1\r\nhost: x\r\n"] {
            let (said, seconds) = answer(begun).await;
            assert_eq!(seconds, HEAD_TIMEOUT.as_secs(), "{begun:?}");
            assert!(!said.contains("HTTP/1.1 200"), "{said}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_for_the_next_request_and_no_longer() {
        let (said, seconds) = answer(&"GET /peer HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2)).await;
        assert_eq!(said.matches("HTTP/1.1 200 ").count(), 2, "{said}");
        assert!(said.contains("Address(127.0.0.1)"), "{said}");
        assert_eq!(seconds, HEAD_TIMEOUT.as_secs());
        let (said, seconds) = answer("GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(said.contains("connection: close\r\n"), "{said}");
        assert_eq!(seconds, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_answered() {
        let (said, seconds) = answer("GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(said.ends_with("late\n"), "{said}");
        assert_eq!(seconds, REQUEST_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_on_and_on_ends() {
        let (mut ours, theirs) = duplex(ROOM);
        let began = Instant::now();
        let asking = async {
            while ours.write_all(b"GET /peer HTTP/1.1\r\nhost: x\r\n\r\n").await.is_ok() {
                tokio::time::sleep(HEAD_TIMEOUT / 2).await;
            }
        };
        tokio::join!(served(theirs), asking);
        let seconds = began.elapsed().as_secs();
        assert!((AGE_MAX.as_secs()..=(AGE_MAX + LAST_TIMEOUT).as_secs()).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_the_answer_loses_the_place() {
        let (mut ours, theirs) = duplex(64);
        let began = Instant::now();
        let asking = ours.write_all(b"GET /peer HTTP/1.1\r\nhost: x\r\n\r\nGET /peer HTTP/1.1\r\nhost: x\r\n\r\n");
        let ((), asked) = tokio::join!(served(theirs), asking);
        asked.unwrap();
        assert_eq!(began.elapsed().as_secs(), (AGE_MAX + LAST_TIMEOUT).as_secs());
    }

    #[tokio::test]
    async fn a_head_without_end_is_cut_off() {
        let (said, _) = answer(&format!("GET /peer HTTP/1.1\r\nx: {}", "y".repeat(2 * HEAD_BYTES_MAX))).await;
        assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    }
}
