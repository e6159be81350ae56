//! TEST ONLY: ways to cheat, so that audits can be seen to catch them.
//!
//! Every way is a few lines at one seam of the compute thread ([`Saboteur`]) or, for `withhold-opening`, of the blob store, or,
//! for `bad-signature`, of the hotkey ([`Forger`]).
//! Without an adversary every seam hands through what it was given.

use std::{collections::BTreeMap, fmt, str::FromStr};

use starling_commitment::{Canonical, DType, TensorError};
use starling_keys::{Account, Signature, Signer};
use starling_protocol::{Digest, seed};

/// A way to cheat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adversary {
    /// Commits random tensors of a plausible size instead of forward outputs.
    RandomOutput,
    /// Skips every second of its blocks.
    SkipLayers,
    /// Computes with the epoch's first weights and claims the current ones. Shows from an epoch's second round on.
    StaleWeights,
    /// Commits the output of an earlier sample again.
    Replay,
    /// Serves what its peers need and nothing that only an auditor would ask for.
    WithholdOpening,
    /// Claims optimiser steps that it did not compute: a little noise on the weights, the optimiser state left alone.
    LazyStep,
    /// Commits forward outputs of the right elements in another shape.
    WrongShape,
    /// Hands in receipts whose signatures are not its own.
    BadSignature,
}

impl Adversary {
    /// Every way to cheat.
    pub const ALL: [Self; 8] = [
        Self::RandomOutput,
        Self::SkipLayers,
        Self::StaleWeights,
        Self::Replay,
        Self::WithholdOpening,
        Self::LazyStep,
        Self::WrongShape,
        Self::BadSignature,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::RandomOutput => "random-output",
            Self::SkipLayers => "skip-layers",
            Self::StaleWeights => "stale-weights",
            Self::Replay => "replay",
            Self::WithholdOpening => "withhold-opening",
            Self::LazyStep => "lazy-step",
            Self::WrongShape => "wrong-shape",
            Self::BadSignature => "bad-signature",
        }
    }
}

impl fmt::Display for Adversary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No such way to cheat.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an adversary: {all}",
    all = Adversary::ALL.map(|a| a.to_string()).join(", ")
)]
pub struct UnknownAdversary(String);

impl FromStr for Adversary {
    type Err = UnknownAdversary;
    fn from_str(text: &str) -> Result<Self, UnknownAdversary> {
        Self::ALL
            .into_iter()
            .find(|a| a.name() == text)
            .ok_or_else(|| UnknownAdversary(text.chars().take(40).collect()))
    }
}

/// One of a stage's parameters, as far as a cheat must know it.
#[derive(Clone, Debug)]
pub struct Part {
    /// Name within the model, such as `block.3.attention.o`.
    pub name: String,
    /// First element in the flat vector.
    pub offset: usize,
    /// Elements.
    pub length: usize,
}

/// The seams of the compute thread.
#[derive(Debug)]
pub struct Saboteur {
    how: Option<Adversary>,
    /// The first weights of the newest epoch.
    first: Option<(u32, Canonical)>,
    /// The first output of each shape.
    earlier: BTreeMap<Vec<u64>, Canonical>,
}

impl Saboteur {
    /// Honest for `None`.
    #[must_use]
    pub fn new(how: Option<Adversary>) -> Self {
        Self { how, first: None, earlier: BTreeMap::new() }
    }

    /// True if what is computed with is what receipts name.
    #[must_use]
    pub fn honest(&self) -> bool {
        !matches!(self.how, Some(Adversary::StaleWeights | Adversary::SkipLayers))
    }

    /// The weights to compute with, where `claimed` are those that the receipt will name.
    ///
    /// # Errors
    /// [`TensorError`] only if the weights are not f32.
    pub fn weights(&mut self, epoch: u32, claimed: &Canonical, parts: &[Part]) -> Result<Canonical, TensorError> {
        match self.how {
            Some(Adversary::StaleWeights) => {
                if self.first.as_ref().is_none_or(|(e, _)| *e != epoch) {
                    self.first = Some((epoch, claimed.clone()));
                }
                Ok(self.first.as_ref().map_or_else(|| claimed.clone(), |(_, w)| w.clone()))
            }
            Some(Adversary::SkipLayers) => {
                // A block that adds nothing to the residual stream is a block that was skipped.
                let mut flat = claimed.to_f32()?;
                let blocks: Vec<&str> = parts.iter().filter_map(|p| p.name.strip_suffix(".attention.o")).collect();
                for block in blocks.iter().skip(usize::from(blocks.len() > 1)).step_by(2) {
                    let writes =
                        |p: &&Part| [".attention.o", ".mlp.down"].iter().any(|w| p.name.strip_suffix(w) == Some(block));
                    for part in parts.iter().filter(writes) {
                        flat.iter_mut().skip(part.offset).take(part.length).for_each(|x| *x = 0.0);
                    }
                }
                Canonical::from_f32(claimed.shape(), &flat)
            }
            _ => Ok(claimed.clone()),
        }
    }

    /// The forward output to commit to.
    ///
    /// # Errors
    /// [`TensorError`] never happens for an output of the model.
    pub fn output(&mut self, sample: u32, honest: Canonical) -> Result<Canonical, TensorError> {
        match self.how {
            Some(Adversary::RandomOutput) => random_like(&honest, u64::from(sample)),
            Some(Adversary::Replay) => Ok(self.earlier.entry(honest.shape().to_vec()).or_insert(honest).clone()),
            Some(Adversary::WrongShape) => {
                let elements = honest.shape().iter().product();
                let flat: &[u64] = if honest.shape().len() == 1 { &[1, elements] } else { &[elements] };
                Canonical::new(honest.dtype(), flat, honest.data())
            }
            _ => Ok(honest),
        }
    }

    /// New weights and optimiser state without computing them; `None` to be honest.
    ///
    /// # Errors
    /// [`TensorError`] only if the weights are not f32.
    pub fn step(
        &self,
        weights: &Canonical,
        optimiser: &Canonical,
    ) -> Result<Option<(Canonical, Canonical)>, TensorError> {
        if self.how != Some(Adversary::LazyStep) {
            return Ok(None);
        }
        let mut flat = weights.to_f32()?;
        let mut noise = Noise::new(0, &weights.digest());
        flat.iter_mut().for_each(|x| *x += 1e-5 * noise.next());
        Ok(Some((Canonical::from_f32(weights.shape(), &flat)?, optimiser.clone())))
    }
}

/// A hotkey whose signatures are worth nothing.
pub(crate) struct Forger<'a>(pub(crate) &'a dyn Signer);

impl Signer for Forger<'_> {
    fn account(&self) -> Account {
        self.0.account()
    }
    fn sign(&self, message: &[u8]) -> Signature {
        let mut signature = self.0.sign(message);
        signature.0[0] ^= 1;
        signature
    }
}

/// Numbers between −1 and 1.
struct Noise(rand_chacha::ChaCha20Rng);

impl Noise {
    fn new(seed: u64, about: &Digest) -> Self {
        let mut word = [0; 8];
        word.copy_from_slice(&about.0[..8]);
        Self(seed::stream(seed, "adversary", &[u64::from_le_bytes(word)]))
    }
    fn next(&mut self) -> f32 {
        let word = rand_chacha::rand_core::RngCore::next_u32(&mut self.0);
        f32::from((word >> 16) as u16) / 32_768.0 - 1.0
    }
}

/// Random elements with the honest tensor's own magnitude, so that no glance tells them apart.
fn random_like(honest: &Canonical, seed: u64) -> Result<Canonical, TensorError> {
    let mut noise = Noise::new(seed, &honest.digest());
    let bytes: Vec<u8> = match honest.dtype() {
        DType::F32 => {
            let values = honest.to_f32()?;
            let size = values.iter().map(|x| x * x).sum::<f32>() / values.len().max(1) as f32;
            // A scalar is a loss: near the honest one, and never negative.
            let scale = size.sqrt() * if values.len() == 1 { 0.05 } else { 3f32.sqrt() };
            let centre = if values.len() == 1 { values.first().copied().unwrap_or(0.0) } else { 0.0 };
            values.iter().flat_map(|_| (centre + scale * noise.next()).to_le_bytes()).collect()
        }
        // bfloat16: keep every exponent, draw the mantissa and the sign.
        _ => honest
            .data()
            .as_chunks::<2>()
            .0
            .iter()
            .flat_map(|pair| {
                let bits = u16::from_le_bytes(*pair);
                let drawn = (noise.next().to_bits() >> 7) as u16;
                ((bits & 0x7f80) | (drawn & 0x807f)).to_le_bytes()
            })
            .collect(),
    };
    Canonical::new(honest.dtype(), honest.shape(), &bytes)
}
