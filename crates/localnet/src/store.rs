//! The chain on disk: blocks and trie nodes, one transaction per block, so that `kill -9` loses at most the block in the making.

use std::path::{Path, PathBuf};

use parity_scale_codec::{Decode, Encode};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use starling_runtime::Header;

use crate::{LocalnetError, execute::Changes};

const BLOCKS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("blocks");
const NODES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("nodes");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Changes when stored data can no longer be read as it was.
const FORMAT: u32 = 1;

/// A stored block.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Stored {
    pub header: Header,
    pub extrinsics: Vec<Vec<u8>>,
}

pub struct Store {
    database: Database,
    path: PathBuf,
}

/// What a store held.
pub struct Held {
    pub blocks: Vec<Stored>,
    pub nodes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Store {
    pub fn open(directory: &Path) -> Result<(Self, Held), LocalnetError> {
        let path = directory.join("chain.redb");
        let failed =
            |reason: &dyn std::fmt::Display| LocalnetError::Store { path: path.clone(), reason: reason.to_string() };
        std::fs::create_dir_all(directory).map_err(|e| failed(&e))?;
        let database = Database::create(&path).map_err(|e| failed(&e))?;
        let write = database.begin_write().map_err(|e| failed(&e))?;
        {
            write.open_table(BLOCKS).map_err(|e| failed(&e))?;
            write.open_table(NODES).map_err(|e| failed(&e))?;
            let mut meta = write.open_table(META).map_err(|e| failed(&e))?;
            let format = meta.get("format").map_err(|e| failed(&e))?.map(|v| v.value().to_vec());
            match format {
                None => {
                    meta.insert("format", FORMAT.encode().as_slice()).map_err(|e| failed(&e))?;
                }
                Some(bytes) if bytes == FORMAT.encode() => {}
                Some(_) => return Err(failed(&"the folder was written by another version: use a new one")),
            }
        }
        write.commit().map_err(|e| failed(&e))?;
        let mut held = Held { blocks: Vec::new(), nodes: Vec::new() };
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
        }
        Ok((Self { database, path }, held))
    }

    /// Write a block with its state, and forget nodes of states too old to be asked for.
    pub fn append(&self, block: &Stored, changes: &Changes, forgotten: &[Vec<u8>]) -> Result<(), LocalnetError> {
        let failed = |reason: &dyn std::fmt::Display| LocalnetError::Store {
            path: self.path.clone(),
            reason: reason.to_string(),
        };
        let write = self.database.begin_write().map_err(|e| failed(&e))?;
        {
            let mut blocks = write.open_table(BLOCKS).map_err(|e| failed(&e))?;
            blocks.insert(block.header.number, block.encode().as_slice()).map_err(|e| failed(&e))?;
            let mut nodes = write.open_table(NODES).map_err(|e| failed(&e))?;
            for key in forgotten {
                nodes.remove(key.as_slice()).map_err(|e| failed(&e))?;
            }
            for (key, value) in &changes.inserted {
                nodes.insert(key.as_slice(), value.as_slice()).map_err(|e| failed(&e))?;
            }
        }
        write.commit().map_err(|e| failed(&e))
    }
}
