//! What happens at the start of every block, in the public order (chain.md 5.2): burn decay, timelocked
//! reveals, then coinbase with due epochs.

use frame_support::pallet_macros::pallet_section;

/// The hooks, pasted into the pallet.
#[pallet_section]
mod hooks {
    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        /// The public migration that came with the removal.
        fn on_runtime_upgrade() -> Weight {
            if !T::RemovedStorage::get() {
                let _ = Rank::<T>::clear(u32::MAX, None);
                let _ = Trust::<T>::clear(u32::MAX, None);
                let _ = PruningScores::<T>::clear(u32::MAX, None);
            }
            Weight::zero()
        }

        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            let now = Self::now();
            Self::begin_registrations(now);
            Self::decay_burns();
            Self::reveal_timelocked(now);
            Self::coinbase(now);
            // Inherent work of the chain itself; it is not charged to anybody.
            Weight::zero()
        }
    }
}
