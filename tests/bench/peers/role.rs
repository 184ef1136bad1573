//! What the benchmark's program can be besides itself, as a process of its own: the upstream, and the bare relay. The one that
//! starts it tells it what it has to know by standard input, since keys are in it; it answers by standard output, one JSON
//! object a line, and ends with the end of its input. It must never outlive who started it.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{self, Child, ChildStdout, Stdio};
use std::thread;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cores::{self, Side};

/// The argument that makes something else of the benchmark's program. Behind it stands what.
const ARGUMENT: &str = "--role";

/// Another process of this program, until it is dropped.
pub(crate) struct Role {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Role {
    /// Starts it on that side, and tells it what it has to know.
    pub(crate) fn start(name: &str, side: Side, order: &impl Serialize) -> Self {
        let mut command = cores::command(side, env::current_exe().unwrap());
        let mut child = command.args([ARGUMENT, name]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut role = Self { child, answers };
        role.say(&serde_json::to_string(order).unwrap());
        role
    }

    /// The next line that it says.
    pub(crate) fn answer<T: DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("a process of the bench fell over: {error}"))
    }

    /// Says that something is wanted; the answer to it.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self) -> T {
        self.say("");
        self.answer()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}

/// What this process was started for, if it is not the benchmark itself.
pub(crate) fn told() -> Option<String> {
    env::args().skip_while(|it| it != ARGUMENT).nth(1)
}

/// What this process has to know.
pub(crate) fn order<T: DeserializeOwned>() -> T {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Tells who started this process.
#[expect(clippy::print_stdout, reason = "it is where who started this process listens")]
pub(crate) fn tell(answer: &impl Serialize) {
    println!("{}", serde_json::to_string(answer).unwrap());
}

/// Answers each line that comes with what `look` finds, on a thread of its own, and ends the process with the input.
#[expect(clippy::disallowed_methods, reason = "who serves meanwhile never returns, and holds no secret of anybody")]
pub(crate) fn answer_each<T: Serialize>(look: impl Fn() -> T + Send + 'static) {
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if line.is_err() {
                break;
            }
            tell(&look());
        }
        process::exit(0)
    });
}
