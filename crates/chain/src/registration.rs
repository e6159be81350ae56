//! Registering by price, by work and on the root network, and putting one hotkey in another's place (chain.md 1, 8.9, 9).

use starling_keys::{Account, Signer};

use crate::{ChainError, Client, Submitted, proofs::registered_uid, submit::Call, value::Value};

const SUBTENSOR: &str = "SubtensorModule";

/// `Option<T>` as an argument.
pub(crate) fn option(value: Option<Value>) -> Value {
    value.map_or_else(|| Value::variant("None", Value::Unit), |value| Value::variant("Some", value))
}

impl Client {
    /// Sends a call, adds the broken rules to a refusal, and proves the effect.
    pub(crate) async fn write(&self, signer: &dyn Signer, call: &Call<'_>) -> Result<Submitted, ChainError> {
        let account = signer.account();
        let sent = match self.send_and_follow(signer, call).await {
            Ok(sent) => sent,
            Err(mut error) => {
                if let ChainError::Pool { explanation, .. } | ChainError::Dispatch { explanation, .. } = &mut error
                    && let Ok(rules) = Box::pin(self.rules(&account, call, 0)).await
                {
                    for broken in rules.iter().filter(|rule| !rule.holds) {
                        explanation.push_str(&format!("; {broken}"));
                    }
                }
                return Err(error);
            }
        };
        self.prove(&account, call, &sent).await?;
        Ok(sent)
    }

    /// As [`Client::burned_register`], but refused by the chain itself if the price has risen above `limit` rao meanwhile.
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::Absent`] where the runtime has no `register_limit`.
    pub async fn register_limit(
        &self,
        coldkey: &dyn Signer,
        netuid: u16,
        hotkey: &Account,
        limit: u64,
    ) -> Result<(u16, Submitted), ChainError> {
        let args = vec![("netuid", netuid.into()), ("hotkey", hotkey.into()), ("limit_price", limit.into())];
        let call = Call { pallet: SUBTENSOR, name: "register_limit", args };
        let sent = self.write(coldkey, &call).await?;
        Ok((registered_uid(&sent, &call, netuid, hotkey)?, sent))
    }

    /// Registers a hotkey on the root network. Returns its uid there.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn root_register(&self, coldkey: &dyn Signer, hotkey: &Account) -> Result<(u16, Submitted), ChainError> {
        let call = Call { pallet: SUBTENSOR, name: "root_register", args: vec![("hotkey", hotkey.into())] };
        let sent = self.write(coldkey, &call).await?;
        let uid = self.uid_at(0, hotkey, Some(sent.block.hash)).await?;
        let uid = uid.ok_or_else(|| ChainError::NotFound(format!("{hotkey} has no uid on the root network")))?;
        Ok((uid, sent))
    }

    /// Puts `new` in the place of `hotkey`, on one subnet or (`None`) everywhere, with its stake.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn swap_hotkey(
        &self,
        coldkey: &dyn Signer,
        hotkey: &Account,
        new: &Account,
        netuid: Option<u16>,
    ) -> Result<Submitted, ChainError> {
        let args =
            vec![("hotkey", hotkey.into()), ("new_hotkey", new.into()), ("netuid", option(netuid.map(Value::from)))];
        self.write(coldkey, &Call { pallet: SUBTENSOR, name: "swap_hotkey", args }).await
    }
}
