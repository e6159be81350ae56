//! What a keeper must not lose: the commit that is not revealed yet. Its salt exists nowhere else.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use parity_scale_codec::{Decode, DecodeAll, Encode};

/// Weights committed by hash and not yet seen revealed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PendingCommit {
    /// Uids weighed.
    pub uids: Vec<u16>,
    /// Their weights.
    pub values: Vec<u16>,
    /// Drawn for this commit.
    pub salt: Vec<u16>,
    /// Weights version key.
    pub version_key: u64,
    /// The chain's epoch in which it was committed; none until the chain confirmed it.
    pub epoch: Option<u64>,
}

/// The store failed: nothing may be sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreFailure(pub String);

/// Where the pending commit is kept; what is set is on disk when the call returns.
pub trait CommitStore: Send + Sync {
    /// The commit that waits for its reveal.
    ///
    /// # Errors
    /// [`StoreFailure`].
    fn pending(&self) -> Result<Option<PendingCommit>, StoreFailure>;

    /// Replace it, or forget it.
    ///
    /// # Errors
    /// [`StoreFailure`]; then the old one stands.
    fn set_pending(&self, pending: Option<&PendingCommit>) -> Result<(), StoreFailure>;
}

/// One file in a folder of its own, which one process at a time may use.
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
    /// Given back when the process ends, however it ends.
    _lock: File,
}

/// Longest record read, bytes: 65,536 uids and weights and their salt.
const MAX_RECORD: u64 = 1 << 20;

impl FileStore {
    /// Open or make the folder.
    ///
    /// # Errors
    /// [`StoreFailure`] in words: another process has it, or the disk refuses.
    pub fn open(folder: &Path) -> Result<Self, StoreFailure> {
        let failed = |e: std::io::Error| StoreFailure(format!("cannot use {} as state folder: {e}", folder.display()));
        fs::create_dir_all(folder).map_err(failed)?;
        let lock =
            OpenOptions::new().create(true).write(true).truncate(false).open(folder.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(StoreFailure(format!(
                "{} is in use by another process: two keepers of one hotkey would undo each other's commits",
                folder.display()
            ))),
            Err(fs::TryLockError::Error(e)) => Err(failed(e)),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("pending-commit")
    }

    fn failed(&self, error: &std::io::Error) -> StoreFailure {
        StoreFailure(format!("{} failed: {error}. Check free disk space and permissions", self.path().display()))
    }
}

impl CommitStore for FileStore {
    fn pending(&self) -> Result<Option<PendingCommit>, StoreFailure> {
        let damaged = || {
            StoreFailure(format!(
                "{} is damaged: the commit in it can no longer be revealed. Move the file away; the keeper commits anew",
                self.path().display()
            ))
        };
        match fs::metadata(self.path()) {
            Ok(metadata) if metadata.len() > MAX_RECORD => return Err(damaged()),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed(&e)),
        }
        let bytes = fs::read(self.path()).map_err(|e| self.failed(&e))?;
        PendingCommit::decode_all(&mut bytes.as_slice()).map(Some).map_err(|_| damaged())
    }

    fn set_pending(&self, pending: Option<&PendingCommit>) -> Result<(), StoreFailure> {
        let write = || -> std::io::Result<()> {
            let Some(pending) = pending else {
                return match fs::remove_file(self.path()) {
                    Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
                    _ => Ok(()),
                };
            };
            let temporary = self.folder.join("pending-commit.tmp");
            let mut options = OpenOptions::new();
            options.create(true).write(true).truncate(true);
            // The salt is a secret until the reveal: whoever knows it can guess the weights.
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&temporary)?;
            file.write_all(&pending.encode())?;
            file.sync_all()?;
            fs::rename(&temporary, self.path())
        };
        let synced = || File::open(&self.folder).and_then(|folder| folder.sync_all());
        write().and_then(|()| synced()).map_err(|e| self.failed(&e))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_commit_survives_and_is_forgotten_when_told_and_one_process_has_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(dir.path()).unwrap();
        assert_eq!(store.pending().unwrap(), None);
        let pending =
            PendingCommit { uids: vec![1], values: vec![2], salt: vec![3; 8], version_key: 4, epoch: Some(5) };
        store.set_pending(Some(&pending)).unwrap();
        assert!(FileStore::open(dir.path()).unwrap_err().0.contains("in use"));
        drop(store);
        let store = FileStore::open(dir.path()).unwrap();
        assert_eq!(store.pending().unwrap(), Some(pending));
        let bytes = fs::read(store.path()).unwrap();
        for cut in 0..bytes.len() {
            fs::write(store.path(), &bytes[..cut]).unwrap();
            assert!(store.pending().unwrap_err().0.contains("damaged"), "{cut}");
        }
        store.set_pending(None).unwrap();
        store.set_pending(None).unwrap();
        assert_eq!(store.pending().unwrap(), None);
    }
}
