//! A program of the site's own that makes, sets or deletes credentials at the provider, where the site has a way and Locum
//! has none. It is asked by one JSON object on its standard input and answers by one on its standard output. No secret may
//! reach its arguments or environment, nor what it says an error text as it came.

mod answer;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub mod fuzzing;
mod process;

use std::ffi::OsString;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::credential::CredentialError;
use crate::model::secret;
use crate::model::{CredentialKind, Secret};

pub(super) use answer::Made;

/// Of the request and of the answer. Whoever changes what they mean counts on.
const VERSION: u32 = 1;

/// More than a request has: names and a label, of some hundred characters each, and a secret of ours.
const REQUEST_BYTES: usize = 8 * 1024;

/// What the program can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// To make one more credential beside those that exist, and hand it over.
    Make,
    /// To put the one that Locum made in the place of the only one that the provider has.
    Set,
    /// To delete one that is used no more.
    Revoke,
}

impl Action {
    /// The name used in the configuration and in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Make => "make",
            Self::Set => "set",
            Self::Revoke => "revoke",
        }
    }
}

/// The program, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookOptions {
    /// Its path and its arguments. No shell reads them.
    pub command: Vec<String>,
    /// How long it may take. It is ended then, with all that it has started.
    pub timeout: Duration,
    /// What it can be asked for.
    pub actions: Vec<Action>,
    /// The environment it runs in, whole.
    pub environment: Vec<(String, OsString)>,
}

impl HookOptions {
    /// By which action a new credential comes about, if by any.
    pub fn way(&self) -> Option<Action> {
        [Action::Make, Action::Set].into_iter().find(|action| self.actions.contains(action))
    }

    /// How long nobody else is let to the same work: a program whose parent died has ended by then, if it keeps its
    /// deadline.
    pub(super) fn claim(&self) -> Duration {
        self.timeout * 2
    }
}

/// Why the program did not do what it was asked for. `Display` says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// There is none.
    #[error("there is no hook: name its command in [rotation.hook]")]
    NotConfigured,
    /// It is for something else.
    #[error("the hook is not for this: if it can, put {0} into actions in [rotation.hook]")]
    NotMeant(&'static str),
    /// It is not for such a credential.
    #[error("a hook is for app passwords of accounts alone")]
    WrongKind,
    /// It does not start.
    #[error("the hook {program} does not start: {cause}")]
    CannotStart {
        /// Its path.
        program: String,
        /// Why.
        cause: String,
    },
    /// The store took so long that the time for the program is over.
    #[error("the store took so long that no time was left for the hook; run it again")]
    Late,
    /// It took too long.
    #[error("the hook gave no answer within {} and was ended: see what holds it up, or raise timeout in [rotation.hook]{}", seconds(*.after), said(.stderr))]
    TimedOut {
        /// How long it had.
        after: Duration,
        /// What it said for people, masked.
        stderr: String,
    },
    /// It ended badly, with no answer that could be read.
    #[error("the hook ended with {how}: mend it, and have it answer {{\"error\": …}} for what it foresees{}", said(.stderr))]
    Exited {
        /// Its exit code or signal.
        how: String,
        /// What it said for people, masked.
        stderr: String,
    },
    /// Its answer is none.
    #[error("the hook's answer cannot be used: {what}; it is to print one JSON object, and nothing else{}", said(.stderr))]
    Garbage {
        /// What is wrong with it.
        what: String,
        /// What it said for people, masked.
        stderr: String,
    },
    /// Its answer has no end.
    #[error("the hook printed more than {} KiB: it is to print one JSON object, and nothing else", process::ANSWER_BYTES_MAX / 1024)]
    TooLong,
    /// It says that it did not do it.
    #[error("the hook says: {message}")]
    Refused {
        /// In its own words, masked.
        message: String,
        /// Whether it may do it later.
        retry: bool,
    },
    /// The answer to "make" lacks what was made.
    #[error("the hook's answer has no \"secret\": it is to hand over what it made{}", said(.stderr))]
    MissingSecret {
        /// What it said for people, masked.
        stderr: String,
    },
    /// What it made cannot be a credential.
    #[error("what the hook made cannot be used: {0}")]
    Unusable(#[from] CredentialError),
    /// There is no secret to be had for it.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

impl HookError {
    /// Whether the same may succeed later with nobody doing anything but running it again.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Late | Self::Refused { retry: true, .. })
    }

    /// Whether the program was at work at all.
    pub(super) fn was_started(&self) -> bool {
        match self {
            Self::NotConfigured
            | Self::NotMeant(_)
            | Self::WrongKind
            | Self::CannotStart { .. }
            | Self::Late
            | Self::NoRandomness => false,
            Self::TimedOut { .. }
            | Self::Exited { .. }
            | Self::Garbage { .. }
            | Self::TooLong
            | Self::Refused { .. }
            | Self::MissingSecret { .. }
            | Self::Unusable(_) => true,
        }
    }
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it said: {stderr}") }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Request<'a> {
    pub(super) action: Action,
    /// The operation: whoever is asked twice by one name does it once.
    pub(super) op: &'a str,
    pub(super) account: &'a str,
    /// Who it is at the provider.
    pub(super) identity: &'a str,
    pub(super) upstream: &'a str,
    /// The name for the portal.
    pub(super) label: &'a str,
    /// What is to be set.
    pub(super) secret: Option<&'a Secret>,
    /// The id here of what is to be deleted.
    pub(super) id: Option<&'a str>,
    /// From when on nothing must be done any more.
    pub(super) deadline: Timestamp,
}

/// The same on the wire.
#[derive(Serialize)]
struct Wire<'a> {
    version: u32,
    action: Action,
    op: &'a str,
    account: &'a str,
    identity: &'a str,
    upstream: &'a str,
    kind: &'static str,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Shown<'a>>,
    deadline: i64,
}

#[derive(Serialize)]
struct Shown<'a>(#[serde(serialize_with = "secret::in_record::serialize")] &'a Secret);

impl Request<'_> {
    fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let wire = Wire {
            version: VERSION,
            action: self.action,
            op: self.op,
            account: self.account,
            identity: self.identity,
            upstream: self.upstream,
            kind: CredentialKind::AppPassword.name(),
            label: self.label,
            id: self.id,
            secret: self.secret.map(Shown),
            deadline: self.deadline.as_second(),
        };
        // Room for all there can be: a growing buffer would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(REQUEST_BYTES));
        serde_json::to_writer(&mut *bytes, &wire).expect("a secret that Locum made is text");
        bytes.push(b'\n');
        bytes
    }
}

/// Asks the program, and waits for its end. What it made, if that was asked for.
pub(super) async fn call(options: &HookOptions, request: &Request<'_>) -> Result<Option<Made>, HookError> {
    if !options.actions.contains(&request.action) {
        return Err(HookError::NotMeant(request.action.name()));
    }
    let left = Duration::try_from(request.deadline.duration_since(Timestamp::now())).unwrap_or_default();
    if left.is_zero() {
        return Err(HookError::Late);
    }
    let ended = process::run(options, &request.to_json(), request.secret, left.min(options.timeout)).await?;
    answer::read(request, ended)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    async fn asked(script: &str, timeout: Duration) -> Result<String, HookError> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let environment = vec![("PATH".to_owned(), "/usr/bin:/bin".into())];
        let options = HookOptions { command, timeout, actions: vec![Action::Make], environment };
        let request = Request {
            action: Action::Make,
            op: "hook-1",
            account: "a@b",
            identity: "a",
            upstream: "u",
            label: "Locum 1",
            secret: None,
            id: None,
            deadline: Timestamp::now() + timeout,
        };
        let made = call(&options, &request).await?.unwrap();
        Ok(made.secret.expose_text().unwrap().to_owned())
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn it_is_asked_by_one_line_and_has_no_environment_of_ours() {
        let request = asked(r#"printf '{"secret":%s}' "$(sed 's/"/./g; s/.*/"&"/')""#, LONG).await.unwrap();
        let begin = "{.version.:1,.action.:.make.,.op.:.hook-1.,.account.:.a@b.,.identity.:.a.,.upstream.:.u.,";
        assert!(request.starts_with(begin) && request.contains(".label.:.Locum 1.,.deadline.:"), "{request}");
        let names =
            asked(r#"printf '{"secret":"%s"}' "$(env | cut -d= -f1 | sort | tr '\n' ' ')""#, LONG).await.unwrap();
        let own = ["OLDPWD", "PATH", "PWD", "SHLVL", "_"]; // a shell's
        assert!(names.split_whitespace().all(|name| own.contains(&name)), "{names}");
    }

    #[tokio::test]
    async fn one_that_hangs_ends_with_all_that_it_started() {
        let began = Instant::now();
        let hung = asked("echo working >&2; sleep 50 & sleep 60", Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(&hung, HookError::TimedOut { stderr, .. } if stderr == "working"), "{hung}");
        // One in the background that holds our pipe does not hold us.
        assert_eq!(asked(r#"sleep 50 & echo '{"secret":"abc"}'"#, LONG).await, Ok("abc".to_owned()));
        // Nor does one that has left its group, as the shared connection of an ssh does.
        assert_eq!(asked(r#"setsid sleep 5 & echo '{"secret":"abc"}'"#, LONG).await, Ok("abc".to_owned()));
        assert!(began.elapsed() < LONG);
    }

    #[tokio::test]
    async fn one_that_hangs_tells_no_secret_either() {
        let script = "cat >&2; printf '{\"secret\":\"made-1234\"'; echo made-1234 >&2; sleep 60";
        let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let environment = vec![("PATH".to_owned(), "/usr/bin:/bin".into())];
        let options = HookOptions { command, timeout: LONG, actions: Vec::new(), environment };
        let sent = Secret::new("hunter22");
        let hung = process::run(&options, b"set hunter22\n", Some(&sent), Duration::from_secs(1)).await;
        let text = hung.map(drop).unwrap_err().to_string();
        assert!(text.contains("it said: set [REDACTED] [REDACTED]"), "{text}");
    }

    #[tokio::test]
    async fn one_that_does_not_listen_holds_up_nobody() {
        // More than a pipe takes, to a program that neither reads it nor keeps it open.
        let command = ["/bin/sh", "-c", "exec 0<&-; sleep 0.2"].map(str::to_owned).to_vec();
        let options = HookOptions { command, timeout: LONG, actions: Vec::new(), environment: Vec::new() };
        let ended = process::run(&options, &[b'x'; 1 << 20], None, LONG).await.unwrap();
        assert!(ended.status.success() && ended.stdout.is_empty());
        let early = asked(r#"echo '{"secret":"abc"}'; exec 1>&- 2>&-; sleep 0.2"#, LONG).await;
        assert_eq!(early, Ok("abc".to_owned()));
    }

    #[tokio::test]
    async fn what_it_says_has_an_end() {
        assert_eq!(asked("yes", LONG).await, Err(HookError::TooLong));
        let endless = r#"yes >&2 & sleep 0.2; kill $!; echo '{"secret":"abc"}'"#;
        assert_eq!(asked(endless, LONG).await, Ok("abc".to_owned()));
        let missing = HookOptions {
            command: vec!["/nowhere".to_owned()],
            timeout: LONG,
            actions: Vec::new(),
            environment: Vec::new(),
        };
        assert!(matches!(process::run(&missing, b"", None, LONG).await, Err(HookError::CannotStart { .. })));
    }
}
