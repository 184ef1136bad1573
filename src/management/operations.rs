//! Long work that somebody asked for and does not wait for: a verification, a probe of many, an import. It goes on by itself,
//! and what came of it can be asked for until an hour after its end. It ends with the process. It must never keep a secret:
//! what is kept is what was made for people to read.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::credentials::random_id;
use super::{Fault, ManagementError};

/// Operations that are known at once. Each is a few lines of text; who asks for more than that is a program gone wrong.
const KNOWN_MAX: usize = 256;

/// Operations that run at once: each may log in at providers, and these bound themselves by mailbox alone.
const RUNNING_MAX: usize = 32;

/// For how long what came of one can be asked for.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// Lines that one tells of its progress; what came before is forgotten.
const LINES_MAX: usize = 100;

/// Has work done that nobody waits for. Only the process spawns: it hands this in.
#[derive(Clone)]
pub struct Spawner(Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>);

impl Spawner {
    /// One that begins work by that function, and has it ended with the process.
    pub fn new(spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OperationKind {
    /// Logins with what is staged.
    Verify,
    /// A whole rotation.
    Run,
    /// Logins with the one before, which then becomes current again.
    RollBack,
    /// The hook deletes what is used no more.
    Retire,
    /// Logins to mailboxes.
    Probe,
    /// Many new records.
    Import,
}

impl OperationKind {
    /// What is said of it.
    fn name(self) -> &'static str {
        match self {
            Self::Verify => "a verification",
            Self::Run => "a rotation",
            Self::RollBack => "a rollback",
            Self::Retire => "a retirement",
            Self::Probe => "a probe",
            Self::Import => "an import",
        }
    }
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    /// It goes on.
    Running,
    /// It came to what was asked for.
    Done,
    /// It did not.
    Failed,
}

/// Long work that somebody asked for.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// What is being done.
    pub kind: OperationKind,
    /// To what: an account, `@` and a domain, or what is meant of many.
    pub subject: String,
    /// Who asked for it.
    pub by: String,
    /// How it is.
    pub state: OperationState,
    /// How far it has come, in lines, the latest last.
    pub progress: Vec<String>,
    /// Steps that are done, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_done: Option<usize>,
    /// Of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_total: Option<usize>,
    /// What came of it; what that is depends on the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub result: Option<serde_json::Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<OperationProblem>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OperationProblem {
    /// What kind of reason it is.
    pub fault: Fault,
    /// In words, with what to do.
    pub detail: String,
}

/// What goes on by itself, and what came of it.
#[derive(Debug, Clone)]
pub struct Operations {
    book: Arc<Mutex<VecDeque<Operation>>>,
    spawner: Spawner,
}

/// Where an operation tells how far it has come.
#[derive(Debug, Clone)]
pub struct OperationProgress {
    id: String,
    book: Arc<Mutex<VecDeque<Operation>>>,
}

impl Operations {
    /// None yet; they are begun by that spawner.
    pub fn new(spawner: Spawner) -> Self {
        Self { book: Arc::default(), spawner }
    }

    /// Begins one. Of one kind and subject there is one at a time.
    ///
    /// # Errors
    /// [`Fault::Conflict`] if it is under way already; [`Fault::Temporary`] if too many are.
    pub fn begin<W, T>(
        &self,
        kind: OperationKind,
        subject: &str,
        by: &str,
        work: impl FnOnce(OperationProgress) -> W,
    ) -> Result<Operation, ManagementError>
    where
        W: Future<Output = Result<T, ManagementError>> + Send + 'static,
        T: Serialize,
    {
        let operation = Operation {
            id: random_id()?,
            kind,
            subject: subject.to_owned(),
            by: by.to_owned(),
            state: OperationState::Running,
            progress: Vec::new(),
            steps_done: None,
            steps_total: None,
            result: None,
            problem: None,
            started: Timestamp::now(),
            ended: None,
        };
        make_room(&mut locked(&self.book), &operation)?;
        let progress = OperationProgress { id: operation.id.clone(), book: Arc::clone(&self.book) };
        let (unended, work) = (Unended(progress.clone()), work(progress));
        (self.spawner.0)(Box::pin(async move {
            let done = work.await.and_then(|result| {
                serde_json::to_value(result).map_err(|error| ManagementError::new(Fault::Broken, error.to_string()))
            });
            unended.0.end(done);
        }));
        Ok(operation)
    }

    /// The one of that id.
    pub fn find(&self, id: &str) -> Option<Operation> {
        let mut book = locked(&self.book);
        forget_old(&mut book, Timestamp::now());
        book.iter().find(|operation| operation.id == id).cloned()
    }

    /// All that are known, the latest first.
    pub fn list(&self) -> Vec<Operation> {
        let mut book = locked(&self.book);
        forget_old(&mut book, Timestamp::now());
        book.iter().rev().cloned().collect()
    }
}

impl OperationProgress {
    /// Tells something, for people.
    pub fn say(&self, line: impl Into<String>) {
        self.change(|operation| {
            operation.progress.push(line.into());
            let surplus = operation.progress.len().saturating_sub(LINES_MAX);
            operation.progress.drain(..surplus);
        });
    }

    /// So many steps are done.
    pub fn show(&self, done: usize, total: usize) {
        self.change(|operation| (operation.steps_done, operation.steps_total) = (Some(done), Some(total)));
    }

    fn change(&self, change: impl FnOnce(&mut Operation)) {
        let mut book = locked(&self.book);
        if let Some(operation) = book.iter_mut().find(|operation| operation.id == self.id) {
            change(operation);
        }
    }

    fn end(&self, done: Result<serde_json::Value, ManagementError>) {
        self.change(|operation| {
            operation.ended = Some(Timestamp::now());
            match done {
                Ok(result) => (operation.state, operation.result) = (OperationState::Done, Some(result)),
                Err(error) => {
                    operation.state = OperationState::Failed;
                    let (fault, detail) = (error.fault(), error.to_string());
                    operation.problem = Some(OperationProblem { fault, detail });
                }
            }
        });
    }
}

/// One that is dropped before its end was ended with the process, or broke.
#[derive(Debug)]
struct Unended(OperationProgress);

impl Drop for Unended {
    fn drop(&mut self) {
        let mut told = None;
        self.0.change(|operation| {
            if operation.state == OperationState::Running {
                operation.state = OperationState::Failed;
                operation.ended = Some(Timestamp::now());
                let detail =
                    "it was broken off; what it had put down by then stands: look at it, and ask again".to_owned();
                operation.problem = Some(OperationProblem { fault: Fault::Temporary, detail });
                told = Some((operation.kind.name(), operation.subject.clone(), operation.by.clone()));
            }
        });
        if let Some((what, subject, by)) = told {
            tracing::warn!(subject, by, "{what} was broken off; what it had put down by then stands: ask for it again");
        }
    }
}

fn make_room(book: &mut VecDeque<Operation>, new: &Operation) -> Result<(), ManagementError> {
    forget_old(book, new.started);
    let is_running = |operation: &&Operation| operation.state == OperationState::Running;
    let mut running = book.iter().filter(is_running);
    if let Some(other) = running.find(|other| (other.kind, &other.subject) == (new.kind, &new.subject)) {
        let Operation { id, by, started, kind, subject, .. } = other;
        return Err(ManagementError::new(
            Fault::Conflict,
            format!(
                "{by} began {} of {subject} at {started:.0}; it is the operation {id}: wait for its end",
                kind.name()
            ),
        ));
    }
    if book.iter().filter(is_running).count() >= RUNNING_MAX {
        let message = format!("{RUNNING_MAX} operations are under way, and that is the most; wait for one to end");
        return Err(ManagementError::new(Fault::Temporary, message));
    }
    while book.len() >= KNOWN_MAX {
        // There are more places than may run.
        let Some(oldest) = book.iter().position(|operation| operation.state != OperationState::Running) else { break };
        book.remove(oldest);
    }
    book.push_back(new.clone());
    Ok(())
}

fn forget_old(book: &mut VecDeque<Operation>, now: Timestamp) {
    book.retain(|operation| operation.ended.is_none_or(|ended| now < ended + KEPT_FOR));
}

/// Nothing that is done under this lock leaves it half done.
fn locked(book: &Mutex<VecDeque<Operation>>) -> MutexGuard<'_, VecDeque<Operation>> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn operations() -> Operations {
        // A test stands in for the process.
        let handle = tokio::runtime::Handle::current();
        Operations::new(Spawner::new(move |work| drop(handle.spawn(work))))
    }

    async fn ended(operations: &Operations, id: &str) -> Operation {
        for _ in 0..1_000 {
            let found = operations.find(id).unwrap();
            if found.state != OperationState::Running {
                return found;
            }
            tokio::task::yield_now().await;
        }
        panic!("it does not end")
    }

    #[tokio::test]
    async fn what_came_of_it_is_known_after_its_end() {
        let operations = operations();
        let (end, ends) = oneshot::channel::<()>();
        let begun = operations
            .begin(OperationKind::Probe, "alice@x.test", "bob", |progress| async move {
                progress.say("logging in");
                progress.show(1, 2);
                let _ = ends.await;
                Ok(vec!["imap"])
            })
            .unwrap();
        assert_eq!((begun.state, begun.result), (OperationState::Running, None));
        end.send(()).unwrap();
        let done = ended(&operations, &begun.id).await;
        assert_eq!((done.state, done.result), (OperationState::Done, Some(serde_json::json!(["imap"]))));
        assert_eq!((done.progress, done.steps_done), (vec!["logging in".to_owned()], Some(1)));
        assert!(done.ended.is_some());
    }

    #[tokio::test]
    async fn of_one_kind_and_subject_there_is_one_at_a_time() {
        let operations = operations();
        let begin = |subject: &str| {
            operations.begin(OperationKind::Verify, subject, "bob", |_| std::future::pending::<Result<(), _>>())
        };
        let first = begin("alice@x.test").unwrap();
        let refused = begin("alice@x.test").unwrap_err();
        assert_eq!(refused.fault(), Fault::Conflict);
        assert!(refused.to_string().starts_with("bob began a verification of alice@x.test at "), "{refused}");
        assert!(refused.to_string().contains(&first.id));
        for number in 1..RUNNING_MAX {
            begin(&number.to_string()).unwrap();
        }
        assert_eq!(begin("one more").unwrap_err().fault(), Fault::Temporary);
    }

    #[tokio::test]
    async fn the_oldest_that_have_ended_go_first() {
        let operations = operations();
        let first = operations.begin(OperationKind::Run, "runs", "bob", |_| std::future::pending::<Result<(), _>>());
        let mut ids = Vec::new();
        for number in 0..KNOWN_MAX + 10 {
            let work = |_| async { Err::<(), _>(ManagementError::invalid("no")) };
            ids.push(operations.begin(OperationKind::Verify, &number.to_string(), "bob", work).unwrap().id);
            let found = ended(&operations, ids.last().unwrap()).await;
            assert_eq!(found.problem.unwrap().detail, "no");
        }
        assert_eq!(operations.list().len(), KNOWN_MAX);
        assert!(operations.find(&first.unwrap().id).is_some() && operations.find(&ids[0]).is_none());
        let mut book = locked(&operations.book);
        forget_old(&mut book, Timestamp::now() + KEPT_FOR + Duration::from_secs(1));
        assert_eq!(book.len(), 1, "what runs is not forgotten");
    }

    #[tokio::test]
    async fn one_that_is_broken_off_says_so() {
        let operations = Operations::new(Spawner::new(drop));
        let begun = operations.begin(OperationKind::Import, "rows", "bob", |_| async { Ok(()) }).unwrap();
        let found = operations.find(&begun.id).unwrap();
        assert_eq!(found.state, OperationState::Failed);
        assert!(found.problem.unwrap().detail.starts_with("it was broken off"));
    }
}
