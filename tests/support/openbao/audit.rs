//! What a server was asked, by its own account: the file of its audit device.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde_json::Value;

/// Requests by what they ask for: `read data/clients`, `list metadata/accounts`, `update auth/approle/login`.
pub(crate) type Calls = BTreeMap<String, usize>;

/// An audit file, read from where the last look at it ended.
pub(crate) struct Audit {
    file: PathBuf,
    at: u64,
}

impl Audit {
    /// From its beginning.
    pub(super) fn of(file: PathBuf) -> Self {
        Self { file, at: 0 }
    }

    /// What was asked since the last look. A record's id is left out, and so is the mount that all records are in.
    pub(crate) fn calls(&mut self) -> Calls {
        let mut calls = Calls::new();
        for event in self.events().iter().filter(|event| event["type"] == "request") {
            let [operation, path] = ["operation", "path"].map(|field| event["request"][field].as_str().unwrap());
            let path = path.strip_prefix("locum/").unwrap_or(path);
            let place = match path.split('/').collect::<Vec<_>>()[..] {
                [root @ ("data" | "metadata"), folder @ ("accounts" | "clients" | "tokens"), ..] => {
                    format!("{root}/{folder}")
                }
                _ => path.to_owned(),
            };
            *calls.entry(format!("{operation} {place}")).or_default() += 1;
        }
        calls
    }

    /// A request and a response for each call since the last look; what is half written is left for the next.
    fn events(&mut self) -> Vec<Value> {
        let mut file = File::open(&self.file).unwrap();
        file.seek(SeekFrom::Start(self.at)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        self.at += text.len() as u64;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
