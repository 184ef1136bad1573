//! The `locum` program. All of it is in the library; see `src/cli`.

use std::alloc::System;
use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed. What is Locum's own is in `model::Secret` and wiped in any case; libraries (HTTP, JSON,
/// TLS) copy what passes through them and do not, and this is the one way to reach their copies.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    locum::cli::main()
}
