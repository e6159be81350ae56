//! Weights as a person gives them: pairs or a file, by uid or by hotkey, fitted to the subnet's limits, quantised.
//!
//! A file is JSON (`{"3": 0.5, "5Grw…": 1}`: uid or hotkey to weight) or CSV (`3,0.5` a line; a first line of words is a header). Numbers are
//! read to the last bit, as Python reads them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::value::RawValue;
use starling_chain::{Client, Mechanism};
use starling_keys::Account;
use starling_yuma::process::{Limits, clip, process};

/// Longest weights file, bytes.
pub const MAX_FILE: u64 = 4 << 20;

/// Whose weight it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A slot, whoever has it.
    Uid(u16),
    /// A neuron, whatever slot it has.
    Hotkey(Account),
}

/// How weights are made to fit the subnet's limits before they are scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Fit {
    /// They are sent as they are.
    #[default]
    AsGiven,
    /// As official release 11.x: none above the subnet's largest share.
    V11,
    /// As `process_weights` of official releases up to 10.x: filled up to the fewest allowed, none above the largest share.
    V10,
}

/// Weights on a subnet.
#[derive(Clone, Debug, Args)]
pub struct Vector {
    /// The subnet.
    #[arg(long)]
    pub netuid: u16,
    /// The mechanism of the subnet.
    #[arg(long, default_value_t = 0)]
    pub mechanism: u8,
    /// `uid=weight` or `hotkey=weight` pairs; weights are any non-negative numbers and are scaled to the largest.
    #[arg(required_unless_present = "file", value_parser = pair)]
    pub weights: Vec<(Who, f64)>,
    /// Read them from a file: JSON (`{"uid": weight, …}`) or CSV (`uid,weight`); hotkeys may stand for uids.
    #[arg(long, value_name = "FILE", conflicts_with = "weights")]
    pub file: Option<PathBuf>,
    /// Fit them to the subnet's limits first.
    #[arg(long, value_enum, default_value_t)]
    pub fit: Fit,
    /// With --fit v10: leave out this part of them, from below, of 65535.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub exclude_quantile: u16,
    /// Weights version key.
    #[arg(long, default_value_t = 0)]
    pub version_key: u64,
}

impl Vector {
    pub fn of(&self) -> Mechanism {
        Mechanism { netuid: self.netuid, id: self.mechanism }
    }

    /// As they are sent: zeros dropped, the largest 65535.
    pub async fn quantised(&self, chain: &Client) -> anyhow::Result<(Vec<u16>, Vec<u16>)> {
        let given = match &self.file {
            Some(file) => read(file)?,
            None => self.weights.clone(),
        };
        let (given, missing) = on_subnet(chain, self.netuid, given).await?;
        if let Some(account) = missing.first() {
            return Err(crate::exit::Refused(format!(
                "hotkey {account} has a weight and is not registered on subnet {} ({} of them)",
                self.netuid,
                missing.len()
            ))
            .into());
        }
        fitted(chain, self.netuid, given, self.fit, self.exclude_quantile).await
    }
}

/// Hotkeys become the uids that they have now; those that have none are told apart.
pub async fn on_subnet(
    chain: &Client,
    netuid: u16,
    given: Vec<(Who, f64)>,
) -> anyhow::Result<(Vec<(u16, f64)>, Vec<Account>)> {
    let named = given.iter().any(|(who, _)| matches!(who, Who::Hotkey(_)));
    let graph = if named { Some(chain.metagraph(netuid, None).await?) } else { None };
    let mut weights = BTreeMap::new();
    let mut missing = Vec::new();
    for (who, weight) in given {
        let uid = match who {
            Who::Uid(uid) => uid,
            Who::Hotkey(account) => match graph.as_ref().and_then(|g| g.by_hotkey(&account)) {
                Some(neuron) => neuron.uid,
                None => {
                    missing.push(account);
                    continue;
                }
            },
        };
        ensure!(weights.insert(uid, weight).is_none(), "uid {uid} has two weights");
    }
    Ok((weights.into_iter().collect(), missing))
}

/// Fitted to the subnet's limits, then scaled and rounded.
pub async fn fitted(
    chain: &Client,
    netuid: u16,
    weights: Vec<(u16, f64)>,
    fit: Fit,
    exclude_quantile: u16,
) -> anyhow::Result<(Vec<u16>, Vec<u16>)> {
    let (uids, values): (Vec<u16>, Vec<f64>) = weights.into_iter().unzip();
    let (uids, values) = match fit {
        Fit::AsGiven => (uids, values),
        Fit::V11 | Fit::V10 => {
            let neurons = u16::try_from(chain.metagraph(netuid, None).await?.neurons.len()).unwrap_or(u16::MAX);
            let (min_allowed, max) = chain.weight_limits(netuid).await?;
            let limits = Limits { min_allowed: min_allowed.into(), max, exclude_quantile };
            fit_to(fit, &uids, &values, neurons, &limits)?
        }
    };
    starling_chain::weights::quantise(&uids, &values).context("these weights cannot be set")
}

/// The pure part of [`fitted`].
pub fn fit_to(
    fit: Fit,
    uids: &[u16],
    values: &[f64],
    neurons: u16,
    limits: &Limits,
) -> anyhow::Result<(Vec<u16>, Vec<f64>)> {
    Ok(match fit {
        Fit::AsGiven => (uids.to_vec(), values.to_vec()),
        // Release 11 leaves them as they are where every share is allowed.
        Fit::V11 if limits.max >= 1.0 => (uids.to_vec(), values.to_vec()),
        Fit::V11 => (uids.to_vec(), clip(values, limits.max)?),
        Fit::V10 => process(uids, values, neurons, limits)?,
    })
}

/// `uid=weight` or `hotkey=weight`.
pub fn pair(text: &str) -> Result<(Who, f64), String> {
    let (who, weight) = text.split_once('=').ok_or("write uid=weight, such as 3=0.5")?;
    Ok((who_is(who)?, weight_is(weight)?))
}

fn who_is(text: &str) -> Result<Who, String> {
    let text = text.trim();
    if let Ok(uid) = text.parse() {
        return Ok(Who::Uid(uid));
    }
    text.parse().map(Who::Hotkey).map_err(|_| format!("`{text}` is neither a uid (0 to 65535) nor a hotkey's address"))
}

fn weight_is(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let weight: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if weight.is_finite() && weight >= 0.0 {
        Ok(weight)
    } else {
        Err(format!("weight {weight} must be finite and not negative"))
    }
}

/// Read a weights file.
pub fn read(path: &Path) -> anyhow::Result<Vec<(Who, f64)>> {
    parse(&text(path)?).with_context(|| format!("{} holds no weights", path.display()))
}

/// A weights file's text, at most [`MAX_FILE`] bytes.
pub fn text(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let length = std::fs::metadata(path).with_context(|| format!("cannot read {name}"))?.len();
    ensure!(length <= MAX_FILE, "{name} has {length} bytes, at most {MAX_FILE} are read");
    std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))
}

/// Weights from JSON or CSV text, each neuron once, at least one above zero.
pub fn parse(text: &str) -> anyhow::Result<Vec<(Who, f64)>> {
    let weights = if text.trim_start().starts_with(['{', '[']) { from_json(text)? } else { from_csv(text)? };
    let mut seen = std::collections::BTreeSet::new();
    for (who, _) in &weights {
        ensure!(seen.insert(*who), "{who:?} has two weights");
    }
    ensure!(weights.iter().any(|(_, w)| *w > 0.0), "it weighs nobody: at least one weight must be above zero");
    Ok(weights)
}

fn from_json(text: &str) -> anyhow::Result<Vec<(Who, f64)>> {
    let parsed: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(text).context("it is not JSON of the form {\"uid\": weight, …}")?;
    let read = |(who, weight): (String, Box<RawValue>)| -> Result<(Who, f64), String> {
        Ok((who_is(&who)?, weight_is(weight.get()).map_err(|e| format!("{who}: {e}"))?))
    };
    parsed.into_iter().map(read).collect::<Result<_, _>>().map_err(anyhow::Error::msg)
}

fn from_csv(text: &str) -> anyhow::Result<Vec<(Who, f64)>> {
    let mut weights = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let read = || -> Result<(Who, f64), String> {
            let (who, weight) = line.split_once([',', ';', '\t']).ok_or("it has no comma: write uid,weight")?;
            Ok((who_is(who)?, weight_is(weight)?))
        };
        match read() {
            Ok(pair) => weights.push(pair),
            // A header has no digit where the number should be.
            Err(_) if weights.is_empty() && number == 1 && !line.contains(|c: char| c.is_ascii_digit()) => {}
            Err(error) => bail!("line {number} (`{}`): {error}", line.chars().take(40).collect::<String>()),
        }
    }
    Ok(weights)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn json_and_csv_with_uids_and_hotkeys_say_the_same() {
        let json = parse(&format!("{{\"3\": 0.5, \"{ALICE}\": 1e1}}")).unwrap();
        let csv = parse(&format!("who,weight\n# mine\n3,0.5\n\n{ALICE};10\n")).unwrap();
        assert_eq!(json, csv);
        assert_eq!(json, [(Who::Uid(3), 0.5), (Who::Hotkey(ALICE.parse().unwrap()), 10.0)]);
    }

    #[test]
    fn numbers_are_read_to_the_last_bit() {
        // A JSON reader's quick way is one bit off here.
        let digits = "0.00029037773492746055";
        let read = parse(&format!("{{\"1\": {digits}}}")).unwrap();
        assert_eq!(read[0].1.to_bits(), digits.parse::<f64>().unwrap().to_bits());
    }

    #[test]
    fn what_is_no_weights_is_refused_with_the_place() {
        for (text, words) in [
            ("[1, 2]", "is not JSON of the form"),
            ("{\"1\": \"x\"}", "not a number"),
            ("{\"x\": 1}", "neither a uid"),
            ("{\"1\": -1}", "not negative"),
            ("{\"1\": 0}", "weighs nobody"),
            ("{\"1\": 1, \"01\": 2}", "two weights"),
            ("1,1\n2,x\n", "line 2"),
            ("1,1\n1,2\n", "two weights"),
            ("1 1\n", "no comma"),
            ("", "weighs nobody"),
            ("{\"1\": 1e999}", "finite"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
