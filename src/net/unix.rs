//! A listening Unix socket for this machine's own operators. Nobody else may connect: its mode is 0600 before it listens, and
//! the kernel says who is there.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

/// Connections that the kernel holds for us; operators of one machine are few.
const BACKLOG: i32 = 16;

/// Why a path cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum UnixBindError {
    /// Somebody listens there already.
    #[error("{} is in use by another process; choose another path, or stop that", .0.display())]
    InUse(PathBuf),
    /// There is something that is no socket.
    #[error("{} is there and is no socket; choose another path, or remove it", .0.display())]
    NotASocket(PathBuf),
    /// There is no such folder.
    #[error("the folder of {} is missing; make it (systemd: RuntimeDirectory=)", .0.display())]
    NoFolder(PathBuf),
    /// Anything else.
    #[error("cannot listen on {path}: {source}", path = path.display())]
    Other {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A Unix socket that listens, until it is dropped: then it is removed, if it is still ours.
#[derive(Debug)]
pub struct UnixDoor {
    listener: UnixListener,
    path: PathBuf,
    /// Where it is until it takes the other's place.
    waits_at: Option<PathBuf>,
    inode: (u64, u64),
}

impl UnixDoor {
    /// Listens at that path. What a process left behind that is no more is removed.
    ///
    /// # Errors
    /// See [`UnixBindError`].
    pub fn bind(path: &Path) -> Result<Self, UnixBindError> {
        if is_there(path)? {
            let other = |source| UnixBindError::Other { path: path.to_owned(), source };
            if is_answered(path).map_err(other)? {
                return Err(UnixBindError::InUse(path.to_owned()));
            }
            fs::remove_file(path).map_err(other)?;
        }
        Self::listen(path)
    }

    /// The same in place of a process that listens there still, and is reached there until [`UnixDoor::enter`]:
    /// this one may never come to serve.
    ///
    /// # Errors
    /// See [`UnixBindError`].
    pub fn take_over(path: &Path) -> Result<Self, UnixBindError> {
        is_there(path)?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        if is_there(&beside)? {
            let other = |source| UnixBindError::Other { path: beside.clone(), source };
            fs::remove_file(&beside).map_err(other)?; // its process had our number, and is no more
        }
        let mut door = Self::listen(&beside)?;
        (door.path, door.waits_at) = (path.to_owned(), Some(beside));
        Ok(door)
    }

    /// Takes the place of who listens there still, if there is one to be taken. At no time does nobody listen.
    ///
    /// # Errors
    /// If the folder does not allow it; all is as it was then.
    pub fn enter(&mut self) -> Result<(), UnixBindError> {
        let Some(beside) = self.waits_at.take() else { return Ok(()) };
        fs::rename(&beside, &self.path).map_err(|source| {
            self.waits_at = Some(beside);
            UnixBindError::Other { path: self.path.clone(), source }
        })
    }

    fn listen(path: &Path) -> Result<Self, UnixBindError> {
        let other = |source| UnixBindError::Other { path: path.to_owned(), source };
        let listen = || -> io::Result<Self> {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.bind(&SockAddr::unix(path)?)?;
            // Nobody can connect before it listens, and from then on nobody else.
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
            socket.listen(BACKLOG)?;
            let found = fs::symlink_metadata(path)?;
            let listener = UnixListener::from_std(socket.into())?;
            Ok(Self { listener, path: path.to_owned(), waits_at: None, inode: (found.dev(), found.ino()) })
        };
        listen().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => UnixBindError::NoFolder(path.to_owned()),
            io::ErrorKind::AddrInUse => UnixBindError::InUse(path.to_owned()),
            _ => other(error),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection, and the number of the user at its other end.
    ///
    /// # Errors
    /// If there is none to be had.
    pub async fn accept(&self) -> io::Result<(UnixStream, u32)> {
        let (stream, _) = self.listener.accept().await?;
        let user = stream.peer_cred()?.uid();
        Ok((stream, user))
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        let path = self.waits_at.as_ref().unwrap_or(&self.path);
        let is_ours = fs::symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == self.inode);
        if is_ours {
            let _ = fs::remove_file(path); // the next one removes it otherwise
        }
    }
}

/// Whether there is a socket; anything else is left alone.
fn is_there(path: &Path) -> Result<bool, UnixBindError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(true),
        Ok(_) => Err(UnixBindError::NotASocket(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(UnixBindError::Other { path: path.to_owned(), source }),
    }
}

/// Whether somebody listens there.
fn is_answered(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?; // a full queue is an answer, too
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_for_its_owner_and_says_who_came() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let door = UnixDoor::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let (client, accepted) = tokio::join!(UnixStream::connect(&path), door.accept());
        client.unwrap();
        assert_eq!(accepted.unwrap().1, rustix::process::getuid().as_raw());
        drop(door);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn one_that_is_in_use_is_left_and_one_that_was_left_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let first = UnixDoor::bind(&path).unwrap();
        assert!(matches!(UnixDoor::bind(&path), Err(UnixBindError::InUse(_))));
        assert!(path.exists());
        let left = dir.path().join("left.sock");
        fs::rename(&path, &left).unwrap();
        drop(first); // it is not where it was, and so not removed
        let door = UnixDoor::bind(&left).unwrap();
        assert!(left.exists());
        drop(door);
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "kept").unwrap();
        assert!(matches!(UnixDoor::bind(&path), Err(UnixBindError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
        let error = UnixDoor::bind(&dir.path().join("none/admin.sock")).unwrap_err();
        assert!(matches!(error, UnixBindError::NoFolder(_)), "{error}");
    }

    #[tokio::test]
    async fn a_successor_takes_it_and_the_one_before_leaves_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let before = UnixDoor::bind(&path).unwrap();
        let mut door = UnixDoor::take_over(&path).unwrap();
        let (client, accepted) = tokio::join!(UnixStream::connect(&path), before.accept());
        assert!(client.is_ok() && accepted.is_ok(), "until it serves");
        door.enter().unwrap();
        drop(before);
        let (client, accepted) = tokio::join!(UnixStream::connect(&path), door.accept());
        assert!(client.is_ok() && accepted.is_ok());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(door);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_successor_that_does_not_come_to_serve_leaves_the_one_before_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let before = UnixDoor::bind(&path).unwrap();
        drop(UnixDoor::take_over(&path).unwrap());
        let (client, accepted) = tokio::join!(UnixStream::connect(&path), before.accept());
        assert!(client.is_ok() && accepted.is_ok());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
