//! The Commitments pallet (chain.md 1, 3).

use frame_support::{BoundedVec, assert_noop, assert_ok, dispatch::GetDispatchInfo, dispatch::Pays};
use parity_scale_codec::{Decode, Encode};
use sp_core::H256;
use starling_pallets::commitments::{self as c, CommitmentInfo, Data, Error, Event};

use super::support::*;

type E = Error<Test>;

fn set(who: u8, netuid: u16, info: CommitmentInfo) -> frame_support::dispatch::DispatchResult {
    Commitments::set_commitment(signed(&account(who)), netuid, Box::new(info))
}

#[test]
fn a_neuron_s_bytes_stand_on_chain_with_their_block() {
    open(|| {
        register(2);
        run_to(4);
        assert_ok!(set(102, NET, raw(b"anchor")));
        let stored = c::CommitmentOf::<Test>::get(NET, hotkey(2)).unwrap();
        assert_eq!((stored.deposit, stored.block, stored.info), (0, 4, raw(b"anchor")));
        assert_eq!(c::LastCommitment::<Test>::get(NET, hotkey(2)), Some(4));
        System::assert_has_event(RuntimeEvent::Commitments(Event::Commitment { netuid: NET, who: hotkey(2) }));
        assert_ok!(set(102, NET, raw(b"next")));
        assert_eq!(c::CommitmentOf::<Test>::get(NET, hotkey(2)).unwrap().info, raw(b"next"));
    });
}

#[test]
fn only_neurons_of_the_subnet_commit_and_pay_nothing() {
    open(|| {
        assert_noop!(set(102, NET, raw(b"x")), E::AccountNotAllowedCommit);
        register(2);
        assert_noop!(set(102, 9, raw(b"x")), E::AccountNotAllowedCommit);
        let call = RuntimeCall::from(c::Call::set_commitment { netuid: NET, info: Box::new(raw(b"x")) });
        assert_eq!(call.get_dispatch_info().pays_fee, Pays::No);
    });
}

#[test]
fn an_epoch_holds_so_many_bytes_and_each_commitment_counts_for_a_hundred_at_least() {
    open(|| {
        register(2);
        for _ in 0..31 {
            assert_ok!(set(102, NET, raw(b"x")));
        }
        assert_noop!(set(102, NET, raw(b"x")), E::SpaceLimitExceeded);
        let used = c::UsedSpaceOf::<Test>::get(NET, hotkey(2)).unwrap();
        assert_eq!((used.last_epoch, used.used_space), (0, 3_100));
        run_to(10);
        assert_ok!(set(102, NET, raw(b"x")));
        assert_eq!(c::UsedSpaceOf::<Test>::get(NET, hotkey(2)).unwrap().used_space, 100);
        let big = BoundedVec::try_from(vec![0; 512]).unwrap();
        let big = CommitmentInfo { fields: BoundedVec::try_from(vec![Data::BigRaw(big); 3]).unwrap() };
        for _ in 0..1 {
            assert_ok!(set(102, NET, big.clone()));
        }
        assert_noop!(set(102, NET, big), E::SpaceLimitExceeded);
        assert_ok!(Commitments::set_max_space(RuntimeOrigin::root(), 10_000));
        assert_noop!(Commitments::set_max_space(signed(&account(1)), 1), sp_runtime::DispatchError::BadOrigin);
    });
}

#[test]
fn fields_have_the_public_bytes() {
    let bytes = |field: Data| field.encode();
    assert_eq!(bytes(Data::None), [0]);
    assert_eq!(bytes(Data::Raw(BoundedVec::default())), [1]);
    assert_eq!(bytes(Data::Raw(BoundedVec::try_from(vec![7, 8]).unwrap())), [3, 7, 8]);
    assert_eq!(bytes(Data::Raw(BoundedVec::try_from(vec![9; 128]).unwrap()))[0], 129);
    assert_eq!(bytes(Data::Hash(0, H256([5; 32])))[..2], [130, 5]);
    assert_eq!(bytes(Data::ResetBondsFlag), [135]);
    let timelocked =
        Data::TimelockEncrypted { encrypted: BoundedVec::try_from(vec![1, 2]).unwrap(), reveal_round: 258 };
    assert_eq!(bytes(timelocked.clone()), [134, 8, 1, 2, 2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes(Data::BigRaw(BoundedVec::try_from(vec![3]).unwrap())), [136, 4, 3]);
    for field in [Data::None, timelocked, Data::Hash(3, H256([1; 32])), Data::ResetBondsFlag] {
        assert_eq!(Data::decode(&mut &field.encode()[..]).unwrap(), field);
    }
    for size in 0..=128usize {
        let field = Data::Raw(BoundedVec::try_from(vec![size as u8; size]).unwrap());
        assert_eq!(Data::decode(&mut &field.encode()[..]).unwrap(), field);
    }
    assert!(Data::decode(&mut &[137u8][..]).is_err());
    assert!(Data::decode(&mut &[3u8, 7][..]).is_err(), "a byte is missing");
    let four = (4u32, [0u8; 4]);
    assert!(CommitmentInfo::decode(&mut &[&[16u8][..], &four.1[..]].concat()[..]).is_err(), "four fields");
}

#[test]
fn a_timelocked_field_announces_its_round() {
    open(|| {
        register(2);
        let field = Data::TimelockEncrypted { encrypted: BoundedVec::default(), reveal_round: 77 };
        assert_ok!(set(102, NET, CommitmentInfo { fields: BoundedVec::try_from(vec![field]).unwrap() }));
        let event = Event::TimelockCommitment { netuid: NET, who: hotkey(2), reveal_round: 77 };
        System::assert_has_event(RuntimeEvent::Commitments(event));
    });
}
