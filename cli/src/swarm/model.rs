//! `starling model`

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;
use starling_commitment::{Canonical, Limits};
use starling_model::{Device, Sampling, Tokenizer, checkpoint, generate};

use crate::{Global, compute::Compute, output};

/// Assemble, export and try a trained model.
#[derive(Debug, Args)]
pub struct Model {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make one safetensors file of the stages' weight blobs.
    Export {
        /// The run's TOML.
        #[arg(long)]
        run: PathBuf,
        /// Weight blobs, stage 0 first.
        #[arg(required = true)]
        stages: Vec<PathBuf>,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Continue a text with a checkpoint.
    Sample {
        /// A safetensors file made by `export`.
        checkpoint: PathBuf,
        /// The beginning.
        #[arg(long, default_value = "The ")]
        prompt: String,
        /// Tokens to add.
        #[arg(long, default_value_t = 200)]
        tokens: usize,
        /// 0 takes the likeliest token.
        #[arg(long, default_value_t = 0.8)]
        temperature: f64,
        /// Seed of the draws.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// A tokenizer.json; bytes are tokens if left out.
        #[arg(long)]
        tokenizer: Option<PathBuf>,
        /// Tokens of context.
        #[arg(long, default_value_t = 128)]
        context: usize,
        #[command(flatten)]
        compute: Compute,
    },
}

impl Model {
    /// Where to compute, for the command that does.
    pub fn compute(&self) -> Option<&Compute> {
        match &self.action {
            Action::Sample { compute, .. } => Some(compute),
            Action::Export { .. } => None,
        }
    }
}

/// Read a weight blob.
pub fn read_blob(path: &std::path::Path) -> anyhow::Result<Canonical> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Canonical::decode(bytes.into(), Limits::default()).with_context(|| format!("{} is no weight blob", path.display()))
}

impl Model {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        match self.action {
            Action::Export { run, stages, out } => {
                let config = super::run::load(&run)?;
                let blobs = stages.iter().map(|p| read_blob(p)).collect::<anyhow::Result<Vec<_>>>()?;
                checkpoint::save(&config.model, &blobs, &out)?;
                if global.json {
                    return output::json(
                        &json!({ "file": out, "parameters": blobs.iter().map(Canonical::elements).sum::<u64>() }),
                    );
                }
                output::line(&format!("{}", out.display()));
            }
            Action::Sample { checkpoint: file, prompt, tokens, temperature, seed, tokenizer, context, compute } => {
                let tokenizer = match tokenizer {
                    Some(path) => Tokenizer::from_file(&path)?,
                    None => Tokenizer::bytes(),
                };
                let (config, stages) = checkpoint::load(&file, None)?;
                let sampling = Sampling { tokens, temperature, seed, context };
                let text = generate(
                    &config,
                    &stages,
                    &tokenizer,
                    &prompt,
                    &sampling,
                    &Device::open_with(&compute.device, compute.threads.into())?,
                )?;
                if global.json {
                    return output::json(&json!({ "text": text }));
                }
                output::line(&text);
            }
        }
        Ok(())
    }
}
