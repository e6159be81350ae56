//! `starling metagraph`

mod choice;
mod diff;
mod show;
mod watch;

use clap::{Args, Subcommand};
use starling_chain::Mechanism;

use self::{
    choice::Choice,
    show::{Form, View},
};
use crate::{Global, exit::Usage, output};

/// A subnet's neurons at the newest final block, or at another: everything is read at that one block.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Metagraph {
    #[command(subcommand)]
    other: Option<Other>,
    /// The subnet.
    #[arg(required = true)]
    netuid: Option<u16>,
    /// Read at this block. Nodes keep old state for a while only (archive nodes for ever).
    #[arg(long, value_name = "BLOCK")]
    at: Option<u32>,
    /// Which mechanism's incentives and updates; all else is the subnet's.
    #[arg(long, value_name = "M", default_value_t = 0)]
    mechanism: u8,
    #[command(flatten)]
    choice: Choice,
    /// Comma-separated values, first a line of names; amounts in rao, shares of 65535, as with --json.
    #[arg(long)]
    csv: bool,
    /// Follow the final blocks until Ctrl-C: a table that is drawn anew, or, where stdout is no terminal, what changed from block to
    /// block (with --json a line each, the first of them the metagraph). The price of a registration, which moves always, is left out.
    #[arg(long, conflicts_with = "at")]
    watch: bool,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// What changed between two metagraphs: of two files, of a file and now, of two blocks.
    Diff(diff::Diff),
}

impl Metagraph {
    pub async fn run(mut self, global: &Global) -> anyhow::Result<()> {
        if let Some(Other::Diff(diff)) = self.other {
            return diff.run(global).await;
        }
        let Some(netuid) = self.netuid else { return Err(Usage("which subnet? Give its number".into()).into()) };
        let form = match (global.json, self.csv) {
            (true, true) => return Err(Usage("--csv and --json are two forms of the same: choose one".into()).into()),
            (true, false) => Form::Json,
            (false, true) => Form::Csv,
            (false, false) => Form::Table,
        };
        self.choice.resolve(global)?;
        let view = View { of: Mechanism { netuid, id: self.mechanism }, choice: self.choice, form };
        let chain = global.chain().await?;
        if self.watch {
            return watch::run(&view, &chain).await;
        }
        let at = super::at(&chain, self.at).await?;
        output::line(&view.read(&chain, at).await?);
        Ok(())
    }
}
