//! Setting, committing and revealing weights (chain.md 4, 5).
//!
//! Invariant: as for all calls, `Ok` means that the block is final, the event is there and the storage reads back as asked.

use starling_keys::Signer;
use starling_timelock::MAX_COMMIT;

use super::rows::{Mechanism, WeightCommit};
use crate::{
    ChainError, Client, Submitted,
    commit_reveal::commit_hash,
    detail::About,
    submit::Call,
    timelock::{TIMELOCK_VERSION, TimelockedCommit, sealed_hash},
    value::Value,
};

const SUBTENSOR: &str = "SubtensorModule";

impl Client {
    /// Sets a validator's weights at once, on subnets without commit-reveal. `values` as [`crate::weights::quantise`] makes them.
    ///
    /// # Errors
    /// [`ChainError`].
    pub async fn set_weights(
        &self,
        hotkey: &dyn Signer,
        of: impl Into<Mechanism>,
        uids: &[u16],
        values: &[u16],
        version_key: u64,
    ) -> Result<Submitted, ChainError> {
        let of = of.into();
        same_length(uids, values)?;
        let mut args = of.arguments();
        args.extend([("dests", uids.into()), ("weights", values.into()), ("version_key", version_key.into())]);
        let call = Call { pallet: SUBTENSOR, name: of.call("set_weights", "set_mechanism_weights"), args };
        let account = hotkey.account();
        let sent = self.send_weights(hotkey, of, &call, (uids.len(), version_key)).await?;
        self.weights_landed(&sent, &call, of, &account, uids, values).await?;
        Ok(sent)
    }

    /// Commits to weights by hash; the same values, salt and version key have to be revealed later. Returns the commit, whose epoch
    /// tells when ([`crate::EpochClock::reveal_window`]).
    ///
    /// # Errors
    /// [`ChainError`].
    #[allow(clippy::too_many_arguments)] // The parts of the hash, as agreed with the validator.
    pub async fn commit_weights(
        &self,
        hotkey: &dyn Signer,
        of: impl Into<Mechanism>,
        uids: &[u16],
        values: &[u16],
        salt: &[u16],
        version_key: u64,
    ) -> Result<(WeightCommit, Submitted), ChainError> {
        let of = of.into();
        same_length(uids, values)?;
        let account = hotkey.account();
        let hash = commit_hash(&account, of.index(), uids, values, salt, version_key);
        let mut args = of.arguments();
        args.push(("commit_hash", hash.into()));
        let call = Call { pallet: SUBTENSOR, name: of.call("commit_weights", "commit_mechanism_weights"), args };
        let sent = self.send_weights(hotkey, of, &call, (uids.len(), version_key)).await?;
        Ok((self.commit_landed(&sent, &call, of, &account, hash).await?, sent))
    }

    /// Reveals weights committed before, within their reveal window.
    ///
    /// # Errors
    /// [`ChainError`].
    #[allow(clippy::too_many_arguments)] // The parts of the hash, as agreed with the validator.
    pub async fn reveal_weights(
        &self,
        hotkey: &dyn Signer,
        of: impl Into<Mechanism>,
        uids: &[u16],
        values: &[u16],
        salt: &[u16],
        version_key: u64,
    ) -> Result<Submitted, ChainError> {
        let of = of.into();
        same_length(uids, values)?;
        let mut args = of.arguments();
        args.extend([
            ("uids", uids.into()),
            ("values", values.into()),
            ("salt", salt.into()),
            ("version_key", version_key.into()),
        ]);
        let call = Call { pallet: SUBTENSOR, name: of.call("reveal_weights", "reveal_mechanism_weights"), args };
        let account = hotkey.account();
        let sent = self.send_weights(hotkey, of, &call, (uids.len(), version_key)).await?;
        let hash = commit_hash(&account, of.index(), uids, values, salt, version_key);
        self.revealed(&sent, &call, of, &account, (uids, values), hash).await?;
        Ok(sent)
    }

    /// Commits to weights that are encrypted to a round of the beacon, as [`Client::seal_weights`] makes them: the chain reveals them by
    /// itself in their reveal epoch, once it has the round. That it did is another question ([`Client::timelocked_fate`]).
    ///
    /// # Errors
    /// [`ChainError`]; [`ChainError::Invalid`] if the chain wants another version than 4 of the scheme.
    pub async fn commit_timelocked_weights(
        &self,
        hotkey: &dyn Signer,
        of: impl Into<Mechanism>,
        sealed: &[u8],
        round: u64,
    ) -> Result<(TimelockedCommit, Submitted), ChainError> {
        let of = of.into();
        if sealed.len() > MAX_COMMIT {
            return Err(ChainError::Invalid(format!(
                "the commit has {} bytes and the chain takes {MAX_COMMIT} at most",
                sealed.len()
            )));
        }
        let version = self.commit_reveal_version().await?;
        if version != TIMELOCK_VERSION {
            return Err(ChainError::Invalid(format!(
                "the chain wants commit-reveal version {version}, this program makes version {TIMELOCK_VERSION}"
            )));
        }
        let account = hotkey.account();
        let hash = sealed_hash(sealed);
        let mut args = of.arguments();
        args.extend([
            ("commit", Value::Bytes(sealed.to_vec())),
            ("reveal_round", round.into()),
            ("commit_reveal_version", version.into()),
        ]);
        let name = of.call("commit_timelocked_weights", "commit_timelocked_mechanism_weights");
        let call = Call { pallet: SUBTENSOR, name, args };
        let sent = self.send_weights(hotkey, of, &call, (0, 0)).await?;
        Ok((self.timelocked_landed(&sent, &call, of, &account, hash).await?, sent))
    }

    /// Sends a call about so many weights with such a version key; a refusal carries its numbers.
    async fn send_weights(
        &self,
        hotkey: &dyn Signer,
        of: Mechanism,
        call: &Call<'_>,
        (count, version_key): (usize, u64),
    ) -> Result<Submitted, ChainError> {
        let sent = self.send_and_follow(hotkey, call).await;
        let account = hotkey.account();
        self.with_numbers(sent, About::Weights { netuid: of.netuid, hotkey: &account, count, version_key }).await
    }
}

pub(super) fn same_length(uids: &[u16], values: &[u16]) -> Result<(), ChainError> {
    if uids.len() == values.len() {
        return Ok(());
    }
    Err(ChainError::Invalid(format!(
        "{} uids but {} weights: there must be one weight per uid",
        uids.len(),
        values.len()
    )))
}
