//! Before and after the run: wallets, subnet, registrations, stake, the run's file; and what the chain pays at the end.

use std::time::Duration;

use anyhow::Context;
use starling_chain::{Client, Metagraph, Options};
use starling_keys::Account;
use starling_protocol::Digest;
use starling_wallet::{Keypair, Wallet, WalletLocation};

use super::Demo;
use crate::run::{self, Prepared};

/// Blocks between the chain's epochs: long enough to reveal in, short enough to wait for.
const TEMPO: u16 = 20;
/// Stake of each validator, rao.
const STAKE: u64 = 1_000_000_000_000;
/// Patience for the chain to pay after the run.
const PAY: Duration = Duration::from_secs(90);

/// A hotkey of the demo.
#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub account: Account,
    pub uid: u16,
}

/// Who plays.
#[derive(Clone, Debug)]
pub struct Cast {
    pub netuid: u16,
    pub genesis: Digest,
    pub owner: Key,
    pub miners: Vec<Key>,
    pub validators: Vec<Key>,
    /// Index of the miner that cheats, if one does.
    pub cheat: usize,
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let patience = Duration::from_secs(60);
    Ok(Client::connect(url, Options { timeout: patience, inclusion_timeout: patience }).await?)
}

/// Found the subnet, make and register everybody.
pub async fn set(demo: &Demo, url: &str) -> anyhow::Result<Cast> {
    let chain = connect(url).await?;
    let coldkey = Keypair::from_uri("//Alice")?;
    let wallets = demo.out.join("wallets");
    let make = |name: &str| -> anyhow::Result<Keypair> {
        let hotkey = Keypair::generate();
        let location = WalletLocation::new(&wallets, "demo", name);
        if location.coldkey_path().exists() {
            Wallet::create_hotkey(&location, &hotkey)?;
        } else {
            Wallet::create(&location, &coldkey, &hotkey)?;
        }
        Ok(hotkey)
    };
    let owner = make("orchestrator")?;
    let (netuid, _) = chain.register_network(&coldkey, &owner.account()).await.context("founding the subnet")?;
    chain.start_call(&coldkey, netuid).await.context("starting the subnet")?;
    chain
        .sudo_set(&coldkey, "sudo_set_tempo", &[("netuid", netuid.into()), ("tempo", TEMPO.into())])
        .await
        .context("setting the tempo")?;
    let key = |name: &str, pair: &Keypair, uid: u16| Key { name: name.to_owned(), account: pair.account(), uid };
    let mut cast = Cast {
        netuid,
        genesis: Digest(chain.genesis_hash()),
        owner: key("orchestrator", &owner, 0),
        miners: Vec::new(),
        validators: Vec::new(),
        cheat: 0,
    };
    for i in 1..=2 {
        let name = format!("validator-{i}");
        let pair = make(&name)?;
        let (uid, _) = chain
            .burned_register(&coldkey, netuid, &pair.account())
            .await
            .with_context(|| format!("registering {name}"))?;
        chain
            .add_stake(&coldkey, &pair.account(), netuid, STAKE)
            .await
            .with_context(|| format!("staking on {name}"))?;
        cast.validators.push(key(&name, &pair, uid));
    }
    for i in 1..=3 * demo.miners_per_stage {
        let name = format!("miner-{i}");
        let pair = make(&name)?;
        let (uid, _) = chain
            .burned_register(&coldkey, netuid, &pair.account())
            .await
            .with_context(|| format!("registering {name}"))?;
        cast.miners.push(key(&name, &pair, uid));
    }
    cast.cheat = cast.miners.len().saturating_sub(2);
    Ok(cast)
}

/// The run's one TOML and its token shards.
pub fn prepare(demo: &Demo, cast: &Cast) -> anyhow::Result<Prepared> {
    let plan = format!(
        r#"
name = "demo"
netuid = {netuid}
seed = {seed}

[model]
vocab = 256
d_model = 128
heads = 4
kv_heads = 2
d_ff = 352
stages = [2, 2, 2]

[training]
sequence_length = 128
sequences_per_sample = 8
samples_per_round = 8
rounds_per_epoch = {rounds}
epochs = {epochs}

[training.optimiser]
learning_rate = 0.004
warmup_steps = 5

[training.outer]
learning_rate = 0.9
momentum = 0.3

[epoch]
min_miners_per_stage = 1
max_miners_per_stage = 8
gather_ms = 4000
sample_timeout_ms = 20000
liveness_timeout_ms = 8000
anchor_blocks = 60
merge_timeout_ms = 30000

[audit]
beacon_delay_blocks = 2
samples_per_miner = 4
steps_per_miner = 1
window_blocks = 200
opening_timeout_ms = 12000
"#,
        netuid = cast.netuid,
        seed = demo.seed,
        rounds = demo.rounds,
        epochs = demo.epochs,
    );
    run::prepare(&plan, &demo.data, None, &demo.out, cast.genesis, cast.owner.account)
}

/// The metagraph once the chain has run an epoch on the last weights.
pub async fn paid(url: &str, cast: &Cast) -> anyhow::Result<Metagraph> {
    let chain = connect(url).await?;
    let after = chain.head().await?.number;
    let until = tokio::time::Instant::now() + PAY;
    loop {
        let clock = chain.epoch_clock(cast.netuid).await?;
        if clock.last_epoch_block > u64::from(after) || tokio::time::Instant::now() >= until {
            return Ok(chain.metagraph(cast.netuid, None).await?);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
