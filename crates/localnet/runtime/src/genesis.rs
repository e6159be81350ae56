//! The genesis of a development chain: endowed accounts, sudo, root network and subnet 1 (chain.md 12).

use sp_keyring::Sr25519Keyring as Key;
use starling_pallets::subtensor::fork::Snapshot;

use crate::{AccountId, BalancesConfig, DrandConfig, RuntimeGenesisConfig, SubtensorModuleConfig, SudoConfig};

/// Development accounts: name, secret URI, free balance in rao.
pub const ENDOWED: [(Key, &str, u64); 9] = [
    (Key::Alice, "//Alice", 1_000_000_000_000_000),
    (Key::Bob, "//Bob", 1_000_000_000_000_000),
    (Key::Charlie, "//Charlie", 1_000_000_000_000_000),
    (Key::Dave, "//Dave", 2_000_000_000_000),
    (Key::Eve, "//Eve", 2_000_000_000_000),
    (Key::Ferdie, "//Ferdie", 2_000_000_000_000),
    (Key::One, "//One", 2_000_000_000_000),
    (Key::Two, "//Two", 2_000_000_000_000),
    (Key::AliceStash, "//Alice//stash", 2_000_000_000_000),
];

/// The genesis that `fast` or production parameters give, //Alice having sudo; with a forked subnet in place of subnet 1 if there is one,
/// and a local beacon (public key, seconds from round to round) in place of quicknet if there is one.
#[must_use]
pub fn dev_genesis(fast: bool, fork: Option<Snapshot>, beacon: Option<(Vec<u8>, u32)>) -> RuntimeGenesisConfig {
    let account = |key: Key| -> AccountId { key.to_account_id() };
    RuntimeGenesisConfig {
        balances: BalancesConfig {
            balances: ENDOWED.iter().map(|(key, _, rao)| (account(*key), *rao)).collect(),
            ..Default::default()
        },
        sudo: SudoConfig { key: Some(account(Key::Alice)) },
        subtensor_module: SubtensorModuleConfig {
            fork,
            ..if fast { SubtensorModuleConfig::fast() } else { SubtensorModuleConfig::default() }
        },
        drand: beacon
            .map(|(public_key, period)| DrandConfig { public_key, period, ..Default::default() })
            .unwrap_or_default(),
        ..Default::default()
    }
}
