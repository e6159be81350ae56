//! Whom a hotkey lends its weight to, and what hotkeys keep of others' dividends (chain.md 3, 9).
//!
//! Shares are of `u64::MAX`, takes of 65535.

use serde::Serialize;
use starling_keys::{Account, Signer};

use crate::{
    BlockRef, ChainError, Client, Submitted,
    rules::present,
    submit::Call,
    value::{ShapeError, Value},
};

const SUBTENSOR: &str = "SubtensorModule";

/// A share of a hotkey's weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Child {
    /// To, or of, this hotkey.
    pub hotkey: Account,
    /// Of `u64::MAX`.
    pub share: u64,
}

/// A hotkey's family on a subnet at one block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Family {
    /// Read at this block.
    pub block: u32,
    /// To whom it lends.
    pub children: Vec<Child>,
    /// Who lends to it.
    pub parents: Vec<Child>,
    /// To whom it will lend after `pending_from`, if that was set and does not hold yet.
    pub pending: Option<Vec<Child>>,
    /// The block after which the pending ones hold.
    pub pending_from: Option<u64>,
}

/// What a hotkey keeps, of 65535, and the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Takes {
    /// Of its nominators' dividends.
    pub delegate: u16,
    /// The chain's bounds for that.
    pub delegate_bounds: (u16, u16),
    /// As a child of others, on the subnet asked about.
    pub childkey: u16,
    /// The chain's bounds for that.
    pub childkey_bounds: (u16, u16),
}

fn pairs(list: &Value) -> Result<Vec<Child>, ShapeError> {
    list.map(|pair| Ok(Child { share: pair.at(0)?.number()?, hotkey: pair.at(1)?.account()? }))
}

impl Client {
    /// Lends shares of a hotkey's weight to others, instead of those before; nobody, if the list is empty. They hold after a cooldown.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn set_children(
        &self,
        coldkey: &dyn Signer,
        netuid: u16,
        hotkey: &Account,
        children: &[Child],
    ) -> Result<Submitted, ChainError> {
        let list = children.iter().map(|child| Value::List(vec![child.share.into(), (&child.hotkey).into()]));
        let args =
            vec![("hotkey", hotkey.into()), ("netuid", netuid.into()), ("children", Value::List(list.collect()))];
        self.write(coldkey, &Call { pallet: SUBTENSOR, name: "set_children", args }).await
    }

    /// A hotkey's children and parents on a subnet.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn family(&self, netuid: u16, hotkey: &Account, at: Option<[u8; 32]>) -> Result<Family, ChainError> {
        let block = match at {
            None => self.head().await?,
            Some(hash) => BlockRef { number: self.block_number(hash).await?, hash },
        };
        let at = Some(block.hash);
        let keys: [Value; 2] = [hotkey.into(), netuid.into()];
        let other: [Value; 2] = [netuid.into(), hotkey.into()];
        let (children, parents, pending) = futures::try_join!(
            self.storage_value(SUBTENSOR, "ChildKeys", &keys, at),
            self.storage_value(SUBTENSOR, "ParentKeys", &keys, at),
            async { present(self.stored(SUBTENSOR, "PendingChildKeys", &other, at).await).map(Option::flatten) },
        )?;
        let read = || -> Result<Family, ShapeError> {
            let waiting = pending.as_ref().map(|pending| Ok((pairs(pending.at(0)?)?, pending.at(1)?.number()?)));
            let (pending, pending_from) = waiting.transpose()?.unzip();
            Ok(Family {
                block: block.number,
                children: pairs(&children)?,
                parents: pairs(&parents)?,
                pending,
                pending_from,
            })
        };
        read().map_err(ChainError::decode("a hotkey's children", 0))
    }

    /// What a hotkey keeps, at a block hash or now.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn takes(&self, netuid: u16, hotkey: &Account, at: Option<[u8; 32]>) -> Result<Takes, ChainError> {
        let (of_hotkey, on_subnet): ([Value; 1], [Value; 2]) = ([hotkey.into()], [hotkey.into(), netuid.into()]);
        let (delegate, least, most, childkey, child_least, child_most) = futures::try_join!(
            self.number("Delegates", &of_hotkey, at),
            self.number("MinDelegateTake", &[], at),
            self.number("MaxDelegateTake", &[], at),
            self.number("ChildkeyTake", &on_subnet, at),
            self.number("MinChildkeyTake", &[], at),
            self.number("MaxChildkeyTake", &[], at),
        )?;
        Ok(Takes { delegate, delegate_bounds: (least, most), childkey, childkey_bounds: (child_least, child_most) })
    }

    /// Sets what a hotkey keeps of its nominators' dividends, of 65535: raised seldom, lowered at any time.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn set_take(
        &self,
        coldkey: &dyn Signer,
        hotkey: &Account,
        take: u16,
        raise: bool,
    ) -> Result<Submitted, ChainError> {
        let name = if raise { "increase_take" } else { "decrease_take" };
        let args = vec![("hotkey", hotkey.into()), ("take", take.into())];
        self.write(coldkey, &Call { pallet: SUBTENSOR, name, args }).await
    }

    /// Sets what a hotkey keeps as a child of others on a subnet, of 65535.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn set_childkey_take(
        &self,
        coldkey: &dyn Signer,
        netuid: u16,
        hotkey: &Account,
        take: u16,
    ) -> Result<Submitted, ChainError> {
        let args = vec![("hotkey", hotkey.into()), ("netuid", netuid.into()), ("take", take.into())];
        self.write(coldkey, &Call { pallet: SUBTENSOR, name: "set_childkey_take", args }).await
    }
}
