//! `CheckNonce` as the public runtime has it (chain.md 1.2): an account without balance may send calls that cost nothing.
//!
//! The stock extension refuses an account that nothing provides for, because its nonce would be stored for free. Hotkeys hold no TAO, so
//! here that refusal falls only on calls that pay a fee. Everything else is the stock rule: old nonces are stale, later ones wait.

use frame_support::dispatch::{DispatchInfo, Pays};
use frame_support::pallet_prelude::{TransactionSource, Weight};
use frame_system::Config;
use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;
use sp_runtime::traits::{
    AsSystemOriginSigner, CheckedAdd, DispatchInfoOf, Dispatchable, One, TransactionExtension, ValidateResult, Zero,
};
use sp_runtime::transaction_validity::{
    InvalidTransaction, TransactionLongevity, TransactionValidityError, ValidTransaction,
};

/// Compact nonce in the extrinsic, nothing signed beside it.
#[derive(Encode, Decode, DecodeWithMemTracking, Clone, Eq, PartialEq, TypeInfo)]
#[scale_info(skip_type_params(T))]
pub struct CheckNonce<T: Config>(#[codec(compact)] pub T::Nonce);

impl<T: Config> CheckNonce<T> {
    /// For whoever builds extrinsics natively.
    pub fn from(nonce: T::Nonce) -> Self {
        Self(nonce)
    }
}

impl<T: Config> core::fmt::Debug for CheckNonce<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "CheckNonce({:?})", self.0)
    }
}

impl<T> TransactionExtension<T::RuntimeCall> for CheckNonce<T>
where
    T: Config,
    T::RuntimeCall: Dispatchable<Info = DispatchInfo>,
    <T::RuntimeCall as Dispatchable>::RuntimeOrigin: AsSystemOriginSigner<T::AccountId> + Clone,
{
    const IDENTIFIER: &'static str = "CheckNonce";
    type Implicit = ();
    /// Who signed, if anybody did.
    type Val = Option<T::AccountId>;
    type Pre = ();

    fn weight(&self, _: &T::RuntimeCall) -> Weight {
        <T::ExtensionsWeightInfo as frame_system::ExtensionsWeightInfo>::check_nonce()
    }

    fn validate(
        &self,
        origin: T::RuntimeOrigin,
        _call: &T::RuntimeCall,
        info: &DispatchInfoOf<T::RuntimeCall>,
        _len: usize,
        _self_implicit: (),
        _inherited_implication: &impl Encode,
        _source: TransactionSource,
    ) -> ValidateResult<Self::Val, T::RuntimeCall> {
        let Some(who) = origin.as_system_origin_signer().cloned() else {
            return Ok((ValidTransaction::default(), None, origin));
        };
        let account = frame_system::Account::<T>::get(&who);
        let unprovided = account.providers.is_zero() && account.sufficients.is_zero();
        if unprovided && info.pays_fee == Pays::Yes {
            return Err(InvalidTransaction::Payment.into());
        }
        if self.0 < account.nonce {
            return Err(InvalidTransaction::Stale.into());
        }
        let requires = if account.nonce < self.0 { vec![(&who, self.0 - One::one()).encode()] } else { Vec::new() };
        let validity = ValidTransaction {
            priority: 0,
            requires,
            provides: vec![(&who, self.0).encode()],
            longevity: TransactionLongevity::MAX,
            propagate: true,
        };
        Ok((validity, Some(who), origin))
    }

    fn prepare(
        self,
        val: Self::Val,
        _origin: &T::RuntimeOrigin,
        _call: &T::RuntimeCall,
        _info: &DispatchInfoOf<T::RuntimeCall>,
        _len: usize,
    ) -> Result<(), TransactionValidityError> {
        let Some(who) = val else {
            return Ok(());
        };
        let nonce = frame_system::Account::<T>::get(&who).nonce;
        if self.0 < nonce {
            return Err(InvalidTransaction::Stale.into());
        }
        if self.0 > nonce {
            return Err(InvalidTransaction::Future.into());
        }
        let next = nonce.checked_add(&One::one()).unwrap_or_else(T::Nonce::zero);
        frame_system::Account::<T>::mutate(&who, |account| account.nonce = next);
        Ok(())
    }
}
