//! `starling metagraph --watch`: a metagraph that follows the chain's final blocks, for as long as one likes.
//!
//! A node that is lost is waited for; what is shown next is then the newest block. Only what no waiting heals ends it: a subnet that is
//! no more, a runtime that cannot be read.

use std::{collections::BTreeSet, io::IsTerminal as _};

use futures::StreamExt as _;
use serde_json::{Value as Json, json};
use starling_chain::{ChainError, Client, Column, Selection, diff};

use super::{
    diff::rows,
    show::{Form, View, document},
};
use crate::{exit::Usage, output};

/// Clears the terminal and puts the cursor in its corner.
const CLEAR: &str = "\x1b[2J\x1b[H";
/// Moves with every block, whatever happens.
const RESTLESS: &str = "burn";

/// The neurons at one block.
struct Moment {
    block: u32,
    /// All of them, so that who passes a filter and who does not can be compared.
    all: Json,
    /// Those that were asked for.
    wanted: BTreeSet<u64>,
}

/// Follows until the process is told to end.
pub async fn run(view: &View, chain: &Client) -> anyhow::Result<()> {
    if view.form == Form::Csv {
        return Err(Usage("--watch prints changes, which have no --csv form: take --json".into()).into());
    }
    let draws = view.form == Form::Table && std::io::stdout().is_terminal();
    let mut last: Option<Moment> = None;
    let mut shown = None;
    let mut ill = false;
    let mut blocks = chain.blocks().await?;
    while let Some(block) = blocks.next().await {
        let result = match block {
            // Blocks that went by while the last one was read.
            Ok(block) if shown.is_some_and(|shown| block.number <= shown) => continue,
            Ok(block) if draws => view.read(chain, Some(block.hash)).await.map(|text| {
                output::line(&format!("{CLEAR}{text}"));
                shown = Some(block.number);
            }),
            Ok(_) => match Moment::read(view, chain).await {
                Ok(moment) => {
                    tell(view, last.as_ref(), &moment)?;
                    shown = Some(moment.block);
                    last = Some(moment);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(()) => ill = false,
            Err(error) if lasts(&error) => return Err(error),
            Err(error) => {
                if !ill {
                    tracing::warn!("{error:#}; waiting for the chain");
                }
                ill = true;
            }
        }
    }
    Ok(())
}

/// Whether waiting changes nothing.
fn lasts(error: &anyhow::Error) -> bool {
    use ChainError::{Absent, Arguments, Invalid, NotFound};
    let chain = error.downcast_ref::<ChainError>();
    chain.is_none_or(|error| matches!(error, Absent { .. } | Arguments { .. } | Invalid(_) | NotFound(_)))
}

impl Moment {
    async fn read(view: &View, chain: &Client) -> anyhow::Result<Self> {
        let columns = &view.choice.columns;
        if columns.is_empty() {
            let graph = chain.mechagraph(view.of, None).await?;
            let wanted = view.uids(&Selection::of(&graph, Column::ALL)).into_iter().collect();
            return Ok(Self { block: graph.block, all: serde_json::to_value(graph)?, wanted });
        }
        // Who is who, whatever is shown of them.
        let shown: Vec<Column> = [&[Column::Uid, Column::Hotkey], &columns[..]].concat();
        let selection = chain.columns(view.of, &view.choice.needed(&shown), None).await?;
        let rows: Vec<_> = selection.rows.iter().map(Vec::as_slice).collect();
        let wanted = view.uids(&selection).into_iter().collect();
        Ok(Self { block: selection.block.number, all: document(&selection, &shown, &rows)?, wanted })
    }

    /// As the first line of a stream: with the neurons that were asked for only.
    fn snapshot(&self) -> Json {
        let mut all = self.all.clone();
        if let Some(Json::Array(neurons)) = all.get_mut("neurons") {
            neurons.retain(|neuron| {
                neuron.get("uid").and_then(Json::as_u64).is_some_and(|uid| self.wanted.contains(&uid))
            });
        }
        all
    }
}

/// What is new since the last moment: the whole at first, then one line of JSON, or a line for each change.
fn tell(view: &View, last: Option<&Moment>, now: &Moment) -> anyhow::Result<()> {
    let as_json = view.form == Form::Json;
    let Some(last) = last else {
        if as_json {
            return output::json_line(&json!({ "event": "snapshot", "metagraph": now.snapshot() }));
        }
        output::line(&format!(
            "subnet {} at block {}: {}; what changes follows",
            view.of.netuid,
            now.block,
            output::counted(now.wanted.len(), "neuron")
        ));
        return Ok(());
    };
    let mut found = diff::diff(&last.all, &now.all).map_err(anyhow::Error::msg)?;
    found.subnet.retain(|change| change.field != RESTLESS);
    found.neurons.retain(|neuron| last.wanted.contains(&neuron.uid) || now.wanted.contains(&neuron.uid));
    if found.subnet.is_empty() && found.neurons.is_empty() {
        return Ok(());
    }
    if as_json {
        return output::json_line(&json!({ "event": "change", "change": found }));
    }
    for [uid, who, what, before, after] in rows(&found) {
        let who = if uid.is_empty() { String::new() } else { format!(" uid {uid} {who}") };
        output::line(&format!("block {}:{who} {what} {before} → {after}", found.to_block));
    }
    Ok(())
}
