//! The bodies of the fuzz targets on random bytes and on damaged real files: no key file stops the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::{collection::vec, prelude::*};
use starling_wallet::{Keyfile, Keypair, fuzzing};

fn real() -> Vec<Vec<u8>> {
    let alice = Keypair::from_uri("//Alice").unwrap();
    vec![
        Keyfile::secret_json(&alice).as_bytes().to_vec(),
        Keyfile::public_json(&alice.account()).as_bytes().to_vec(),
        include_bytes!("data/ansible-vault.txt").to_vec(),
        include_bytes!("data/polkadot-js.json").to_vec(),
        include_bytes!("data/polkadot-js-plain.json").to_vec(),
    ]
}

fn all(bytes: &[u8]) {
    fuzzing::keyfile(bytes);
    fuzzing::sealed(bytes);
    fuzzing::export(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_reason_to_stop(bytes in vec(any::<u8>(), 0..200), text in ".{0,80}") {
        all(&bytes);
        all(text.as_bytes());
    }

    #[test]
    fn damaged_files_are_no_reason_to_stop(places in vec((any::<usize>(), any::<u8>()), 1..6), cut in any::<usize>()) {
        for file in real() {
            let mut bytes = file.clone();
            for (at, byte) in &places {
                let at = at % bytes.len();
                bytes[at] = *byte;
            }
            all(&bytes);
            all(&file[..cut % file.len()]);
        }
    }
}
