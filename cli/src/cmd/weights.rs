//! `starling weights`

mod batch;
mod check;
mod keep;
mod plan;
mod process;
mod sealing;
mod set;
mod simulate;
mod vector;

pub(crate) use vector::{Fit, Who, fit_to, parse};

use clap::{Args, Subcommand};
use serde_json::json;
use starling_chain::Mechanism;

use crate::{Global, output};

/// Weights that a validator sets.
#[derive(Debug, Args)]
pub struct Weights {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the weights that a uid has set.
    Show {
        /// The subnet.
        #[arg(long)]
        netuid: u16,
        /// The validator.
        uid: u16,
        /// The mechanism of the subnet.
        #[arg(long, default_value_t = 0)]
        mechanism: u8,
        /// Read at this block.
        #[arg(long, value_name = "BLOCK")]
        at: Option<u32>,
    },
    /// Set weights once: at once, or by a timelocked commit where the subnet wants one.
    Set(set::Set),
    /// Set weights on several subnets in one transaction.
    Batch(batch::Batch),
    /// What the official clients would make of weights, without a chain.
    Process(process::Process),
    /// When would weights committed now be revealed?
    Plan(plan::Plan),
    /// Commits that wait for their reveal.
    Commits(plan::Commits),
    /// Would the chain take these weights now? Every rule, with the value read and the value needed.
    Check(check::Check),
    /// Keep a file's weights on chain in every epoch, over crashes and for months.
    Keep(keep::Keep),
    /// What would the next epoch give everybody: as things are, or with one validator's weights replaced?
    Simulate(simulate::Simulate),
}

impl Weights {
    /// Whether it is a daemon.
    pub fn goes_on(&self) -> bool {
        matches!(self.action, Action::Keep(_))
    }

    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        match self.action {
            Action::Show { netuid, uid, mechanism, at } => {
                let chain = global.chain().await?;
                let weights =
                    chain.weights(Mechanism { netuid, id: mechanism }, uid, super::at(&chain, at).await?).await?;
                if global.json {
                    let rows: Vec<_> =
                        weights.iter().map(|(uid, weight)| json!({ "uid": uid, "weight": weight })).collect();
                    return output::json(
                        &json!({ "netuid": netuid, "mechanism": mechanism, "uid": uid, "weights": rows }),
                    );
                }
                let mut table = output::table(&["uid", "weight", "share"]);
                let total: f64 = weights.iter().map(|(_, w)| f64::from(*w)).sum();
                for (uid, weight) in weights {
                    table.add_row([
                        uid.to_string(),
                        weight.to_string(),
                        format!("{:.2} %", 100.0 * f64::from(weight) / total.max(1.0)),
                    ]);
                }
                output::line(&table.to_string());
            }
            Action::Check(c) => c.run(global).await?,
            Action::Keep(c) => c.run(global).await?,
            Action::Simulate(c) => c.run(global).await?,
            Action::Set(c) => c.run(global).await?,
            Action::Batch(c) => c.run(global).await?,
            Action::Process(c) => c.run(global)?,
            Action::Plan(c) => c.run(global).await?,
            Action::Commits(c) => c.run(global).await?,
        }
        Ok(())
    }
}
