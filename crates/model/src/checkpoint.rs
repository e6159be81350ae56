//! The trained model as one safetensors file with Llama's published parameter names, and back into any cut.
//!
//! Invariant: values are copied bit for bit and a checkpoint does not depend on the cut it was made from, except that a model
//! with bottlenecks is bound to its cut. Names follow Hugging Face's Llama; bottlenecks are `starling.boundary.N.encode`/`.decode`.

use std::{collections::BTreeMap, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use starling_commitment::Canonical;
use starling_protocol::config::ModelConfig;

use crate::{ModelError, boundary::boundary, convert::tensor_error, file, shape};

/// Largest checkpoint read, bytes.
const MAX_FILE: u64 = 1 << 36;

/// Hugging Face's name of a parameter; what Llama does not have keeps a name of ours.
fn public_name(own: &str) -> String {
    match own {
        "embedding" => return "model.embed_tokens.weight".into(),
        "final.norm" => return "model.norm.weight".into(),
        "head" => return "lm_head.weight".into(),
        _ => {}
    }
    let Some((block, part)) = own.strip_prefix("block.").and_then(|rest| rest.split_once('.')) else {
        return format!("starling.{own}");
    };
    let part = match part {
        "attention.norm" => "input_layernorm",
        "attention.q" => "self_attn.q_proj",
        "attention.k" => "self_attn.k_proj",
        "attention.v" => "self_attn.v_proj",
        "attention.o" => "self_attn.o_proj",
        "mlp.norm" => "post_attention_layernorm",
        "mlp.gate" => "mlp.gate_proj",
        "mlp.up" => "mlp.up_proj",
        "mlp.down" => "mlp.down_proj",
        other => other,
    };
    format!("model.layers.{block}.{part}.weight")
}

/// Write all stages' flat weights as one file; the configuration goes into its metadata.
///
/// # Errors
/// [`ModelError`] if a stage is missing or has another length.
pub fn save(config: &ModelConfig, stages: &[Canonical], path: &Path) -> Result<(), ModelError> {
    shape::check(config)?;
    if stages.len() != config.stages.len() {
        return Err(ModelError::Data(format!(
            "{} stages are given, the model has {}",
            stages.len(),
            config.stages.len()
        )));
    }
    let mut views = Vec::new();
    for (stage, flat) in stages.iter().enumerate() {
        let layout = shape::layout(config, stage);
        let length: usize = layout.iter().map(shape::Parameter::length).sum();
        flat.require(starling_commitment::DType::F32, &[length as u64]).map_err(tensor_error("a stage's weights"))?;
        for p in layout {
            let data = flat.data().get(4 * p.offset..4 * (p.offset + p.length())).unwrap_or_default();
            let shape = p.shape.iter().map(|d| *d as usize).collect();
            let view = TensorView::new(Dtype::F32, shape, data).map_err(|e| ModelError::file(path, &e))?;
            views.push((public_name(&p.name), view));
        }
    }
    let text = serde_json::to_string(config).map_err(|e| ModelError::file(path, &e))?;
    let metadata =
        std::collections::HashMap::from([("starling.model".to_owned(), text), ("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| ModelError::file(path, &e))?;
    file::write(path, &bytes)
}

/// Read a checkpoint into the stages of `cut`, which may differ from the cut it was written with.
///
/// # Errors
/// [`ModelError::File`] names what is missing or has another shape.
pub fn load(path: &Path, cut: Option<Vec<u32>>) -> Result<(ModelConfig, Vec<Canonical>), ModelError> {
    let bad = |why: &dyn std::fmt::Display| ModelError::file(path, why);
    if std::fs::metadata(path).map_err(|e| bad(&e))?.len() > MAX_FILE {
        return Err(bad(&"larger than any checkpoint this version reads"));
    }
    let bytes = std::fs::read(path).map_err(|e| bad(&e))?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(&e))?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get("starling.model"))
        .ok_or_else(|| bad(&"not a Starling checkpoint"))?;
    let mut config: ModelConfig = serde_json::from_str(text).map_err(|e| bad(&e))?;
    // A checkpoint may come from anybody: sizes are computed from this configuration only once it has been checked.
    shape::check(&config).map_err(|e| bad(&e))?;
    if let Some(cut) = cut {
        let blocks = |stages: &[u32]| stages.iter().map(|n| u64::from(*n)).sum::<u64>();
        let (has, asked) = (blocks(&config.stages), blocks(&cut));
        if has != asked {
            return Err(bad(&format!(
                "the model has {has} blocks, the cut {cut:?} asks for {asked}: name all of them"
            )));
        }
        let kind = boundary(&config);
        if (kind.encoder().is_some() || kind.decoder().is_some()) && config.stages != cut {
            // Projections are part of the function: moving them would make another model.
            return Err(bad(&format!("a model with bottlenecks keeps its cut {:?}", config.stages)));
        }
        config.stages = cut;
        shape::check(&config).map_err(|e| bad(&e))?;
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| bad(&e))?;
    let by_name: BTreeMap<String, TensorView<'_>> = tensors.tensors().into_iter().collect();
    let mut stages = Vec::new();
    for stage in 0..config.stages.len() {
        let mut flat = Vec::new();
        for p in shape::layout(&config, stage) {
            let name = public_name(&p.name);
            let view = by_name.get(&name).ok_or_else(|| bad(&format!("{name} is missing")))?;
            let shape: Vec<i64> = view.shape().iter().map(|d| *d as i64).collect();
            if shape != p.shape || view.dtype() != Dtype::F32 {
                return Err(bad(&format!("{name} is {:?} {shape:?}, f32 {:?} is needed", view.dtype(), p.shape)));
            }
            flat.extend_from_slice(view.data());
        }
        let length = [flat.len() as u64 / 4];
        stages.push(
            Canonical::new(starling_commitment::DType::F32, &length, &flat)
                .map_err(tensor_error("a stage's weights"))?,
        );
    }
    Ok((config, stages))
}
