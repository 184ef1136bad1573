//! What was measured, as text: times with their spread, and a table in Markdown to be put into a page.

use std::fmt;
use std::time::{Duration, Instant};

/// How long something took, each time that it was done.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// Does it so often.
    pub(crate) fn of(rounds: usize, mut work: impl FnMut(usize)) -> Self {
        (0..rounds).map(|round| time(|| work(round))).collect()
    }

    /// The time in which so many of a hundred were done.
    fn of_percent(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() * percent).div_ceil(100) - 1]
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        Self(times.into_iter().collect())
    }
}

/// The median, and in brackets the time in which nine of ten were done.
impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, most] = [50, 90].map(|percent| self.of_percent(percent).as_secs_f64());
        let (unit, per_second) = match median {
            ..1e-3 => ("µs", 1e6),
            ..1.0 => ("ms", 1e3),
            _ => ("s", 1.0),
        };
        write!(f, "{} ({}) {unit}", short(median * per_second), short(most * per_second))
    }
}

pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// With as many digits as mean something.
pub(crate) fn short(number: f64) -> String {
    let decimals = if number < 10.0 { 1 } else { 0 };
    format!("{number:.decimals$}")
}

/// Figures by what was measured and where, both in the order in which they came.
#[derive(Default)]
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
    /// Where the row comes in that is there not yet: behind the one that was put down last.
    at: usize,
}

impl Table {
    /// What is put down from here on belongs there.
    pub(crate) fn column(&mut self, name: String) {
        self.columns.push(name);
    }

    /// Puts down a figure, and says it to who waits.
    #[expect(clippy::print_stderr, reason = "the table itself goes to standard output")]
    pub(crate) fn put(&mut self, what: &str, figure: impl ToString) {
        let (figure, count) = (figure.to_string(), self.columns.len());
        eprintln!("{}: {what}: {figure}", self.columns[count - 1]);
        let at = self.rows.iter().position(|(row, _)| row == what).unwrap_or_else(|| {
            self.rows.insert(self.at, (what.to_owned(), Vec::new()));
            self.at
        });
        self.at = at + 1;
        self.rows[at].1.resize(count - 1, "-".to_owned());
        self.rows[at].1.push(figure);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | {} |\n|---|{}", self.columns.join(" | "), "---|".repeat(self.columns.len()))?;
        self.rows.iter().try_for_each(|(what, figures)| {
            let mut figures = figures.clone();
            figures.resize(self.columns.len(), "-".to_owned());
            writeln!(f, "| {what} | {} |", figures.join(" | "))
        })
    }
}

/// A table that grows row by row, for what is measured in turns.
pub(crate) struct Rows {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    /// Under these columns.
    pub(crate) fn under(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Puts down a row, and says it to who waits.
    #[expect(clippy::print_stderr, reason = "the table itself goes to standard output")]
    pub(crate) fn put(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.head.len(), "a row has what the head names");
        eprintln!(
            "{}",
            self.head.iter().zip(&row).map(|(name, it)| format!("{name}: {it}")).collect::<Vec<_>>().join("; ")
        );
        self.rows.push(row);
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |\n|{}", self.head.join(" | "), "---|".repeat(self.head.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// The middle of these, and the one that 99 of a hundred are no greater than; `None` of nothing.
pub(crate) fn median_and_worst(mut times: Vec<Duration>) -> Option<[Duration; 2]> {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Some([at(50)?, at(99)?])
}

/// So many bytes, for people.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", short(bytes as f64 / f64::from(1 << 20)))
}
