//! Text files to token shards and their manifest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use parity_scale_codec::{Decode, DecodeAll, Encode};
use starling_commitment::{Canonical, Digest};

use crate::{ModelError, Tokenizer, convert::tensor_error, file};

/// Tokens in a shard: 2 MiB of u16.
const SHARD_TOKENS: usize = 1 << 20;
/// Files larger than this are left out.
const MAX_FILE: u64 = 1 << 30;
/// Share of the tokens, at the end, that is never trained on.
const HELD_OUT: u64 = 50;
/// Shards in a manifest at most.
const MAX_SHARDS: usize = 1 << 20;

/// A token shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Shard {
    /// Canonical tensor `[tokens]`, u16 (i64 for vocabularies above 65,536).
    pub digest: Digest,
    /// Its length.
    pub tokens: u64,
}

/// What a corpus consists of.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Manifest {
    /// Token ids are below this.
    pub vocab: u32,
    /// The tokenizer's digest.
    pub tokenizer: Digest,
    /// Tokens in all.
    pub tokens: u64,
    /// Tokens at the end that are held out from training.
    pub held_out: u64,
    /// In order.
    pub shards: Vec<Shard>,
}

impl Manifest {
    /// Read a manifest's bytes.
    ///
    /// # Errors
    /// [`ModelError::Data`] if they are none, or contradict themselves.
    pub fn decode_checked(bytes: &[u8]) -> Result<Self, ModelError> {
        let bad = |why: &str| ModelError::Data(format!("the corpus's manifest is damaged: {why}"));
        let manifest = Self::decode_all(&mut &bytes[..]).map_err(|_| bad("it does not decode"))?;
        let sum = manifest.shards.iter().try_fold(0u64, |n, s| n.checked_add(s.tokens));
        if manifest.shards.len() > MAX_SHARDS || sum != Some(manifest.tokens) || manifest.held_out > manifest.tokens {
            return Err(bad("its numbers do not add up"));
        }
        Ok(manifest)
    }

    /// Tokens that may be trained on.
    #[must_use]
    pub fn training_tokens(&self) -> u64 {
        self.tokens.saturating_sub(self.held_out)
    }
}

/// A file that gave no tokens, and why.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// A corpus on disk: `<digest>` files for shards and manifest.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// What it consists of.
    pub manifest: Manifest,
    /// The manifest's digest: names the corpus.
    pub digest: Digest,
    /// Files left out.
    pub skipped: Vec<Skipped>,
}

impl Corpus {
    /// Tokenize a text file, or all text files below a folder in sorted order, and write blobs named by their digest into `out`.
    /// Needs memory for one file and one shard. A line feed stands between files.
    ///
    /// # Errors
    /// [`ModelError::File`], or [`ModelError::Data`] if there is no text.
    pub fn write(source: &Path, tokenizer: &Tokenizer, out: &Path) -> Result<Self, ModelError> {
        let root = fs::canonicalize(source).map_err(|e| ModelError::file(source, &e))?;
        fs::create_dir_all(out).map_err(|e| ModelError::file(out, &e))?;
        let out = &fs::canonicalize(out).map_err(|e| ModelError::file(out, &e))?;
        let (mut files, mut skipped) = (Vec::new(), Vec::new());
        walk(&root, out, &mut files, &mut skipped)?;

        let between = tokenizer.encode("\n")?;
        let (mut waiting, mut shards) = (Vec::new(), Vec::new());
        for path in files {
            let text = match text(&path) {
                Ok(text) => text,
                Err(reason) => {
                    skipped.push(Skipped { path, reason });
                    continue;
                }
            };
            waiting.extend(tokenizer.encode(&text)?);
            waiting.extend(&between);
            let whole = waiting.len() / SHARD_TOKENS * SHARD_TOKENS;
            for chunk in waiting[..whole].chunks(SHARD_TOKENS) {
                shards.push(write_shard(chunk, tokenizer.vocab(), out)?);
            }
            waiting.drain(..whole);
        }
        if !waiting.is_empty() {
            shards.push(write_shard(&waiting, tokenizer.vocab(), out)?);
        }
        if shards.is_empty() {
            return Err(ModelError::Data(format!(
                "{} holds no text: give a text file, or a folder with some",
                source.display()
            )));
        }
        let tokens = shards.iter().map(|s| s.tokens).sum::<u64>();
        let held_out = tokens / HELD_OUT;
        let manifest = Manifest { vocab: tokenizer.vocab(), tokenizer: tokenizer.digest(), tokens, held_out, shards };
        let bytes = manifest.encode();
        let digest = Digest::of(&bytes);
        file::write(&out.join(digest.to_string()), &bytes)?;
        Ok(Self { manifest, digest, skipped })
    }
}

fn write_shard(ids: &[u32], vocab: u32, out: &Path) -> Result<Shard, ModelError> {
    if let Some(id) = ids.iter().find(|id| **id >= vocab) {
        return Err(ModelError::Token { token: i64::from(*id), vocab });
    }
    let blob = shard(ids, vocab)?;
    file::write(&out.join(blob.digest().to_string()), blob.bytes())?;
    Ok(Shard { digest: blob.digest(), tokens: blob.elements() })
}

/// `ids` are below `vocab`, so u16 holds them where it is chosen.
fn shard(ids: &[u32], vocab: u32) -> Result<Canonical, ModelError> {
    let shape = [ids.len() as u64];
    if vocab <= 1 << 16 {
        let narrow: Vec<u16> = ids.iter().map(|id| *id as u16).collect();
        Canonical::from_u16(&shape, &narrow).map_err(tensor_error("a token shard"))
    } else {
        let wide: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        Canonical::from_i64(&shape, &wide).map_err(tensor_error("a token shard"))
    }
}

fn text(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > MAX_FILE {
        return Err(format!("{size} bytes, at most {MAX_FILE} are read"));
    }
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    if bytes.contains(&0) {
        return Err("binary".into());
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8".into())
}

/// Sorted. Hidden files, build folders and links are left out and said so; `out` is left out because it is ours.
fn walk(path: &Path, out: &Path, files: &mut Vec<PathBuf>, skipped: &mut Vec<Skipped>) -> Result<(), ModelError> {
    let kind = fs::symlink_metadata(path).map_err(|e| ModelError::file(path, &e))?.file_type();
    if kind.is_file() {
        files.push(path.to_owned());
    } else if kind.is_dir() {
        let listed: Result<Vec<PathBuf>, std::io::Error> =
            fs::read_dir(path).and_then(|all| all.map(|entry| entry.map(|e| e.path())).collect());
        let mut entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                skipped.push(Skipped { path: path.to_owned(), reason: error.to_string() });
                return Ok(());
            }
        };
        entries.sort();
        for entry in entries {
            let name = entry.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if entry == out {
                continue;
            }
            if name.starts_with('.') || name == "target" {
                let reason = if name == "target" { "build folder" } else { "hidden" };
                skipped.push(Skipped { path: entry.clone(), reason: reason.into() });
                continue;
            }
            walk(&entry, out, files, skipped)?;
        }
    } else {
        skipped.push(Skipped { path: path.to_owned(), reason: "neither file nor folder".into() });
    }
    Ok(())
}
