//! stub, main is writing it
mod options;
pub use options::Options;
