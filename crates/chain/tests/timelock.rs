//! Timelocked commits against a real chain with its own beacon: what was planned is what the chain does, and what it did is found out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use starling_chain::{Fate, Mechanism, weights::preflight::Way};
use support::world::{PATIENCE, World, key, name, world};

const ON: (&str, &str) = ("sudo_set_commit_reveal_weights_enabled", "enabled");

/// Epochs of 20 blocks, no rate limit, a validator with a permit and a miner.
async fn committing() -> (World, [u16; 2]) {
    let world = world().await;
    let (validator, miner) = world.validator_and_miner().await;
    world.set("sudo_set_weights_set_rate_limit", "weights_set_rate_limit", 0_u64).await;
    world.set("sudo_set_tempo", "tempo", 20_u16).await;
    (world, [validator, miner])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timelocked_commit_is_revealed_by_the_chain_in_the_planned_window() {
    let (world, [validator, miner]) = committing().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    let hotkey = key("//Charlie//hot");
    let account = hotkey.account();
    let beacon = chain.beacon().await.unwrap();
    assert!(beacon.runs(chain.now_ms().await.unwrap()));
    assert_eq!(chain.weight_facts(netuid, &account).await.unwrap().way(), Way::Timelock);

    // At the beginning of an epoch, so that the commit is in it as planned.
    let next = chain.epoch_clock(netuid).await.unwrap().next_epoch_block().unwrap();
    chain.wait_for_block(next, PATIENCE).await.unwrap();
    let plan = chain.timelock_plan(netuid).await.unwrap().unwrap();
    assert!(plan.window.contains(plan.target), "{plan:?}");
    let sealed = chain.seal_weights(&beacon, plan.round, &account, &[validator, miner], &[5, 10], 0).unwrap();
    let (commit, _) = chain.commit_timelocked_weights(&hotkey, netuid, &sealed, plan.round).await.unwrap();
    assert_eq!((commit.epoch, commit.round), (plan.commit_epoch, plan.round));
    assert_eq!(chain.timelocked_commits(netuid, &account).await.unwrap(), [commit]);
    assert_eq!(chain.timelocked_fate(netuid, &account, &commit).await.unwrap(), Fate::Waiting);
    let facts = chain.weight_facts(netuid, &account).await.unwrap();
    assert_eq!((facts.commits, facts.last_update), (0, commit.block));

    chain.wait_for_block(plan.window.last, PATIENCE).await.unwrap();
    let Fate::Revealed { block } = chain.timelocked_fate(netuid, &account, &commit).await.unwrap() else {
        panic!("it was revealed")
    };
    assert!(plan.window.contains(block), "{block}, {plan:?}");
    let at = chain.block_hash(block).await.unwrap();
    let before = chain.block_hash(block - 1).await.unwrap();
    assert_eq!(chain.weights(netuid, validator, before).await.unwrap(), []);
    assert_eq!(chain.weights(netuid, validator, at).await.unwrap(), [(validator, 32_768), (miner, 65_535)]);
    assert_eq!(chain.timelocked_commits(netuid, &account).await.unwrap(), []);
    // Anybody can open it now.
    let signature = chain.round_signature(plan.round).await.unwrap().unwrap();
    assert!(beacon.key.verifies(plan.round, &signature));
    let opened = starling_timelock::Payload::open(&signature, &sealed).unwrap();
    assert_eq!((opened.uids, opened.values), (vec![validator, miner], vec![5, 10]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_chain_drops_without_a_word_is_found_out_and_refusals_have_their_names() {
    let (world, [validator, miner]) = committing().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    let hotkey = key("//Charlie//hot");
    let account = hotkey.account();
    let beacon = chain.beacon().await.unwrap();
    let plan = chain.timelock_plan(netuid).await.unwrap().unwrap();
    // A uid that nobody has: the rules refuse it at the reveal only.
    let sealed = chain.seal_weights(&beacon, plan.round, &account, &[miner, 4_000], &[1, 1], 0).unwrap();
    let (commit, _) = chain.commit_timelocked_weights(&hotkey, netuid, &sealed, plan.round).await.unwrap();
    let window = chain.epoch_clock(netuid).await.unwrap().reveal_window(commit.epoch).unwrap();
    chain.wait_for_block(window.last, PATIENCE).await.unwrap();
    let fate = chain.timelocked_fate(netuid, &account, &commit).await.unwrap();
    assert!(matches!(fate, Fate::Refused { block } if window.contains(block)), "{fate:?}, {window:?}");
    assert_eq!(chain.weights(netuid, validator, None).await.unwrap(), []);

    let stale = chain.commit_timelocked_weights(&hotkey, netuid, &sealed, 1).await;
    assert_eq!(name(stale), "InvalidRevealRound");
    let second = Mechanism { netuid, id: 1 };
    let round = plan.round + 1_000;
    let nowhere = chain.commit_timelocked_weights(&hotkey, second, &sealed, round).await;
    assert_eq!(name(nowhere), "MechanismDoesNotExist");
    let error = chain.commit_timelocked_weights(&hotkey, netuid, &[0; 5_001], round).await.unwrap_err();
    assert!(error.to_string().contains("5001 bytes"), "{error}");
    world.set(ON.0, ON.1, false).await;
    assert_eq!(name(chain.commit_timelocked_weights(&hotkey, netuid, &sealed, round).await), "CommitRevealDisabled");
}
