//! A chain that begins as the fork of a subnet.

use frame_support::assert_ok;
use sp_runtime::AccountId32;
use starling_pallets::{
    subtensor::{
        self as s,
        fork::{Axon, Neuron, Snapshot},
    },
    types::ROOT,
};

use super::support::*;

const BLOCK: u32 = 5_000_000;
const FORKED: u16 = 9;

fn neuron(uid: u16, alpha: u64, tao: u64) -> Neuron {
    let byte = uid as u8;
    Neuron {
        uid,
        hotkey: account(100 + byte),
        coldkey: account(50 + byte),
        active: true,
        validator_permit: alpha > 0,
        last_update: u64::from(BLOCK) - 100 - u64::from(uid),
        emission: 1_000 + u64::from(uid),
        dividends: 3,
        incentive: 4,
        consensus: 5,
        validator_trust: 6,
        alpha_stake: alpha,
        tao_stake: tao,
        axon: (uid == 1).then(|| Axon {
            block: 4_999_000,
            address: "[2001:db8::7]:8091".parse().unwrap(),
            protocol: 4,
            version: 77,
        }),
        block_at_registration: u64::from(BLOCK) - 1_000 * u64::from(uid),
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        block: BLOCK,
        netuid: FORKED,
        name: "iota".into(),
        symbol: "i".into(),
        owner_coldkey: account(50),
        owner_hotkey: account(100),
        tempo: 360,
        last_step: u64::from(BLOCK) - 300,
        blocks_since_last_step: 300,
        max_uids: 8,
        kappa: 32_767,
        min_allowed_weights: 2,
        weights_version: 7,
        weights_rate_limit: 50,
        activity_cutoff: 5_000,
        max_validators: 4,
        immunity_period: 1_500,
        burn: 400_000,
        registration_allowed: true,
        commit_reveal_enabled: false,
        commit_reveal_period: 2,
        neurons: vec![neuron(0, 0, 0), neuron(1, 500 * TAO, 30 * TAO), neuron(2, 200 * TAO, 0), neuron(3, 0, 0)],
    }
}

fn forked(test: impl FnOnce()) {
    chain(Genesis { fork: Some(snapshot()), ..Genesis::fast() }, test);
}

#[test]
fn a_fork_shows_the_metagraph_that_it_was_made_of_and_goes_on_at_its_block() {
    forked(|| {
        assert_eq!(now(), u64::from(BLOCK) + 1);
        let (graph, was) = (Subtensor::metagraph(FORKED).unwrap(), snapshot());
        assert_eq!((&graph.owner_coldkey, &graph.owner_hotkey), (&was.owner_coldkey, &was.owner_hotkey));
        let name: Vec<u8> = graph.name.iter().map(|c| c.0).collect();
        assert_eq!((name.as_slice(), graph.tempo.0, graph.max_uids.0, graph.kappa.0), (&b"iota"[..], 360, 8, 32_767));
        assert_eq!((graph.last_step.0, graph.blocks_since_last_step.0), (was.last_step, 301));
        assert_eq!((graph.min_allowed_weights.0, graph.weights_version.0, graph.weights_rate_limit.0), (2, 7, 50));
        assert_eq!((graph.activity_cutoff.0, graph.max_validators.0, graph.immunity_period.0), (5_000, 4, 1_500));
        assert!(graph.burn.0 <= 400_000 && graph.burn.0 > 390_000, "decayed by one block: {}", graph.burn.0);
        assert_eq!((graph.registration_allowed, graph.commit_reveal_weights_enabled), (true, false));
        assert_eq!(graph.commit_reveal_period.0, 2);
        for (i, n) in was.neurons.iter().enumerate() {
            assert_eq!((&graph.hotkeys[i], &graph.coldkeys[i]), (&n.hotkey, &n.coldkey), "uid {i}");
            assert_eq!((graph.active[i], graph.validator_permit[i]), (n.active, n.validator_permit));
            assert_eq!((graph.last_update[i].0, graph.emission[i].0), (n.last_update, n.emission));
            assert_eq!((graph.dividends[i].0, graph.incentives[i].0, graph.consensus[i].0), (3, 4, 5));
            assert_eq!((graph.alpha_stake[i].0, graph.tao_stake[i].0), (n.alpha_stake, n.tao_stake));
            assert_eq!(graph.block_at_registration[i].0, n.block_at_registration);
        }
        assert_eq!((graph.axons[1].port, graph.axons[1].ip_type, graph.axons[1].block), (8_091, 6, 4_999_000));
        assert_eq!(s::ValidatorTrust::<Test>::get(FORKED), [6, 6, 6, 6]);
        assert_eq!(Subtensor::networks(), [ROOT, FORKED], "there is no subnet 1");
    });
}

#[test]
fn ages_count_from_the_snapshot() {
    forked(|| {
        assert!(Subtensor::is_immune(FORKED, 1), "a thousand blocks old, immune for 1,500");
        assert!(!Subtensor::is_immune(FORKED, 2));
        // 300 of 360 blocks have passed.
        assert_eq!(Subtensor::next_epoch_block(FORKED, now()), Some(u64::from(BLOCK) + 60));
        run_to(u64::from(BLOCK) + 60);
        assert_eq!(s::LastMechansimStepBlock::<Test>::get(FORKED), u64::from(BLOCK) + 60);
        assert_eq!(s::ValidatorPermit::<Test>::get(FORKED), [true, true, true, false], "the owner and who has stake");
    });
}

#[test]
fn its_money_is_backed_and_its_neurons_and_strangers_act_as_on_any_chain() {
    forked(|| {
        for netuid in [ROOT, FORKED] {
            let held = Balances::free_balance(Subtensor::subnet_account(netuid));
            assert_eq!(held, s::SubnetTAO::<Test>::get(netuid) + 500);
        }
        assert_eq!(s::SubnetTAO::<Test>::get(ROOT), 30 * TAO);
        let before = Balances::free_balance(account(51));
        assert_ok!(Subtensor::remove_stake(signed(&account(51)), account(101), FORKED, 10 * TAO));
        assert!(Balances::free_balance(account(51)) > before + 9 * TAO);
        assert_ok!(Subtensor::burned_register(signed(&account(2)), FORKED, hotkey(40)));
        assert_eq!(s::Uids::<Test>::get(FORKED, hotkey(40)), Some(4));
        let weights = |version| Subtensor::set_weights(signed(&account(101)), FORKED, vec![2, 3], vec![1, 1], version);
        assert!(weights(6).is_err(), "the version key came along");
        assert_ok!(weights(7));
    });
}

#[test]
fn what_is_wrong_with_a_snapshot_is_said() {
    let wrong = |edit: fn(&mut Snapshot)| {
        let mut snapshot = snapshot();
        edit(&mut snapshot);
        snapshot.check().unwrap_err()
    };
    assert_eq!(snapshot().check(), Ok(()));
    assert!(wrong(|s| s.netuid = 0).contains("netuid is 0"));
    assert!(wrong(|s| s.netuid = 4_096).contains("netuid is 4096"));
    assert!(wrong(|s| s.block = 0).contains("block is 0"));
    assert!(wrong(|s| s.tempo = 0).contains("tempo is 0"));
    assert!(wrong(|s| s.max_uids = 3).contains("4 neurons"));
    assert!(wrong(|s| s.neurons.clear()).contains("0 neurons"));
    assert!(wrong(|s| s.neurons[2].uid = 3).contains("has uid 3"));
    assert!(wrong(|s| s.neurons[2].hotkey = AccountId32::new([101; 32])).contains("uid 2"));
    assert!(wrong(|s| s.neurons[1].last_update = 5_000_001).contains("block 5000001"));
    assert!(wrong(|s| s.last_step = 5_000_001).contains("last_step"));
    assert!(wrong(|s| s.neurons[1].alpha_stake = u64::MAX).contains("stakes"));
}
