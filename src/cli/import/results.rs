//! The result file: a line for each row, written when the row is done with, so that whatever ends the program leaves what
//! was done. It must never hold a secret, nor take the place of a file that is something else.

use std::borrow::Cow;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::cli::csv_out::as_text;
use crate::cli::exit::{self, Failure};

/// It names accounts: those are for nobody else.
const OWNER_ONLY: u32 = 0o600;

/// The file, open.
#[derive(Debug)]
pub(in crate::cli) struct Results {
    file: File,
    path: PathBuf,
}

impl Results {
    /// Begins it, in place of an older one. `header` are the names of its columns, by which such a file is known again.
    ///
    /// # Errors
    /// If there is another file in its place, or it cannot be made.
    pub(in crate::cli) fn create(path: &Path, input: Option<&Path>, header: &[&str]) -> Result<Self, Failure> {
        let cannot = |why: String| {
            Failure::new(exit::CANNOT_CREATE, format!("cannot make the result file {}: {why}", path.display()))
        };
        let failed = |error: io::Error| cannot(error.to_string());
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(OWNER_ONLY).open(path);
        let mut file = open.map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        let place = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        if input.and_then(|input| input.metadata().ok()).is_some_and(|input| place(&input) == place(&found)) {
            return Err(cannot("it is the file that is imported; name another with --result".to_owned()));
        }
        if found.is_file() && found.len() > 0 && !is_one(&file, header) {
            return Err(cannot("there is another file; move it away, or name another with --result".to_owned()));
        }
        if found.is_file() {
            // One of before may have been opened to others since.
            file.set_permissions(Permissions::from_mode(OWNER_ONLY)).map_err(failed)?;
            file.set_len(0).map_err(failed)?;
            io::Seek::rewind(&mut file).map_err(failed)?;
        }
        let mut results = Self { file, path: path.to_owned() };
        results.write(header).map_err(failed)?;
        Ok(results)
    }

    /// Where it is.
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }

    /// One row, all of it or nothing.
    pub(in crate::cli) fn write(&mut self, fields: &[&str]) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(fields.iter().map(|field| as_text(field).into_owned()))?;
        let bytes = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        self.file.write_all(&bytes)?;
        self.file.flush()
    }
}

/// Whether a file begins as these do.
fn is_one(file: &File, header: &[&str]) -> bool {
    let header = header.join(",");
    let mut first = String::new();
    let read = BufReader::new(file.take(header.len() as u64 + 1)).read_line(&mut first);
    read.is_ok() && first.trim_end() == header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_it_is_a_formula_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("result.csv");
        for text in ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1"] {
            let mut results = Results::create(&path, None, &["line", "account", "cause"]).unwrap();
            results.write(&["2", text, ""]).unwrap();
            let written = std::fs::read_to_string(&path).unwrap();
            let cell = written.lines().nth(1).unwrap().split(',').nth(1).unwrap().trim_matches('"');
            assert!(cell.starts_with('\''), "{written}");
            assert_eq!(path.metadata().unwrap().mode() & 0o777, OWNER_ONLY);
            // As somebody left it who sent it to others.
            std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        }
        for text in ["scan@x.test", "locum 2026-11", ""] {
            assert_eq!(as_text(text), text);
        }
    }
}
