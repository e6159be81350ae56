//! Which columns and which neurons of a metagraph a person wants to see, in which order.
//!
//! Pure but for the wallet that `--mine` asks. A condition is `COLUMN OP VALUE` in the units of the table: TAO, shares of 1 (or per
//! cent), blocks; several must all hold.

use std::str::FromStr;

use clap::Args;
use starling_chain::{Cell, Column, Selection, Unit};
use starling_keys::Account;

use crate::{Global, output};

/// What of a metagraph is shown.
#[derive(Clone, Debug, Default, Args)]
pub struct Choice {
    /// Only these columns, comma-separated: uid, hotkey, coldkey, active, validator_permit, last_update, emission, dividends, incentive,
    /// consensus, validator_trust, alpha_stake, tao_stake, total_stake, axon, block_at_registration; rank, trust and pruning_score
    /// on older runtimes. Short: permit, updated, vtrust, stake, alpha, tao, registered.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    pub columns: Vec<Column>,
    /// Order by this column; with a minus before it (or --reverse) the largest first.
    #[arg(long, value_name = "[-]COLUMN", allow_hyphen_values = true)]
    sort: Option<Order>,
    /// The other way round.
    #[arg(long)]
    reverse: bool,
    /// Only neurons of which this holds: `permit`, `!permit`, `stake>=1000` (TAO), `incentive>1%`, `updated<5000`, `coldkey=5F…`.
    /// With = != < <= > >=; several must all hold.
    #[arg(long = "filter", value_name = "CONDITION")]
    filters: Vec<Condition>,
    /// Only the first N.
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Only these slots, comma-separated.
    #[arg(long = "uid", value_delimiter = ',', value_name = "UID,…")]
    uids: Vec<u16>,
    /// Only neurons whose hotkey or coldkey is one of these, comma-separated.
    #[arg(long = "account", value_delimiter = ',', value_name = "ADDRESS,…")]
    accounts: Vec<Account>,
    /// Only the neurons of the chosen wallet's coldkey and hotkey.
    #[arg(long)]
    mine: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Order {
    column: Column,
    falling: bool,
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, falling) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        Ok(Self { column: name.parse()?, falling })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Test {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// Longer ones first: `<=` begins with `<`.
const TESTS: [(&str, Test); 6] = [
    ("!=", Test::Unequal),
    ("<=", Test::AtMost),
    (">=", Test::AtLeast),
    ("=", Test::Equal),
    ("<", Test::Less),
    (">", Test::More),
];

/// What a column's values are compared with, and how.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    column: Column,
    test: Test,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    /// A flag that is set, an axon that is served.
    Yes,
    Number(u64),
    /// Of a thousand million: shares are compared exactly.
    Share(u64),
    Account(Account),
}

/// The whole that a share of a condition is a part of.
const WHOLE: u64 = 1_000_000_000;

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (negated, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let found = rest.find(['!', '<', '>', '=']).and_then(|at| {
            let (name, tail) = rest.split_at(at);
            TESTS.iter().find_map(|(sign, test)| Some((name.trim(), *test, tail.strip_prefix(sign)?.trim())))
        });
        let Some((name, test, value)) = found else {
            let column: Column = rest.parse()?;
            if !matches!(column.unit(), Unit::Flag | Unit::Axon) {
                return Err(format!("`{text}`: {column} is not a yes or no: write {column}=VALUE or {column}>VALUE"));
            }
            let test = if negated { Test::Unequal } else { Test::Equal };
            return Ok(Self { column, test, wanted: Wanted::Yes });
        };
        let column: Column = name.parse()?;
        if negated {
            return Err(format!("`{text}`: ! goes before a yes or no alone; write {column}!={value}"));
        }
        let is_order = !matches!(test, Test::Equal | Test::Unequal);
        let wrong = |what: &str| format!("`{text}`: {column} is compared with {what}, not `{value}`");
        let wanted = match column.unit() {
            Unit::Uid | Unit::Block => Wanted::Number(value.parse().map_err(|_| wrong("a whole number"))?),
            Unit::Rao => Wanted::Number(output::to_rao(value).map_err(|_| wrong("an amount such as 12.5"))?),
            Unit::Share => {
                Wanted::Share(output::share(value, WHOLE).map_err(|_| wrong("a share such as 0.25 or 25%"))?)
            }
            _ if is_order => return Err(format!("`{text}`: {column} has no order; only = and != can be asked of it")),
            Unit::Account => Wanted::Account(value.parse().map_err(|_| wrong("an address"))?),
            Unit::Flag | Unit::Axon => {
                let test = match (value, test) {
                    ("yes" | "true", test) => test,
                    ("no" | "false", Test::Equal) => Test::Unequal,
                    ("no" | "false", _) => Test::Equal,
                    _ => return Err(wrong("yes or no")),
                };
                return Ok(Self { column, test, wanted: Wanted::Yes });
            }
        };
        Ok(Self { column, test, wanted })
    }
}

impl Condition {
    fn holds(&self, cell: Cell) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let order = match (cell, &self.wanted) {
            (Cell::Number(number), Wanted::Number(wanted)) => number.cmp(wanted),
            (Cell::Number(share), Wanted::Share(parts)) => {
                (u128::from(share) * u128::from(WHOLE)).cmp(&(u128::from(*parts) * 65_535))
            }
            (Cell::Account(account), Wanted::Account(wanted)) => account.cmp(wanted),
            (Cell::Flag(flag), Wanted::Yes) => flag.cmp(&true),
            (Cell::Axon(axon), Wanted::Yes) => axon.is_some().cmp(&true),
            // What this runtime does not have is nothing of which anything holds.
            _ => return false,
        };
        match self.test {
            Test::Equal => order == Equal,
            Test::Unequal => order != Equal,
            Test::Less => order == Less,
            Test::AtMost => order != Greater,
            Test::More => order == Greater,
            Test::AtLeast => order != Less,
        }
    }
}

impl Choice {
    /// `--mine` as the accounts it stands for.
    pub fn resolve(&mut self, global: &Global) -> anyhow::Result<()> {
        if self.mine {
            self.accounts.push(global.location()?.coldkey_account()?);
            // A wallet that only holds a coldkey is one too.
            self.accounts.extend(global.hotkey_account());
        }
        Ok(())
    }

    /// All columns that must be read to show `shown`.
    pub fn needed(&self, shown: &[Column]) -> Vec<Column> {
        let mut needed = shown.to_vec();
        needed.push(Column::Uid);
        needed.extend(self.sort.map(|order| order.column));
        needed.extend(self.filters.iter().map(|condition| condition.column));
        if !self.accounts.is_empty() {
            needed.extend([Column::Hotkey, Column::Coldkey]);
        }
        needed
    }

    /// The rows wanted, in the order wanted.
    pub fn rows<'a>(&self, of: &'a Selection) -> Vec<&'a [Cell]> {
        let cell = |row: &[Cell], column| of.cell(row, column).unwrap_or(Cell::Absent);
        let wanted = |row: &&[Cell]| {
            let is_mine = |cell| matches!(cell, Cell::Account(account) if self.accounts.contains(&account));
            let uid = cell(row, Column::Uid);
            (self.uids.is_empty() || self.uids.iter().any(|wanted| uid == Cell::Number((*wanted).into())))
                && (self.accounts.is_empty()
                    || is_mine(cell(row, Column::Hotkey))
                    || is_mine(cell(row, Column::Coldkey)))
                && self.filters.iter().all(|condition| condition.holds(cell(row, condition.column)))
        };
        let mut rows: Vec<&[Cell]> = of.rows.iter().map(Vec::as_slice).filter(wanted).collect();
        if let Some(order) = self.sort {
            rows.sort_by(|a, b| {
                let rising = cell(a, order.column).order(&cell(b, order.column));
                if order.falling { rising.reverse() } else { rising }
            });
        }
        if self.reverse {
            rows.reverse();
        }
        rows.truncate(self.top.unwrap_or(usize::MAX));
        rows
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_chain::BlockRef;

    use super::*;

    /// Four neurons: total stake in rao, permit, incentive of 65535.
    fn selection() -> Selection {
        let rows = [(5_000_000_000, true, 655), (1, false, 656), (5_000_000_001, true, 0), (0, false, 65_535)];
        let row = |(uid, (stake, permit, incentive))| {
            vec![Cell::Number(uid), Cell::Number(stake), Cell::Flag(permit), Cell::Number(incentive), Cell::Absent]
        };
        Selection {
            block: BlockRef { number: 1, hash: [0; 32] },
            netuid: 1,
            mechanism: 0,
            tempo: 10,
            alone: true,
            columns: vec![Column::Uid, Column::TotalStake, Column::ValidatorPermit, Column::Incentive, Column::Rank],
            rows: (0..).zip(rows).map(row).collect(),
        }
    }

    fn uids(choice: &Choice) -> Vec<u64> {
        let of = selection();
        let uid = |row: &&[Cell]| if let Cell::Number(uid) = row[0] { uid } else { u64::MAX };
        choice.rows(&of).iter().map(uid).collect()
    }

    #[test]
    fn conditions_are_exact_and_all_must_hold() {
        let with = |filters: &[&str]| {
            uids(&Choice { filters: filters.iter().map(|f| f.parse().unwrap()).collect(), ..Default::default() })
        };
        assert_eq!(with(&["stake>5"]), [2], "a rao counts");
        assert_eq!(with(&["total_stake >= 5"]), [0, 2]);
        assert_eq!(with(&["stake=5.000000001"]), [2]);
        assert_eq!(with(&["permit"]), [0, 2]);
        assert_eq!(with(&["!permit"]), [1, 3]);
        assert_eq!((with(&["permit=no"]), with(&["permit!=no"])), (vec![1, 3], vec![0, 2]));
        // 1 % of 65535 is 655.35.
        assert_eq!(with(&["incentive>1%"]), [1, 3]);
        assert_eq!(with(&["incentive<=0.01"]), [0, 2]);
        assert_eq!(with(&["incentive=100%"]), [3]);
        assert_eq!(with(&["permit", "incentive>0"]), [0]);
        assert_eq!(with(&["rank>=0"]), [0_u64; 0], "nothing holds of what is not there");
    }

    #[test]
    fn order_slots_and_top() {
        let sorted = |sort: &str, reverse, top| {
            uids(&Choice { sort: Some(sort.parse().unwrap()), reverse, top, ..Default::default() })
        };
        assert_eq!(sorted("stake", false, None), [3, 1, 0, 2]);
        assert_eq!(sorted("-stake", false, Some(2)), [2, 0]);
        assert_eq!(sorted("-stake", true, None), [3, 1, 0, 2]);
        assert_eq!(sorted("permit", false, None), [1, 3, 0, 2], "ties keep the order of uids");
        assert_eq!(uids(&Choice { uids: vec![3, 1, 9], ..Default::default() }), [1, 3]);
    }

    #[test]
    fn what_is_no_condition_is_said_to_be_none() {
        for (bad, why) in [
            ("stakes>1", "`stakes` is no column"),
            ("stake", "write total_stake=VALUE"),
            ("stake>", "an amount"),
            ("stake>-1", "an amount"),
            ("incentive>1.5", "a share"),
            ("uid=x", "a whole number"),
            ("permit>yes", "has no order"),
            ("permit=2", "yes or no"),
            ("!stake>1", "write total_stake!=1"),
            ("hotkey=5F", "an address"),
            ("", "is no column"),
            ("stake=!1", "an amount"),
        ] {
            let said = bad.parse::<Condition>().unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }
}
