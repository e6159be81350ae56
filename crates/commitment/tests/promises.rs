//! What others build on: one value, one digest; nothing uncommitted passes for committed.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use parity_scale_codec::Encode;
use proptest::prelude::*;
use starling_commitment::{
    Canonical, DType, Digest, HEADER, Limits, TensorError, Tolerance, blob_length, data_range, difference, opening,
};

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
        let root = Digest::of(&blob);
        let (a, b) = (a.index(length), b.index(length));
        let range = a.min(b) as u64..a.max(b) as u64 + 1;
        let proof = opening::open(&blob, range.clone()).unwrap();
        let opened = opening::verify(&root, length as u64, range.clone(), &proof).unwrap();
        prop_assert_eq!(&opened[..], &blob[range.start as usize..range.end as usize]);
        let mut forged = proof.to_vec();
        let i = flip.index(forged.len());
        forged[i] ^= 1;
        prop_assert!(opening::verify(&root, length as u64, range.clone(), &forged).is_err());
        prop_assert!(opening::verify(&root, length as u64, range.clone(), &proof[..proof.len() - 1]).is_err());
        let longer = [&proof[..], &[0]].concat();
        prop_assert!(opening::verify(&root, length as u64, range, &longer).is_err());
    }

    #[test]
    fn a_hostile_opening_never_panics(root: [u8; 32], bits in 0u32..64, low: u64, start: u64, end: u64, opening in prop::collection::vec(any::<u8>(), 0..200)) {
        // Every order of magnitude, with ranges inside and outside.
        let length = low >> bits;
        let (start, end) = if length > 0 && start % 4 > 0 { (start % length, end % length + 1) } else { (start, end) };
        prop_assert!(opening::verify(&Digest(root), length, start..end, &opening).is_err());
    }

    #[test]
    fn numbers_survive_the_canonical_bytes(f: Vec<u32>, i: Vec<i64>, u: Vec<u16>) {
        // From bits, so that every NaN is among them.
        let f: Vec<f32> = f.into_iter().map(f32::from_bits).collect();
        let back = Canonical::from_f32(&[f.len() as u64], &f).unwrap().to_f32().unwrap();
        prop_assert!(f.iter().zip(&back).all(|(a, b)| a.to_bits() == b.to_bits()) && f.len() == back.len());
        prop_assert_eq!(Canonical::from_i64(&[i.len() as u64], &i).unwrap().to_i64().unwrap(), i);
        prop_assert_eq!(Canonical::from_u16(&[u.len() as u64], &u).unwrap().to_u16().unwrap(), u);
    }

    #[test]
    fn a_tensor_is_no_distance_from_itself(t in tensor()) {
        let d = difference(&t, &t).unwrap();
        prop_assert!(d.bit_equal && d.relative_l2 == 0.0 && d.one_minus_cosine == 0.0 && d.max_abs == 0.0);
        prop_assert!(Tolerance::BitEqual.accepts(&d));
    }
}

/// Every byte of a header in turn, through every value: what is accepted is another tensor with another digest.
#[test]
fn no_byte_of_a_header_is_free() {
    let t = Canonical::from_f32(&[2, 3], &[1.0; 6]).unwrap();
    for at in 0..HEADER {
        for value in 0..=255 {
            let mut bytes = t.bytes().to_vec();
            if bytes[at] == value {
                continue;
            }
            bytes[at] = value;
            if let Ok(other) = Canonical::decode(bytes.into(), Limits::default()) {
                assert_ne!(other.digest(), t.digest());
                assert_ne!(
                    (other.dtype(), other.shape()),
                    (t.dtype(), t.shape()),
                    "byte {at} = {value} is a second encoding"
                );
            }
        }
    }
}

/// A verifier who knows dtype, shape and digest, and nothing else, opens one row of a batch.
#[test]
fn one_sequence_of_a_batch_is_opened_without_the_rest() {
    let elements: Vec<f32> = (0..4 * 8192).map(|i| i as f32).collect();
    let t = Canonical::from_f32(&[4, 8192], &elements).unwrap();
    let length = blob_length(DType::F32, &[4, 8192]).unwrap();
    let range = t.data_range(8192..2 * 8192).unwrap();
    assert_eq!(range, data_range(DType::F32, 8192..2 * 8192));
    let proof = opening::open(t.bytes(), range.clone()).unwrap();
    assert!(proof.len() < t.bytes().len() / 2);
    let row = opening::verify(&t.digest(), length, range, &proof).unwrap();
    assert_eq!(row, t.data()[4 * 8192..8 * 8192]);
    assert!(t.data_range(0..4 * 8192 + 1).is_err());
}

/// BLAKE3 of the bytes below, computed outside of this code base by a second implementation.
const GOLDEN: &str = "d9ff1235f0d4a52b2e992c40bb6920c4283f7a0fb3ea4e10657a899a0339dae5";

/// If this fails, every commitment ever made has become unreadable.
#[test]
fn the_layout_does_not_drift() {
    let t = Canonical::from_f32(&[2, 1], &[1.0, -2.5]).unwrap();
    let mut expected = b"starling.tensor1".to_vec();
    expected.extend([1, 2, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    expected.resize(128, 0);
    expected.extend([0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0]);
    assert_eq!(t.bytes()[..], expected[..]);
    assert_eq!(t.digest().to_string(), GOLDEN);
    let codes: Vec<u8> = DType::ALL.iter().flat_map(Encode::encode).collect();
    assert_eq!(codes, [1, 2, 3, 4, 5, 6]);
    for dtype in DType::ALL {
        assert_eq!(Canonical::new(dtype, &[0], &[]).unwrap().bytes()[16], dtype.encode()[0], "header and SCALE agree");
    }
    assert_eq!(data_range(DType::F32, 1..2), 132..136);
}

#[test]
fn limits_are_checked_before_anything_else() {
    let t = Canonical::from_f32(&[64], &[0.0; 64]).unwrap();
    let small = Limits { max_bytes: 100, max_rank: 8 };
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

#[test]
fn distances_are_what_they_say() {
    let t = |v: &[f32]| Canonical::from_f32(&[v.len() as u64], v).unwrap();
    let d = difference(&t(&[3.0, 0.0]), &t(&[0.0, 4.0])).unwrap();
    assert_eq!((d.relative_l2, d.max_abs, d.bit_equal), (1.25, 4.0, false));
    assert!((d.one_minus_cosine - 1.0).abs() < 1e-15);
    // Parallel to 1e-9: the textbook form of the cosine would give 0 or noise.
    let tiny = difference(&t(&[1.0, 1e-9]), &t(&[1.0, 0.0])).unwrap();
    assert!((tiny.one_minus_cosine / 5e-19 - 1.0).abs() < 1e-6, "{tiny:?}");
    let next = difference(&t(&[f32::from_bits(1.0f32.to_bits() + 3)]), &t(&[1.0])).unwrap();
    assert_eq!(next.max_ulp, Some(3));
    assert_eq!(difference(&t(&[-0.0]), &t(&[0.0])).unwrap().max_ulp, Some(0));
    let zero = difference(&t(&[1.0]), &t(&[0.0])).unwrap();
    assert_eq!((zero.relative_l2, zero.one_minus_cosine), (f64::INFINITY, 1.0));
    let infinite =
        Tolerance::Measured { relative_l2: f64::INFINITY, one_minus_cosine: f64::INFINITY, max_abs: f64::INFINITY };
    assert!(!infinite.accepts(&difference(&t(&[f32::NAN]), &t(&[1.0])).unwrap()));
    let no_number = Tolerance::Measured { relative_l2: f64::NAN, one_minus_cosine: 1.0, max_abs: 1.0 };
    assert!(!no_number.accepts(&next), "a threshold that is no number accepts nothing");
    assert!(difference(&t(&[1.0]), &t(&[1.0, 2.0])).is_err());
    let halves = |v: &[f32]| {
        let data: Vec<u8> = v.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect();
        Canonical::new(DType::F16, &[v.len() as u64], &data).unwrap()
    };
    assert_eq!(difference(&halves(&[1.5, -2.0]), &halves(&[1.5, -2.5])).unwrap().max_abs, 0.5);
}

#[test]
fn a_digest_is_hexadecimal_to_people_and_32_bytes_to_machines() {
    let digest = Digest::of(b"starling");
    assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    assert_eq!(digest.encode(), digest.0);
    assert!("ab".repeat(33).parse::<Digest>().is_err() && "xy".repeat(32).parse::<Digest>().is_err());
}
