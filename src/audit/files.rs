//! The files of one audit: the one that is written, and those that were closed, named by when that was. It must never take a
//! file for one of its own by half a name.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// The form of the time in the name of a file that was closed.
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// The files that were closed, the oldest first. `audit.jsonl` becomes `audit-20260131T235959Z-1234.jsonl`: closed then, with
/// the line of that number as its last.
///
/// # Errors
/// If the folder cannot be read.
pub(super) fn closed(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in folder(path).read_dir()? {
        let entry = entry?;
        if let Some(seq) = entry.file_name().to_str().and_then(|name| last_seq(path, name)) {
            found.push((seq, entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// All of them that there are, in order, the one that is written last.
///
/// # Errors
/// If the folder cannot be read.
pub(super) fn all(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = closed(path)?;
    if path.exists() {
        files.push(path.to_owned());
    }
    Ok(files)
}

/// What the file is called once it is closed.
pub(super) fn closed_name(path: &Path, now: Timestamp, last_seq: u64) -> PathBuf {
    let (stem, extension) = parts(path);
    path.with_file_name(format!("{stem}-{}-{last_seq}{extension}", now.strftime(TIME)))
}

/// The number in the name of a closed file of that audit.
fn last_seq(path: &Path, name: &str) -> Option<u64> {
    let (stem, extension) = parts(path);
    let middle = name.strip_prefix(&stem)?.strip_prefix('-')?.strip_suffix(&extension)?;
    let (time, seq) = middle.split_once('-')?;
    let is_time = time.len() == 16 && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'T' || byte == b'Z');
    seq.parse().ok().filter(|_| is_time)
}

/// The name in two parts, the second with its dot.
fn parts(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let extension = text(path.extension()).map(|extension| format!(".{extension}"));
    (text(path.file_stem()).unwrap_or_default(), extension.unwrap_or_default())
}

pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_files_come_in_order_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let at = |second| Timestamp::from_second(second).unwrap();
        let names = [closed_name(&path, at(1), 9), closed_name(&path, at(1), 10), closed_name(&path, at(2), 11)];
        assert!(names[0].ends_with("audit-19700101T000001Z-9.jsonl"), "{names:?}");
        let others = ["audit.jsonl.1", "audit-x.jsonl", "audit-old-3.jsonl", "audits-19700101T000001Z-9.jsonl"];
        for path in names.iter().rev().cloned().chain(others.map(|name| folder.path().join(name))) {
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(closed(&path).unwrap(), names);
        assert_eq!(all(&path).unwrap(), names, "there is none that is written");
    }
}
