//! Signatures over a person's message, as `btcli wallet sign` makes them: sr25519 over the text's bytes.

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::json;
use starling_keys::{Account, Signature};

use super::Which;
use crate::{Global, exit::Refused, output};

#[derive(Debug, Args)]
pub struct Sign {
    /// The message, as text.
    message: String,
    /// The message is hex; its bytes are signed.
    #[arg(long)]
    hex: bool,
    /// Which key signs.
    #[arg(long, value_enum, default_value = "hotkey")]
    key: Which,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The message, as text.
    message: String,
    /// The message is hex.
    #[arg(long)]
    hex: bool,
    /// Who should have signed.
    #[arg(long)]
    signer: Account,
    /// The signature, 128 hex digits, with or without 0x.
    #[arg(long)]
    signature: String,
}

fn bytes(message: &str, is_hex: bool) -> anyhow::Result<Vec<u8>> {
    if !is_hex {
        return Ok(message.as_bytes().to_vec());
    }
    hex::decode(message.strip_prefix("0x").unwrap_or(message)).context("the message is not hex")
}

impl Sign {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let message = bytes(&self.message, self.hex)?;
        let key = match self.key {
            Which::Coldkey => global.coldkey()?,
            Which::Hotkey => global.hotkey()?,
        };
        let signature = format!("0x{}", hex::encode(key.sign(&message).0));
        if global.json {
            return output::json(&json!({ "signer": key.account(), "signature": signature }));
        }
        output::line(&signature);
        Ok(())
    }
}

impl Verify {
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        let message = bytes(&self.message, self.hex)?;
        let digits = self.signature.strip_prefix("0x").unwrap_or(&self.signature);
        let mut signature = Signature([0; 64]);
        hex::decode_to_slice(digits, &mut signature.0)
            .map_err(|_| anyhow!("a signature is 128 hex digits, {} characters were given", digits.len()))?;
        let good = self.signer.verify(&message, &signature);
        if global.json {
            output::json(&json!({ "signer": self.signer, "valid": good }))?;
        } else if good {
            output::line(&format!("{} signed this", self.signer));
        }
        if good {
            Ok(())
        } else {
            Err(Refused(format!("the signature is not {}'s over this message", self.signer)).into())
        }
    }
}
