//! Every block: new TAO into the pools, new alpha into the pendings, and the epoch clock (chain.md 5.2, 6.11).
//!
//! Invariant: what a block mints is in a subnet's account (TAO) or in a pending item (alpha) before the block ends.

use super::pool::share;
use super::*;
use fixed::types::I96F32;
use frame_support::traits::fungible::{Inspect, Mutate};

/// Alpha that a started subnet emits per block, rao. (The public chain halves it as the issuance grows.)
pub const ALPHA_PER_BLOCK: u64 = 1_000_000_000;
/// An epoch is overdue after this many blocks whatever the tempo says.
const MAX_BLOCKS_WITHOUT_EPOCH: u64 = 50_400;

impl<T: Config> Pallet<T> {
    /// Whether a subnet's epoch is due at a block.
    pub fn should_run_epoch(netuid: NetUid, block: u64) -> bool {
        let tempo = u64::from(Tempo::<T>::get(netuid));
        if tempo == 0 {
            return false;
        }
        let pending = PendingEpochAt::<T>::get(netuid);
        (pending > 0 && block >= pending)
            || BlocksSinceLastStep::<T>::get(netuid) > MAX_BLOCKS_WITHOUT_EPOCH
            || block.saturating_sub(LastEpochBlock::<T>::get(netuid)) >= tempo
    }

    /// The epoch that a commit made in this block belongs to.
    pub fn current_epoch(netuid: NetUid, block: u64) -> u64 {
        let due = u64::from(Self::should_run_epoch(netuid, block));
        SubnetEpochIndex::<T>::get(netuid).saturating_add(due)
    }

    /// The first block at or after `now` in which the epoch is due; `None` with tempo 0.
    pub fn next_epoch_block(netuid: NetUid, now: u64) -> Option<u64> {
        let tempo = u64::from(Tempo::<T>::get(netuid));
        if tempo == 0 {
            return None;
        }
        let by_tempo = LastEpochBlock::<T>::get(netuid).saturating_add(tempo);
        let pending = PendingEpochAt::<T>::get(netuid);
        let next = if pending > 0 { by_tempo.min(pending) } else { by_tempo };
        Some(next.max(now))
    }

    /// Subnets whose epoch is due in this block but will have to wait for the next, as too many others are.
    pub(crate) fn deferred_in(now: u64) -> Vec<NetUid> {
        let due = Self::subnets().into_iter().filter(|netuid| Self::should_run_epoch(*netuid, now));
        due.skip(usize::from(MaxEpochsPerBlock::<T>::get())).collect()
    }

    pub(crate) fn coinbase(now: u64) {
        let subnets = Self::subnets();
        Self::emit(&subnets, now);
        TotalIssuance::<T>::put(T::Currency::total_issuance());
        let mut ran = 0;
        for netuid in subnets {
            BlocksSinceLastStep::<T>::mutate(netuid, |s| *s = s.saturating_add(1));
            if !Self::should_run_epoch(netuid, now) {
                continue;
            }
            if ran >= MaxEpochsPerBlock::<T>::get() {
                let to_block = now.saturating_add(1);
                PendingEpochAt::<T>::insert(netuid, to_block);
                Self::deposit_event(Event::EpochDeferred { netuid, from_block: now, to_block });
                continue;
            }
            ran = ran.saturating_add(1);
            BlocksSinceLastStep::<T>::insert(netuid, 0);
            Self::apply_pending_children(netuid, now);
            if Self::run_epoch(netuid, now) {
                LastMechansimStepBlock::<T>::insert(netuid, now);
            }
            LastEpochBlock::<T>::insert(netuid, now);
            PendingEpochAt::<T>::remove(netuid);
            SubnetEpochIndex::<T>::mutate(netuid, |index| *index = index.saturating_add(1));
        }
    }

    fn started(netuid: NetUid, now: u64) -> bool {
        FirstEmissionBlockNumber::<T>::get(netuid).is_some_and(|first| first <= now)
    }

    fn emit(subnets: &[NetUid], now: u64) {
        let started: Vec<(NetUid, I96F32)> = subnets
            .iter()
            .filter(|netuid| Self::started(**netuid, now))
            .map(|netuid| (*netuid, Self::alpha_price(*netuid)))
            .collect();
        let prices: I96F32 = started.iter().fold(I96F32::ZERO, |sum, (_, price)| sum.saturating_add(*price));
        // Root dividends are paid only where the market values alpha above all TAO together.
        let moving: i128 =
            started.iter().map(|(netuid, _)| SubnetMovingPrice::<T>::get(netuid).bits).fold(0, i128::saturating_add);
        let pay_root = I96F32::from_bits(moving) > 1;
        for (netuid, price) in started {
            Self::emit_tao(netuid, price, prices);
            Self::emit_alpha(netuid, pay_root);
            Self::move_price(netuid, price, now);
        }
    }

    /// The subnet's part of the block's TAO goes into its pool, with alpha beside it so that the price stays. Where that would take
    /// more alpha than a block emits, the TAO is cut and the rest is not minted.
    fn emit_tao(netuid: NetUid, price: I96F32, prices: I96F32) {
        let price_bits = price.to_bits().unsigned_abs();
        let all_bits = prices.to_bits().unsigned_abs();
        let emission = u128::from(BlockEmission::<T>::get());
        let due = emission.saturating_mul(price_bits).checked_div(all_bits).unwrap_or(0);
        let wanted = (due << 32).checked_div(price_bits).unwrap_or(0);
        let limit = u128::from(ALPHA_PER_BLOCK);
        let (tao, alpha) = if wanted > limit { (limit.saturating_mul(price_bits) >> 32, limit) } else { (due, wanted) };
        let tao = u64::try_from(tao).unwrap_or(0);
        let alpha = u64::try_from(alpha).unwrap_or(0);
        if tao > 0 && T::Currency::mint_into(&Self::subnet_account(netuid), tao).is_ok() {
            SubnetTAO::<T>::mutate(netuid, |v| *v = v.saturating_add(tao));
            SubnetAlphaIn::<T>::mutate(netuid, |v| *v = v.saturating_add(alpha));
            TotalStake::<T>::mutate(|v| *v = v.saturating_add(tao));
            SubnetTaoInEmission::<T>::insert(netuid, tao);
            SubnetAlphaInEmission::<T>::insert(netuid, alpha);
        }
    }

    /// The block's alpha: the owner's cut, then half to miners and half to validators, of which root takes its proportion.
    fn emit_alpha(netuid: NetUid, pay_root: bool) {
        let cut = share(ALPHA_PER_BLOCK, u64::from(SubnetOwnerCut::<T>::get()), u128::from(u16::MAX));
        let rest = ALPHA_PER_BLOCK.saturating_sub(cut);
        let server = rest / 2;
        let validators = rest.saturating_sub(server);
        let root_weight = Self::weighted_tao(SubnetTAO::<T>::get(ROOT));
        let issuance = u128::from(SubnetAlphaIn::<T>::get(netuid)) + u128::from(SubnetAlphaOut::<T>::get(netuid));
        let whole = issuance + u128::from(root_weight);
        let root = share(validators, root_weight, whole);
        RootProp::<T>::insert(
            netuid,
            FixedU128 { bits: (u128::from(root_weight) << 64).checked_div(whole).unwrap_or(0) },
        );
        // Not paying root means that its part is never emitted.
        let paid_root = if pay_root { root } else { 0 };
        let emitted = ALPHA_PER_BLOCK.saturating_sub(root).saturating_add(paid_root);
        SubnetAlphaOut::<T>::mutate(netuid, |v| *v = v.saturating_add(emitted));
        SubnetAlphaOutEmission::<T>::insert(netuid, ALPHA_PER_BLOCK);
        PendingOwnerCut::<T>::mutate(netuid, |v| *v = v.saturating_add(cut));
        PendingServerEmission::<T>::mutate(netuid, |v| *v = v.saturating_add(server));
        PendingValidatorEmission::<T>::mutate(netuid, |v| {
            *v = v.saturating_add(validators.saturating_sub(root));
        });
        PendingRootAlphaDivs::<T>::mutate(netuid, |v| *v = v.saturating_add(paid_root));
    }

    /// The moving price follows the spot price (at most 1), slowly at first.
    fn move_price(netuid: NetUid, price: I96F32, now: u64) {
        let first = FirstEmissionBlockNumber::<T>::get(netuid).unwrap_or(now);
        let age = I96F32::from_num(now.saturating_sub(first));
        let halving = I96F32::from_num(EMAPriceHalvingBlocks::<T>::get(netuid));
        let step = I96F32::from_bits(SubnetMovingAlpha::<T>::get().bits)
            .saturating_mul(age.checked_div(age.saturating_add(halving)).unwrap_or_default());
        let old = I96F32::from_bits(SubnetMovingPrice::<T>::get(netuid).bits);
        let toward = price.min(I96F32::from_num(1));
        let new = old.saturating_add(step.saturating_mul(toward.saturating_sub(old)));
        SubnetMovingPrice::<T>::insert(netuid, FixedI128 { bits: new.to_bits() });
    }
}
