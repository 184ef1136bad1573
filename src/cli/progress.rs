//! How far long work has come: a bar on a terminal, a line now and then elsewhere.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output;

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Steps that are done, of how many.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    said: Instant,
    what: &'static str,
    pub(super) done: usize,
    pub(super) total: usize,
}

impl Progress {
    /// Shows nothing yet. `what` is counted, in the plural.
    pub(super) fn begin(what: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(&format!("{{wide_bar}} {{pos}}/{{len}} {what}, {{eta}} left"));
            ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, said: Instant::now(), what, done: 0, total: 0 }
    }

    /// So many are done.
    pub(super) fn show(&mut self, done: usize, total: usize) {
        (self.done, self.total) = (done, total);
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        } else if self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            output::note(format!("{done} of {total} {}", self.what));
        }
    }

    /// Clears the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Shows that something is waited for: a wheel on a terminal, nothing elsewhere. It is gone when this is dropped.
pub(super) struct Waiting(Option<ProgressBar>);

impl Waiting {
    /// `what` is waited for.
    pub(super) fn begin(what: impl Into<Cow<'static, str>>) -> Self {
        Self(io::stderr().is_terminal().then(|| {
            let wheel = ProgressBar::new_spinner().with_message(what);
            wheel.enable_steady_tick(Duration::from_millis(100));
            wheel
        }))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(wheel) = &self.0 {
            wheel.finish_and_clear();
        }
    }
}
