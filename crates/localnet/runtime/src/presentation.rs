//! As which runtime this one presents itself: the shapes that public runtimes had, one after the other (chain.md 0).
//!
//! The code that runs is always the same; what differs is what a client sees of it: `spec_version`, types in metadata, which runtime API
//! functions answer, and storage that was removed. The presentation stands where a real chain has its code, under `:code`, so it belongs
//! to a block's state, `System.set_code_without_checks` by sudo changes it as a real upgrade would, and a signature for another version is
//! refused by the stock `CheckSpecVersion`.

use std::fmt;

use frame_support::traits::Get;
use parity_scale_codec::{Decode, Encode};
use sp_version::RuntimeVersion;

use crate::{Runtime, VERSION};

/// What tells this program's "code" from a wasm blob.
const MAGIC: &[u8] = b"starling runtime presentation 1";
const CODE: &[u8] = b":code";

/// The newest function for hyperparameters that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Hyperparams {
    /// `get_subnet_hyperparams`.
    V1,
    /// And `get_subnet_hyperparams_v2`.
    V2,
    /// And `get_subnet_hyperparams_v3`.
    V3,
}

/// One runtime to be seen as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Presentation {
    /// `spec_version`.
    pub spec_version: u32,
    /// Metadata knows `NetUid`, `NetUidStorageIndex` and `MechId` as composites of one field instead of plain numbers.
    pub composite_ids: bool,
    /// Newest form of hyperparameters.
    pub hyperparams: Hyperparams,
    /// `Rank`, `Trust` and `PruningScores` are stored, and metagraphs carry them.
    pub removed_storage: bool,
}

impl Presentation {
    /// What a chain is if nothing else is said: spec 425, June 2026.
    pub const CURRENT: Self = Self::of(VERSION.spec_version);
    /// One of each kind that the public chain has been: March 2025, February 2026, June 2026, September 2026.
    pub const KINDS: [Self; 4] = [Self::of(240), Self::of(365), Self::CURRENT, Self::of(466)];

    /// As the public chain was at a spec version. Where the exact version of a change is not known it is the first known to have it.
    #[must_use]
    pub const fn of(spec_version: u32) -> Self {
        Self {
            spec_version,
            composite_ids: spec_version >= 432,
            hyperparams: match spec_version {
                0..343 => Hyperparams::V1,
                343..425 => Hyperparams::V2,
                _ => Hyperparams::V3,
            },
            removed_storage: spec_version < 425,
        }
    }

    /// The bytes under `:code`.
    #[must_use]
    pub fn code(&self) -> Vec<u8> {
        (MAGIC, self).encode()
    }

    /// From the bytes under `:code`.
    #[must_use]
    pub fn from_code(code: &[u8]) -> Option<Self> {
        let mut rest = code.strip_prefix(MAGIC.encode().as_slice())?;
        let found = Self::decode(&mut rest).ok()?;
        rest.is_empty().then_some(found)
    }

    /// The presentation of the state at hand; [`Self::CURRENT`] outside of any state, and under code that is none of ours.
    #[must_use]
    pub fn now() -> Self {
        let code = sp_externalities::with_externalities(|state| state.storage(CODE)).flatten();
        code.and_then(|code| Self::from_code(&code)).unwrap_or(Self::CURRENT)
    }

    /// Makes it the presentation of all blocks after this one, as a real runtime upgrade does: with event and digest.
    ///
    /// # Errors
    /// If the spec version does not increase: real nodes would keep the old runtime.
    pub fn enact(&self) -> Result<(), NotNewer> {
        let old = Self::now().spec_version;
        if self.spec_version <= old {
            return Err(NotNewer { old, new: self.spec_version });
        }
        frame_system::Pallet::<Runtime>::update_code_in_storage(&self.code());
        Ok(())
    }

    /// Makes it a genesis' presentation.
    pub fn found(&self) {
        sp_io::storage::set(CODE, &self.code());
    }

    /// Whether a runtime API function of ours is one of this runtime.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        match name {
            "SubnetInfoRuntimeApi_get_subnet_hyperparams_v2" => self.hyperparams >= Hyperparams::V2,
            "SubnetInfoRuntimeApi_get_subnet_hyperparams_v3" => self.hyperparams >= Hyperparams::V3,
            _ => true,
        }
    }

    /// Whether a storage item of `SubtensorModule` is one of this runtime.
    #[must_use]
    pub fn has_storage(&self, name: &str) -> bool {
        self.removed_storage || !["Rank", "Trust", "PruningScores"].contains(&name)
    }
}

impl Default for Presentation {
    fn default() -> Self {
        Self::CURRENT
    }
}

/// An upgrade that would not be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotNewer {
    /// Spec version now.
    pub old: u32,
    /// Spec version wanted.
    pub new: u32,
}

impl fmt::Display for NotNewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the runtime is spec {} and can be upgraded to a greater one only, not to {}", self.old, self.new)
    }
}

impl std::error::Error for NotNewer {}

/// The version of the state at hand.
pub struct Version;

impl Get<RuntimeVersion> for Version {
    fn get() -> RuntimeVersion {
        RuntimeVersion { spec_version: Presentation::now().spec_version, ..VERSION }
    }
}

/// Whether this runtime keeps what newer ones removed.
pub struct RemovedStorage;

impl Get<bool> for RemovedStorage {
    fn get() -> bool {
        Presentation::now().removed_storage
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn code_reads_back_and_other_code_is_none_of_ours() {
        for kind in Presentation::KINDS {
            assert_eq!(Presentation::from_code(&kind.code()), Some(kind));
            assert_eq!(Presentation::from_code(&[kind.code(), vec![0]].concat()), None);
        }
        assert_eq!(Presentation::from_code(b"\0asm"), None);
        assert_eq!(Presentation::from_code(&MAGIC.encode()), None);
    }

    #[test]
    fn kinds_are_what_the_public_chain_was() {
        let shape = |spec| {
            let p = Presentation::of(spec);
            (p.composite_ids, p.hyperparams, p.removed_storage)
        };
        assert_eq!(shape(240), (false, Hyperparams::V1, true));
        assert_eq!(shape(365), (false, Hyperparams::V2, true));
        assert_eq!(shape(425), (false, Hyperparams::V3, false));
        assert_eq!(shape(466), (true, Hyperparams::V3, false));
    }

    #[test]
    fn an_upgrade_goes_up_only_and_is_seen_from_then_on() {
        sp_io::TestExternalities::default().execute_with(|| {
            assert_eq!(Presentation::now(), Presentation::CURRENT);
            Presentation::of(365).found();
            assert_eq!(Version::get().spec_version, 365);
            assert!(RemovedStorage::get());
            assert_eq!(Presentation::of(365).enact(), Err(NotNewer { old: 365, new: 365 }));
            assert_eq!(Presentation::of(240).enact(), Err(NotNewer { old: 365, new: 240 }));
            Presentation::of(466).enact().unwrap();
            assert_eq!((Version::get().spec_version, RemovedStorage::get()), (466, false));
            let digest = frame_system::Pallet::<Runtime>::digest();
            assert_eq!(digest.logs, [sp_runtime::DigestItem::RuntimeEnvironmentUpdated]);
        });
    }
}
