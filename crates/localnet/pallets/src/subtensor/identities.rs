//! What coldkeys and subnets say about themselves (chain.md 1, 2).
//!
//! Invariant: no text is longer than the public chain takes.

use super::*;
use crate::types::{ChainIdentityV2, SubnetIdentityV3};

fn fits(texts: &[(&[u8], usize)]) -> bool {
    texts.iter().all(|(text, most)| text.len() <= *most)
}

/// Whether a coldkey's identity may be stored.
pub(crate) fn is_valid(identity: &ChainIdentityV2) -> bool {
    fits(&[
        (&identity.name, 256),
        (&identity.url, 256),
        (&identity.github_repo, 256),
        (&identity.image, 1_024),
        (&identity.discord, 256),
        (&identity.description, 1_024),
        (&identity.additional, 1_024),
    ])
}

/// Whether a subnet's identity may be stored.
pub(crate) fn is_valid_subnet(identity: &SubnetIdentityV3) -> bool {
    fits(&[
        (&identity.subnet_name, 256),
        (&identity.github_repo, 1_024),
        (&identity.subnet_contact, 1_024),
        (&identity.subnet_url, 1_024),
        (&identity.discord, 256),
        (&identity.description, 1_024),
        (&identity.logo_url, 1_024),
        (&identity.additional, 1_024),
    ])
}

impl<T: Config> Pallet<T> {
    pub(crate) fn do_set_identity(origin: OriginFor<T>, identity: ChainIdentityV2) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        let known = OwnedHotkeys::<T>::get(&coldkey).iter().any(Self::registered_anywhere);
        ensure!(known, Error::<T>::HotKeyNotRegisteredInNetwork);
        ensure!(is_valid(&identity), Error::<T>::InvalidIdentity);
        IdentitiesV2::<T>::insert(&coldkey, identity);
        Self::deposit_event(Event::ChainIdentitySet(coldkey));
        Ok(())
    }

    pub(crate) fn do_set_subnet_identity(
        origin: OriginFor<T>,
        netuid: NetUid,
        identity: SubnetIdentityV3,
    ) -> DispatchResult {
        let coldkey = ensure_signed(origin)?;
        ensure!(Self::exists(netuid), Error::<T>::SubnetNotExists);
        ensure!(SubnetOwner::<T>::get(netuid) == coldkey, Error::<T>::NotSubnetOwner);
        ensure!(is_valid_subnet(&identity), Error::<T>::InvalidIdentity);
        SubnetIdentitiesV3::<T>::insert(netuid, identity);
        Self::deposit_event(Event::SubnetIdentitySet(netuid));
        Ok(())
    }
}
