//! What only a local chain has: methods under `dev_`, for tests of clients.

use jsonrpsee::core::RegisterMethodError;
use serde::Deserialize;
use serde_json::json;
use starling_runtime::{Hyperparams, Presentation};

use super::{Methods, invalid_params, needed, optional};

/// A runtime by spec version, as the public chain was then, or in detail.
#[derive(Deserialize)]
#[serde(untagged)]
enum Target {
    Spec(u32),
    Detailed(Detailed),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Detailed {
    spec_version: u32,
    composite_ids: Option<bool>,
    /// 1, 2 or 3.
    hyperparams: Option<u8>,
    removed_storage: Option<bool>,
}

impl Target {
    fn presentation(self) -> Result<Presentation, String> {
        let Detailed { spec_version, composite_ids, hyperparams, removed_storage } = match self {
            Self::Spec(spec) => return Ok(Presentation::of(spec)),
            Self::Detailed(detailed) => detailed,
        };
        let usual = Presentation::of(spec_version);
        Ok(Presentation {
            spec_version,
            composite_ids: composite_ids.unwrap_or(usual.composite_ids),
            hyperparams: match hyperparams {
                None => usual.hyperparams,
                Some(1) => Hyperparams::V1,
                Some(2) => Hyperparams::V2,
                Some(3) => Hyperparams::V3,
                Some(other) => return Err(format!("hyperparams is 1, 2 or 3, not {other}")),
            },
            removed_storage: removed_storage.unwrap_or(usual.removed_storage),
        })
    }
}

pub fn register(methods: &mut Methods) -> Result<(), RegisterMethodError> {
    // [target, block?]: the block that upgrades, the next one if none is named.
    methods.add(&["dev_upgrade"], |chain, params| {
        let to = needed::<Target>(params, 0)?.presentation().map_err(invalid_params)?;
        let block = chain.plan(to, optional(params, 1)?).map_err(invalid_params)?;
        Ok(json!({ "block": block, "specVersion": to.spec_version }))
    })
}
