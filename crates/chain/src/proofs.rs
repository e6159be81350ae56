//! What shows that a call did what it says: its own event, and storage read at the block it is in. By the call's name, so that a call
//! which was signed elsewhere is proven as one that was signed here.
//!
//! Invariant: storage is read at the block of the transaction itself; what another transaction did later does not count.

use starling_keys::Account;

use crate::{
    ChainError, Client, Submitted,
    submit::{Call, Event},
    value::{ShapeError, Value},
};

const SUBTENSOR: &str = "SubtensorModule";

/// The first `SubtensorModule` event of that name whose fields fit.
pub(crate) fn expect<'a>(
    sent: &'a Submitted,
    call: &Call<'_>,
    name: &'a str,
    fits: impl Fn(&Value) -> Result<bool, ShapeError>,
) -> Result<&'a Event, ChainError> {
    sent.events(SUBTENSOR, name)
        .find(|event| fits(&event.fields).unwrap_or(false))
        .ok_or_else(|| unconfirmed(sent, call, format!("there is no {name} event for it")))
}

pub(crate) fn confirm(
    sent: &Submitted,
    call: &Call<'_>,
    holds: bool,
    missing: impl FnOnce() -> String,
) -> Result<(), ChainError> {
    if holds { Ok(()) } else { Err(unconfirmed(sent, call, missing())) }
}

pub(crate) fn unconfirmed(sent: &Submitted, call: &Call<'_>, missing: String) -> ChainError {
    ChainError::Unconfirmed { call: call.title(), block: sent.block.number, missing }
}

impl Client {
    /// Proves a call's effect. A call that this client does not know has only its success to show: no error was raised.
    ///
    /// # Errors
    /// [`ChainError::Unconfirmed`], and those of reading.
    pub(crate) async fn prove(&self, signer: &Account, call: &Call<'_>, sent: &Submitted) -> Result<(), ChainError> {
        let at = Some(sent.block.hash);
        match (call.pallet, call.name) {
            (SUBTENSOR, "register_network") => {
                let event = expect(sent, call, "NetworkAdded", |_| Ok(true))?;
                let netuid: u16 =
                    event.fields.at(0).and_then(Value::number).map_err(ChainError::decode("NetworkAdded", 0))?;
                let owner = self.storage_value(SUBTENSOR, "SubnetOwner", &[netuid.into()], at).await?;
                confirm(sent, call, owner.account().ok() == Some(*signer), || {
                    format!("subnet {netuid} has another owner")
                })
            }
            (SUBTENSOR, "start_call") => {
                let netuid: u16 = call.number("netuid")?;
                expect(sent, call, "FirstEmissionBlockNumberSet", |fields| {
                    Ok(fields.at(0)?.number::<u16>()? == netuid)
                })?;
                let first = self.storage(SUBTENSOR, "FirstEmissionBlockNumber", &[netuid.into()], at).await?;
                confirm(sent, call, first.is_some(), || format!("subnet {netuid} has no first emission block"))
            }
            (SUBTENSOR, "burned_register" | "register_limit" | "register" | "pow_register") => {
                self.registered(call, sent, call.number("netuid")?).await
            }
            // The root network registers without an event in some runtimes: its storage is what counts.
            (SUBTENSOR, "root_register") => {
                let hotkey = call.account("hotkey")?;
                let uid = self.uid_at(0, &hotkey, at).await?;
                confirm(sent, call, uid.is_some(), || format!("{hotkey} has no uid on the root network"))
            }
            (SUBTENSOR, "serve_axon" | "serve_axon_tls") => {
                self.served(signer, call, sent, "AxonServed", "Axons").await
            }
            (SUBTENSOR, "serve_prometheus") => self.served(signer, call, sent, "PrometheusServed", "Prometheus").await,
            (SUBTENSOR, "add_stake" | "add_stake_limit") => self.staked(signer, call, sent).await,
            (SUBTENSOR, "remove_stake" | "remove_stake_limit" | "remove_stake_full_limit" | "unstake_all") => {
                self.unstaked(signer, call, sent).await
            }
            (SUBTENSOR, "unstake_all_alpha") => self.staked_on(signer, call, sent, call.account("hotkey")?, 0).await,
            (SUBTENSOR, "move_stake") => {
                let (to, netuid) = (call.account("destination_hotkey")?, call.number("destination_netuid")?);
                expect(sent, call, "StakeMoved", |f| Ok(f.at(0)?.account()? == *signer && f.at(3)?.account()? == to))?;
                self.arrived(signer, call, sent, to, netuid).await
            }
            (SUBTENSOR, "transfer_stake") => {
                let (to, hotkey) = (call.account("destination_coldkey")?, call.account("hotkey")?);
                expect(sent, call, "StakeTransferred", |f| {
                    Ok(f.at(0)?.account()? == *signer && f.at(1)?.account()? == to && f.at(2)?.account()? == hotkey)
                })?;
                self.arrived(&to, call, sent, hotkey, call.number("destination_netuid")?).await
            }
            (SUBTENSOR, "swap_stake" | "swap_stake_limit") => {
                let (hotkey, netuid) = (call.account("hotkey")?, call.number("destination_netuid")?);
                expect(sent, call, "StakeSwapped", |f| {
                    Ok(f.at(0)?.account()? == *signer && f.at(1)?.account()? == hotkey)
                })?;
                self.arrived(signer, call, sent, hotkey, netuid).await
            }
            (SUBTENSOR, "set_children") => self.children_set(call, sent).await,
            (SUBTENSOR, "set_childkey_take") => {
                let (hotkey, take) = (call.account("hotkey")?, call.number::<u16>("take")?);
                expect(sent, call, "ChildKeyTakeSet", |f| {
                    Ok(f.at(0)?.account()? == hotkey && f.at(1)?.number::<u16>()? == take)
                })?;
                let keys = [(&hotkey).into(), Value::from(call.number::<u16>("netuid")?)];
                let stored: u16 = self.number("ChildkeyTake", &keys, at).await?;
                confirm(sent, call, stored == take, || format!("the take reads {stored} instead of {take}"))
            }
            (SUBTENSOR, "increase_take" | "decrease_take") => {
                let (hotkey, take) = (call.account("hotkey")?, call.number::<u16>("take")?);
                let event = if call.name == "increase_take" { "TakeIncreased" } else { "TakeDecreased" };
                expect(sent, call, event, |f| Ok(f.at(1)?.account()? == hotkey && f.at(2)?.number::<u16>()? == take))?;
                let stored: u16 = self.number("Delegates", &[(&hotkey).into()], at).await?;
                confirm(sent, call, stored == take, || format!("the take reads {stored} instead of {take}"))
            }
            (SUBTENSOR, "swap_hotkey" | "swap_hotkey_v2") => self.hotkey_swapped(signer, call, sent).await,
            ("Balances", "transfer_keep_alive" | "transfer_allow_death") => {
                let (to, rao) = (call.account("dest")?, call.number::<u64>("value")?);
                let found = sent.events("Balances", "Transfer").any(|event| {
                    let fields = &event.fields;
                    let to_is = fields.get("to").and_then(Value::account) == Ok(to);
                    to_is && fields.get("amount").and_then(Value::number) == Ok(rao)
                });
                confirm(sent, call, found, || "there is no such Transfer event".into())?;
                let balance = self.balance_at(&to, at).await?;
                confirm(sent, call, balance >= rao.min(1), || format!("{to} has no balance"))
            }
            _ => self.landed(signer, call, sent).await.map(drop),
        }
    }

    async fn registered(&self, call: &Call<'_>, sent: &Submitted, netuid: u16) -> Result<(), ChainError> {
        let hotkey = call.account("hotkey")?;
        let uid = registered_uid(sent, call, netuid, &hotkey)?;
        let stored = self.uid_at(netuid, &hotkey, Some(sent.block.hash)).await?;
        confirm(sent, call, stored == Some(uid), || format!("{hotkey} has uid {stored:?} instead of {uid}"))
    }

    async fn served(
        &self,
        signer: &Account,
        call: &Call<'_>,
        sent: &Submitted,
        event: &str,
        entry: &str,
    ) -> Result<(), ChainError> {
        let netuid: u16 = call.number("netuid")?;
        expect(sent, call, event, |fields| {
            Ok(fields.at(0)?.number::<u16>()? == netuid && fields.at(1)?.account()? == *signer)
        })?;
        let (at, keys) = (Some(sent.block.hash), [netuid.into(), signer.into()]);
        let stored = self.storage_value(SUBTENSOR, entry, &keys, at).await?;
        let field = |name: &str| stored.get(name).and_then(Value::number::<u128>).ok();
        let asked = |name: &str| call.arg(name).and_then(|value| value.number::<u128>().ok());
        for name in ["ip", "port", "ip_type", "version"] {
            let (is, should) = (field(name), asked(name));
            confirm(sent, call, is == should, || format!("{name} reads {is:?} instead of {should:?}"))?;
        }
        let Some(certificate) = call.arg("certificate").and_then(|value| value.bytes().ok()) else { return Ok(()) };
        // The chain passes over a certificate that it cannot read, without a word.
        let stored = self.storage(SUBTENSOR, "NeuronCertificates", &keys, at).await?;
        let same = stored.is_some_and(|stored| {
            let key = stored.get("public_key").and_then(Value::bytes).map(<[u8]>::to_vec);
            let algorithm = stored.get("algorithm").and_then(Value::number::<u8>).ok();
            certificate
                .split_first()
                .is_some_and(|(first, rest)| algorithm == Some(*first) && key.as_deref() == Ok(rest))
        });
        confirm(sent, call, same, || {
            "the chain did not keep the certificate: it is an algorithm's number, then at most 64 bytes of key".into()
        })
    }

    async fn staked(&self, signer: &Account, call: &Call<'_>, sent: &Submitted) -> Result<(), ChainError> {
        let (hotkey, netuid) = (call.account("hotkey")?, call.number("netuid")?);
        self.staked_on(signer, call, sent, hotkey, netuid).await
    }

    /// A `StakeAdded` for this coldkey and hotkey, and at least that much alpha there.
    async fn staked_on(
        &self,
        coldkey: &Account,
        call: &Call<'_>,
        sent: &Submitted,
        hotkey: Account,
        netuid: u16,
    ) -> Result<(), ChainError> {
        let event = expect(sent, call, "StakeAdded", |fields| {
            Ok(fields.at(0)?.account()? == *coldkey
                && fields.at(1)?.account()? == hotkey
                && fields.at(4)?.number::<u16>()? == netuid)
        })?;
        let added: u64 = event.fields.at(3).and_then(Value::number).map_err(ChainError::decode("StakeAdded", 0))?;
        let keys = [(&hotkey).into(), netuid.into()];
        let total: u64 = self.number("TotalHotkeyAlpha", &keys, Some(sent.block.hash)).await?;
        confirm(sent, call, total > 0 && total >= added, || {
            format!("{hotkey} holds {total} rao of alpha after adding {added}")
        })
    }

    /// More alpha there than in the block before. Within one subnet nothing is sold or bought, so there is no `StakeAdded` to look for.
    async fn arrived(
        &self,
        coldkey: &Account,
        call: &Call<'_>,
        sent: &Submitted,
        hotkey: Account,
        netuid: u16,
    ) -> Result<(), ChainError> {
        let Some(before) = self.block_hash(sent.block.number.saturating_sub(1)).await? else { return Ok(()) };
        let (before, after) = futures::try_join!(
            self.stake_of(&hotkey, coldkey, netuid, Some(before)),
            self.stake_of(&hotkey, coldkey, netuid, Some(sent.block.hash)),
        )?;
        confirm(sent, call, after > before, || {
            format!("{coldkey} has {after} rao of alpha at {hotkey} on subnet {netuid}, {before} in the block before")
        })
    }

    async fn unstaked(&self, signer: &Account, call: &Call<'_>, sent: &Submitted) -> Result<(), ChainError> {
        let hotkey = call.account("hotkey")?;
        expect(sent, call, "StakeRemoved", |fields| {
            Ok(fields.at(0)?.account()? == *signer && fields.at(1)?.account()? == hotkey)
        })?;
        // Alpha on the subnets before and after, where the node still has the block before.
        let Ok(netuid) = call.number::<u16>("netuid") else { return Ok(()) };
        let Some(before) = self.block_hash(sent.block.number.saturating_sub(1)).await? else { return Ok(()) };
        let (before, after) = futures::try_join!(
            self.stake_of(&hotkey, signer, netuid, Some(before)),
            self.stake_of(&hotkey, signer, netuid, Some(sent.block.hash)),
        )?;
        if after < before {
            return Ok(());
        }
        // An epoch in the same block pays, and may pay more than was taken out: then the two numbers say nothing, and the event has to do.
        let clock = self.epoch_clock_at(netuid, Some(sent.block.hash)).await?;
        let paid = clock.last_epoch_block == u64::from(sent.block.number);
        confirm(sent, call, paid, || format!("{before} rao of alpha before, {after} after"))
    }

    async fn children_set(&self, call: &Call<'_>, sent: &Submitted) -> Result<(), ChainError> {
        let (hotkey, netuid) = (call.account("hotkey")?, call.number::<u16>("netuid")?);
        let asked = call.arg("children").cloned().unwrap_or(Value::List(Vec::new()));
        let of = |list: &Value| list.map(|child| Ok((child.at(0)?.number::<u64>()?, child.at(1)?.account()?)));
        let asked = of(&asked).map_err(ChainError::decode("the children asked for", 0))?;
        let about =
            |f: &Value| Ok::<_, ShapeError>(f.at(0)?.account()? == hotkey && f.at(1)?.number::<u16>()? == netuid);
        // On a subnet that is not started they hold at once, without a cooldown.
        if sent.events(SUBTENSOR, "SetChildren").any(|event| about(&event.fields).unwrap_or(false)) {
            let keys = [(&hotkey).into(), netuid.into()];
            let held = self.storage(SUBTENSOR, "ChildKeys", &keys, Some(sent.block.hash)).await?;
            let held = held.as_ref().and_then(|held| of(held).ok()).unwrap_or_default();
            return confirm(sent, call, held == asked, || format!("the children read {held:?} instead of {asked:?}"));
        }
        let event = expect(sent, call, "SetChildrenScheduled", |f| {
            Ok(f.at(0)?.account()? == hotkey && f.at(1)?.number::<u16>()? == netuid)
        })?;
        let scheduled = event.fields.at(3).and_then(of).map_err(ChainError::decode("SetChildrenScheduled", 0))?;
        confirm(sent, call, scheduled == asked, || format!("scheduled are {scheduled:?} instead of {asked:?}"))?;
        let keys = [netuid.into(), (&hotkey).into()];
        let pending = self.storage(SUBTENSOR, "PendingChildKeys", &keys, Some(sent.block.hash)).await?;
        let pending = pending.as_ref().and_then(|pending| of(pending.at(0).ok()?).ok());
        confirm(sent, call, pending.as_ref() == Some(&asked), || {
            format!("pending are {pending:?} instead of {asked:?}")
        })
    }

    async fn hotkey_swapped(&self, signer: &Account, call: &Call<'_>, sent: &Submitted) -> Result<(), ChainError> {
        let (old, new) = (call.account("hotkey")?, call.account("new_hotkey")?);
        let at = Some(sent.block.hash);
        let netuid = call.arg("netuid").and_then(|netuid| netuid.optional().ok().flatten());
        let netuid = netuid.and_then(|netuid| netuid.number::<u16>().ok());
        let event = if netuid.is_some() { "HotkeySwappedOnSubnet" } else { "HotkeySwapped" };
        expect(sent, call, event, |f| {
            Ok(f.get("old_hotkey")?.account()? == old && f.get("new_hotkey")?.account()? == new)
        })?;
        let owner = self.storage_value(SUBTENSOR, "Owner", &[(&new).into()], at).await?;
        confirm(sent, call, owner.account().ok() == Some(*signer), || format!("{new} has another owner"))?;
        if let Some(netuid) = netuid {
            let (before, after) = futures::try_join!(self.uid_at(netuid, &old, at), self.uid_at(netuid, &new, at))?;
            confirm(sent, call, before.is_none() && after.is_some(), || {
                format!("on subnet {netuid} the old hotkey has uid {before:?}, the new one {after:?}")
            })?;
        }
        Ok(())
    }
}

/// The uid in the event of a registration.
pub(crate) fn registered_uid(
    sent: &Submitted,
    call: &Call<'_>,
    netuid: u16,
    hotkey: &Account,
) -> Result<u16, ChainError> {
    let event = expect(sent, call, "NeuronRegistered", |fields| {
        Ok(fields.at(0)?.number::<u16>()? == netuid && fields.at(2)?.account()? == *hotkey)
    })?;
    event.fields.at(1).and_then(Value::number).map_err(ChainError::decode("NeuronRegistered", 0))
}
