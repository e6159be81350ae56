#![no_main]

use std::sync::LazyLock;

use starling_chain::runtime::Runtime;

/// The local chain's runtime, as the tests have it.
static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    Runtime::new(include_bytes!("../../metadata/localnet-425.v15.scale"), 425, 1, [0; 32]).ok()
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(runtime) = RUNTIME.as_ref() {
        starling_chain::fuzzing::answer(runtime, data);
    }
});
