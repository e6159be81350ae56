//! Commit and reveal of weights: the hash, the blocks in which a reveal is accepted, and the beacon's round for a timelocked commit
//! (chain.md 5.1, 5.2).
//!
//! Pure. The hash binds hotkey, subnet, weights, salt and version, so the very values committed must be revealed. A commit belongs to
//! an epoch of the subnet's own counter; it can be revealed only during the epoch that is the reveal period later. Epochs are not
//! on a fixed grid: the owner may change the tempo or trigger one, so a window is a prediction from an [`EpochClock`].

use blake2::{Blake2b, Digest as _, digest::consts::U32};
use parity_scale_codec::Encode as _;
use serde::Serialize;
use starling_keys::Account;
use starling_timelock::Rounds;

/// Epochs run at the latest this many blocks after the last one, whatever the tempo.
const MAX_TEMPO: u64 = 50_400;
/// How far into the reveal epoch official clients aim, blocks.
const SECURITY_BLOCKS: u32 = 3;

/// `blake2_256` over SCALE of (hotkey, storage index, uids, values, salt, version key).
///
/// `storage_index` is the netuid for the main mechanism; `values` are those later revealed, before the chain scales them.
#[must_use]
pub fn commit_hash(
    hotkey: &Account,
    storage_index: u16,
    uids: &[u16],
    values: &[u16],
    salt: &[u16],
    version_key: u64,
) -> [u8; 32] {
    let preimage = (hotkey.0, storage_index, uids, values, salt, version_key).encode();
    Blake2b::<U32>::digest(preimage).into()
}

/// A subnet's epoch clock at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EpochClock {
    /// The block whose state this is.
    pub block: u32,
    /// Epochs run so far.
    pub index: u64,
    /// The block in which the last one ran.
    pub last_epoch_block: u64,
    /// Block from which a triggered or deferred epoch runs; 0 for none.
    pub pending_epoch_at: u64,
    /// Blocks between epochs; 0 means that none run.
    pub tempo: u16,
    /// Blocks since the last step.
    pub blocks_since_last_step: u64,
    /// Epochs between commit and reveal.
    pub reveal_period: u64,
}

/// Blocks, first and last included, in which a call would be in one epoch; `last` is the end if nobody changes the tempo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RevealWindow {
    /// First block that accepts the reveal.
    pub first: u32,
    /// Last block that does.
    pub last: u32,
}

impl RevealWindow {
    /// True if a call in `block` is accepted.
    #[must_use]
    pub fn contains(&self, block: u32) -> bool {
        (self.first..=self.last).contains(&block)
    }
}

impl RevealWindow {
    /// The block whose time a timelocked commit's round is chosen for: 3 blocks into the window, as official clients do, so that the chain
    /// has the round when it needs it and nobody can read the weights much earlier. In a window too short for that, its middle.
    #[must_use]
    pub fn timelock_target(&self) -> u32 {
        let length = self.last.saturating_sub(self.first).saturating_add(1);
        self.first.saturating_add(SECURITY_BLOCKS.min(length / 2))
    }
}

/// The round to encrypt to for a block that is `blocks_ahead` blocks after the one at `now_ms` (chain.md 5.2).
#[must_use]
pub fn reveal_round(rounds: &Rounds, now_ms: u64, blocks_ahead: u32, block_seconds: f64) -> u64 {
    // A float to integer conversion saturates.
    let ahead_ms = (f64::from(blocks_ahead) * block_seconds * 1000.0).max(0.0) as u64;
    rounds.target_at(now_ms.saturating_add(ahead_ms))
}

impl EpochClock {
    /// The block, after [`EpochClock::block`], in which the next epoch runs; `None` if the tempo is 0.
    #[must_use]
    pub fn next_epoch_block(&self) -> Option<u32> {
        if self.tempo == 0 {
            return None;
        }
        let next = u64::from(self.block) + 1;
        let by_tempo = self.last_epoch_block.saturating_add(self.tempo.into());
        let by_request = if self.pending_epoch_at > 0 { self.pending_epoch_at } else { u64::MAX };
        // The step counter is raised by one in each block before it is compared.
        let by_limit =
            u64::from(self.block).saturating_add((MAX_TEMPO + 1).saturating_sub(self.blocks_since_last_step));
        u32::try_from(by_tempo.min(by_request).min(by_limit).max(next)).ok()
    }

    /// The clock just after its next epoch.
    #[must_use]
    pub fn after_next_epoch(&self) -> Option<Self> {
        let block = self.next_epoch_block()?;
        Some(Self {
            block,
            index: self.index.saturating_add(1),
            last_epoch_block: block.into(),
            pending_epoch_at: 0,
            blocks_since_last_step: 0,
            ..*self
        })
    }

    /// The epoch to which a commit belongs that is included in the next block.
    #[must_use]
    pub fn commit_epoch(&self) -> u64 {
        let runs = self.next_epoch_block() == self.block.checked_add(1);
        self.index.saturating_add(u64::from(runs))
    }

    /// The blocks in which a commit of epoch `commit_epoch` can be revealed; `None` if that is over, or never comes.
    #[must_use]
    pub fn reveal_window(&self, commit_epoch: u64) -> Option<RevealWindow> {
        let wanted = commit_epoch.checked_add(self.reveal_period)?;
        if wanted < self.index {
            return None;
        }
        // Each step is one epoch; a commit is at most a few reveal periods (1 to 100) ahead of the clock.
        if wanted - self.index > 10_000 {
            return None;
        }
        let mut clock = *self;
        let mut first = u32::try_from(self.last_epoch_block).ok()?;
        while clock.index < wanted {
            clock = clock.after_next_epoch()?;
            first = clock.block;
        }
        Some(RevealWindow { first, last: clock.next_epoch_block()?.saturating_sub(1) })
    }

    /// Where a commit included in the next block could be revealed.
    #[must_use]
    pub fn next_commit_window(&self) -> Option<RevealWindow> {
        self.reveal_window(self.commit_epoch())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ALICE: &str = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    #[test]
    fn the_hash_is_the_published_vector() {
        let alice = Account(hex::decode(ALICE).unwrap().try_into().unwrap());
        let hash = |index| hex::encode(commit_hash(&alice, index, &[0, 1], &[65535, 32768], &[1, 2, 3, 4], 0));
        assert_eq!(hash(1), "57aa47d5881d5df1eb20e8d94c5af6b79d7154e59e15987bc04d75b71270fbb0");
        assert_eq!(hash(4097), "e74dedb71cef847d43171b2fba8e6068d930f2df018e22f2b0f96ed9a50c7e23");
    }

    fn clock(block: u32, pending_epoch_at: u64, reveal_period: u64) -> EpochClock {
        let blocks_since_last_step = u64::from(block) - 1000;
        EpochClock {
            block,
            index: 7,
            last_epoch_block: 1000,
            pending_epoch_at,
            tempo: 360,
            blocks_since_last_step,
            reveal_period,
        }
    }

    /// The official encoder aims 3 blocks past the first reveal block: chain.md 5.2 has its answers, measured from the head.
    #[test]
    fn first_reveal_blocks_are_those_of_the_official_encoder() {
        for (head, pending, period, target) in [
            (1100, 0, 1, 263),
            (1001, 0, 1, 362),
            (1358, 0, 1, 5),
            (1359, 0, 1, 364),
            (1360, 0, 1, 364),
            (1100, 0, 2, 623),
            (1100, 0, 3, 983),
            (1100, 1150, 1, 53),
            (1100, 1150, 2, 413),
        ] {
            let window = clock(head, pending, period).next_commit_window().unwrap();
            assert_eq!(window.timelock_target() - head, target, "head {head}, pending {pending}, period {period}");
        }
    }

    #[test]
    fn rounds_are_whole_periods_since_genesis_at_the_target_s_time() {
        let rounds = Rounds::QUICKNET;
        let genesis = rounds.genesis * 1000;
        assert_eq!(reveal_round(&rounds, genesis + 1_000, 263, 12.0), (1 + 263 * 12) / 3);
        assert_eq!(reveal_round(&rounds, genesis, 5, 0.25), 1, "at least 1");
        assert_eq!(reveal_round(&rounds, genesis + 3_000_000, 362, 0.25), (3_000_000 + 90_500) / 3_000);
    }

    #[test]
    fn in_a_short_window_the_target_stays_inside() {
        for (last, target) in [(10, 10), (11, 11), (13, 12), (15, 13), (100, 13)] {
            assert_eq!(RevealWindow { first: 10, last }.timelock_target(), target);
        }
    }

    #[test]
    fn a_window_is_one_epoch_long_and_ends_before_the_next() {
        let clock = clock(1100, 0, 1);
        assert_eq!(clock.reveal_window(7), Some(RevealWindow { first: 1360, last: 1719 }));
        assert_eq!(clock.reveal_window(6), Some(RevealWindow { first: 1000, last: 1359 }));
        assert_eq!(clock.reveal_window(5), None, "its window has passed");
        assert!(clock.reveal_window(7).unwrap().contains(1719) && !clock.reveal_window(7).unwrap().contains(1720));
    }

    #[test]
    fn no_epoch_runs_at_tempo_zero_and_none_is_later_than_the_limit() {
        assert_eq!(EpochClock { tempo: 0, ..clock(1100, 0, 1) }.next_commit_window(), None);
        let stalled = EpochClock { tempo: u16::MAX, blocks_since_last_step: MAX_TEMPO, ..clock(1100, 0, 1) };
        assert_eq!(stalled.next_epoch_block(), Some(1101));
    }

    /// The chain's own pipeline, block by block (chain.md 5.2): the epoch in which an extrinsic of each later block stands.
    fn epochs(clock: &EpochClock, blocks: u32) -> Vec<(u32, u64)> {
        let mut now = *clock;
        let mut epochs = Vec::new();
        for block in clock.block + 1..=clock.block + blocks {
            now.blocks_since_last_step += 1;
            let b = u64::from(block);
            let runs = now.tempo != 0
                && ((now.pending_epoch_at > 0 && b >= now.pending_epoch_at)
                    || now.blocks_since_last_step > MAX_TEMPO
                    || b - now.last_epoch_block >= u64::from(now.tempo));
            if runs {
                now = EpochClock {
                    index: now.index + 1,
                    last_epoch_block: b,
                    pending_epoch_at: 0,
                    blocks_since_last_step: 0,
                    ..now
                };
            }
            epochs.push((block, now.index));
        }
        epochs
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

        #[test]
        fn windows_are_those_of_the_chain_run_block_by_block(
            tempo in 1..40_u16,
            since in 0..60_u32,
            pending in proptest::option::of(1..80_u64),
            near_limit in proptest::bool::weighted(0.2),
            reveal_period in 1..4_u64,
        ) {
            let block = 100_000 + since;
            let clock = EpochClock {
                block,
                index: 5,
                last_epoch_block: 100_000,
                pending_epoch_at: pending.map_or(0, |ahead| u64::from(block) + ahead),
                tempo: if near_limit { u16::MAX } else { tempo },
                blocks_since_last_step: if near_limit { MAX_TEMPO - 20 } else { since.into() },
                reveal_period,
            };
            let epochs = epochs(&clock, 400);
            // A commit in the next block belongs to the epoch of that block.
            let commit_epoch = epochs[0].1;
            proptest::prop_assert_eq!(clock.commit_epoch(), commit_epoch);
            let wanted = commit_epoch + reveal_period;
            let inside: Vec<u32> = epochs.iter().filter(|(_, epoch)| *epoch == wanted).map(|(block, _)| *block).collect();
            let ends = epochs.iter().any(|(_, epoch)| *epoch > wanted);
            if let (Some(first), Some(last), true) = (inside.first(), inside.last(), ends) {
                let window = RevealWindow { first: *first, last: *last };
                proptest::prop_assert_eq!(clock.next_commit_window(), Some(window));
            }
        }
    }
}
