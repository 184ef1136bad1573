//! Notices that a client hangs up while it waits for its answer: what it waits for is then for others. It must never lose a
//! byte that the client sent meanwhile, nor read more of them than its buffer holds.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::sync::CancellationToken;

/// Does that, and reads what the client says meanwhile into `buffer`; with what was done, how many bytes that are. `gone` is
/// cancelled if the connection breaks, or if the client closes its side and has said nothing behind its login (`said_more`)
/// that it could still want to be done: after `grace`, for a script may close its side and yet wait for the answer.
pub(super) async fn meanwhile<T>(
    client: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    (said_more, grace): (bool, Duration),
    gone: &CancellationToken,
    work: impl Future<Output = T>,
) -> (T, usize) {
    let mut held = 0;
    let listening = async {
        while held < buffer.len() {
            match client.read(&mut buffer[held..]).await {
                Ok(0) if held == 0 && !said_more => {
                    tokio::time::sleep(grace).await;
                    gone.cancel();
                    break;
                }
                Ok(0) => break,
                Ok(count) => held += count,
                Err(_) => {
                    gone.cancel();
                    break;
                }
            }
        }
        pending::<Infallible>().await
    };
    let done = tokio::select! {
        biased;
        done = work => done,
        never = listening => match never {},
    };
    (done, held)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);
    const LONG: Duration = Duration::from_secs(240);

    /// What waits, as long as the client does.
    async fn wait(gone: &CancellationToken) -> &'static str {
        tokio::select! {
            () = gone.cancelled() => "gone",
            () = tokio::time::sleep(LONG) => "had its turn",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_hangs_up_is_noticed_after_the_grace() {
        let (client, mut stream) = duplex(64);
        drop(client);
        let (gone, began) = (CancellationToken::new(), tokio::time::Instant::now());
        let done = meanwhile(&mut stream, &mut [0; 8], (false, GRACE), &gone, wait(&gone)).await;
        assert_eq!((done, began.elapsed()), (("gone", 0), GRACE));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_said_more_is_waited_for() {
        for (says, said_more) in [(&b"a2 LOGOUT\r\n"[..], false), (b"", true)] {
            let (mut client, mut stream) = duplex(64);
            client.write_all(says).await.unwrap();
            drop(client);
            let (gone, mut buffer) = (CancellationToken::new(), [0; 32]);
            let (done, held) = meanwhile(&mut stream, &mut buffer, (said_more, GRACE), &gone, wait(&gone)).await;
            assert_eq!((done, &buffer[..held]), ("had its turn", says));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_read_than_there_is_room_for() {
        let (mut client, mut stream) = duplex(64);
        client.write_all(b"0123456789").await.unwrap();
        let (gone, mut buffer) = (CancellationToken::new(), [0; 4]);
        let (_, held) = meanwhile(&mut stream, &mut buffer, (false, GRACE), &gone, wait(&gone)).await;
        assert_eq!((held, &buffer), (4, b"0123"));
        let mut rest = [0; 6];
        stream.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"456789", "in order, and none is lost");
    }
}
