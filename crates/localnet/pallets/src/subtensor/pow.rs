//! Registration by proof of work, free of burn and fee, where the owner allows it (chain.md 8.9 b).
//!
//! Invariant: a proof names subnet, block, hotkey and coldkey, is young, and serves once: the hotkey's next must be on a later block.

use super::*;
use sp_core::U256;

/// Blocks after which a proof is too old.
const FRESH: u64 = 5;

/// `keccak_256(sha2_256("subtensor-pow-register-v1" ‖ netuid ‖ block hash ‖ hotkey ‖ coldkey ‖ nonce))`, numbers little-endian.
pub fn registration_seal(
    netuid: NetUid,
    block: &[u8; 32],
    hotkey: &AccountId,
    coldkey: &AccountId,
    nonce: u64,
) -> [u8; 32] {
    let mut message = b"subtensor-pow-register-v1".to_vec();
    message.extend(netuid.to_le_bytes());
    message.extend(block);
    message.extend(AsRef::<[u8]>::as_ref(hotkey));
    message.extend(AsRef::<[u8]>::as_ref(coldkey));
    message.extend(nonce.to_le_bytes());
    sp_io::hashing::keccak_256(&sp_io::hashing::sha2_256(&message))
}

/// Whether a seal, read as a little-endian number, is at most `(2^256 - 1) / difficulty`.
pub fn meets_difficulty(seal: &[u8; 32], difficulty: u64) -> bool {
    U256::from_little_endian(seal) <= U256::MAX / U256::from(difficulty.max(1))
}

impl<T: Config> Pallet<T> {
    /// The difficulty that holds: the owner's bounds cannot go below the chain's least.
    pub fn pow_difficulty(netuid: NetUid) -> u64 {
        let least = MinDifficulty::<T>::get(netuid).max(1);
        Difficulty::<T>::get(netuid).clamp(least, MaxDifficulty::<T>::get(netuid).max(least))
    }

    /// What the pool and the call both check: nothing here walks over the neurons.
    ///
    /// # Errors
    /// By the public names, in the public order.
    pub fn check_pow_registration(
        coldkey: &AccountId,
        netuid: NetUid,
        work_block: u64,
        nonce: u64,
        work: &[u8],
        hotkey: &AccountId,
    ) -> Result<(), Error<T>> {
        ensure!(netuid != ROOT, Error::<T>::RegistrationNotPermittedOnRootSubnet);
        ensure!(Self::exists(netuid), Error::<T>::SubnetNotExists);
        ensure!(
            NetworkRegistrationAllowed::<T>::get(netuid) && NetworkPowRegistrationAllowed::<T>::get(netuid),
            Error::<T>::SubNetRegistrationDisabled
        );
        ensure!(!Uids::<T>::contains_key(netuid, hotkey), Error::<T>::HotKeyAlreadyRegisteredInSubNet);
        ensure!(MaxAllowedUids::<T>::get(netuid) != 0, Error::<T>::NoNeuronIdAvailable);
        ensure!(
            RegistrationsThisBlock::<T>::get(netuid) < MaxRegistrationsPerBlock::<T>::get(netuid),
            Error::<T>::TooManyRegistrationsThisBlock
        );
        let now = Self::now();
        ensure!(work_block < now && now.saturating_sub(work_block) < FRESH, Error::<T>::InvalidWorkBlock);
        ensure!(
            LastPowRegistrationBlock::<T>::get(hotkey).is_none_or(|last| work_block > last),
            Error::<T>::InvalidWorkBlock
        );
        let block = Self::block_hash(work_block).ok_or(Error::<T>::InvalidWorkBlock)?;
        ensure!(work == registration_seal(netuid, &block, hotkey, coldkey, nonce).as_slice(), Error::<T>::InvalidSeal);
        let seal = work.try_into().map_err(|_| Error::<T>::InvalidSeal)?;
        ensure!(meets_difficulty(&seal, Self::pow_difficulty(netuid)), Error::<T>::InvalidDifficulty);
        ensure!(Self::free_or_owned(coldkey, hotkey), Error::<T>::NonAssociatedColdKey);
        Ok(())
    }

    /// A recent block's hash; `None` for one that is forgotten or not there.
    fn block_hash(number: u64) -> Option<[u8; 32]> {
        use sp_runtime::SaturatedConversion;
        let hash = frame_system::Pallet::<T>::block_hash(number.saturated_into::<BlockNumberFor<T>>());
        let bytes: [u8; 32] = hash.as_ref().try_into().ok()?;
        (bytes != [0; 32]).then_some(bytes)
    }

    pub(crate) fn do_pow_register(
        origin: OriginFor<T>,
        netuid: NetUid,
        work_block: u64,
        nonce: u64,
        work: Vec<u8>,
        hotkey: AccountId,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        Self::check_pow_registration(&coldkey, netuid, work_block, nonce, &work, &hotkey)?;
        let slot = Self::slot(netuid).ok_or(Error::<T>::NoNeuronIdAvailable)?;
        LastPowRegistrationBlock::<T>::insert(&hotkey, work_block);
        Self::enter(netuid, slot, &coldkey, &hotkey);
        Ok(())
    }
}
