//! The key that opens a sealed store: where it comes from, and what is refused as one. It must never quote what it
//! read: half a key in an error message is half a key in a log.

use std::{
    env,
    ffi::OsString,
    fmt, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use data_encoding::{BASE64, HEXLOWER};
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

use super::private::{self, NotPrivate};
use crate::model::Secret;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;

/// No file with a key in it is longer than this; one that is holds something else.
const FILE_BYTES_MAX: u64 = 4096;

/// Where the key is found. In each place it is 32 bytes in base64; blanks around it do not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A credential of that name from the service manager: the file `$CREDENTIALS_DIRECTORY/<name>` (systemd.exec(5)).
    Credential(String),
    /// A file that only its owner can reach.
    File(PathBuf),
    /// An environment variable of that name. The weakest: children inherit it, and root can read it at any time.
    Environment(String),
}

impl KeySource {
    /// Reads the key.
    pub(super) fn read(&self) -> Result<Key, KeyError> {
        self.read_with(|variable| env::var_os(variable))
    }

    /// Another secret that is kept in such a place: its text, without blanks and line ends around it.
    ///
    /// # Errors
    /// As for a key.
    pub fn read_text(&self) -> Result<Secret, KeyError> {
        self.text(|variable| env::var_os(variable)).map(|text| Secret::new(text.trim_ascii()))
    }

    fn read_with(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Key, KeyError> {
        Key::parse(&self.text(variable)?, self)
    }

    fn text(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        Ok(match self {
            Self::Credential(name) => read_file(&credential_path(name, variable)?, private::check_credential)?,
            Self::File(path) => read_file(path, private::check)?,
            Self::Environment(name) => {
                let value = variable(name).ok_or_else(|| KeyError::NotSet { name: name.clone() })?;
                Zeroizing::new(value.into_encoded_bytes())
            }
        })
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(name) => write!(f, "the credential {name}"),
            Self::File(path) => write!(f, "the key file {}", path.display()),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
        }
    }
}

fn credential_path(name: &str, variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, KeyError> {
    // A name with a slash would lead out of the directory that the service manager protects.
    if name.is_empty() || name.contains('/') || name == ".." || name == "." {
        return Err(KeyError::CredentialName { name: name.to_owned() });
    }
    let folder = variable("CREDENTIALS_DIRECTORY").ok_or_else(|| KeyError::NoCredentials { name: name.to_owned() })?;
    Ok(Path::new(&folder).join(name))
}

fn read_file(
    path: &Path,
    check: fn(&Path, &fs::Metadata) -> Result<(), NotPrivate>,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyError::Missing { path: path.to_owned() },
        _ => KeyError::Unreadable { path: path.to_owned(), source },
    };
    // Looked at before it is opened, for opening a FIFO would wait for a writer; and again afterwards, for the checks
    // must be of the very file that is read.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(KeyError::NotAFile { path: path.to_owned() });
    }
    let file = fs::File::open(path).map_err(failed)?;
    check(path, &file.metadata().map_err(failed)?)?;
    // Room for all of it at once, so that no copy is left behind by growing.
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize + 1));
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

/// Makes a new key of 32 random bytes and writes it, in base64, to a new file that only its owner can reach.
///
/// # Errors
/// [`KeyError::Exists`] if there is anything at that path; it is left as it is. [`KeyError::Unwritable`] otherwise.
pub fn generate_key_file(path: &Path) -> Result<(), KeyError> {
    let unwritable = |source| KeyError::Unwritable { path: path.to_owned(), source };
    let bytes = random_bytes::<KEY_BYTES>().map_err(|error| unwritable(io::Error::other(error)))?;
    let mut text = Zeroizing::new(String::with_capacity(BASE64.encode_len(KEY_BYTES) + 1));
    BASE64.encode_append(bytes.as_slice(), &mut text);
    text.push('\n');

    let mut file = private::create(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.to_owned() },
        _ => unwritable(source),
    })?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.and_then(|()| private::sync_folder_of(path)).map_err(|source| {
        // Half a key is worse than none: the next attempt would find that the file exists.
        let _ = fs::remove_file(path);
        unwritable(source)
    })
}

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers")]
pub(super) struct NoRandom;

/// Fresh random bytes, wiped when dropped.
pub(super) fn random_bytes<const COUNT: usize>() -> Result<Zeroizing<[u8; COUNT]>, NoRandom> {
    let mut bytes = Zeroizing::new([0; COUNT]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| NoRandom)?;
    Ok(bytes)
}

/// The key-encryption key. It seals the store's data key and nothing else, so it can be changed without touching records.
pub(super) struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    pub(super) fn parse(text: &[u8], place: &KeySource) -> Result<Self, KeyError> {
        let text = text.trim_ascii();
        let not_base64 = || KeyError::NotBase64 { place: place.clone() };
        let mut decoded = Zeroizing::new(vec![0; BASE64.decode_len(text.len()).map_err(|_| not_base64())?]);
        let length = BASE64.decode_mut(text, &mut decoded).map_err(|_| not_base64())?;
        let wrong_length = |_| KeyError::WrongLength { place: place.clone(), bytes: length };
        Ok(Self(Zeroizing::new(decoded[..length].try_into().map_err(wrong_length)?)))
    }

    /// A name for the key that tells nothing of it: a hash of 256 random bits cannot be turned round.
    pub(super) fn id(&self) -> KeyId {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"locum:store:key-id:1:");
        hash.update(self.bytes());
        let mut id = [0; KeyId::BYTES];
        id.copy_from_slice(&hash.finish().as_ref()[..KeyId::BYTES]);
        KeyId(id)
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

#[cfg(test)]
impl From<[u8; KEY_BYTES]> for Key {
    fn from(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// The public name of a key; shown so that an operator can tell which key belongs to which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; Self::BYTES]);

impl KeyId {
    /// Bytes of a name: enough that two keys do not share one by chance.
    const BYTES: usize = 8;

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// Why there is no key. Each text says what to do; none quotes what was found.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No file at that path.
    #[error("there is no key file at {}: restore it from where you keep it safe; `locum init` makes one for a new store", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the key file {}: let the user that runs Locum read it", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{} is not a plain file: name the key file itself", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Others can reach the file.
    #[error("the key file {0}")]
    NotPrivate(#[from] NotPrivate),
    /// The text is not base64.
    #[error("{place} is not base64: it must hold 32 bytes in base64 and nothing else")]
    NotBase64 {
        /// Where it was found.
        place: KeySource,
    },
    /// Base64, but not of 32 bytes.
    #[error("{place} holds {bytes} bytes: it must be exactly 32 bytes in base64")]
    WrongLength {
        /// Where it was found.
        place: KeySource,
        /// What was found there.
        bytes: usize,
    },
    /// The environment variable is not there.
    #[error("the environment variable {name} is not set: it must hold the store's key, 32 bytes in base64")]
    NotSet {
        /// The variable.
        name: String,
    },
    /// The service manager handed out no credentials at all.
    #[error(
        "the service manager handed out no credentials: put `LoadCredential={name}:<path>` into the unit, or name a key file"
    )]
    NoCredentials {
        /// The credential that was looked for.
        name: String,
    },
    /// The name of the credential is not the name of a file.
    #[error("`{name}` is not the name of a credential: it must be a plain name without a slash")]
    CredentialName {
        /// The name.
        name: String,
    },
    /// A new key was to be made where something is already.
    #[error("{} exists already and is left as it is: name another path, or use the key that is there", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// A new key could not be written.
    #[error("cannot write the key file {}", path.display())]
    Unwritable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    const GOOD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    /// A folder with a key file of that content and mode.
    fn key_file(content: &str, mode: u32) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn refusal(content: &str, mode: u32) -> String {
        let (_folder, path) = key_file(content, mode);
        let error = KeySource::File(path.clone()).read().err().unwrap();
        assert!(
            !format!("{error:?} {error}").contains(&content[..content.len().min(8)]),
            "quotes the content: {error}"
        );
        error.to_string().replace(path.to_str().unwrap(), "KEY")
    }

    #[test]
    fn a_generated_key_is_private_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        generate_key_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read(&path).unwrap().len(), 45);
        let key = KeySource::File(path.clone()).read().unwrap();
        assert_ne!(key.bytes(), &[0; 32]);

        let before = fs::read(&path).unwrap();
        assert!(matches!(generate_key_file(&path), Err(KeyError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn blanks_around_a_key_do_not_matter() {
        for content in [GOOD.to_owned(), format!("{GOOD}\n"), format!(" {GOOD}\r\n")] {
            let (_folder, path) = key_file(&content, 0o600);
            assert_eq!(KeySource::File(path).read().unwrap().bytes()[..4], [0, 1, 2, 3]);
        }
    }

    #[test]
    fn a_key_that_others_can_reach_is_refused() {
        for (mode, shown) in [(0o640, "0640"), (0o620, "0620"), (0o604, "0604"), (0o602, "0602")] {
            assert_eq!(
                refusal(GOOD, mode),
                format!("the key file KEY is open to others (mode {shown}): run `chmod 600 KEY`")
            );
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused_without_being_quoted() {
        let not_base64 = "the key file KEY is not base64: it must hold 32 bytes in base64 and nothing else";
        assert_eq!(refusal("hunter2 hunter2!", 0o600), not_base64);
        assert_eq!(refusal(&GOOD[..43], 0o600), not_base64);
        assert_eq!(
            refusal("c2l4dGVlbi1ieXRlcyE=", 0o600),
            "the key file KEY holds 14 bytes: it must be exactly 32 bytes in base64"
        );
        assert_eq!(refusal("\n", 0o600), "the key file KEY holds 0 bytes: it must be exactly 32 bytes in base64");
        assert_eq!(
            refusal(&"QUFB".repeat(4096), 0o600),
            "the key file KEY holds 3072 bytes: it must be exactly 32 bytes in base64"
        );
    }

    #[test]
    fn what_is_not_a_readable_file_is_refused() {
        let (folder, path) = key_file(GOOD, 0o600);
        let read = |path: PathBuf| KeySource::File(path).read().err().unwrap();
        assert!(matches!(read(folder.path().join("none")), KeyError::Missing { .. }));
        assert!(matches!(read(folder.path().to_owned()), KeyError::NotAFile { .. }));
        assert!(matches!(read(path.join("beneath-a-file")), KeyError::Unreadable { .. }));
    }

    #[test]
    fn an_environment_variable_can_hold_the_key() {
        let source = KeySource::Environment("LOCUM_KEY".into());
        let key = source.read_with(|name| (name == "LOCUM_KEY").then(|| GOOD.into())).unwrap();
        assert_eq!(key.bytes()[31], 31);
        assert!(matches!(source.read_with(|_| None), Err(KeyError::NotSet { .. })));
    }

    #[test]
    fn a_credential_may_be_readable_by_its_group_and_nothing_more() {
        let read = |mode| {
            let (folder, _path) = key_file(GOOD, mode);
            let directory = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.path().into());
            KeySource::Credential("key".into()).read_with(directory).map(|key| key.bytes()[1])
        };
        assert_eq!(read(0o440).unwrap(), 1);
        for mode in [0o460, 0o444, 0o442] {
            assert!(matches!(read(mode), Err(KeyError::NotPrivate(_))), "{mode:o}");
        }
    }

    #[test]
    fn a_credential_cannot_be_sought_outside_its_directory() {
        let read = |name: &str| KeySource::Credential(name.into()).read_with(|_| Some("/tmp".into())).err().unwrap();
        for name in ["../key", "/etc/shadow", "..", ""] {
            assert!(matches!(read(name), KeyError::CredentialName { .. }), "{name}");
        }
        let error = KeySource::Credential("key".into()).read_with(|_| None).err().unwrap();
        assert!(error.to_string().contains("LoadCredential=key:"));
    }

    #[test]
    fn the_id_of_a_key_is_stable() {
        // Stores hold it: a change here makes each of them say that its key is wrong.
        let (_folder, path) = key_file(GOOD, 0o600);
        assert_eq!(KeySource::File(path).read().unwrap().id().to_string(), "6c1189602f8ab9af");
    }
}
