//! `SubtensorTransactionExtension`: refusals in the pool, before a block is spent on them (chain.md 1.5).
//!
//! Checked here: stake, rate limit, reveal window and reveal round of weights calls, the rate limit of new networks, proofs of work, and endpoints. Everything is checked again at
//! dispatch; this only saves a nonce and tells sooner.

use frame_support::{pallet_prelude::*, traits::IsSubType};
use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};
use sp_core::H256;
use sp_runtime::{
    traits::{
        AsSystemOriginSigner, DispatchInfoOf, DispatchOriginOf, Dispatchable, Implication, TransactionExtension,
        ValidateResult,
    },
    transaction_validity::{InvalidTransaction, TransactionSource, TransactionValidityError, ValidTransaction},
};

use crate::{
    subtensor::{self as s, Call, Config, Pallet},
    types::{AccountId, MechId, NetUid, storage_index},
};

/// Zero-sized.
#[derive(Encode, Decode, DecodeWithMemTracking, Clone, Eq, PartialEq, TypeInfo, Default)]
#[scale_info(skip_type_params(T))]
pub struct SubtensorTransactionExtension<T: Config + Send + Sync>(core::marker::PhantomData<T>);

impl<T: Config + Send + Sync> SubtensorTransactionExtension<T> {
    /// The extension.
    #[must_use]
    pub fn new() -> Self {
        Self(core::marker::PhantomData)
    }
}

impl<T: Config + Send + Sync> core::fmt::Debug for SubtensorTransactionExtension<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SubtensorTransactionExtension")
    }
}

const STAKE_TOO_LOW: u8 = 1;
const SUBNET_NOT_EXISTS: u8 = 3;
const NO_HOTKEY_ACCOUNT: u8 = 4;
const RATE_LIMIT: u8 = 6;
const NOT_REGISTERED: u8 = 10;
const INVALID_IP: u8 = 11;
const SERVING_RATE_LIMIT: u8 = 12;
const INVALID_PORT: u8 = 13;
const INVALID_REVEAL_ROUND: u8 = 15;
const COMMIT_NOT_FOUND: u8 = 16;
const NOT_IN_REVEAL_RANGE: u8 = 17;
const INPUT_LENGTHS_UNEQUAL: u8 = 18;
const NON_ASSOCIATED_COLDKEY: u8 = 25;
const TAKE_TOO_LOW: u8 = 26;
const TAKE_TOO_HIGH: u8 = 27;
const BAD_REQUEST: u8 = 255;

fn no(code: u8) -> TransactionValidityError {
    InvalidTransaction::Custom(code).into()
}

fn stake<T: Config>(who: &AccountId, netuid: NetUid) -> Result<(), TransactionValidityError> {
    ensure!(Pallet::<T>::exists(netuid), no(SUBNET_NOT_EXISTS));
    ensure!(Pallet::<T>::enough_stake_to_set_weights(who, netuid), no(STAKE_TOO_LOW));
    Ok(())
}

fn rate<T: Config>(who: &AccountId, netuid: NetUid, mecid: MechId) -> Result<(), TransactionValidityError> {
    let uid = s::Uids::<T>::get(netuid, who).ok_or(no(NOT_REGISTERED))?;
    // A mechanism that cannot be addressed is refused at dispatch, by its name.
    let Some(index) = storage_index(netuid, mecid) else { return Ok(()) };
    ensure!(Pallet::<T>::weights_rate_limit_passed(netuid, index, uid, Pallet::<T>::now()), no(RATE_LIMIT));
    Ok(())
}

fn set<T: Config>(who: &AccountId, netuid: NetUid, mecid: MechId) -> Result<(), TransactionValidityError> {
    stake::<T>(who, netuid)?;
    if s::CommitRevealWeightsEnabled::<T>::get(netuid) { Ok(()) } else { rate::<T>(who, netuid, mecid) }
}

/// The rate limit of these is asked for in the block only, as on the public chain.
fn timelocked<T: Config>(who: &AccountId, netuid: NetUid, round: u64) -> Result<(), TransactionValidityError> {
    use crate::drand::Beacon as _;
    stake::<T>(who, netuid)?;
    ensure!(round >= T::Beacon::last_stored_round(), no(INVALID_REVEAL_ROUND));
    Ok(())
}

fn reveal<T: Config>(
    who: &AccountId,
    netuid: NetUid,
    mecid: MechId,
    hash: H256,
) -> Result<(), TransactionValidityError> {
    stake::<T>(who, netuid)?;
    let commits =
        storage_index(netuid, mecid).and_then(|index| s::WeightCommits::<T>::get(index, who)).unwrap_or_default();
    let (_, epoch, _, _) = commits.iter().find(|(known, ..)| *known == hash).ok_or(no(COMMIT_NOT_FOUND))?;
    // The transaction will be in the next block at the earliest.
    let now = Pallet::<T>::now();
    let due = epoch.saturating_add(s::RevealPeriodEpochs::<T>::get(netuid));
    let soon = [now, now.saturating_add(1)].map(|block| Pallet::<T>::current_epoch(netuid, block));
    ensure!(soon.contains(&due), no(NOT_IN_REVEAL_RANGE));
    Ok(())
}

fn endpoint<T: Config>(
    who: &AccountId,
    netuid: NetUid,
    place: (u128, u8, u16),
    axon: bool,
) -> Result<(), TransactionValidityError> {
    ensure!(Pallet::<T>::registered_anywhere(who), no(NOT_REGISTERED));
    let (ip, ip_type, port) = place;
    s::check_endpoint(ip, ip_type, port, axon).map_err(|bad| match bad {
        s::BadEndpoint::Port => no(INVALID_PORT),
        _ => no(INVALID_IP),
    })?;
    let last = if axon {
        s::Axons::<T>::get(netuid, who).map_or(0, |axon| axon.block)
    } else {
        s::Prometheus::<T>::get(netuid, who).map_or(0, |info| info.block)
    };
    ensure!(Pallet::<T>::serving_allowed(netuid, last), no(SERVING_RATE_LIMIT));
    Ok(())
}

fn pow_refused<T: Config>(error: s::Error<T>) -> TransactionValidityError {
    no(match error {
        s::Error::SubnetNotExists => SUBNET_NOT_EXISTS,
        s::Error::NonAssociatedColdKey => NON_ASSOCIATED_COLDKEY,
        s::Error::TooManyRegistrationsThisBlock => RATE_LIMIT,
        _ => BAD_REQUEST,
    })
}

fn take_refused<T: Config>(error: s::Error<T>) -> TransactionValidityError {
    no(match error {
        s::Error::HotKeyAccountNotExists => NO_HOTKEY_ACCOUNT,
        s::Error::NonAssociatedColdKey => NON_ASSOCIATED_COLDKEY,
        s::Error::DelegateTakeTooHigh => TAKE_TOO_HIGH,
        _ => TAKE_TOO_LOW,
    })
}

fn check<T: Config>(who: &AccountId, call: &Call<T>) -> Result<(), TransactionValidityError> {
    match call {
        Call::set_weights { netuid, .. } => set::<T>(who, *netuid, 0),
        Call::set_mechanism_weights { netuid, mecid, .. } => set::<T>(who, *netuid, *mecid),
        Call::commit_weights { netuid, .. } => stake::<T>(who, *netuid).and_then(|()| rate::<T>(who, *netuid, 0)),
        Call::commit_mechanism_weights { netuid, mecid, .. } => {
            stake::<T>(who, *netuid).and_then(|()| rate::<T>(who, *netuid, *mecid))
        }
        Call::commit_timelocked_weights { netuid, reveal_round, .. }
        | Call::commit_crv3_mechanism_weights { netuid, reveal_round, .. }
        | Call::commit_timelocked_mechanism_weights { netuid, reveal_round, .. } => {
            timelocked::<T>(who, *netuid, *reveal_round)
        }
        Call::reveal_weights { netuid, uids, values, salt, version_key } => {
            reveal::<T>(who, *netuid, 0, s::commit_hash(who, *netuid, uids, values, salt, *version_key))
        }
        Call::reveal_mechanism_weights { netuid, mecid, uids, values, salt, version_key } => {
            let index = storage_index(*netuid, *mecid).ok_or(no(COMMIT_NOT_FOUND))?;
            reveal::<T>(who, *netuid, *mecid, s::commit_hash(who, index, uids, values, salt, *version_key))
        }
        Call::batch_set_weights { netuids, weights, version_keys } => {
            ensure!(netuids.len() == weights.len() && netuids.len() == version_keys.len(), no(INPUT_LENGTHS_UNEQUAL));
            netuids.iter().try_for_each(|netuid| stake::<T>(who, netuid.0))
        }
        Call::batch_commit_weights { netuids, commit_hashes } => {
            ensure!(netuids.len() == commit_hashes.len(), no(INPUT_LENGTHS_UNEQUAL));
            netuids.iter().try_for_each(|netuid| stake::<T>(who, netuid.0))
        }
        Call::batch_reveal_weights { netuid, uids_list, values_list, salts_list, version_keys } => {
            let n = uids_list.len();
            ensure!(
                n == values_list.len() && n == salts_list.len() && n == version_keys.len(),
                no(INPUT_LENGTHS_UNEQUAL)
            );
            stake::<T>(who, *netuid)
        }
        Call::increase_take { hotkey, take } => {
            Pallet::<T>::check_increase_take(who, hotkey, *take).map_err(take_refused)
        }
        Call::decrease_take { hotkey, take } => {
            Pallet::<T>::check_decrease_take(who, hotkey, *take).map_err(take_refused)
        }
        // Free of fee, so a bad proof must not cost a block.
        Call::pow_register { netuid, work_block, nonce, work, hotkey } => {
            Pallet::<T>::check_pow_registration(who, *netuid, *work_block, *nonce, work, hotkey).map_err(pow_refused)
        }
        Call::register_network { .. } => {
            ensure!(Pallet::<T>::network_rate_limit_passed(Pallet::<T>::now()), no(RATE_LIMIT));
            Ok(())
        }
        Call::serve_axon { netuid, ip, port, ip_type, .. } | Call::serve_axon_tls { netuid, ip, port, ip_type, .. } => {
            endpoint::<T>(who, *netuid, (*ip, *ip_type, *port), true)
        }
        Call::serve_prometheus { netuid, ip, port, ip_type, .. } => {
            endpoint::<T>(who, *netuid, (*ip, *ip_type, *port), false)
        }
        _ => Ok(()),
    }
}

impl<T> TransactionExtension<T::RuntimeCall> for SubtensorTransactionExtension<T>
where
    T: Config + Send + Sync,
    T::RuntimeCall: Dispatchable + IsSubType<Call<T>>,
    DispatchOriginOf<T::RuntimeCall>: AsSystemOriginSigner<AccountId> + Clone,
{
    const IDENTIFIER: &'static str = "SubtensorTransactionExtension";
    type Implicit = ();
    type Val = ();
    type Pre = ();

    fn weight(&self, _: &T::RuntimeCall) -> Weight {
        Weight::zero()
    }

    fn validate(
        &self,
        origin: DispatchOriginOf<T::RuntimeCall>,
        call: &T::RuntimeCall,
        _: &DispatchInfoOf<T::RuntimeCall>,
        _: usize,
        (): Self::Implicit,
        _: &impl Implication,
        _: TransactionSource,
    ) -> ValidateResult<Self::Val, T::RuntimeCall> {
        if let (Some(who), Some(call)) = (origin.as_system_origin_signer(), call.is_sub_type()) {
            check::<T>(who, call)?;
        }
        Ok((ValidTransaction { priority: 1, ..Default::default() }, (), origin))
    }

    fn prepare(
        self,
        (): Self::Val,
        _: &DispatchOriginOf<T::RuntimeCall>,
        _: &T::RuntimeCall,
        _: &DispatchInfoOf<T::RuntimeCall>,
        _: usize,
    ) -> Result<Self::Pre, TransactionValidityError> {
        Ok(())
    }
}
