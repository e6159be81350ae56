//! `starling metagraph diff`: what changed, and the words for it.

use std::{io::Read as _, path::Path};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value as Json;
use starling_chain::{
    Column, Mechanism, Unit,
    diff::{self, Change, Fate},
};

use super::show;
use crate::{
    Global, cmd,
    exit::{Differs, Refused, Usage},
    output,
};

/// What changed between two metagraphs: of two files, of a file and now, of two blocks.
#[derive(Debug, Args)]
pub struct Diff {
    /// A file that `starling metagraph NETUID --json` wrote; or a subnet, with --from.
    #[arg(value_name = "A.json|NETUID")]
    first: String,
    /// Another file; without it, the first one is compared with the chain as it is now.
    #[arg(value_name = "B.json")]
    second: Option<std::path::PathBuf>,
    /// Compare the subnet at this block …
    #[arg(long, value_name = "BLOCK", conflicts_with = "second")]
    from: Option<u32>,
    /// … with it at this one [default: the newest final].
    #[arg(long, value_name = "BLOCK", requires = "from")]
    to: Option<u32>,
    /// Which mechanism's incentives and updates, with --from.
    #[arg(long, value_name = "M", default_value_t = 0)]
    mechanism: u8,
    /// Only these columns of the neurons (and who comes and goes), comma-separated.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    columns: Vec<Column>,
    /// Exit with 1 if something differs, 0 if nothing does.
    #[arg(long)]
    exit_code: bool,
}

/// Largest file read: ten times a metagraph of 4,096 neurons.
const MAX_FILE: u64 = 64 << 20;

fn file(path: &Path) -> anyhow::Result<Json> {
    let read = || -> anyhow::Result<Json> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        anyhow::ensure!(bytes.len() as u64 <= MAX_FILE, "it has more than {MAX_FILE} bytes");
        Ok(serde_json::from_slice(&bytes)?)
    };
    read()
        .with_context(|| format!("{} is no metagraph as `starling metagraph NETUID --json` prints it", path.display()))
}

impl Diff {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let (before, after) = self.both(global).await?;
        let mut found = diff::diff(&before, &after)
            .map_err(|why| Refused(format!("these are not two metagraphs with uids: {why}")))?;
        only(&mut found, &self.columns);
        let same = found.subnet.is_empty() && found.neurons.is_empty();
        if global.json {
            output::json(&found)?;
        } else if same {
            output::line(&format!("block {} → {}: nothing differs", found.from_block, found.to_block));
        } else {
            output::line(&format!(
                "block {} → {}: {} of the subnet and {} differ",
                found.from_block,
                found.to_block,
                output::counted(found.subnet.len(), "value"),
                output::counted(found.neurons.len(), "neuron")
            ));
            let mut table = output::table(&["uid", "hotkey", "what", "before", "after"]);
            for row in rows(&found) {
                table.add_row(row);
            }
            output::line(&table.to_string());
        }
        if self.exit_code && !same { Err(Differs.into()) } else { Ok(()) }
    }

    async fn both(&self, global: &Global) -> anyhow::Result<(Json, Json)> {
        let path = Path::new(&self.first);
        if let Some(second) = &self.second {
            return Ok((file(path)?, file(second)?));
        }
        if let Some(from) = self.from {
            let netuid = self.first.parse();
            let netuid = netuid
                .map_err(|_| Usage(format!("--from is a block of a subnet: `{}` is no subnet's number", self.first)))?;
            let of = Mechanism { netuid, id: self.mechanism };
            let chain = global.chain().await?;
            let (from, to) = (cmd::at(&chain, Some(from)).await?, cmd::at(&chain, self.to).await?);
            let (before, after) = futures::try_join!(chain.mechagraph(of, from), chain.mechagraph(of, to))?;
            return Ok((serde_json::to_value(before)?, serde_json::to_value(after)?));
        }
        if !path.exists() && self.first.parse::<u16>().is_ok() {
            return Err(Usage(format!("subnet {} between which blocks? Give --from BLOCK", self.first)).into());
        }
        let before = file(path)?;
        let number = |name: &str| before.get(name).and_then(Json::as_u64);
        let netuid = number("netuid").and_then(|n| u16::try_from(n).ok()).context("it names no subnet: no `netuid`")?;
        let id = number("mechanism").and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
        let chain = global.chain().await?;
        // Of another chain, everything would differ and nothing would be meant by it.
        if let Some(block) = number("block").and_then(|n| u32::try_from(n).ok())
            && let Some(hash) = chain.block_hash(block).await?
            && let Some(theirs) = before.get("block_hash").and_then(Json::as_str)
            && theirs != format!("0x{}", hex::encode(hash))
        {
            return Err(Refused(format!(
                "{} is of another chain: its block {block} is {theirs}, here that is 0x{}",
                path.display(),
                hex::encode(hash)
            ))
            .into());
        }
        let after = chain.mechagraph(Mechanism { netuid, id }, None).await?;
        Ok((before, serde_json::to_value(after)?))
    }
}

/// Keeps only these columns' changes, and who came and went; everything, if there are none.
fn only(found: &mut diff::Diff, columns: &[Column]) {
    if columns.is_empty() {
        return;
    }
    found.subnet.clear();
    found.neurons.retain_mut(|neuron| {
        if neuron.fate == Fate::Changed {
            neuron.changes.retain(|change| columns.iter().any(|column| column.name() == change.field));
        }
        !neuron.changes.is_empty()
    });
}

/// Every change as uid, hotkey, what, before, after. Files are foreign: nothing of theirs moves the terminal's cursor.
pub fn rows(found: &diff::Diff) -> Vec<[String; 5]> {
    let cells = |uid: &str, who: &str, change: &Change| {
        let value = |value| readable(&change.field, value);
        [uid.to_owned(), who.to_owned(), change.field.clone(), value(&change.before), value(&change.after)]
    };
    let mut rows: Vec<_> = found.subnet.iter().map(|change| cells("", "", change)).collect();
    for neuron in &found.neurons {
        let (uid, who) = (neuron.uid.to_string(), neuron.hotkey.chars().take(6).collect::<String>());
        let whole = |before: &str, after: &str, what: &str| {
            [uid.clone(), who.clone(), what.to_owned(), before.to_owned(), after.to_owned()]
        };
        match neuron.fate {
            // Who came and who went is one change, not one of every value.
            Fate::Registered => rows.push(whole("", &neuron.hotkey, "registered")),
            Fate::Gone => rows.push(whole(&neuron.hotkey, "", "gone")),
            Fate::Replaced => {
                let was = neuron.changes.iter().find(|change| change.field == "hotkey");
                let was = was.and_then(|change| change.before.as_str()).unwrap_or_default();
                rows.push(whole(was, &neuron.hotkey, "replaced"));
            }
            Fate::Changed => rows.extend(neuron.changes.iter().map(|change| cells(&uid, &who, change))),
        }
    }
    rows.into_iter().map(|row| row.map(|text| output::clean(&text))).collect()
}

/// A value in the units of a table.
fn readable(field: &str, value: &Json) -> String {
    let unit = match field {
        "burn" => Some(Unit::Rao),
        "kappa" => Some(Unit::Share),
        _ => field.parse::<Column>().ok().map(Column::unit),
    };
    match (value, unit) {
        (Json::Null, _) => String::new(),
        (Json::Number(number), Some(unit)) => {
            number.as_u64().map_or_else(|| number.to_string(), |n| show::amount(unit, n))
        }
        (Json::Bool(flag), _) => if *flag { "yes" } else { "no" }.to_owned(),
        (Json::Object(axon), Some(Unit::Axon)) => {
            axon.get("address").and_then(Json::as_str).unwrap_or_default().to_owned()
        }
        (Json::String(text), _) => text.clone(),
        (other, _) => other.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_told_in_the_units_of_the_table_and_cannot_steer_the_terminal() {
        let neuron = |uid: u64, hotkey: &str, stake: u64, name: &str| json!({ "uid": uid, "hotkey": hotkey, "total_stake": stake, "incentive": 65_535, "note": name });
        let a = json!({ "block": 1, "tempo": 10, "neurons": [neuron(0, "alice", 1_500_000_000, "x"), neuron(1, "bob", 1, "")] });
        let b = json!({ "block": 2, "tempo": 20, "neurons": [neuron(0, "alice", 2_500_000_000, "\u{1b}[2J"), neuron(1, "car\u{7}ol", 1, ""), neuron(2, "dave", 0, "")] });
        let mut found = diff::diff(&a, &b).unwrap();
        assert_eq!(
            rows(&found),
            [
                ["", "", "tempo", "10", "20"],
                ["0", "alice", "note", "x", "[2J"],
                ["0", "alice", "total_stake", "1.5000", "2.5000"],
                ["1", "carol", "replaced", "bob", "carol"],
                ["2", "dave", "registered", "", "dave"],
            ]
        );
        only(&mut found, &[Column::Incentive]);
        let fates: Vec<_> = found.neurons.iter().map(|neuron| neuron.fate).collect();
        assert_eq!((found.subnet.len(), fates), (0, vec![Fate::Replaced, Fate::Registered]));
    }
}
