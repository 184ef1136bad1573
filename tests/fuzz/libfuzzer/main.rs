//! The fuzz targets by libFuzzer, one program for all: `LOCUM_FUZZ_TARGET` names the one that is run. It must never know
//! more of a target than its name.
#![no_main]

#[path = "../targets/mod.rs"]
mod targets;

use std::sync::OnceLock;

use targets::Target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("LOCUM_FUZZ_TARGET").unwrap_or_default();
        let names = || targets::TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
        targets::target(&name).unwrap_or_else(|| panic!("LOCUM_FUZZ_TARGET must be one of {}", names()))
    });
    (target.run)(data);
});
