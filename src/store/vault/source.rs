//! Where a token, a secret id, or a private key is found. It must never quote what it read.

use std::ffi::OsString;
use std::fmt;
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

/// A variable of this process's environment.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A place that a [`KeySource`] names. A file is read anew each time; the environment of a process never changes.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// That others than owner and group cannot reach.
    File(PathBuf),
    /// Mounted into a pod for whoever runs there, whatever its mode.
    OpenFile(PathBuf),
    Variable {
        name: String,
        value: Secret,
    },
}

impl Place {
    /// Looks up where it is, and that a token can be read there now.
    pub(super) fn find(source: &KeySource, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, OpenError> {
        let place = match source {
            KeySource::File(path) => Self::File(path.clone()),
            KeySource::Credential(name) => {
                // A name with a slash would lead out of the directory that the service manager protects.
                if name.is_empty() || name.contains('/') || name == "." || name == ".." {
                    return Err(setup(format!("{name:?} is not the name of a credential: it is one without a slash")));
                }
                let folder = variable("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    setup(format!(
                        "the service manager handed out no credential {name}: add LoadCredential= to the unit"
                    ))
                })?;
                Self::File(PathBuf::from(folder).join(name))
            }
            KeySource::Environment(name) => {
                let missing =
                    || setup(format!("the environment variable {name} is not set, and [store.login] names it"));
                let value = Zeroizing::new(variable(name).ok_or_else(missing)?.into_encoded_bytes());
                Self::Variable { name: name.clone(), value: Secret::new(value.as_slice()) }
            }
        };
        place.read().map(|_| place)
    }

    /// The one word there, without the blanks and line ends around it.
    pub(super) fn read(&self) -> Result<Secret, OpenError> {
        let found = match self {
            Self::File(path) => word(&read_private(path)?),
            Self::OpenFile(path) => word(&read_any(path, 0)?),
            Self::Variable { value, .. } => word(value.expose()),
        };
        found.ok_or_else(|| {
            setup(format!(
                "{self} holds no token: it must be one line of text without blanks, plain ASCII, and nothing else"
            ))
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::OpenFile(path) => path.display().fmt(f),
            Self::Variable { name, .. } => write!(f, "the environment variable {name}"),
        }
    }
}

/// What can be sent as a token: the client library panics over a line end in one, and over all else that does not fit
/// into a header.
pub(super) fn word(text: &[u8]) -> Option<Secret> {
    let text = text.trim_ascii();
    (!text.is_empty() && text.iter().all(u8::is_ascii_graphic)).then(|| Secret::new(text))
}

/// The file's bytes, provided that others than owner and group cannot reach them.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    read_any(path, OTHERS)
}

/// The file's bytes, provided that its mode has no bit that is `forbidden`.
fn read_any(path: &Path, forbidden: u32) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let failed = |error| setup(format!("cannot read {}: {error}", path.display()));
    // Looked at before it is opened: opening a FIFO would wait for a writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(setup(format!("{} is not a plain file", path.display())));
    }
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode();
    if mode & forbidden != 0 {
        let path = path.display();
        return Err(setup(format!("{path} is open to everybody (mode {:04o}): run `chmod o= {path}`", mode & 0o7777)));
    }
    // Room for all of it at once, so that no copy is left behind by growing.
    let mut text = Zeroizing::new(Vec::with_capacity(BYTES_MAX as usize + 1));
    file.take(BYTES_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(setup(format!("{} has more than {BYTES_MAX} bytes: it holds something else", path.display())));
    }
    Ok(text)
}

fn setup(text: String) -> OpenError {
    OpenError::Setup(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    const TOKEN: &str = "s.hunter2";

    /// A file of that content and mode.
    fn file(content: &[u8], mode: u32) -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn find(source: &KeySource) -> Result<Secret, String> {
        Place::find(source, &|_| None).and_then(|place| place.read()).map_err(|error| error.to_string())
    }

    #[test]
    fn blanks_and_line_ends_around_a_token_are_no_part_of_it() {
        for content in ["s.hunter2", "s.hunter2\n", "s.hunter2\r\n", " \ts.hunter2 \n\n"] {
            let (_folder, path) = file(content.as_bytes(), 0o600);
            assert_eq!(find(&KeySource::File(path)), Ok(Secret::new(TOKEN)), "{content:?}");
        }
    }

    #[test]
    fn what_no_header_can_hold_is_refused_unquoted() {
        for content in
            ["", "\n", "s.hunter2\ns.hunter3", "s.hunter2 more", "s.hunter2\0", "s.hünter2", "\u{1b}s.hunter2"]
        {
            let (_folder, path) = file(content.as_bytes(), 0o600);
            let error = find(&KeySource::File(path.clone())).unwrap_err();
            let said = format!(
                "{} holds no token: it must be one line of text without blanks, plain ASCII, and nothing else",
                path.display()
            );
            assert_eq!(error, said, "{content:?}");
        }
        let (_folder, path) = file(&[b'a'; BYTES_MAX as usize + 1], 0o600);
        assert!(find(&KeySource::File(path)).unwrap_err().contains("more than 65536 bytes"));
    }

    #[test]
    fn the_group_may_read_a_file_and_others_may_not() {
        let (_folder, path) = file(TOKEN.as_bytes(), 0o640);
        assert!(find(&KeySource::File(path)).is_ok());
        let (_folder, path) = file(TOKEN.as_bytes(), 0o644);
        let error = find(&KeySource::File(path.clone())).unwrap_err();
        let path = path.display();
        assert_eq!(error, format!("{path} is open to everybody (mode 0644): run `chmod o= {path}`"));
    }

    #[test]
    fn a_file_mounted_into_a_pod_may_be_open() {
        let (_folder, path) = file(TOKEN.as_bytes(), 0o644);
        assert!(Place::OpenFile(path).read().is_ok());
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("none");
        let error = find(&KeySource::File(path.clone())).unwrap_err();
        assert_eq!(error, format!("cannot read {}: No such file or directory (os error 2)", path.display()));
        assert!(find(&KeySource::File(folder.path().to_owned())).unwrap_err().ends_with("is not a plain file"));
        assert!(find(&KeySource::Environment("TOKEN".into())).unwrap_err().contains("TOKEN is not set"));
        assert!(find(&KeySource::Credential("token".into())).unwrap_err().contains("LoadCredential="));
        assert!(
            find(&KeySource::Credential("../token".into())).unwrap_err().contains("is not the name of a credential")
        );
    }

    #[test]
    fn a_credential_is_a_file_of_the_service_manager_and_a_variable_is_taken_as_it_is() {
        let (folder, _) = file(TOKEN.as_bytes(), 0o440);
        let variable = |name: &str| match name {
            "CREDENTIALS_DIRECTORY" => Some(folder.path().into()),
            "TOKEN" => Some("s.hunter2\n".into()),
            _ => None,
        };
        for source in [KeySource::Credential("token".into()), KeySource::Environment("TOKEN".into())] {
            let place = Place::find(&source, &variable).unwrap();
            assert_eq!(place.read().unwrap(), Secret::new(TOKEN));
            assert!(!format!("{place:?} {place}").contains("hunter2"));
        }
    }
}
