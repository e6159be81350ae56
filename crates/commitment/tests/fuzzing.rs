//! The bodies of the fuzz targets on random bytes and on damaged real proofs: nothing that a peer sends stops the program.
#![allow(clippy::unwrap_used)]

use parity_scale_codec::{Compact, Encode};
use proptest::{collection::vec, prelude::*};
use starling_commitment::{Canonical, fuzzing, log::Log, tree::Tree};

fn real() -> Vec<Vec<u8>> {
    let mut log = Log::new();
    for i in 0..50u8 {
        log.append(&[i]);
    }
    let indices = vec![Compact(3u64), Compact(17), Compact(40)].encode();
    // The body of `log` takes 64 bytes for the indices.
    let head = |old: u64, new: u64| {
        let mut bytes = indices.clone();
        bytes.resize(64, 0);
        [bytes, (old, new).encode()].concat()
    };
    let values: Vec<f32> = (0..10_000u16).map(f32::from).collect();
    let tensor = Canonical::from_f32(&[10_000], &values).unwrap();
    let tree = Tree::of(&tensor).unwrap();
    vec![
        [head(20, 50), log.prove(50, &[3, 17, 40]).unwrap().encode()].concat(),
        [head(20, 50), log.consistency(20, 50).unwrap().encode()].concat(),
        [head(20, 50), log.frontier_at(47).unwrap().encode()].concat(),
        [(10_000u64, 4000u64, 5000u64, 1u8).encode(), tree.open(tensor.bytes(), 4000..5000).unwrap().to_vec()].concat(),
        [(10_000u64, 1u64, 3u64, 2u8).encode(), tensor.data()[16_384 - 128..].to_vec()].concat(),
        Canonical::from_f32(&[2, 2], &[1.0; 4]).unwrap().bytes().to_vec(),
    ]
}

fn all(bytes: &[u8]) {
    fuzzing::log(bytes);
    fuzzing::weights(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_reason_to_stop(bytes in vec(any::<u8>(), 0..400), small: bool) {
        let mut bytes = bytes;
        if small {
            // Numbers that are small enough to get past the first limits.
            bytes.iter_mut().enumerate().filter(|(i, _)| i % 8 > 1).for_each(|(_, byte)| *byte = 0);
        }
        all(&bytes);
    }

    #[test]
    fn damaged_proofs_are_no_reason_to_stop(places in vec((any::<usize>(), any::<u8>()), 1..6), cut in any::<usize>()) {
        for file in real() {
            let mut bytes = file.clone();
            for (at, byte) in &places {
                let at = at % bytes.len();
                bytes[at] = *byte;
            }
            all(&bytes);
            all(&file[..cut % file.len()]);
            all(&file);
        }
    }
}
