//! What a keeper must not lose: the commits that are not revealed yet. Their secrets exist nowhere else.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use parity_scale_codec::{Decode, DecodeAll, Encode};

/// What the commit hides the weights with.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Secret {
    /// Committed by hash with this salt: we reveal it ourselves.
    Salt(Vec<u16>),
    /// Encrypted to a round of the beacon: the chain reveals it.
    Sealed {
        /// The very bytes that were sent.
        bytes: Vec<u8>,
        /// The round that opens them.
        round: u64,
    },
}

/// Weights committed and not yet seen revealed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PendingCommit {
    /// Uids weighed.
    pub uids: Vec<u16>,
    /// Their weights.
    pub values: Vec<u16>,
    /// Weights version key.
    pub version_key: u64,
    /// Drawn for this commit.
    pub secret: Secret,
    /// The newest block when it was stored, before it was sent.
    pub stored_at: u32,
    /// Where it stands: the chain's epoch and block; none until the chain confirmed it.
    pub stands: Option<(u64, u32)>,
}

/// The store failed: nothing may be sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreFailure(pub String);

/// Where pending commits are kept; what is set is on disk when the call returns.
pub trait CommitStore: Send + Sync {
    /// The commits that wait for their reveal, oldest first.
    ///
    /// # Errors
    /// [`StoreFailure`].
    fn commits(&self) -> Result<Vec<PendingCommit>, StoreFailure>;

    /// Replace them.
    ///
    /// # Errors
    /// [`StoreFailure`]; then the old ones stand.
    fn set_commits(&self, commits: &[PendingCommit]) -> Result<(), StoreFailure>;
}

/// One file in a folder of its own, which one process at a time may use.
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
    /// Given back when the process ends, however it ends.
    _lock: File,
}

/// Longest record read, bytes: a hundred commits (the longest reveal period) of 4,096 uids and weights.
const MAX_RECORD: u64 = 4 << 20;

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
        self.folder.join("commits")
    }

    fn failed(&self, error: &std::io::Error) -> StoreFailure {
        StoreFailure(format!("{} failed: {error}. Check free disk space and permissions", self.path().display()))
    }
}

impl CommitStore for FileStore {
    fn commits(&self) -> Result<Vec<PendingCommit>, StoreFailure> {
        let damaged = || {
            StoreFailure(format!(
                "{} is damaged: the commits in it can no longer be revealed. Move the file away; the keeper commits anew",
                self.path().display()
            ))
        };
        match fs::metadata(self.path()) {
            Ok(metadata) if metadata.len() > MAX_RECORD => return Err(damaged()),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.failed(&e)),
        }
        let bytes = fs::read(self.path()).map_err(|e| self.failed(&e))?;
        Vec::decode_all(&mut bytes.as_slice()).map_err(|_| damaged())
    }

    fn set_commits(&self, commits: &[PendingCommit]) -> Result<(), StoreFailure> {
        let write = || -> std::io::Result<()> {
            let temporary = self.folder.join("commits.tmp");
            let mut options = OpenOptions::new();
            options.create(true).write(true).truncate(true);
            // Salts and weights are secrets until the reveal.
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&temporary)?;
            file.write_all(&commits.encode())?;
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
    fn pending_commits_survive_and_are_forgotten_when_told_and_one_process_has_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(dir.path()).unwrap();
        assert_eq!(store.commits().unwrap(), []);
        let by_hash = PendingCommit {
            uids: vec![1],
            values: vec![2],
            version_key: 4,
            secret: Secret::Salt(vec![3; 8]),
            stored_at: 9,
            stands: Some((5, 10)),
        };
        let sealed =
            PendingCommit { secret: Secret::Sealed { bytes: vec![1; 300], round: 7 }, stands: None, ..by_hash.clone() };
        let both = [by_hash, sealed];
        store.set_commits(&both).unwrap();
        assert!(FileStore::open(dir.path()).unwrap_err().0.contains("in use"));
        drop(store);
        let store = FileStore::open(dir.path()).unwrap();
        assert_eq!(store.commits().unwrap(), both);
        let bytes = fs::read(store.path()).unwrap();
        for cut in 0..bytes.len() {
            fs::write(store.path(), &bytes[..cut]).unwrap();
            assert!(store.commits().unwrap_err().0.contains("damaged"), "{cut}");
        }
        store.set_commits(&[]).unwrap();
        assert_eq!(store.commits().unwrap(), []);
    }
}
