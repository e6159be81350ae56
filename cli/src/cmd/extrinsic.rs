//! `starling extrinsic`, and what `--dry-run` of every writing command prints.

use std::path::PathBuf;

use anyhow::{Context, anyhow, ensure};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use starling_chain::{ChainError, Landed, Rehearsal, Unsigned};
use starling_keys::Signature;

use crate::{Global, output};

/// Longest file of an unsigned transaction, bytes: a call of the chain has under 100 kB.
const MAX_FILE: u64 = 4 << 20;

/// Transactions that are signed on another machine.
#[derive(Debug, Args)]
pub struct Extrinsic {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a transaction that was signed elsewhere, and wait for the same proofs as if it had been signed here.
    ///
    /// FILE is what a command printed with `--dry-run --json`. The signature is sr25519 over the bytes in its `payload`: on the machine
    /// with the key, `starling wallet sign --hex --key coldkey PAYLOAD` makes it.
    Submit {
        /// What `--dry-run --json` printed.
        file: PathBuf,
        /// The signature, 128 hex digits, with or without 0x.
        #[arg(long)]
        signature: String,
    },
}

impl Extrinsic {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let Action::Submit { file, signature } = self.action;
        let path = file.display();
        let length = std::fs::metadata(&file).with_context(|| format!("cannot read {path}"))?.len();
        ensure!(length <= MAX_FILE, "{path} has {length} bytes, at most {MAX_FILE} are read");
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {path}"))?;
        let unsigned = Unsigned::read(&text).with_context(|| format!("{path}"))?;
        let digits = signature.strip_prefix("0x").unwrap_or(&signature);
        let mut signature = Signature([0; 64]);
        hex::decode_to_slice(digits, &mut signature.0)
            .map_err(|_| anyhow!("a signature is 128 hex digits, {} characters were given", digits.len()))?;
        global.no_dry_run("extrinsic submit")?;
        let (landed, sent) = global.chain().await?.submit_signed(&unsigned, &signature).await?;
        if global.json {
            let events: Vec<String> =
                sent.events.iter().map(|event| format!("{}.{}", event.pallet, event.name)).collect();
            return output::json(&json!({
                "call": unsigned.call, "signer": unsigned.signer, "block": sent.block.number, "index": sent.index,
                "extrinsic": format!("0x{}", hex::encode(sent.extrinsic_hash)), "fee_rao": sent.fee, "events": events,
                "landed": landed.as_ref().map(landed_json),
            }));
        }
        output::line(&format!(
            "{} of {} is in block {} and did what it says, for a fee of {} TAO",
            unsigned.call,
            unsigned.signer,
            sent.block.number,
            output::tao(sent.fee)
        ));
        if let Some(landed) = &landed {
            output::line(&landed_text(landed));
        }
        Ok(())
    }
}

/// What storage held in the transaction's block, for programs.
fn landed_json(landed: &Landed) -> Value {
    let hash = |hash: &[u8]| format!("0x{}", hex::encode(hash));
    match landed {
        Landed::Weights { of, uid, weights } => {
            let weights: Vec<_> = weights.iter().map(|(uid, weight)| json!({ "uid": uid, "weight": weight })).collect();
            json!({ "what": "weights", "netuid": of.netuid, "mechanism": of.id, "uid": uid, "weights": weights })
        }
        Landed::Commit { of, commit } => json!({
            "what": "commit", "netuid": of.netuid, "mechanism": of.id, "hash": hash(&commit.hash), "epoch": commit.epoch,
            "block": commit.block,
        }),
        Landed::Timelocked { of, commit } => json!({
            "what": "timelocked_commit", "netuid": of.netuid, "mechanism": of.id, "hash": hash(&commit.hash),
            "epoch": commit.epoch, "block": commit.block, "round": commit.round,
        }),
        Landed::Commitment { netuid, commitment } => json!({
            "what": "commitment", "netuid": netuid, "data": hex::encode(&commitment.data), "block": commitment.block,
        }),
        _ => Value::Null,
    }
}

/// The same for a person.
fn landed_text(landed: &Landed) -> String {
    match landed {
        Landed::Weights { of, uid, weights } => {
            let shown: Vec<String> = weights.iter().map(|(uid, weight)| format!("{uid}={weight}")).collect();
            format!("uid {uid} of subnet {} has these weights on chain: {}", of.netuid, shown.join(" "))
        }
        Landed::Commit { of, commit } => format!(
            "the commit 0x{} waits on subnet {} for its reveal; it belongs to epoch {}",
            hex::encode(commit.hash),
            of.netuid,
            commit.epoch
        ),
        Landed::Timelocked { of, commit } => format!(
            "the timelocked commit 0x{} waits on subnet {} for round {} of the beacon; it belongs to epoch {}",
            hex::encode(commit.hash),
            of.netuid,
            commit.round,
            commit.epoch
        ),
        Landed::Commitment { netuid, commitment } => {
            format!("subnet {netuid} holds the commitment 0x{}", hex::encode(&commitment.data))
        }
        _ => String::new(),
    }
}

/// Prints what a write would have been, if that is why the command ended; gives any other error back.
pub fn show(global: &Global, error: anyhow::Error) -> anyhow::Result<()> {
    let Some(ChainError::Rehearsed(rehearsal)) = error.downcast_ref::<ChainError>() else { return Err(error) };
    if global.json {
        let mut json = serde_json::to_value(rehearsal)?;
        if let Value::Object(json) = &mut json {
            json.insert("dry_run".into(), true.into());
            json.insert("ready".into(), rehearsal.ready().into());
        }
        return output::json(&json);
    }
    print(rehearsal);
    Ok(())
}

fn print(rehearsal: &Rehearsal) {
    let Rehearsal { unsigned, fee_rao, checks } = rehearsal;
    output::line(&format!("{} (nothing was sent: this is a dry run)", unsigned.call));
    for (name, value) in unsigned.args.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        output::line(&format!("  {name} = {text}"));
    }
    let fee = fee_rao
        .map_or_else(|| "the runtime does not say".to_owned(), |rao| format!("{} TAO ({rao} rao)", output::tao(rao)));
    output::line(&format!("signer     {}", unsigned.signer));
    output::line(&format!("nonce      {}", unsigned.nonce));
    output::line(&format!("blocks     {} to {}", unsigned.birth.number, unsigned.last_valid()));
    output::line(&format!("tip        {} rao", unsigned.tip));
    output::line(&format!("fee        {fee}"));
    output::line(&format!("runtime    {}", unsigned.spec_version));
    output::line(&format!("call data  {}", unsigned.call_data));
    output::line(&format!("to sign    {}", unsigned.payload));
    let mut table = output::table(&["", "rule", "read", "needed"]);
    for check in checks {
        let mark = if check.holds { "✓" } else { "✗" };
        let mut needed = check.needed.clone();
        if let (Some(_), Some(remedy)) = (check.heals_in_blocks, check.remedy()) {
            needed.push_str(&format!(" ({remedy})"));
        }
        table.add_row([mark, check.rule, &check.read, &needed]);
    }
    output::line(&table.to_string());
    output::line(if rehearsal.ready() {
        "no rule known here is broken"
    } else {
        "the chain would refuse it: see ✗ above"
    });
    output::line(
        "to sign elsewhere: add --json and keep the output; sign its payload (`starling wallet sign --hex`); \
         then `starling extrinsic submit FILE --signature 0x…`, before its last block",
    );
}
