//! The store loses nothing that it said it had, whenever it is interrupted, and is never mistaken for another's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io,
    sync::{Arc, Mutex},
};

use redb::StorageBackend;
use starling_protocol::ledger::Event;

use super::*;
use crate::tests::{config, join, key};

/// A disk in memory that stops working after a number of operations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<Platters>>);

#[derive(Debug, Default)]
struct Platters {
    bytes: Vec<u8>,
    /// As of the last sync: what a power failure leaves.
    synced: Vec<u8>,
    operations: usize,
    limit: Option<usize>,
}

impl Disk {
    fn with_bytes(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Platters { synced: bytes.clone(), bytes, ..Platters::default() })))
    }

    /// From now on, this many changes succeed.
    pub(crate) fn fail_after(&self, operations: usize) {
        let mut p = self.0.lock().unwrap();
        p.limit = Some(p.operations + operations);
    }

    /// The same bytes on a disk that works.
    pub(crate) fn with_space(&self) -> Self {
        Self::with_bytes(self.bytes())
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    fn operations(&self) -> usize {
        self.0.lock().unwrap().operations
    }

    fn change(&self, change: impl FnOnce(&mut Platters)) -> Result<(), io::Error> {
        let mut p = self.0.lock().unwrap();
        if p.limit.is_some_and(|limit| p.operations >= limit) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        p.operations += 1;
        change(&mut p);
        Ok(())
    }

    pub(crate) fn open(&self, config: &RunConfig) -> Result<(Store, Found), StoreError> {
        let database = Database::builder().create_with_backend(self.clone()).map_err(failed)?;
        Store::with(database, Path::new("memory"), config)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let p = self.0.lock().unwrap();
        let at = usize::try_from(offset).unwrap();
        let from = p.bytes.get(at..at + out.len()).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(from);
        Ok(())
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.change(|p| p.bytes.resize(usize::try_from(len).unwrap(), 0))
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.change(|p| p.synced = p.bytes.clone())
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let at = usize::try_from(offset).unwrap();
        self.change(|p| p.bytes[at..at + data.len()].copy_from_slice(data))
    }
}

/// Entries that follow from each other: miners that join, one after the other, in batches.
fn batches(config: &RunConfig) -> Vec<Vec<Entry>> {
    let mut state = State::new(config.clone());
    let mut seeds = 1..;
    let mut entry = || {
        let seed = seeds.next().unwrap();
        let join = join(config, &key(seed), u64::from(seed));
        let stage = state.stage_for_a_newcomer().unwrap();
        let entry = Entry { at_ms: u64::from(seed), event: Event::Joined { join, uid: u16::from(seed), stage } };
        state.apply(&entry).unwrap();
        entry
    };
    [1, 3, 2].map(|n| (0..n).map(|_| entry()).collect()).to_vec()
}

/// Append until the disk fails; how many entries were said to be safe.
fn append_all(disk: &Disk, config: &RunConfig, batches: &[Vec<Entry>]) -> u64 {
    let Ok((store, found)) = disk.open(config) else { return 0 };
    assert!(found.links.is_empty());
    let mut safe = 0;
    for batch in batches {
        match store.append(safe, batch) {
            Ok(()) => safe += batch.len() as u64,
            Err(error) => {
                assert!(matches!(error, StoreError::Failed(_)), "{error}");
                break;
            }
        }
    }
    safe
}

#[test]
fn whatever_write_is_the_last_what_was_said_to_be_safe_is_there_and_batches_are_whole() {
    let config = config(1, 1);
    let batches = batches(&config);
    let all = batches.concat();
    // A ledger is moved to its place when it is made: see the next test.
    let made = {
        let disk = Disk::default();
        drop(disk.open(&config).unwrap());
        disk.bytes()
    };
    let whole = Disk::with_bytes(made.clone());
    assert_eq!(append_all(&whole, &config, &batches), all.len() as u64);
    let operations = whole.operations();
    assert!(operations > 20, "there is something to interrupt");
    for last in 0..=operations {
        let disk = Disk::with_bytes(made.clone());
        disk.fail_after(last);
        let safe = append_all(&disk, &config, &batches);
        // What the processes' end leaves, and what a power failure leaves.
        let platters = disk.0.lock().unwrap();
        for left in [&platters.bytes, &platters.synced] {
            let (store, found) = Disk::with_bytes(left.clone()).open(&config).unwrap();
            let there = found.links.len();
            assert!(there as u64 >= safe, "{there} entries after {last} writes, {safe} were said to be safe");
            assert!([0, 1, 4, 6].contains(&there), "half a batch after {last} writes: {there}");
            assert_eq!(store.page(0, 100, usize::MAX).unwrap(), all[..there]);
            // And it goes on from there.
            store.append(there as u64, &all[there..]).unwrap();
        }
    }
}

#[test]
fn a_ledger_half_made_is_made_anew() {
    let config = config(1, 1);
    let disk = Disk::default();
    drop(disk.open(&config).unwrap());
    for length in [0, 7, 4096, disk.bytes().len() - 1] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ledger.part"), &disk.bytes()[..length]).unwrap();
        let (store, found) = Store::open(folder.path(), &config).unwrap();
        assert!(found.links.is_empty());
        store.append(0, &batches(&config)[0]).unwrap();
    }
}

#[test]
fn another_runs_directory_is_refused_with_both_runs_named() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (config(1, 1), config(1, 2));
    drop(Store::open(folder.path(), &theirs).unwrap());
    let error = Store::open(folder.path(), &ours).unwrap_err().to_string();
    assert!(error.contains(&ours.id().to_string()) && error.contains(&theirs.id().to_string()), "{error}");
    drop(Store::open(folder.path(), &theirs).unwrap());
}

#[test]
fn a_directory_in_use_is_refused_as_such_and_free_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(1, 1);
    let first = Store::open(folder.path(), &config).unwrap();
    assert!(matches!(Store::open(folder.path(), &config), Err(StoreError::InUse(_))));
    drop(first);
    Store::open(folder.path(), &config).unwrap();
}

#[test]
fn a_file_that_is_no_ledger_or_was_altered_gives_an_error_or_the_truth_and_no_panic() {
    let config = config(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    std::fs::write(&path, b"this is not a ledger").unwrap();
    assert!(matches!(Store::open(folder.path(), &config), Err(StoreError::Open { .. })));
    std::fs::remove_file(&path).unwrap();

    let all = batches(&config).concat();
    let (store, _) = Store::open(folder.path(), &config).unwrap();
    store.append(0, &all).unwrap();
    drop(store);
    let sound = std::fs::read(&path).unwrap();
    let cut = [0, 1, 100, 4096, sound.len() / 2, sound.len() - 1];
    let damaged =
        cut.map(|n| sound[..n].to_vec()).into_iter().chain((0..sound.len()).step_by(sound.len() / 97).map(|at| {
            let mut bytes = sound.clone();
            bytes[at] ^= 0xff;
            bytes
        }));
    for bytes in damaged {
        std::fs::write(&path, bytes).unwrap();
        if let Ok((store, found)) = Store::open(folder.path(), &config) {
            assert_eq!(store.page(0, 100, usize::MAX).unwrap(), all[..found.links.len()]);
        }
    }
}

#[test]
fn a_missing_or_garbled_entry_is_named() {
    let config = config(1, 1);
    let all = batches(&config).concat();
    for (index, bytes, named) in [(7u64, &b"x"[..], 6), (6, b"garbage", 6)] {
        let disk = Disk::default();
        let (store, _) = disk.open(&config).unwrap();
        store.append(0, &all).unwrap();
        let write = store.database.begin_write().unwrap();
        write.open_table(ENTRIES).unwrap().insert(index, bytes).unwrap();
        write.commit().unwrap();
        drop(store);
        assert!(matches!(disk.open(&config), Err(StoreError::Damaged(n)) if n == named));
    }
}

#[test]
fn entries_that_do_not_follow_from_each_other_are_refused() {
    let config = config(1, 1);
    let mut all = batches(&config).concat();
    all.swap(0, 1);
    let disk = Disk::default();
    let (store, _) = disk.open(&config).unwrap();
    store.append(0, &all).unwrap();
    drop(store);
    assert!(matches!(disk.open(&config), Err(StoreError::Broken(_))));
}

#[test]
fn a_page_has_at_most_the_count_and_bytes_asked_for_and_at_least_one_entry() {
    let config = config(1, 1);
    let all = batches(&config).concat();
    let (store, _) = Disk::default().open(&config).unwrap();
    store.append(0, &all).unwrap();
    assert_eq!(store.page(0, 2, usize::MAX).unwrap(), all[..2]);
    assert_eq!(store.page(4, 100, usize::MAX).unwrap(), all[4..]);
    assert_eq!(store.page(0, 100, 1).unwrap(), all[..1]);
    let two = all[0].encoded_size() + all[1].encoded_size();
    assert_eq!(store.page(0, 100, two).unwrap(), all[..2]);
    assert!(store.page(6, 100, usize::MAX).unwrap().is_empty());
}
