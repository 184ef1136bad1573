//! What was measured, each figure as often as it was, and the tables of it: the median, and in brackets the least and the
//! most. And what was not true that has to be, which is worse than any figure.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::subject::Subject;

/// A line of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    ImapFull,
    ImapResumed,
    /// Of the handshakes at the upstream so many of a hundred took up an earlier one.
    UpstreamResumed,
    Pop3,
    ImapChosen,
    Rate,
    Submissions,
    Submission,
    Down,
    Up,
    DownSmall,
    UpSmall,
    Idle1000,
    Idle5000,
    Growth,
    RoundTrip,
    RoundTripWorst,
    Crowd,
    Storm,
    StormCpu,
    Lost,
    Records1000,
    RecordsMany,
}

impl Row {
    fn title(self) -> &'static str {
        match self {
            Self::ImapFull => "IMAP login, CPU ms each",
            Self::ImapResumed => "same, clients resume TLS, CPU ms",
            Self::UpstreamResumed => "handshakes upstream that resumed, %",
            Self::Pop3 => "POP3 login, CPU ms",
            Self::ImapChosen => "IMAP login, 10 % chosen secrets, nothing remembered, CPU ms",
            Self::Rate => "IMAP logins a second, 64 clients",
            Self::Submissions => "submission of 4 KiB, CPU ms each",
            Self::Submission => "same with STARTTLS, CPU ms",
            Self::Down => "download, CPU s per GB",
            Self::Up => "upload, CPU s per GB",
            Self::DownSmall => "64 KiB messages down, CPU s per GB",
            Self::UpSmall => "64 KiB messages up, CPU s per GB",
            Self::Idle1000 => "idle session after traffic, KiB (1,000 open)",
            Self::Idle5000 => "same, 5,000 open",
            Self::Growth => "growth over ten waves of 1,000, KiB for each session",
            Self::RoundTrip => "round trip added, p50 µs",
            Self::RoundTripWorst => "same, p99 µs",
            Self::Crowd => "500 clients at once, all in, s",
            Self::Storm => "5,000 clients at once, all in, s",
            Self::StormCpu => "same, CPU ms each",
            Self::Lost => "clients lost of both crowds",
            Self::Records1000 => "IMAP login with few records, CPU ms",
            Self::RecordsMany => "same with 1,000,000 records, CPU ms",
        }
    }

    fn decimals(self) -> usize {
        match self {
            Self::UpstreamResumed | Self::Rate | Self::Lost | Self::RoundTrip | Self::RoundTripWorst => 0,
            Self::Idle1000 | Self::Idle5000 | Self::Growth => 1,
            Self::ImapFull | Self::ImapResumed | Self::Pop3 | Self::Submissions | Self::Submission => 3,
            Self::StormCpu | Self::Records1000 | Self::RecordsMany => 3,
            _ => 2,
        }
    }
}

/// All of it.
#[derive(Default)]
pub(crate) struct Sheet {
    figures: BTreeMap<(Row, Subject), Vec<f64>>,
    complaints: Vec<String>,
}

impl Sheet {
    /// Puts down a figure, and says it to who waits.
    #[expect(clippy::print_stderr, reason = "the table itself goes to standard output")]
    pub(crate) fn put(&mut self, row: Row, subject: Subject, figure: f64) {
        if !figure.is_finite() {
            return; // of nothing that was done; there is a complaint about that
        }
        eprintln!("{}: {}: {figure:.*}", subject.title(), row.title(), row.decimals());
        self.figures.entry((row, subject)).or_default().push(figure);
    }

    /// Notes what is not as it has to be.
    #[expect(clippy::print_stderr, reason = "the table itself goes to standard output")]
    pub(crate) fn complain(&mut self, subject: Subject, what: impl AsRef<str>) {
        let complaint = format!("{}: {}", subject.title(), what.as_ref());
        eprintln!("NOT AS IT HAS TO BE: {complaint}");
        self.complaints.push(complaint);
    }

    /// That these are equal.
    pub(crate) fn expect(&mut self, subject: Subject, what: &str, found: u64, wanted: u64) {
        if found != wanted {
            self.complain(subject, format!("{found} {what} in place of {wanted}"));
        }
    }

    pub(crate) fn complaints(&self) -> &[String] {
        &self.complaints
    }

    pub(crate) fn median(&self, row: Row, subject: Subject) -> Option<f64> {
        let mut figures = self.figures.get(&(row, subject))?.clone();
        figures.sort_unstable_by(f64::total_cmp);
        Some(figures[(figures.len() - 1) / 2])
    }

    /// The table, in Markdown.
    pub(crate) fn table(&self, subjects: &[Subject]) -> String {
        let titles: Vec<&str> = subjects.iter().map(|it| it.title()).collect();
        let mut text = format!("| | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(titles.len()));
        let rows: std::collections::BTreeSet<Row> = self.figures.keys().map(|(row, _)| *row).collect();
        for row in rows {
            let cells: Vec<String> = subjects.iter().map(|subject| self.cell(row, *subject)).collect();
            writeln!(text, "| {} | {} |", row.title(), cells.join(" | ")).expect("a string takes everything");
        }
        text
    }

    fn cell(&self, row: Row, subject: Subject) -> String {
        let Some(median) = self.median(row, subject) else { return "-".to_owned() };
        let figures = &self.figures[&(row, subject)];
        let decimals = row.decimals();
        if figures.len() == 1 {
            return format!("{median:.decimals$}");
        }
        let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        format!("{median:.decimals$} ({least:.decimals$} - {most:.decimals$})")
    }
}
