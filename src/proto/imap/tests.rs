//! Both sides of IMAP: transcripts, one against the other, and any bytes at all.

mod pair;
mod properties;
mod transcript;
mod units;
