//! What a validator must not lose: scores of past epochs and weight commits that are not revealed yet (design D10).
//!
//! One redb file in the state directory. A commit's salt exists nowhere else: lost, it can never be revealed, and the epoch's
//! income with it; so it is durable before the extrinsic is sent.

use std::path::{Path, PathBuf};

use parity_scale_codec::{Decode, DecodeAll, Encode};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use starling_incentive::score::EpochWork;
use starling_keeper::{CommitStore, PendingCommit, StoreFailure};
use starling_protocol::{Digest, Epoch};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const SCORES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("scores");

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened; most often another process has it.
    #[error("cannot open {path}: {reason}. Is another validator running with this state directory?")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("the validator's store failed: {0}. Check free disk space and permissions")]
    Failed(String),
    /// Made by another run.
    #[error("{path} belongs to run {theirs:?}, this is run {ours:?}: give this run a state directory of its own")]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// Run in the file.
        theirs: Digest,
        /// Run asked for.
        ours: Digest,
    },
    /// A record does not decode.
    #[error("a record ({0}) in the validator's store is damaged: move the state directory away and start afresh")]
    Damaged(&'static str),
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// The store.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Open or make the store of `run` in `directory`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(directory: &Path, run: Digest) -> Result<Self, StoreError> {
        let path = directory.join("validator.redb");
        let database =
            Database::create(&path).map_err(|e| StoreError::Open { path: path.clone(), reason: e.to_string() })?;
        let store = Self { database };
        match store.meta::<Digest>("run")? {
            Some(theirs) if theirs != run => Err(StoreError::OtherRun { path, theirs, ours: run }),
            Some(_) => Ok(store),
            None => {
                store.set_meta("run", Some(&run))?;
                let write = store.database.begin_write().map_err(failed)?;
                write.open_table(SCORES).map_err(failed)?;
                write.commit().map_err(failed)?;
                Ok(store)
            }
        }
    }

    fn meta<T: Decode>(&self, key: &'static str) -> Result<Option<T>, StoreError> {
        let read = self.database.begin_read().map_err(failed)?;
        let table = match read.open_table(META) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        match table.get(key).map_err(failed)? {
            Some(bytes) => T::decode_all(&mut bytes.value()).map(Some).map_err(|_| StoreError::Damaged(key)),
            None => Ok(None),
        }
    }

    fn set_meta<T: Encode>(&self, key: &'static str, value: Option<&T>) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(failed)?;
        {
            let mut table = write.open_table(META).map_err(failed)?;
            match value {
                Some(v) => table.insert(key, v.encode().as_slice()).map_err(failed)?,
                None => table.remove(key).map_err(failed)?,
            };
        }
        write.commit().map_err(failed)
    }

    /// Keep an epoch's scores.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_scores(&self, epoch: Epoch, scores: &EpochWork) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(failed)?;
        write.open_table(SCORES).map_err(failed)?.insert(epoch, scores.encode().as_slice()).map_err(failed)?;
        write.commit().map_err(failed)
    }

    /// All epochs' scores, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn scores(&self) -> Result<Vec<(Epoch, EpochWork)>, StoreError> {
        let read = self.database.begin_read().map_err(failed)?;
        let table = read.open_table(SCORES).map_err(failed)?;
        let mut all = Vec::new();
        for row in table.iter().map_err(failed)? {
            let (epoch, bytes) = row.map_err(failed)?;
            all.push((
                epoch.value(),
                EpochWork::decode_all(&mut bytes.value()).map_err(|_| StoreError::Damaged("scores"))?,
            ));
        }
        Ok(all)
    }
}

impl CommitStore for Store {
    fn commits(&self) -> Result<Vec<PendingCommit>, StoreFailure> {
        self.meta("commits").map(Option::unwrap_or_default).map_err(|e| StoreFailure(e.to_string()))
    }

    fn set_commits(&self, commits: &[PendingCommit]) -> Result<(), StoreFailure> {
        self.set_meta("commits", Some(&commits.to_vec())).map_err(|e| StoreFailure(e.to_string()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_and_its_salt_outlive_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let run = Digest::of(b"run");
        let pending = PendingCommit {
            uids: vec![1, 2],
            values: vec![65535, 3],
            version_key: 0,
            secret: starling_keeper::Secret::Salt(vec![7; 8]),
            stored_at: 3,
            stands: Some((4, 5)),
        };
        Store::open(dir.path(), run).unwrap().set_commits(std::slice::from_ref(&pending)).unwrap();
        assert_eq!(Store::open(dir.path(), run).unwrap().commits().unwrap(), [pending]);
    }

    #[test]
    fn another_runs_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path(), Digest::of(b"one")).unwrap());
        assert!(matches!(Store::open(dir.path(), Digest::of(b"two")), Err(StoreError::OtherRun { .. })));
    }

    #[test]
    fn a_second_process_on_one_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Store::open(dir.path(), Digest::of(b"one")).unwrap();
        assert!(matches!(Store::open(dir.path(), Digest::of(b"one")), Err(StoreError::Open { .. })));
    }

    #[test]
    fn scores_come_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Digest::ZERO).unwrap();
        let one = EpochWork { epoch: 1, miners: Vec::new() };
        store.set_scores(1, &one).unwrap();
        store.set_scores(0, &EpochWork::default()).unwrap();
        assert_eq!(store.scores().unwrap(), vec![(0, EpochWork::default()), (1, one)]);
    }
}
