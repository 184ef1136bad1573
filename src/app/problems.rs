//! What keeps the process from starting, all of it at once.

use std::error::Error;
use std::fmt;

/// All that keeps the process from starting, not the first thing only.
#[derive(Debug)]
pub struct Problems {
    said: Vec<String>,
    passing: bool,
}

impl Problems {
    /// Nothing but good if there are none. `one_passes` says that one of them will pass by itself.
    ///
    /// # Errors
    /// The problems, if there are any.
    pub fn none_in(said: Vec<String>, one_passes: bool) -> Result<(), Self> {
        let passing = one_passes && said.len() == 1;
        if said.is_empty() { Ok(()) } else { Err(Self { said, passing }) }
    }

    /// Whether another try may find none of them, with nobody doing anything.
    pub fn are_passing(&self) -> bool {
        self.passing
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.said.iter().map(String::as_str)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.said.iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

impl Error for Problems {}

/// Notes what went wrong, with its causes.
pub(crate) fn note<T, E: Error>(problems: &mut Vec<String>, result: Result<T, E>) -> Option<T> {
    result.map_err(|error| problems.push(explain(&error))).ok()
}

/// The same where several things may go wrong at once.
pub(crate) fn note_all<T, E: Error>(problems: &mut Vec<String>, result: Result<T, Vec<E>>) -> Option<T> {
    result.map_err(|errors| problems.extend(errors.iter().map(|error| explain(error)))).ok()
}

/// An error and its causes on one line. A cause that is quoted by what it caused is not said twice.
pub(crate) fn explain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    said
}
