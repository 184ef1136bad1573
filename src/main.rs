//! The `locum` program. All of it is in the library; see `src/cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    locum::cli::main()
}
