//! Transaction extensions: who may send for nothing (chain.md 1.2), and what the pool refuses at once (1.5).

use frame_support::{
    assert_ok,
    dispatch::{GetDispatchInfo, Pays},
};
use parity_scale_codec::Compact;
use sp_core::H256;
use sp_runtime::{
    AccountId32,
    traits::{DispatchTransaction, TransactionExtension},
    transaction_validity::{
        InvalidTransaction, TransactionSource::External, TransactionValidityError, ValidTransaction,
    },
};
use starling_pallets::{
    check_nonce::CheckNonce,
    extension::SubtensorTransactionExtension,
    subtensor::{self as s, Call},
};

use super::support::*;

type Validity = Result<ValidTransaction, TransactionValidityError>;

fn nonce(who: &AccountId32, call: impl Into<RuntimeCall>, nonce: u32) -> Validity {
    let call = call.into();
    let info = call.get_dispatch_info();
    CheckNonce::<Test>(nonce).validate_only(signed(who), &call, &info, 0, External, 0).map(|valid| valid.0)
}

/// What the pool says: `Err(code)` for a custom error.
fn pool(who: &AccountId32, call: Call<Test>) -> Result<(), u8> {
    let call = RuntimeCall::from(call);
    let info = call.get_dispatch_info();
    match SubtensorTransactionExtension::<Test>::new().validate_only(signed(who), &call, &info, 0, External, 0) {
        Ok(_) => Ok(()),
        Err(TransactionValidityError::Invalid(InvalidTransaction::Custom(code))) => Err(code),
        Err(other) => panic!("{other:?}"),
    }
}

fn weights() -> Call<Test> {
    Call::set_weights { netuid: NET, dests: vec![0], weights: vec![1], version_key: 0 }
}

fn commit() -> Call<Test> {
    Call::commit_weights { netuid: NET, commit_hash: H256::zero() }
}

fn axon(ip: u128, port: u16) -> Call<Test> {
    Call::serve_axon { netuid: NET, version: 0, ip, port, ip_type: 4, protocol: 4, placeholder1: 0, placeholder2: 0 }
}

#[test]
fn a_hotkey_without_balance_may_send_what_costs_nothing_and_nothing_else() {
    open(|| {
        let poor = account(99);
        assert_ok!(nonce(&poor, weights(), 0));
        let paid = Call::burned_register { netuid: NET, hotkey: poor.clone() };
        assert_eq!(nonce(&poor, paid.clone(), 0), Err(InvalidTransaction::Payment.into()));
        assert_ok!(nonce(&account(2), paid, 0));
        // Its nonce counts all the same.
        let call = RuntimeCall::from(weights());
        let info = call.get_dispatch_info();
        assert_ok!(CheckNonce::<Test>(0).validate_and_prepare(signed(&poor), &call, &info, 0, 0));
        assert_eq!(System::account_nonce(&poor), 1);
        assert_eq!(nonce(&poor, weights(), 0), Err(InvalidTransaction::Stale.into()));
        let waits = nonce(&poor, weights(), 3).unwrap();
        assert_eq!((waits.requires.len(), waits.provides.len()), (1, 1));
        let future = CheckNonce::<Test>(3).validate_and_prepare(signed(&poor), &call, &info, 0, 0);
        assert_eq!(future.unwrap_err(), InvalidTransaction::Future.into());
    });
}

#[test]
fn calls_pay_or_do_not_pay_as_the_public_table_says() {
    let hotkey = account(9);
    let free: [Call<Test>; 10] = [
        Call::pow_register { netuid: NET, work_block: 0, nonce: 0, work: vec![], hotkey: hotkey.clone() },
        weights(),
        Call::set_mechanism_weights { netuid: NET, mecid: 0, dests: vec![], weights: vec![], version_key: 0 },
        Call::batch_set_weights { netuids: vec![], weights: vec![], version_keys: vec![] },
        commit(),
        Call::commit_mechanism_weights { netuid: NET, mecid: 0, commit_hash: H256::zero() },
        Call::batch_commit_weights { netuids: vec![], commit_hashes: vec![] },
        Call::reveal_weights { netuid: NET, uids: vec![], values: vec![], salt: vec![], version_key: 0 },
        axon(1, 1),
        Call::serve_prometheus { netuid: NET, version: 0, ip: 1, port: 1, ip_type: 4 },
    ];
    let paid: [Call<Test>; 16] = [
        Call::register {
            netuid: NET,
            block_number: 0,
            nonce: 0,
            work: vec![],
            hotkey: hotkey.clone(),
            coldkey: hotkey.clone(),
        },
        Call::set_children { hotkey: hotkey.clone(), netuid: NET, children: vec![] },
        Call::increase_take { hotkey: hotkey.clone(), take: 1 },
        Call::set_childkey_take { hotkey: hotkey.clone(), netuid: NET, take: 1 },
        Call::swap_hotkey { hotkey: hotkey.clone(), new_hotkey: hotkey.clone(), netuid: None },
        Call::unstake_all { hotkey: hotkey.clone() },
        Call::trigger_epoch { netuid: NET },
        Call::burned_register { netuid: NET, hotkey: hotkey.clone() },
        Call::register_limit { netuid: NET, hotkey: hotkey.clone(), limit_price: 1 },
        Call::root_register { hotkey: hotkey.clone() },
        Call::register_network { hotkey: hotkey.clone() },
        Call::add_stake { hotkey: hotkey.clone(), netuid: NET, amount_staked: 1 },
        Call::remove_stake { hotkey: hotkey.clone(), netuid: NET, amount_unstaked: 1 },
        Call::try_associate_hotkey { hotkey },
        Call::start_call { netuid: NET },
        Call::set_tempo { netuid: NET, tempo: 1 },
    ];
    for call in free {
        assert_eq!(call.get_dispatch_info().pays_fee, Pays::No, "{call:?}");
    }
    for call in paid {
        assert_eq!(call.get_dispatch_info().pays_fee, Pays::Yes, "{call:?}");
    }
}

#[test]
fn the_pool_refuses_weights_without_stake_or_too_soon() {
    open(|| {
        validator(2, 10 * TAO);
        assert_eq!(pool(&hotkey(2), weights()), Ok(()));
        s::WeightsSetRateLimit::<Test>::insert(NET, 5);
        assert_eq!(pool(&hotkey(2), weights()), Err(6));
        assert_eq!(pool(&hotkey(2), commit()), Err(6));
        // With commit-reveal on, plain weights fail at dispatch, by their name.
        s::CommitRevealWeightsEnabled::<Test>::insert(NET, true);
        assert_eq!(pool(&hotkey(2), weights()), Ok(()));
        s::StakeThreshold::<Test>::put(1_000 * TAO);
        assert_eq!(pool(&hotkey(2), weights()), Err(1));
        assert_eq!(pool(&hotkey(2), commit()), Err(1), "commits too");
        assert_eq!(pool(&hotkey(2), Call::commit_weights { netuid: 9, commit_hash: H256::zero() }), Err(3));
        s::StakeThreshold::<Test>::put(0);
        assert_eq!(pool(&account(99), commit()), Err(10));
    });
}

#[test]
fn the_pool_knows_which_reveals_are_in_time() {
    open(|| {
        s::CommitRevealWeightsEnabled::<Test>::insert(NET, true);
        validator(2, 10 * TAO);
        let reveal =
            || Call::reveal_weights { netuid: NET, uids: vec![0], values: vec![1], salt: vec![1], version_key: 0 };
        assert_eq!(pool(&hotkey(2), reveal()), Err(16));
        let hash = s::commit_hash(&hotkey(2), NET, &[0], &[1], &[1], 0);
        assert_ok!(Subtensor::commit_weights(signed(&hotkey(2)), NET, hash));
        assert_eq!(pool(&hotkey(2), reveal()), Err(17));
        run_to(8);
        assert_eq!(pool(&hotkey(2), reveal()), Err(17));
        run_to(9);
        assert_eq!(pool(&hotkey(2), reveal()), Ok(()), "it will be in block 10");
        run_to(19);
        assert_eq!(pool(&hotkey(2), reveal()), Ok(()));
        run_to(20);
        assert_eq!(pool(&hotkey(2), reveal()), Err(17));
    });
}

#[test]
fn the_pool_refuses_endpoints_batches_and_networks_that_would_fail() {
    open(|| {
        register(2);
        assert_eq!(pool(&account(99), axon(1, 1)), Err(10));
        assert_eq!(pool(&hotkey(2), axon(0x7f00_0001, 1)), Err(11));
        assert_eq!(pool(&hotkey(2), axon(1, 0)), Err(13));
        assert_eq!(pool(&hotkey(2), axon(1, 1)), Ok(()));
        s::ServingRateLimit::<Test>::insert(NET, 50);
        assert_ok!(Subtensor::serve_axon(signed(&hotkey(2)), NET, 0, 1, 1, 4, 4, 0, 0));
        assert_eq!(pool(&hotkey(2), axon(1, 1)), Err(12));
        let batch = Call::batch_commit_weights { netuids: vec![Compact(NET)], commit_hashes: vec![] };
        assert_eq!(pool(&hotkey(2), batch), Err(18));
        let network = || Call::register_network { hotkey: account(150) };
        assert_eq!(pool(&account(2), network()), Ok(()));
        assert_ok!(Subtensor::register_network(signed(&account(2)), account(150)));
        s::NetworkRateLimit::<Test>::put(10);
        assert_eq!(pool(&account(2), network()), Err(6));
    });
}

#[test]
fn the_pool_refuses_takes_and_proofs_of_work_that_would_fail() {
    open(|| {
        register(2);
        s::Delegates::<Test>::insert(hotkey(2), 100);
        let up = |take| Call::increase_take { hotkey: hotkey(2), take };
        let down = |take| Call::decrease_take { hotkey: hotkey(2), take };
        assert_eq!(pool(&account(2), up(101)), Ok(()));
        assert_eq!(pool(&account(2), up(100)), Err(26));
        assert_eq!(pool(&account(2), up(11_797)), Err(27));
        assert_eq!(pool(&account(2), down(100)), Err(26));
        assert_eq!(pool(&account(3), down(99)), Err(25));
        let nobodys = Call::increase_take { hotkey: account(250), take: 1 };
        assert_eq!(pool(&account(2), nobodys), Err(4));

        let proof =
            |netuid| Call::pow_register { netuid, work_block: 0, nonce: 0, work: vec![0; 32], hotkey: hotkey(3) };
        assert_eq!(pool(&account(3), proof(9)), Err(3));
        assert_eq!(pool(&account(3), proof(NET)), Err(255), "it is switched off");
        s::NetworkPowRegistrationAllowed::<Test>::insert(NET, true);
        s::RegistrationsThisBlock::<Test>::insert(NET, 1);
        assert_eq!(pool(&account(3), proof(NET)), Err(6));
        s::RegistrationsThisBlock::<Test>::insert(NET, 0);
        assert_eq!(pool(&account(3), proof(NET)), Err(255), "a proof of nothing");
    });
}

#[test]
fn the_extensions_have_the_public_names_and_sizes() {
    type Names = Vec<&'static str>;
    let names: Names = Extensions::metadata().into_iter().map(|extension| extension.identifier).collect();
    assert_eq!(names, ["CheckNonce", "SubtensorTransactionExtension"]);
    use parity_scale_codec::Encode;
    assert!(SubtensorTransactionExtension::<Test>::new().encode().is_empty());
    assert_eq!(CheckNonce::<Test>(64).encode(), [1, 1], "compact");
}
