//! Registration by proof of work: the seal, and all cores searching for one (chain.md 8.9 b).
//!
//! Invariant: a search ends when it is dropped, within one batch of hashes; it never outlives the command that began it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use starling_keys::{Account, Signer};
use tokio::sync::oneshot;

use crate::{BlockRef, ChainError, Client, Submitted, proofs::registered_uid, submit::Call, value::Value};

const SUBTENSOR: &str = "SubtensorModule";
/// A proof is included less than this many blocks after the block that it is for.
const FRESH: u32 = 5;
/// Hashes between two looks at whether to stop.
const BATCH: u64 = 4096;

/// What a proof is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// The subnet.
    pub netuid: u16,
    /// The block that makes it young: less than 5 blocks old when it is included.
    pub block: BlockRef,
    /// Who is registered.
    pub hotkey: Account,
    /// Who signs.
    pub coldkey: Account,
    /// Hashes that it takes on average.
    pub difficulty: u64,
}

impl Work {
    fn message(&self) -> Vec<u8> {
        let mut message = b"subtensor-pow-register-v1".to_vec();
        message.extend(self.netuid.to_le_bytes());
        message.extend(self.block.hash);
        message.extend(self.hotkey.0);
        message.extend(self.coldkey.0);
        message
    }

    /// `keccak_256(sha2_256(what the work is for ‖ nonce))`.
    #[must_use]
    pub fn seal(&self, nonce: u64) -> [u8; 32] {
        let mut message = self.message();
        message.extend(nonce.to_le_bytes());
        sp_crypto_hashing::keccak_256(&sp_crypto_hashing::sha2_256(&message))
    }

    /// The largest seal that is enough, big-endian: `(2^256 - 1) / difficulty`.
    #[must_use]
    pub fn threshold(&self) -> [u8; 32] {
        let (divisor, mut rest, mut quotient) = (u128::from(self.difficulty.max(1)), 0_u128, [0_u8; 32]);
        for digit in &mut quotient {
            rest = (rest << 8) | 0xff;
            *digit = (rest / divisor) as u8;
            rest %= divisor;
        }
        quotient
    }

    /// Whether a seal, read as a little-endian number, is small enough.
    #[must_use]
    pub fn is_met_by(&self, mut seal: [u8; 32]) -> bool {
        seal.reverse();
        seal <= self.threshold()
    }
}

/// Threads that look for a nonce.
#[derive(Debug)]
pub struct Search {
    stop: Arc<AtomicBool>,
    tried: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
    found: oneshot::Receiver<u64>,
}

impl Search {
    /// Begins on `threads` threads (at least one), each from its own part of the numbers.
    ///
    /// # Errors
    /// [`ChainError::Invalid`] if the system gives no thread.
    pub fn start(work: Work, threads: usize, tried: Arc<AtomicU64>) -> Result<Self, ChainError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, found) = oneshot::channel();
        let tell = Arc::new(std::sync::Mutex::new(Some(tell)));
        let threads = threads.max(1);
        let stride = u64::MAX / threads as u64;
        let mut handles = Vec::with_capacity(threads);
        for index in 0..threads as u64 {
            let (stop, tried, tell) = (Arc::clone(&stop), Arc::clone(&tried), Arc::clone(&tell));
            let search = move || {
                let threshold = work.threshold();
                let mut message = work.message();
                let at = message.len();
                message.extend([0; 8]);
                let mut nonce = stride.wrapping_mul(index);
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..BATCH {
                        if let Some(place) = message.get_mut(at..) {
                            place.copy_from_slice(&nonce.to_le_bytes());
                        }
                        let mut seal = sp_crypto_hashing::keccak_256(&sp_crypto_hashing::sha2_256(&message));
                        seal.reverse();
                        if seal <= threshold {
                            stop.store(true, Ordering::Relaxed);
                            let tell = tell.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
                            if let Some(tell) = tell {
                                let _ = tell.send(nonce);
                            }
                            return;
                        }
                        nonce = nonce.wrapping_add(1);
                    }
                    tried.fetch_add(BATCH, Ordering::Relaxed);
                }
            };
            let handle = std::thread::Builder::new().name(format!("pow-{index}")).spawn(search);
            handles.push(handle.map_err(|error| ChainError::Invalid(format!("no thread to work on: {error}")))?);
        }
        Ok(Self { stop, tried, threads: handles, found })
    }

    /// Hashes tried, those of earlier searches with the same counter included.
    #[must_use]
    pub fn tried(&self) -> u64 {
        self.tried.load(Ordering::Relaxed)
    }

    /// Waits for the nonce. May be given up and asked again.
    ///
    /// # Errors
    /// [`ChainError::Invalid`] if the threads died.
    pub async fn nonce(&mut self) -> Result<u64, ChainError> {
        (&mut self.found).await.map_err(|_| ChainError::Invalid("the search's threads died".into()))
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Client {
    /// What a proof made now would be for: on the newest block, final or not, because it ages fast.
    ///
    /// # Errors
    /// [`ChainError::Absent`] where the runtime has no `pow_register`, and those of reading.
    pub async fn pow_work(&self, netuid: u16, hotkey: &Account, coldkey: &Account) -> Result<Work, ChainError> {
        let runtime = self.runtime(None).await?;
        if !runtime.has_call(SUBTENSOR, "pow_register") {
            let what = "call SubtensorModule.pow_register (this runtime registers by burning alone)".into();
            return Err(ChainError::Absent { what, spec: runtime.spec });
        }
        let block = self.newest().await?;
        let key = [Value::from(netuid)];
        let (difficulty, least, most) = futures::try_join!(
            self.number::<u64>("Difficulty", &key, None),
            self.number::<u64>("MinDifficulty", &key, None),
            self.number::<u64>("MaxDifficulty", &key, None),
        )?;
        let least = least.max(1);
        let difficulty = difficulty.clamp(least, most.max(least));
        Ok(Work { netuid, block, hotkey: *hotkey, coldkey: *coldkey, difficulty })
    }

    /// Why a proof that was refused is no longer good: the chain went on, or asks for more work now. `None` if it is still good, so that
    /// the refusal has another reason. Pools do not say which it was.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn pow_stale(&self, work: &Work, nonce: u64) -> Result<Option<String>, ChainError> {
        let now = self.pow_work(work.netuid, &work.hotkey, &work.coldkey).await?;
        // It would be included in the block after the newest.
        let age = now.block.number.saturating_add(1).saturating_sub(work.block.number);
        if age >= FRESH {
            return Ok(Some(format!(
                "its block {} would be {age} blocks old, {FRESH} are too many",
                work.block.number
            )));
        }
        if !(Work { difficulty: now.difficulty, ..*work }).is_met_by(work.seal(nonce)) {
            return Ok(Some(format!("the difficulty rose from {} to {}", work.difficulty, now.difficulty)));
        }
        let known = self.block_hash(work.block.number).await?;
        Ok((known != Some(work.block.hash)).then(|| format!("block {} became another one", work.block.number)))
    }

    /// Registers with a nonce that [`Work::is_met_by`] holds for. Costs nothing. Returns the uid.
    ///
    /// # Errors
    /// [`ChainError`]; `InvalidWorkBlock` if the work has become too old.
    pub async fn pow_register(
        &self,
        coldkey: &dyn Signer,
        work: &Work,
        nonce: u64,
    ) -> Result<(u16, Submitted), ChainError> {
        let args = vec![
            ("netuid", work.netuid.into()),
            ("work_block", work.block.number.into()),
            ("nonce", nonce.into()),
            ("work", Value::Bytes(work.seal(nonce).to_vec())),
            ("hotkey", (&work.hotkey).into()),
        ];
        let call = Call { pallet: SUBTENSOR, name: "pow_register", args };
        let sent = self.write(coldkey, &call).await?;
        Ok((registered_uid(&sent, &call, work.netuid, &work.hotkey)?, sent))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Of chain.md 8.9 b.
    fn work(difficulty: u64) -> Work {
        let account = |text: &str| text.parse().unwrap();
        Work {
            netuid: 1,
            block: BlockRef { number: 7, hash: [0x11; 32] },
            hotkey: account("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"),
            coldkey: account("5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"),
            difficulty,
        }
    }

    #[test]
    fn the_seal_is_the_official_one() {
        let seal = work(1).seal(5);
        assert_eq!(hex::encode(seal), "05a5a752caa225a8b039802bc6f35a8cfd8543885874d4368a385b97660deab3");
    }

    #[test]
    fn the_threshold_divides_exactly_and_reads_little_endian() {
        assert_eq!(work(1).threshold(), [0xff; 32]);
        let half = work(2).threshold();
        assert_eq!((half[0], half[31]), (0x7f, 0xff));
        let mut expected = [0x55; 32];
        assert_eq!(work(3).threshold(), expected);
        expected.fill(0);
        // (2^256 - 1) / (2^64 - 1) = 2^192 + 2^128 + 2^64 + 1.
        for place in [7, 15, 23, 31] {
            expected[place] = 1;
        }
        assert_eq!(work(u64::MAX).threshold(), expected);
        // The last byte is the highest one.
        let mut seal = [0; 32];
        seal[31] = 0x80;
        assert!(!work(2).is_met_by(seal) && work(1).is_met_by(seal));
        seal = [0xff; 32];
        seal[31] = 0x7f;
        assert!(work(2).is_met_by(seal));
    }

    #[tokio::test]
    async fn a_search_finds_what_holds_and_ends_when_dropped() {
        let work = work(2_000);
        let mut search = Search::start(work, 2, Arc::default()).unwrap();
        let nonce = search.nonce().await.unwrap();
        assert!(work.is_met_by(work.seal(nonce)));
        // Nobody finds this one; dropping joins the threads, so the test ends only if they do.
        let endless = Search::start(Work { difficulty: u64::MAX, ..work }, 2, Arc::default()).unwrap();
        drop(endless);
    }
}
