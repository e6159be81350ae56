//! What the runtime APIs answer (chain.md 2). Their shapes are compared with the public runtime's in the runtime's own tests.

use frame_support::assert_ok;
use parity_scale_codec::{Compact, Decode, Encode};
use starling_pallets::{
    drand,
    info::{HyperparamValue, SelectiveMetagraph, SubnetHyperparams},
    subtensor as s,
    types::ROOT,
};

use super::support::*;

#[test]
fn a_metagraph_shows_every_neuron_in_order_of_uid() {
    open(|| {
        let uid = validator(2, 10 * TAO);
        register(3);
        assert_ok!(Subtensor::serve_axon(signed(&hotkey(3)), NET, 1, 5, 6, 4, 4, 0, 0));
        run_to(11);
        assert_ok!(set_weights(&hotkey(2), &[(2, 1)]));
        run_to(20);
        let m = Subtensor::metagraph(NET).unwrap();
        assert_eq!(m.hotkeys, [account(101), hotkey(2), hotkey(3)]);
        assert_eq!(m.coldkeys, [account(1), account(2), account(3)]);
        assert_eq!((m.block, m.num_uids, m.tempo), (Compact(20), Compact(3), Compact(10)));
        assert_eq!((m.axons[2].ip, m.axons[1].port), (5, 0));
        assert_eq!(m.validator_permit, [true, true, false]);
        assert!(m.incentives[2].0 > 65_000 && m.dividends[usize::from(uid)].0 > 65_000);
        assert_eq!(m.last_update[usize::from(uid)], Compact(11));
        assert_eq!(m.total_stake[usize::from(uid)].0, Subtensor::total_stake_weight(&hotkey(2), NET));
        assert!(m.rank.is_empty() && m.trust.is_empty() && m.pruning_score.is_empty());
        assert!(Subtensor::metagraph(9).is_none());
        let state = Subtensor::subnet_state(NET).unwrap();
        assert_eq!((state.hotkeys, state.incentives), (m.hotkeys, m.incentives));
    });
}

#[test]
fn a_selective_metagraph_has_what_was_asked_for_and_none_of_the_rest() {
    open(|| {
        register(2);
        assert_ok!(Commitments::set_commitment(signed(&hotkey(2)), NET, Box::new(raw(b"head"))));
        let full = Subtensor::metagraph(NET).unwrap();
        let some = Subtensor::selective_metagraph(NET, &[8, 52, 72, 73, 999]).unwrap();
        assert_eq!((some.netuid, some.tempo, some.hotkeys), (Compact(0), Some(full.tempo), Some(full.hotkeys.clone())));
        assert_eq!(some.validators, Some(vec![]));
        let commitments = some.commitments.unwrap();
        assert_eq!(commitments.len(), 1);
        let bytes: Vec<u8> = commitments[0].1.iter().map(|byte| byte.0).collect();
        let stored = starling_pallets::commitments::CommitmentOf::<Test>::get(NET, hotkey(2)).unwrap();
        assert_eq!((commitments[0].0.clone(), bytes), (hotkey(2), stored.encode()));
        assert!(some.name.is_none() && some.coldkeys.is_none() && some.block.is_none());
        // Everything at once: each field where it belongs, so every index means what it should.
        let all: Vec<u16> = (0..=73).collect();
        let all = Subtensor::selective_metagraph(NET, &all).unwrap();
        assert_eq!(all.netuid, Compact(NET));
        let mut bytes = vec![];
        Compact(NET).encode_to(&mut bytes);
        assert!(all.encode().starts_with(&bytes));
        assert_eq!(
            (all.burn, all.alpha_low, all.bonds_moving_avg),
            (Some(full.burn), Some(full.alpha_low), Some(full.bonds_moving_avg))
        );
        assert_eq!(all.alpha_dividends_per_hotkey, Some(full.alpha_dividends_per_hotkey));
        assert_eq!(all.moving_price, Some(full.moving_price));
        // A part alone is what it is in the whole, whatever is left unread beside it.
        for index in 0..=71 {
            let whole = Subtensor::metagraph(NET).unwrap();
            let part = SelectiveMetagraph::pick(whole, &[index]);
            assert_eq!(Subtensor::selective_metagraph(NET, &[index]).unwrap(), part, "{index}");
        }
    });
}

#[test]
fn neurons_come_one_by_one_and_all_together() {
    open(|| {
        let uid = validator(2, 10 * TAO);
        assert_ok!(set_weights(&hotkey(2), &[(0, 7)]));
        let all = Subtensor::neurons(NET);
        let lite = Subtensor::neurons_lite(NET);
        assert_eq!((all.len(), lite.len()), (2, 2));
        assert_eq!(all[1], Subtensor::neuron(NET, uid).unwrap());
        assert_eq!(all[1].weights, [(Compact(0), Compact(65_535))]);
        assert_eq!(
            (lite[1].hotkey.clone(), lite[1].uid, lite[1].pruning_score),
            (hotkey(2), Compact(1), Compact(65_535))
        );
        assert_eq!(lite[1].stake, [(account(2), Compact(s::TotalHotkeyAlpha::<Test>::get(hotkey(2), NET)))]);
        assert!(Subtensor::neuron(NET, 2).is_none() && Subtensor::neuron_lite(9, 0).is_none());
        // A lite neuron is a neuron without weights and bonds.
        let (full, short) = (all[1].encode(), lite[1].encode());
        assert!(full.starts_with(&short[..short.len() - 4]));
    });
}

#[test]
fn the_three_versions_of_the_hyperparameters_agree() {
    open(|| {
        s::Kappa::<Test>::insert(NET, 123);
        let v2 = Subtensor::hyperparams_v2(NET).unwrap();
        let v1 = Subtensor::hyperparams(NET).unwrap();
        assert_eq!((v1.kappa, v1.tempo, v1.liquid_alpha_enabled), (v2.kappa, v2.tempo, v2.liquid_alpha_enabled));
        assert_eq!(SubnetHyperparams::decode(&mut &v2.encode()[..]).unwrap(), v1);
        let v3 = Subtensor::hyperparams_v3(NET).unwrap();
        let find = |name: &str| v3.iter().find(|entry| entry.name == name.as_bytes()).unwrap().value.clone();
        assert_eq!(find("kappa"), HyperparamValue::U16(Compact(123)));
        assert_eq!(find("activity_cutoff"), HyperparamValue::U64(v2.activity_cutoff));
        assert_eq!(find("commit_reveal_weights_enabled"), HyperparamValue::Bool(false));
        assert_eq!(find("min_burn"), HyperparamValue::TaoBalance(v2.min_burn));
        let names: Vec<&str> = v3.iter().map(|entry| std::str::from_utf8(&entry.name).unwrap()).collect();
        let public = "kappa immunity_period min_allowed_weights max_weights_limit tempo weights_version weights_rate_limit \
            activity_cutoff activity_cutoff_factor registration_allowed target_regs_per_interval min_burn max_burn \
            burn_half_life burn_increase_mult bonds_moving_avg max_regs_per_block serving_rate_limit max_validators \
            commit_reveal_period commit_reveal_weights_enabled alpha_high alpha_low liquid_alpha_enabled \
            alpha_sigmoid_steepness yuma_version subnet_is_active transfers_enabled bonds_reset_enabled \
            user_liquidity_enabled owner_cut_enabled owner_cut_auto_lock_enabled min_childkey_take";
        assert_eq!(names, public.split_whitespace().collect::<Vec<_>>());
    });
}

#[test]
fn stakes_and_delegates_are_found_from_both_sides() {
    open(|| {
        register(2);
        assert_ok!(Subtensor::add_stake(signed(&account(2)), hotkey(2), NET, 10 * TAO));
        assert_ok!(Subtensor::add_stake(signed(&account(7)), hotkey(2), ROOT, 5 * TAO));
        assert!(Subtensor::stakes_of(&account(9)).is_empty());
        let stakes = Subtensor::stakes_of(&account(7));
        assert_eq!(stakes.len(), 1);
        assert_eq!(
            (stakes[0].netuid, stakes[0].stake, stakes[0].is_registered),
            (Compact(ROOT), Compact(5 * TAO), false)
        );
        let own = Subtensor::stake_info(&hotkey(2), &account(2), NET).unwrap();
        assert_eq!((own.stake.0, own.is_registered), (Subtensor::stake_of(&hotkey(2), &account(2), NET), true));
        assert!(Subtensor::stake_info(&hotkey(2), &account(2), 9).is_none());
        let delegate = Subtensor::delegate(&hotkey(2)).unwrap();
        assert_eq!((delegate.take, delegate.owner_ss58.clone()), (Compact(11_796), account(2)));
        assert_eq!(
            delegate.nominators,
            [(account(2), vec![(Compact(NET), own.stake)]), (account(7), vec![(Compact(ROOT), Compact(5 * TAO))]),]
        );
        assert_eq!(delegate.registrations, [Compact(NET)]);
        assert_eq!(Subtensor::delegated(&account(7)), [(delegate, (Compact(ROOT), Compact(5 * TAO)))]);
        assert!(Subtensor::delegate(&account(99)).is_none());
        assert_eq!(Subtensor::delegates().len(), 2, "the owner's hotkey and this one");
    });
}

#[test]
fn subnets_show_their_pool_and_their_price() {
    open(|| {
        let dynamic = Subtensor::dynamic_info(NET).unwrap();
        assert_eq!(dynamic.tao_in.0, s::SubnetTAO::<Test>::get(NET));
        assert_eq!(dynamic.owner_coldkey, owner());
        assert_eq!(Subtensor::networks(), [ROOT, NET]);
        assert_eq!(Subtensor::alpha_price_rao(NET), TAO, "genesis starts at one TAO an alpha");
        assert_eq!(Subtensor::alpha_price_rao(ROOT), TAO);
        let (v1, v2) = (Subtensor::subnet_info(NET).unwrap(), Subtensor::subnet_info_v2(NET).unwrap());
        assert_eq!((v1.burn, v1.subnetwork_n), (v2.burn, v2.subnetwork_n));
        assert!(v2.encode().starts_with(&v1.encode()), "version 2 is version 1 and the identity");
    });
}

#[test]
fn the_beacon_is_quicknet_and_has_no_pulse_yet() {
    open(|| {
        let config = drand::BeaconConfig::<Test>::get();
        // The public chain's default, byte for byte (metadata of spec 381).
        let public = "810183cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a030000002721e6648052db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e97180f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e60626c732d756e636861696e65642d67312d7266633933383020717569636b6e6574";
        assert_eq!(hex::encode(config.encode()), public);
        assert_eq!(drand::LastStoredRound::<Test>::get(), 0);
        assert_eq!(drand::Pulses::<Test>::iter().count(), 0);
    });
}
