//! Text in, loss down, text out.

use starling_commitment::Canonical;
use starling_model::{
    Device, ModelError, Sampling, Stage, Tokenizer, checkpoint, data, execute, generate, loss_curve_svg,
};
use starling_protocol::config::{BoundaryConfig, ModelConfig};

use crate::{config, hyper, stages};

#[test]
fn training_learns_a_text_and_the_checkpoint_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let text = "the starling sings. ".repeat(200);
    std::fs::write(dir.path().join("a.txt"), &text).unwrap();
    std::fs::write(dir.path().join("b.bin"), [0u8, 1, 2]).unwrap();
    let out = dir.path().join("shards");
    let corpus = data::Corpus::write(dir.path(), &Tokenizer::bytes(), &out).unwrap();
    assert_eq!(corpus.skipped.len(), 1);
    let shards: Vec<Canonical> = corpus
        .manifest
        .shards
        .iter()
        .map(|s| {
            Canonical::decode(std::fs::read(out.join(s.digest.to_string())).unwrap().into(), Default::default())
                .unwrap()
        })
        .collect();
    let bytes = std::fs::read(out.join(corpus.digest.to_string())).unwrap();
    assert_eq!(data::Manifest::decode_checked(&bytes).unwrap(), corpus.manifest);
    assert!(data::Manifest::decode_checked(&bytes[..bytes.len() - 1]).is_err());

    let c = ModelConfig { vocab: 256, init_std: 0.05, ..config(&[1, 1], BoundaryConfig::Dense) };
    let stages: Vec<Stage> = (0..2).map(|i| Stage::new(&c, i, &Device::CPU).unwrap()).collect();
    let mut weights: Vec<Canonical> = stages.iter().map(|s| s.initial_weights(5).unwrap()).collect();
    let mut states: Vec<Canonical> = stages.iter().map(|s| s.first_state_bytes(&hyper()).unwrap()).collect();
    let mut losses = Vec::new();
    for step in 0..60 {
        let windows = data::sample(&corpus.manifest, 1, step, 4, 32).unwrap();
        let (input, targets) = data::batch(&corpus.manifest, &shards, &windows, 32).unwrap();
        let crossing = execute::forward(&stages[0], &weights[0], &input, None).unwrap().output;
        losses.push(execute::forward(&stages[1], &weights[1], &crossing, Some(&targets)).unwrap().loss.unwrap());
        let last = execute::backward(&stages[1], &weights[1], &crossing, Some(&targets), None).unwrap();
        let first = execute::backward(&stages[0], &weights[0], &input, None, last.input_gradient.as_ref()).unwrap();
        for (i, gradient) in [first.gradient, last.gradient].iter().enumerate() {
            (weights[i], states[i]) = stages[i].step_bytes(&weights[i], &states[i], gradient, &hyper(), 60).unwrap();
        }
    }
    assert!(
        losses[0] > 5.0 && *losses.last().unwrap() < 1.0,
        "loss went from {} to {}",
        losses[0],
        losses.last().unwrap()
    );

    let path = dir.path().join("model.safetensors");
    checkpoint::save(&c, &weights, &path).unwrap();
    let (same, back) = checkpoint::load(&path, None).unwrap();
    assert!(same == c && back == weights);
    let (whole, one) = checkpoint::load(&path, Some(vec![2])).unwrap();
    let greedy = Sampling { tokens: 20, temperature: 0.0, seed: 0, context: 32 };
    let say = |config: &ModelConfig, stages: &[Canonical]| {
        generate(config, stages, &Tokenizer::bytes(), "the ", &greedy, &Device::CPU).unwrap()
    };
    let said = say(&c, &weights);
    assert_eq!(said, say(&whole, &one), "the cut does not change what the model says");
    assert!("the starling sings. the starling".starts_with(&said[..12]), "{said}");
    assert!(checkpoint::load(&path, Some(vec![3])).is_err());
    std::fs::write(&path, b"garbage").unwrap();
    assert!(checkpoint::load(&path, None).is_err());
}

#[test]
fn no_text_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = data::Corpus::write(dir.path(), &Tokenizer::bytes(), &dir.path().join("out")).unwrap_err().to_string();
    assert!(error.contains("holds no text"), "{error}");
    assert!(data::Corpus::write(&dir.path().join("nowhere"), &Tokenizer::bytes(), dir.path()).is_err());
}

#[test]
fn a_corpus_is_the_same_blobs_wherever_it_lies_and_says_what_it_left_out() {
    let write = |names: [&str; 2]| {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("corpus");
        std::fs::create_dir_all(root.join("folder")).unwrap();
        std::fs::create_dir_all(root.join("target")).unwrap();
        // Written in either order, read in sorted order.
        for name in names {
            std::fs::write(root.join(name), format!("text of {name}")).unwrap();
        }
        std::fs::write(root.join("folder/latin.txt"), [b'a', 0xe9]).unwrap();
        std::fs::write(root.join(".hidden"), "secret").unwrap();
        std::fs::write(root.join("target/built.txt"), "built").unwrap();
        std::os::unix::fs::symlink("a.txt", root.join("link")).unwrap();
        let corpus = data::Corpus::write(&root, &Tokenizer::bytes(), &root.join("shards")).unwrap();
        // A second run finds its own shards below the folder and leaves them alone.
        let again = data::Corpus::write(&root, &Tokenizer::bytes(), &root.join("shards")).unwrap();
        assert_eq!(again.digest, corpus.digest);
        let mut skipped: Vec<String> = corpus
            .skipped
            .iter()
            .map(|s| format!("{}: {}", s.path.file_name().unwrap().to_string_lossy(), s.reason))
            .collect();
        skipped.sort();
        let blob = std::fs::read(root.join("shards").join(corpus.manifest.shards[0].digest.to_string())).unwrap();
        let tokens = Canonical::decode(blob.into(), Default::default()).unwrap().to_u16().unwrap();
        let text = String::from_utf8(tokens.iter().map(|t| *t as u8).collect()).unwrap();
        (corpus.digest, skipped, text)
    };
    let (digest, skipped, text) = write(["a.txt", "b.txt"]);
    assert_eq!(text, "text of a.txt\ntext of b.txt\n");
    let want = [".hidden: hidden", "latin.txt: not UTF-8", "link: neither file nor folder", "target: build folder"];
    assert_eq!(skipped, want);
    assert_eq!(write(["b.txt", "a.txt"]).0, digest);
}

#[test]
fn any_tokenizer_json_does_and_loses_no_text_to_its_own_limits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    let json = r#"{
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"the": 0, "starling": 1, "sings": 9, "?": 3}, "unk_token": "?"}
    }"#;
    std::fs::write(&path, json).unwrap();
    let tokenizer = Tokenizer::from_file(&path).unwrap();
    assert_eq!(tokenizer.encode("the starling sings loudly").unwrap(), [0, 1, 9, 3]);
    assert_eq!(tokenizer.decode(&[0, 1, 9]).unwrap(), "the starling sings");
    assert_eq!(tokenizer.vocab(), 10, "ids have gaps");
    assert_ne!(tokenizer.digest(), Tokenizer::bytes().digest());
    std::fs::write(&path, "{}").unwrap();
    assert!(Tokenizer::from_file(&path).unwrap_err().to_string().contains("not a tokenizer.json"));
    assert!(Tokenizer::from_file(&dir.path().join("nowhere")).is_err());
}

#[test]
fn wide_vocabularies_make_wide_shards() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    let json = r#"{
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"far": 70000, "?": 3}, "unk_token": "?"}
    }"#;
    std::fs::write(&path, json).unwrap();
    let source = dir.path().join("a.txt");
    std::fs::write(&source, "far near far").unwrap();
    let out = dir.path().join("out");
    let corpus = data::Corpus::write(&source, &Tokenizer::from_file(&path).unwrap(), &out).unwrap();
    let blob = std::fs::read(out.join(corpus.manifest.shards[0].digest.to_string())).unwrap();
    let ids = Canonical::decode(blob.into(), Default::default()).unwrap().to_i64().unwrap();
    assert_eq!((ids, corpus.manifest.vocab), (vec![70_000, 3, 70_000], 70_001));
}

#[test]
fn drawn_text_depends_on_its_seed_alone_and_bad_calls_are_refused() {
    let c = ModelConfig { vocab: 256, ..config(&[1, 1], BoundaryConfig::Bottleneck { width: 8 }) };
    let weights: Vec<Canonical> = stages(&c).iter().map(|s| s.initial_weights(5).unwrap()).collect();
    let say = |prompt: &str, seed, stages: &[Canonical]| -> Result<String, ModelError> {
        let sampling = Sampling { tokens: 12, temperature: 1.0, seed, context: 4 };
        generate(&c, stages, &Tokenizer::bytes(), prompt, &sampling, &Device::CPU)
    };
    let text = say("the starling ", 1, &weights).unwrap();
    assert!(text.starts_with("the starling "), "{text}");
    assert_eq!(text, say("the starling ", 1, &weights).unwrap());
    assert_ne!(text, say("the starling ", 2, &weights).unwrap());
    assert!(say("", 1, &weights).unwrap_err().to_string().contains("prompt is empty"));
    assert!(say("the", 1, &weights[..1]).unwrap_err().to_string().contains("1 stages are given"));
}

#[test]
fn a_loss_curve_is_an_svg_with_its_points_whatever_they_are() {
    let falling: Vec<(f64, f64)> = (0..50).map(|i| (f64::from(i), 5.0 / f64::from(i + 1))).collect();
    let svg = loss_curve_svg(&falling, "loss & more").unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && svg.contains("polyline"), "{svg}");
    assert!(svg.contains("optimiser step") && svg.contains("loss &amp; more"));
    for odd in [vec![], vec![(3.0, 2.0)], vec![(0.0, f64::NAN), (1.0, f64::INFINITY), (2.0, 1.0)]] {
        assert!(loss_curve_svg(&odd, "odd").is_ok(), "{odd:?}");
    }
}
