//! Promises of the run's configuration: it survives the round trip, and nothing misspelt or impossible gets through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use starling_protocol::config::{BoundaryConfig, ConfigError, RunConfig};

const TEXT: &str = r#"
name = "small"
netuid = 2
seed = 7
genesis = "0101010101010101010101010101010101010101010101010101010101010101"
orchestrator = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"

[model]
vocab = 256
d_model = 64
heads = 4
kv_heads = 2
d_ff = 128
stages = [1, 2, 1]

[training]
sequence_length = 32
sequences_per_sample = 2
samples_per_round = 4
rounds_per_epoch = 2
epochs = 3

[training.optimiser]
learning_rate = 0.003

[epoch]
min_miners_per_stage = 1
max_miners_per_stage = 4
sample_timeout_ms = 10000
liveness_timeout_ms = 5000
anchor_blocks = 40
merge_timeout_ms = 30000

[audit]
beacon_delay_blocks = 1
samples_per_miner = 2
steps_per_miner = 1
window_blocks = 60

[data]
manifest = "0202020202020202020202020202020202020202020202020202020202020202"
"#;

fn config() -> RunConfig {
    RunConfig::from_toml(TEXT).unwrap()
}

#[test]
fn a_configuration_survives_the_round_trip_with_its_identity() {
    let config = config();
    let text = config.to_toml().unwrap();
    let again = RunConfig::from_toml(&text).unwrap();
    assert_eq!(again, config);
    assert_eq!(again.id(), config.id());
    assert_eq!(again.to_toml().unwrap(), text, "equal configurations give equal bytes");
}

#[test]
fn comments_and_spelled_out_defaults_do_not_change_a_runs_identity() {
    let spelled = TEXT.replace(
        "stages = [1, 2, 1]",
        "stages = [1, 2, 1] # three\nrope_theta = 10000.0\nboundary = { kind = \"dense\" }",
    );
    assert_eq!(RunConfig::from_toml(&spelled).unwrap().id(), config().id());
}

#[test]
fn a_change_anywhere_is_another_run() {
    let changes = [
        ("seed = 7", "seed = 8"),
        ("netuid = 2", "netuid = 3"),
        ("name = \"small\"", "name = \"smaller\""),
        ("stages = [1, 2, 1]", "stages = [2, 1, 1]"),
        ("learning_rate = 0.003", "learning_rate = 0.0030001"),
        ("0202", "0203"),
        ("[audit]", "[audit]\ntolerance = { relative_l2 = 1e-6, one_minus_cosine = 1e-9, max_abs = 1e-3 }"),
        ("stages = [1, 2, 1]", "stages = [1, 2, 1]\nboundary = { kind = \"bottleneck\", width = 8 }"),
    ];
    for (from, to) in changes {
        let changed = RunConfig::from_toml(&TEXT.replacen(from, to, 1)).unwrap();
        assert_ne!(changed.id(), config().id(), "{to}");
        assert_eq!(RunConfig::from_toml(&changed.to_toml().unwrap()).unwrap(), changed, "{to}");
    }
}

#[test]
fn the_bottleneck_is_read() {
    let text =
        TEXT.replace("stages = [1, 2, 1]", "stages = [1, 2, 1]\nboundary = { kind = \"bottleneck\", width = 8 }");
    assert_eq!(RunConfig::from_toml(&text).unwrap().model.boundary, BoundaryConfig::Bottleneck { width: 8 });
}

#[test]
fn an_unknown_key_is_refused_by_name_in_every_section() {
    for section in ["[model]", "[training]", "[training.optimiser]", "[epoch]", "[audit]", "[data]"] {
        let text = TEXT.replacen(section, &format!("{section}\nlearning_rte = 1"), 1);
        let error = RunConfig::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains("learning_rte"), "{section}: {error}");
    }
    let error = RunConfig::from_toml(&format!("sede = 1\n{TEXT}")).unwrap_err().to_string();
    assert!(error.contains("sede"), "{error}");
}

#[test]
fn a_missing_key_is_named() {
    for key in ["seed", "vocab", "epochs", "learning_rate", "anchor_blocks", "window_blocks", "manifest"] {
        let text: String = TEXT.lines().filter(|l| !l.starts_with(key)).map(|l| format!("{l}\n")).collect();
        let error = RunConfig::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(key), "{key}: {error}");
    }
}

#[test]
fn an_impossible_value_is_refused_with_key_value_and_remedy() {
    let cases: &[(&str, &str, &str)] = &[
        ("name = \"small\"", "name = \"\"", "name"),
        ("vocab = 256", "vocab = 1", "model.vocab"),
        ("heads = 4", "heads = 5", "model.heads"),
        ("heads = 4", "heads = 0", "model.heads"),
        ("d_model = 64", "d_model = 0", "model.heads"),
        ("d_model = 64\nheads = 4", "d_model = 12\nheads = 4", "model.d_model"),
        ("kv_heads = 2", "kv_heads = 3", "model.kv_heads"),
        ("d_ff = 128", "d_ff = 0", "model.d_ff"),
        ("stages = [1, 2, 1]", "stages = []", "model.stages"),
        ("stages = [1, 2, 1]", "stages = [1, 0, 1]", "model.stages"),
        (
            "stages = [1, 2, 1]",
            "stages = [1, 2, 1]\nboundary = { kind = \"bottleneck\", width = 65 }",
            "model.boundary.width",
        ),
        ("stages = [1, 2, 1]", "stages = [1, 2, 1]\nnorm_eps = nan", "model.norm_eps"),
        ("stages = [1, 2, 1]", "stages = [1, 2, 1]\nrope_theta = inf", "model.rope_theta"),
        ("stages = [1, 2, 1]", "stages = [1, 2, 1]\ninit_std = 0.0", "model.init_std"),
        ("sequence_length = 32", "sequence_length = 0", "training.sequence_length"),
        ("sequences_per_sample = 2", "sequences_per_sample = 0", "training.sequences_per_sample"),
        ("samples_per_round = 4", "samples_per_round = 0", "training.samples_per_round"),
        ("rounds_per_epoch = 2", "rounds_per_epoch = 0", "training.rounds_per_epoch"),
        ("epochs = 3", "epochs = 0", "training.epochs"),
        ("rounds_per_epoch = 2\nepochs = 3", "rounds_per_epoch = 100000\nepochs = 100000", "training.epochs"),
        ("learning_rate = 0.003", "learning_rate = 0.0", "training.optimiser.learning_rate"),
        ("learning_rate = 0.003", "learning_rate = nan", "training.optimiser.learning_rate"),
        ("learning_rate = 0.003", "learning_rate = 0.003\nbeta1 = 1.0", "training.optimiser.beta1"),
        ("learning_rate = 0.003", "learning_rate = 0.003\neps = 0.0", "training.optimiser.eps"),
        ("learning_rate = 0.003", "learning_rate = 0.003\nclip_norm = 0.0", "training.optimiser.clip_norm"),
        ("learning_rate = 0.003", "learning_rate = 0.003\nweight_decay = nan", "training.optimiser.weight_decay"),
        ("[epoch]", "[training.outer]\nlearning_rate = 0.0\n[epoch]", "training.outer.learning_rate"),
        ("[epoch]", "[training.outer]\nmomentum = 1.0\n[epoch]", "training.outer.momentum"),
        ("min_miners_per_stage = 1", "min_miners_per_stage = 0", "epoch.min_miners_per_stage"),
        ("min_miners_per_stage = 1", "min_miners_per_stage = 5", "epoch.max_miners_per_stage"),
        ("max_miners_per_stage = 4", "max_miners_per_stage = 1000", "epoch.max_miners_per_stage"),
        ("sample_timeout_ms = 10000", "sample_timeout_ms = 0", "epoch.sample_timeout_ms"),
        ("liveness_timeout_ms = 5000", "liveness_timeout_ms = 0", "epoch.liveness_timeout_ms"),
        ("anchor_blocks = 40", "anchor_blocks = 1", "epoch.anchor_blocks"),
        ("merge_timeout_ms = 30000", "merge_timeout_ms = 0", "epoch.merge_timeout_ms"),
        ("beacon_delay_blocks = 1", "beacon_delay_blocks = 0", "audit.beacon_delay_blocks"),
        ("samples_per_miner = 2", "samples_per_miner = 0", "audit.samples_per_miner"),
        ("window_blocks = 60", "window_blocks = 0", "audit.window_blocks"),
        ("[audit]", "[audit]\nopening_timeout_ms = 1", "audit.opening_timeout_ms"),
        (
            "[audit]",
            "[audit]\ntolerance = { relative_l2 = -1.0, one_minus_cosine = 0.0, max_abs = 0.0 }",
            "audit.tolerance.relative_l2",
        ),
    ];
    for (from, to, named) in cases {
        assert!(TEXT.contains(from), "{from}");
        match RunConfig::from_toml(&TEXT.replacen(from, to, 1)) {
            Err(ConfigError::Invalid { key, value, needed }) => {
                assert_eq!(key, *named, "{to}");
                let said = ConfigError::Invalid { key, value: value.clone(), needed: needed.clone() }.to_string();
                assert!(said.contains(key) && said.contains(&value) && said.contains(needed.as_ref()), "{said}");
            }
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn a_round_that_does_not_fit_an_answer_is_refused() {
    let text = TEXT
        .replace("[1, 2, 1]", &format!("{:?}", [1; 200]))
        .replace("samples_per_round = 4", "samples_per_round = 4096");
    let error = RunConfig::from_toml(&text).unwrap_err().to_string();
    assert!(error.contains("training.samples_per_round = 4096"), "{error}");
}

#[test]
fn wrong_types_digests_and_accounts_are_refused_where_they_stand() {
    let cases = [
        ("seed = 7", "seed = \"7\"", "seed"),
        ("seed = 7", "seed = -7", "seed"),
        ("0202", "02", "manifest"),
        ("5Dfh", "5Efh", "orchestrator"),
        ("stages = [1, 2, 1]", "stages = 3", "stages"),
    ];
    for (from, to, named) in cases {
        let error = RunConfig::from_toml(&TEXT.replacen(from, to, 1)).unwrap_err();
        assert!(matches!(&error, ConfigError::Parse(text) if text.contains(named)), "{to}: {error}");
    }
}

#[test]
fn a_seed_beyond_what_toml_can_hold_is_refused_and_not_silently_another_run() {
    let mut config = config();
    config.seed = u64::MAX;
    assert!(matches!(config.validate(), Err(ConfigError::Invalid { key: "seed", .. })));
}

#[test]
fn every_sample_of_a_run_has_a_number_of_its_own() {
    let config = config();
    let per_round = config.training.samples_per_round;
    let mut next = 0;
    for epoch in 0..config.training.epochs {
        for round in 0..config.training.rounds_per_epoch {
            assert_eq!(config.first_sample(epoch, round), next);
            next += per_round;
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}", at in 0usize..1000, cut in 0usize..1000) {
        let _ = RunConfig::from_toml(&text);
        let at = at.min(TEXT.len());
        let spliced = format!("{}{}{}", &TEXT[..at], text, &TEXT[cut.clamp(at, TEXT.len())..]);
        if let Ok(config) = RunConfig::from_toml(&spliced) {
            prop_assert!(config.validate().is_ok());
        }
    }
}
