//! Metadata kept on disk, so that a short command need not fetch what has not changed since the last upgrade.
//!
//! Invariant: what is loaded is byte for byte what was stored under the same genesis, versions and runtime code; a file that is not is
//! removed. At most [`KEPT`] files lie there. The cache never fails a command: without it, metadata is fetched.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// Files kept: a few chains, a few versions each.
const KEPT: usize = 8;
/// Larger metadata is not kept; today's has 0.3 MiB.
const LARGEST: u64 = 8 << 20;
const MAGIC: &[u8; 20] = b"starling metadata 1\n";

/// Which runtime of which chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub genesis: [u8; 32],
    pub spec: u32,
    pub transaction: u32,
    /// Hash of the runtime's code: versions alone are a promise.
    pub code: [u8; 32],
}

impl Key {
    fn file(&self, folder: &Path) -> PathBuf {
        let name = [&self.genesis[..8], &self.code[..8]].map(hex::encode);
        folder.join(format!("{}-{}-{}-{}.scale", name[0], self.spec, self.transaction, name[1]))
    }

    /// What stands before the metadata: the whole key, and a hash over both.
    fn head(&self, metadata: &[u8]) -> Vec<u8> {
        let numbers = [self.spec.to_le_bytes(), self.transaction.to_le_bytes()].concat();
        let mut head = [&MAGIC[..], &self.genesis, &self.code, &numbers].concat();
        let sum = sp_crypto_hashing::blake2_256(&[&head[..], metadata].concat());
        head.extend(sum);
        head
    }
}

/// The metadata stored under a key; a file that holds anything else is removed.
pub fn load(folder: &Path, key: &Key) -> Option<Vec<u8>> {
    let path = key.file(folder);
    let file = fs::File::open(&path).ok()?;
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    let length = key.head(&[]).len();
    let metadata = bytes.split_off_checked(length);
    if read.is_ok() && metadata.as_ref().is_some_and(|metadata| key.head(metadata) == bytes) {
        return metadata;
    }
    tracing::debug!(path = %path.display(), "the kept metadata is damaged: fetching it anew");
    forget(folder, key);
    None
}

/// Removes what is stored under a key.
pub fn forget(folder: &Path, key: &Key) {
    let _ = fs::remove_file(key.file(folder));
}

/// Stores metadata, and removes the oldest files beyond the limit.
pub fn store(folder: &Path, key: &Key, metadata: &[u8]) {
    if metadata.len() as u64 > LARGEST / 2 {
        return;
    }
    if let Err(error) = write(folder, key, metadata) {
        tracing::debug!(folder = %folder.display(), %error, "metadata cannot be kept");
    }
}

fn write(folder: &Path, key: &Key, metadata: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = key.file(folder);
    // Another process may store or load the same: each writes its own file and renames it, and nobody sees half of one.
    let mine = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&mine, [&key.head(metadata)[..], metadata].concat())?;
    fs::rename(&mine, &path)?;
    let mut files: Vec<_> = fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "scale" || kind == "part"))
        .filter(|other| *other != path)
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .collect();
    files.sort();
    let surplus = (files.len() + 1).saturating_sub(KEPT);
    for (_, path) in files.into_iter().take(surplus) {
        let _ = fs::remove_file(path);
    }
    Ok(())
}

/// `Vec::split_off` that cannot panic.
trait SplitOff: Sized {
    fn split_off_checked(&mut self, at: usize) -> Option<Self>;
}

impl SplitOff for Vec<u8> {
    fn split_off_checked(&mut self, at: usize) -> Option<Self> {
        (at <= self.len()).then(|| self.split_off(at))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn key(spec: u32) -> Key {
        Key { genesis: [1; 32], spec, transaction: 1, code: [2; 32] }
    }

    #[test]
    fn whatever_happened_to_the_file_only_what_was_stored_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, key) = (dir.path(), key(7));
        assert_eq!(load(folder, &key), None);
        store(folder, &key, b"metadata");
        assert_eq!(load(folder, &key).as_deref(), Some(&b"metadata"[..]));
        let path = key.file(folder);
        let whole = fs::read(&path).unwrap();
        for broken in 0..=2 * whole.len() {
            let mut bytes = whole.clone();
            match bytes.get_mut(broken) {
                Some(byte) => *byte ^= 1,
                None => bytes.truncate(2 * whole.len() - broken),
            }
            if bytes == whole {
                continue;
            }
            fs::write(&path, &bytes).unwrap();
            assert_eq!(load(folder, &key), None, "{broken}");
            assert!(!path.exists(), "a damaged file is dropped");
        }
        // Another code under the same versions, and a key whose file name would be the same.
        store(folder, &key, b"metadata");
        assert_eq!(load(folder, &Key { code: [3; 32], ..key }), None);
        let mut twin = key;
        twin.code[31] = 9;
        assert_eq!(twin.file(folder), key.file(folder));
        assert_eq!(load(folder, &twin), None);
    }

    #[test]
    fn the_newest_files_are_kept_and_the_limit_holds() {
        let dir = tempfile::tempdir().unwrap();
        for spec in 0..20 {
            store(dir.path(), &key(spec), &[spec as u8; 100]);
            let file = fs::File::options().append(true).open(key(spec).file(dir.path())).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(spec.into());
            file.set_modified(time).unwrap();
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), KEPT);
        assert!(load(dir.path(), &key(19)).is_some() && load(dir.path(), &key(12)).is_some());
        assert_eq!(load(dir.path(), &key(11)), None);
        // Somebody else's files are nobody's business, and a folder that cannot be made is no reason to fail.
        store(Path::new("/dev/null/cache"), &key(1), b"x");
        store(dir.path(), &key(99), &vec![0; LARGEST as usize]);
        assert_eq!(load(dir.path(), &key(99)), None);
    }
}
