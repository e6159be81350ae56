//! What the runtime supplies to `SubtensorModule`.

use frame_support::pallet_macros::pallet_section;

/// The configuration trait, pasted into the pallet.
#[pallet_section]
mod config {
    /// Accounts are fixed to `AccountId32` and amounts to `u64`: the runtime API structs of the public chain are written in them.
    #[pallet::config]
    pub trait Config: frame_system::Config<AccountId = AccountId, RuntimeEvent: From<Event<Self>>> {
        /// The TAO ledger: `pallet_balances`.
        type Currency: frame_support::traits::fungible::Mutate<AccountId, Balance = u64>;
        /// Where `SelectiveMetagraph` reads commitments from: the `commitments` pallet, or `()`.
        type Commitments: crate::info::CommitmentSource;
        /// The randomness beacon that opens timelocked commits.
        type Beacon: crate::drand::Beacon;
        /// Least tempo that an owner may set (public: 360, fast builds less).
        #[pallet::constant]
        type MinTempo: Get<u16>;
        /// Greatest tempo that an owner may set (public: 50400).
        #[pallet::constant]
        type MaxTempo: Get<u16>;
        /// Whether `Rank`, `Trust` and `PruningScores` are kept, as runtimes before June 2026 did (chain.md 0).
        type RemovedStorage: Get<bool>;
    }
}
