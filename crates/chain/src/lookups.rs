//! What a curious person asks: several balances at once, subnets in depth, delegates, identities, everybody's commitments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use starling_keys::Account;

use crate::{
    BlockRef, ChainError, Client, Commitment,
    client::{hex_json, parse_hex},
    queries::read_commitment,
    value::{ShapeError, Value},
};

const SUBTENSOR: &str = "SubtensorModule";
const IDENTITIES: &str = "IdentitiesV2";
/// Keys asked for at once.
const PAGE: usize = 512;
/// Most entries of a map that are read: a subnet has at most 4,096 neurons.
const MOST_ENTRIES: usize = 8192;

/// A subnet in depth. Amounts in rao.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubnetDetail {
    /// Its number.
    pub netuid: u16,
    /// Its name.
    pub name: String,
    /// Its token's symbol.
    pub symbol: String,
    /// The owner's coldkey.
    pub owner_coldkey: Account,
    /// The owner's hotkey.
    pub owner_hotkey: Account,
    /// Block of its registration.
    pub registered_at: u64,
    /// Blocks between epochs.
    pub tempo: u16,
    /// Block of the last step.
    pub last_step: u64,
    /// Blocks since then.
    pub blocks_since_last_step: u64,
    /// TAO in the pool.
    pub tao_in: u64,
    /// Alpha in the pool.
    pub alpha_in: u64,
    /// Alpha outside of the pool.
    pub alpha_out: u64,
    /// TAO that goes into the pool per block.
    pub tao_in_emission: u64,
    /// Alpha that goes into the pool per block.
    pub alpha_in_emission: u64,
    /// Alpha that is paid out per block.
    pub alpha_out_emission: u64,
    /// TAO per alpha, averaged over time.
    pub moving_price: f64,
    /// TAO traded in its life.
    pub volume: u128,
    /// What the owner says of it; empty for nothing.
    pub identity: BTreeMap<String, String>,
}

/// A hotkey that others stake to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delegate {
    /// Itself.
    pub hotkey: Account,
    /// Whose it is.
    pub owner: Account,
    /// What it keeps, of 65535.
    pub take: u16,
    /// Coldkeys that stake to it.
    pub nominators: usize,
    /// rao of alpha at it, by subnet (0 is TAO on the root network).
    pub stake: BTreeMap<u16, u64>,
    /// Subnets where it is registered.
    pub registrations: Vec<u16>,
    /// Subnets where it has a validator permit.
    pub permits: Vec<u16>,
}

#[derive(Deserialize)]
struct Changes {
    changes: Vec<(String, Option<String>)>,
}

impl Client {
    /// The newest block, which may still be replaced by another.
    ///
    /// # Errors
    /// [`ChainError`] of the connection.
    pub async fn newest(&self) -> Result<BlockRef, ChainError> {
        let read = |hash: String| {
            crate::client::parse_hash(&hash).ok_or_else(|| crate::client::bad_answer("chain_getBlockHash", &hash))
        };
        let hash = self.link().request_as("chain_getBlockHash", Vec::new(), read).await?;
        Ok(BlockRef { number: self.block_number(hash).await?, hash })
    }

    /// Values of several storage keys at one block, in one request per [`PAGE`] keys.
    async fn storage_of(&self, keys: &[Vec<u8>], at: [u8; 32]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ChainError> {
        let mut found = BTreeMap::new();
        for page in keys.chunks(PAGE) {
            let list: Vec<_> = page.iter().map(|key| hex_json(key)).collect();
            let params = vec![json!(list), hex_json(&at)];
            let read = |sets: Vec<Changes>| {
                let changes = sets.into_iter().flat_map(|set| set.changes);
                let bytes = changes.filter_map(|(key, value)| Some((parse_hex(&key)?, parse_hex(&value?)?)));
                Ok(bytes.collect::<Vec<_>>())
            };
            found.extend(self.link().request_as("state_queryStorageAt", params, read).await?);
        }
        Ok(found)
    }

    /// Free balances in rao, in the order of the accounts, in one request; 0 for one that does not exist.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn balances(&self, accounts: &[Account], at: Option<[u8; 32]>) -> Result<Vec<u64>, ChainError> {
        let at = match at {
            Some(at) => at,
            None => self.head().await?.hash,
        };
        let runtime = self.runtime(Some(at)).await?;
        let queries: Vec<_> =
            accounts.iter().map(|who| runtime.storage("System", "Account", &[who.into()])).collect::<Result<_, _>>()?;
        let keys: Vec<Vec<u8>> = queries.iter().map(|query| query.key.clone()).collect();
        let found = self.storage_of(&keys, at).await?;
        let free = |query| -> Result<u64, ChainError> {
            let query: &crate::runtime::StorageQuery = query;
            let account = runtime.read_storage(query, found.get(&query.key).map(Vec::as_slice))?;
            let free = account.map_or(Ok(0), |account| account.get("data")?.field_or_self("free").number());
            free.map_err(ChainError::decode("System.Account", runtime.spec))
        };
        queries.iter().map(free).collect()
    }

    /// All entries of a map whose first keys are given, as the last 32 bytes of the key (an account) and the value.
    async fn by_account(
        &self,
        pallet: &str,
        entry: &str,
        first: &[Value],
        at: [u8; 32],
    ) -> Result<Vec<(Account, Value)>, ChainError> {
        let runtime = self.runtime(Some(at)).await?;
        let query = runtime.storage_prefix(pallet, entry, first)?;
        let prefix = &query.key;
        let mut keys: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut params = vec![hex_json(prefix), json!(PAGE)];
            params.push(keys.last().map_or(serde_json::Value::Null, |last| hex_json(last)));
            params.push(hex_json(&at));
            let read = |list: Vec<String>| Ok(list.iter().filter_map(|key| parse_hex(key)).collect::<Vec<_>>());
            let page: Vec<Vec<u8>> = self.link().request_as("state_getKeysPaged", params, read).await?;
            let last = page.len() < PAGE;
            keys.extend(page);
            if keys.len() > MOST_ENTRIES {
                return Err(ChainError::Invalid(format!("{pallet}.{entry} has more than {MOST_ENTRIES} entries")));
            }
            if last {
                break;
            }
        }
        let mut entries = Vec::with_capacity(keys.len());
        for (key, bytes) in self.storage_of(&keys, at).await? {
            let account = key.last_chunk::<32>().filter(|_| key.starts_with(prefix)).map(|tail| Account(*tail));
            if let (Some(account), Some(value)) = (account, runtime.read_storage(&query, Some(&bytes))?) {
                entries.push((account, value));
            }
        }
        Ok(entries)
    }

    /// Everybody's commitments on a subnet, oldest first.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn commitments(
        &self,
        netuid: u16,
        at: Option<[u8; 32]>,
    ) -> Result<Vec<(Account, Commitment)>, ChainError> {
        let at = match at {
            Some(at) => at,
            None => self.head().await?.hash,
        };
        let mut found = Vec::new();
        for (account, value) in self.by_account("Commitments", "CommitmentOf", &[netuid.into()], at).await? {
            let read = read_commitment(&value).map_err(ChainError::decode("Commitments.CommitmentOf", 0))?;
            found.extend(read.map(|commitment| (account, commitment)));
        }
        found.sort_by_key(|(account, commitment)| (commitment.block, *account));
        Ok(found)
    }

    /// rao per alpha of every subnet.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn alpha_prices(&self, at: Option<[u8; 32]>) -> Result<BTreeMap<u16, u64>, ChainError> {
        const API: &str = "SwapRuntimeApi";
        if self.runtime(at).await?.has_api(API, "current_alpha_price_all") {
            let all = self.api(API, "current_alpha_price_all", &[], at).await?;
            let pairs = all.map(|pair| Ok((pair.at(0)?.number()?, pair.at(1)?.number()?)));
            return Ok(pairs.map_err(ChainError::decode("the prices", 0))?.into_iter().collect());
        }
        let mut prices = BTreeMap::new();
        for subnet in self.subnets_at(at).await? {
            prices.insert(subnet.netuid, self.alpha_price(subnet.netuid, at).await?);
        }
        Ok(prices)
    }

    /// A subnet in depth.
    ///
    /// # Errors
    /// [`ChainError::NotFound`] if there is none, and others of [`ChainError`].
    pub async fn subnet(&self, netuid: u16, at: Option<[u8; 32]>) -> Result<SubnetDetail, ChainError> {
        let answer = self.api("SubnetInfoRuntimeApi", "get_dynamic_info", &[netuid.into()], at).await?;
        let read = || answer.optional()?.map(read_detail).transpose();
        read().map_err(ChainError::decode("get_dynamic_info", 0))?.ok_or_else(|| crate::metagraph::no_subnet(netuid))
    }

    /// All hotkeys that others stake to, or one of them.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn delegates(&self, one: Option<&Account>, at: Option<[u8; 32]>) -> Result<Vec<Delegate>, ChainError> {
        const API: &str = "DelegateInfoRuntimeApi";
        let found = match one {
            Some(hotkey) => {
                let answer = self.api(API, "get_delegate", &[hotkey.into()], at).await?;
                answer
                    .optional()
                    .and_then(|found| found.map(read_delegate).transpose())
                    .map(|f| f.into_iter().collect())
            }
            None => self.api(API, "get_delegates", &[], at).await?.map(read_delegate),
        };
        let mut found: Vec<Delegate> = found.map_err(ChainError::decode("the delegates", 0))?;
        found.sort_by_key(|delegate| std::cmp::Reverse(delegate.stake.get(&0).copied().unwrap_or(0)));
        Ok(found)
    }

    /// What a coldkey says of itself, by the chain's names of the fields; `None` for nothing.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn identity(
        &self,
        coldkey: &Account,
        at: Option<[u8; 32]>,
    ) -> Result<Option<BTreeMap<String, String>>, ChainError> {
        let found = self.stored(SUBTENSOR, IDENTITIES, &[coldkey.into()], at).await?;
        Ok(found.map(|found| texts(&found)))
    }

    /// As [`Client::identity`], of several coldkeys in one request; who says nothing is left out.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn identities(
        &self,
        coldkeys: &[Account],
        at: [u8; 32],
    ) -> Result<BTreeMap<Account, BTreeMap<String, String>>, ChainError> {
        let runtime = self.runtime(Some(at)).await?;
        let query = |who: &Account| runtime.storage(SUBTENSOR, IDENTITIES, &[who.into()]);
        let queries = coldkeys.iter().map(query).collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<Vec<u8>> = queries.iter().map(|query| query.key.clone()).collect();
        let found = self.storage_of(&keys, at).await?;
        let mut all = BTreeMap::new();
        for (who, query) in coldkeys.iter().zip(&queries) {
            let Some(bytes) = found.get(&query.key) else { continue };
            if let Some(identity) = runtime.read_storage(query, Some(bytes))? {
                all.insert(*who, texts(&identity));
            }
        }
        Ok(all)
    }

    /// What the owner says of a subnet; `None` for nothing.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn subnet_identity(
        &self,
        netuid: u16,
        at: Option<[u8; 32]>,
    ) -> Result<Option<BTreeMap<String, String>>, ChainError> {
        let found = self.stored(SUBTENSOR, "SubnetIdentitiesV3", &[netuid.into()], at).await?;
        Ok(found.map(|found| texts(&found)))
    }

    /// The coldkey that owns a hotkey; `None` for an account that is no hotkey.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn owner(&self, hotkey: &Account, at: Option<[u8; 32]>) -> Result<Option<Account>, ChainError> {
        let owner = self.stored(SUBTENSOR, "Owner", &[hotkey.into()], at).await?;
        let owner = owner.map(|owner| owner.account()).transpose();
        owner.map_err(ChainError::decode("SubtensorModule.Owner", 0))
    }
}

/// The fields of an identity that hold text; empty ones are left out.
fn texts(identity: &Value) -> BTreeMap<String, String> {
    let Value::Record(fields) = identity else { return BTreeMap::new() };
    let text = |(name, value): &(String, Value)| {
        value.text().ok().filter(|text| !text.is_empty()).map(|text| (name.clone(), text))
    };
    fields.iter().filter_map(text).collect()
}

fn read_detail(info: &Value) -> Result<SubnetDetail, ShapeError> {
    let identity = info.get("subnet_identity").ok().and_then(|identity| identity.optional().ok().flatten());
    Ok(SubnetDetail {
        netuid: info.get("netuid")?.number()?,
        name: info.get("subnet_name")?.text()?,
        symbol: info.get("token_symbol")?.text()?,
        owner_coldkey: info.get("owner_coldkey")?.account()?,
        owner_hotkey: info.get("owner_hotkey")?.account()?,
        registered_at: info.get("network_registered_at")?.number()?,
        tempo: info.get("tempo")?.number()?,
        last_step: info.get("last_step")?.number()?,
        blocks_since_last_step: info.get("blocks_since_last_step")?.number()?,
        tao_in: info.get("tao_in")?.number()?,
        alpha_in: info.get("alpha_in")?.number()?,
        alpha_out: info.get("alpha_out")?.number()?,
        tao_in_emission: info.get("tao_in_emission")?.number()?,
        alpha_in_emission: info.get("alpha_in_emission")?.number()?,
        alpha_out_emission: info.get("alpha_out_emission")?.number()?,
        // I96F32.
        moving_price: info.get("moving_price")?.signed()? as f64 / 2_f64.powi(32),
        volume: info.get("subnet_volume")?.number()?,
        identity: identity.map(texts).unwrap_or_default(),
    })
}

fn read_delegate(delegate: &Value) -> Result<Delegate, ShapeError> {
    let nominators = delegate.get("nominators")?.list()?;
    let mut stake = BTreeMap::<u16, u64>::new();
    for nominator in nominators {
        for pair in nominator.at(1)?.list()? {
            let held = stake.entry(pair.at(0)?.number()?).or_default();
            *held = held.saturating_add(pair.at(1)?.number()?);
        }
    }
    Ok(Delegate {
        hotkey: delegate.get("delegate_ss58")?.account()?,
        owner: delegate.get("owner_ss58")?.account()?,
        take: delegate.get("take")?.number()?,
        nominators: nominators.len(),
        stake,
        registrations: delegate.get("registrations")?.map(Value::number)?,
        permits: delegate.get("validator_permits")?.map(Value::number)?,
    })
}
