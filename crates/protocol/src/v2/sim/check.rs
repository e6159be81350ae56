//! What must be true of a strict simulation: looked at receipt by receipt and entry by entry.

use std::collections::BTreeSet;

use super::{Conduct, Sim, orchestrator};
use crate::{
    Uid,
    v2::{
        ledger::{Event, Page, SignedHead},
        receipt::Work,
        sample::Sample,
        snapshot::Snapshot,
        sound::{self, Author},
        state::State,
    },
};

/// A stranger reads the whole ledger, signatures and all, and comes to the same bytes; another does from the newest snapshot.
///
/// # Panics
/// If not.
pub fn followers_agree(sim: &Sim) {
    let mut follower = State::new((**sim.state.config()).clone());
    let page = Page { from: 0, entries: sim.entries.clone(), head: sim.head() };
    let mut snapshot = None;
    let seen = |state: &State, event: &Event| {
        if matches!(event, Event::Snapshot { .. }) {
            snapshot = Some((state.head().length, state.bytes()));
        }
    };
    follower.absorb(&page, &(), seen).unwrap();
    assert_eq!(follower.bytes(), sim.state.bytes());
    let Some((length, state)) = snapshot else { return };
    let tail = Page { from: length, entries: sim.entries[length as usize..].to_vec(), head: sim.head() };
    let late = Snapshot { state, tail }.open(sim.state.config().clone(), &()).unwrap();
    assert_eq!(late.bytes(), sim.state.bytes());
    assert_eq!(SignedHead::new(late.head(), &orchestrator()).head, sim.head().head);
}

/// No miner signed a number twice; each sample is in at most one forward, one backward and one step of a miner; steps sum what was computed with
/// their version; no receipt of an honest miner has a flaw. Answers how many receipts were looked at.
///
/// # Panics
/// If not.
pub fn receipts_hold(sim: &Sim) -> usize {
    let run = sim.state.run();
    let config = sim.state.config();
    let mut looked = 0;
    for peer in &sim.peers {
        let Some(book) = &peer.book else { continue };
        if !matches!(peer.plan.conduct, Conduct::Honest | Conduct::Complainer) {
            continue;
        }
        let account = peer.signer.account();
        assert!(book.leaves.windows(2).all(|w| w[0].1.body.sequence < w[1].1.body.sequence), "sequences ascend");
        let mut backwards: BTreeSet<Sample> = BTreeSet::new();
        let mut summed: BTreeSet<Sample> = BTreeSet::new();
        let mut open: std::collections::BTreeMap<u8, Vec<Sample>> = Default::default();
        for (index, (stage, receipt)) in (0u64..).zip(&book.leaves) {
            looked += 1;
            let author = Author { uid: peer.uid, account: &account, stage: *stage };
            let bytes = parity_scale_codec::Encode::encode(receipt);
            let own = sound::leaf(&bytes, index, author, run).unwrap();
            let table = own.body.work.sample().and_then(|s| sim.tables.get(s.table as usize));
            sound::alone(config, author, &own.body.work, table.map(|t| &**t)).unwrap();
            match &own.body.work {
                Work::Forward { from: Some(from), .. } => {
                    let source = &book.links[from];
                    let sender = author_of(sim, source.by, stage - 1);
                    sound::forward_from(config, author, &own.body.work, source, sender.author(), run).unwrap();
                }
                Work::Backward { sample, at, forward, from, .. } => {
                    assert!(backwards.insert(*sample), "one backward of a sample");
                    open.entry(at.lane).or_default().push(*sample);
                    let forward = &book.links[forward];
                    let source = from.as_ref().map(|link| &book.links[link]);
                    let sender = source.map(|s| author_of(sim, s.by, stage + 1));
                    let source = source.zip(sender.as_ref().map(Whole::author));
                    sound::backward_from(config, author, &own.body.work, forward, source, run).unwrap();
                }
                Work::Step { at, samples, .. } => {
                    let mine = open.entry(at.lane).or_default();
                    if mine.iter().collect::<BTreeSet<_>>() == samples.iter().collect::<BTreeSet<_>>() {
                        mine.clear();
                    }
                    for sample in samples {
                        assert!(backwards.contains(sample), "a step sums backwards");
                        assert!(summed.insert(*sample), "a sample is summed once");
                    }
                    assert!(samples.len() <= config.lanes.samples_per_step.1 as usize);
                }
                _ => {}
            }
        }
    }
    looked
}

struct Whole {
    uid: Uid,
    account: starling_keys::Account,
    stage: u16,
}

impl Whole {
    fn author(&self) -> Author<'_> {
        Author { uid: self.uid, account: &self.account, stage: self.stage }
    }
}

fn author_of(sim: &Sim, uid: Uid, stage: u16) -> Whole {
    let peer = sim.peer_of(uid).map(|p| &sim.peers[p]).expect("a miner of the simulation");
    Whole { uid, account: peer.signer.account(), stage }
}

/// Nobody honest was barred.
///
/// # Panics
/// If somebody was.
pub fn honest_miners_stand(sim: &Sim) {
    for (peer, at) in &sim.report.barred {
        let conduct = sim.peers[*peer].plan.conduct;
        assert!(conduct != Conduct::Honest, "an honest miner was barred at {at} ms");
    }
}
