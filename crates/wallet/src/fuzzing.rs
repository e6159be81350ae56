//! Key files, as functions of bytes: the bodies of the fuzz targets in `fuzz/`, also driven by `tests/fuzzing.rs`.
//!
//! Invariant of each: it returns, whatever the bytes. What a password costs is left out: keys are given. Not part of the API.
#![allow(missing_docs)]

use std::path::Path;

use crate::{Encryption, Keyfile, Keypair, polkadot_js::Export, vault};

/// A key file that is not encrypted, and texts that may be a secret.
pub fn keyfile(bytes: &[u8]) {
    let _ = Encryption::detect(bytes);
    if let Ok(file) = Keyfile::parse(bytes, Path::new("fuzz")) {
        let _ = file.account();
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (Keypair::from_phrase(text), Keypair::from_hex_seed(text));
        let _ = Keypair::from_uri(text);
    }
}

/// The three encryptions under a known key.
pub fn sealed(bytes: &[u8]) {
    vault::read_sealed(bytes);
}

/// An export of polkadot-js; opened where no password is needed.
pub fn export(bytes: &[u8]) {
    if let Ok(export) = Export::parse(bytes)
        && !export.encrypted()
    {
        let _ = export.open("");
    }
}
