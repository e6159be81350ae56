//! `starling subnet set`: a subnet's settings, by the names that the running runtime has for their setters.

use clap::Args;
use serde_json::json;
use starling_chain::value::Value;
use starling_wallet::Part;

use crate::{Global, exit::Usage, output};

/// Change a setting of the subnet, as its owner. Without a name: what can be set.
///
/// The names are those of the chain's own setters (`AdminUtils.sudo_set_…`), whichever this runtime has. The chain allows an owner a change
/// of each only every so many epochs, and none shortly before one.
#[derive(Debug, Args)]
pub struct Set {
    /// The subnet.
    #[arg(long)]
    netuid: u16,
    /// Which setting.
    name: Option<String>,
    /// Its value: a number as the chain keeps it, or true or false. A few settings have two.
    #[arg(requires = "name")]
    values: Vec<String>,
}

impl Set {
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let chain = global.writer().await?;
        let known = chain.subnet_settings().await?;
        let Some(name) = &self.name else {
            if global.json {
                let all: Vec<_> =
                    known.iter().map(|(name, values)| json!({ "name": name, "values": values })).collect();
                return output::json(&all);
            }
            let mut table = output::table(&["setting", "values"]);
            for (name, values) in known {
                table.add_row([name, values.join(", ")]);
            }
            output::line(&table.to_string());
            return Ok(());
        };
        let Some((_, wanted)) = known.iter().find(|(known, _)| known == name) else {
            let like: Vec<&str> = known
                .iter()
                .map(|(known, _)| known.as_str())
                .filter(|k| k.contains(name.as_str()) || name.contains(k))
                .collect();
            let like = if like.is_empty() { String::new() } else { format!("; perhaps {}", like.join(", ")) };
            return Err(Usage(format!(
                "`{name}` is no setting of a subnet on this chain{like}. `starling subnet set --netuid {}` lists them",
                self.netuid
            ))
            .into());
        };
        if wanted.len() != self.values.len() {
            let (wants, given) = (wanted.join(", "), self.values.len());
            return Err(Usage(format!("`{name}` wants {} ({wants}), given are {given}", count(wanted.len()))).into());
        }
        let mut arguments = vec![("netuid", self.netuid.into())];
        for (argument, text) in wanted.iter().zip(&self.values) {
            arguments.push((argument.as_str(), value(text)?));
        }
        let sent = chain.sudo_set(&global.signer(Part::Coldkey)?, &format!("sudo_set_{name}"), &arguments).await?;
        if global.json {
            return output::json(
                &json!({ "netuid": self.netuid, "setting": name, "values": self.values, "block": sent.block.number }),
            );
        }
        output::line(&format!(
            "{name} of subnet {} is {}, block {}",
            self.netuid,
            self.values.join(", "),
            sent.block.number
        ));
        Ok(())
    }
}

fn count(values: usize) -> String {
    if values == 1 { "one value".into() } else { format!("{values} values") }
}

fn value(text: &str) -> Result<Value, Usage> {
    match text {
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        _ => match (text.parse::<u128>(), text.parse::<i128>()) {
            (Ok(number), _) => Ok(Value::Uint(number)),
            (_, Ok(number)) => Ok(Value::Int(number)),
            _ => Err(Usage(format!("`{text}` is neither a whole number nor true or false"))),
        },
    }
}
