//! What Starling writes to the chain.
//!
//! Invariant: `Ok` means that the transaction is in a final block, that its own event is among its events, and that the storage
//! of that very block reads back as asked. A refusal carries the numbers behind it.

use std::net::SocketAddr;

use starling_keys::{Account, Signer};

use crate::{
    ChainError, Client, Hyper, Submitted,
    detail::About,
    proofs::{confirm, expect, registered_uid},
    serving::axon_args,
    submit::Call,
    value::Value,
};

const SUBTENSOR: &str = "SubtensorModule";
/// Longest data in one `RawN` field.
const RAW_BYTES: usize = 128;
/// Longest data in a `BigRaw` field, where the runtime has it.
const BIG_RAW_BYTES: usize = 512;

impl Client {
    /// Registers a new subnet owned by `coldkey`, with `hotkey` as its uid 0. Returns its number.
    ///
    /// # Errors
    /// [`ChainError`]; the lock cost and a rate limit of the whole network are the usual reasons.
    pub async fn register_network(
        &self,
        coldkey: &dyn Signer,
        hotkey: &Account,
    ) -> Result<(u16, Submitted), ChainError> {
        let account = coldkey.account();
        let call = Call { pallet: SUBTENSOR, name: "register_network", args: vec![("hotkey", hotkey.into())] };
        let sent = self.send_and_follow(coldkey, &call).await;
        let sent = self.with_numbers(sent, About::Network { coldkey: &account }).await?;
        self.prove(&account, &call, &sent).await?;
        let event = expect(&sent, &call, "NetworkAdded", |_| Ok(true))?;
        let netuid = event.fields.at(0).and_then(Value::number).map_err(ChainError::decode("NetworkAdded", 0))?;
        Ok((netuid, sent))
    }

    /// Starts a subnet's emission; its owner does this once.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn start_call(&self, coldkey: &dyn Signer, netuid: u16) -> Result<Submitted, ChainError> {
        let call = Call { pallet: SUBTENSOR, name: "start_call", args: vec![("netuid", netuid.into())] };
        let sent = self.send_and_follow(coldkey, &call).await?;
        self.prove(&coldkey.account(), &call, &sent).await?;
        Ok(sent)
    }

    /// Registers `hotkey` on a subnet by burning [`Client::registration_cost`] from `coldkey`. Returns its uid.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn burned_register(
        &self,
        coldkey: &dyn Signer,
        netuid: u16,
        hotkey: &Account,
    ) -> Result<(u16, Submitted), ChainError> {
        let args = vec![("netuid", netuid.into()), ("hotkey", hotkey.into())];
        let call = Call { pallet: SUBTENSOR, name: "burned_register", args };
        let sent = self.send_and_follow(coldkey, &call).await;
        let sent = self.with_numbers(sent, About::Registration { netuid, coldkey: &coldkey.account() }).await?;
        self.prove(&coldkey.account(), &call, &sent).await?;
        let uid = registered_uid(&sent, &call, netuid, hotkey)?;
        Ok((uid, sent))
    }

    /// Stakes `rao` of TAO from `coldkey` on a hotkey: it buys the subnet's alpha (on netuid 0 it stays TAO).
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn add_stake(
        &self,
        coldkey: &dyn Signer,
        hotkey: &Account,
        netuid: u16,
        rao: u64,
    ) -> Result<Submitted, ChainError> {
        let args = vec![("hotkey", hotkey.into()), ("netuid", netuid.into()), ("amount_staked", rao.into())];
        let call = Call { pallet: SUBTENSOR, name: "add_stake", args };
        let account = coldkey.account();
        let sent = self.send_and_follow(coldkey, &call).await;
        let sent = self.with_numbers(sent, About::Spending { account: &account, rao }).await?;
        self.prove(&account, &call, &sent).await?;
        Ok(sent)
    }

    /// Says where a hotkey serves. The chain takes only public addresses.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn serve_axon(
        &self,
        hotkey: &dyn Signer,
        netuid: u16,
        address: SocketAddr,
    ) -> Result<Submitted, ChainError> {
        let args = axon_args(netuid, address);
        let call = Call { pallet: SUBTENSOR, name: "serve_axon", args };
        let account = hotkey.account();
        let sent = self.send_and_follow(hotkey, &call).await;
        let sent = self.with_numbers(sent, About::Serving { netuid, hotkey: &account }).await?;
        self.prove(&account, &call, &sent).await?;
        Ok(sent)
    }

    /// Puts bytes on chain for a hotkey that is registered on the subnet, replacing those before; at most 128 (512 where the
    /// runtime has `BigRaw`).
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn set_commitment(&self, hotkey: &dyn Signer, netuid: u16, data: &[u8]) -> Result<Submitted, ChainError> {
        let big = data.len() > RAW_BYTES;
        if data.is_empty() || data.len() > BIG_RAW_BYTES {
            return Err(ChainError::Invalid(format!("a commitment has 1 to {RAW_BYTES} bytes, not {}", data.len())));
        }
        if big && !self.runtime(None).await?.has_variant("Data", "BigRaw") {
            return Err(ChainError::Invalid(format!(
                "this runtime's commitments have at most {RAW_BYTES} bytes, not {}",
                data.len()
            )));
        }
        let kind = if big { "BigRaw".to_owned() } else { format!("Raw{}", data.len()) };
        let field = Value::Variant(kind, Box::new(Value::Bytes(data.to_vec())));
        let info = Value::record([("fields", Value::List(vec![field]))]);
        let args = vec![("netuid", netuid.into()), ("info", info)];
        let call = Call { pallet: "Commitments", name: "set_commitment", args };
        let account = hotkey.account();
        let sent = self.send_and_follow(hotkey, &call).await?;
        self.commitment_landed(&sent, &call, netuid, &account, Some(data)).await?;
        Ok(sent)
    }

    /// Sends `rao` to another account, leaving the sender its existential deposit.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn transfer(&self, from: &dyn Signer, to: &Account, rao: u64) -> Result<Submitted, ChainError> {
        let args = vec![("dest", Value::variant("Id", to.into())), ("value", rao.into())];
        let call = Call { pallet: "Balances", name: "transfer_keep_alive", args };
        let account = from.account();
        let sent = self.send_and_follow(from, &call).await;
        let sent = self.with_numbers(sent, About::Spending { account: &account, rao }).await?;
        self.prove(&account, &call, &sent).await?;
        Ok(sent)
    }

    /// The settings of a subnet that this runtime has setters for, and the values that each wants: `("tempo", ["tempo"])`.
    /// Some are the chain's to set and not the owner's; the chain says so when asked.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn subnet_settings(&self) -> Result<Vec<(String, Vec<String>)>, ChainError> {
        let calls = self.runtime(None).await?.calls("AdminUtils");
        let setting = |(call, arguments): (String, Vec<String>)| {
            let name = call.strip_prefix("sudo_set_")?.to_owned();
            let (first, values) = arguments.split_first()?;
            (first == "netuid" && !values.is_empty()).then(|| (name, values.to_vec()))
        };
        Ok(calls.into_iter().filter_map(setting).collect())
    }

    /// Calls a setter of `AdminUtils` by its name: `sudo_set("sudo_set_tempo", &[("netuid", 1.into()), ("tempo", 10.into())])`.
    /// Wrapped in `Sudo.sudo` if the signer is the chain's sudo key; else sent as the subnet's owner. Where the subnet's
    /// hyperparameters show the value, it is read back.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn sudo_set(
        &self,
        signer: &dyn Signer,
        setter: &str,
        args: &[(&str, Value)],
    ) -> Result<Submitted, ChainError> {
        const ADMIN: &str = "AdminUtils";
        let inner = Call { pallet: ADMIN, name: setter, args: args.to_vec() };
        // Looked up as a call of its own first, so that an unknown setter or argument is named as such.
        self.runtime(None).await?.call(ADMIN, setter, args)?;
        let sudo = match self.storage("Sudo", "Key", &[], None).await {
            Ok(key) => key.and_then(|key| key.account().ok()) == Some(signer.account()),
            Err(ChainError::Absent { .. }) => false,
            Err(error) => return Err(error),
        };
        let sent = if sudo {
            let fields = args.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let wrapped = Value::variant(ADMIN, Value::variant(setter, Value::Record(fields)));
            let call = Call { pallet: "Sudo", name: "sudo", args: vec![("call", wrapped)] };
            self.send_and_follow(signer, &call).await
        } else {
            self.send_and_follow(signer, &inner).await
        };
        // Whoever reads the error wants to hear of the setter, not of its wrapper.
        let sent = sent.map_err(|error| match error {
            ChainError::Dispatch { pallet, name, explanation, block, .. } => {
                ChainError::Dispatch { call: inner.title(), pallet, name, explanation, block }
            }
            error => error,
        })?;
        self.confirm_setting(&sent, &inner).await?;
        Ok(sent)
    }

    async fn confirm_setting(&self, sent: &Submitted, call: &Call<'_>) -> Result<(), ChainError> {
        let (Some((_, netuid)), Some((_, value)), 2) =
            (call.args.iter().find(|(name, _)| *name == "netuid"), call.args.last(), call.args.len())
        else {
            return Ok(());
        };
        let (Ok(netuid), Some(name)) = (netuid.number::<u16>(), hyperparameter(call.name)) else { return Ok(()) };
        let parameters = self.hyperparameters_at(netuid, Some(sent.block.hash)).await?;
        let same = match (parameters.all.get(name), value) {
            (Some(Hyper::Number(stored)), Value::Uint(asked)) => stored == asked,
            (Some(Hyper::Flag(stored)), Value::Bool(asked)) => stored == asked,
            // Not shown among the hyperparameters, or in another unit: the transaction's own success has to do.
            _ => true,
        };
        confirm(sent, call, same, || format!("{name} reads {:?}", parameters.all.get(name)))
    }
}

/// The name among hyperparameters of what a setter sets.
fn hyperparameter(setter: &str) -> Option<&str> {
    let name = setter.strip_prefix("sudo_set_")?;
    Some(match name {
        "weights_set_rate_limit" => "weights_rate_limit",
        "weights_version_key" => "weights_version",
        "commit_reveal_weights_interval" => "commit_reveal_period",
        "max_allowed_validators" => "max_validators",
        "network_registration_allowed" => "registration_allowed",
        "target_registrations_per_interval" => "target_regs_per_interval",
        "max_registrations_per_block" => "max_regs_per_block",
        // Its setter counts otherwise than it is shown.
        "bonds_moving_average" => return None,
        name => name,
    })
}
