//! Whether the chain would take these weights now, rule by rule, before it is asked (chain.md 4.1, 4.2, 5.1, 5.2).
//!
//! Pure: a function of [`Facts`], which [`crate::Client::weight_facts`] reads at one block. Invariant: the rules are those of the
//! chain, in its order; each says the value read and the value needed, and, where time heals it, how many blocks that takes.
//! `MaxWeightExceeded` is not among them: the limit is a constant that no weight can exceed (chain.md 0).
//! What the chain decides only later (that a commit's reveal will pass) is not promised here.

use std::collections::BTreeSet;

use serde::Serialize;

/// Commits of one hotkey that may wait for their reveal at once.
const MAX_COMMITS: usize = 10;

/// What the rules look at, read at one block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The block read at.
    pub block: u32,
    /// The subnet.
    pub netuid: u16,
    /// The mechanism; 0 is the main one.
    pub mechanism: u8,
    /// How many there are.
    pub mechanisms: u8,
    /// Neurons on it.
    pub neurons: u16,
    /// The hotkey's slot, if it has one.
    pub uid: Option<u16>,
    /// Whether it is the subnet owner's hotkey.
    pub owner: bool,
    /// Its stake weight, rao.
    pub stake: u64,
    /// The least stake weight with which weights may be set, rao.
    pub stake_threshold: u64,
    /// Whether it has a validator permit.
    pub permit: bool,
    /// Block of its last weights or commit; 0 for never.
    pub last_update: u64,
    /// Blocks after its last update in which it counts as active.
    pub activity_cutoff: u64,
    /// Blocks that must lie between two settings.
    pub rate_limit: u64,
    /// The least version key; 0 takes any.
    pub weights_version: u64,
    /// The fewest weights.
    pub min_allowed_weights: u16,
    /// Whether weights must be committed and revealed.
    pub commit_reveal: bool,
    /// Its commits by hash that wait for their reveal.
    pub commits: usize,
    /// Whether the chain has a call for timelocked commits.
    pub takes_timelocked: bool,
    /// The version of them that it wants; 0 if it has no such call, or commit-reveal is off.
    pub commit_reveal_version: u16,
    /// Its timelocked commits of this epoch.
    pub timelocked: usize,
}

/// How the weights are to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// `set_weights`.
    Plain,
    /// `commit_weights`; the rules on the weights themselves are those of the reveal later.
    Commit,
    /// `commit_timelocked_weights`; likewise.
    Timelock,
}

impl Facts {
    /// How weights have to be sent: plainly, or where commit-reveal is on by a timelocked commit if the chain takes those.
    #[must_use]
    pub fn way(&self) -> Way {
        match (self.commit_reveal, self.takes_timelocked) {
            (false, _) => Way::Plain,
            (true, true) => Way::Timelock,
            (true, false) => Way::Commit,
        }
    }
}

/// One rule's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The chain's error if it is broken.
    pub rule: &'static str,
    /// True if it holds.
    pub holds: bool,
    /// The value read.
    pub read: String,
    /// The value needed.
    pub needed: String,
    /// Blocks after which it holds by itself; `None` if it holds, or time does not heal it.
    pub heals_in_blocks: Option<u64>,
    /// The same in seconds at the chain's pace, where it is known; for people, who read no blocks.
    #[serde(skip)]
    pub heals_in_seconds: Option<u64>,
    /// What to do, where time does not heal it.
    pub advice: Option<&'static str>,
}

impl Check {
    pub(crate) fn new(rule: &'static str, holds: bool, read: impl ToString, needed: impl ToString) -> Self {
        Self {
            rule,
            holds,
            read: read.to_string(),
            needed: needed.to_string(),
            heals_in_blocks: None,
            heals_in_seconds: None,
            advice: None,
        }
    }

    /// What heals a broken rule: time, or something to do; `None` if it holds, or nobody knows.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let Some(blocks) = self.heals_in_blocks else { return self.advice.map(str::to_owned) };
        let time = self.heals_in_seconds.map(|seconds| format!(", about {seconds} s")).unwrap_or_default();
        Some(format!("wait {blocks} blocks{time}"))
    }

    fn advise(mut self, advice: &'static str) -> Self {
        self.advice = (!self.holds).then_some(advice);
        self
    }
}

/// Says of what time heals how many seconds that takes, where the chain's pace is known.
pub fn in_seconds(checks: &mut [Check], seconds_per_block: Option<f64>) {
    for check in checks {
        let blocks = check.heals_in_blocks.zip(seconds_per_block);
        check.heals_in_seconds = blocks.map(|(blocks, seconds)| (blocks as f64 * seconds).ceil() as u64);
    }
}

/// Every rule, in the chain's order. The weights can be sent if all hold.
#[must_use]
pub fn check(facts: &Facts, way: Way, uids: &[u16], values: &[u16], version_key: u64) -> Vec<Check> {
    let mut all = vec![
        match way {
            Way::Plain => Check::new(
                "CommitRevealEnabled",
                !facts.commit_reveal,
                if facts.commit_reveal { "commit-reveal is on" } else { "commit-reveal is off" },
                "off, to set weights plainly",
            )
            .advise("commit and reveal them: `starling weights keep` or `starling validator` do it"),
            Way::Commit | Way::Timelock => Check::new(
                "CommitRevealDisabled",
                facts.commit_reveal,
                if facts.commit_reveal { "commit-reveal is on" } else { "commit-reveal is off" },
                "on, to commit weights",
            )
            .advise("set them plainly: `starling weights set`"),
        },
        Check::new(
            "CanNotSetRootNetworkWeights",
            facts.netuid != 0,
            format!("subnet {}", facts.netuid),
            "not the root network",
        ),
        Check::new(
            "MechanismDoesNotExist",
            facts.mechanism < facts.mechanisms,
            format!("mechanism {}", facts.mechanism),
            format!("below {}, the mechanisms of subnet {}", facts.mechanisms, facts.netuid),
        ),
        Check::new(
            "WeightVecNotEqualSize",
            uids.len() == values.len(),
            format!("{} uids, {} weights", uids.len(), values.len()),
            "as many of one as of the other",
        ),
        Check::new(
            "UidsLengthExceedUidsInSubNet",
            uids.len() <= usize::from(facts.neurons),
            format!("{} weights", uids.len()),
            format!("at most {}, the neurons there are", facts.neurons),
        ),
        Check::new(
            "HotKeyNotRegisteredInSubNet",
            facts.uid.is_some(),
            facts.uid.map_or_else(|| "not registered".to_owned(), |uid| format!("uid {uid}")),
            format!("registered on subnet {}", facts.netuid),
        )
        .advise("`starling register`"),
        Check::new(
            "NotEnoughStakeToSetWeights",
            facts.owner || facts.stake >= facts.stake_threshold,
            format!("{} rao of stake weight", facts.stake),
            if facts.owner { "none: it is the owner's".to_owned() } else { format!("{} rao", facts.stake_threshold) },
        )
        .advise("`starling stake add`"),
        Check::new(
            "IncorrectWeightVersionKey",
            facts.weights_version == 0 || version_key >= facts.weights_version,
            format!("version key {version_key}"),
            format!("at least {}", facts.weights_version),
        )
        .advise("upgrade the subnet's validator code, or give its --version-key"),
        rate_limit(facts),
    ];
    if way == Way::Commit {
        all.push(
            Check::new(
                "TooManyUnrevealedCommits",
                facts.commits < MAX_COMMITS,
                format!("{} commits wait for their reveal", facts.commits),
                format!("fewer than {MAX_COMMITS}"),
            )
            .advise("reveal them, or wait until they expire"),
        );
    }
    if way == Way::Timelock {
        all.extend(on_timelocks(facts, uids));
    }
    all.extend(on_the_weights(facts, uids));
    all
}

/// Rules of timelocked commits alone.
fn on_timelocks(facts: &Facts, uids: &[u16]) -> Vec<Check> {
    let version = crate::timelock::TIMELOCK_VERSION;
    let bytes = starling_timelock::Payload::sealed_length(uids.len());
    vec![
        Check::new(
            "IncorrectCommitRevealVersion",
            facts.commit_reveal_version == version,
            if facts.takes_timelocked {
                format!("the chain wants version {}", facts.commit_reveal_version)
            } else {
                "the chain takes no timelocked commits".to_owned()
            },
            format!("{version}, which this program makes"),
        )
        .advise("commit by hash (`starling weights keep --by hash`), or upgrade this program"),
        Check::new(
            "CommitPayloadTooLarge",
            bytes <= starling_timelock::MAX_COMMIT,
            format!("{bytes} bytes"),
            format!("at most {}", starling_timelock::MAX_COMMIT),
        )
        .advise("set fewer weights, or commit by hash"),
        Check::new(
            "TooManyUnrevealedCommits",
            facts.timelocked < MAX_COMMITS,
            format!("{} timelocked commits in this epoch", facts.timelocked),
            format!("fewer than {MAX_COMMITS}"),
        )
        .advise("wait for the next epoch"),
    ]
}

fn rate_limit(facts: &Facts) -> Check {
    let since = u64::from(facts.block).saturating_sub(facts.last_update);
    // The chain compares in the block that includes the call: the next one at the earliest.
    let missing = facts.rate_limit.saturating_sub(since.saturating_add(1));
    let holds = facts.last_update == 0 || missing == 0;
    let read = match facts.last_update {
        0 => "never set before".to_owned(),
        at => format!("last set {since} blocks ago, in block {at}"),
    };
    let rule = if facts.commit_reveal { "CommittingWeightsTooFast" } else { "SettingWeightsTooFast" };
    let mut check = Check::new(rule, holds, read, format!("at least {} blocks", facts.rate_limit));
    check.heals_in_blocks = (!holds).then_some(missing);
    check
}

/// `none`, or the uids.
fn listed(uids: &[u16]) -> String {
    match uids {
        [] => "none".to_owned(),
        uids => uids.iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Rules that a commit meets only at its reveal.
fn on_the_weights(facts: &Facts, uids: &[u16]) -> Vec<Check> {
    let itself = uids.len() == 1 && facts.uid.is_some() && uids.first().copied() == facts.uid;
    let mut seen = BTreeSet::new();
    let twice: Vec<u16> = uids.iter().copied().filter(|uid| !seen.insert(*uid)).collect();
    let strangers: Vec<u16> = uids.iter().copied().filter(|uid| *uid >= facts.neurons).collect();
    let least = facts.min_allowed_weights.min(facts.neurons);
    vec![
        Check::new(
            "NeuronNoValidatorPermit",
            itself || facts.owner || facts.permit,
            if facts.permit { "a permit" } else { "no permit" },
            "a validator permit, or a weight on itself alone",
        )
        .advise("permits go to the largest stakes at each epoch: add stake and wait for one"),
        Check::new("DuplicateUids", twice.is_empty(), format!("{} more than once", listed(&twice)), "every uid once"),
        Check::new(
            "UidVecContainInvalidOne",
            strangers.is_empty(),
            format!("{} beyond the subnet's", listed(&strangers)),
            format!("uids below {}", facts.neurons),
        ),
        Check::new(
            "WeightVecLengthIsLow",
            itself || uids.len() >= usize::from(least),
            format!("{} weights", uids.len()),
            format!("at least {least}, or a weight on itself alone"),
        ),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            block: 1000,
            netuid: 1,
            neurons: 4,
            uid: Some(0),
            owner: false,
            stake: 10,
            stake_threshold: 10,
            permit: true,
            last_update: 0,
            activity_cutoff: 1000,
            rate_limit: 100,
            weights_version: 0,
            min_allowed_weights: 2,
            commit_reveal: false,
            commits: 0,
            mechanism: 0,
            mechanisms: 1,
            takes_timelocked: true,
            commit_reveal_version: 4,
            timelocked: 0,
        }
    }

    /// The rules that `change` breaks for weights on uids 1 and 2.
    fn broken(change: impl Fn(&mut Facts), way: Way, uids: &[u16], values: &[u16]) -> Vec<&'static str> {
        let mut facts = facts();
        change(&mut facts);
        check(&facts, way, uids, values, 3).into_iter().filter(|c| !c.holds).map(|c| c.rule).collect()
    }

    #[test]
    fn each_rule_is_broken_by_what_breaks_it_on_chain_and_by_nothing_else() {
        let plain = |change: fn(&mut Facts)| broken(change, Way::Plain, &[1, 2], &[1, 2]);
        assert_eq!(plain(|_| ()), [""; 0]);
        assert_eq!(plain(|f| f.commit_reveal = true), ["CommitRevealEnabled"]);
        assert_eq!(plain(|f| f.netuid = 0), ["CanNotSetRootNetworkWeights"]);
        assert_eq!(plain(|f| f.uid = None), ["HotKeyNotRegisteredInSubNet"]);
        assert_eq!(plain(|f| f.stake = 9), ["NotEnoughStakeToSetWeights"]);
        assert_eq!(plain(|f| (f.stake, f.owner) = (9, true)), [""; 0]);
        assert_eq!(plain(|f| f.weights_version = 4), ["IncorrectWeightVersionKey"]);
        assert_eq!(plain(|f| f.permit = false), ["NeuronNoValidatorPermit"]);
        assert_eq!(plain(|f| (f.permit, f.owner) = (false, true)), [""; 0]);
        assert_eq!(plain(|f| f.min_allowed_weights = 3), ["WeightVecLengthIsLow"]);
        assert_eq!(plain(|f| (f.min_allowed_weights, f.neurons) = (9, 3)), ["WeightVecLengthIsLow"]);
        let none = |_: &mut Facts| ();
        assert_eq!(broken(none, Way::Plain, &[1, 1], &[1, 2]), ["DuplicateUids"]);
        assert_eq!(broken(none, Way::Plain, &[1, 4], &[1, 2]), ["UidVecContainInvalidOne"]);
        assert_eq!(broken(none, Way::Plain, &[1, 2], &[1]), ["WeightVecNotEqualSize"]);
        assert_eq!(broken(none, Way::Commit, &[1, 2], &[1, 2]), ["CommitRevealDisabled"]);
        let commit = |change: fn(&mut Facts)| broken(change, Way::Commit, &[1, 2], &[1, 2]);
        assert_eq!(commit(|f| f.commit_reveal = true), [""; 0]);
        assert_eq!(commit(|f| (f.commit_reveal, f.commits) = (true, 10)), ["TooManyUnrevealedCommits"]);
        assert_eq!(plain(|f| f.mechanism = 1), ["MechanismDoesNotExist"]);
        let sealed = |change: fn(&mut Facts)| {
            let change = |f: &mut Facts| {
                f.commit_reveal = true;
                change(f);
            };
            broken(change, Way::Timelock, &[1, 2], &[1, 2])
        };
        assert_eq!(sealed(|_| ()), [""; 0]);
        assert_eq!(sealed(|f| f.commit_reveal_version = 5), ["IncorrectCommitRevealVersion"]);
        assert_eq!(sealed(|f| f.timelocked = 10), ["TooManyUnrevealedCommits"]);
        assert_eq!(sealed(|f| f.commits = 10), [""; 0], "commits by hash are counted apart");
        let many: Vec<u16> = (0..1_178).collect();
        let wide = |f: &mut Facts| (f.neurons, f.commit_reveal) = (4_096, true);
        assert_eq!(broken(wide, Way::Timelock, &many[..1_177], &many[..1_177]), [""; 0]);
        assert_eq!(broken(wide, Way::Timelock, &many, &many), ["CommitPayloadTooLarge"]);
        // A weight on itself alone needs neither permit nor number.
        assert_eq!(broken(|f| f.permit = false, Way::Plain, &[0], &[1]), [""; 0]);
        assert_eq!(broken(none, Way::Plain, &[1], &[1]), ["WeightVecLengthIsLow"]);
    }

    #[test]
    fn the_rate_limit_is_met_by_the_block_that_includes_the_call_and_says_when() {
        // Set in block 901: block 1001, the next one, is 100 blocks later.
        let limited = |last| {
            let facts = Facts { last_update: last, ..facts() };
            let check =
                check(&facts, Way::Plain, &[1, 2], &[1, 2], 3).into_iter().find(|c| c.rule.ends_with("TooFast"));
            (check.clone().unwrap().holds, check.unwrap().heals_in_blocks)
        };
        assert_eq!(limited(901), (true, None));
        assert_eq!(limited(902), (false, Some(1)));
        assert_eq!(limited(1000), (false, Some(99)));
        assert_eq!(limited(0), (true, None));
    }
}
