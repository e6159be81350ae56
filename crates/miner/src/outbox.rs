//! What a miner must not lose: receipts that are signed and not yet in the ledger, and which blobs it keeps for which epoch.
//!
//! Invariant: a receipt is on disk before anybody can see it, and no sequence number is ever signed twice (design D1, D10). So a
//! miner that is killed sends the same bytes again, and nobody can hold two receipts of one sequence against it.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use parity_scale_codec::{Decode, DecodeAll, Encode};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use starling_keys::{Account, Signer};
use starling_protocol::{
    Digest, Epoch, Stage,
    receipt::{Receipt, Work},
    signed::Signed,
};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const RECEIPTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("receipts");
const BLOBS: TableDefinition<'_, [u8; 32], u32> = TableDefinition::new("blobs");

/// Why the store did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OutboxError {
    /// The file cannot be opened; most often another process has it.
    #[error("cannot open {path}: {reason}. Is another miner running with this state directory?")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("the miner's store failed: {0}. Check free disk space and permissions; nothing that was signed is lost")]
    Failed(String),
    /// Made by another run or hotkey.
    #[error(
        "{path} belongs to {what} {theirs}, this is {ours}: give every run and hotkey a state directory of its own"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// `run` or `hotkey`.
        what: &'static str,
        /// In the file.
        theirs: String,
        /// Here.
        ours: String,
    },
    /// A record does not decode.
    #[error(
        "a record ({0}) in the miner's store is damaged: move the state directory away, wait until the ledger shows all of this hotkey's receipts, and start afresh"
    )]
    Damaged(&'static str),
    /// The ledger lacks receipts that it had accepted.
    #[error(
        "the ledger ends at receipt {ledger} of this hotkey, but {signed} were signed and handed in: the orchestrator lost or hides entries; signing again would look like fraud. Ask the run's owner"
    )]
    Lost {
        /// Receipts in the ledger.
        ledger: u64,
        /// Receipts signed.
        signed: u64,
    },
    /// The ledger holds a receipt of this hotkey that this process did not sign.
    #[error(
        "the ledger holds another receipt {0} of this hotkey than the one signed here: a second miner runs with the same hotkey. Stop one of them"
    )]
    Twin(u64),
}

fn failed(error: impl std::fmt::Display) -> OutboxError {
    OutboxError::Failed(error.to_string())
}

/// Where a chain of receipts stands in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Receipts.
    pub count: u64,
    /// Link of the last.
    pub link: Digest,
}

struct Waiting {
    receipt: Signed<Receipt>,
    link: Digest,
}

/// The store; cheap to share behind an `Arc`.
pub struct Outbox {
    database: Database,
    run: Digest,
    account: Account,
    waiting: Mutex<VecDeque<Waiting>>,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Outbox {
    /// Open or make the store of a run and a hotkey in `directory`.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn open(directory: &Path, run: Digest, account: Account) -> Result<Self, OutboxError> {
        let path = directory.join("miner.redb");
        let database =
            Database::create(&path).map_err(|e| OutboxError::Open { path: path.clone(), reason: e.to_string() })?;
        let foreign =
            |what, theirs: String, ours: String| OutboxError::Foreign { path: path.clone(), what, theirs, ours };
        let mut waiting = VecDeque::new();
        let write = database.begin_write().map_err(failed)?;
        {
            write.open_table(BLOBS).map_err(failed)?;
            let mut meta = write.open_table(META).map_err(failed)?;
            match read::<Digest>(&meta, "run")? {
                Some(theirs) if theirs != run => return Err(foreign("run", theirs.to_string(), run.to_string())),
                Some(_) => {}
                None => drop(meta.insert("run", run.encode().as_slice()).map_err(failed)?),
            }
            match read::<Account>(&meta, "hotkey")? {
                Some(theirs) if theirs != account => {
                    return Err(foreign("hotkey", theirs.to_string(), account.to_string()));
                }
                Some(_) => {}
                None => drop(meta.insert("hotkey", account.encode().as_slice()).map_err(failed)?),
            }
            for row in write.open_table(RECEIPTS).map_err(failed)?.iter().map_err(failed)? {
                let (_, bytes) = row.map_err(failed)?;
                let receipt =
                    Signed::<Receipt>::decode_all(&mut bytes.value()).map_err(|_| OutboxError::Damaged("a receipt"))?;
                let link = receipt.body.link(&account);
                waiting.push_back(Waiting { receipt, link });
            }
        }
        write.commit().map_err(failed)?;
        Ok(Self { database, run, account, waiting: Mutex::new(waiting) })
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receipts signed and not yet seen in the ledger, oldest first.
    #[must_use]
    pub fn pending(&self) -> Vec<Signed<Receipt>> {
        self.waiting().iter().map(|w| w.receipt.clone()).collect()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting().len()
    }

    /// True if everything signed is in the ledger.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    /// Sign the next receipt of the chain. It is on disk when this returns. `ledger` is where the chain stands in the ledger, which
    /// must have been reconciled before.
    ///
    /// # Errors
    /// [`OutboxError`]; then nothing was signed.
    pub fn sign(
        &self,
        signer: &dyn Signer,
        ledger: Standing,
        epoch: Epoch,
        stage: Stage,
        work: Work,
    ) -> Result<Signed<Receipt>, OutboxError> {
        let mut waiting = self.waiting();
        let (sequence, previous) = match waiting.back() {
            Some(last) => (last.receipt.body.sequence + 1, last.link),
            None => (ledger.count, ledger.link),
        };
        let write = self.database.begin_write().map_err(failed)?;
        let receipt = {
            let mut meta = write.open_table(META).map_err(failed)?;
            let signed = read::<u64>(&meta, "signed")?.unwrap_or(0);
            // The number is used up before the signature exists.
            if sequence < signed {
                return Err(OutboxError::Lost { ledger: sequence, signed });
            }
            meta.insert("signed", (sequence + 1).encode().as_slice()).map_err(failed)?;
            let receipt = Signed::new(Receipt { run: self.run, epoch, stage, sequence, previous, work }, signer);
            write
                .open_table(RECEIPTS)
                .map_err(failed)?
                .insert(sequence, receipt.encode().as_slice())
                .map_err(failed)?;
            receipt
        };
        write.commit().map_err(failed)?;
        let link = receipt.body.link(&self.account);
        waiting.push_back(Waiting { receipt: receipt.clone(), link });
        Ok(receipt)
    }

    /// Forget receipts that stand in the ledger. Call it with the newest standing whenever the ledger has grown, and before the
    /// first signature of a process, with the ledger read to its end.
    ///
    /// # Errors
    /// [`OutboxError::Lost`] if the ledger lacks what it had, [`OutboxError::Twin`] if somebody else signs with this hotkey.
    pub fn reconcile(&self, ledger: Standing) -> Result<(), OutboxError> {
        let mut waiting = self.waiting();
        let filed = waiting.iter().take_while(|w| w.receipt.body.sequence < ledger.count).count();
        if filed > 0 {
            if let Some(last) =
                waiting.get(filed - 1).filter(|w| w.receipt.body.sequence + 1 == ledger.count && w.link != ledger.link)
            {
                return Err(OutboxError::Twin(last.receipt.body.sequence));
            }
            let write = self.database.begin_write().map_err(failed)?;
            {
                let mut receipts = write.open_table(RECEIPTS).map_err(failed)?;
                for w in waiting.iter().take(filed) {
                    receipts.remove(w.receipt.body.sequence).map_err(failed)?;
                }
            }
            write.commit().map_err(failed)?;
            waiting.drain(..filed);
        }
        match waiting.front() {
            Some(first) if first.receipt.body.sequence > ledger.count => {
                Err(OutboxError::Lost { ledger: ledger.count, signed: first.receipt.body.sequence })
            }
            Some(first) if first.receipt.body.previous != ledger.link => Err(OutboxError::Twin(ledger.count)),
            Some(_) => Ok(()),
            None => {
                let signed = self.signed()?;
                if signed > ledger.count { Err(OutboxError::Lost { ledger: ledger.count, signed }) } else { Ok(()) }
            }
        }
    }

    fn signed(&self) -> Result<u64, OutboxError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let meta = transaction.open_table(META).map_err(failed)?;
        Ok(read::<u64>(&meta, "signed")?.unwrap_or(0))
    }

    /// Note that blobs are kept for `epoch` (the newest note wins). Written with the next durable transaction: what a crash
    /// forgets is a blob kept for too long.
    ///
    /// # Errors
    /// [`OutboxError::Failed`].
    pub fn track(&self, epoch: Epoch, digests: &[Digest]) -> Result<(), OutboxError> {
        let mut write = self.database.begin_write().map_err(failed)?;
        write.set_durability(Durability::None).map_err(failed)?;
        {
            let mut blobs = write.open_table(BLOBS).map_err(failed)?;
            for digest in digests {
                let known = blobs.get(digest.0).map_err(failed)?.map(|e| e.value());
                if known.is_none_or(|e| e < epoch) {
                    blobs.insert(digest.0, epoch).map_err(failed)?;
                }
            }
        }
        write.commit().map_err(failed)
    }

    /// Blobs noted for epochs up to `epoch`, to be removed from the blob store, and then here by [`Outbox::untrack`].
    ///
    /// # Errors
    /// [`OutboxError::Failed`].
    pub fn tracked(&self, epoch: Epoch) -> Result<Vec<Digest>, OutboxError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let blobs = transaction.open_table(BLOBS).map_err(failed)?;
        let mut found = Vec::new();
        for row in blobs.iter().map_err(failed)? {
            let (digest, noted) = row.map_err(failed)?;
            if noted.value() <= epoch {
                found.push(Digest(digest.value()));
            }
        }
        Ok(found)
    }

    /// Forget notes.
    ///
    /// # Errors
    /// [`OutboxError::Failed`].
    pub fn untrack(&self, digests: &[Digest]) -> Result<(), OutboxError> {
        let write = self.database.begin_write().map_err(failed)?;
        {
            let mut blobs = write.open_table(BLOBS).map_err(failed)?;
            for digest in digests {
                blobs.remove(digest.0).map_err(failed)?;
            }
        }
        write.commit().map_err(failed)
    }
}

fn read<T: Decode>(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &'static str,
) -> Result<Option<T>, OutboxError> {
    match meta.get(key).map_err(failed)? {
        Some(bytes) => T::decode_all(&mut bytes.value()).map(Some).map_err(|_| OutboxError::Damaged(key)),
        None => Ok(None),
    }
}
