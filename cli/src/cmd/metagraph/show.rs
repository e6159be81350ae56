//! A metagraph as text: a table for people, JSON or comma-separated values for machines.

use serde_json::{Map, Value as Json, json};
use starling_chain::{Cell, Client, Column, Mechanism, Selection, Unit};

use super::choice::Choice;
use crate::output;

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Table,
    Json,
    Csv,
}

/// What is shown, and how.
#[derive(Debug)]
pub struct View {
    pub of: Mechanism,
    pub choice: Choice,
    pub form: Form,
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

impl View {
    /// The text, without the last line's end.
    pub async fn read(&self, chain: &Client, at: Option<[u8; 32]>) -> anyhow::Result<String> {
        let columns = &self.choice.columns[..];
        match self.form {
            Form::Json if columns.is_empty() => {
                // The whole: what `metagraph diff` and `localnet --fork` read, too.
                let mut graph = chain.mechagraph(self.of, at).await?;
                let uids = self.uids(&Selection::of(&graph, Column::ALL));
                let chosen = uids.into_iter().filter_map(|uid| graph.neurons.get(usize::try_from(uid).ok()?).cloned());
                graph.neurons = chosen.collect();
                Ok(serde_json::to_string_pretty(&graph)?)
            }
            Form::Json => {
                let selection = chain.columns(self.of, &self.choice.needed(columns), at).await?;
                let rows = self.choice.rows(&selection);
                Ok(serde_json::to_string_pretty(&document(&selection, columns, &rows)?)?)
            }
            Form::Csv => {
                let shown = if columns.is_empty() { Column::ALL } else { columns };
                let selection = chain.columns(self.of, &self.choice.needed(shown), at).await?;
                let names: Vec<_> = shown.iter().map(|column| column.name()).collect();
                let mut lines = vec![names.join(",")];
                for row in self.choice.rows(&selection) {
                    let cells: Vec<_> = cells(&selection, shown, row).iter().map(plain).collect();
                    lines.push(cells.join(","));
                }
                Ok(lines.join("\n"))
            }
            Form::Table => {
                let shown = if columns.is_empty() { &TABLE } else { columns };
                let selection = chain.columns(self.of, &self.choice.needed(shown), at).await?;
                Ok(self.table(&selection, shown))
            }
        }
    }

    /// The uids wanted, in the order wanted.
    pub fn uids(&self, of: &Selection) -> Vec<u64> {
        let uid = |row: &[Cell]| if let Some(Cell::Number(uid)) = of.cell(row, Column::Uid) { Some(uid) } else { None };
        self.choice.rows(of).into_iter().filter_map(uid).collect()
    }

    fn table(&self, selection: &Selection, shown: &[Column]) -> String {
        let rows = self.choice.rows(selection);
        let header: Vec<_> = shown.iter().map(|column| heading(*column)).collect();
        let full = !self.choice.columns.is_empty();
        let read = |row: &&[Cell]| {
            let cells = cells(selection, shown, row);
            shown.iter().zip(cells).map(|(column, cell)| readable(*column, &cell, full)).collect()
        };
        let table = output::long_table(&header, &rows.iter().map(read).collect::<Vec<_>>());
        let mechanism = if self.of.id > 0 { format!(", mechanism {}", self.of.id) } else { String::new() };
        let part = if rows.len() == selection.rows.len() { String::new() } else { format!("{} of ", rows.len()) };
        format!(
            "subnet {}{mechanism} at block {}: {part}{}, tempo {}\n{table}",
            self.of.netuid,
            selection.block.number,
            output::counted(selection.rows.len(), "neuron"),
            selection.tempo
        )
    }
}

/// Some columns of some neurons, as JSON.
pub fn document(of: &Selection, shown: &[Column], rows: &[&[Cell]]) -> Result<Json, serde_json::Error> {
    let neuron = |row: &&[Cell]| -> Result<Map<String, Json>, serde_json::Error> {
        let cells = cells(of, shown, row);
        shown.iter().zip(cells).map(|(c, cell)| Ok((c.name().to_owned(), serde_json::to_value(cell)?))).collect()
    };
    Ok(json!({
        "block": of.block.number,
        "block_hash": format!("0x{}", hex::encode(of.block.hash)),
        "netuid": of.netuid,
        "mechanism": of.mechanism,
        "neurons": rows.iter().map(neuron).collect::<Result<Vec<_>, _>>()?,
    }))
}

fn cells(of: &Selection, shown: &[Column], row: &[Cell]) -> Vec<Cell> {
    shown.iter().map(|column| of.cell(row, *column).unwrap_or(Cell::Absent)).collect()
}

/// A column's name in a table: a narrow one, where there is one.
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
        (Cell::Number(number), unit) => amount(unit, *number),
        (Cell::Flag(flag), _) => if *flag { "yes" } else { "" }.to_owned(),
        (Cell::Account(account), _) if !full => account.short(),
        (cell, _) => plain(cell),
    }
}

/// A number in its unit, as a person reads it.
pub fn amount(unit: Unit, number: u64) -> String {
    match unit {
        Unit::Rao => output::tao(number),
        Unit::Share => format!("{:.4}", number as f64 / 65_535.0),
        _ => number.to_string(),
    }
}
