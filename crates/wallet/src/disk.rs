//! Files that hold keys: written whole or not at all, never over another, readable by their owner only.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{MAX_KEYFILE_BYTES, WalletError};

/// Creates `path` and its missing parents; each directory made here is for its owner only.
pub fn create_dir(path: &Path) -> Result<(), WalletError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(WalletError::io("create the directory", path))
}

/// Writes `bytes` to a new file `path` (mode 0600): through a temporary file beside it, synced, then linked into place.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), WalletError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    // Checked first for the plain message; the link below decides in a race.
    if path.symlink_metadata().is_ok() {
        return Err(WalletError::Exists { path: path.to_owned() });
    }
    let temporary = Temporary::create(directory, path)?;
    temporary.fill(bytes)?;
    match fs::hard_link(&temporary.path, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(WalletError::Exists { path: path.to_owned() });
        }
        // Some file systems have no hard links: there a rename, after one more look, is the best that can be had.
        Err(_) if path.symlink_metadata().is_ok() => return Err(WalletError::Exists { path: path.to_owned() }),
        Err(_) => fs::rename(&temporary.path, path).map_err(WalletError::io("write", path))?,
    }
    drop(temporary);
    File::open(directory).and_then(|dir| dir.sync_all()).map_err(WalletError::io("sync the directory", directory))
}

/// Puts `bytes` in the place of `path`, at once: whoever looks finds the old file or the new one, whole.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), WalletError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let temporary = Temporary::create(directory, path)?;
    temporary.fill(bytes)?;
    fs::rename(&temporary.path, path).map_err(WalletError::io("write", path))?;
    File::open(directory).and_then(|dir| dir.sync_all()).map_err(WalletError::io("sync the directory", directory))
}

/// Reads at most [`MAX_KEYFILE_BYTES`]; `what` names the key in the message if it is absent.
pub fn read(path: &Path, what: &'static str) -> Result<Zeroizing<Vec<u8>>, WalletError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => WalletError::Missing { what, path: path.to_owned() },
        _ => WalletError::io("read", path)(error),
    })?;
    let metadata = file.metadata().map_err(WalletError::io("read", path))?;
    if metadata.is_dir() {
        return Err(WalletError::Malformed { path: path.to_owned(), reason: "it is a directory".into() });
    }
    if metadata.len() > MAX_KEYFILE_BYTES {
        let (path, length) = (path.to_owned(), metadata.len());
        return Err(WalletError::TooLarge { path, length, limit: MAX_KEYFILE_BYTES });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEYFILE_BYTES as usize + 1));
    file.take(MAX_KEYFILE_BYTES + 1).read_to_end(&mut bytes).map_err(WalletError::io("read", path))?;
    Ok(bytes)
}

/// A temporary file that removes itself.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn create(directory: &Path, target: &Path) -> Result<Self, WalletError> {
        let stem = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for attempt in 0..1000_u32 {
            let path = directory.join(format!(".{stem}.{}.{attempt}.tmp", std::process::id()));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                Ok(file) => return Ok(Self { path, file }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(WalletError::io("write", target)(error)),
            }
        }
        Err(WalletError::io("write", target)(ErrorKind::AlreadyExists.into()))
    }

    fn fill(&self, bytes: &[u8]) -> Result<(), WalletError> {
        let mut file = &self.file;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(WalletError::io("write", &self.path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename it is gone already; a left-over would hold the secret, so removing it is worth the try.
        let _ = fs::remove_file(&self.path);
    }
}
