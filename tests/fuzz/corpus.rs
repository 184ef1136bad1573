//! The inputs that are kept, one folder for each target. It must never lose one: each stands for something that was found.

use std::fs;
use std::path::PathBuf;

use ring::digest;

/// A corpus is read in each run of the tests, and lies in each checkout.
const BYTES_MAX: usize = 1_000_000;

/// More than a line of any protocol and a record take; what is longer shows nothing more.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// Where the inputs lie.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// The inputs of a target, in the order of their names.
pub(crate) fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = folder().join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a readable input")).collect()
}

/// What an input is called: as libFuzzer does.
pub(crate) fn name(input: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, input).as_ref())
}

#[test]
fn the_corpus_is_small_and_each_input_has_its_name() {
    let mut bytes = 0;
    let mut folders: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder()).expect("a corpus") {
        let folder = entry.expect("a readable folder").path();
        folders.push(folder.file_name().expect("a name").to_string_lossy().into_owned());
        for entry in fs::read_dir(&folder).expect("a folder for each target") {
            let path = entry.expect("a readable folder").path();
            let input = fs::read(&path).expect("a readable input");
            assert!(input.len() <= INPUT_BYTES_MAX, "{}: {} bytes", path.display(), input.len());
            assert_eq!(path.file_name().expect("a name").to_string_lossy(), name(&input), "{}", path.display());
            bytes += input.len();
        }
    }
    folders.sort();
    let mut targets: Vec<&str> = crate::targets::TARGETS.iter().map(|target| target.name).collect();
    targets.sort_unstable();
    assert_eq!(folders, targets, "a folder for each target, and none for others");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes: `.ci/nightly --merge` keeps those that show something new");
}
