//! An authority and a store in memory, and what [`Tokens`](super::Tokens) does between them.

mod ages;
mod asks;
mod failures;
mod refreshing;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::tests::RSA;
use super::super::{
    Authentication, Grant, HttpAnswer, HttpError, KeptError, OAuth2, RefreshTokens, Replaced, TokenEndpoint,
};
use super::{TokenOptions, Tokens, Wanted};
use crate::model::{Authority, Secret};

/// What was posted.
type Form = BTreeMap<String, String>;

/// What comes after so many requests before, to that form.
type Answers = dyn Fn(usize, &Form) -> Result<HttpAnswer, HttpError> + Send + Sync;

/// An authority that answers by a function of how many requests came before, and of the form.
struct Fake {
    posts: Mutex<Vec<Form>>,
    answer: Box<Answers>,
    takes: Duration,
    /// There is no answer where this is a part of the URL.
    hangs: &'static str,
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    fn new(answer: impl Fn(usize, &Form) -> Result<HttpAnswer, HttpError> + Send + Sync + 'static) -> Arc<Self> {
        Self::slow(Duration::from_millis(100), answer)
    }

    fn slow(
        takes: Duration,
        answer: impl Fn(usize, &Form) -> Result<HttpAnswer, HttpError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { posts: Mutex::default(), answer: Box::new(answer), takes, hangs: "nowhere" })
    }

    fn hanging(
        hangs: &'static str,
        answer: impl Fn(usize, &Form) -> Result<HttpAnswer, HttpError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let takes = Duration::from_millis(100);
        Arc::new(Self { posts: Mutex::default(), answer: Box::new(answer), takes, hangs })
    }

    fn count(&self) -> usize {
        self.posts.lock().unwrap().len()
    }
}

#[async_trait]
impl TokenEndpoint for Fake {
    async fn post(&self, url: &str, form: &[(&str, Secret)]) -> Result<HttpAnswer, HttpError> {
        let form: Form =
            form.iter().map(|(name, value)| ((*name).to_owned(), value.expose_text().unwrap().to_owned())).collect();
        let before = {
            let mut posts = self.posts.lock().unwrap();
            posts.push(form.clone());
            posts.len() - 1
        };
        if url.contains(self.hangs) {
            std::future::pending::<()>().await;
        }
        sleep(self.takes).await;
        (self.answer)(before, &form)
    }
}

/// A store with one refresh token in it.
#[derive(Debug, Default)]
struct Kept {
    token: Mutex<Option<Secret>>,
    is_away: AtomicBool,
    /// A write waits for [`Kept::go_on`].
    holds_writes: AtomicBool,
    go_on: Notify,
    is_writing: Notify,
}

impl Kept {
    fn of(token: &str) -> Arc<Self> {
        Arc::new(Self { token: Mutex::new(Some(Secret::new(token))), ..Self::default() })
    }

    fn now(&self) -> Option<String> {
        self.token.lock().unwrap().as_ref().map(|token| token.expose_text().unwrap().to_owned())
    }

    fn put(&self, token: Option<&str>) {
        *self.token.lock().unwrap() = token.map(Secret::new);
    }

    fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    fn reached(&self) -> Result<(), KeptError> {
        if self.is_away.load(Ordering::Relaxed) { Err(KeptError("sealed".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl RefreshTokens for Kept {
    /// What is remembered is what there is: a store that is away leaves a memory.
    async fn read(&self, _: &str, latest: bool) -> Result<Option<Secret>, KeptError> {
        if latest {
            self.reached()?;
        }
        Ok(self.token.lock().unwrap().clone())
    }

    async fn replace(&self, _: &str, old: &Secret, new: &Secret) -> Result<Replaced, KeptError> {
        self.reached()?;
        self.is_writing.notify_one();
        if self.holds_writes.load(Ordering::Relaxed) {
            self.go_on.notified().await;
        }
        let mut token = self.token.lock().unwrap();
        Ok(match &*token {
            None => Replaced::Gone,
            Some(kept) if kept == new => Replaced::Done,
            Some(kept) if kept != old => Replaced::Other(kept.clone()),
            Some(_) => {
                *token = Some(new.clone());
                Replaced::Done
            }
        })
    }
}

fn answer(status: u16, body: &str) -> HttpAnswer {
    HttpAnswer { status, retry_after: None, date: None, body: Secret::new(body) }
}

fn granted(token: &str, expires_in: u64) -> Result<HttpAnswer, HttpError> {
    let body = format!(r#"{{"token_type":"Bearer","access_token":"{token}","expires_in":{expires_in}}}"#);
    Ok(answer(200, &body))
}

fn refused(status: u16, error: &str) -> Result<HttpAnswer, HttpError> {
    Ok(answer(status, &format!(r#"{{"error":"{error}"}}"#)))
}

fn wanted(grant: Grant, id: &str) -> Wanted {
    let authentication = match grant {
        Grant::ClientCredentials => Authentication::Secret { secret: Secret::new("s3cret-canary"), expires: None },
        Grant::RefreshToken => Authentication::Public,
        Grant::ServiceAccount => Authentication::Key { key: Secret::new(RSA.key.as_str()), id: Some("k1".into()) },
    };
    let credential = OAuth2 { tenant: Some("contoso.com".into()), client_id: "app".into(), authentication, grant };
    Wanted {
        version: credential.version(id),
        kept_under: id.to_owned(),
        credential,
        authority: authority("https://login.example.com/{tenant}/token"),
        subject: "alice@contoso.com".into(),
    }
}

fn authority(token_url: &str) -> Authority {
    Authority {
        token_url: token_url.into(),
        authorize_url: None,
        device_url: None,
        application_scopes: vec!["https://mail.example.com/.default".into()],
        delegated_scopes: vec!["imap".into(), "offline_access".into()],
    }
}

fn tokens(endpoint: &Arc<Fake>, kept: &Arc<Kept>) -> Arc<Tokens> {
    Arc::new(Tokens::new(Arc::clone(endpoint) as _, Arc::clone(kept) as _, TokenOptions::default()))
}

/// Runs them until the test is over, or this is dropped.
fn run(tokens: &Arc<Tokens>) -> Running {
    let (stop, runs) = (CancellationToken::new(), Arc::clone(tokens));
    let task = tokio::spawn({
        let stop = stop.clone();
        async move { runs.run(stop).await }
    });
    Running { stop, task }
}

struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn text(token: &super::AccessToken) -> String {
    token.secret().expose_text().unwrap().to_owned()
}
