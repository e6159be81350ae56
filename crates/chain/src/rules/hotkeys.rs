//! The rules of calls about a hotkey that its coldkey signs: children, takes, swaps (chain.md 9).

use super::{Rules, SUBTENSOR, Spends, present};
use crate::{ChainError, value::Value};

/// What swapping a hotkey costs, rao: everywhere, and on one subnet (chain.md 1).
const SWAP_EVERYWHERE: u64 = 100_000_000;
const SWAP_ON_SUBNET: u64 = 1_000_000;
/// Under which number the chain keeps when children were set, and the blocks between two settings; no storage has that (chain.md 9).
const SET_CHILDREN: u16 = 0;
const SET_CHILDREN_INTERVAL: u64 = 150;
/// Children of one hotkey on one subnet.
const MOST_CHILDREN: usize = 5;

impl Rules<'_> {
    pub(super) async fn children(&mut self) -> Result<Spends, ChainError> {
        let (hotkey, netuid) = (self.call.account("hotkey")?, self.call.number::<u16>("netuid")?);
        let keys = [(&hotkey).into(), netuid.into(), SET_CHILDREN.into()];
        if let Some(last) = self.number("TransactionKeyLastBlock", &keys).await? {
            self.apart("TxRateLimitExceeded", last, SET_CHILDREN_INTERVAL);
        }
        self.rule("RegistrationNotPermittedOnRootSubnet", netuid != 0, format!("netuid {netuid}"), "not 0");
        self.subnet(netuid).await?;
        self.owns(hotkey).await?;
        let children = self.call.arg("children").and_then(|list| list.list().ok()).unwrap_or(&[]);
        let own = children.iter().any(|child| child.at(1).and_then(Value::account) == Ok(hotkey));
        self.rule("InvalidChild", !own, if own { "its own child" } else { "not its own child" }, "other hotkeys");
        let many = children.len();
        self.rule(
            "TooManyChildren",
            many <= MOST_CHILDREN,
            format!("{many} children"),
            format!("at most {MOST_CHILDREN}"),
        );
        Ok(None)
    }

    /// A take within the chain's bounds.
    pub(super) async fn within(
        &mut self,
        low: &'static str,
        high: &'static str,
        min: &str,
        max: &str,
    ) -> Result<(), ChainError> {
        let take: u64 = self.call.number("take")?;
        if let Some(min) = self.number(min, &[]).await? {
            self.rule(low, take >= min, format!("take {take} of 65535"), format!("at least {min}"));
        }
        if let Some(max) = self.number(max, &[]).await? {
            self.rule(high, take <= max, format!("take {take} of 65535"), format!("at most {max}"));
        }
        Ok(())
    }

    pub(super) async fn take(&mut self) -> Result<Spends, ChainError> {
        let hotkey = self.call.account("hotkey")?;
        self.owns(hotkey).await?;
        self.within("DelegateTakeTooLow", "DelegateTakeTooHigh", "MinDelegateTake", "MaxDelegateTake").await?;
        // The chain lets a hotkey that never set a take begin with any: only a value that is set binds.
        let set = present(self.client.stored(SUBTENSOR, "Delegates", &[(&hotkey).into()], self.at).await)?.flatten();
        if let Some(now) = set.and_then(|take| take.number::<u64>().ok()) {
            let take: u64 = self.call.number("take")?;
            let rises = self.call.name == "increase_take";
            let holds = if rises { take > now } else { take < now };
            let needed = format!("{} than it", if rises { "more" } else { "less" });
            self.rule("DelegateTakeTooLow", holds, format!("take {now} now, {take} asked for"), needed);
        }
        if self.call.name == "increase_take"
            && let (Some(last), Some(limit)) = (
                self.number("LastTxBlockDelegateTake", &[(&hotkey).into()]).await?,
                self.number("TxDelegateTakeRateLimit", &[]).await?,
            )
        {
            self.waited("DelegateTxRateLimitExceeded", last, limit);
        }
        Ok(None)
    }

    pub(super) async fn swap_hotkey(&mut self) -> Result<Spends, ChainError> {
        let (old, new) = (self.call.account("hotkey")?, self.call.account("new_hotkey")?);
        self.owns(old).await?;
        self.free_or_own(new).await?;
        let same = old == new;
        self.rule("NewHotKeyIsSameWithOld", !same, if same { "the same hotkey" } else { "two hotkeys" }, "two hotkeys");
        let netuid = self.call.arg("netuid").and_then(|netuid| netuid.optional().ok().flatten());
        let on = netuid.and_then(|netuid| netuid.number::<u16>().ok());
        if let Some(netuid) = on {
            self.unregistered(netuid, new).await?;
        }
        let signer = *self.signer;
        if let (Some(last), Some(limit)) =
            (self.number("LastTxBlock", &[(&signer).into()]).await?, self.number("TxRateLimit", &[]).await?)
        {
            self.waited("HotKeySetTxRateLimitExceeded", last, limit);
        }
        let cost = if on.is_some() { SWAP_ON_SUBNET } else { SWAP_EVERYWHERE };
        Ok(Some(("NotEnoughBalanceToPaySwapHotKey", "the swap", cost)))
    }
}
