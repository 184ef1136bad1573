//! stub, being written on branch store
use std::path::PathBuf;
/// o
#[derive(Debug, Clone, PartialEq, Eq)] pub enum Options { /// m
 Memory, /// s
 Sqlite(sqlite::Options) }
/// k
#[derive(Debug, Clone, PartialEq, Eq)] pub enum KeySource { /// c
 Credential(String), /// f
 File(PathBuf), /// e
 Environment(String) }
/// s
pub mod sqlite { use super::*; /// o
#[derive(Debug, Clone, PartialEq, Eq)] pub struct Options { /// p
 pub path: PathBuf, /// k
 pub key: KeySource } }
