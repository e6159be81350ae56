//! Bytes as tokens, or any `tokenizer.json`.

use std::path::Path;

use starling_commitment::Digest;

use crate::ModelError;

/// Turns text into token ids and back.
#[derive(Clone)]
pub struct Tokenizer {
    kind: Kind,
    digest: Digest,
}

#[derive(Clone)]
enum Kind {
    Bytes,
    /// With one more than its largest id.
    Json(Box<tokenizers::Tokenizer>, u32),
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("vocab", &self.vocab()).finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// 256 tokens, one per byte.
    #[must_use]
    pub fn bytes() -> Self {
        Self { kind: Kind::Bytes, digest: Digest::of(b"starling.bytes") }
    }

    /// A Hugging Face `tokenizer.json`.
    ///
    /// # Errors
    /// [`ModelError::File`] if it cannot be read or is not a tokenizer.
    pub fn from_file(path: &Path) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(|e| ModelError::file(path, &e))?;
        let not = |e: tokenizers::Error| ModelError::file(path, &format!("not a tokenizer.json: {e}"));
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(&bytes).map_err(not)?;
        // Many published files cut or fill texts to one length, which would lose or invent text here.
        tokenizer.with_truncation(None).map_err(not)?;
        tokenizer.with_padding(None);
        // Ids may have gaps: one more than the largest, not their number.
        let largest = tokenizer.get_vocab(true).into_values().max();
        let vocab = largest.map_or(0, |id| id.saturating_add(1));
        Ok(Self { kind: Kind::Json(Box::new(tokenizer), vocab), digest: Digest::of(&bytes) })
    }

    /// Number of token ids.
    #[must_use]
    pub fn vocab(&self) -> u32 {
        match &self.kind {
            Kind::Bytes => 256,
            Kind::Json(_, vocab) => *vocab,
        }
    }

    /// Names the tokenizer: ids mean nothing without it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Text to ids.
    ///
    /// # Errors
    /// [`ModelError::Data`] if the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        match &self.kind {
            Kind::Bytes => Ok(text.bytes().map(u32::from).collect()),
            Kind::Json(t, _) => {
                Ok(t.encode(text, false).map_err(|e| ModelError::Data(e.to_string()))?.get_ids().to_vec())
            }
        }
    }

    /// Ids to text; what is no text is shown as such.
    ///
    /// # Errors
    /// [`ModelError::Data`] if the tokenizer refuses the ids.
    pub fn decode(&self, ids: &[u32]) -> Result<String, ModelError> {
        match &self.kind {
            Kind::Bytes => {
                let bytes: Vec<u8> = ids.iter().map(|id| u8::try_from(*id).unwrap_or(b'?')).collect();
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Kind::Json(t, _) => t.decode(ids, true).map_err(|e| ModelError::Data(e.to_string())),
        }
    }
}
