//! Weights before they are sent: what is foretold is what the chain then does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use starling_chain::weights::{
    preflight::{Way, check},
    simulate::Outcome,
};
use support::world::{World, key, name, world};

/// The rules foretold to be broken, and what the chain says to the same call.
async fn foretold_and_said(
    world: &World,
    uids: &[u16],
    values: &[u16],
    version_key: u64,
) -> (Vec<&'static str>, String) {
    let hotkey = key("//Charlie//hot");
    let facts = world.chain.weight_facts(world.netuid, &hotkey.account()).await.unwrap();
    let broken = check(&facts, Way::Plain, uids, values, version_key)
        .into_iter()
        .filter(|rule| !rule.holds)
        .map(|rule| rule.rule)
        .collect();
    let said = world.chain.set_weights(&hotkey, world.netuid, uids, values, version_key).await;
    (broken, if said.is_ok() { "set".into() } else { name(said) })
}

/// Every rule that the preflight finds broken is the one that the chain names; where it finds none, the weights land.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_preflight_foretells_is_what_the_chain_says() {
    let world = world().await;
    let (validator, miner) = world.validator_and_miner().await;
    let foretold = async |uids: &[u16], values: &[u16], version: u64| {
        let (broken, said) = foretold_and_said(&world, uids, values, version).await;
        let first = broken.first().copied().unwrap_or("set");
        // The pool tells the rate limit by a name of its own.
        assert!(
            said == first || (first == "SettingWeightsTooFast" && said == "RateLimitExceeded"),
            "{broken:?}, but {said}"
        );
        said
    };
    assert_eq!(foretold(&[miner], &[1], 0).await, "CommitRevealEnabled");
    world.set("sudo_set_commit_reveal_weights_enabled", "enabled", false).await;
    world.set("sudo_set_weights_set_rate_limit", "weights_set_rate_limit", 0_u64).await;
    assert_eq!(foretold(&[miner, miner], &[1, 2], 0).await, "DuplicateUids");
    assert_eq!(foretold(&[miner, 3], &[1, 2], 0).await, "UidVecContainInvalidOne");
    assert_eq!(foretold(&[0, 1, 2, 3], &[1, 2, 3, 4], 0).await, "UidsLengthExceedUidsInSubNet");
    world.set("sudo_set_min_allowed_weights", "min_allowed_weights", 2_u16).await;
    assert_eq!(foretold(&[miner], &[1], 0).await, "WeightVecLengthIsLow");
    assert_eq!(foretold(&[validator], &[1], 0).await, "set", "itself alone needs no number");
    world.set("sudo_set_weights_version_key", "weights_version_key", 7_u64).await;
    assert_eq!(foretold(&[validator, miner], &[1, 2], 6).await, "IncorrectWeightVersionKey");
    assert_eq!(foretold(&[validator, miner], &[1, 2], 7).await, "set");
    world.set("sudo_set_weights_set_rate_limit", "weights_set_rate_limit", 10_000_u64).await;
    foretold(&[validator, miner], &[1, 2], 7).await;
}

/// The numbers of an epoch that has run, of everybody.
async fn decided(world: &World, block: u32) -> Vec<Outcome> {
    world.chain.wait_for_block(block, support::world::PATIENCE).await.unwrap();
    let hash = world.chain.block_hash(block).await.unwrap().unwrap();
    let graph = world.chain.metagraph(world.netuid, Some(hash)).await.unwrap();
    graph
        .neurons
        .iter()
        .map(|n| Outcome {
            uid: n.uid,
            incentive: n.incentive,
            consensus: n.consensus,
            dividends: n.dividends,
            validator_trust: n.validator_trust,
            emission: 0,
            permit: n.validator_permit,
        })
        .collect()
}

fn unpaid(outcomes: Vec<Outcome>) -> Vec<Outcome> {
    outcomes.into_iter().map(|o| Outcome { emission: 0, ..o }).collect()
}

/// Simulated from the block before, an epoch is what the chain then computes, with Yuma 2, Yuma 3 and liquid alpha; and a row that is
/// simulated gives what setting it gives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulated_epoch_is_the_epoch_that_the_chain_then_runs() {
    let world = world().await;
    world.set("sudo_set_tempo", "tempo", 20_u16).await;
    world.set("sudo_set_commit_reveal_weights_enabled", "enabled", false).await;
    world.set("sudo_set_weights_set_rate_limit", "weights_set_rate_limit", 0_u64).await;
    let (validator, miner) = world.validator_and_miner().await;
    let other = world.register("//Dave", "//Dave//two").await;
    for (setter, argument) in
        [("", ""), ("sudo_set_yuma3_enabled", "enabled"), ("sudo_set_liquid_alpha_enabled", "enabled")]
    {
        if !setter.is_empty() {
            world.set(setter, argument, true).await;
        }
        let hotkey = key("//Charlie//hot");
        world.after_next_epoch().await;
        // Foretold before they are set, and set in the same epoch.
        let row = [(miner, 65_535), (other, 20_000), (validator, 0)];
        let before = world.chain.epoch_snapshot(world.netuid, None).await.unwrap();
        let foretold = before.with_weights(validator, &row).unwrap();
        let (uids, values): (Vec<u16>, Vec<u16>) = row.into_iter().unzip();
        let set = world.chain.set_weights(&hotkey, world.netuid, &uids, &values, 0).await.unwrap();
        let after = world.chain.epoch_snapshot(world.netuid, Some(set.block.hash)).await.unwrap();
        assert_eq!(after.input.block, before.input.block, "{setter}: an epoch is long enough for one call");
        let simulated = unpaid(after.as_it_is().unwrap());
        let real = decided(&world, u32::try_from(after.input.block).unwrap()).await;
        assert_eq!(simulated, real, "{setter}");
        assert_eq!(unpaid(foretold), real, "{setter}: foretold before it was set");
        assert!(real[usize::from(miner)].incentive > real[usize::from(other)].incentive);
    }
}
