//! One file per subcommand.

pub mod axon;
pub mod balance;
pub mod commitment;
#[cfg(all(feature = "swarm", feature = "localnet"))]
pub mod demo;
pub mod hyperparameters;
#[cfg(feature = "localnet")]
pub mod localnet;
pub mod metagraph;
#[cfg(feature = "swarm")]
pub mod miner;
#[cfg(feature = "swarm")]
pub mod model;
#[cfg(feature = "swarm")]
pub mod orchestrator;
pub mod register;
#[cfg(feature = "swarm")]
pub mod run;
pub mod stake;
pub mod subnet;
#[cfg(feature = "swarm")]
pub mod validator;
pub mod wallet;
pub mod weights;

use std::time::Duration;

use anyhow::Context;
use starling_chain::{Client, Options};
use starling_protocol::keys::Account;
use starling_wallet::{Keypair, WalletLocation};

use crate::Global;

impl Global {
    /// Connect to the chain within the timeout.
    pub async fn chain(&self) -> anyhow::Result<Client> {
        let timeout = Duration::from_secs(self.timeout.max(1));
        Ok(Client::connect(&self.endpoint, Options { timeout, inclusion_timeout: timeout }).await?)
    }

    /// Where the chosen wallet lies.
    pub fn location(&self) -> anyhow::Result<WalletLocation> {
        let mut location = WalletLocation::from_env()?;
        if let Some(path) = &self.wallet_path {
            location.path.clone_from(path);
        }
        location.name.clone_from(&self.wallet);
        location.hotkey.clone_from(&self.hotkey);
        Ok(location)
    }

    /// The chosen hotkey's pair.
    pub fn hotkey(&self) -> anyhow::Result<Keypair> {
        Ok(self.location()?.hotkey()?)
    }

    /// The chosen coldkey's pair.
    pub fn coldkey(&self) -> anyhow::Result<Keypair> {
        Ok(self.location()?.coldkey()?)
    }

    /// An account given as SS58 text, or the wallet's coldkey.
    pub fn account_or_coldkey(&self, given: Option<&str>) -> anyhow::Result<Account> {
        match given {
            Some(text) => text.parse().with_context(|| "not an account"),
            None => Ok(self.location()?.coldkey_account()?),
        }
    }
}
