//! How far something has come: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output;

/// Time between two lines about progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    said: Instant,
    pub(super) done: usize,
    pub(super) total: usize,
}

impl Progress {
    /// `what` is counted, in the plural.
    pub(super) fn begin(what: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(&format!("{{wide_bar}} {{pos}}/{{len}} {what}, {{eta}} left"));
            ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { what, bar, said: Instant::now(), done: 0, total: 0 }
    }

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

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
