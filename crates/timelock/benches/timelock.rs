//! Timelock encryption of 256 and 1,024 weights and of the 45 + 4·4,096 bytes that 4,096 would be (more than the chain takes in one commit),
//! decryption, and the check of a round's signature. Baseline in the same run: the body's cipher alone.
#![allow(clippy::unwrap_used, missing_docs)]

use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce, aead::Aead as _};
use criterion::{Criterion, criterion_group, criterion_main};
use parity_scale_codec::Encode as _;
use starling_timelock::{Entropy, LocalBeacon, Payload, decrypt, encrypt};

fn entropy() -> Entropy {
    Entropy { key: [1; 32], sigma: [2; 32], nonce: [3; 12] }
}

fn timelock(c: &mut Criterion) {
    let beacon = LocalBeacon::from_seed(b"bench");
    let key = beacon.public_key();
    let signature = beacon.sign(9);
    for n in [256u16, 1024, 4096] {
        let plain =
            Payload { hotkey: vec![7; 32], uids: (0..n).collect(), values: vec![9; n.into()], version_key: 0 }.encode();
        let sealed = encrypt(&key, 9, &plain, entropy()).unwrap();
        c.bench_function(&format!("encrypt {n} weights"), |b| b.iter(|| encrypt(&key, 9, &plain, entropy()).unwrap()));
        c.bench_function(&format!("decrypt {n} weights"), |b| b.iter(|| decrypt(&signature, &sealed).unwrap()));
        let aes = Aes256Gcm::new((&[1; 32]).into());
        c.bench_function(&format!("baseline: AES-GCM of {n} weights"), |b| {
            b.iter(|| aes.encrypt(Nonce::from_slice(&[3; 12]), &plain[..]).unwrap());
        });
    }
    c.bench_function("verify a round", |b| b.iter(|| key.verifies(9, &signature)));
    c.bench_function("sign a round", |b| b.iter(|| beacon.sign(9)));
}

criterion_group!(benches, timelock);
criterion_main!(benches);
