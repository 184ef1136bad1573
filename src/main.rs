//! The `locum` program. All of it is in the library; see `src/cli`.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;
use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed. What is Locum's own is in `model::Secret` and wiped in any case; libraries (HTTP, JSON,
/// TLS) copy what passes through them and do not, and this is the one way to reach their copies. Below it is one that gives back to
/// the system what a crowd leaves behind (docs/decisions/0034-jemalloc.md; what it is told stands in `.cargo/config.toml`).
#[global_allocator]
static ALLOCATOR: ZeroAlloc<Jemalloc> = ZeroAlloc(Jemalloc);

fn main() -> ExitCode {
    locum::cli::main()
}
