//! `starling metagraph`

mod choice;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use starling_chain::{BlockRef, Cell, Client, Column, Mechanism, Selection, Unit};

use self::choice::Choice;
use crate::{Global, exit::Usage, output};

/// A subnet's neurons at the newest final block, or at another: everything is read at that one block.
#[derive(Debug, Args)]
pub struct Metagraph {
    /// The subnet.
    netuid: u16,
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
}

/// Columns of the table if none are named.
const TABLE: [Column; 11] = [
    Column::Uid,
    Column::Hotkey,
    Column::TotalStake,
    Column::ValidatorPermit,
    Column::Active,
    Column::ValidatorTrust,
    Column::Consensus,
    Column::Incentive,
    Column::Dividends,
    Column::Emission,
    Column::LastUpdate,
];

/// Columns asked for, as JSON.
#[derive(Serialize)]
struct Chosen {
    block: u32,
    block_hash: Json,
    netuid: u16,
    mechanism: u8,
    neurons: Vec<Map<String, Json>>,
}

impl Metagraph {
    pub async fn run(mut self, global: &Global) -> anyhow::Result<()> {
        if self.csv && global.json {
            return Err(Usage("--csv and --json are two forms of the same: choose one".into()).into());
        }
        self.choice.resolve(global)?;
        let chain = global.chain().await?;
        let at = super::at(&chain, self.at).await?;
        self.show(&chain, at, global.json).await
    }

    async fn show(&self, chain: &Client, at: Option<[u8; 32]>, as_json: bool) -> anyhow::Result<()> {
        let of = Mechanism { netuid: self.netuid, id: self.mechanism };
        if as_json && self.choice.columns.is_empty() {
            // The whole: what `metagraph diff` and `localnet --fork` read, too.
            let mut graph = chain.mechagraph(of, at).await?;
            let all = Selection::of(&graph, Column::ALL);
            let uids = self.choice.rows(&all).into_iter().filter_map(|row| match all.cell(row, Column::Uid) {
                Some(Cell::Number(uid)) => Some(uid as usize),
                _ => None,
            });
            graph.neurons = uids.filter_map(|uid| graph.neurons.get(uid).cloned()).collect();
            return output::json(&graph);
        }
        let shown = match (&self.choice.columns[..], self.csv) {
            ([], true) => Column::ALL,
            ([], false) => &TABLE,
            (columns, _) => columns,
        };
        let selection = chain.columns(of, &self.choice.needed(shown), at).await?;
        let rows = self.choice.rows(&selection);
        let cells = |row: &[Cell]| -> Vec<Cell> {
            shown.iter().map(|column| selection.cell(row, *column).unwrap_or(Cell::Absent)).collect()
        };
        if as_json {
            let neuron = |row: &&[Cell]| {
                shown
                    .iter()
                    .zip(cells(row))
                    .map(|(c, cell)| Ok((c.name().to_owned(), serde_json::to_value(cell)?)))
                    .collect()
            };
            let BlockRef { number, hash } = selection.block;
            return output::json(&Chosen {
                block: number,
                block_hash: format!("0x{}", hex::encode(hash)).into(),
                netuid: self.netuid,
                mechanism: self.mechanism,
                neurons: rows.iter().map(neuron).collect::<Result<_, serde_json::Error>>()?,
            });
        }
        if self.csv {
            let names: Vec<_> = shown.iter().map(|column| column.name()).collect();
            output::line(&names.join(","));
            for row in rows {
                output::line(&cells(row).iter().map(plain).collect::<Vec<_>>().join(","));
            }
            return Ok(());
        }
        let header: Vec<_> = shown.iter().map(|column| heading(*column)).collect();
        let mut table = output::table(&header);
        let full = !self.choice.columns.is_empty();
        for row in &rows {
            table.add_row(shown.iter().zip(cells(row)).map(|(column, cell)| readable(*column, &cell, full)));
        }
        let mechanism = if self.mechanism > 0 { format!(", mechanism {}", self.mechanism) } else { String::new() };
        let of = if rows.len() == selection.rows.len() { String::new() } else { format!("{} of ", rows.len()) };
        output::line(&format!(
            "subnet {}{mechanism} at block {}: {of}{} neurons, tempo {}",
            self.netuid,
            selection.block.number,
            selection.rows.len(),
            selection.tempo
        ));
        output::line(&table.to_string());
        Ok(())
    }
}

/// A column's name in a table: narrow ones, where there are some.
fn heading(column: Column) -> &'static str {
    match column {
        Column::ValidatorPermit => "permit",
        Column::ValidatorTrust => "vtrust",
        Column::TotalStake => "stake",
        Column::LastUpdate => "updated",
        Column::AlphaStake => "alpha",
        Column::TaoStake => "tao",
        Column::BlockAtRegistration => "registered",
        other => other.name(),
    }
}

/// For a machine: none of these can hold a comma or a quote.
fn plain(cell: &Cell) -> String {
    match cell {
        Cell::Number(number) => number.to_string(),
        Cell::Flag(flag) => flag.to_string(),
        Cell::Account(account) => account.to_string(),
        Cell::Axon(axon) => axon.map(|axon| axon.address.to_string()).unwrap_or_default(),
        Cell::Absent => String::new(),
    }
}

/// For a person. Accounts are cut short unless their column was asked for by name.
fn readable(column: Column, cell: &Cell, full: bool) -> String {
    match (cell, column.unit()) {
        (Cell::Number(rao), Unit::Rao) => output::tao(*rao),
        (Cell::Number(share), Unit::Share) => format!("{:.4}", *share as f64 / 65_535.0),
        (Cell::Flag(flag), _) => if *flag { "yes" } else { "" }.to_owned(),
        (Cell::Account(account), _) if !full => account.short(),
        (cell, _) => plain(cell),
    }
}
