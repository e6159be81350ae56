//! Sending a transaction and learning what became of it.
//!
//! Invariant: what is sent twice is byte for byte the same, so the chain's nonce lets it in at most once; a new one is signed only
//! after the node has definitely refused the old one, or a final block shows a runtime for which the old signature is void. Inclusion is read from finalized blocks, one by one from the block it was
//! made at, never from a subscription (chain.md 10, pitfalls 3 and 7), so a lost connection loses nothing. A transaction lives
//! [`LIFETIME`] blocks; once they are final without it, it is certain that it did not happen.

use std::sync::Arc;

use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use starling_keys::{Account, Signer};
use subxt::{
    error::ExtrinsicError,
    utils::{AccountId32, MultiSignature},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    BlockRef, ChainError, Client,
    answers::RequestError,
    client::{Mode, hex_json},
    explain,
    outcome::{dispatch, events_of, of_extrinsic, refusal},
    rehearse::{Unsigned, signable},
    runtime::Runtime,
    value::Value,
};

/// Blocks during which a transaction may be included: the official SDK's choice. A power of two (eras are).
pub const LIFETIME: u32 = 128;
/// Signatures tried when the node says that nonce or runtime have moved on.
const ATTEMPTS: u32 = 4;
/// Upgrades of the runtime that one call outlives while it waits for its block.
const UPGRADES: u32 = 3;
/// Times that the same bytes are sent when the connection is lost while sending.
const SENDINGS: u32 = 5;

/// A call by name; arguments by name.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub pallet: &'a str,
    pub name: &'a str,
    pub args: Vec<(&'a str, Value)>,
}

impl Call<'_> {
    pub fn title(&self) -> String {
        format!("{}.{}", self.pallet, self.name)
    }
}

/// One event of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The pallet that emitted it.
    pub pallet: String,
    /// Its name.
    pub name: String,
    /// Its fields, by name or position.
    pub fields: Value,
}

/// A transaction that is final and succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// The block it is in.
    pub block: BlockRef,
    /// Its place in that block.
    pub index: u32,
    /// blake2_256 of its bytes.
    pub extrinsic_hash: [u8; 32],
    /// The fee paid in rao; 0 if the call is free.
    pub fee: u64,
    /// What it emitted.
    pub events: Vec<Event>,
}

impl Submitted {
    /// The events with this name, in order.
    pub fn events<'a>(&'a self, pallet: &'a str, name: &'a str) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(move |event| event.pallet == pallet && event.name == name)
    }
}

/// The last transaction of an account that a node took, for as long as it may still come.
#[derive(Debug)]
pub(crate) struct UnderWay {
    /// The nonce after its own.
    next: u64,
    /// The last block that may have it.
    until: u32,
    /// The endpoint that took it.
    given_to: String,
}

struct Signed {
    bytes: Vec<u8>,
    hash: [u8; 32],
    nonce: u64,
    birth: BlockRef,
    runtime: Arc<Runtime>,
}

/// How following a transaction ended.
enum Followed {
    /// It is final.
    Done(Submitted),
    /// A final block upgraded the runtime and no block up to it has the transaction: it never will be in one.
    Void {
        /// The new version.
        spec: u32,
    },
}

#[derive(Deserialize)]
struct SignedBlock {
    block: Body,
}

#[derive(Deserialize)]
struct Body {
    extrinsics: Vec<String>,
}

impl Client {
    /// Sends any call by pallet and call name, arguments by name, and waits until it is final. The typed calls of [`Client`] also
    /// check what it did; prefer them.
    ///
    /// # Errors
    /// [`ChainError::Pool`] if it was not accepted, [`ChainError::Dispatch`] if it failed in its block, [`ChainError::Expired`],
    /// [`ChainError::Deadline`], [`ChainError::Absent`], [`ChainError::Arguments`], and those of the connection.
    pub async fn submit(
        &self,
        signer: &dyn Signer,
        pallet: &str,
        call: &str,
        args: &[(&str, Value)],
    ) -> Result<Submitted, ChainError> {
        self.send_and_follow(signer, &Call { pallet, name: call, args: args.to_vec() }).await
    }

    pub(crate) async fn send_and_follow(&self, signer: &dyn Signer, call: &Call<'_>) -> Result<Submitted, ChainError> {
        match self.mode {
            Mode::Send => {}
            Mode::Careful => Box::pin(self.refuse_broken(&signer.account(), call)).await?,
            Mode::Rehearse => {
                let rehearsal = Box::pin(self.rehearse(signer.account(), call)).await?;
                return Err(ChainError::Rehearsed(Box::new(rehearsal)));
            }
        }
        let start = Instant::now();
        let mut upgrades = 0;
        loop {
            let signed = {
                // One at a time per account, until the node counts it in the next nonce.
                let queue = self.queue(signer.account());
                let mut under_way = queue.lock().await;
                // Boxed: in a debug build these futures are large, and callers nest them further.
                Box::pin(self.send(signer, call, &mut under_way)).await?
            };
            tracing::debug!(call = call.title(), hash = hex::encode(signed.hash), "sent");
            match Box::pin(self.follow(&signed, call, start)).await? {
                Followed::Done(submitted) => return Ok(submitted),
                Followed::Void { spec } if upgrades < UPGRADES => {
                    tracing::info!(call = call.title(), spec, "the runtime was upgraded meanwhile: signing again");
                    self.fresh_runtime(None).await?;
                    upgrades += 1;
                }
                Followed::Void { .. } => {
                    let last_valid = self.last_finalized();
                    let extrinsic = format!("0x{}", hex::encode(signed.hash));
                    return Err(ChainError::Expired { call: call.title(), extrinsic, last_valid });
                }
            }
        }
    }

    /// Gives a transaction that was signed elsewhere to the node and waits until it is final.
    pub(crate) async fn follow_signed(
        &self,
        call: &Call<'_>,
        bytes: Vec<u8>,
        unsigned: &Unsigned,
        runtime: Arc<Runtime>,
    ) -> Result<Submitted, ChainError> {
        let hash = sp_crypto_hashing::blake2_256(&bytes);
        let signed = Signed { bytes, hash, nonce: unsigned.nonce, birth: unsigned.birth, runtime };
        match self.push(&signed).await {
            // Given to the node before, by somebody else or by a run that was cut off: its block is looked for all the same.
            Ok(()) => {}
            Err(ChainError::Node { code, message, .. }) => {
                let refusal = refusal(call, code, &message);
                let block = if refusal.name() == Some("Stale") { self.included(&signed).await? } else { None };
                if block.is_none() {
                    return Err(refusal);
                }
            }
            Err(error) => return Err(error),
        }
        match Box::pin(self.follow(&signed, call, Instant::now())).await? {
            Followed::Done(submitted) => Ok(submitted),
            Followed::Void { .. } => {
                let extrinsic = format!("0x{}", hex::encode(hash));
                Err(ChainError::Expired { call: call.title(), extrinsic, last_valid: self.last_finalized() })
            }
        }
    }

    /// The block that holds a transaction already.
    async fn included(&self, signed: &Signed) -> Result<Option<u32>, ChainError> {
        let head = self.head().await?.number;
        for number in signed.birth.number..=head {
            if let Some(hash) = self.block_hash(number).await?
                && self.find(BlockRef { number, hash }, &signed.hash).await?.is_some()
            {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    async fn send(
        &self,
        signer: &dyn Signer,
        call: &Call<'_>,
        under_way: &mut Option<UnderWay>,
    ) -> Result<Signed, ChainError> {
        let mut attempt = 1;
        loop {
            let runtime = if attempt == 1 { self.runtime(None).await? } else { self.fresh_runtime(None).await? };
            let signed = match self.sign(signer, call, runtime, under_way.as_ref()).await {
                // Names may have moved with an upgrade of the last seconds.
                Err(ChainError::Absent { .. } | ChainError::Arguments { .. }) if attempt == 1 => {
                    attempt += 1;
                    continue;
                }
                signed => signed?,
            };
            let refusal = match self.push(&signed).await {
                Ok(()) => {
                    let (next, until) = (signed.nonce + 1, signed.birth.number.saturating_add(LIFETIME));
                    *under_way = Some(UnderWay { next, until, given_to: self.url().await });
                    return Ok(signed);
                }
                Err(ChainError::Node { code, message, .. }) => refusal(call, code, &message),
                Err(error) => return Err(error),
            };
            *under_way = None;
            // The node refused these bytes for good, so signing others cannot double them.
            let again = matches!(
                refusal.name(),
                Some("Stale" | "BadProof" | "AncientBirthBlock" | "PriorityTooLow" | "Future")
            );
            if !again || attempt >= ATTEMPTS {
                return Err(refusal);
            }
            tracing::debug!(call = call.title(), attempt, %refusal, "signing again");
            attempt += 1;
        }
    }

    async fn sign(
        &self,
        signer: &dyn Signer,
        call: &Call<'_>,
        runtime: Arc<Runtime>,
        under_way: Option<&UnderWay>,
    ) -> Result<Signed, ChainError> {
        let account = signer.account();
        let arguments = runtime.call(call.pallet, call.name, &call.args)?;
        let (birth, mut nonce) = futures::try_join!(self.head(), self.next_nonce(&account))?;
        // Another node may not have heard yet of what was given to the last one; the same one would know.
        if let Some(before) = under_way.filter(|before| birth.number <= before.until)
            && before.given_to != self.url().await
        {
            nonce = nonce.max(before.next);
        }
        let misfit = |error: ExtrinsicError| ChainError::Arguments {
            call: call.title(),
            spec: runtime.spec,
            reason: format!("the transaction cannot be built: {error}"),
        };
        let payload = subxt::tx::dynamic(call.pallet, call.name, arguments);
        let mut signable = signable(&runtime, &payload, nonce, birth, LIFETIME).map_err(misfit)?;
        let signature = signer.sign(&signable.signer_payload().map_err(misfit)?);
        let signed = signable
            .sign_with_account_and_signature(&AccountId32(account.0), &MultiSignature::Sr25519(signature.0))
            .map_err(misfit)?;
        let bytes = signed.encoded().to_vec();
        let hash = sp_crypto_hashing::blake2_256(&bytes);
        Ok(Signed { bytes, hash, nonce, birth, runtime: Arc::clone(&runtime) })
    }

    /// The next nonce, transactions in the pool counted.
    pub(crate) async fn next_nonce(&self, account: &Account) -> Result<u64, ChainError> {
        self.link().request("system_accountNextIndex", vec![json!(account.to_string())]).await
    }

    /// Gives the bytes to the node. `Ok` if it has them, or may have them.
    async fn push(&self, signed: &Signed) -> Result<(), ChainError> {
        let mut lost = 0;
        loop {
            let params = vec![hex_json(&signed.bytes)];
            match self.link().request_once::<String>("author_submitExtrinsic", params).await {
                Ok(_) => return Ok(()),
                Err(RequestError::Lost(reason)) => {
                    lost += 1;
                    tracing::debug!(reason, lost, "connection lost while sending");
                    if lost >= SENDINGS {
                        // It may have arrived: the blocks will tell.
                        return Ok(());
                    }
                }
                // Once bytes may have arrived, "already there" and "nonce used" are what success looks like.
                Err(RequestError::Refused(ChainError::Node { message, .. }))
                    if explain::pool(&message).is_some_and(|(name, _)| {
                        name == "AlreadyImported"
                            || lost > 0
                                // A block that upgrades the runtime may hold the first sending, and void the second.
                                && matches!(
                                    name,
                                    "Stale" | "TemporarilyBanned" | "PriorityTooLow" | "BadProof" | "AncientBirthBlock"
                                )
                    }) =>
                {
                    return Ok(());
                }
                Err(RequestError::Refused(error @ ChainError::Unreachable { .. })) if lost > 0 => {
                    lost += 1;
                    if lost >= SENDINGS {
                        return Ok(());
                    }
                    tracing::debug!(%error, "node still unreachable while sending");
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
                Err(RequestError::Refused(error)) => return Err(error),
            }
        }
    }

    /// Looks through finalized blocks until the transaction is there, or cannot come any more.
    async fn follow(&self, signed: &Signed, call: &Call<'_>, start: Instant) -> Result<Followed, ChainError> {
        let deadline = start + self.options().inclusion_timeout;
        let last_valid = signed.birth.number.saturating_add(LIFETIME);
        let extrinsic = format!("0x{}", hex::encode(signed.hash));
        let mut blocks = self.blocks_from(signed.birth.number.saturating_add(1));
        let mut seen = signed.birth.number;
        let mut trouble = None;
        let looking = async {
            while let Some(block) = blocks.next().await {
                let block = match block {
                    Ok(block) => block,
                    Err(error) => {
                        trouble = Some(error);
                        continue;
                    }
                };
                let (index, spec) = loop {
                    // The version after the block: one that upgrades was itself made by the old runtime.
                    match futures::try_join!(self.find(block, &signed.hash), self.spec_at(block.hash)) {
                        Ok(found) => break found,
                        Err(error) => {
                            trouble = Some(error);
                            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                        }
                    }
                };
                seen = block.number;
                if let Some(index) = index {
                    return Ok(Ok((block, index)));
                }
                if spec != signed.runtime.spec {
                    return Ok(Err(spec));
                }
                if block.number >= last_valid {
                    return Err(ChainError::Expired { call: call.title(), extrinsic: extrinsic.clone(), last_valid });
                }
            }
            Err(ChainError::Invalid("the block stream ended".into()))
        };
        let found = timeout_at(deadline, looking).await;
        let found = found.unwrap_or_else(|_| {
            let trouble = trouble.map(|error| format!("; {error}")).unwrap_or_default();
            Err(ChainError::Deadline {
                waited_for: format!("{} (transaction {extrinsic}) to be in a final block", call.title()),
                after: self.options().inclusion_timeout,
                last: format!("looked up to block {seen}, it may still be included until block {last_valid}{trouble}"),
            })
        })?;
        match found {
            Ok((block, index)) => self.outcome(signed, call, block, index).await.map(Followed::Done),
            Err(spec) => Ok(Followed::Void { spec }),
        }
    }

    /// The place of a transaction in a block.
    async fn find(&self, block: BlockRef, hash: &[u8; 32]) -> Result<Option<u32>, ChainError> {
        let body: Option<SignedBlock> = self.link().request("chain_getBlock", vec![hex_json(&block.hash)]).await?;
        let body = body.ok_or_else(|| ChainError::NotFound(format!("the node does not know block {block:?}")))?;
        let found = body.block.extrinsics.iter().position(|extrinsic| {
            crate::client::parse_hex(extrinsic).is_some_and(|bytes| sp_crypto_hashing::blake2_256(&bytes) == *hash)
        });
        Ok(found.map(|index| index as u32))
    }

    async fn outcome(
        &self,
        signed: &Signed,
        call: &Call<'_>,
        block: BlockRef,
        index: u32,
    ) -> Result<Submitted, ChainError> {
        // Read as the runtime that made the block wrote them, which is the one signed for; in a block that upgrades, metadata is
        // already the next one's.
        let query = signed.runtime.storage("System", "Events", &[])?;
        let records = self.state_storage(&query.key, Some(block.hash)).await?;
        let records = signed.runtime.read_storage(&query, records.as_deref())?.unwrap_or(Value::List(Vec::new()));
        let events = events_of(&records, of_extrinsic(index))
            .map_err(ChainError::decode("System.Events", signed.runtime.spec))?;
        let fee = events
            .iter()
            .find(|event| event.name == "TransactionFeePaid")
            .and_then(|event| event.fields.get("actual_fee").ok()?.number().ok());
        let submitted = Submitted { block, index, extrinsic_hash: signed.hash, fee: fee.unwrap_or(0), events };
        if let Some(failed) = submitted.events("System", "ExtrinsicFailed").next() {
            let error = failed.fields.field_or_self("dispatch_error");
            return Err(dispatch(&signed.runtime, call, block.number, error));
        }
        // Sudo succeeds whatever happens inside: its own event tells.
        for sudid in submitted.events("Sudo", "Sudid") {
            if let Some(error) = sudid.fields.field_or_self("sudo_result").as_variant("Err") {
                return Err(dispatch(&signed.runtime, call, block.number, error));
            }
        }
        if submitted.events("System", "ExtrinsicSuccess").next().is_none() {
            let missing = "the node shows no outcome event for it".into();
            return Err(ChainError::Unconfirmed { call: call.title(), block: block.number, missing });
        }
        Ok(submitted)
    }
}
