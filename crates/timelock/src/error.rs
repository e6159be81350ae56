//! What can be wrong with timelocked bytes.

use thiserror::Error;

/// Why something could not be encrypted, decrypted or verified.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TimelockError {
    /// Not the layout of chain.md 5.4.
    #[error("this is no timelock ciphertext: {0}")]
    Layout(String),
    /// Bytes that are no point of the curve's right group.
    #[error("the {what} is no point of the curve: {length} bytes were read")]
    Point {
        /// Which one.
        what: &'static str,
        /// How long it was.
        length: usize,
    },
    /// The signature does not open this ciphertext: it is another round's or another beacon's, or the ciphertext was damaged.
    #[error(
        "this signature does not open the ciphertext: it belongs to another round or another beacon, or the ciphertext is damaged"
    )]
    WrongKey,
    /// The plaintext is no weights payload.
    #[error("the decrypted bytes are no weights: {0}")]
    Payload(String),
    /// Longer than the chain accepts.
    #[error("the commit has {read} bytes and the chain takes {most} at most: set fewer weights")]
    TooLong {
        /// Bytes of it.
        read: usize,
        /// Bytes allowed.
        most: usize,
    },
}
