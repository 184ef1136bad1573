//! stub, main is writing it
/// Where the audit goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The file that audit events are appended to, one JSON object a line. `None`: to the log alone.
    pub path: Option<std::path::PathBuf>,
}
