//! Stake: put in, taken out, moved; with or without a limit on the price (chain.md 1).
//!
//! Amounts are rao: of TAO where TAO goes in, of the subnet's alpha everywhere else. Prices are rao of TAO per alpha.

use serde::Serialize;
use starling_keys::{Account, Signer};

use crate::{
    ChainError, Client, Submitted,
    registration::option,
    submit::Call,
    value::{ShapeError, Value},
};

const SUBTENSOR: &str = "SubtensorModule";
const API: &str = "StakeInfoRuntimeApi";

/// The worst price at which an order is still filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// rao of TAO per alpha; for a swap between subnets, of the left one's alpha in the entered one's.
    pub price: u64,
    /// Fill what the limit allows instead of refusing the whole.
    pub partial: bool,
}

/// Alpha of one coldkey at one hotkey on one subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stake {
    /// The subnet; 0 is the root network, where alpha is TAO.
    pub netuid: u16,
    /// At this hotkey.
    pub hotkey: Account,
    /// Whose it is.
    pub coldkey: Account,
    /// rao of alpha.
    pub stake: u64,
    /// rao of alpha that came with the last epoch.
    pub emission: u64,
    /// Whether the hotkey is registered there.
    pub registered: bool,
}

/// Where stake lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// At this hotkey.
    pub hotkey: Account,
    /// On this subnet.
    pub netuid: u16,
}

impl Client {
    /// As [`Client::add_stake`], within a limit.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn add_stake_limit(
        &self,
        coldkey: &dyn Signer,
        to: Place,
        rao: u64,
        limit: Limit,
    ) -> Result<Submitted, ChainError> {
        let args = vec![
            ("hotkey", (&to.hotkey).into()),
            ("netuid", to.netuid.into()),
            ("amount_staked", rao.into()),
            ("limit_price", limit.price.into()),
            ("allow_partial", limit.partial.into()),
        ];
        self.write(coldkey, &Call { pallet: SUBTENSOR, name: "add_stake_limit", args }).await
    }

    /// Sells `alpha` rao of a hotkey's stake for TAO.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn remove_stake(
        &self,
        coldkey: &dyn Signer,
        from: Place,
        alpha: u64,
        limit: Option<Limit>,
    ) -> Result<Submitted, ChainError> {
        let mut args =
            vec![("hotkey", (&from.hotkey).into()), ("netuid", from.netuid.into()), ("amount_unstaked", alpha.into())];
        let name = match limit {
            None => "remove_stake",
            Some(limit) => {
                args.push(("limit_price", limit.price.into()));
                args.push(("allow_partial", limit.partial.into()));
                "remove_stake_limit"
            }
        };
        self.write(coldkey, &Call { pallet: SUBTENSOR, name, args }).await
    }

    /// Sells all of a coldkey's stake at a hotkey on one subnet; with a least price, all of it or nothing.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn remove_stake_full(
        &self,
        coldkey: &dyn Signer,
        from: Place,
        least_price: Option<u64>,
    ) -> Result<Submitted, ChainError> {
        let args = vec![
            ("hotkey", (&from.hotkey).into()),
            ("netuid", from.netuid.into()),
            ("limit_price", option(least_price.map(Value::from))),
        ];
        self.write(coldkey, &Call { pallet: SUBTENSOR, name: "remove_stake_full_limit", args }).await
    }

    /// Sells all of a coldkey's stake at a hotkey on every subnet, at any price: for TAO, or (`into_root`) for stake on the root network.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn unstake_all(
        &self,
        coldkey: &dyn Signer,
        hotkey: &Account,
        into_root: bool,
    ) -> Result<Submitted, ChainError> {
        let name = if into_root { "unstake_all_alpha" } else { "unstake_all" };
        self.write(coldkey, &Call { pallet: SUBTENSOR, name, args: vec![("hotkey", hotkey.into())] }).await
    }

    /// Moves `alpha` rao from one hotkey to another, also over subnets.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn move_stake(
        &self,
        coldkey: &dyn Signer,
        from: Place,
        to: Place,
        alpha: u64,
    ) -> Result<Submitted, ChainError> {
        let args = vec![
            ("origin_hotkey", (&from.hotkey).into()),
            ("destination_hotkey", (&to.hotkey).into()),
            ("origin_netuid", from.netuid.into()),
            ("destination_netuid", to.netuid.into()),
            ("alpha_amount", alpha.into()),
        ];
        self.write(coldkey, &Call { pallet: SUBTENSOR, name: "move_stake", args }).await
    }

    /// Gives `alpha` rao to another coldkey, at the same hotkey.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn transfer_stake(
        &self,
        coldkey: &dyn Signer,
        from: Place,
        to: &Account,
        to_netuid: u16,
        alpha: u64,
    ) -> Result<Submitted, ChainError> {
        let args = vec![
            ("destination_coldkey", to.into()),
            ("hotkey", (&from.hotkey).into()),
            ("origin_netuid", from.netuid.into()),
            ("destination_netuid", to_netuid.into()),
            ("alpha_amount", alpha.into()),
        ];
        self.write(coldkey, &Call { pallet: SUBTENSOR, name: "transfer_stake", args }).await
    }

    /// Moves `alpha` rao to another subnet, at the same hotkey.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn swap_stake(
        &self,
        coldkey: &dyn Signer,
        from: Place,
        to_netuid: u16,
        alpha: u64,
        limit: Option<Limit>,
    ) -> Result<Submitted, ChainError> {
        let mut args = vec![
            ("hotkey", (&from.hotkey).into()),
            ("origin_netuid", from.netuid.into()),
            ("destination_netuid", to_netuid.into()),
            ("alpha_amount", alpha.into()),
        ];
        let name = match limit {
            None => "swap_stake",
            Some(limit) => {
                args.push(("limit_price", limit.price.into()));
                args.push(("allow_partial", limit.partial.into()));
                "swap_stake_limit"
            }
        };
        self.write(coldkey, &Call { pallet: SUBTENSOR, name, args }).await
    }

    /// All that a coldkey has staked, by subnet and hotkey, at a block hash or now.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn stakes(&self, coldkey: &Account, at: Option<[u8; 32]>) -> Result<Vec<Stake>, ChainError> {
        const METHOD: &str = "get_stake_info_for_coldkey";
        let answer = self.api(API, METHOD, &[coldkey.into()], at).await?;
        let mut stakes = answer.map(read_stake).map_err(ChainError::decode(METHOD, 0))?;
        stakes.retain(|stake| stake.stake > 0);
        stakes.sort_by_key(|stake| (stake.netuid, stake.hotkey));
        Ok(stakes)
    }
}

fn read_stake(stake: &Value) -> Result<Stake, ShapeError> {
    Ok(Stake {
        netuid: stake.get("netuid")?.number()?,
        hotkey: stake.get("hotkey")?.account()?,
        coldkey: stake.get("coldkey")?.account()?,
        stake: stake.get("stake")?.number()?,
        emission: stake.get("emission")?.number()?,
        registered: stake.get("is_registered")?.truth()?,
    })
}
