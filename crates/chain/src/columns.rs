//! Some columns of a metagraph: only what is asked for is read, where the runtime can answer so.
//!
//! Invariant: every cell is at one block, and is what the whole metagraph has there. `get_selective_metagraph` takes numbers for the
//! parts (chain.md 2), which no metadata names: an answer that lacks a part asked for is not believed, and the whole is read instead.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::Serialize;
use starling_keys::Account;

use crate::{
    Axon, BlockRef, ChainError, Client, Mechanism, Metagraph, Neuron,
    metagraph::{no_subnet, read_axon},
    value::{ShapeError, Value},
};

const API: &str = "SubnetInfoRuntimeApi";
/// Parts of the subnet itself that every selection has: its tempo and its number of neurons.
const TEMPO: u16 = 8;
const NUM_UIDS: u16 = 30;

/// What a column counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Slots.
    Uid,
    /// Accounts.
    Account,
    /// Yes or no.
    Flag,
    /// Block numbers.
    Block,
    /// rao, of TAO or alpha.
    Rao,
    /// Parts of 65535.
    Share,
    /// Where it serves.
    Axon,
}

/// One list of name, number and field of the answer makes the enum and all that is known of it: they cannot disagree.
macro_rules! columns {
    ($($(#[$doc:meta])* $column:ident $name:literal $unit:ident $index:expr, $list:literal, $of:expr;)*) => {
        /// A column of the metagraph: a field of [`Neuron`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Column {
            $($(#[$doc])* $column,)*
        }

        impl Column {
            /// Every one, in the order of [`Neuron`].
            pub const ALL: &[Self] = &[$(Self::$column,)*];

            /// Its name: the field's.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$column => $name,)* }
            }

            /// What it counts.
            #[must_use]
            pub fn unit(self) -> Unit {
                match self { $(Self::$column => Unit::$unit,)* }
            }

            /// Its number in `get_selective_metagraph` and its field in the answer; `None` for what that does not have.
            pub(crate) fn part(self) -> Option<(u16, &'static str)> {
                match self { $(Self::$column => Option::<u16>::map($index, |index| (index, $list)),)* }
            }

            fn of(self, neuron: &Neuron) -> Cell {
                match self { $(Self::$column => { let of: fn(&Neuron) -> Cell = $of; of(neuron) })* }
            }
        }
    };
}

columns! {
    /// Its slot.
    Uid "uid" Uid None, "", |n| Cell::Number(n.uid.into());
    /// Its hotkey.
    Hotkey "hotkey" Account Some(52), "hotkeys", |n| Cell::Account(n.hotkey);
    /// Who owns that.
    Coldkey "coldkey" Account Some(53), "coldkeys", |n| Cell::Account(n.coldkey);
    /// Has set weights lately.
    Active "active" Flag Some(56), "active", |n| Cell::Flag(n.active);
    /// May set weights on others.
    ValidatorPermit "validator_permit" Flag Some(57), "validator_permit", |n| Cell::Flag(n.validator_permit);
    /// Block of the last weights.
    LastUpdate "last_update" Block Some(59), "last_update", |n| Cell::Number(n.last_update);
    /// Alpha paid in the last epoch.
    Emission "emission" Rao Some(60), "emission", |n| Cell::Number(n.emission);
    /// Share of the validators' pay.
    Dividends "dividends" Share Some(61), "dividends", |n| Cell::Number(n.dividends.into());
    /// Share of the miners' pay.
    Incentive "incentive" Share Some(62), "incentives", |n| Cell::Number(n.incentive.into());
    /// Median of the weights on it.
    Consensus "consensus" Share Some(63), "consensus", |n| Cell::Number(n.consensus.into());
    /// How much of a validator's weights consensus kept.
    ValidatorTrust "validator_trust" Share None, "", |n| Cell::Number(n.validator_trust.into());
    /// Alpha staked.
    AlphaStake "alpha_stake" Rao Some(67), "alpha_stake", |n| Cell::Number(n.alpha_stake);
    /// TAO staked on the root network.
    TaoStake "tao_stake" Rao Some(68), "tao_stake", |n| Cell::Number(n.tao_stake);
    /// Both, weighted.
    TotalStake "total_stake" Rao Some(69), "total_stake", |n| Cell::Number(n.total_stake);
    /// Where it serves.
    Axon "axon" Axon Some(55), "axons", |n| Cell::Axon(n.axon);
    /// Block of its registration.
    BlockAtRegistration "block_at_registration" Block Some(66), "block_at_registration", |n| Cell::Number(n.block_at_registration);
    /// Only on runtimes of before June 2026.
    Rank "rank" Share Some(65), "rank", |n| n.rank.into();
    /// Only on runtimes of before June 2026.
    Trust "trust" Share Some(64), "trust", |n| n.trust.into();
    /// Only on runtimes of before June 2026.
    PruningScore "pruning_score" Share Some(58), "pruning_score", |n| n.pruning_score.into();
}

impl Column {
    /// For each of the three, a node works out everybody's stake anew; for the whole metagraph once.
    fn is_stake(self) -> bool {
        matches!(self, Self::AlphaStake | Self::TaoStake | Self::TotalStake)
    }

    /// Whether this runtime may not have it.
    fn may_be_absent(self) -> bool {
        matches!(self, Self::Rank | Self::Trust | Self::PruningScore)
    }

    fn read(self, value: &Value) -> Result<Cell, ShapeError> {
        Ok(match self.unit() {
            Unit::Account => Cell::Account(value.account()?),
            Unit::Flag => Cell::Flag(value.truth()?),
            Unit::Share => Cell::Number(value.number::<u16>()?.into()),
            Unit::Axon => Cell::Axon(read_axon(value)?),
            Unit::Uid | Unit::Block | Unit::Rao => Cell::Number(value.number()?),
        })
    }

    /// What a neuron has that the list does not reach, just after its registration.
    fn empty(self) -> Cell {
        match self.unit() {
            _ if self.may_be_absent() => Cell::Absent,
            Unit::Flag => Cell::Flag(false),
            Unit::Axon => Cell::Axon(None),
            _ => Cell::Number(0),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Column {
    type Err = String;

    /// By its name, or by the short one that tables have.
    fn from_str(text: &str) -> Result<Self, String> {
        let name = match text {
            "permit" => "validator_permit",
            "updated" => "last_update",
            "vtrust" => "validator_trust",
            "stake" => "total_stake",
            "alpha" => "alpha_stake",
            "tao" => "tao_stake",
            "registered" => "block_at_registration",
            name => name,
        };
        Self::ALL.iter().copied().find(|column| column.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|column| column.name()).collect();
            format!(
                "`{text}` is no column; there are {} (short: permit, updated, vtrust, stake, alpha, tao, registered)",
                names.join(", ")
            )
        })
    }
}

/// One value of one neuron; its column says in what unit. As JSON it is what [`Neuron`] has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// A slot, a block, rao, or a share of 65535.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// Who.
    Account(Account),
    /// Where it serves, if it does.
    Axon(Option<Axon>),
    /// This runtime does not have it.
    Absent,
}

impl From<Option<u16>> for Cell {
    fn from(share: Option<u16>) -> Self {
        share.map_or(Self::Absent, |share| Self::Number(share.into()))
    }
}

impl Cell {
    /// Numbers by size, accounts by their bytes, no before yes, absent before everything.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        let rank = |cell: &Self| match cell {
            Self::Absent => 0,
            Self::Flag(_) => 1,
            Self::Number(_) => 2,
            Self::Account(_) => 3,
            Self::Axon(_) => 4,
        };
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Flag(a), Self::Flag(b)) => a.cmp(b),
            (Self::Account(a), Self::Account(b)) => a.cmp(b),
            (Self::Axon(a), Self::Axon(b)) => a.map(|axon| axon.address).cmp(&b.map(|axon| axon.address)),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

/// Some columns of all neurons at one block.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The block read at.
    pub block: BlockRef,
    /// The subnet.
    pub netuid: u16,
    /// The mechanism.
    pub mechanism: u8,
    /// Blocks between epochs.
    pub tempo: u16,
    /// What was asked for, each once.
    pub columns: Vec<Column>,
    /// Whether nothing else was read than was asked for.
    pub alone: bool,
    /// By uid: a cell for each column.
    pub rows: Vec<Vec<Cell>>,
}

impl Selection {
    /// These columns of a whole metagraph.
    #[must_use]
    pub fn of(graph: &Metagraph, columns: &[Column]) -> Self {
        let columns = once(columns);
        Self {
            block: BlockRef { number: graph.block, hash: graph.block_hash },
            netuid: graph.netuid,
            mechanism: graph.mechanism,
            tempo: graph.tempo,
            alone: false,
            rows: graph.neurons.iter().map(|neuron| columns.iter().map(|column| column.of(neuron)).collect()).collect(),
            columns,
        }
    }

    /// A row's cell; `None` for a column that was not asked for.
    #[must_use]
    pub fn cell(&self, row: &[Cell], column: Column) -> Option<Cell> {
        row.get(self.columns.iter().position(|one| *one == column)?).copied()
    }
}

fn once(columns: &[Column]) -> Vec<Column> {
    let mut seen = Vec::with_capacity(columns.len());
    for column in columns {
        if !seen.contains(column) {
            seen.push(*column);
        }
    }
    seen
}

/// Whether asking for the parts alone is less work for the node and fewer bytes than the whole.
fn is_less(columns: &[Column]) -> bool {
    columns.len() < Column::ALL.len() && columns.iter().filter(|column| column.is_stake()).count() <= 1
}

impl Client {
    /// Some columns of a mechanism's neurons, at a block hash or at the newest finalized block: read alone where the runtime answers so
    /// and that is less, out of the whole metagraph otherwise.
    ///
    /// # Errors
    /// As [`Client::metagraph`].
    pub async fn columns(
        &self,
        of: impl Into<Mechanism>,
        columns: &[Column],
        at: Option<[u8; 32]>,
    ) -> Result<Selection, ChainError> {
        let (of, columns) = (of.into(), once(columns));
        let block = self.block_at(at).await?;
        let method = if of.id == 0 { "get_selective_metagraph" } else { "get_selective_mechagraph" };
        let runtime = self.runtime(Some(block.hash)).await?;
        if is_less(&columns)
            && runtime.has_api(API, method)
            && let Some(selection) = self.selective(of, method, &columns, block).await?
        {
            return Ok(selection);
        }
        Ok(Selection::of(&self.mechagraph(of, Some(block.hash)).await?, &columns))
    }

    /// `None` if the answer is not what was asked for.
    async fn selective(
        &self,
        of: Mechanism,
        method: &str,
        columns: &[Column],
        block: BlockRef,
    ) -> Result<Option<Selection>, ChainError> {
        let at = Some(block.hash);
        let parts = columns.iter().filter_map(|column| column.part());
        let parts = [TEMPO, NUM_UIDS].into_iter().chain(parts.map(|(index, _)| index));
        let mut arguments = vec![Value::from(of.netuid)];
        if of.id > 0 {
            arguments.push(of.id.into());
        }
        arguments.push(Value::List(parts.map(Value::from).collect()));
        let trust = async {
            if columns.contains(&Column::ValidatorTrust) {
                self.validator_trust(of.netuid, block).await
            } else {
                Ok(None)
            }
        };
        let (answer, trust) = futures::try_join!(self.api(API, method, &arguments, at), trust)?;
        let read = || {
            let Some(graph) = answer.optional()? else { return Ok(None) };
            read_selection(graph, of, block, columns, trust.as_ref()).map(Some)
        };
        match read() {
            Ok(Some(selection)) => Ok(Some(selection)),
            // No subnet or no mechanism: the other way says which.
            Ok(None) if of.id > 0 => Ok(None),
            Ok(None) => Err(no_subnet(of.netuid)),
            Err(ShapeError(reason)) => {
                tracing::debug!(%reason, method, "a selective metagraph that is not as asked for: the whole one is read");
                Ok(None)
            }
        }
    }
}

pub(crate) fn read_selection(
    graph: &Value,
    of: Mechanism,
    block: BlockRef,
    columns: &[Column],
    trust: Option<&Value>,
) -> Result<Selection, ShapeError> {
    let there = |name: &str| graph.get(name)?.optional()?.ok_or_else(|| ShapeError(format!("no {name}")));
    let count: u16 = there("num_uids")?.number()?;
    let tempo = there("tempo")?.number()?;
    let nothing = Value::List(Vec::new());
    let mut rows = vec![Vec::with_capacity(columns.len()); usize::from(count)];
    for column in columns {
        let list = match column.part() {
            Some((_, name)) if column.may_be_absent() => there(name).unwrap_or(&nothing),
            Some((_, name)) => there(name)?,
            None => trust.unwrap_or(&nothing),
        };
        let cells = list.map(|value| column.read(value))?;
        if cells.len() != rows.len() && column.unit() == Unit::Account {
            return Err(ShapeError(format!("{} {column}s of {count} neurons", cells.len())));
        }
        for (uid, row) in (0_u64..).zip(&mut rows) {
            let cell = || cells.get(uid as usize).copied().unwrap_or_else(|| column.empty());
            row.push(if *column == Column::Uid { Cell::Number(uid) } else { cell() });
        }
    }
    Ok(Selection { block, netuid: of.netuid, mechanism: of.id, tempo, alone: true, columns: columns.to_vec(), rows })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_those_of_the_reference_and_every_name_reads_back() {
        for column in Column::ALL {
            assert_eq!(column.name().parse(), Ok(*column));
        }
        let numbers: Vec<_> = Column::ALL.iter().filter_map(|column| column.part()).map(|(index, _)| index).collect();
        // Every list of chain.md 2 from Hotkeys to TotalStake but the identities.
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (52..=69).filter(|index| *index != 54).collect::<Vec<u16>>());
        let said = "stakes".parse::<Column>().unwrap_err();
        assert!(said.contains("`stakes` is no column") && said.contains("total_stake"), "{said}");
    }

    #[test]
    fn an_answer_without_what_was_asked_for_is_not_believed() {
        let some = |value| Value::variant("Some", value);
        let none = || Value::variant("None", Value::Unit);
        let graph = |incentives| {
            Value::record([
                ("num_uids", some(Value::Uint(2))),
                ("tempo", some(Value::Uint(9))),
                ("incentives", incentives),
            ])
        };
        let block = BlockRef { number: 1, hash: [0; 32] };
        let columns = [Column::Incentive, Column::Rank, Column::Uid];
        let read = |graph: &Value| read_selection(graph, 1.into(), block, &columns, None);
        let rows = read(&graph(some(Value::List(vec![Value::Uint(7)])))).unwrap().rows;
        // The list is a neuron short, and this runtime has no ranks.
        let row = |incentive, uid| vec![Cell::Number(incentive), Cell::Absent, Cell::Number(uid)];
        assert_eq!(rows, [row(7, 0), row(0, 1)]);
        assert!(read(&graph(none())).is_err());
    }
}
