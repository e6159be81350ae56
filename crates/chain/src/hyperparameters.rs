//! A subnet's hyperparameters, whatever form the runtime gives them in.
//!
//! Invariant: the newest form the runtime has is used (v3, a list of names and values, else v2, else v1); every entry is kept by its
//! name, known to this client or not.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    ChainError, Client,
    metagraph::no_subnet,
    value::{ShapeError, Value},
};

/// A hyperparameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Hyper {
    /// On or off.
    Flag(bool),
    /// Blocks, counts, rao, shares of 65535.
    Number(u128),
    /// A fixed-point number.
    Fraction(f64),
}

/// All hyperparameters of a subnet. As JSON it is one object, name to value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hyperparameters {
    /// Blocks between epochs.
    #[serde(skip)]
    pub tempo: u16,
    /// Whether weights are committed and revealed rather than set.
    #[serde(skip)]
    pub commit_reveal_enabled: bool,
    /// Epochs between commit and reveal.
    #[serde(skip)]
    pub commit_reveal_period: u64,
    /// Blocks between two settings of weights.
    #[serde(skip)]
    pub weights_rate_limit: u64,
    /// Lowest version key taken with weights.
    #[serde(skip)]
    pub weights_version: u64,
    /// Fewest weights a validator may set.
    #[serde(skip)]
    pub min_allowed_weights: u16,
    /// Every entry by its name on chain.
    #[serde(flatten)]
    pub all: BTreeMap<String, Hyper>,
}

impl Hyperparameters {
    /// A number by its name on chain.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u128> {
        if let Some(Hyper::Number(number)) = self.all.get(name) { Some(*number) } else { None }
    }

    /// A flag by its name on chain.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        if let Some(Hyper::Flag(flag)) = self.all.get(name) { Some(*flag) } else { None }
    }

    pub(crate) fn new(all: BTreeMap<String, Hyper>) -> Result<Self, ShapeError> {
        fn number<T: TryFrom<u128>>(all: &BTreeMap<String, Hyper>, name: &str) -> Result<T, ShapeError> {
            match all.get(name) {
                Some(Hyper::Number(number)) => {
                    T::try_from(*number).map_err(|_| ShapeError(format!("{name} is {number}, too large")))
                }
                _ => Err(ShapeError(format!("no number `{name}`"))),
            }
        }
        let Some(Hyper::Flag(commit_reveal_enabled)) = all.get("commit_reveal_weights_enabled").copied() else {
            return Err(ShapeError("no flag `commit_reveal_weights_enabled`".into()));
        };
        Ok(Self {
            tempo: number(&all, "tempo")?,
            commit_reveal_enabled,
            commit_reveal_period: number(&all, "commit_reveal_period")?,
            weights_rate_limit: number(&all, "weights_rate_limit")?,
            weights_version: number(&all, "weights_version")?,
            min_allowed_weights: number(&all, "min_allowed_weights")?,
            all,
        })
    }
}

impl Client {
    /// A subnet's hyperparameters now.
    ///
    /// # Errors
    /// [`ChainError::NotFound`] if there is no such subnet, [`ChainError::Absent`], [`ChainError::Decode`], and those of the connection.
    pub async fn hyperparameters(&self, netuid: u16) -> Result<Hyperparameters, ChainError> {
        self.hyperparameters_at(netuid, None).await
    }

    /// The same at a block hash, or now.
    ///
    /// # Errors
    /// As [`Client::hyperparameters`].
    pub async fn hyperparameters_at(&self, netuid: u16, at: Option<[u8; 32]>) -> Result<Hyperparameters, ChainError> {
        const API: &str = "SubnetInfoRuntimeApi";
        const METHODS: [&str; 3] = ["get_subnet_hyperparams_v3", "get_subnet_hyperparams_v2", "get_subnet_hyperparams"];
        let runtime = self.runtime(at).await?;
        let method = METHODS.into_iter().find(|method| runtime.has_api(API, method)).unwrap_or(METHODS[0]);
        let answer = self.api(API, method, &[Value::from(netuid)], at).await?;
        answer
            .optional()
            .and_then(|found| found.map(|found| read(found).and_then(Hyperparameters::new)).transpose())
            .map_err(ChainError::decode(format!("the answer of {API}_{method}"), runtime.spec))?
            .ok_or_else(|| no_subnet(netuid))
    }
}

/// A v3 list of entries, or the record of v2 and v1.
pub(crate) fn read(found: &Value) -> Result<BTreeMap<String, Hyper>, ShapeError> {
    if let Value::Record(fields) = found {
        return fields.iter().map(|(name, value)| Ok((name.clone(), hyper(value, "")?))).collect();
    }
    let mut all = BTreeMap::new();
    for entry in found.list()? {
        let Value::Variant(kind, value) = entry.get("value")? else {
            return Err(ShapeError("a value that is no variant".into()));
        };
        all.insert(entry.get("name")?.text()?, hyper(value, kind)?);
    }
    Ok(all)
}

fn hyper(value: &Value, kind: &str) -> Result<Hyper, ShapeError> {
    let fraction = |bits: f64, places: i32| Hyper::Fraction(bits / 2_f64.powi(places));
    Ok(match value {
        Value::Bool(flag) => Hyper::Flag(*flag),
        Value::Uint(bits) if kind == "U64F64" => fraction(*bits as f64, 64),
        Value::Uint(number) => Hyper::Number(*number),
        // The only signed ones are I32F32.
        Value::Int(bits) => fraction(*bits as f64, 32),
        _ => return Err(ShapeError("neither a number nor a flag".into())),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_and_a_record_read_alike() {
        let text = |text: &str| Value::Bytes(text.as_bytes().to_vec());
        let entry = |name: &str, kind: &str, value: Value| {
            Value::record([("name", text(name)), ("value", Value::variant(kind, value))])
        };
        let v3 = Value::List(vec![
            entry("tempo", "U16", Value::Uint(360)),
            entry("commit_reveal_weights_enabled", "Bool", Value::Bool(true)),
            entry("alpha_sigmoid_steepness", "I32F32", Value::Int(-(5 << 31))),
            entry("burn_increase_mult", "U64F64", Value::Uint(5 << 62)),
        ]);
        let v2 = Value::record([
            ("tempo", Value::Uint(360)),
            ("commit_reveal_weights_enabled", Value::Bool(true)),
            ("alpha_sigmoid_steepness", Value::Int(-(5 << 31))),
        ]);
        let (v3, v2) = (read(&v3).unwrap(), read(&v2).unwrap());
        assert_eq!(v3["alpha_sigmoid_steepness"], Hyper::Fraction(-2.5));
        assert_eq!(v3["burn_increase_mult"], Hyper::Fraction(1.25));
        assert_eq!(v2["tempo"], Hyper::Number(360));
        assert!(v2.iter().all(|(name, value)| v3[name] == *value));
    }
}
