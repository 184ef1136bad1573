//! The collector that spans are posted to. Headers are read from their file each time, so that they can be changed while the
//! process runs, and must never be in an error or the log.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::model::Secret;
use crate::net::Https;
use crate::telemetry::{Carrier, TraceOptions};

/// No headers are longer.
const HEADERS_BYTES_MAX: u64 = 16 * 1024;

/// What others than owner and group may do with their file.
const OTHERS: u32 = 0o007;

/// Posts to a collector.
#[derive(Debug)]
pub(super) struct Collector(pub(super) Https);

#[async_trait]
impl Carrier for Collector {
    async fn post(&self, options: &TraceOptions, body: Vec<u8>) -> Result<(), String> {
        let headers = options.headers_file.as_deref().map(read_headers).transpose()?.unwrap_or_default();
        let posted = self.0.post_bytes(&options.url, "application/x-protobuf", &headers, body).await;
        match posted.map_err(|error| error.to_string())?.status {
            200..=299 => Ok(()),
            status => Err(format!("it answers with status {status}: see otlp-endpoint and otlp-headers-file")),
        }
    }
}

fn read_headers(path: &Path) -> Result<Vec<(String, Secret)>, String> {
    let place = path.display();
    let failed = |error: std::io::Error| format!("cannot read the headers in {place}: {error}");
    // Looked at before it is opened: opening a FIFO would wait for a writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(format!("the otlp-headers-file {place} is not a plain file"));
    }
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode();
    if mode & OTHERS != 0 {
        return Err(format!("{place} is open to everybody (mode {:04o}): run `chmod o= {place}`", mode & 0o7777));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEADERS_BYTES_MAX as usize));
    file.take(HEADERS_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{place} is no text"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let header = |line: &str| {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("{place}: each line is `name: value`"))?;
        Ok((name.trim().to_owned(), Secret::new(value.trim())))
    };
    lines.map(header).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn headers_are_lines_that_not_everybody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        let read = |content: &str, mode| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read_headers(&path)
        };
        let headers = read("authorization: Bearer canary\n\nx-tenant: one\n", 0o640).unwrap();
        let expected = [("authorization", "Bearer canary"), ("x-tenant", "one")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), Secret::new(value))));
        for (content, mode) in [("a: canary", 0o644), ("canary", 0o600)] {
            let said = read(content, mode).unwrap_err();
            assert!(!said.contains("canary"), "{said}");
        }
    }
}
