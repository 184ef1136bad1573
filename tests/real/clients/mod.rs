//! Real mail clients, each behind functions that say what it is made to do and return what it saw: bytes, names and
//! flags, never just an exit code. A password never stands on a command line; each client gets it the way its own
//! manual recommends (standard input, a file of mode 0600, or a command that prints such a file).

pub(crate) mod async_imap;
pub(crate) mod census;
pub(crate) mod curl;
pub(crate) mod doveadm;
pub(crate) mod fetchmail;
pub(crate) mod lettre;
pub(crate) mod mbsync;
pub(crate) mod msmtp;
pub(crate) mod python;
pub(crate) mod swaks;

/// A message on its way: envelope and content in wire form.
pub(crate) struct Outgoing<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) message: &'a [u8],
}
