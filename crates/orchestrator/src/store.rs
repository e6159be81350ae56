//! The ledger on disk: entries in order, each batch in one durable transaction (design D10).
//!
//! Invariant: an append that answered `Ok` is on disk whole, one that did not is there whole or not at all; so a process killed at
//! any instruction finds a ledger that every peer's copy continues from.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use parity_scale_codec::{DecodeAll, Encode};
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use starling_protocol::{
    Digest,
    config::RunConfig,
    ledger::Entry,
    state::{Broken, State},
};

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Bytes of the file kept in memory.
const CACHE: usize = 64 << 20;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("{0} is in use by another orchestrator: stop that one, or give this one a state directory of its own")]
    InUse(PathBuf),
    /// The file cannot be opened.
    #[error(
        "cannot open the ledger {path}: {reason}. Check free disk space and permissions; a damaged file must be restored from a copy"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("the ledger's store failed: {0}. Check free disk space and permissions; nothing that was accepted is lost")]
    Failed(String),
    /// Made by another run.
    #[error("{path} holds the ledger of run {theirs}, this is run {ours}: give this run a state directory of its own")]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// Run in the file.
        theirs: String,
        /// Run asked for.
        ours: Digest,
    },
    /// An entry is missing or does not decode.
    #[error("entry {0} of the ledger on disk is damaged: restore the state directory from a copy")]
    Damaged(u64),
    /// The entries do not follow from each other.
    #[error("the ledger on disk does not keep the rules: {0}. It was written by another version, or altered")]
    Broken(#[from] Broken),
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// The directory is this process's until the file is closed.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let failed = |e: std::io::Error| StoreError::Open { path: path.clone(), reason: e.to_string() };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(directory.to_owned())),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

fn database(path: &Path) -> Result<Database, StoreError> {
    // The integrity check turns a file that was altered from outside into an error instead of a panic.
    let opened = Database::builder().set_cache_size(CACHE).set_check_integrity_on_open(true).create(path);
    opened.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => StoreError::InUse(path.to_owned()),
        other => StoreError::Open { path: path.to_owned(), reason: other.to_string() },
    })
}

/// The ledger's file.
#[derive(Debug)]
pub struct Store {
    database: Database,
    /// Held, not read. None for a database in memory.
    #[allow(dead_code)]
    lock: Option<File>,
}

/// What a store was found to hold: the state that its entries lead to, and the link after each.
#[derive(Debug)]
pub struct Found {
    /// The fold of all entries.
    pub state: State,
    /// Per entry the link of the chain after it.
    pub links: Vec<Digest>,
}

impl Store {
    /// Open or make the ledger of a run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(directory: &Path, config: &RunConfig) -> Result<(Self, Found), StoreError> {
        let lock = lock(directory)?;
        let path = directory.join("ledger.redb");
        if !path.exists() {
            // Made whole beside its place and then moved there: a kill in between leaves nothing half made in it.
            let part = directory.join("ledger.part");
            let io = |e: std::io::Error| StoreError::Open { path: part.clone(), reason: e.to_string() };
            if part.exists() {
                std::fs::remove_file(&part).map_err(io)?;
            }
            drop(Self::with(database(&part)?, &part, config)?);
            std::fs::rename(&part, &path).map_err(io)?;
            File::open(directory).and_then(|d| d.sync_all()).map_err(io)?;
        }
        let (mut store, found) = Self::with(database(&path)?, &path, config)?;
        store.lock = Some(lock);
        Ok((store, found))
    }

    /// As [`Store::open`], in an open database; `path` is for messages.
    pub(crate) fn with(database: Database, path: &Path, config: &RunConfig) -> Result<(Self, Found), StoreError> {
        let ours = config.id();
        let write = database.begin_write().map_err(failed)?;
        {
            let mut meta = write.open_table(META).map_err(failed)?;
            write.open_table(ENTRIES).map_err(failed)?;
            let theirs = meta.get("run").map_err(failed)?.map(|v| v.value().to_vec());
            match theirs {
                Some(bytes) if bytes != ours.0 => {
                    let theirs =
                        Digest::decode_all(&mut &bytes[..]).map_or_else(|_| "unknown".to_owned(), |d| d.to_string());
                    return Err(StoreError::OtherRun { path: path.to_owned(), theirs, ours });
                }
                Some(_) => {}
                None => {
                    meta.insert("run", ours.0.as_slice()).map_err(failed)?;
                }
            }
        }
        write.commit().map_err(failed)?;

        let mut found = Found { state: State::new(config.clone()), links: Vec::new() };
        let read = database.begin_read().map_err(failed)?;
        let table = read.open_table(ENTRIES).map_err(failed)?;
        for row in table.iter().map_err(failed)? {
            let (index, bytes) = row.map_err(failed)?;
            let need = found.links.len() as u64;
            if index.value() != need {
                return Err(StoreError::Damaged(need));
            }
            let entry = Entry::decode_all(&mut bytes.value()).map_err(|_| StoreError::Damaged(need))?;
            // Signatures were checked before the entry was written.
            found.state.apply_trusted(&entry)?;
            found.links.push(found.state.head().link);
        }
        drop((table, read));
        Ok((Self { database, lock: None }, found))
    }

    /// Write entries from index `first` on, durably, all or none.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn append(&self, first: u64, entries: &[Entry]) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(failed)?;
        {
            let mut table = write.open_table(ENTRIES).map_err(failed)?;
            for (index, entry) in (first..).zip(entries) {
                table.insert(index, entry.encode().as_slice()).map_err(failed)?;
            }
        }
        write.commit().map_err(failed)
    }

    /// Entries from `from` on, at most `count` and about `bytes` long together (one at least).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn page(&self, from: u64, count: usize, bytes: usize) -> Result<Vec<Entry>, StoreError> {
        let read = self.database.begin_read().map_err(failed)?;
        let table = read.open_table(ENTRIES).map_err(failed)?;
        let mut entries = Vec::new();
        let mut size = 0;
        for row in table.range(from..).map_err(failed)?.take(count) {
            let (index, value) = row.map_err(failed)?;
            size += value.value().len();
            if size > bytes && !entries.is_empty() {
                break;
            }
            entries.push(Entry::decode_all(&mut value.value()).map_err(|_| StoreError::Damaged(index.value()))?);
        }
        Ok(entries)
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
pub(crate) mod tests;
