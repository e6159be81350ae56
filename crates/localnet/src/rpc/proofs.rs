//! Whole key ranges and read proofs: older clients ask for the one, light ones for the other.

use jsonrpsee::core::RegisterMethodError;
use serde_json::json;
use sp_core::{Bytes, H256};
use sp_state_machine::Backend;

use super::{Answer, MAX_KEYS, Methods, failed, invalid_params, needed, optional, to_json};
use crate::chain::Chain;

/// Most keys that one answer without pages holds.
const MAX_RANGE: usize = 64 * MAX_KEYS;

pub(super) fn register(m: &mut Methods) -> Result<(), RegisterMethodError> {
    m.add(&["state_getKeys"], keys)?;
    m.add(&["state_getReadProof"], read_proof)
}

/// All keys under a prefix; a range that is too long is refused, not cut.
fn keys(chain: &Chain, p: &[serde_json::Value]) -> Answer {
    let prefix = needed::<Bytes>(p, 0)?.0;
    let state = chain.state(optional(p, 1)?).map_err(failed)?;
    let mut args = sp_state_machine::IterArgs::default();
    args.prefix = Some(&prefix);
    let found = state.keys(args).map_err(failed)?.take(MAX_RANGE + 1).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if found.len() > MAX_RANGE {
        return Err(invalid_params(format!(
            "more than {MAX_RANGE} keys begin with this prefix: ask for pages with state_getKeysPaged"
        )));
    }
    to_json(&found.into_iter().map(Bytes).collect::<Vec<_>>())
}

/// The trie nodes that prove what the keys hold in the block's state.
fn read_proof(chain: &Chain, p: &[serde_json::Value]) -> Answer {
    let keys = needed::<Vec<Bytes>>(p, 0)?;
    if keys.len() > MAX_KEYS {
        return Err(invalid_params(format!("{} keys in one proof; at most {MAX_KEYS} are answered", keys.len())));
    }
    let at = match optional::<H256>(p, 1)? {
        Some(hash) => hash,
        None => chain.best().1,
    };
    let state = chain.state(Some(at)).map_err(failed)?;
    let proof = sp_state_machine::prove_read(state, keys.iter().map(|key| &key.0)).map_err(failed)?;
    Ok(json!({ "at": at, "proof": proof.into_iter_nodes().map(Bytes).collect::<Vec<_>>() }))
}
