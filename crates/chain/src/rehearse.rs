//! A call up to its signature: what would be sent, what it costs, whether the chain would take it, and the bytes to sign elsewhere.
//!
//! Invariant: a rehearsing client ([`Client::rehearsing`]) sends nothing, whatever method is called: every write ends as
//! [`ChainError::Rehearsed`]. What was signed elsewhere is sent only if this client builds the same bytes to sign from it, so that
//! nobody sends what he did not see. Signer payload: chain.md 8.1.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use starling_keys::{Account, Signature};
use subxt::{
    SubstrateConfig,
    client::OfflineClientAtBlockImpl,
    config::{DefaultExtrinsicParamsBuilder, substrate::H256},
    error::ExtrinsicError,
    transactions::SignableTransaction,
    utils::{AccountId32, MultiSignature},
};

use crate::{
    BlockRef, ChainError, Client, Submitted,
    client::{hex_json, parse_hash, parse_hex},
    runtime::Runtime,
    submit::{Call, LIFETIME},
    value::Value,
    weights::{Landed, preflight::Check},
};

/// A transaction without its signature: all that a signer elsewhere and the later sender need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unsigned {
    /// Pallet and call, `SubtensorModule.burned_register`.
    pub call: String,
    /// Its arguments by name; accounts as SS58, other bytes as hex. For reading: what counts is `call_data`.
    pub args: Json,
    /// Who has to sign.
    pub signer: Account,
    /// The signer's transaction number.
    pub nonce: u64,
    /// Blocks from `birth` on in which it may be included.
    pub lifetime: u32,
    /// The block that it is made for.
    pub birth: BlockRef,
    /// Paid on top of the fee, rao: always 0.
    pub tip: u64,
    /// Hash of the chain's block 0, hex.
    pub genesis: String,
    /// The runtime that it is made for.
    pub spec_version: u32,
    /// The call as the chain reads it, hex.
    pub call_data: String,
    /// The bytes to sign with sr25519, hex: a hash of the payload where that is longer than 256 bytes.
    pub payload: String,
}

impl Unsigned {
    /// The last block that may hold it.
    #[must_use]
    pub fn last_valid(&self) -> u32 {
        self.birth.number.saturating_add(self.lifetime)
    }
}

/// What a call would be and do, had it been signed and sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rehearsal {
    /// The transaction.
    pub unsigned: Unsigned,
    /// Its fee in rao, as the runtime estimates it; `None` where it does not say.
    pub fee_rao: Option<u64>,
    /// The chain's rules that this client knows for this call, in the chain's order.
    pub checks: Vec<Check>,
}

impl Rehearsal {
    /// True if no rule is broken.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }
}

type Signable<'a> = SignableTransaction<
    'a,
    SubstrateConfig,
    OfflineClientAtBlockImpl<SubstrateConfig>,
    subxt::transactions::DynamicPayload<subxt::ext::scale_value::Composite<()>>,
>;

fn misfit(call: &str, spec: u32) -> impl Fn(ExtrinsicError) -> ChainError + use<> {
    let call = call.to_owned();
    move |error| ChainError::Arguments {
        call: call.clone(),
        spec,
        reason: format!("the transaction cannot be built: {error}"),
    }
}

impl Client {
    /// The same client, which sends nothing: every write ends as [`ChainError::Rehearsed`].
    #[must_use]
    pub fn rehearsing(mut self) -> Self {
        self.mode = crate::client::Mode::Rehearse;
        self
    }

    /// The same client, which checks the chain's rules before it sends and refuses with [`ChainError::Refused`].
    #[must_use]
    pub fn careful(mut self) -> Self {
        self.mode = crate::client::Mode::Careful;
        self
    }

    /// True if this client sends nothing.
    #[must_use]
    pub fn rehearses(&self) -> bool {
        self.mode == crate::client::Mode::Rehearse
    }

    /// The call without a signature, its fee, and the rules. Sends nothing.
    pub(crate) async fn rehearse(&self, signer: Account, call: &Call<'_>) -> Result<Rehearsal, ChainError> {
        let runtime = self.fresh_runtime(None).await?;
        let (birth, nonce) = futures::try_join!(self.head(), self.next_nonce(&signer))?;
        let misfit = misfit(&call.title(), runtime.spec);
        let payload = subxt::tx::dynamic(call.pallet, call.name, runtime.call(call.pallet, call.name, &call.args)?);
        let mut signable = signable(&runtime, &payload, nonce, birth, LIFETIME).map_err(&misfit)?;
        let call_data = runtime.transactions().transactions().call_data(&payload).map_err(&misfit)?;
        let bytes = signable.signer_payload().map_err(&misfit)?;
        let fee_rao = self.fee(&runtime, &mut signable, &signer, &misfit).await?;
        let checks = Box::pin(self.rules(&signer, call, fee_rao.unwrap_or(0))).await?;
        let unsigned = Unsigned {
            call: call.title(),
            args: shown_args(&call.args),
            signer,
            nonce,
            lifetime: LIFETIME,
            birth,
            tip: 0,
            genesis: format!("0x{}", hex::encode(self.genesis_hash())),
            spec_version: runtime.spec,
            call_data: format!("0x{}", hex::encode(call_data)),
            payload: format!("0x{}", hex::encode(bytes)),
        };
        Ok(Rehearsal { unsigned, fee_rao, checks })
    }

    /// What the runtime would take for it, in rao; the signature's bytes do not change that.
    async fn fee(
        &self,
        runtime: &Runtime,
        signable: &mut Signable<'_>,
        signer: &Account,
        misfit: &impl Fn(ExtrinsicError) -> ChainError,
    ) -> Result<Option<u64>, ChainError> {
        const API: &str = "TransactionPaymentApi";
        if !runtime.has_api(API, "query_info") {
            return Ok(None);
        }
        let empty = MultiSignature::Sr25519([0; 64]);
        let signed = signable.sign_with_account_and_signature(&AccountId32(signer.0), &empty).map_err(misfit)?;
        let mut arguments = signed.encoded().to_vec();
        arguments.extend((signed.encoded().len() as u32).to_le_bytes());
        let query = runtime.api_encoded(API, "query_info", arguments)?;
        let info = runtime.read_api(&query, &self.state_call(&query.function, &query.arguments, None).await?)?;
        info.get("partial_fee").and_then(Value::number).map(Some).map_err(ChainError::decode("the fee", runtime.spec))
    }

    /// Sends what was signed elsewhere, waits until it is final, and proves its effect as if it had been signed here. Of weights, commits
    /// and commitments also answers what storage holds then.
    ///
    /// # Errors
    /// [`ChainError::Invalid`] if it is for another chain or runtime, its time is over, its parts contradict each other, or the signature
    /// is not the signer's; else as [`Client::submit`] and [`ChainError::Unconfirmed`].
    pub async fn submit_signed(
        &self,
        unsigned: &Unsigned,
        signature: &Signature,
    ) -> Result<(Option<Landed>, Submitted), ChainError> {
        let invalid = |reason: String| Err(ChainError::Invalid(reason));
        let genesis = format!("0x{}", hex::encode(self.genesis_hash()));
        if unsigned.genesis != genesis {
            return invalid(format!(
                "it was made for the chain with block 0 {}, this one's is {genesis}: choose that chain with --network or --endpoint",
                unsigned.genesis
            ));
        }
        let runtime = self.fresh_runtime(None).await?;
        if unsigned.spec_version != runtime.spec {
            return invalid(format!(
                "it was made for runtime {}, the chain runs {} now: make it anew with --dry-run and sign that",
                unsigned.spec_version, runtime.spec
            ));
        }
        let head = self.head().await?;
        if unsigned.birth.number > head.number {
            return invalid(format!(
                "it was made for block {}, which is not final yet (now is {})",
                unsigned.birth.number, head.number
            ));
        }
        // A signature for longer than that is a mistake: the bytes could be sent again much later.
        if unsigned.tip != 0 || unsigned.lifetime != LIFETIME {
            return invalid(format!(
                "tip {} and lifetime {} were changed: they are 0 and {LIFETIME}",
                unsigned.tip, unsigned.lifetime
            ));
        }
        if head.number > unsigned.last_valid() {
            return invalid(format!(
                "it could be included up to block {}, now is {}: make it anew with --dry-run and sign that",
                unsigned.last_valid(),
                head.number
            ));
        }
        let bytes = parse_hex(&unsigned.call_data)
            .ok_or_else(|| ChainError::Invalid("call_data is not hex that begins with 0x".into()))?;
        let (pallet, name, args) = runtime.read_call(&bytes)?;
        let call =
            Call { pallet: &pallet, name: &name, args: args.iter().map(|(n, v)| (n.as_str(), v.clone())).collect() };
        let misfit = misfit(&call.title(), runtime.spec);
        let payload = subxt::tx::dynamic(call.pallet, call.name, runtime.call(call.pallet, call.name, &call.args)?);
        let mut signable =
            signable(&runtime, &payload, unsigned.nonce, unsigned.birth, unsigned.lifetime).map_err(&misfit)?;
        let to_sign = signable.signer_payload().map_err(&misfit)?;
        let same = runtime.transactions().transactions().call_data(&payload).map_err(&misfit)? == bytes
            && parse_hex(&unsigned.payload).as_deref() == Some(to_sign.as_slice())
            && unsigned.call == call.title();
        if !same {
            return invalid("the file contradicts itself: call, call_data and payload do not belong together".into());
        }
        if !unsigned.signer.verify(&to_sign, signature) {
            return invalid(format!(
                "the signature is not {}'s over {}: sign exactly these bytes with sr25519",
                unsigned.signer, unsigned.payload
            ));
        }
        let signed = signable
            .sign_with_account_and_signature(&AccountId32(unsigned.signer.0), &MultiSignature::Sr25519(signature.0))
            .map_err(&misfit)?;
        let sent = Box::pin(self.follow_signed(&call, signed.encoded().to_vec(), unsigned, runtime)).await?;
        let landed = self.landed(&unsigned.signer, &call, &sent).await?;
        if landed.is_none() {
            self.prove(&unsigned.signer, &call, &sent).await?;
        }
        Ok((landed, sent))
    }
}

/// The transaction before its signature.
pub(crate) fn signable<'a>(
    runtime: &Runtime,
    payload: &'a subxt::transactions::DynamicPayload<subxt::ext::scale_value::Composite<()>>,
    nonce: u64,
    birth: BlockRef,
    lifetime: u32,
) -> Result<Signable<'a>, ExtrinsicError> {
    let params = DefaultExtrinsicParamsBuilder::<SubstrateConfig>::new()
        .nonce(nonce)
        .mortal_from_unchecked(lifetime.into(), birth.number.into(), H256(birth.hash))
        .build();
    runtime.transactions().transactions().create_signable_offline(payload, params)
}

/// Arguments for a person and for scripts.
pub(crate) fn shown_args(args: &[(&str, Value)]) -> Json {
    Json::Object(args.iter().map(|(name, value)| ((*name).to_owned(), shown(name, value))).collect())
}

/// A value as JSON. 32 bytes are an account, unless their name says otherwise: no call of the chain mixes the two under one name.
fn shown(name: &str, value: &Value) -> Json {
    match value {
        Value::Unit => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Uint(number) => {
            u64::try_from(*number).map_or_else(|_| json!(number.to_string()), |number| json!(number))
        }
        Value::Int(number) => i64::try_from(*number).map_or_else(|_| json!(number.to_string()), |number| json!(number)),
        Value::Text(text) => json!(text),
        Value::Bytes(bytes) => {
            let hash = ["hash", "work", "commit", "salt", "code"].iter().any(|word| name.contains(word));
            match <[u8; 32]>::try_from(bytes.as_slice()) {
                Ok(account) if !hash => json!(Account(account)),
                _ => hex_json(bytes),
            }
        }
        Value::List(items) => items.iter().map(|item| shown(name, item)).collect(),
        Value::Record(fields) => {
            Json::Object(fields.iter().map(|(field, value)| (field.clone(), shown(field, value))).collect())
        }
        Value::Variant(variant, fields) => match fields.as_ref() {
            Value::Unit => json!(variant),
            inner => Json::Object(Map::from_iter([(variant.clone(), shown(name, inner))])),
        },
    }
}

impl Unsigned {
    /// Reads what `--dry-run --json` printed: the whole of it, or its part `unsigned`.
    ///
    /// # Errors
    /// [`ChainError::Invalid`] that says what is wrong.
    pub fn read(text: &str) -> Result<Self, ChainError> {
        let wrong = |error: serde_json::Error| {
            ChainError::Invalid(format!("this is not what --dry-run --json prints: {error}"))
        };
        let mut json: Json = serde_json::from_str(text).map_err(wrong)?;
        if let Some(inner) = json.get_mut("unsigned") {
            json = inner.take();
        }
        let unsigned: Self = serde_json::from_value(json).map_err(wrong)?;
        if parse_hash(&unsigned.genesis).is_none() {
            return Err(ChainError::Invalid("genesis is no block hash: 0x and 64 hex digits".into()));
        }
        Ok(unsigned)
    }
}
