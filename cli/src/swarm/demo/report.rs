//! The end: a table per miner, the loss curve, a checkpoint, text from it, and whether every promise was kept.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use serde_json::json;
use starling_chain::Metagraph;
use starling_miner::Adversary;
use starling_model::{Device, Sampling, Tokenizer, checkpoint, generate, loss_curve_svg};

use super::{Demo, stage::Cast, watch::Seen};
use crate::{Global, exit::PromiseBroken, model::read_blob, output, run::Prepared};

#[allow(clippy::too_many_arguments)]
pub fn show(
    demo: &Demo,
    global: &Global,
    prepared: &Prepared,
    cast: &Cast,
    seen: &Seen,
    graph: &Metagraph,
    adversary: Option<Adversary>,
    took: Duration,
) -> anyhow::Result<()> {
    let points: Vec<(f64, f64)> = seen.points.iter().enumerate().map(|(i, p)| (i as f64, p.loss)).collect();
    let curve = demo.out.join("loss.svg");
    let svg = loss_curve_svg(&points, "Loss of the swarm, one point per round")
        .map_err(|e| anyhow::anyhow!("the loss curve cannot be drawn: {e}"))?;
    std::fs::write(&curve, svg).with_context(|| curve.display().to_string())?;

    let stages =
        seen.last_weights.iter().map(|d| read_blob(&find(demo, cast, d)?)).collect::<anyhow::Result<Vec<_>>>()?;
    let model = demo.out.join("model.safetensors");
    checkpoint::save(&prepared.config.model, &stages, &model)?;
    let sampling = Sampling {
        tokens: 160,
        temperature: 0.7,
        seed: demo.seed,
        context: prepared.config.training.sequence_length as usize,
    };
    let text = generate(&prepared.config.model, &stages, &Tokenizer::bytes(), "The ", &sampling, &Device::CPU)?;

    let first = points.first().map_or(f64::NAN, |p| p.1);
    let tail = points.len().min(5);
    let last = points.iter().rev().take(5).map(|p| p.1).sum::<f64>() / tail.max(1) as f64;
    let (tokens, speed) = throughput(seen);

    let mut rows = Vec::new();
    let mut broken = Vec::new();
    let mut require = |kept: bool, what: String| {
        if !kept {
            broken.push(what);
        }
    };
    require(
        first - last >= demo.margin,
        format!("the loss fell from {first:.3} to {last:.3}, by {} is needed", demo.margin),
    );
    for (i, key) in cast.miners.iter().enumerate() {
        let m = seen.miners.get(&key.uid).cloned().unwrap_or_default();
        let neuron = graph.neurons.iter().find(|n| n.uid == key.uid);
        let incentive = neuron.map_or(0, |n| n.incentive);
        let weights: Vec<u16> =
            seen.weights.values().map(|w| w.iter().find(|(u, _)| *u == key.uid).map_or(0, |(_, v)| *v)).collect();
        let cheats = adversary.filter(|_| i == cast.cheat);
        match cheats {
            // Its receipts never entered the ledger: there is nothing to audit.
            Some(how @ Adversary::BadSignature) => {
                let words = seen.last_words.get(&key.name);
                require(
                    words.is_some_and(|w| w.contains("not signed by")),
                    format!("the adversary uid {} ({how}) was not turned away: {words:?}", key.uid),
                );
                require(incentive == 0, format!("the adversary uid {} has incentive {incentive} on chain", key.uid));
            }
            Some(how) => {
                require(m.failed > 0, format!("the adversary uid {} ({how}) was not caught", key.uid));
                require(incentive == 0, format!("the adversary uid {} has incentive {incentive} on chain", key.uid));
            }
            None if seen.killed == Some(key.uid) => {}
            None => {
                require(
                    m.failed == 0,
                    format!("honest uid {} failed an audit: {}", key.uid, m.finding.clone().unwrap_or_default()),
                );
                require(m.passed > 0, format!("honest uid {} was never audited", key.uid));
                require(incentive > 0, format!("honest uid {} has no incentive on chain", key.uid));
            }
        }
        rows.push((key, m, weights, incentive, neuron.map_or(0, |n| n.emission), cheats));
    }
    for key in &cast.validators {
        let set = seen.weights.get(&key.name).is_some_and(|w| !w.is_empty());
        require(set, format!("{}'s weights are not on chain", key.name));
    }
    require(
        seen.epochs_audited > demo.epochs,
        format!("{} audits closed, {} are needed", seen.epochs_audited, demo.epochs + 1),
    );

    if global.json {
        let miners: Vec<_> = rows
            .iter()
            .map(|(key, m, weights, incentive, emission, cheats)| {
                json!({ "uid": key.uid, "name": key.name, "stage": m.stage, "backwards": m.samples, "audits_passed": m.passed, "audits_failed": m.failed,
                        "finding": m.finding, "weights": weights, "incentive": incentive, "emission_rao": emission, "adversary": cheats.map(|a| a.to_string()),
                        "last_words": seen.last_words.get(&key.name) })
            })
            .collect();
        output::json(
            &json!({ "seconds": took.as_secs_f64(), "loss_first": first, "loss_last": last, "tokens": tokens, "tokens_per_second": speed,
            "miners": miners, "loss_curve": curve, "checkpoint": model, "text": text, "broken": broken }),
        )?;
    } else {
        let mut table =
            output::table(&["uid", "stage", "samples", "audits", "weights", "incentive", "emission (α)", ""]);
        for (key, m, weights, incentive, emission, cheats) in &rows {
            table.add_row([
                key.uid.to_string(),
                m.stage.map_or_else(String::new, |s| s.to_string()),
                m.samples.to_string(),
                format!("{} passed, {} failed", m.passed, m.failed),
                weights.iter().map(u16::to_string).collect::<Vec<_>>().join(" / "),
                format!("{:.4}", f64::from(*incentive) / 65_535.0),
                output::tao(*emission),
                cheats.map_or_else(String::new, |a| format!("cheats: {a}")),
            ]);
        }
        output::line(&table.to_string());
        for (key, m, ..) in &rows {
            if let Some(finding) = &m.finding {
                output::line(&format!("uid {}: {finding}", key.uid));
            }
        }
        output::line(&format!(
            "loss {first:.3} -> {last:.3} in {} steps; {tokens} tokens, {speed:.0} tokens/s while training; {:.0} s in all",
            points.len(),
            took.as_secs_f64()
        ));
        output::line(&format!("loss curve  {}", curve.display()));
        output::line(&format!("checkpoint  {}", model.display()));
        output::line(&format!("it says: {text:?}"));
    }
    if broken.is_empty() {
        if !global.json {
            output::line(
                "every promise was kept: the loss fell, the honest passed, the cheat was caught and earns nothing, weights are on chain",
            );
        }
        return Ok(());
    }
    Err(PromiseBroken(broken.join("\n")).into())
}

/// Tokens in all, and per second while rounds follow each other (the waits between epochs left out).
fn throughput(seen: &Seen) -> (u64, f64) {
    let tokens: u64 = seen.points.iter().map(|p| p.tokens).sum();
    let mut gaps: Vec<u64> = seen.points.windows(2).map(|w| w[1].at_ms.saturating_sub(w[0].at_ms)).collect();
    gaps.sort_unstable();
    let median = gaps.get(gaps.len() / 2).copied().unwrap_or(0).max(1);
    let per_round = seen.points.first().map_or(0, |p| p.tokens);
    (tokens, per_round as f64 * 1000.0 / median as f64)
}

/// A blob in some miner's store: `network/blobs/<two digits>/<digest>`.
fn find(demo: &Demo, cast: &Cast, digest: &str) -> anyhow::Result<PathBuf> {
    let shelf = digest.get(..2).unwrap_or_default();
    cast.miners
        .iter()
        .map(|k| demo.out.join(&k.name).join("network").join("blobs").join(shelf).join(digest))
        .find(|p| p.exists())
        .with_context(|| format!("no miner holds the last weights {digest}"))
}
