//! What others build on: one value, one digest; nothing uncommitted passes for committed.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::prelude::*;
use starling_commitment::{Canonical, DType, Limits, TensorError, Tolerance, data_range, difference, opening};

fn tensor() -> impl Strategy<Value = Canonical> {
    (prop::collection::vec(0u64..5, 0..4), 0usize..6).prop_flat_map(|(shape, kind)| {
        let dtype = [DType::F32, DType::Bf16, DType::F16, DType::I64, DType::U16, DType::U8][kind];
        let length = shape.iter().product::<u64>() as usize * dtype.size();
        prop::collection::vec(any::<u8>(), length).prop_map(move |data| Canonical::new(dtype, &shape, &data).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_tensor_survives_its_encoding(t in tensor()) {
        prop_assert_eq!(Canonical::decode(t.bytes().clone(), Limits::default()).unwrap(), t);
    }

    #[test]
    fn every_changed_byte_is_refused_or_changes_the_digest_and_the_value(t in tensor(), at: prop::sample::Index, flip in 1u8..) {
        let mut bytes = t.bytes().to_vec();
        let i = at.index(bytes.len());
        bytes[i] ^= flip;
        if let Ok(other) = Canonical::decode(bytes.into(), Limits::default()) {
            prop_assert_ne!(other.digest(), t.digest());
            prop_assert_ne!((other.dtype(), other.shape(), other.data()), (t.dtype(), t.shape(), t.data()));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), tagged: bool) {
        let mut bytes = bytes;
        if tagged && bytes.len() >= 16 {
            bytes[..16].copy_from_slice(b"starling.tensor1");
        }
        let _ = Canonical::decode(bytes.into(), Limits::default());
    }

    #[test]
    fn an_opening_proves_its_slice_and_no_other(length in 1usize..70_000, a: prop::sample::Index, b: prop::sample::Index, flip: prop::sample::Index) {
        let blob: Vec<u8> = (0..length).map(|i| (i * 7 % 251) as u8).collect();
        let root = starling_commitment::Digest::of(&blob);
        let (a, b) = (a.index(length), b.index(length));
        let range = a.min(b) as u64..a.max(b) as u64 + 1;
        let proof = opening::open(&blob, range.clone()).unwrap();
        let opened = opening::verify(&root, length as u64, range.clone(), &proof).unwrap();
        prop_assert_eq!(&opened[..], &blob[range.start as usize..range.end as usize]);
        let mut forged = proof.to_vec();
        let i = flip.index(forged.len());
        forged[i] ^= 1;
        prop_assert!(opening::verify(&root, length as u64, range.clone(), &forged).is_err());
        prop_assert!(opening::verify(&root, length as u64, range, &proof[..proof.len() - 1]).is_err());
    }
}

/// If this fails, every commitment ever made has become unreadable.
#[test]
fn the_layout_does_not_drift() {
    let t = Canonical::from_f32(&[2, 1], &[1.0, -2.5]).unwrap();
    let mut expected = b"starling.tensor1".to_vec();
    expected.extend([1, 2, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    expected.resize(128, 0);
    expected.extend([0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0]);
    assert_eq!(t.bytes()[..], expected[..]);
    assert_eq!(t.digest().to_string(), blake3::hash(&expected).to_hex().to_string());
    assert_eq!(data_range(DType::F32, 1..2), 132..136);
}

#[test]
fn limits_are_checked_before_anything_else() {
    let t = Canonical::from_f32(&[64], &[0.0; 64]).unwrap();
    let small = Limits { max_bytes: 100, max_rank: 6 };
    assert_eq!(Canonical::decode(t.bytes().clone(), small), Err(TensorError::TooLarge { bytes: 384, limit: 100 }));
    let mut huge = t.bytes().to_vec();
    huge[17] = 2;
    huge[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    huge[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(Canonical::decode(Bytes::from(huge), Limits::default()), Err(TensorError::Overflow));
}

#[test]
fn a_measured_tolerance_accepts_rounding_and_rejects_noise() {
    let exact: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
    let near: Vec<f32> = exact.iter().map(|x| x * (1.0 + 1e-6)).collect();
    let far: Vec<f32> = exact.iter().enumerate().map(|(i, x)| x + if i % 2 == 0 { 0.05 } else { -0.05 }).collect();
    let t = |v: &[f32]| Canonical::from_f32(&[1000], v).unwrap();
    let tolerance = Tolerance::Measured { relative_l2: 1e-4, one_minus_cosine: 1e-8, max_abs: 1e-3 };
    let d = |v: &[f32]| difference(&t(v), &t(&exact)).unwrap();
    assert!(tolerance.accepts(&d(&near)) && !tolerance.accepts(&d(&far)));
    assert!(!Tolerance::BitEqual.accepts(&d(&near)) && Tolerance::BitEqual.accepts(&d(&exact)));
    let mut nan = near.clone();
    nan[3] = f32::NAN;
    assert!(!tolerance.accepts(&d(&nan)));
}
