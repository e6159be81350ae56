//! Neurons: registration against the burn, the root network's registration, pruning and immunity (chain.md 9).
//!
//! Invariant: uids of a subnet are `0..SubnetworkN`, `Keys` and `Uids` are inverse, and every per-uid vector has that length.

use super::*;

impl<T: Config> Pallet<T> {
    /// Whether a coldkey may register or own a hotkey.
    pub fn free_or_owned(coldkey: &AccountId, hotkey: &AccountId) -> bool {
        !Owner::<T>::contains_key(hotkey) || Owner::<T>::get(hotkey) == *coldkey
    }

    /// Whether a hotkey is the coldkey's.
    pub fn owns(coldkey: &AccountId, hotkey: &AccountId) -> bool {
        Owner::<T>::contains_key(hotkey) && Owner::<T>::get(hotkey) == *coldkey
    }

    /// Makes a hotkey that nobody owns the coldkey's.
    pub(crate) fn associate(coldkey: &AccountId, hotkey: &AccountId) {
        if Owner::<T>::contains_key(hotkey) {
            return;
        }
        Owner::<T>::insert(hotkey, coldkey);
        OwnedHotkeys::<T>::mutate(coldkey, |list| push_unique(list, hotkey));
        StakingHotkeys::<T>::mutate(coldkey, |list| push_unique(list, hotkey));
    }

    /// Resets the counters of registrations.
    pub(crate) fn begin_registrations(now: u64) {
        for netuid in std::iter::once(ROOT).chain(Self::subnets()) {
            RegistrationsThisBlock::<T>::remove(netuid);
            let since = now.saturating_sub(LastAdjustmentBlock::<T>::get(netuid));
            if since >= u64::from(AdjustmentInterval::<T>::get(netuid)) {
                LastAdjustmentBlock::<T>::insert(netuid, now);
                RegistrationsThisInterval::<T>::remove(netuid);
            }
        }
    }

    fn count_registration(netuid: NetUid) {
        RegistrationsThisBlock::<T>::mutate(netuid, |n| *n = n.saturating_add(1));
        RegistrationsThisInterval::<T>::mutate(netuid, |n| *n = n.saturating_add(1));
    }

    pub(crate) fn do_burned_register(
        origin: OriginFor<T>,
        netuid: NetUid,
        hotkey: AccountId,
        limit: Option<u64>,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        ensure!(netuid != ROOT, Error::<T>::RegistrationNotPermittedOnRootSubnet);
        ensure!(Self::exists(netuid), Error::<T>::SubnetNotExists);
        ensure!(NetworkRegistrationAllowed::<T>::get(netuid), Error::<T>::SubNetRegistrationDisabled);
        ensure!(!Uids::<T>::contains_key(netuid, &hotkey), Error::<T>::HotKeyAlreadyRegisteredInSubNet);
        let burn = Burn::<T>::get(netuid);
        ensure!(limit.is_none_or(|limit| burn <= limit), Error::<T>::RegistrationPriceLimitExceeded);
        ensure!(Self::free_balance(&coldkey) >= burn, Error::<T>::NotEnoughBalanceToStake);
        ensure!(Self::free_or_owned(&coldkey, &hotkey), Error::<T>::NonAssociatedColdKey);
        let slot = Self::slot(netuid).ok_or(Error::<T>::NoNeuronIdAvailable)?;

        // The TAO goes into the pool, the alpha that it buys ceases to exist.
        if burn > 0 {
            let alpha = Self::buy(&coldkey, netuid, burn)?;
            SubnetAlphaOut::<T>::mutate(netuid, |out| *out = out.saturating_sub(alpha));
        }
        RAORecycledForRegistration::<T>::mutate(netuid, |sum| *sum = sum.saturating_add(burn));
        Self::enter(netuid, slot, &coldkey, &hotkey);
        Self::raise_burn(netuid);
        Ok(())
    }

    /// Puts a hotkey that has been let in into its slot.
    pub(crate) fn enter(netuid: NetUid, slot: Option<u16>, coldkey: &AccountId, hotkey: &AccountId) {
        Self::associate(coldkey, hotkey);
        let now = Self::now();
        let uid = match slot {
            None => Self::append_neuron(netuid, hotkey, now),
            Some(uid) => {
                Self::replace_neuron(netuid, uid, hotkey, now);
                uid
            }
        };
        Self::count_registration(netuid);
        Self::deposit_event(Event::NeuronRegistered(netuid, uid, hotkey.clone()));
    }

    pub(crate) fn do_root_register(origin: OriginFor<T>, hotkey: AccountId) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        ensure!(Self::exists(ROOT), Error::<T>::RootNetworkDoesNotExist);
        ensure!(
            RegistrationsThisBlock::<T>::get(ROOT) < MaxRegistrationsPerBlock::<T>::get(ROOT),
            Error::<T>::TooManyRegistrationsThisBlock
        );
        ensure!(
            RegistrationsThisInterval::<T>::get(ROOT)
                < TargetRegistrationsPerInterval::<T>::get(ROOT).saturating_mul(3),
            Error::<T>::TooManyRegistrationsThisInterval
        );
        ensure!(!Uids::<T>::contains_key(ROOT, &hotkey), Error::<T>::HotKeyAlreadyRegisteredInSubNet);
        ensure!(Self::free_or_owned(&coldkey, &hotkey), Error::<T>::NonAssociatedColdKey);
        let now = Self::now();
        let n = SubnetworkN::<T>::get(ROOT);
        let uid = if n < MaxAllowedUids::<T>::get(ROOT) {
            Self::associate(&coldkey, &hotkey);
            Self::append_neuron(ROOT, &hotkey, now)
        } else {
            let lowest = (0..n)
                .map(|uid| (Self::root_stake(&Keys::<T>::get(ROOT, uid)), uid))
                .min()
                .ok_or(Error::<T>::NoNeuronIdAvailable)?;
            ensure!(lowest.0 < Self::root_stake(&hotkey), Error::<T>::StakeTooLowForRoot);
            Self::associate(&coldkey, &hotkey);
            Self::replace_neuron(ROOT, lowest.1, &hotkey, now);
            lowest.1
        };
        Self::count_registration(ROOT);
        Self::deposit_event(Event::NeuronRegistered(ROOT, uid, hotkey));
        Ok(())
    }

    fn root_stake(hotkey: &AccountId) -> u64 {
        TotalHotkeyAlpha::<T>::get(hotkey, ROOT)
    }

    /// `Some(None)`: there is room for one more. `Some(Some(uid))`: that one goes. `None`: nobody can come in.
    #[allow(clippy::option_option)] // the three cases are just these
    pub(crate) fn slot(netuid: NetUid) -> Option<Option<u16>> {
        let max = MaxAllowedUids::<T>::get(netuid);
        if max == 0 {
            return None;
        }
        if SubnetworkN::<T>::get(netuid) < max {
            return Some(None);
        }
        Self::neuron_to_prune(netuid).map(Some)
    }

    /// Whether a uid is too young to be pruned.
    pub fn is_immune(netuid: NetUid, uid: u16) -> bool {
        let age = Self::now().saturating_sub(BlockAtRegistration::<T>::get(netuid, uid));
        age < u64::from(ImmunityPeriod::<T>::get(netuid))
    }

    /// The owner's hotkeys that are never pruned: the owner hotkey and the oldest few of the owner's others.
    fn immortal(netuid: NetUid) -> Vec<AccountId> {
        let owner_hotkey = SubnetOwnerHotkey::<T>::get(netuid);
        let mut others: Vec<(u64, u16, AccountId)> = OwnedHotkeys::<T>::get(SubnetOwner::<T>::get(netuid))
            .into_iter()
            .filter(|hotkey| *hotkey != owner_hotkey)
            .filter_map(|hotkey| {
                let uid = Uids::<T>::get(netuid, &hotkey)?;
                Some((BlockAtRegistration::<T>::get(netuid, uid), uid, hotkey))
            })
            .collect();
        others.sort_unstable_by_key(|(block, uid, _)| (*block, *uid));
        others.truncate(usize::from(ImmuneOwnerUidsLimit::<T>::get(netuid)));
        std::iter::once(owner_hotkey).chain(others.into_iter().map(|(_, _, hotkey)| hotkey)).collect()
    }

    /// Who goes when the subnet is full: lowest (emission, registration block, uid) of those out of immunity while more than
    /// `MinNonImmuneUids` of them are left, else of those in immunity.
    pub fn neuron_to_prune(netuid: NetUid) -> Option<u16> {
        let immortal = Self::immortal(netuid);
        let emission = Emission::<T>::get(netuid);
        let mut immune = Vec::new();
        let mut free = Vec::new();
        for uid in 0..SubnetworkN::<T>::get(netuid) {
            if immortal.contains(&Keys::<T>::get(netuid, uid)) {
                continue;
            }
            let rank =
                (emission.get(usize::from(uid)).copied().unwrap_or(0), BlockAtRegistration::<T>::get(netuid, uid), uid);
            if Self::is_immune(netuid, uid) {
                immune.push(rank);
            } else {
                free.push(rank);
            }
        }
        let pool = if free.len() > usize::from(MinNonImmuneUids::<T>::get(netuid)) { free } else { immune };
        pool.into_iter().min().map(|(_, _, uid)| uid)
    }

    /// Gives a hotkey the next uid.
    pub(crate) fn append_neuron(netuid: NetUid, hotkey: &AccountId, now: u64) -> u16 {
        let uid = SubnetworkN::<T>::get(netuid);
        SubnetworkN::<T>::insert(netuid, uid.saturating_add(1));
        let n = usize::from(uid).saturating_add(1);
        Self::write_neuron(netuid, uid, hotkey, now, n);
        uid
    }

    /// Gives a hotkey an existing uid; nothing of its predecessor stays.
    pub(crate) fn replace_neuron(netuid: NetUid, uid: u16, hotkey: &AccountId, now: u64) {
        let old = Keys::<T>::get(netuid, uid);
        Uids::<T>::remove(netuid, &old);
        IsNetworkMember::<T>::remove(&old, netuid);
        Axons::<T>::remove(netuid, &old);
        Prometheus::<T>::remove(netuid, &old);
        NeuronCertificates::<T>::remove(netuid, &old);
        for index in Self::mechanism_indices(netuid) {
            WeightCommits::<T>::remove(index, &old);
            Weights::<T>::remove(index, uid);
            Bonds::<T>::remove(index, uid);
        }
        let n = usize::from(SubnetworkN::<T>::get(netuid));
        Self::write_neuron(netuid, uid, hotkey, now, n);
    }

    /// All that a fresh neuron is; `n` is the subnet's size including it.
    fn write_neuron(netuid: NetUid, uid: u16, hotkey: &AccountId, now: u64, n: usize) {
        Keys::<T>::insert(netuid, uid, hotkey);
        Uids::<T>::insert(netuid, hotkey, uid);
        IsNetworkMember::<T>::insert(hotkey, netuid, true);
        BlockAtRegistration::<T>::insert(netuid, uid, now);
        let i = usize::from(uid);
        Active::<T>::mutate(netuid, |v| put(v, n, i, true));
        Consensus::<T>::mutate(netuid, |v| put(v, n, i, 0));
        Dividends::<T>::mutate(netuid, |v| put(v, n, i, 0));
        Emission::<T>::mutate(netuid, |v| put(v, n, i, 0));
        ValidatorTrust::<T>::mutate(netuid, |v| put(v, n, i, 0));
        ValidatorPermit::<T>::mutate(netuid, |v| put(v, n, i, false));
        StakeWeight::<T>::mutate(netuid, |v| put(v, n, i, 0));
        for index in Self::mechanism_indices(netuid) {
            Incentive::<T>::mutate(index, |v| put(v, n, i, 0));
            LastUpdate::<T>::mutate(index, |v| put(v, n, i, now));
        }
    }
}

/// Brings a per-uid vector to the subnet's size and writes one place.
fn put<V: Clone + Default>(list: &mut Vec<V>, n: usize, i: usize, value: V) {
    list.resize(n, V::default());
    if let Some(place) = list.get_mut(i) {
        *place = value;
    }
}

/// Appends an account that is not there yet.
pub(crate) fn push_unique(list: &mut Vec<AccountId>, account: &AccountId) {
    if !list.contains(account) {
        list.push(account.clone());
    }
}
