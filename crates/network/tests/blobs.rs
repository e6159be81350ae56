//! Promises about blobs, over real QUIC on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{PATIENCE, file_of, node, noise, pair};
use starling_network::NetworkError;
use starling_protocol::Digest;

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_any_size_comes_whole_and_is_kept() {
    let p = pair().await;
    let at = p.two.address();
    for length in [0, 1, 1024, 1025, 16_384, 16_385, 300_000, 5 << 20] {
        let bytes = noise(length);
        let digest = p.two.put(bytes.clone().into()).await.unwrap();
        assert_eq!(digest, Digest::of(&bytes));
        assert!(!p.one.has(&digest).await.unwrap());
        assert_eq!(p.one.fetch(&at, None, &digest, 8 << 20, PATIENCE).await.unwrap(), bytes, "{length}");
        assert_eq!(p.one.get(&digest).await.unwrap().unwrap(), bytes);
    }
    assert_eq!(p.one.list().await.unwrap(), p.two.list().await.unwrap());
    assert_eq!(p.one.list().await.unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_blob_is_the_same_bytes_and_is_not_taken_for_the_whole() {
    let p = pair().await;
    let at = p.two.address();
    let bytes = noise(300_000);
    let digest = p.two.put(bytes.clone().into()).await.unwrap();
    let ranges =
        [(0, 1), (0, 300_000), (299_999, 300_000), (1023, 1025), (16_383, 16_385), (70_001, 170_003), (16_384, 32_768)];
    for (a, b) in ranges {
        let part = p.one.fetch_range(&at, None, &digest, a as u64..b as u64, PATIENCE).await.unwrap();
        assert_eq!(part, bytes[a..b], "{a}..{b}");
    }
    assert!(!p.one.has(&digest).await.unwrap());
    #[allow(clippy::reversed_empty_ranges)]
    for range in [0..0, 5..4, 299_999..300_001, 300_000..300_001, 0..u64::MAX, u64::MAX - 1..u64::MAX] {
        let result = p.one.fetch_range(&at, None, &digest, range.clone(), PATIENCE).await;
        assert!(matches!(result, Err(NetworkError::Range { .. })), "{range:?}: {result:?}");
        let local = p.two.fetch_range(&at, None, &digest, range, PATIENCE).await;
        assert!(matches!(local, Err(NetworkError::Range { .. })), "{local:?}");
    }
    assert_eq!(p.two.fetch_range(&at, None, &digest, 5..9, PATIENCE).await.unwrap(), bytes[5..9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_blob_is_said_to_be_missing() {
    let p = pair().await;
    let missing = p.one.fetch(&p.two.address(), None, &Digest::of(b"nowhere"), 1 << 20, PATIENCE).await;
    assert!(matches!(missing, Err(NetworkError::Missing { .. })), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_longer_than_allowed_is_not_taken() {
    let p = pair().await;
    let digest = p.two.put(vec![7; 2 << 20].into()).await.unwrap();
    let result = p.one.fetch(&p.two.address(), None, &digest, (2 << 20) - 1, PATIENCE).await;
    assert!(matches!(result, Err(NetworkError::TooLarge { bytes: 0x20_0000, .. })), "{result:?}");
    assert!(!p.one.has(&digest).await.unwrap());
    assert!(p.one.fetch(&p.two.address(), None, &digest, 2 << 20, PATIENCE).await.is_ok());
    // The local copy obeys the limit, too.
    let result = p.one.fetch(&p.two.address(), None, &digest, 10, PATIENCE).await;
    assert!(matches!(result, Err(NetworkError::TooLarge { .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_blob_is_gone_and_takes_no_space() {
    let p = pair().await;
    let (a, b) = (p.two.put(noise(50_000).into()).await.unwrap(), p.two.put(noise(60_000).into()).await.unwrap());
    p.one.fetch(&p.two.address(), None, &a, 1 << 20, PATIENCE).await.unwrap();
    p.two.remove(&[a, Digest::of(b"never here")]).await.unwrap();
    assert!(!file_of(p.dirs.1.path(), &a).exists());
    assert_eq!(p.two.list().await.unwrap(), [b]);
    assert!(p.two.get(&a).await.unwrap().is_none());
    let dir = tempfile::tempdir().unwrap();
    let three = node(dir.path(), 3).await;
    let result = three.fetch(&p.two.address(), None, &a, 1 << 20, PATIENCE).await;
    assert!(matches!(result, Err(NetworkError::Missing { .. })), "{result:?}");
}

/// `kill -9` leaves the files as they are at that moment: so does copying them.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_blob_survives_an_abrupt_end() {
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = node(dirs.0.path(), 1).await;
    let bytes = noise(100_000);
    let digest = first.put(bytes.clone().into()).await.unwrap();
    let copy = dirs.1.path().join("after");
    let copied = std::process::Command::new("cp").arg("-r").arg(dirs.0.path()).arg(&copy).status().unwrap();
    assert!(copied.success());
    let second = node(&copy, 1).await;
    assert_eq!(second.endpoint_id(), first.endpoint_id());
    assert_eq!(second.get(&digest).await.unwrap().unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_or_altered_file_is_said_moved_aside_and_fetched_anew() {
    let p = pair().await;
    let at = p.two.address();
    let bytes = noise(200_000);
    let digest = p.two.put(bytes.clone().into()).await.unwrap();
    p.one.fetch(&at, None, &digest, 1 << 20, PATIENCE).await.unwrap();
    let file = file_of(p.dirs.0.path(), &digest);
    let mut altered = bytes.clone();
    altered[123_456] ^= 1;
    for damage in [&bytes[..150_000], &altered, b""] {
        std::fs::write(&file, damage).unwrap();
        let damaged = p.one.get(&digest).await;
        assert!(matches!(&damaged, Err(NetworkError::Damaged { aside, .. }) if aside.exists()), "{damaged:?}");
        assert!(p.one.get(&digest).await.unwrap().is_none());
        std::fs::write(&file, damage).unwrap();
        assert_eq!(p.one.fetch(&at, None, &digest, 1 << 20, PATIENCE).await.unwrap(), bytes);
        assert_eq!(p.one.get(&digest).await.unwrap().unwrap(), bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_copy_is_damaged_serves_none_of_it() {
    let p = pair().await;
    let at = p.two.address();
    let bytes = noise(200_000);
    let digest = p.two.put(bytes.clone().into()).await.unwrap();
    let file = file_of(p.dirs.1.path(), &digest);
    let mut altered = bytes.clone();
    altered[123_456] ^= 1;
    for warm in [false, true] {
        for damage in [&bytes[..150_000], &altered] {
            p.two.put(bytes.clone().into()).await.unwrap();
            if warm {
                // The peer has the hash tree in memory now, and trusts it.
                p.one.fetch_range(&at, None, &digest, 0..10, PATIENCE).await.unwrap();
            }
            std::fs::write(&file, damage).unwrap();
            let result = p.one.fetch(&at, None, &digest, 1 << 20, PATIENCE).await;
            assert!(matches!(result, Err(NetworkError::Missing { .. })), "warm {warm}: {result:?}");
            assert!(!p.one.has(&digest).await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_blobs_at_once_come_right() {
    let p = pair().await;
    let at = p.two.address();
    let one = Arc::new(p.one);
    let mut fetched = tokio::task::JoinSet::new();
    for i in 0..100u32 {
        let bytes = [&i.to_le_bytes()[..], &noise(40_000)].concat();
        let digest = p.two.put(bytes.clone().into()).await.unwrap();
        let (one, at) = (one.clone(), at.clone());
        fetched
            .spawn(async move { assert_eq!(one.fetch(&at, None, &digest, 1 << 20, PATIENCE).await.unwrap(), bytes) });
    }
    while let Some(done) = fetched.join_next().await {
        done.unwrap();
    }
}

/// Whoever has it on disk is not asked: a validator's audit works while the miner is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_here_is_not_asked_for() {
    let p = pair().await;
    let bytes = noise(1000);
    let digest = p.one.put(bytes.clone().into()).await.unwrap();
    let at = p.two.address();
    p.two.shutdown().await;
    assert_eq!(p.one.fetch(&at, None, &digest, 1000, PATIENCE).await.unwrap(), bytes);
}
