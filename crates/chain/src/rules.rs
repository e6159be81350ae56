//! The chain's rules for a call, read before it is asked: by the call's name, so that whoever builds the call gets them (chain.md 9).
//!
//! Invariant: a rule names the chain's own error, with the value read and the value needed. A rule whose storage this runtime lacks is
//! left out, never guessed: that all hold is no promise, that one is broken is a refusal to come.

mod hotkeys;

use std::fmt;

use starling_keys::Account;

use crate::{
    ChainError, Client,
    metagraph::read_axon,
    submit::Call,
    value::Value,
    weights::preflight::{self, Check, Way},
};

const SUBTENSOR: &str = "SubtensorModule";
/// rao in one TAO.
const TAO: u64 = 1_000_000_000;

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, needed is {}", self.rule, self.read, self.needed)?;
        self.remedy().map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

/// rao as TAO, exact.
pub(crate) fn tao(rao: u64) -> String {
    let text = format!("{}.{:09}", rao / TAO, rao % TAO);
    format!("{} TAO", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `None` for what this runtime does not have.
pub(crate) fn present<T>(read: Result<T, ChainError>) -> Result<Option<T>, ChainError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(ChainError::Absent { .. } | ChainError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Call<'_> {
    pub(crate) fn arg(&self, name: &str) -> Option<&Value> {
        self.args.iter().find(|(arg, _)| *arg == name).map(|(_, value)| value)
    }

    pub(crate) fn number<T: TryFrom<u128>>(&self, name: &str) -> Result<T, ChainError> {
        self.arg(name)
            .and_then(|value| value.number().ok())
            .ok_or_else(|| ChainError::Invalid(format!("{} has no number `{name}`", self.title())))
    }

    pub(crate) fn account(&self, name: &str) -> Result<Account, ChainError> {
        let value = self.arg(name).map(|value| value.as_variant("Id").unwrap_or(value));
        value
            .and_then(|value| value.account().ok())
            .ok_or_else(|| ChainError::Invalid(format!("{} has no account `{name}`", self.title())))
    }
}

/// The rules of one call as they are gathered.
struct Rules<'a> {
    client: &'a Client,
    signer: &'a Account,
    call: &'a Call<'a>,
    /// All is read at this block.
    at: Option<[u8; 32]>,
    now: u64,
    found: Vec<Check>,
}

impl Client {
    /// Refuses a call by its broken rules.
    pub(crate) async fn refuse_broken(&self, signer: &Account, call: &Call<'_>) -> Result<(), ChainError> {
        let rehearsal = self.rehearse(*signer, call).await?;
        let broken: Vec<Check> = rehearsal.checks.into_iter().filter(|check| !check.holds).collect();
        if broken.is_empty() { Ok(()) } else { Err(ChainError::Refused { call: call.title(), broken }) }
    }

    /// Every rule that this client knows for the call. `fee` in rao.
    pub(crate) async fn rules(&self, signer: &Account, call: &Call<'_>, fee: u64) -> Result<Vec<Check>, ChainError> {
        let head = self.head().await?;
        let now = u64::from(head.number);
        let mut rules = Rules { client: self, signer, call, at: Some(head.hash), now, found: Vec::new() };
        let spends = rules.gather().await?;
        rules.balance(fee, spends).await?;
        let mut found = rules.found;
        if found.iter().any(|check| check.heals_in_blocks.is_some()) {
            preflight::in_seconds(&mut found, self.block_seconds().await?);
        }
        Ok(found)
    }
}

/// What a call takes from the signer's balance beside its fee: the error if it is not there, what for, rao.
type Spends = Option<(&'static str, &'static str, u64)>;

impl Rules<'_> {
    fn rule(&mut self, rule: &'static str, holds: bool, read: impl ToString, needed: impl ToString) -> &mut Check {
        let index = self.found.len();
        self.found.push(Check::new(rule, holds, read, needed));
        &mut self.found[index]
    }

    async fn number(&self, entry: &str, keys: &[Value]) -> Result<Option<u64>, ChainError> {
        present(self.client.number(entry, keys, self.at).await)
    }

    async fn truth(&self, entry: &str, netuid: u16) -> Result<Option<bool>, ChainError> {
        let value = present(self.client.storage(SUBTENSOR, entry, &[netuid.into()], self.at).await)?.flatten();
        Ok(value.and_then(|value| value.truth().ok()))
    }

    async fn gather(&mut self) -> Result<Spends, ChainError> {
        let call = self.call;
        match (call.pallet, call.name) {
            (SUBTENSOR, "burned_register" | "register_limit") => self.burned_register().await,
            (SUBTENSOR, "pow_register") => self.pow_register().await,
            (SUBTENSOR, "root_register") => self.root_register().await,
            (SUBTENSOR, "register_network") => self.register_network().await,
            (SUBTENSOR, "start_call") => self.start_call().await,
            (SUBTENSOR, "serve_axon" | "serve_axon_tls") => self.serve("Axons").await,
            (SUBTENSOR, "serve_prometheus") => self.serve("Prometheus").await,
            (SUBTENSOR, "add_stake" | "add_stake_limit") => self.add_stake().await,
            (SUBTENSOR, "remove_stake" | "remove_stake_limit") => {
                let (hotkey, netuid) = (call.account("hotkey")?, call.number("netuid")?);
                self.holds(hotkey, netuid, call.number("amount_unstaked")?).await?;
                if call.name == "remove_stake_limit" {
                    self.price(netuid, call.number("limit_price")?, false).await?;
                }
                Ok(None)
            }
            (SUBTENSOR, "move_stake" | "transfer_stake" | "swap_stake" | "swap_stake_limit") => {
                let from = if call.name == "move_stake" { "origin_hotkey" } else { "hotkey" };
                self.holds(call.account(from)?, call.number("origin_netuid")?, call.number("alpha_amount")?).await?;
                self.subnet(call.number("destination_netuid")?).await?;
                if call.name == "move_stake" {
                    self.owned(call.account("destination_hotkey")?).await?;
                }
                if call.name == "transfer_stake"
                    && let Some(on) = self.truth("TransferToggle", call.number("origin_netuid")?).await?
                {
                    self.rule("TransferDisallowed", on, on, true);
                }
                Ok(None)
            }
            (SUBTENSOR, "unstake_all" | "unstake_all_alpha") => {
                self.owned(call.account("hotkey")?).await?;
                Ok(None)
            }
            (SUBTENSOR, "set_children") => self.children().await,
            (SUBTENSOR, "set_childkey_take") => {
                self.owns(call.account("hotkey")?).await?;
                self.within("InvalidChildkeyTake", "InvalidChildkeyTake", "MinChildkeyTake", "MaxChildkeyTake").await?;
                Ok(None)
            }
            (SUBTENSOR, "increase_take" | "decrease_take") => self.take().await,
            (SUBTENSOR, "swap_hotkey" | "swap_hotkey_v2") => self.swap_hotkey().await,
            (
                SUBTENSOR,
                "commit_timelocked_weights"
                | "commit_timelocked_mechanism_weights"
                | "commit_weights"
                | "commit_mechanism_weights",
            ) => {
                let facts = self.client.weight_facts(call.mechanism()?, self.signer).await?;
                let way = if call.name.contains("timelocked") { Way::Timelock } else { Way::Commit };
                // What is hidden cannot be judged: as if it were a weight on the validator itself, which no rule on weights forbids.
                let itself: Vec<u16> = facts.uid.into_iter().collect();
                self.found.extend(preflight::check(&facts, way, &itself, &itself, facts.weights_version));
                Ok(None)
            }
            (SUBTENSOR, "set_weights" | "set_mechanism_weights") => {
                let facts = self.client.weight_facts(call.mechanism()?, self.signer).await?;
                let (uids, values, key) = (call.list("dests")?, call.list("weights")?, call.number("version_key")?);
                self.found.extend(preflight::check(&facts, Way::Plain, &uids, &values, key));
                Ok(None)
            }
            ("Commitments", "set_commitment") => {
                self.registered(call.number("netuid")?).await?;
                Ok(None)
            }
            ("Balances", "transfer_keep_alive" | "transfer_allow_death") => {
                Ok(Some(("FundsUnavailable", "the amount", call.number("value")?)))
            }
            _ => Ok(None),
        }
    }

    /// The signer can pay. Always the last rule, and always there.
    async fn balance(&mut self, fee: u64, spends: Spends) -> Result<(), ChainError> {
        let free = self.client.balance_at(self.signer, self.at).await?;
        let (rule, what, amount) = spends.unwrap_or(("Payment", "", 0));
        let needed = amount.saturating_add(fee);
        let words = match amount {
            0 => format!("{} for the fee", tao(fee)),
            _ => format!("{}: {} for {what}, {} for the fee", tao(needed), tao(amount), tao(fee)),
        };
        let signer = *self.signer;
        self.rule(rule, free >= needed, format!("{signer} has {}", tao(free)), words);
        Ok(())
    }

    async fn subnet(&mut self, netuid: u16) -> Result<(), ChainError> {
        if let Some(there) = self.truth("NetworksAdded", netuid).await? {
            let read = if there { format!("subnet {netuid} exists") } else { format!("there is no subnet {netuid}") };
            self.rule("SubnetNotExists", there, read, "a subnet that exists");
        }
        Ok(())
    }

    async fn owner(&self, hotkey: Account) -> Result<Option<Account>, ChainError> {
        let owner = present(self.client.storage(SUBTENSOR, "Owner", &[(&hotkey).into()], self.at).await)?.flatten();
        // The zero account is the chain's word for nobody.
        Ok(owner.and_then(|owner| owner.account().ok()).filter(|owner| owner.0 != [0; 32]))
    }

    /// The hotkey is the signer's, or nobody's.
    async fn free_or_own(&mut self, hotkey: Account) -> Result<(), ChainError> {
        let owner = self.owner(hotkey).await?;
        let read = owner.map_or_else(|| "owned by nobody".to_owned(), |owner| format!("owned by {owner}"));
        let holds = owner.is_none_or(|owner| owner == *self.signer);
        let signer = *self.signer;
        self.rule("NonAssociatedColdKey", holds, read, format!("the hotkey owned by {signer} or by nobody"));
        Ok(())
    }

    /// The hotkey is the signer's.
    async fn owns(&mut self, hotkey: Account) -> Result<(), ChainError> {
        let owner = self.owner(hotkey).await?;
        let read = owner.map_or_else(|| "owned by nobody".to_owned(), |owner| format!("owned by {owner}"));
        let holds = owner == Some(*self.signer);
        let signer = *self.signer;
        self.rule("NonAssociatedColdKey", holds, read, format!("the hotkey owned by {signer}"));
        Ok(())
    }

    /// The hotkey is somebody's.
    async fn owned(&mut self, hotkey: Account) -> Result<(), ChainError> {
        let owner = self.owner(hotkey).await?;
        let read = owner.map_or_else(|| "owned by nobody".to_owned(), |owner| format!("owned by {owner}"));
        self.rule("HotKeyAccountNotExists", owner.is_some(), read, "the hotkey owned by a coldkey");
        Ok(())
    }

    async fn unregistered(&mut self, netuid: u16, hotkey: Account) -> Result<(), ChainError> {
        let uid = self.client.uid_at(netuid, &hotkey, self.at).await?;
        let read = uid.map_or_else(|| "not registered".to_owned(), |uid| format!("registered as uid {uid}"));
        self.rule("HotKeyAlreadyRegisteredInSubNet", uid.is_none(), read, format!("not registered on subnet {netuid}"));
        Ok(())
    }

    /// The signer is a hotkey of the subnet.
    async fn registered(&mut self, netuid: u16) -> Result<(), ChainError> {
        let uid = self.client.uid_at(netuid, self.signer, self.at).await?;
        let signer = *self.signer;
        let read = uid.map_or_else(|| format!("{signer} is not registered"), |uid| format!("registered as uid {uid}"));
        self.rule("HotKeyNotRegisteredInSubNet", uid.is_some(), read, format!("registered on subnet {netuid}"));
        Ok(())
    }

    async fn allowed(&mut self, entry: &str, netuid: u16) -> Result<(), ChainError> {
        if let Some(on) = self.truth(entry, netuid).await? {
            let read = format!("{entry} is {on}");
            self.rule("SubNetRegistrationDisabled", on, read, true);
        }
        Ok(())
    }

    async fn burned_register(&mut self) -> Result<Spends, ChainError> {
        let (netuid, hotkey) = (self.call.number("netuid")?, self.call.account("hotkey")?);
        self.rule("RegistrationNotPermittedOnRootSubnet", netuid != 0, format!("netuid {netuid}"), "not 0");
        self.subnet(netuid).await?;
        self.allowed("NetworkRegistrationAllowed", netuid).await?;
        self.unregistered(netuid, hotkey).await?;
        let burn = self.number("Burn", &[netuid.into()]).await?.unwrap_or(0);
        if self.call.name == "register_limit" {
            let limit: u64 = self.call.number("limit_price")?;
            let check = self.rule(
                "RegistrationPriceLimitExceeded",
                burn <= limit,
                format!("registering burns {}", tao(burn)),
                format!("at most {}", tao(limit)),
            );
            if burn > limit {
                check.advice = Some("wait for the price to fall (`starling cost`), or raise the limit");
            }
        }
        self.free_or_own(hotkey).await?;
        Ok(Some(("NotEnoughBalanceToStake", "the burn", burn)))
    }

    async fn pow_register(&mut self) -> Result<Spends, ChainError> {
        let (netuid, hotkey) = (self.call.number("netuid")?, self.call.account("hotkey")?);
        self.subnet(netuid).await?;
        self.allowed("NetworkRegistrationAllowed", netuid).await?;
        self.allowed("NetworkPowRegistrationAllowed", netuid).await?;
        self.unregistered(netuid, hotkey).await?;
        self.free_or_own(hotkey).await?;
        let age = self.now.saturating_sub(self.call.number::<u64>("work_block")?);
        self.rule("InvalidWorkBlock", age < 5, format!("the work's block is {age} blocks old"), "less than 5");
        Ok(None)
    }

    async fn root_register(&mut self) -> Result<Spends, ChainError> {
        let hotkey = self.call.account("hotkey")?;
        let (this, most) = (
            self.number("RegistrationsThisInterval", &[0_u16.into()]).await?,
            self.number("TargetRegistrationsPerInterval", &[0_u16.into()]).await?,
        );
        if let (Some(this), Some(target)) = (this, most) {
            let most = target.saturating_mul(3);
            let read = format!("{this} registrations in this interval");
            self.rule("TooManyRegistrationsThisInterval", this < most, read, format!("fewer than {most}"));
        }
        self.unregistered(0, hotkey).await?;
        self.owns(hotkey).await?;
        Ok(None)
    }

    async fn register_network(&mut self) -> Result<Spends, ChainError> {
        let hotkey = self.call.account("hotkey")?;
        let last =
            match self.number("LastRateLimitedBlock", &[Value::variant("NetworkLastRegistered", Value::Unit)]).await {
                // A runtime that keeps it under another name.
                Err(ChainError::Arguments { .. }) => None,
                read => read?,
            };
        // A limit of 0 is none.
        let limit = self.number("NetworkRateLimit", &[]).await?.filter(|limit| *limit > 0);
        if let (Some(last), Some(limit)) = (last, limit) {
            self.apart("NetworkTxRateLimitExceeded", last, limit);
        }
        self.free_or_own(hotkey).await?;
        let cost = present(self.client.network_registration_cost().await)?.unwrap_or(0);
        Ok(Some(("CannotAffordLockCost", "the lock", cost)))
    }

    async fn start_call(&mut self) -> Result<Spends, ChainError> {
        let netuid: u16 = self.call.number("netuid")?;
        self.subnet(netuid).await?;
        let owner = present(self.client.storage(SUBTENSOR, "SubnetOwner", &[netuid.into()], self.at).await)?.flatten();
        if let Some(owner) = owner.and_then(|owner| owner.account().ok()) {
            let signer = *self.signer;
            self.rule("NotSubnetOwner", owner == signer, format!("owned by {owner}"), format!("owned by {signer}"));
        }
        let first = self.client.storage(SUBTENSOR, "FirstEmissionBlockNumber", &[netuid.into()], self.at).await;
        if let Some(first) = present(first)? {
            let read = if first.is_some() { "it was started already" } else { "not started" };
            self.rule("FirstEmissionBlockNumberAlreadySet", first.is_none(), read, "not started");
        }
        Ok(None)
    }

    async fn serve(&mut self, entry: &str) -> Result<Spends, ChainError> {
        let netuid: u16 = self.call.number("netuid")?;
        self.registered(netuid).await?;
        let keys = [netuid.into(), self.signer.into()];
        let served = present(self.client.storage(SUBTENSOR, entry, &keys, self.at).await)?.flatten();
        let last = served.and_then(|axon| {
            read_axon(&axon)
                .ok()
                .flatten()
                .map(|axon| axon.block)
                .or_else(|| axon.get("block").and_then(Value::number).ok())
        });
        let limit = self.number("ServingRateLimit", &[netuid.into()]).await?;
        if let (Some(last), Some(limit)) = (last.filter(|last| *last > 0), limit) {
            self.apart("ServingRateLimitExceeded", last, limit);
        }
        Ok(None)
    }

    async fn add_stake(&mut self) -> Result<Spends, ChainError> {
        let netuid: u16 = self.call.number("netuid")?;
        self.subnet(netuid).await?;
        if let Some(on) = self.truth("SubtokenEnabled", netuid).await? {
            let read = if on { "the subnet is started" } else { "the subnet is not started" };
            self.rule("SubtokenDisabled", on, read, "started by its owner (`starling subnet start`)");
        }
        self.owned(self.call.account("hotkey")?).await?;
        if self.call.name == "add_stake_limit" {
            self.price(netuid, self.call.number("limit_price")?, true).await?;
        }
        Ok(Some(("NotEnoughBalanceToStake", "the stake", self.call.number("amount_staked")?)))
    }

    /// The subnet's price against a limit, rao per alpha.
    async fn price(&mut self, netuid: u16, limit: u64, buys: bool) -> Result<(), ChainError> {
        let Some(price) = present(self.client.alpha_price(netuid, self.at).await)? else { return Ok(()) };
        let (holds, bound) = if buys { (price <= limit, "most") } else { (price >= limit, "least") };
        self.rule(
            "SlippageTooHigh",
            holds,
            format!("one alpha is worth {} now", tao(price)),
            format!("at {bound} {}", tao(limit)),
        );
        Ok(())
    }

    /// The signer has that much alpha there.
    async fn holds(&mut self, hotkey: Account, netuid: u16, alpha: u64) -> Result<(), ChainError> {
        self.subnet(netuid).await?;
        self.owned(hotkey).await?;
        if let Some(held) = present(self.client.stake_of(&hotkey, self.signer, netuid, self.at).await)? {
            let read = format!("{held} rao of alpha at {hotkey} on subnet {netuid}");
            self.rule(
                "NotEnoughStakeToWithdraw",
                alpha > 0 && held >= alpha,
                read,
                format!("{alpha} rao, more than 0"),
            );
        }
        Ok(())
    }

    /// At least `limit` blocks since `last`; 0 is never.
    fn apart(&mut self, rule: &'static str, last: u64, limit: u64) {
        let left = if last == 0 { 0 } else { last.saturating_add(limit).saturating_sub(self.now) };
        let read =
            if last == 0 { "never before".to_owned() } else { format!("last in block {last}, now is {}", self.now) };
        let check = self.rule(rule, left == 0, read, format!("{limit} blocks between"));
        check.heals_in_blocks = (left > 0).then_some(left);
    }

    /// More than `limit` blocks since `last`; 0 is never.
    fn waited(&mut self, rule: &'static str, last: u64, limit: u64) {
        let left = last.saturating_add(limit).saturating_add(1).saturating_sub(self.now);
        let holds = last == 0 || limit == 0 || left == 0;
        let read =
            if last == 0 { "never before".to_owned() } else { format!("last in block {last}, now is {}", self.now) };
        let check = self.rule(rule, holds, read, format!("more than {limit} blocks between"));
        check.heals_in_blocks = (!holds).then_some(left);
    }
}
