//! What befalls the keepers in the week, and when: drawn from a seed, so that every run has the same plan.

use crate::{BLOCKS, proxy::Fault};

/// What befalls one keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ill {
    /// Its node does this for a while.
    Node(Fault),
    /// The connection is cut.
    Cut,
    /// It is killed, at whatever it does.
    Killed,
    /// It ends at this step, as by `kill -9`.
    AbortAt(&'static str),
}

/// An ill in its place.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    /// Epoch of the week.
    pub epoch: u32,
    /// Block of the epoch.
    pub offset: u32,
    /// Blocks until it is over: the node is well again, the process is started again.
    pub blocks: u32,
    pub ill: Ill,
}

impl Planned {
    /// Blocks since the week's beginning at which it begins and is over.
    pub fn span(&self) -> (u32, u32) {
        let from = self.epoch * BLOCKS + self.offset;
        (from, from + self.blocks)
    }

    /// Those in which it may keep the keeper from its work: a connection that is lost once is not away for longer.
    fn away(&self) -> (u32, u32) {
        let (from, until) = self.span();
        match self.ill {
            Ill::Node(Fault::CutAfterSubmission | Fault::HangAfterSubmission) => (from, until.min(from + 12)),
            _ => (from, until),
        }
    }
}

/// Each comes several times in a week.
const ILLS: [Ill; 17] = [
    Ill::AbortAt("before-store"),
    Ill::Node(Fault::Hang),
    Ill::Node(Fault::CutAfterSubmission),
    Ill::Killed,
    Ill::Node(Fault::Dead),
    Ill::AbortAt("before-commit"),
    Ill::Node(Fault::Garbage),
    Ill::Node(Fault::HangAfterSubmission),
    Ill::AbortAt("after-commit"),
    Ill::Node(Fault::OldBlock),
    Ill::Cut,
    Ill::AbortAt("after-reveal"),
    Ill::Node(Fault::TooMany { retry_after: 1 }),
    Ill::Node(Fault::CloseMidAnswer),
    Ill::Node(Fault::Nonsense),
    Ill::AbortAt("before-reveal"),
    Ill::Node(Fault::Mute),
];

/// The ills of a keeper: one in every third epoch, and now and then one that lasts for more than an epoch.
pub fn plan(who: u32, epochs: u32) -> Vec<Planned> {
    let mut seed = 0x5eed_0000_u64 + u64::from(who);
    let mut draw = |below: u32| {
        // Knuth's linear congruential generator; its high bits.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 33) % u64::from(below)) as u32
    };
    let mut plan = Vec::new();
    let mut turn = who * 5;
    for epoch in (2..epochs.saturating_sub(2)).step_by(3) {
        if epoch % 30 == 17 {
            // From somewhere in this epoch into the next.
            let ill = if epoch % 60 == 17 { Ill::Node(Fault::Dead) } else { Ill::Killed };
            plan.push(Planned { epoch, offset: 10 + draw(20), blocks: BLOCKS + draw(20), ill });
            continue;
        }
        let ill = ILLS[turn as usize % ILLS.len()];
        turn += 1;
        // Work is done early in an epoch: most ills come then.
        let offset = match ill {
            Ill::AbortAt(_) | Ill::Node(Fault::CutAfterSubmission | Fault::HangAfterSubmission) => 0,
            _ => [0, 1, 2, draw(BLOCKS / 2)][draw(4) as usize],
        };
        let blocks = match ill {
            // Once, whenever it sends the next time.
            Ill::Node(Fault::CutAfterSubmission | Fault::HangAfterSubmission) => BLOCKS / 2,
            _ => 4 + draw(8),
        };
        plan.push(Planned { epoch, offset, blocks, ill });
    }
    plan
}

/// Which of these epochs leave a keeper enough time: without an ill for half of the epoch, at its end (there a keeper that found nothing to
/// do at the beginning has to get through) or at its beginning.
pub fn possible(plan: &[Planned], epochs: u32, reveals_itself: bool) -> Vec<bool> {
    let spans: Vec<(u32, u32)> = plan.iter().map(Planned::away).collect();
    let half_well = |epoch: u32| {
        let (first, last) = (epoch * BLOCKS, (epoch + 1) * BLOCKS);
        let well = |from: u32, until: u32| !spans.iter().any(|(begin, end)| *begin < until && from < *end);
        well(first, first + BLOCKS / 2) || well(last - BLOCKS / 2, last)
    };
    // Who reveals itself must be there in the next epoch, too.
    (0..epochs).map(|epoch| half_well(epoch) && (!reveals_itself || half_well(epoch + 1))).collect()
}
