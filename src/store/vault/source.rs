//! Where a token, a secret id, or a private key is found. It must never quote what it read.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::{KeySource, OpenError};
use crate::model::Secret;

/// No token is longer, nor any key.
const BYTES_MAX: u64 = 64 * 1024;

/// What others than owner and group may do. An agent's sink is mode 0640 as a rule, so the group may read.
const OTHERS: u32 = 0o007;

/// The text at that place, without the blanks and line ends around it.
pub(super) fn read(source: &KeySource) -> Result<Secret, OpenError> {
    let found = match source {
        KeySource::File(path) => read_private(path)?,
        KeySource::Credential(name) => {
            let missing = || {
                setup(format!("the service manager handed out no credential {name}: add LoadCredential= to the unit"))
            };
            let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(missing)?;
            read_private(&PathBuf::from(folder).join(name))?
        }
        KeySource::Environment(name) => {
            let missing = || setup(format!("the environment variable {name} is not set, and [store.login] names it"));
            Zeroizing::new(std::env::var_os(name).ok_or_else(missing)?.into_encoded_bytes())
        }
    };
    let text = Secret::new(found.trim_ascii());
    // The client library panics over a line end in a token, and a header could not hold it.
    if text.is_empty() || text.has_control_characters() || text.expose_text().is_none() {
        return Err(setup(format!(
            "{} holds no token: it must be one line of text and nothing else",
            describe(source)
        )));
    }
    Ok(text)
}

/// The file's bytes, provided that others than owner and group cannot reach them.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    // Looked at before it is opened: opening a FIFO would wait for a writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(setup(format!("{} is not a plain file", path.display())));
    }
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode();
    if mode & OTHERS != 0 {
        let path = path.display();
        return Err(setup(format!("{path} is open to everybody (mode {:04o}): run `chmod o= {path}`", mode & 0o7777)));
    }
    // Room for all of it at once, so that no copy is left behind by growing.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(BYTES_MAX).unwrap_or(usize::MAX)));
    file.take(BYTES_MAX).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

fn describe(source: &KeySource) -> String {
    match source {
        KeySource::File(path) => path.display().to_string(),
        KeySource::Credential(name) => format!("the credential {name}"),
        KeySource::Environment(name) => format!("the environment variable {name}"),
    }
}

fn setup(text: String) -> OpenError {
    OpenError::Setup(text)
}
