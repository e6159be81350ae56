//! The chain on disk: blocks and trie nodes, one transaction per block, so that `kill -9` loses at most the block in the making.
//!
//! Invariant: what is committed is a whole chain from its genesis, with the nodes of every state that may be asked for.

use std::path::{Path, PathBuf};

use parity_scale_codec::{Decode, Encode};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use starling_runtime::Header;

use crate::{LocalnetError, execute::Changes};

const BLOCKS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("blocks");
const NODES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("nodes");
/// Keys of the nodes that a block inserted and replaced, while its state may still be asked for.
const JOURNAL: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("journal");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Changes when stored data can no longer be read as it was.
const FORMAT: u32 = 2;

/// A stored block.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Stored {
    pub header: Header,
    pub extrinsics: Vec<Vec<u8>>,
}

/// Keys of nodes.
pub type Keys = Vec<Vec<u8>>;

/// What the newest block makes superfluous.
#[derive(Debug, Default)]
pub struct Forgotten {
    pub nodes: Keys,
    /// Blocks whose journal is done with.
    pub blocks: Vec<u32>,
}

pub struct Store {
    database: Database,
    path: PathBuf,
}

/// What a store held.
#[derive(Default)]
pub struct Held {
    pub blocks: Vec<Stored>,
    pub nodes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Number of a block, keys it inserted, keys it replaced.
    pub journal: Vec<(u32, Keys, Keys)>,
}

impl Store {
    /// Open or begin the chain in a folder; `runtime` stands for the interface that its states are written for.
    pub fn open(directory: &Path, runtime: &[u8]) -> Result<(Self, Held), LocalnetError> {
        let path = directory.join("chain.redb");
        let failed =
            |reason: &dyn std::fmt::Display| LocalnetError::Store { path: path.clone(), reason: reason.to_string() };
        std::fs::create_dir_all(directory).map_err(|e| failed(&e))?;
        let database = Database::create(&path).map_err(|e| failed(&e))?;
        let write = database.begin_write().map_err(|e| failed(&e))?;
        {
            write.open_table(BLOCKS).map_err(|e| failed(&e))?;
            write.open_table(NODES).map_err(|e| failed(&e))?;
            write.open_table(JOURNAL).map_err(|e| failed(&e))?;
            let mut meta = write.open_table(META).map_err(|e| failed(&e))?;
            let read = |name: &str| meta.get(name).map(|found| found.map(|value| value.value().to_vec()));
            match (read("format").map_err(|e| failed(&e))?, read("runtime").map_err(|e| failed(&e))?) {
                (None, _) => {
                    meta.insert("format", FORMAT.encode().as_slice()).map_err(|e| failed(&e))?;
                    meta.insert("runtime", runtime).map_err(|e| failed(&e))?;
                }
                (Some(format), Some(held)) if format == FORMAT.encode() && held == runtime => {}
                _ => {
                    return Err(LocalnetError::OtherChain {
                        path,
                        reason: "it was written by another version of this program".into(),
                    });
                }
            }
        }
        write.commit().map_err(|e| failed(&e))?;
        let mut held = Held::default();
        {
            let read = database.begin_read().map_err(|e| failed(&e))?;
            for row in read.open_table(BLOCKS).map_err(|e| failed(&e))?.iter().map_err(|e| failed(&e))? {
                let (_, bytes) = row.map_err(|e| failed(&e))?;
                held.blocks.push(Stored::decode(&mut bytes.value()).map_err(|e| failed(&e))?);
            }
            for row in read.open_table(NODES).map_err(|e| failed(&e))?.iter().map_err(|e| failed(&e))? {
                let (key, value) = row.map_err(|e| failed(&e))?;
                held.nodes.push((key.value().to_vec(), value.value().to_vec()));
            }
            for row in read.open_table(JOURNAL).map_err(|e| failed(&e))?.iter().map_err(|e| failed(&e))? {
                let (number, bytes) = row.map_err(|e| failed(&e))?;
                let (inserted, removed) = Decode::decode(&mut bytes.value()).map_err(|e| failed(&e))?;
                held.journal.push((number.value(), inserted, removed));
            }
        }
        Ok((Self { database, path }, held))
    }

    /// That what was held is one chain and begins with this genesis.
    pub fn check(&self, held: &Held, genesis: &Header) -> Result<(), LocalnetError> {
        let mut parent: Option<&Header> = None;
        for (number, block) in held.blocks.iter().enumerate() {
            // After genesis a forked chain goes on at the number of its snapshot.
            let follows = parent.is_none_or(|parent| {
                let next = block.header.number == parent.number.saturating_add(1);
                block.header.parent_hash == parent.hash() && (next || parent.number == 0)
            });
            if (number == 0 && block.header.number != 0) || !follows {
                return Err(LocalnetError::Store {
                    path: self.path.clone(),
                    reason: format!("block {number} does not follow the one before it; the file is damaged"),
                });
            }
            parent = Some(&block.header);
        }
        match held.blocks.first() {
            Some(first) if first.header != *genesis => Err(LocalnetError::OtherChain {
                path: self.path.clone(),
                reason: format!("its genesis is {:?}, this chain's is {:?}", first.header.hash(), genesis.hash()),
            }),
            _ => Ok(()),
        }
    }

    /// Write a block with its state, and forget nodes that only the states of `forgotten` blocks and older ones need.
    pub fn append(&self, block: &Stored, changes: &Changes, forgotten: &Forgotten) -> Result<(), LocalnetError> {
        let failed = |reason: &dyn std::fmt::Display| LocalnetError::Store {
            path: self.path.clone(),
            reason: reason.to_string(),
        };
        let write = self.database.begin_write().map_err(|e| failed(&e))?;
        {
            let mut blocks = write.open_table(BLOCKS).map_err(|e| failed(&e))?;
            blocks.insert(block.header.number, block.encode().as_slice()).map_err(|e| failed(&e))?;
            let mut nodes = write.open_table(NODES).map_err(|e| failed(&e))?;
            for key in &forgotten.nodes {
                nodes.remove(key.as_slice()).map_err(|e| failed(&e))?;
            }
            for (key, value) in &changes.inserted {
                nodes.insert(key.as_slice(), value.as_slice()).map_err(|e| failed(&e))?;
            }
            let mut journal = write.open_table(JOURNAL).map_err(|e| failed(&e))?;
            for number in &forgotten.blocks {
                journal.remove(number).map_err(|e| failed(&e))?;
            }
            let inserted: Vec<&Vec<u8>> = changes.inserted.iter().map(|(key, _)| key).collect();
            let entry = (inserted, &changes.removed).encode();
            journal.insert(block.header.number, entry.as_slice()).map_err(|e| failed(&e))?;
        }
        write.commit().map_err(|e| failed(&e))
    }
}
