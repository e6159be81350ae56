//! `SubtensorTransactionExtension`: refusals in the pool, before a block is spent on them (chain.md 1.5).
//!
//! Checked here: stake, rate limit and reveal window of weights calls, and an axon's endpoint. Everything is checked again at
//! dispatch; this only saves a nonce and tells sooner.

use frame_support::{pallet_prelude::*, traits::IsSubType};
use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};
use sp_runtime::{
    traits::{AsSystemOriginSigner, DispatchInfoOf, DispatchOriginOf, Dispatchable, Implication, TransactionExtension, ValidateResult},
    transaction_validity::{InvalidTransaction, TransactionSource, TransactionValidityError, ValidTransaction},
};

use crate::{
    subtensor::{self as s, Call, Config, Pallet},
    types::AccountId,
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
const RATE_LIMIT: u8 = 6;
const NOT_REGISTERED: u8 = 10;
const INVALID_IP: u8 = 11;
const SERVING_RATE_LIMIT: u8 = 12;
const INVALID_PORT: u8 = 13;
const COMMIT_NOT_FOUND: u8 = 16;
const NOT_IN_REVEAL_RANGE: u8 = 17;

fn no(code: u8) -> TransactionValidityError {
    InvalidTransaction::Custom(code).into()
}

fn check<T: Config>(who: &AccountId, call: &Call<T>) -> Result<(), TransactionValidityError> {
    let now = Pallet::<T>::now();
    let stake = |netuid: u16| {
        if !Pallet::<T>::exists(netuid) {
            return Err(no(SUBNET_NOT_EXISTS));
        }
        if Pallet::<T>::enough_stake_to_set_weights(who, netuid) { Ok(()) } else { Err(no(STAKE_TOO_LOW)) }
    };
    let rate = |netuid: u16| {
        let uid = s::Uids::<T>::get(netuid, who).ok_or(no(NOT_REGISTERED))?;
        if Pallet::<T>::weights_rate_limit_passed(netuid, netuid, uid, now) { Ok(()) } else { Err(no(RATE_LIMIT)) }
    };
    match call {
        Call::set_weights { netuid, .. } => {
            stake(*netuid)?;
            if s::CommitRevealWeightsEnabled::<T>::get(netuid) { Ok(()) } else { rate(*netuid) }
        }
        Call::commit_weights { netuid, .. } => stake(*netuid).and_then(|()| rate(*netuid)),
        Call::reveal_weights { netuid, uids, values, salt, version_key } => {
            stake(*netuid)?;
            let hash = s::commit_hash(who, *netuid, uids, values, salt, *version_key);
            let commits = s::WeightCommits::<T>::get(netuid, who).unwrap_or_default();
            let (_, epoch, _, _) = commits.iter().find(|(h, ..)| *h == hash).ok_or(no(COMMIT_NOT_FOUND))?;
            // The transaction will be in the next block at the earliest.
            let current = Pallet::<T>::current_epoch(*netuid, now.saturating_add(1));
            let due = epoch.saturating_add(s::RevealPeriodEpochs::<T>::get(netuid));
            if due == current || due == Pallet::<T>::current_epoch(*netuid, now) { Ok(()) } else { Err(no(NOT_IN_REVEAL_RANGE)) }
        }
        Call::serve_axon { netuid, ip, port, ip_type, .. } => {
            if !Pallet::<T>::registered_anywhere(who) {
                return Err(no(NOT_REGISTERED));
            }
            s::check_endpoint(*ip, *ip_type, *port, true).map_err(|bad| match bad {
                s::BadEndpoint::Port => no(INVALID_PORT),
                _ => no(INVALID_IP),
            })?;
            let last = s::Axons::<T>::get(netuid, who).map_or(0, |a| a.block);
            if Pallet::<T>::serving_allowed(*netuid, last) { Ok(()) } else { Err(no(SERVING_RATE_LIMIT)) }
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
