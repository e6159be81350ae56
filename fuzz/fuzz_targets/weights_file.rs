#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| { starling::fuzzing::weights_file(data); });
