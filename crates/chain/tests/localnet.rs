//! The client against a real chain over a real socket: every write is confirmed, every refusal has its name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use futures::future::join_all;
use jsonrpsee::{core::client::ClientT as _, ws_client::WsClientBuilder};
use starling_chain::{ChainError, Client, Options, value::Value};
use starling_localnet::{Localnet, LocalnetConfig};
use support::{
    proxy::{Fault, Proxy},
    world::{PATIENCE, TAO, key, localnet, name, options, world},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subnet_is_founded_started_and_listed() {
    let (_net, chain) = localnet().await;
    let cost = chain.network_registration_cost().await.unwrap();
    let before = chain.balance(&key("//Bob").account()).await.unwrap();
    let (netuid, sent) = chain.register_network(&key("//Bob"), &key("//Bob//hot").account()).await.unwrap();
    let after = chain.balance(&key("//Bob").account()).await.unwrap();
    assert_eq!(before - after, cost + sent.fee, "the lock cost and the fee are what it took");
    chain.start_call(&key("//Bob"), netuid).await.unwrap();
    assert_eq!(name(chain.start_call(&key("//Bob"), netuid).await), "FirstEmissionBlockNumberAlreadySet");
    let subnets = chain.subnets().await.unwrap();
    let found = subnets.iter().find(|subnet| subnet.netuid == netuid).unwrap();
    assert_eq!((found.owner, found.neurons), (key("//Bob").account(), 1));
    assert_eq!(chain.uid(netuid, &key("//Bob//hot").account()).await.unwrap(), Some(0));
    let error = chain.metagraph(4000, None).await.unwrap_err();
    assert!(matches!(error, ChainError::NotFound(_)), "{error}");
    let error = chain.hyperparameters(4000).await.unwrap_err();
    assert!(matches!(error, ChainError::NotFound(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registering_burns_its_price_and_refusals_are_named() {
    let world = world().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    let hotkey = key("//Dave//hot").account();
    assert_eq!(chain.uid(netuid, &hotkey).await.unwrap(), None);
    let before = chain.balance(&key("//Dave").account()).await.unwrap();
    let price = chain.registration_cost(netuid).await.unwrap();
    let (uid, sent) = chain.burned_register(&key("//Dave"), netuid, &hotkey).await.unwrap();
    assert_eq!((uid, chain.uid(netuid, &hotkey).await.unwrap()), (1, Some(1)));
    let paid = before - chain.balance(&key("//Dave").account()).await.unwrap() - sent.fee;
    // The price falls a little with each block between asking and paying.
    assert!(paid <= price && paid > price - price / 10, "paid {paid}, asked {price}");
    assert!(chain.registration_cost(netuid).await.unwrap() > price, "a registration raises the price");

    let again = chain.burned_register(&key("//Dave"), netuid, &hotkey).await;
    assert_eq!(name(again), "HotKeyAlreadyRegisteredInSubNet");
    let nowhere = chain.burned_register(&key("//Dave"), 4000, &hotkey).await;
    assert!(matches!(name(nowhere).as_str(), "SubnetNotExists" | "SubNetworkDoesNotExist"));
    let root = chain.burned_register(&key("//Dave"), 0, &hotkey).await;
    assert_eq!(name(root), "RegistrationNotPermittedOnRootSubnet");
    // Another coldkey's hotkey, on another subnet.
    let (other, _) = chain.register_network(&key("//Charlie"), &key("//Charlie//hot").account()).await.unwrap();
    assert_eq!(name(chain.burned_register(&key("//Eve"), other, &hotkey).await), "NonAssociatedColdKey");

    let poor = key("//Poor");
    let nothing = chain.burned_register(&poor, netuid, &key("//Poor//hot").account()).await;
    assert_eq!(name(nothing), "Payment");
    chain.transfer(&key("//Eve"), &poor.account(), TAO / 100).await.unwrap();
    let error = chain.burned_register(&poor, netuid, &key("//Poor//hot").account()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error.name(), Some("NotEnoughBalanceToStake" | "BalanceTooLow")), "{text}");
    assert!(text.contains("balance ") && text.contains("registration "), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stake_shows_in_the_metagraph_and_too_much_of_it_is_refused_with_the_numbers() {
    let world = world().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    world.register("//Charlie", "//Charlie//hot").await;
    let hotkey = key("//Charlie//hot").account();
    let stake = |graph: starling_chain::Metagraph| graph.by_hotkey(&hotkey).unwrap().alpha_stake;
    let before = stake(chain.metagraph(netuid, None).await.unwrap());
    let sent = chain.add_stake(&key("//Charlie"), &hotkey, netuid, 100 * TAO).await.unwrap();
    let graph = chain.metagraph(netuid, Some(sent.block.hash)).await.unwrap();
    assert_eq!((graph.block, graph.block_hash), (sent.block.number, sent.block.hash));
    assert!(stake(graph) > before);
    let error = chain.add_stake(&key("//Dave"), &hotkey, netuid, 1_000_000 * TAO).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error.name(), Some("BalanceTooLow" | "NotEnoughBalanceToStake")), "{text}");
    assert!(text.contains("wanted 1000000000000000 rao"), "{text}");
    let unknown = chain.add_stake(&key("//Charlie"), &key("//Nobody").account(), netuid, TAO).await;
    assert!(matches!(name(unknown).as_str(), "HotkeyAccountDoesntExist" | "HotKeyAccountNotExists"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_are_committed_revealed_read_back_and_paid() {
    let world = world().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    // Long enough that the window outlasts a busy machine.
    world.set("sudo_set_tempo", "tempo", 20_u16).await;
    let (validator, miner) = world.validator_and_miner().await;
    let hotkey = key("//Charlie//hot");
    let (uids, values, salt) = ([validator, miner], [0_u16, 40_000], [7_u16, 8, 9]);

    let plain = chain.set_weights(&hotkey, netuid, &uids, &values, 0).await;
    assert_eq!(name(plain), "CommitRevealEnabled");
    let early = chain.reveal_weights(&hotkey, netuid, &uids, &values, &salt, 0).await;
    assert!(matches!(name(early).as_str(), "CommitNotFound" | "NoWeightsCommitFound"));

    let (commit, _) = chain.commit_weights(&hotkey, netuid, &uids, &values, &salt, 0).await.unwrap();
    assert_eq!(chain.weight_commits(netuid, &hotkey.account()).await.unwrap(), [commit]);
    let window = chain.epoch_clock(netuid).await.unwrap().reveal_window(commit.epoch).unwrap();
    let error = chain.reveal_weights(&hotkey, netuid, &uids, &values, &salt, 0).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error.name(), Some("CommitBlockNotInRevealRange" | "RevealTooEarly")), "{text}");
    assert!(text.contains(&format!("can be revealed in blocks {} to {}", window.first, window.last)), "{text}");

    world.wait_for(window).await;
    let other = chain.reveal_weights(&hotkey, netuid, &uids, &values, &[7, 8], 0).await;
    assert!(matches!(name(other).as_str(), "CommitNotFound" | "InvalidRevealCommitHashNotMatch"));
    let sent = chain.reveal_weights(&hotkey, netuid, &uids, &values, &salt, 0).await.unwrap();
    assert!(window.contains(sent.block.number), "{window:?} {sent:?}");
    assert_eq!(chain.weights(netuid, validator, None).await.unwrap(), [(validator, 0), (miner, 65535)]);
    assert_eq!(chain.weight_commits(netuid, &hotkey.account()).await.unwrap(), []);

    let before = chain.metagraph(netuid, Some(sent.block.hash)).await.unwrap();
    assert_eq!(before.neurons[usize::from(miner)].incentive, 0);
    world.after_next_epoch().await;
    let graph = chain.metagraph(netuid, None).await.unwrap();
    let (v, m) = (&graph.neurons[usize::from(validator)], &graph.neurons[usize::from(miner)]);
    assert_eq!((m.uid, m.incentive, m.consensus), (miner, 65535, 65535));
    assert!(v.dividends > 0 && v.validator_trust > 0 && m.emission > 0, "{graph:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_are_set_plainly_where_commit_reveal_is_off_and_refusals_have_their_numbers() {
    let world = world().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    let (validator, miner) = world.validator_and_miner().await;
    world.set("sudo_set_commit_reveal_weights_enabled", "enabled", false).await;
    assert!(!chain.hyperparameters(netuid).await.unwrap().commit_reveal_enabled);
    let hotkey = key("//Charlie//hot");
    chain.set_weights(&hotkey, netuid, &[miner], &[123], 0).await.unwrap();
    assert_eq!(chain.weights(netuid, validator, None).await.unwrap(), [(miner, 65535)]);

    let set =
        async |who: &str, uids: &[u16], values: &[u16]| chain.set_weights(&key(who), netuid, uids, values, 0).await;
    assert_eq!(name(set("//Charlie//hot", &[miner, miner], &[1, 2]).await), "DuplicateUids");
    assert_eq!(name(set("//Charlie//hot", &[77], &[1]).await), "UidVecContainInvalidOne");
    assert!(matches!(set("//Charlie//hot", &[1, 2], &[1]).await, Err(ChainError::Invalid(_))));
    let committed = chain.commit_weights(&hotkey, netuid, &[miner], &[1], &[1], 0).await;
    assert_eq!(name(committed), "CommitRevealDisabled");
    let stranger = name(set("//Nobody", &[miner], &[1]).await);
    assert!(
        ["HotKeyNotRegisteredInNetwork", "HotKeyNotRegisteredInSubNet", "StakeAmountTooLow", "UidNotFound"]
            .contains(&stranger.as_str()),
        "{stranger}"
    );

    world.set("sudo_set_weights_version_key", "weights_version_key", 5_u64).await;
    let error = set("//Charlie//hot", &[miner], &[1]).await.unwrap_err();
    assert_eq!(error.name(), Some("IncorrectWeightVersionKey"), "{error}");
    assert!(error.to_string().contains("given 0, needed at least 5"), "{error}");
    world.set("sudo_set_weights_set_rate_limit", "weights_set_rate_limit", 5000_u64).await;
    let error = chain.set_weights(&hotkey, netuid, &[miner], &[1], 5).await.unwrap_err();
    assert!(matches!(error.name(), Some("RateLimitExceeded" | "SettingWeightsTooFast")), "{error}");
    assert!(error.to_string().contains("limit 5000") && error.to_string().contains("blocks left"), "{error}");
    assert!(error.is_transient());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hyperparameters_are_set_by_name_and_read_back() {
    let world = world().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    for (setter, argument, entry, value) in [
        ("sudo_set_tempo", "tempo", "tempo", 33_u64),
        ("sudo_set_immunity_period", "immunity_period", "immunity_period", 44),
        ("sudo_set_weights_set_rate_limit", "weights_set_rate_limit", "weights_rate_limit", 55),
        ("sudo_set_max_allowed_validators", "max_allowed_validators", "max_validators", 3),
        ("sudo_set_serving_rate_limit", "serving_rate_limit", "serving_rate_limit", 66),
    ] {
        world.set(setter, argument, value).await;
        assert_eq!(chain.hyperparameters(netuid).await.unwrap().number(entry), Some(value.into()), "{setter}");
    }
    let parameters = chain.hyperparameters(netuid).await.unwrap();
    let json = serde_json::to_value(&parameters).unwrap();
    assert_eq!((json["tempo"].as_u64(), json["commit_reveal_weights_enabled"].as_bool()), (Some(33), Some(true)));

    let args = [("netuid", Value::from(netuid)), ("tempo", 9_u16.into())];
    let error = chain.sudo_set(&key("//Eve"), "sudo_set_tempo", &args).await.unwrap_err();
    assert!(matches!(&error, ChainError::Dispatch { call, .. } if call == "AdminUtils.sudo_set_tempo"), "{error}");
    let error = chain.sudo_set(&key("//Alice"), "sudo_set_colour", &args).await.unwrap_err();
    assert!(matches!(error, ChainError::Absent { .. }), "{error}");
    let error = chain
        .sudo_set(&key("//Alice"), "sudo_set_tempo", &[("netuid", netuid.into()), ("beat", 1_u16.into())])
        .await
        .unwrap_err();
    assert!(matches!(&error, ChainError::Arguments { reason, .. } if reason.contains("beat")), "{error}");
    let nowhere = [("netuid", Value::from(4000_u16)), ("tempo", 9_u16.into())];
    let error = chain.sudo_set(&key("//Alice"), "sudo_set_tempo", &nowhere).await.unwrap_err();
    assert!(matches!(error, ChainError::Dispatch { .. }), "an error inside sudo is an error: {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commitments_of_every_size_are_read_back_at_their_block_too() {
    let world = world().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    let hotkey = key("//Bob//hot");
    let account = hotkey.account();
    assert_eq!(chain.commitment(netuid, &account, None).await.unwrap(), None);
    let mut first = None;
    for length in [1, 32, 127, 128, 129, 512] {
        let data: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let sent = chain.set_commitment(&hotkey, netuid, &data).await.unwrap();
        let read = chain.commitment(netuid, &account, None).await.unwrap().unwrap();
        assert_eq!((read.block, &read.data), (sent.block.number, &data));
        assert_eq!(sent.fee, 0, "hotkeys need no balance for it");
        first.get_or_insert(sent.block);
    }
    let old = chain.commitment(netuid, &account, Some(first.unwrap().hash)).await.unwrap().unwrap();
    assert_eq!((old.block, old.data), (first.unwrap().number, vec![0]));
    assert!(matches!(chain.set_commitment(&hotkey, netuid, &[]).await, Err(ChainError::Invalid(_))));
    assert!(matches!(chain.set_commitment(&hotkey, netuid, &[0; 513]).await, Err(ChainError::Invalid(_))));
    let stranger = chain.set_commitment(&key("//Nobody"), netuid, b"x").await;
    assert_eq!(name(stranger), "AccountNotAllowedCommit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axons_are_served_and_shown_and_loopback_is_refused() {
    let world = world().await;
    let (chain, netuid) = (&world.chain, world.netuid);
    let hotkey = key("//Bob//hot");
    for address in ["203.0.113.7:8091", "[2001:db8::1]:443"] {
        let address = address.parse().unwrap();
        let sent = chain.serve_axon(&hotkey, netuid, address).await.unwrap();
        let graph = chain.metagraph(netuid, Some(sent.block.hash)).await.unwrap();
        let axon = graph.neurons[0].axon.unwrap();
        assert_eq!((axon.address, axon.block), (address, sent.block.number.into()));
    }
    let loopback = chain.serve_axon(&hotkey, netuid, "127.0.0.1:8091".parse().unwrap()).await;
    assert_eq!(name(loopback), "InvalidIpAddress");
    let no_port = chain.serve_axon(&hotkey, netuid, "203.0.113.7:0".parse().unwrap()).await;
    assert_eq!(name(no_port), "InvalidPort");
    let stranger = chain.serve_axon(&key("//Nobody"), netuid, "203.0.113.7:8091".parse().unwrap()).await;
    assert!(matches!(
        name(stranger).as_str(),
        "HotKeyNotRegisteredInNetwork" | "HotKeyNotRegisteredInSubNet" | "UidNotFound"
    ));
    world.set("sudo_set_serving_rate_limit", "serving_rate_limit", 900_u64).await;
    let error = chain.serve_axon(&hotkey, netuid, "203.0.113.7:8091".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.name(), Some("ServingRateLimitExceeded"), "{error}");
    assert!(error.to_string().contains("limit 900"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_transactions_of_one_account_at_once_all_land() {
    let (_net, chain) = localnet().await;
    let sends = (0..12_u64).map(|i| {
        let chain = chain.clone();
        async move {
            let to = key(&format!("//To//{i}")).account();
            let sent = chain.transfer(&key("//Charlie"), &to, TAO + i).await.unwrap();
            (chain.balance(&to).await.unwrap(), TAO + i, sent)
        }
    });
    let mut hashes = Vec::new();
    for (read, expected, sent) in join_all(sends).await {
        assert_eq!(read, expected);
        hashes.push(sent.extrinsic_hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_cut_off_while_sending_happens_exactly_once() {
    let (net, chain) = localnet().await;
    let node = net.url().trim_start_matches("ws://").parse().unwrap();
    for round in 0..3_u64 {
        let proxy = Proxy::before(node).await;
        proxy.now(Fault::CutAfterSubmission);
        let through = Client::connect(&proxy.url(), options()).await.unwrap();
        let to = key(&format!("//Once//{round}")).account();
        through.transfer(&key("//Charlie"), &to, 5 * TAO).await.unwrap();
        assert_eq!(proxy.stats().faults, 1, "the answer to the submission was lost");
        assert_eq!(chain.balance(&to).await.unwrap(), 5 * TAO);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_dies_before_inclusion_ends_in_a_deadline_not_in_a_hang() {
    // Blocks only on demand: the transaction waits in the pool when the chain goes away.
    let config = LocalnetConfig { block_time: None, ..LocalnetConfig::default() };
    let net = Localnet::start(config).await.unwrap();
    let options = Options { timeout: Duration::from_millis(500), inclusion_timeout: Duration::from_secs(3) };
    let chain = Client::connect(&net.url(), options).await.unwrap();
    let to = key("//To").account();
    let sending = tokio::spawn({
        let chain = chain.clone();
        async move { chain.transfer(&key("//Charlie"), &to, TAO).await }
    });
    // In the pool, so the next nonce counts it.
    let rpc = WsClientBuilder::new().build(net.url()).await.unwrap();
    let next =
        async || rpc.request::<u32, _>("system_accountNextIndex", [key("//Charlie").account().to_string()]).await;
    while next().await.unwrap() == 0 {
        assert!(!sending.is_finished(), "{:?}", sending.await);
    }
    net.shutdown().await;
    let error = tokio::time::timeout(PATIENCE, sending).await.expect("it hangs").unwrap().unwrap_err();
    assert!(matches!(error, ChainError::Deadline { .. }), "{error}");
    assert!(error.to_string().contains("Balances.transfer_keep_alive"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_beacon_is_the_hash_of_a_final_block_for_everybody() {
    let (net, chain) = localnet().await;
    let second = Client::connect(&net.url(), options()).await.unwrap();
    let head = chain.head().await.unwrap();
    assert_eq!(chain.block_hash(head.number + 1000).await.unwrap(), None);
    let block = chain.wait_for_block(head.number + 3, PATIENCE).await.unwrap();
    assert_eq!(chain.block_hash(block.number).await.unwrap(), Some(block.hash));
    assert_eq!(second.block_hash(block.number).await.unwrap(), Some(block.hash));
    assert_eq!(
        (chain.genesis_hash(), chain.block_hash(0).await.unwrap()),
        (second.genesis_hash(), Some(second.genesis_hash()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_are_small_enough_to_be_nested_in_an_actor() {
    let (_net, chain) = localnet().await;
    let (signer, account) = (key("//Alice"), key("//Bob").account());
    for (name, size) in [
        ("metagraph", std::mem::size_of_val(&chain.metagraph(1, None))),
        ("epoch_clock", std::mem::size_of_val(&chain.epoch_clock(1))),
        ("hyperparameters", std::mem::size_of_val(&chain.hyperparameters(1))),
        ("blocks", std::mem::size_of_val(&chain.blocks())),
        ("commit_weights", std::mem::size_of_val(&chain.commit_weights(&signer, 1, &[], &[], &[], 0))),
        ("set_commitment", std::mem::size_of_val(&chain.set_commitment(&signer, 1, &[]))),
        ("sudo_set", std::mem::size_of_val(&chain.sudo_set(&signer, "", &[]))),
        ("transfer", std::mem::size_of_val(&chain.transfer(&signer, &account, 1))),
    ] {
        eprintln!("{name} {size}");
        assert!(size <= 16 << 10, "{name}'s future has {size} bytes");
    }
}
