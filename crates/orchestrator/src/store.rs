//! The ledger on disk: entries in order, each batch in one durable transaction (design D10).
//!
//! Invariant: an entry is on disk before any peer sees it or is told that its message was accepted; so whatever a peer has read,
//! a restarted orchestrator still knows.

use std::path::{Path, PathBuf};

use parity_scale_codec::{DecodeAll, Encode};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use starling_protocol::{
    Digest,
    config::RunConfig,
    ledger::Entry,
    state::{Broken, State},
};

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened; most often another process has it.
    #[error("cannot open {path}: {reason}. Is another orchestrator running with this state directory?")]
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
        theirs: Digest,
        /// Run asked for.
        ours: Digest,
    },
    /// An entry does not decode.
    #[error("entry {0} of the ledger on disk is damaged: restore the state directory from a copy")]
    Damaged(u64),
    /// The entries do not follow from each other.
    #[error("the ledger on disk does not keep the rules: {0}")]
    Broken(#[from] Broken),
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// The ledger's file.
#[derive(Debug)]
pub struct Store {
    database: Database,
    length: u64,
}

impl Store {
    /// Open or make the ledger of a run; answers with the state that its entries lead to and the link after each.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(directory: &Path, config: &RunConfig) -> Result<(Self, State, Vec<Digest>), StoreError> {
        let path = directory.join("ledger.redb");
        let database = Database::create(&path).map_err(|e| StoreError::Open { path: path.clone(), reason: e.to_string() })?;
        let ours = config.id();
        {
            let write = database.begin_write().map_err(failed)?;
            {
                let mut meta = write.open_table(META).map_err(failed)?;
                write.open_table(ENTRIES).map_err(failed)?;
                let theirs = meta.get("run").map_err(failed)?.map(|v| v.value().to_vec());
                match theirs {
                    Some(bytes) if bytes != ours.0 => {
                        let theirs = Digest::decode_all(&mut &bytes[..]).unwrap_or_default();
                        return Err(StoreError::OtherRun { path, theirs, ours });
                    }
                    Some(_) => {}
                    None => {
                        meta.insert("run", ours.0.as_slice()).map_err(failed)?;
                    }
                }
            }
            write.commit().map_err(failed)?;
        }
        let mut state = State::new(config.clone());
        let mut links = Vec::new();
        {
            let read = database.begin_read().map_err(failed)?;
            let table = read.open_table(ENTRIES).map_err(failed)?;
            for row in table.iter().map_err(failed)? {
                let (index, bytes) = row.map_err(failed)?;
                let entry = Entry::decode_all(&mut bytes.value()).map_err(|_| StoreError::Damaged(index.value()))?;
                state.apply_trusted(&entry)?;
                links.push(state.head().link);
            }
        }
        Ok((Self { database, length: links.len() as u64 }, state, links))
    }

    /// Append entries durably, all or none.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; then none is on disk.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let write = self.database.begin_write().map_err(failed)?;
        {
            let mut table = write.open_table(ENTRIES).map_err(failed)?;
            for (index, entry) in (self.length..).zip(entries) {
                table.insert(index, entry.encode().as_slice()).map_err(failed)?;
            }
        }
        write.commit().map_err(failed)?;
        self.length += entries.len() as u64;
        Ok(())
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
