//! `starling run`

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;
use starling_keys::Account;
use starling_model::data::{Corpus, Tokenizer};
use starling_protocol::{
    Digest,
    config::{DataConfig, RunConfig},
};

use crate::{Global, output};

/// Prepare a run.
#[derive(Debug, Args)]
pub struct Run {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make token shards from text and write the run's one TOML.
    Init {
        /// Plan of the run: a TOML without genesis, orchestrator and data, which are filled in.
        #[arg(long)]
        plan: PathBuf,
        /// A text file or a folder of them.
        #[arg(long)]
        data: PathBuf,
        /// A tokenizer.json; bytes are tokens if left out.
        #[arg(long)]
        tokenizer: Option<PathBuf>,
        /// Folder for run.toml and the shards.
        #[arg(long)]
        out: PathBuf,
    },
    /// Check a run's TOML and print its id.
    Check {
        /// The TOML.
        file: PathBuf,
    },
}

/// A run that is ready to start.
#[derive(Debug)]
pub struct Prepared {
    /// The whole run.
    pub config: RunConfig,
    /// Its TOML.
    pub file: PathBuf,
    /// Folder with the shards.
    pub shards: PathBuf,
    /// Tokens in all.
    pub tokens: u64,
}

/// Make shards and TOML. `plan` is TOML text without `genesis`, `orchestrator` and `[data]`.
pub fn prepare(
    plan: &str,
    data: &Path,
    tokenizer: Option<&Path>,
    out: &Path,
    genesis: Digest,
    orchestrator: Account,
) -> anyhow::Result<Prepared> {
    let tokenizer = match tokenizer {
        Some(path) => Tokenizer::from_file(path)?,
        None => Tokenizer::bytes(),
    };
    let shards = out.join("shards");
    std::fs::create_dir_all(&shards).with_context(|| format!("cannot make {}", shards.display()))?;
    let corpus = Corpus::write(data, &tokenizer, &shards)?;
    for skipped in &corpus.skipped {
        tracing::info!("skipped {}: {}", skipped.path.display(), skipped.reason);
    }
    let mut table: toml::Table = plan.parse().context("the plan does not parse")?;
    table.insert("genesis".into(), genesis.to_string().into());
    table.insert("orchestrator".into(), orchestrator.to_string().into());
    table.insert("data".into(), toml::Value::try_from(DataConfig { manifest: corpus.digest })?);
    let config = RunConfig::from_toml(&toml::to_string(&table)?)?;
    anyhow::ensure!(
        u64::from(config.model.vocab) >= u64::from(corpus.manifest.vocab),
        "the tokenizer has {} tokens, model.vocab is {}: raise it",
        corpus.manifest.vocab,
        config.model.vocab
    );
    let file = out.join("run.toml");
    std::fs::write(&file, config.to_toml()?).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Prepared { config, file, shards, tokens: corpus.manifest.tokens })
}

/// Read and check a run's TOML.
pub fn load(file: &Path) -> anyhow::Result<RunConfig> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read the run's file {}", file.display()))?;
    RunConfig::from_toml(&text).with_context(|| file.display().to_string())
}

impl Run {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        match self.action {
            Action::Init { plan, data, tokenizer, out } => {
                let plan = std::fs::read_to_string(&plan).with_context(|| format!("cannot read {}", plan.display()))?;
                let orchestrator = global.hotkey()?.account();
                let genesis = Digest(global.chain().await?.genesis_hash());
                let prepared = prepare(&plan, &data, tokenizer.as_deref(), &out, genesis, orchestrator)?;
                if global.json {
                    return output::json(
                        &json!({ "run": prepared.config.id(), "file": prepared.file, "shards": prepared.shards, "tokens": prepared.tokens }),
                    );
                }
                output::line(&format!(
                    "run {} with {} tokens: {}",
                    prepared.config.id(),
                    prepared.tokens,
                    prepared.file.display()
                ));
            }
            Action::Check { file } => {
                let config = load(&file)?;
                if global.json {
                    return output::json(
                        &json!({ "run": config.id(), "name": config.name, "stages": config.stages(), "netuid": config.netuid }),
                    );
                }
                output::line(&format!(
                    "run {} `{}`: {} stages on subnet {}",
                    config.id(),
                    config.name,
                    config.stages(),
                    config.netuid
                ));
            }
        }
        Ok(())
    }
}
