//! Asks the process to read its configuration again, and waits for what comes of it. Reading and swapping are the business
//! of whoever has the other end.

use tokio::sync::{mpsc, oneshot};

/// Requests that wait at once: the second one sees what the first one does, and more are a mistake.
const WAITING_MAX: usize = 4;

/// Has the configuration, certificates and keys read again.
#[derive(Debug, Clone)]
pub struct Reload {
    requests: mpsc::Sender<ReloadRequest>,
}

/// A wish to have it read again, and where to say what came of it.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Who wishes it, for the audit.
    pub author: String,
    /// Whoever waits for it.
    pub answer: oneshot::Sender<Result<Reloaded, Vec<String>>>,
}

/// What a reload changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Reloaded {
    /// What holds from now on, one line each, without a secret: `listener imaps: certificate`, `limits.sessions-max: 4000 -> 8000`.
    pub changed: Vec<String>,
    /// What is otherwise in the file and holds from the next start on.
    pub needs_restart: Vec<String>,
}

impl Reload {
    /// The two ends.
    pub fn channel() -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (requests, receiver) = mpsc::channel(WAITING_MAX);
        (Self { requests }, receiver)
    }

    /// Has it read, without waiting for what comes of it. Where enough wait already, that will do.
    pub fn order(&self, author: &str) {
        let (answer, _) = oneshot::channel();
        let _ = self.requests.try_send(ReloadRequest { author: author.to_owned(), answer });
    }

    /// Has it read, and says what changed.
    ///
    /// # Errors
    /// All that is wrong with what is there now; nothing was changed.
    pub async fn ask(&self, author: &str) -> Result<Reloaded, Vec<String>> {
        let (answer, answered) = oneshot::channel();
        let stopped = || vec!["the process is being stopped".to_owned()];
        let request = ReloadRequest { author: author.to_owned(), answer };
        self.requests.send(request).await.map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}
