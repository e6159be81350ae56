//! Files that are whole or absent: written beside their place, flushed to the disk, then renamed.

use std::{fs, io::Write, path::Path};

use crate::ModelError;

/// Write `bytes` to `path`; a crash or a full disk leaves what was there before.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let done = fs::File::create(&part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, path));
    done.map_err(|error| {
        // The half-written file is of no use, and on a full disk it is in the way.
        let _ = fs::remove_file(&part);
        ModelError::file(path, &error)
    })
}
