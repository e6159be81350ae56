//! The smaller questions to the chain: balances, slots, prices, weights, commits, the epoch clock, commitments.

use serde::Serialize;
use starling_keys::Account;

use crate::{
    BlockRef, ChainError, Client,
    commit_reveal::EpochClock,
    value::{ShapeError, Value},
};

const SUBTENSOR: &str = "SubtensorModule";

/// One subnet of [`Client::subnets`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subnet {
    /// Its number.
    pub netuid: u16,
    /// Its name, if the owner gave one.
    pub name: Option<String>,
    /// The owner's coldkey.
    pub owner: Account,
    /// Neurons registered.
    pub neurons: u16,
    /// Neurons that fit.
    pub max_neurons: u16,
    /// Blocks between epochs.
    pub tempo: u16,
    /// Price of a registration in rao.
    pub burn: u64,
}

/// Data that a hotkey has put on chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Commitment {
    /// The block it was put in.
    pub block: u32,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl Client {
    /// An account's free balance in rao; 0 for one that does not exist.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn balance(&self, who: &Account) -> Result<u64, ChainError> {
        self.balance_at(who, None).await
    }

    pub(crate) async fn balance_at(&self, who: &Account, at: Option<[u8; 32]>) -> Result<u64, ChainError> {
        let account = self.storage_value("System", "Account", &[who.into()], at).await?;
        account
            .get("data")
            .and_then(|data| data.field_or_self("free").number())
            .map_err(ChainError::decode("System.Account", 0))
    }

    /// A hotkey's slot on a subnet; `None` if it is not registered there.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn uid(&self, netuid: u16, hotkey: &Account) -> Result<Option<u16>, ChainError> {
        self.uid_at(netuid, hotkey, None).await
    }

    pub(crate) async fn uid_at(
        &self,
        netuid: u16,
        hotkey: &Account,
        at: Option<[u8; 32]>,
    ) -> Result<Option<u16>, ChainError> {
        let uid = self.storage(SUBTENSOR, "Uids", &[netuid.into(), hotkey.into()], at).await?;
        uid.map(|uid| uid.number()).transpose().map_err(ChainError::decode("SubtensorModule.Uids", 0))
    }

    /// All subnets, by number.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn subnets(&self) -> Result<Vec<Subnet>, ChainError> {
        self.subnets_at(None).await
    }

    /// The same at a block hash, or now.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn subnets_at(&self, at: Option<[u8; 32]>) -> Result<Vec<Subnet>, ChainError> {
        const API: &str = "SubnetInfoRuntimeApi";
        let runtime = self.runtime(at).await?;
        let newer = runtime.has_api(API, "get_subnets_info_v2");
        let method = if newer { "get_subnets_info_v2" } else { "get_subnets_info" };
        let answer = self.api(API, method, &[], at).await?;
        let mut subnets: Vec<Subnet> = answer
            .map(read_subnet)
            .map_err(ChainError::decode(format!("the answer of {API}_{method}"), runtime.spec))?
            .into_iter()
            .flatten()
            .collect();
        subnets.sort_by_key(|subnet| subnet.netuid);
        Ok(subnets)
    }

    /// What a registration on the subnet burns now, in rao. It falls with every block and rises with every registration.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn registration_cost(&self, netuid: u16) -> Result<u64, ChainError> {
        self.number("Burn", &[netuid.into()], None).await
    }

    /// What registering a new subnet locks now, in rao.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn network_registration_cost(&self) -> Result<u64, ChainError> {
        let cost = self.api("SubnetRegistrationRuntimeApi", "get_network_registration_cost", &[], None).await?;
        cost.number().map_err(ChainError::decode("the lock cost", 0))
    }

    /// rao that one alpha of a subnet is worth, without the order's own effect on the price.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn alpha_price(&self, netuid: u16, at: Option<[u8; 32]>) -> Result<u64, ChainError> {
        let price = self.api("SwapRuntimeApi", "current_alpha_price", &[netuid.into()], at).await?;
        price.number().map_err(ChainError::decode("the price", 0))
    }

    /// rao of alpha that a coldkey has at a hotkey on a subnet.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn stake_of(
        &self,
        hotkey: &Account,
        coldkey: &Account,
        netuid: u16,
        at: Option<[u8; 32]>,
    ) -> Result<u64, ChainError> {
        const METHOD: &str = "get_stake_info_for_hotkey_coldkey_netuid";
        let stake =
            self.api("StakeInfoRuntimeApi", METHOD, &[hotkey.into(), coldkey.into(), netuid.into()], at).await?;
        let read = || stake.optional()?.map_or(Ok(0), |stake| stake.get("stake")?.number());
        read().map_err(ChainError::decode(METHOD, 0))
    }

    /// A number in `SubtensorModule`'s storage.
    pub(crate) async fn number<T: TryFrom<u128>>(
        &self,
        entry: &str,
        keys: &[Value],
        at: Option<[u8; 32]>,
    ) -> Result<T, ChainError> {
        let value = self.storage_value(SUBTENSOR, entry, keys, at).await?;
        value.number().map_err(ChainError::decode(format!("{SUBTENSOR}.{entry}"), 0))
    }

    /// The time of the newest final block, milliseconds since 1970; 0 if that is the first of all.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn now_ms(&self) -> Result<u64, ChainError> {
        self.time_of(self.head().await?.hash).await
    }

    pub(crate) async fn time_of(&self, block: [u8; 32]) -> Result<u64, ChainError> {
        let moment = self.storage_value("Timestamp", "Now", &[], Some(block)).await?;
        moment.number().map_err(ChainError::decode("Timestamp.Now", 0))
    }

    /// Seconds from block to block, by the timestamps of the last hundred blocks (fewer on a young chain); `None` before there are two.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn block_seconds(&self) -> Result<Option<f64>, ChainError> {
        const SPAN: u32 = 100;
        let head = self.head().await?;
        let first = head.number.saturating_sub(SPAN).max(1);
        let then = self.block_hash(first).await?.filter(|_| first < head.number);
        let Some(then) = then else { return Ok(None) };
        let (last, early) = futures::try_join!(self.time_of(head.hash), self.time_of(then))?;
        Ok(Some(last.saturating_sub(early) as f64 / 1000.0 / f64::from(head.number - first)))
    }

    /// A subnet's epoch clock at the newest finalized block: when epochs run and reveals are taken.
    ///
    /// # Errors
    /// [`ChainError::Absent`] on runtimes of before June 2026, whose epochs are on a fixed grid; others of [`ChainError`].
    pub async fn epoch_clock(&self, netuid: u16) -> Result<EpochClock, ChainError> {
        self.epoch_clock_at(netuid, None).await
    }

    pub(crate) async fn epoch_clock_at(&self, netuid: u16, at: Option<[u8; 32]>) -> Result<EpochClock, ChainError> {
        let block = match at {
            None => self.head().await?,
            Some(hash) => BlockRef { number: self.block_number(hash).await?, hash },
        };
        let at = Some(block.hash);
        let key = [Value::from(netuid)];
        let (index, last_epoch_block, pending_epoch_at, tempo, blocks_since_last_step, reveal_period) = futures::try_join!(
            self.number("SubnetEpochIndex", &key, at),
            self.number("LastEpochBlock", &key, at),
            self.number("PendingEpochAt", &key, at),
            self.number("Tempo", &key, at),
            self.number("BlocksSinceLastStep", &key, at),
            self.number("RevealPeriodEpochs", &key, at),
        )?;
        Ok(EpochClock {
            block: block.number,
            index,
            last_epoch_block,
            pending_epoch_at,
            tempo,
            blocks_since_last_step,
            reveal_period,
        })
    }

    /// What a hotkey has committed with [`Client::set_commitment`], at a block hash or now: the raw data of its first field.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn commitment(
        &self,
        netuid: u16,
        hotkey: &Account,
        at: Option<[u8; 32]>,
    ) -> Result<Option<Commitment>, ChainError> {
        let found = self.storage("Commitments", "CommitmentOf", &[netuid.into(), hotkey.into()], at).await?;
        found
            .map(|found| read_commitment(&found))
            .transpose()
            .map(Option::flatten)
            .map_err(ChainError::decode("Commitments.CommitmentOf", 0))
    }
}

/// `None` for a number that no subnet has.
pub(crate) fn read_subnet(info: &Value) -> Result<Option<Subnet>, ShapeError> {
    let Some(info) = info.optional()? else { return Ok(None) };
    let identity = info.get("subnet_identity").or_else(|_| info.get("identity")).ok();
    let identity = identity.and_then(|identity| identity.optional().ok()).flatten();
    let name = identity.and_then(|identity| identity.get("subnet_name").ok()?.text().ok());
    Ok(Some(Subnet {
        netuid: info.get("netuid")?.number()?,
        name: name.filter(|name| !name.is_empty()),
        owner: info.get("owner")?.account()?,
        neurons: info.get("subnetwork_n")?.number()?,
        max_neurons: info.get("max_allowed_uids")?.number()?,
        tempo: info.get("tempo")?.number()?,
        burn: info.get("burn")?.number()?,
    }))
}

pub(crate) fn read_commitment(registration: &Value) -> Result<Option<Commitment>, ShapeError> {
    let block = registration.get("block")?.number()?;
    Ok(committed(registration.get("info")?)?.map(|data| Commitment { block, data }))
}

/// The bytes of a commitment's first field; `None` for a kind that holds something else.
pub(crate) fn committed(info: &Value) -> Result<Option<Vec<u8>>, ShapeError> {
    let fields = info.field_or_self("fields").list()?;
    let Some(first) = fields.first() else { return Ok(None) };
    let Value::Variant(kind, data) = first else { return Err(ShapeError("a field that is no variant".into())) };
    // Raw0 to Raw128 and BigRaw hold bytes; hashes and timelocked data are not ours to read as bytes.
    if kind == "Raw0" {
        return Ok(Some(Vec::new()));
    }
    if kind.starts_with("Raw") || kind == "BigRaw" {
        return Ok(Some(data.bytes()?.to_vec()));
    }
    Ok(None)
}
