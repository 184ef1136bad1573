//! `locum.toml` from outside: files that are right, files that are wrong with every word of what is said about them,
//! and that no secret in them is ever said.

mod canary;
mod files;
mod values;
