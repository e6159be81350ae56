//! The weights in a timelocked commit (chain.md 5.2).

use parity_scale_codec::{Decode, Encode};

use crate::{Entropy, PublicKey, Signature, TimelockError, decrypt, encrypt};

/// Longest commit that the chain takes, bytes.
pub const MAX_COMMIT: usize = 5_000;

/// What a validator encrypts: its own hotkey, so that a copied commit is worthless to the one who copies it, and its weights as they will
/// stand in the reveal (before the chain scales them).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Payload {
    /// Public key of the committing hotkey, 32 bytes.
    pub hotkey: Vec<u8>,
    /// Weighted neurons.
    pub uids: Vec<u16>,
    /// Their weights.
    pub values: Vec<u16>,
    /// Version of the validator's software, at least the subnet's.
    pub version_key: u64,
}

/// The payload of older clients, which the chain still reads.
#[derive(Decode)]
struct Legacy {
    uids: Vec<u16>,
    values: Vec<u16>,
    version_key: u64,
}

impl Payload {
    /// Read decrypted bytes as the chain does: with the hotkey, or the older form without one (then `hotkey` is empty). Some bytes can be
    /// read both ways; a hotkey has 32 bytes.
    ///
    /// # Errors
    /// [`TimelockError::Payload`].
    pub fn read(plaintext: &[u8]) -> Result<Self, TimelockError> {
        // What a commit holds is no longer than a commit; the codec allocates no more than what it is given holds.
        if plaintext.len() > MAX_COMMIT {
            return Err(TimelockError::TooLong { read: plaintext.len(), most: MAX_COMMIT });
        }
        match Self::decode(&mut &*plaintext) {
            Ok(payload) if payload.hotkey.len() == 32 => return Ok(payload),
            _ => {}
        }
        let Legacy { uids, values, version_key } =
            Legacy::decode(&mut &*plaintext).map_err(|e| TimelockError::Payload(e.to_string()))?;
        Ok(Self { hotkey: Vec::new(), uids, values, version_key })
    }

    /// The bytes to commit.
    ///
    /// # Errors
    /// [`TimelockError::TooLong`] if the chain would not take them (about 1,100 weights fit).
    pub fn seal(&self, beacon: &PublicKey, round: u64, entropy: Entropy) -> Result<Vec<u8>, TimelockError> {
        let commit = encrypt(beacon, round, &self.encode(), entropy)?;
        if commit.len() > MAX_COMMIT {
            return Err(TimelockError::TooLong { read: commit.len(), most: MAX_COMMIT });
        }
        Ok(commit)
    }

    /// What was committed, once the round's signature is out.
    ///
    /// # Errors
    /// Those of [`decrypt`] and [`Payload::read`].
    pub fn open(signature: &Signature, commit: &[u8]) -> Result<Self, TimelockError> {
        Self::read(&decrypt(signature, commit)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::LocalBeacon;

    fn payload(n: u16) -> Payload {
        Payload { hotkey: vec![7; 32], uids: (0..n).collect(), values: vec![9; n.into()], version_key: 3 }
    }

    fn entropy() -> Entropy {
        Entropy { key: [1; 32], sigma: [2; 32], nonce: [3; 12] }
    }

    /// chain.md 14 F1 (plaintext) and 5.4 (lengths).
    #[test]
    fn payloads_have_the_published_bytes_and_lengths() {
        let alice = hex::decode("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d").unwrap();
        let f1 = Payload { hotkey: alice, uids: vec![0, 1], values: vec![65535, 32768], version_key: 0 };
        let bytes =
            "80d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d080000010008ffff00800000000000000000";
        assert_eq!(hex::encode(f1.encode()), bytes);
        let beacon = LocalBeacon::from_seed(b"lengths");
        for (n, length) in [(64, 545), (256, 1313), (1024, 4385)] {
            let commit = payload(n).seal(&beacon.public_key(), 4, entropy()).unwrap();
            assert_eq!(commit.len(), length);
            assert_eq!(Payload::open(&beacon.sign(4), &commit).unwrap(), payload(n));
        }
    }

    #[test]
    fn more_weights_than_the_chain_takes_are_refused_with_both_numbers() {
        let beacon = LocalBeacon::from_seed(b"long");
        let error = payload(4096).seal(&beacon.public_key(), 4, entropy()).unwrap_err();
        assert_eq!(error, TimelockError::TooLong { read: 244 + 45 + 4 * 4096, most: 5000 });
    }

    #[test]
    fn the_older_payload_is_read_and_garbage_is_not() {
        // The first is a payload with a hotkey of one byte as well.
        let short = Payload::read(&(vec![1u16], vec![5u16], 0u64).encode()).unwrap();
        assert_eq!((short.hotkey.len(), short.uids, short.values), (0, vec![1], vec![5]));
        let older = (vec![1u16, 2], vec![3u16, 4], 5u64).encode();
        let read = Payload::read(&older).unwrap();
        assert_eq!((read.hotkey.len(), read.uids, read.values, read.version_key), (0, vec![1, 2], vec![3, 4], 5));
        assert!(Payload::read(&[0xff; 20]).is_err());
        assert!(Payload::read(&[0; 6000]).is_err());
    }
}
