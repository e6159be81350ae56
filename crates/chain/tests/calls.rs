//! Stake, takes, children, keys, prices, work: each call against the real local chain, proven by what the chain has afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use starling_chain::{ChainError, Child, Limit, Place, Search};
use support::world::{PATIENCE, TAO, World, key, name, world};

/// A world with //Charlie//hot, on which //Charlie has staked.
async fn staked() -> (World, Place) {
    let world = world().await;
    world.register("//Charlie", "//Charlie//hot").await;
    let place = Place { hotkey: key("//Charlie//hot").account(), netuid: world.netuid };
    world.chain.add_stake(&key("//Charlie"), &place.hotkey, place.netuid, 100 * TAO).await.unwrap();
    (world, place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stake_taken_out_in_the_block_of_an_epoch_that_pays_more_is_taken_out() {
    let (world, place) = staked().await;
    let (chain, charlie) = (&world.chain, key("//Charlie"));
    world.set("sudo_set_tempo", "tempo", 1_u16).await;
    // Every block is an epoch now: there is a block in which the hotkey ends with more than it began with.
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        assert!(std::time::Instant::now() < end, "no epoch paid more than was taken out");
        let sent = chain.remove_stake(&charlie, place, TAO / 20, None).await.unwrap();
        let before = chain.block_hash(sent.block.number - 1).await.unwrap();
        let of = async |at| chain.stake_of(&place.hotkey, &charlie.account(), place.netuid, at).await.unwrap();
        if of(Some(sent.block.hash)).await >= of(before).await {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stake_is_taken_out_moved_given_and_swapped() {
    let (world, place) = staked().await;
    let (chain, netuid, charlie) = (&world.chain, world.netuid, key("//Charlie"));
    let held = |place: Place, who: &str| {
        let (chain, who) = (chain.clone(), key(who).account());
        async move { chain.stake_of(&place.hotkey, &who, place.netuid, None).await.unwrap() }
    };
    let before = held(place, "//Charlie").await;
    assert!(before > TAO);
    chain.remove_stake(&charlie, place, TAO, None).await.unwrap();
    let after = held(place, "//Charlie").await;
    assert!(after < before, "{before} {after}");

    let bob = Place { hotkey: key("//Bob//hot").account(), netuid };
    chain.move_stake(&charlie, place, bob, 2 * TAO).await.unwrap();
    assert!(held(bob, "//Charlie").await > TAO);
    chain.transfer_stake(&charlie, bob, &key("//Eve").account(), netuid, TAO).await.unwrap();
    assert!(held(bob, "//Eve").await > TAO / 2);
    let root = Place { netuid: 0, ..place };
    chain.swap_stake(&charlie, place, 0, TAO, None).await.unwrap();
    assert!(held(root, "//Charlie").await > 0);

    let stakes = chain.stakes(&charlie.account(), None).await.unwrap();
    assert_eq!(stakes.iter().map(|s| s.netuid).collect::<Vec<_>>(), [0, netuid, netuid], "{stakes:?}");
    chain.unstake_all(&charlie, &place.hotkey, false).await.unwrap();
    assert_eq!((held(place, "//Charlie").await, held(root, "//Charlie").await), (0, 0));
    chain.remove_stake_full(&charlie, bob, None).await.unwrap();
    assert_eq!(held(bob, "//Charlie").await, 0);
    let error = chain.remove_stake(&charlie, bob, TAO, None).await.unwrap_err();
    assert!(error.to_string().contains("0 rao of alpha at"), "the number read is told: {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_on_the_price_refuses_the_whole_or_fills_a_part() {
    let (world, place) = staked().await;
    let (chain, charlie) = (&world.chain, key("//Charlie"));
    let price = chain.alpha_price(place.netuid, None).await.unwrap();
    let tight = Limit { price: price + price / 1000, partial: false };
    assert_eq!(name(chain.add_stake_limit(&charlie, place, 10_000 * TAO, tight).await), "SlippageTooHigh");
    let before = chain.balance(&charlie.account()).await.unwrap();
    let part = Limit { partial: true, ..tight };
    chain.add_stake_limit(&charlie, place, 10_000 * TAO, part).await.unwrap();
    let spent = before - chain.balance(&charlie.account()).await.unwrap();
    assert!(spent > 0 && spent < 1000 * TAO, "{spent} of 10,000 TAO");
    let high = Limit { price: price * 2, partial: false };
    let refused = chain.clone().careful().remove_stake(&charlie, place, TAO, Some(high)).await.unwrap_err();
    assert!(matches!(refused, ChainError::Refused { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_on_a_subnet_that_is_not_started_hold_at_once() {
    let (_net, chain) = support::world::localnet().await;
    let (bob, hotkey) = (key("//Bob"), key("//Bob//hot").account());
    let (netuid, _) = chain.register_network(&bob, &hotkey).await.unwrap();
    let children = [Child { hotkey: key("//Dave//hot").account(), share: u64::MAX / 4 }];
    let sent = chain.set_children(&bob, netuid, &hotkey, &children).await.unwrap();
    let family = chain.family(netuid, &hotkey, Some(sent.block.hash)).await.unwrap();
    assert_eq!((family.children.as_slice(), family.pending), (&children[..], None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_are_scheduled_and_takes_move_within_their_bounds() {
    let (world, place) = staked().await;
    let (chain, netuid, charlie) = (&world.chain, world.netuid, key("//Charlie"));
    let children = [Child { hotkey: key("//Bob//hot").account(), share: u64::MAX / 4 }];
    let sent = chain.set_children(&charlie, netuid, &place.hotkey, &children).await.unwrap();
    let family = chain.family(netuid, &place.hotkey, Some(sent.block.hash)).await.unwrap();
    assert_eq!(family.pending.as_deref(), Some(&children[..]));
    let due = u32::try_from(family.pending_from.unwrap()).unwrap();
    // They hold with the first epoch after the cooldown.
    chain.wait_for_block(due, PATIENCE).await.unwrap();
    world.after_next_epoch().await;
    world.after_next_epoch().await;
    let family = chain.family(netuid, &place.hotkey, None).await.unwrap();
    assert_eq!((family.children.as_slice(), family.pending), (&children[..], None));
    let own = [Child { hotkey: place.hotkey, share: 1 }];
    let refused = chain.clone().careful().set_children(&charlie, netuid, &place.hotkey, &own).await.unwrap_err();
    assert!(refused.to_string().contains("InvalidChild: its own child"), "{refused}");

    let takes = chain.takes(netuid, &place.hotkey, None).await.unwrap();
    let lower = takes.delegate / 2;
    chain.set_take(&charlie, &place.hotkey, lower, false).await.unwrap();
    assert_eq!(chain.takes(netuid, &place.hotkey, None).await.unwrap().delegate, lower);
    let refused = chain.clone().careful().set_take(&charlie, &place.hotkey, lower, false).await.unwrap_err();
    assert_eq!(refused.name(), Some("DelegateTakeTooLow"), "{refused}");
    chain.set_childkey_take(&charlie, netuid, &place.hotkey, 655).await.unwrap();
    assert_eq!(chain.takes(netuid, &place.hotkey, None).await.unwrap().childkey, 655);
    let foreign = chain.clone().careful().set_take(&key("//Eve"), &place.hotkey, 1, false).await.unwrap_err();
    assert_eq!(foreign.name(), Some("NonAssociatedColdKey"), "{foreign}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_limit_holds_root_takes_a_hotkey_and_a_hotkey_is_swapped() {
    let (world, place) = staked().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    let dave = key("//Dave//hot").account();
    let low = chain.register_limit(&key("//Dave"), netuid, &dave, 1).await;
    assert_eq!(name(low), "RegistrationPriceLimitExceeded");
    let (uid, _) = chain.register_limit(&key("//Dave"), netuid, &dave, TAO).await.unwrap();
    assert_eq!(uid, 2);
    chain.root_register(&key("//Dave"), &dave).await.unwrap();
    assert!(chain.uid(0, &dave).await.unwrap().is_some());
    let new = key("//Charlie//new").account();
    chain.swap_hotkey(&key("//Charlie"), &place.hotkey, &new, None).await.unwrap();
    assert_eq!(
        (chain.uid(netuid, &new).await.unwrap(), chain.uid(netuid, &place.hotkey).await.unwrap()),
        (Some(1), None)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_metrics_are_kept_and_a_bad_certificate_is_refused() {
    let world = world().await;
    let (chain, netuid, hot) = (&world.chain, world.netuid, key("//Bob//hot"));
    let address = "203.0.113.7:8091".parse().unwrap();
    let too_long = chain.serve_axon_tls(&hot, netuid, address, &[1; 66]).await.unwrap_err();
    assert!(matches!(too_long, ChainError::Invalid(_)), "{too_long}");
    world.set("sudo_set_serving_rate_limit", "serving_rate_limit", 0_u64).await;
    chain.serve_axon_tls(&hot, netuid, address, &[7; 33]).await.unwrap();
    chain.serve_prometheus(&hot, netuid, "203.0.113.7:9090".parse().unwrap()).await.unwrap();
    let graph = chain.metagraph(netuid, None).await.unwrap();
    assert_eq!(graph.neurons[0].axon.unwrap().address, address);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_registers_a_coldkey_that_owns_nothing() {
    let world = world().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    let (cold, hot) = (key("//Nobody"), key("//Nobody//hot").account());
    let work = chain.pow_work(netuid, &hot, &cold.account()).await.unwrap();
    let forbidden = chain.clone().careful().pow_register(&cold, &work, 0).await.unwrap_err();
    assert_eq!(forbidden.name(), Some("SubNetRegistrationDisabled"), "{forbidden}");
    world.set("sudo_set_network_pow_registration_allowed", "registration_allowed", true).await;
    // A machine that is busy may be overtaken: then the work begins anew on a new block, as the command does.
    let uid = loop {
        let work = chain.pow_work(netuid, &hot, &cold.account()).await.unwrap();
        let nonce = Search::start(work, 2, Arc::default()).unwrap().nonce().await.unwrap();
        match chain.pow_register(&cold, &work, nonce).await {
            Ok((uid, sent)) => {
                assert_eq!(sent.fee, 0);
                break uid;
            }
            Err(error) => assert!(error.to_string().contains("InvalidWorkBlock"), "{error}"),
        }
    };
    assert_eq!(chain.uid(netuid, &hot).await.unwrap(), Some(uid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_predicted_price_is_the_chains_to_the_last_rao() {
    let world = world().await;
    let chain = &world.chain;
    world.register("//Dave", "//Dave//hot").await;
    let now = chain.burn_curve(world.netuid, None).await.unwrap();
    for blocks in [1, 3, 7] {
        let block = chain.wait_for_block(now.block + blocks, PATIENCE).await.unwrap();
        let then = chain.burn_curve(world.netuid, Some(block.hash)).await.unwrap();
        assert_eq!(now.after(blocks), then.burn, "{blocks} blocks after {now:?}");
        assert!(then.burn < now.burn, "a price that stands proves nothing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn balances_commitments_delegates_and_subnets_are_read_at_one_block() {
    let (world, place) = staked().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    let accounts = ["//Alice", "//Nobody", "//Charlie"].map(|uri| key(uri).account());
    let at = chain.head().await.unwrap().hash;
    let balances = chain.balances(&accounts, Some(at)).await.unwrap();
    assert!(balances[0] > TAO && balances[1] == 0 && balances[2] > TAO, "{balances:?}");
    assert_eq!(balances[2], chain.balance(&accounts[2]).await.unwrap());
    chain.set_commitment(&key("//Bob//hot"), netuid, b"of bob").await.unwrap();
    chain.set_commitment(&key("//Charlie//hot"), netuid, b"of charlie").await.unwrap();
    let all = chain.commitments(netuid, None).await.unwrap();
    let texts: Vec<_> = all.iter().map(|(who, found)| (*who, found.data.as_slice())).collect();
    assert_eq!(texts, [(key("//Bob//hot").account(), &b"of bob"[..]), (place.hotkey, &b"of charlie"[..])]);
    assert!(chain.commitments(netuid, Some(at)).await.unwrap().is_empty(), "not yet at that block");
    let delegates = chain.delegates(None, None).await.unwrap();
    let charlie = delegates.iter().find(|delegate| delegate.hotkey == place.hotkey).unwrap();
    assert_eq!((charlie.owner, charlie.registrations.as_slice()), (accounts[2], &[netuid][..]));
    let one = chain.delegates(Some(&place.hotkey), None).await.unwrap();
    assert_eq!((one.len(), one[0].hotkey), (1, place.hotkey));
    let detail = chain.subnet(netuid, None).await.unwrap();
    assert_eq!((detail.netuid, detail.owner_coldkey), (netuid, key("//Bob").account()));
    assert!(matches!(chain.subnet(4000, None).await, Err(ChainError::NotFound(_))));
    assert_eq!(chain.identity(&accounts[1], None).await.unwrap(), None);
}
