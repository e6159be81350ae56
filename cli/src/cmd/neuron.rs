//! `starling neuron`

use std::str::FromStr;

use clap::Args;
use starling_chain::{Entry, Mechanism, NeuronDetail};
use starling_keys::Account;

use crate::{Global, exit::Refused, output};

/// One neuron in depth: stake, registration, immunity, addresses, certificate, weights and bonds.
#[derive(Debug, Args)]
pub struct Neuron {
    /// The subnet.
    netuid: u16,
    /// Its uid or its hotkey; the wallet's hotkey if left out.
    #[arg(value_name = "UID|HOTKEY", conflicts_with = "mine")]
    which: Option<Which>,
    /// All neurons of the wallet's coldkey there.
    #[arg(long)]
    mine: bool,
    /// The mechanism whose incentive, updates, weights and bonds are shown.
    #[arg(long, value_name = "M", default_value_t = 0)]
    mechanism: u8,
    /// Read at this block.
    #[arg(long, value_name = "BLOCK")]
    at: Option<u32>,
}

#[derive(Clone, Debug)]
enum Which {
    Uid(u16),
    Hotkey(Account),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(uid) = text.parse() {
            return Ok(Self::Uid(uid));
        }
        let account =
            text.parse().map_err(|why| format!("neither a uid (0 to 65535) nor a hotkey's address: {why}"))?;
        Ok(Self::Hotkey(account))
    }
}

impl Neuron {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let coldkey = if self.mine { Some(global.location()?.coldkey_account()?) } else { None };
        let which = match self.which {
            Some(which) => which,
            None if self.mine => Which::Uid(0),
            None => Which::Hotkey(global.hotkey_account()?),
        };
        let chain = global.chain().await?;
        let of = Mechanism { netuid: self.netuid, id: self.mechanism };
        let graph = chain.mechagraph(of, super::at(&chain, self.at).await?).await?;
        if let Some(coldkey) = coldkey {
            let uids: Vec<u16> =
                graph.neurons.iter().filter(|neuron| neuron.coldkey == coldkey).map(|neuron| neuron.uid).collect();
            let all = chain.neurons(&graph, &uids).await?;
            if global.json {
                return output::json(&all);
            }
            if all.is_empty() {
                output::line(&format!("{coldkey} has no neuron on subnet {}", self.netuid));
            }
            all.iter().for_each(show);
            return Ok(());
        }
        let (uid, said) = match which {
            Which::Uid(uid) => (graph.neurons.get(usize::from(uid)).map(|n| n.uid), format!("no uid {uid}")),
            Which::Hotkey(hotkey) => (graph.by_hotkey(&hotkey).map(|n| n.uid), format!("no neuron {hotkey}")),
        };
        let found = match uid {
            Some(uid) => chain.neurons(&graph, &[uid]).await?.pop(),
            None => None,
        };
        let Some(found) = found else {
            let (netuid, block, count) = (graph.netuid, graph.block, graph.neurons.len());
            return Err(Refused(format!("subnet {netuid} has {said} at block {block}: its uids are 0 to {}, `starling metagraph {netuid}` shows them", count.saturating_sub(1))).into());
        };
        if global.json {
            return output::json(&found);
        }
        show(&found);
        Ok(())
    }
}

/// For a person. What strangers wrote may not move the terminal's cursor.
fn show(found: &NeuronDetail) {
    let neuron = &found.neuron;
    let share = |share: u16| format!("{:.4}", f64::from(share) / 65_535.0);
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let blocks = |left: u64, over: &str| if left > 0 { format!("{left} blocks") } else { over.to_owned() };
    let none = || "-".to_owned();
    let mut table = output::table(&["", ""]);
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    row("hotkey", neuron.hotkey.to_string());
    row("coldkey", neuron.coldkey.to_string());
    for (name, text) in &found.identity {
        row(name, output::clean(text));
    }
    row(
        "stake",
        format!(
            "{} (alpha {}, TAO {})",
            output::tao(neuron.total_stake),
            output::tao(neuron.alpha_stake),
            output::tao(neuron.tao_stake)
        ),
    );
    row("subnet owner's", yes(found.is_subnet_owner));
    row("validator permit", yes(neuron.validator_permit));
    row(
        "active",
        format!("{}, for {}", yes(neuron.active), blocks(found.activity_left, "no block more without weights")),
    );
    row("registered", format!("block {}", neuron.block_at_registration));
    row("immune", blocks(found.immunity_left, "no: may be pruned"));
    row("last weights", format!("block {}, {} blocks ago", neuron.last_update, found.weights_age));
    row("incentive", share(neuron.incentive));
    row("dividends", share(neuron.dividends));
    row("consensus", share(neuron.consensus));
    row("validator trust", share(neuron.validator_trust));
    row("emission", format!("{} alpha in the last epoch", output::tao(neuron.emission)));
    row("axon", neuron.axon.map_or_else(none, |a| format!("{} since block {}", a.address, a.block)));
    row("prometheus", found.prometheus.map_or_else(none, |p| format!("{} since block {}", p.address, p.block)));
    row("certificate", found.certificate.as_ref().map_or_else(none, |c| format!("{} {}", c.algorithm, c.public_key)));
    row("weights", list(&found.weights));
    row("bonds", list(&found.bonds));
    let mechanism = if found.mechanism > 0 { format!(", mechanism {}", found.mechanism) } else { String::new() };
    output::line(&format!("subnet {}{mechanism}, uid {}, at block {}", found.netuid, neuron.uid, found.block));
    output::line(&table.to_string());
}

/// The largest few, as `uid: share of the sum`.
fn list(entries: &[Entry]) -> String {
    const SHOWN: usize = 8;
    if entries.is_empty() {
        return "-".to_owned();
    }
    let mut sorted = entries.to_vec();
    sorted.sort_by_key(|entry| std::cmp::Reverse(entry.value));
    let sum: f64 = entries.iter().map(|entry| f64::from(entry.value)).sum();
    let share = |entry: &Entry| format!("{}: {:.4}", entry.uid, f64::from(entry.value) / sum.max(1.0));
    let largest: Vec<_> = sorted.iter().take(SHOWN).map(share).collect();
    let rest = if sorted.len() > SHOWN { format!(", and {} more", sorted.len() - SHOWN) } else { String::new() };
    format!("{}{rest}", largest.join(", "))
}
