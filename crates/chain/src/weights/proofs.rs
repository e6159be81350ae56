//! What shows that weights, a commit or a commitment are on chain: the call's own event, and storage read at the block of the
//! transaction (chain.md 4.4, 5). By the call's arguments, so that one signed elsewhere is proven as one signed here.
//!
//! Invariant: what is answered was read from storage, never taken from the call.

use starling_keys::Account;

use super::rows::{Mechanism, WeightCommit};
use crate::{
    ChainError, Client, Commitment, Submitted,
    commit_reveal::commit_hash,
    proofs::{confirm, expect, unconfirmed},
    queries::committed,
    submit::Call,
    timelock::{TimelockedCommit, sealed_hash},
    value::Value,
};

const SUBTENSOR: &str = "SubtensorModule";

/// What storage holds after a call, as it was read at the call's block.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Landed {
    /// A validator's row of weights.
    Weights {
        /// Whose matrix.
        of: Mechanism,
        /// The validator's uid.
        uid: u16,
        /// Neurons and their weights, scaled by the chain.
        weights: Vec<(u16, u16)>,
    },
    /// A commit by hash, which waits for its reveal.
    Commit {
        /// Whose matrix.
        of: Mechanism,
        /// The commit.
        commit: WeightCommit,
    },
    /// A timelocked commit, which the chain will open.
    Timelocked {
        /// Whose matrix.
        of: Mechanism,
        /// The commit.
        commit: TimelockedCommit,
    },
    /// What the hotkey has committed to the subnet.
    Commitment {
        /// The subnet.
        netuid: u16,
        /// Its data, and its block.
        commitment: Commitment,
    },
}

impl Call<'_> {
    /// The weight matrix that the call is about.
    pub(crate) fn mechanism(&self) -> Result<Mechanism, ChainError> {
        let id = if self.arg("mecid").is_some() { self.number("mecid")? } else { 0 };
        Ok(Mechanism { netuid: self.number("netuid")?, id })
    }

    /// A list of small numbers.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<u16>, ChainError> {
        let list = self.arg(name).map(|list| list.map(Value::number::<u16>));
        list.and_then(Result::ok).ok_or_else(|| ChainError::Invalid(format!("{} has no list `{name}`", self.title())))
    }
}

impl Client {
    /// Proves a call about weights, commits or commitments, and answers what storage holds; `None` for any other call.
    ///
    /// # Errors
    /// [`ChainError::Unconfirmed`], and those of reading.
    pub(crate) async fn landed(
        &self,
        signer: &Account,
        call: &Call<'_>,
        sent: &Submitted,
    ) -> Result<Option<Landed>, ChainError> {
        let missing = |name: &str| ChainError::Invalid(format!("{} has no `{name}`", call.title()));
        Ok(Some(match (call.pallet, call.name) {
            (SUBTENSOR, "set_weights" | "set_mechanism_weights") => {
                let (uids, values) = (call.list("dests")?, call.list("weights")?);
                self.weights_landed(sent, call, call.mechanism()?, signer, &uids, &values).await?
            }
            (SUBTENSOR, "reveal_weights" | "reveal_mechanism_weights") => {
                let (of, uids, values) = (call.mechanism()?, call.list("uids")?, call.list("values")?);
                let (salt, key) = (call.list("salt")?, call.number("version_key")?);
                let hash = commit_hash(signer, of.index(), &uids, &values, &salt, key);
                self.revealed(sent, call, of, signer, (&uids, &values), hash).await?
            }
            (SUBTENSOR, "commit_weights" | "commit_mechanism_weights") => {
                let hash = call.arg("commit_hash").and_then(|hash| hash.hash().ok());
                let hash = hash.ok_or_else(|| missing("commit_hash"))?;
                let of = call.mechanism()?;
                Landed::Commit { of, commit: self.commit_landed(sent, call, of, signer, hash).await? }
            }
            (
                SUBTENSOR,
                "commit_timelocked_weights" | "commit_timelocked_mechanism_weights" | "commit_crv3_mechanism_weights",
            ) => {
                let sealed = call.arg("commit").and_then(|sealed| sealed.bytes().ok());
                let hash = sealed_hash(sealed.ok_or_else(|| missing("commit"))?);
                let of = call.mechanism()?;
                Landed::Timelocked { of, commit: self.timelocked_landed(sent, call, of, signer, hash).await? }
            }
            ("Commitments", "set_commitment") => {
                let asked = call.arg("info").and_then(|info| committed(info).ok()).flatten();
                let netuid = call.number("netuid")?;
                let commitment = self.commitment_landed(sent, call, netuid, signer, asked.as_deref()).await?;
                Landed::Commitment { netuid, commitment }
            }
            _ => return Ok(None),
        }))
    }

    /// The row that was asked for, scaled as the chain scales it.
    pub(crate) async fn weights_landed(
        &self,
        sent: &Submitted,
        call: &Call<'_>,
        of: Mechanism,
        hotkey: &Account,
        uids: &[u16],
        values: &[u16],
    ) -> Result<Landed, ChainError> {
        let at = Some(sent.block.hash);
        let uid = self.uid_at(of.netuid, hotkey, at).await?;
        let uid = uid.ok_or_else(|| unconfirmed(sent, call, format!("{hotkey} has no uid on subnet {}", of.netuid)))?;
        expect(sent, call, "WeightsSet", |fields| {
            Ok(fields.at(0)?.number::<u16>()? == of.index() && fields.at(1)?.number::<u16>()? == uid)
        })?;
        let weights = self.weights(of, uid, at).await?;
        let wanted = stored(uids, values);
        confirm(sent, call, sorted(&weights) == wanted, || {
            format!("uid {uid}'s weights read {weights:?} instead of {wanted:?}")
        })?;
        Ok(Landed::Weights { of, uid, weights })
    }

    /// As [`Client::weights_landed`], with the event that the commit was opened.
    pub(crate) async fn revealed(
        &self,
        sent: &Submitted,
        call: &Call<'_>,
        of: Mechanism,
        hotkey: &Account,
        (uids, values): (&[u16], &[u16]),
        hash: [u8; 32],
    ) -> Result<Landed, ChainError> {
        expect(sent, call, "WeightsRevealed", |fields| {
            Ok(fields.at(0)?.account()? == *hotkey && fields.at(2)?.hash()? == hash)
        })?;
        self.weights_landed(sent, call, of, hotkey, uids, values).await
    }

    /// A commit by hash: its event, and its place among those that wait.
    pub(crate) async fn commit_landed(
        &self,
        sent: &Submitted,
        call: &Call<'_>,
        of: Mechanism,
        hotkey: &Account,
        hash: [u8; 32],
    ) -> Result<WeightCommit, ChainError> {
        expect(sent, call, "WeightsCommitted", |fields| {
            Ok(fields.at(0)?.account()? == *hotkey && fields.at(2)?.hash()? == hash)
        })?;
        let commits = self.weight_commits_at(of, hotkey, Some(sent.block.hash)).await?;
        let found = commits.into_iter().rev().find(|commit| commit.hash == hash);
        found.ok_or_else(|| unconfirmed(sent, call, "the commit is not in storage".into()))
    }

    /// A timelocked commit: its event, and its place among those that wait.
    pub(crate) async fn timelocked_landed(
        &self,
        sent: &Submitted,
        call: &Call<'_>,
        of: Mechanism,
        hotkey: &Account,
        hash: [u8; 32],
    ) -> Result<TimelockedCommit, ChainError> {
        expect(sent, call, "TimelockedWeightsCommitted", |fields| {
            Ok(fields.at(0)?.account()? == *hotkey && fields.at(2)?.hash()? == hash)
        })?;
        let commits = self.timelocked_commits_at(of, hotkey, Some(sent.block.hash)).await?;
        let found = commits.into_iter().rev().find(|commit| commit.hash == hash);
        found.ok_or_else(|| unconfirmed(sent, call, "the commit is not in storage".into()))
    }

    /// A commitment with the data asked for; `None` where the call's data is of a kind that this client does not read as bytes.
    pub(crate) async fn commitment_landed(
        &self,
        sent: &Submitted,
        call: &Call<'_>,
        netuid: u16,
        hotkey: &Account,
        asked: Option<&[u8]>,
    ) -> Result<Commitment, ChainError> {
        let found = sent.events("Commitments", "Commitment").any(|event| {
            let who = event.fields.get("who").or_else(|_| event.fields.at(1)).and_then(Value::account);
            who == Ok(*hotkey)
        });
        confirm(sent, call, found, || "there is no Commitment event".into())?;
        let stored = self.commitment(netuid, hotkey, Some(sent.block.hash)).await?;
        let stored = stored.ok_or_else(|| unconfirmed(sent, call, "there is no commitment in storage".into()))?;
        let same = asked.is_none_or(|asked| stored.data == asked);
        confirm(sent, call, same, || format!("the commitment reads {stored:?}"))?;
        Ok(stored)
    }
}

/// What the chain stores of a vector, in ascending order.
pub(crate) fn stored(uids: &[u16], values: &[u16]) -> Vec<(u16, u16)> {
    let pairs: Vec<_> = uids.iter().copied().zip(starling_yuma::upscale::upscale(values)).collect();
    sorted(&pairs)
}

/// In ascending order.
pub(crate) fn sorted(pairs: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let mut pairs = pairs.to_vec();
    pairs.sort_unstable();
    pairs
}
