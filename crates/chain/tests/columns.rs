//! Columns of a metagraph, read alone, are what the whole metagraph of the same block has there: on old and new runtimes, on each
//! mechanism.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use starling_chain::{Cell, ChainError, Client, Column, Entry, Mechanism, Selection};
use starling_localnet::{Localnet, LocalnetConfig, Presentation};
use support::world::{PATIENCE, TAO, key, options};

/// A subnet of two neurons after an epoch, and its number.
async fn subnet(spec: u32) -> (Localnet, Client, u16) {
    let config = LocalnetConfig {
        block_time: Some(std::time::Duration::from_millis(100)),
        runtime: Presentation::of(spec),
        ..LocalnetConfig::default()
    };
    let net = Localnet::start(config).await.unwrap();
    let chain = Client::connect(&net.url(), options()).await.unwrap();
    let hotkey = key("//Bob//hot").account();
    let (netuid, _) = chain.register_network(&key("//Bob"), &hotkey).await.unwrap();
    chain.start_call(&key("//Bob"), netuid).await.unwrap();
    chain.burned_register(&key("//Dave"), netuid, &key("//Dave//hot").account()).await.unwrap();
    chain.add_stake(&key("//Bob"), &hotkey, netuid, 1000 * TAO).await.unwrap();
    chain.serve_axon(&key("//Dave//hot"), netuid, "203.0.113.7:8091".parse().unwrap()).await.unwrap();
    (net, chain, netuid)
}

async fn epoch(chain: &Client, netuid: u16) {
    let next = chain.epoch_clock(netuid).await.unwrap().next_epoch_block().unwrap();
    chain.wait_for_block(next, PATIENCE).await.unwrap();
}

/// Every column alone, and all that may be read together, against the whole at the same block.
async fn compare(chain: &Client, of: Mechanism, selective: bool) -> Selection {
    let at = Some(chain.head().await.unwrap().hash);
    let graph = chain.mechagraph(of, at).await.unwrap();
    let one_stake = |c: &&Column| !matches!(c, Column::AlphaStake | Column::TaoStake);
    let many: Vec<Column> = Column::ALL.iter().filter(one_stake).copied().collect();
    let mut sets: Vec<Vec<Column>> = Column::ALL.iter().map(|column| vec![*column]).collect();
    sets.push(many);
    for columns in sets {
        let found = chain.columns(of, &columns, at).await.unwrap();
        assert_eq!(found.alone, selective, "{columns:?}");
        let whole = Selection::of(&graph, &columns);
        assert_eq!(found, Selection { alone: selective, ..whole }, "{columns:?} of {of:?}");
    }
    // What would be more work for the node than the whole is read out of the whole.
    let stakes = [Column::AlphaStake, Column::TotalStake];
    assert_eq!(chain.columns(of, &stakes, at).await.unwrap(), Selection::of(&graph, &stakes));
    // A cell is what the neuron has there, as JSON too.
    let all = Selection::of(&graph, Column::ALL);
    for (row, neuron) in all.rows.iter().zip(&graph.neurons) {
        let json = serde_json::to_value(neuron).unwrap();
        for column in Column::ALL {
            let cell = serde_json::to_value(all.cell(row, *column).unwrap()).unwrap();
            assert_eq!(cell, json.get(column.name()).cloned().unwrap_or_default(), "{column}");
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_read_alone_are_those_of_the_whole_on_each_mechanism() {
    let (_net, chain, netuid) = subnet(466).await;
    let set = async |call: &str, args: &[(&str, starling_chain::value::Value)]| {
        chain.sudo_set(&key("//Alice"), call, args).await.unwrap();
    };
    let net = ("netuid", netuid.into());
    // Mechanisms times neurons are limited.
    set("sudo_set_max_allowed_uids", &[net.clone(), ("max_allowed_uids", 64_u16.into())]).await;
    set("sudo_set_mechanism_count", &[net.clone(), ("mechanism_count", 2_u8.into())]).await;
    set("sudo_set_commit_reveal_weights_enabled", &[net, ("enabled", false.into())]).await;
    epoch(&chain, netuid).await;
    let second = Mechanism { netuid, id: 1 };
    chain.set_weights(&key("//Bob//hot"), second, &[1], &[65_535], 0).await.unwrap();
    epoch(&chain, netuid).await;
    let main = compare(&chain, netuid.into(), true).await;
    let other = compare(&chain, second, true).await;
    let column = |of: &Selection, column| of.rows.iter().map(|row| of.cell(row, column).unwrap()).collect::<Vec<_>>();
    assert_eq!(column(&other, Column::Incentive), [Cell::Number(0), Cell::Number(65_535)]);
    for own in [Column::Incentive, Column::LastUpdate] {
        assert_ne!(column(&main, own), column(&other, own), "a mechanism has its own {own}");
    }
    assert_eq!(column(&main, Column::TotalStake), column(&other, Column::TotalStake));
    assert!(matches!(column(&main, Column::Axon)[..], [Cell::Axon(None), Cell::Axon(Some(_))]));
    assert!(column(&main, Column::Rank).iter().all(|cell| *cell == Cell::Absent), "gone since June 2026");
    // One of them in depth: what it set on that mechanism, and not on the other.
    let graph = chain.mechagraph(second, None).await.unwrap();
    let deep = chain.neurons(&graph, &[0, 9]).await.unwrap();
    let [owner] = deep.as_slice() else { panic!("{deep:?}") };
    assert_eq!((owner.weights.as_slice(), owner.is_subnet_owner), (&[Entry { uid: 1, value: 65_535 }][..], true));
    assert!(matches!(owner.bonds[..], [Entry { uid: 1, value: 1.. }]), "{owner:?}");
    assert_eq!(owner.weights_age, u64::from(graph.block) - owner.neuron.last_update);
    let main = chain.metagraph(netuid, None).await.unwrap();
    assert!(chain.neurons(&main, &[0]).await.unwrap()[0].weights.is_empty());
    let third = chain.columns(Mechanism { netuid, id: 2 }, &[Column::Incentive], None).await.unwrap_err();
    assert!(third.to_string().contains("has 2 mechanisms"), "{third}");
    for id in [0, 1] {
        let none = chain.columns(Mechanism { netuid: 4000, id }, &[Column::Incentive], None).await.unwrap_err();
        assert!(matches!(&none, ChainError::NotFound(text) if text.contains("no subnet 4000")), "{none}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_runtime_shows_its_ranks() {
    let (_net, chain, netuid) = subnet(365).await;
    let all = compare(&chain, netuid.into(), true).await;
    assert!(all.rows.iter().all(|row| matches!(all.cell(row, Column::Rank), Some(Cell::Number(_)))), "{all:?}");
}
