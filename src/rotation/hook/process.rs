//! Runs the program: with nothing of our environment, in a process group of its own, for a limited time, and with bounds
//! on all that it says. What it started is ended with it.

use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::answer::{secrets_in, shown};
use super::{HookError, HookOptions};
use crate::model::Secret;

/// The most that an answer may have: a secret and a label have a hundredth of it.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How much of what it says for people is kept; the rest is read and dropped, so that it does not wait for us.
pub(super) const STDERR_BYTES_MAX: usize = 16 * 1024;

/// How long the end of a program that was killed is waited for: one that the kernel holds up must not hold us up.
const END_TIME_MAX: Duration = Duration::from_secs(5);

/// How long its pipes may stay open after it has ended: what it left behind may hold them in a group of its own (the shared
/// connection of an `ssh` does), and what it said itself has been read by then.
const PIPES_TIME_MAX: Duration = Duration::from_secs(2);

/// What came of it.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Zeroizing<Vec<u8>>,
    pub(super) stderr: Zeroizing<Vec<u8>>,
}

/// The program and what it started. Ended when dropped.
struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            let _ = kill_process_group(group, Signal::KILL); // it may have ended by itself
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `secret` is what the input has of them: it is in nothing that is shown.
pub(super) async fn run(
    options: &HookOptions,
    input: &[u8],
    secret: Option<&Secret>,
    left: Duration,
) -> Result<Ended, HookError> {
    let (program, arguments) = options.command.split_first().ok_or(HookError::NotConfigured)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(options.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|error| HookError::CannotStart { program: program.clone(), cause: error.to_string() })?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());

    // Room for all there can be: a growing buffer would leave copies behind.
    let mut said = Zeroizing::new(Vec::with_capacity(STDERR_BYTES_MAX + 64));
    let mut answered = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES_MAX + 64));
    let write = async {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(input).await; // one that does not want it ends without reading
        }
        Ok(())
    };
    let answer = async {
        let is_whole = read(stdout, &mut answered, ANSWER_BYTES_MAX).await;
        if is_whole { Ok(()) } else { Err(HookError::TooLong) }
    };
    let words = async {
        read(stderr, &mut said, STDERR_BYTES_MAX).await;
        Ok(())
    };
    let work = async {
        let mut pipes = pin!(async { tokio::try_join!(write, answer, words).map(drop) });
        let (status, were_closed) = tokio::select! {
            biased;
            closed = &mut pipes => {
                closed?;
                (child.wait().await, true)
            }
            status = child.wait() => (status, false),
        };
        // At once, while the number of the group cannot mean another one: what it left behind holds our pipes.
        group.kill();
        if !were_closed && let Ok(closed) = timeout(PIPES_TIME_MAX, pipes).await {
            closed?;
        }
        // It was at work, whatever became of it.
        status.map_err(|error| HookError::Exited { how: error.to_string(), stderr: String::new() })
    };
    let worked = timeout(left, work).await;
    match worked {
        Ok(Ok(status)) => Ok(Ended { status, stdout: answered, stderr: said }),
        failed => {
            group.kill();
            let _ = timeout(END_TIME_MAX, child.wait()).await;
            Err(match failed {
                Ok(Err(error)) => error,
                _ => {
                    let stderr = shown(&said, &secrets_in(secret, &answered));
                    HookError::TimedOut { after: options.timeout, stderr }
                }
            })
        }
    }
}

/// Reads to the end and keeps so much; whether that was all. What is left over is not kept, and not read if the rest is of no
/// use.
async fn read(from: Option<impl AsyncRead + Unpin>, bytes: &mut Vec<u8>, max: usize) -> bool {
    let Some(mut from) = from else { return true };
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    let _ = (&mut from).take(limit).read_to_end(bytes).await;
    let mut rest = Zeroizing::new([0; 4096]);
    match from.read(&mut *rest).await {
        Ok(0) | Err(_) => true,
        Ok(_) if max == STDERR_BYTES_MAX => {
            while matches!(from.read(&mut *rest).await, Ok(count) if count > 0) {}
            false
        }
        Ok(_) => false,
    }
}
