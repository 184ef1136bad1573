//! Where a secret comes from: a prompt, a file, or standard input. Never an argument: others can read those.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use zeroize::Zeroizing;

use super::exit::{self, Failure};
use crate::model::Secret;
use crate::store;

/// No secret is longer than this.
const BYTES_MAX: u64 = 64 * 1024;

/// How a secret is handed in; without either, the terminal asks for it.
#[derive(Debug, Args)]
pub(super) struct SecretInput {
    /// Read the secret from this file, which nobody but its owner may be able to read.
    #[arg(long, value_name = "FILE", conflicts_with = "secret_stdin")]
    secret_file: Option<PathBuf>,

    /// Read the secret from standard input, to its end.
    #[arg(long)]
    secret_stdin: bool,
}

impl SecretInput {
    /// Whether one was named.
    pub(super) fn is_given(&self) -> bool {
        self.secret_stdin || self.secret_file.is_some()
    }

    /// Reads the secret. `what` is asked for at the prompt.
    pub(super) fn read(&self, what: &str) -> Result<Secret> {
        if let Some(path) = &self.secret_file {
            return read_file(path);
        }
        if self.secret_stdin {
            return read_all(std::io::stdin().lock()).context("cannot read the secret from standard input");
        }
        if !std::io::stdin().is_terminal() {
            let message = format!("no terminal to ask for the {what}; use --secret-stdin or --secret-file FILE");
            return Err(Failure::new(exit::USAGE, message).into());
        }
        let typed = dialoguer::Password::new().with_prompt(what).interact().context("cannot read from the terminal")?;
        Ok(Secret::new(typed))
    }
}

/// A file that others can read has told them already. What is no file, such as the pipe of a shell's `<(…)`, is nobody else's.
fn read_file(path: &Path) -> Result<Secret> {
    let failed = |error: std::io::Error| {
        Failure::new(exit::NOT_FOUND, format!("cannot read the secret from {}: {error}", path.display()))
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_file() {
        store::check_private(path, &metadata).map_err(|error| {
            Failure::new(exit::DENIED, format!("{error}; whoever could read it has the secret in it"))
        })?;
    }
    Ok(read_all(file).map_err(failed)?)
}

fn read_all(from: impl Read) -> std::io::Result<Secret> {
    // Room for all there can be: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(BYTES_MAX).unwrap_or(usize::MAX)));
    from.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Secret::new(bytes.as_slice()))
}
