//! A strict simulation's receipts: what each miner signed, in order, and what it was shown.

use std::collections::BTreeMap;

use starling_keys::Signer;

use crate::{
    Digest, Stage, Uid,
    v2::{
        receipt::{At, Content, Receipt, Work, first_version, next_version},
        sample::Sample,
        signed::Signed,
    },
};
use parity_scale_codec::Encode;

/// One miner's receipts.
#[derive(Default)]
pub struct Book {
    /// Leaves of its log.
    pub leaves: Vec<(Stage, Signed<Receipt>)>,
    /// What came with an input, and with a gradient.
    pub inputs: BTreeMap<Sample, Signed<Receipt>>,
    /// Every receipt that it was shown or signed, by link.
    pub links: BTreeMap<Digest, Signed<Receipt>>,
    pub gradients: BTreeMap<Sample, Signed<Receipt>>,
    /// As what it took a sample.
    pub ranks: BTreeMap<Sample, u8>,
    forwards: BTreeMap<Sample, Signed<Receipt>>,
    versions: BTreeMap<u8, Digest>,
    /// Next number to be signed.
    pub sequence: u64,
}

/// Content of a blob, made up.
pub fn blob(kind: &str, sample: Sample, uid: Uid) -> Digest {
    Digest::of(&(kind, sample, uid).encode())
}

impl Book {
    pub fn begin(&mut self, lanes: u8, root: &Digest) {
        self.versions = (0..lanes).map(|lane| (lane, first_version(lane, root))).collect();
    }

    pub fn at(&self, lane: u8, epoch: u32, step: u32) -> At {
        At { lane, epoch, step, version: self.versions.get(&lane).copied().unwrap_or(Digest::ZERO) }
    }

    pub fn content(&self, lane: u8) -> Content {
        let weights = self.versions.get(&lane).copied().unwrap_or(Digest::ZERO);
        Content { weights, optimiser: weights }
    }

    pub fn sign(&mut self, work: Work, stage: Stage, uid: Uid, run: &Digest, signer: &dyn Signer) -> Signed<Receipt> {
        let receipt = Signed::new(Receipt { sequence: self.sequence, work }, uid, run, signer);
        self.sequence += 1;
        self.leaves.push((stage, receipt.clone()));
        self.links.insert(receipt.link(&signer.account()), receipt.clone());
        match &receipt.body.work {
            Work::Forward { sample, .. } => {
                self.forwards.insert(*sample, receipt.clone());
            }
            Work::Step { at, .. } | Work::Carry { at, .. } => {
                let next = next_version(&at.version, &receipt.link(&signer.account()));
                self.versions.insert(at.lane, next);
            }
            _ => {}
        }
        receipt
    }

    pub fn restart(&mut self, lane: u8, root: &Digest) {
        self.versions.insert(lane, first_version(lane, root));
    }

    pub fn forward_of(&self, sample: Sample) -> Option<&Signed<Receipt>> {
        self.forwards.get(&sample)
    }
}
