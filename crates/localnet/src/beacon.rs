//! The local randomness beacon: signs each round when its time has come and brings it into the next block (chain.md 5.3).
//!
//! Invariant: rounds come in order, none is left out, none before its time by the chain's own clock. The secret is public knowledge, as are
//! all keys of this chain.

use parity_scale_codec::{Decode, Encode};
use sp_runtime::MultiSigner;
use starling_pallets::drand::{BeaconConfiguration, MOST_AT_ONCE, Pulse, PulsesPayload};
use starling_runtime::{RuntimeCall, UncheckedExtrinsic};
use starling_timelock::{LocalBeacon, Rounds, randomness};

use crate::execute::State;

/// Seed of the key.
const SEED: &[u8] = b"starling localnet";

/// The beacon of every local chain.
pub fn beacon() -> LocalBeacon {
    LocalBeacon::from_seed(SEED)
}

fn stored<T: Decode>(state: &State, item: &[u8]) -> Option<T> {
    use sp_state_machine::Backend;
    let key = [sp_crypto_hashing::twox_128(b"Drand"), sp_crypto_hashing::twox_128(item)].concat();
    state.storage(&key).ok().flatten().and_then(|v| T::decode(&mut &v[..]).ok())
}

/// The extrinsic that brings the rounds which are due at a block's time into it; `None` if none are, or if the chain listens to another
/// beacon.
pub fn due(beacon: &LocalBeacon, state: &State, number: u32, timestamp_ms: u64) -> Option<Vec<u8>> {
    let config: BeaconConfiguration = stored(state, b"BeaconConfig")?;
    if config.public_key[..] != beacon.public_key().to_bytes() {
        return None;
    }
    let rounds = Rounds { genesis: config.genesis_time.into(), period: config.period.into() };
    let newest = rounds.published_at(timestamp_ms);
    let first = match stored(state, b"LastStoredRound").unwrap_or(0u64) {
        0 => newest,
        last => last.saturating_add(1),
    };
    // A chain that stood still catches up over some blocks.
    let pulses: Vec<Pulse> = (first.max(1)..=newest).take(MOST_AT_ONCE).map(|round| pulse(beacon, round)).collect();
    if pulses.is_empty() {
        return None;
    }
    let public = MultiSigner::Sr25519(sp_core::sr25519::Public::from_raw([0; 32]));
    let call = starling_pallets::drand::Call::write_pulse {
        pulses_payload: PulsesPayload { block_number: number, pulses, public },
        signature: None,
    };
    Some(UncheckedExtrinsic::new_bare(RuntimeCall::Drand(call)).encode())
}

fn pulse(beacon: &LocalBeacon, round: u64) -> Pulse {
    let signature = beacon.sign(round);
    Pulse {
        round,
        randomness: frame_support::BoundedVec::truncate_from(randomness(&signature).to_vec()),
        signature: frame_support::BoundedVec::truncate_from(signature.to_bytes().to_vec()),
    }
}
