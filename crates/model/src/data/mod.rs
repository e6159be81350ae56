//! Text to token shards, shards to samples.
//!
//! A corpus is a [`Manifest`] and token shards, all canonical blobs named by their BLAKE3 digest. Which tokens sample *i* of a run
//! consists of is a pure function of manifest, seed and *i* ([`sampling`]), so an auditor knows a sample without being told.

mod corpus;
mod sampling;
mod tokenizer;

pub use corpus::{Corpus, Manifest, Shard, Skipped};
pub use sampling::{Window, batch, sample};
pub use tokenizer::Tokenizer;
