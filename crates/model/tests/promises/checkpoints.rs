//! A checkpoint is the model: to the bit, in public names, in any cut.

use std::collections::HashMap;

use safetensors::SafeTensors;
use starling_commitment::Canonical;
use starling_model::checkpoint;
use starling_protocol::config::{BoundaryConfig, ModelConfig};

use crate::{config, stages};

fn weights(config: &ModelConfig) -> Vec<Canonical> {
    stages(config).iter().map(|s| s.initial_weights(5).unwrap()).collect()
}

#[test]
fn stages_cut_differently_read_the_same_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let (two, three) = (config(&[2, 2], BoundaryConfig::Dense), config(&[1, 1, 2], BoundaryConfig::Dense));
    checkpoint::save(&two, &weights(&two), &path).unwrap();
    let (read, cut) = checkpoint::load(&path, Some(vec![1, 1, 2])).unwrap();
    assert!(read == three && cut == weights(&three), "initial weights do not depend on the cut, nor may a checkpoint");
    let again = dir.path().join("again.safetensors");
    checkpoint::save(&three, &cut, &again).unwrap();
    assert!(checkpoint::load(&again, Some(vec![2, 2])).unwrap().1 == weights(&two));
    assert!(!dir.path().join("model.safetensors.part").exists());
}

#[test]
fn names_and_shapes_are_those_of_a_published_llama() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let c = config(&[1, 1], BoundaryConfig::Bottleneck { width: 8 });
    checkpoint::save(&c, &weights(&c), &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for (name, shape) in [
        ("model.embed_tokens.weight", vec![50, 32]),
        ("model.layers.0.input_layernorm.weight", vec![32]),
        ("model.layers.1.self_attn.q_proj.weight", vec![32, 32]),
        ("model.layers.1.self_attn.k_proj.weight", vec![16, 32]),
        ("model.layers.1.self_attn.v_proj.weight", vec![16, 32]),
        ("model.layers.1.self_attn.o_proj.weight", vec![32, 32]),
        ("model.layers.1.post_attention_layernorm.weight", vec![32]),
        ("model.layers.1.mlp.gate_proj.weight", vec![48, 32]),
        ("model.layers.1.mlp.up_proj.weight", vec![48, 32]),
        ("model.layers.1.mlp.down_proj.weight", vec![32, 48]),
        ("model.norm.weight", vec![32]),
        ("lm_head.weight", vec![50, 32]),
        ("starling.boundary.0.encode", vec![8, 32]),
        ("starling.boundary.0.decode", vec![32, 8]),
    ] {
        assert_eq!(file.tensor(name).unwrap().shape(), shape, "{name}");
    }
    assert_eq!(file.len(), 2 * 9 + 3 + 2);
    assert_eq!(checkpoint::load(&path, None).unwrap(), (c.clone(), weights(&c)));
    let error = checkpoint::load(&path, Some(vec![2])).unwrap_err().to_string();
    assert!(error.contains("keeps its cut"), "{error}");
}

#[test]
fn a_checkpoint_from_a_stranger_is_answered_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let c = config(&[1, 1], BoundaryConfig::Dense);
    checkpoint::save(&c, &weights(&c), &path).unwrap();
    let good = std::fs::read(&path).unwrap();
    for length in [0, 7, 8, 100, good.len() / 2, good.len() - 1] {
        std::fs::write(&path, &good[..length]).unwrap();
        assert!(checkpoint::load(&path, None).is_err(), "cut at {length}");
    }
    let with = |config: &str| {
        let metadata = HashMap::from([("starling.model".to_owned(), config.to_owned())]);
        let none: Vec<(String, safetensors::tensor::TensorView<'_>)> = Vec::new();
        std::fs::write(&path, safetensors::serialize(none, Some(metadata)).unwrap()).unwrap();
        checkpoint::load(&path, None).unwrap_err().to_string()
    };
    assert!(with("not JSON").contains("expected"), "{}", with("not JSON"));
    let hostile = r#"{"vocab":50,"d_model":32,"heads":0,"kv_heads":2,"d_ff":48,"stages":[4294967295,4294967295]}"#;
    assert!(with(hostile).contains("heads"), "{}", with(hostile));
    let empty = r#"{"vocab":50,"d_model":32,"heads":4,"kv_heads":2,"d_ff":48,"stages":[1]}"#;
    assert!(with(empty).contains("model.embed_tokens.weight is missing"), "{}", with(empty));
    assert!(checkpoint::save(&c, &weights(&c)[..1], &path).is_err());
    assert!(checkpoint::save(&c, &weights(&c), &dir.path().join("no/such/folder")).is_err());
}
