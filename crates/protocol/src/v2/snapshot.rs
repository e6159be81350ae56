//! What a newcomer, or a peer that was away, reads instead of everything.
//!
//! Invariant: a state from a snapshot is believed only if an entry of the ledger names its digest, that entry links to the state's own head, and
//! the entries from there lead to a head that the orchestrator signed. Every follower checks a `Snapshot` entry against its own state, so a
//! false one breaks the ledger for everybody; on chain stands the head.

use std::sync::Arc;

use parity_scale_codec::{Decode, DecodeAll, Encode};

use super::{
    config::RunConfig,
    ledger::{Event, Page},
    receipt::named,
    state::{Core, Distrust, State, Witness},
};

/// Longest encoded state that is read, bytes: 65,536 members of 600 bytes and what belongs to them.
pub const MAX_STATE: usize = 64 << 20;

/// A state and the ledger from the entry that names it on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Snapshot {
    /// [`State::bytes`] before the first entry of `tail`.
    pub state: Vec<u8>,
    /// From the snapshot's entry on.
    pub tail: Page,
}

impl Snapshot {
    /// Check it and give the state after its tail.
    ///
    /// # Errors
    /// [`Distrust`].
    pub fn open(&self, config: Arc<RunConfig>, chain: &impl Witness) -> Result<State, Distrust> {
        if self.state.len() > MAX_STATE {
            return Err(Distrust::Snapshot);
        }
        let core = Core::decode_all(&mut &self.state[..]).map_err(|_| Distrust::Snapshot)?;
        let digest = named("starling.state.v2", &[&self.state]);
        let names = self.tail.entries.first().is_some_and(|e| e.event == Event::Snapshot { digest });
        let run = config.id();
        let shape = usize::from(config.stages());
        if !names || core.head.run != run || core.working.len() != shape || core.closed.len() != shape {
            return Err(Distrust::Snapshot);
        }
        let mut state = State::from_core(config, run, core);
        // The snapshot's own entry is checked like any other: its digest against the state, its link against the signed head.
        state.absorb(&self.tail, chain, |_, _| {})?;
        Ok(state)
    }
}
