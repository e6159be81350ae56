//! The bytes of a ciphertext (chain.md 5.4): what arkworks' serialisation of the reference implementation writes.
//!
//! `U (96) ‖ 32 ‖ V ‖ 32 ‖ W ‖ length ‖ body ‖ 8 ‖ "AES_GCM_"`, body `length ‖ ciphertext with tag ‖ 12 ‖ nonce`; lengths are 8 bytes,
//! little endian. Every length is compared with what is there before it is used: a generic reader would allocate what it is told to.

use crate::TimelockError;

/// Name of the body's cipher.
const SUITE: &[u8] = b"AES_GCM_";

/// A ciphertext's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The header's point, G2 compressed.
    pub u: &'a [u8],
    pub v: [u8; 32],
    pub w: [u8; 32],
    /// The body with its 16-byte tag.
    pub sealed: &'a [u8],
    pub nonce: [u8; 12],
}

impl<'a> Parts<'a> {
    /// # Errors
    /// [`TimelockError::Layout`] with the place and what was found there.
    pub fn read(bytes: &'a [u8]) -> Result<Self, TimelockError> {
        let mut left = bytes;
        let u = take(&mut left, 96, "the header's point")?;
        let v = array(field(&mut left, "V")?, "V")?;
        let w = array(field(&mut left, "W")?, "W")?;
        let mut body = field(&mut left, "body")?;
        let suite = field(&mut left, "suite")?;
        if suite != SUITE {
            return Err(TimelockError::Layout(format!(
                "the cipher is {:?}, needed is \"AES_GCM_\"",
                String::from_utf8_lossy(suite)
            )));
        }
        let sealed = field(&mut body, "ciphertext")?;
        let nonce = array(field(&mut body, "nonce")?, "nonce")?;
        for (rest, place) in [(left, "ciphertext"), (body, "body")] {
            if !rest.is_empty() {
                return Err(TimelockError::Layout(format!("{} bytes follow the end of the {place}", rest.len())));
            }
        }
        Ok(Self { u, v, w, sealed, nonce })
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(crate::OVERHEAD + self.sealed.len());
        out.extend_from_slice(self.u);
        put(&mut out, &self.v);
        put(&mut out, &self.w);
        let mut body = Vec::with_capacity(self.sealed.len() + 28);
        put(&mut body, self.sealed);
        put(&mut body, &self.nonce);
        put(&mut out, &body);
        put(&mut out, SUITE);
        out
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take<'a>(left: &mut &'a [u8], n: usize, what: &str) -> Result<&'a [u8], TimelockError> {
    let Some((taken, rest)) = left.split_at_checked(n) else {
        return Err(TimelockError::Layout(format!("{what} needs {n} bytes and {} are left", left.len())));
    };
    *left = rest;
    Ok(taken)
}

fn field<'a>(left: &mut &'a [u8], what: &str) -> Result<&'a [u8], TimelockError> {
    let length: [u8; 8] = array(take(left, 8, what)?, what)?;
    let length = u64::from_le_bytes(length);
    let n = usize::try_from(length).ok().filter(|n| *n <= left.len());
    let Some(n) = n else {
        return Err(TimelockError::Layout(format!("{what} claims {length} bytes and {} are left", left.len())));
    };
    take(left, n, what)
}

fn array<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], TimelockError> {
    bytes.try_into().map_err(|_| TimelockError::Layout(format!("{what} has {} bytes, needed are {N}", bytes.len())))
}
