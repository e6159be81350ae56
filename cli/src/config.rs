//! The configuration file: one TOML with profiles.
//!
//! Owns where it lies, what it may hold and the built-in profiles (endpoints: chain.md 8.5). Invariant: a key that means nothing is an
//! error that names it and the nearest one that does, so that a typing error is never a silent default.

use std::path::PathBuf;

use serde::Deserialize;

use crate::exit::Usage;

/// Genesis of the public chain.
const FINNEY: &str = "0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03";
/// Largest file read: a configuration is a page or two.
const LARGEST: u64 = 1 << 20;
/// Keys of the file itself.
const TOP: [&str; 3] = ["network", "defaults", "profiles"];

/// What a profile may say; everything may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Values {
    /// Websocket addresses, the preferred one first.
    pub endpoints: Option<Vec<String>>,
    /// Hash of block 0, 0x and 64 hex digits: an endpoint of another chain is refused.
    pub genesis: Option<String>,
    /// The subnet that commands mean where none is given.
    pub netuid: Option<u16>,
    /// Seconds to wait for an answer.
    pub timeout: Option<u64>,
    /// Seconds from sending a transaction until it is final.
    pub inclusion_timeout: Option<u64>,
    /// Folder of the wallets.
    pub wallet_path: Option<String>,
    /// Name of the wallet.
    pub wallet: Option<String>,
    /// Name of the hotkey in it.
    pub hotkey: Option<String>,
    /// File whose first line is the password.
    pub password_file: Option<String>,
    /// Relays for peers behind a NAT, by URL.
    pub relays: Option<Vec<String>>,
}

/// Keys of a profile.
pub const KEYS: [&str; 10] = [
    "endpoints",
    "genesis",
    "netuid",
    "timeout",
    "inclusion_timeout",
    "wallet_path",
    "wallet",
    "hotkey",
    "password_file",
    "relays",
];

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The profile that is used where neither a flag nor the environment names one.
    pub network: Option<String>,
    /// Values for all profiles that do not have their own.
    pub defaults: Values,
    /// Profiles by name.
    pub profiles: std::collections::BTreeMap<String, Values>,
    /// Where it was read; `None` if there is no file.
    #[serde(skip)]
    pub path: Option<PathBuf>,
}

/// What is known without a file; `None` if there is no such network.
#[must_use]
pub fn built_in(network: &str) -> Option<Values> {
    let (url, genesis) = match network {
        "finney" => ("wss://entrypoint-finney.opentensor.ai:443", Some(FINNEY)),
        "archive" => ("wss://archive.chain.opentensor.ai:443", Some(FINNEY)),
        "test" => ("wss://test.finney.opentensor.ai:443", None),
        "local" => ("ws://127.0.0.1:9944", None),
        _ => return None,
    };
    let genesis = genesis.map(str::to_owned);
    Some(Values { endpoints: Some(vec![url.to_owned()]), genesis, ..Values::default() })
}

/// Names of the built-in profiles.
pub const BUILT_IN: [&str; 4] = ["finney", "test", "local", "archive"];

/// Where the file is looked for: `$STARLING_CONFIG`, else `starling/config.toml` in the XDG configuration folder. `true` if a person
/// named it, so that it must be there.
///
/// # Errors
/// If there is no home.
pub fn path(env: &impl Fn(&str) -> Option<String>) -> Result<(PathBuf, bool), Usage> {
    if let Some(named) = env("STARLING_CONFIG") {
        return Ok((PathBuf::from(named), true));
    }
    // The XDG rules: a relative path counts as not set.
    let folder = env("XDG_CONFIG_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folder = folder.or_else(|| Some(PathBuf::from(env("HOME")?).join(".config")));
    let folder = folder.ok_or_else(|| {
        Usage("neither HOME nor XDG_CONFIG_HOME is set: name the configuration with STARLING_CONFIG".into())
    })?;
    Ok((folder.join("starling/config.toml"), false))
}

impl Config {
    /// Reads the file; without one everything is at its default.
    ///
    /// # Errors
    /// A sentence with the file's name: it cannot be read, is no TOML, has an unknown key or a value of the wrong kind.
    pub fn load(env: &impl Fn(&str) -> Option<String>) -> Result<Self, Usage> {
        let (path, must_be_there) = match path(env) {
            Ok(found) => found,
            // Nobody's home (a container, say): nothing is configured there.
            Err(_) => return Ok(Self::default()),
        };
        let shown = path.display().to_string();
        let cannot = |error: std::io::Error| Usage(format!("cannot read the configuration {shown}: {error}"));
        let length = match std::fs::metadata(&path) {
            Ok(data) => data.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_be_there => return Ok(Self::default()),
            Err(error) => return Err(cannot(error)),
        };
        if length > LARGEST {
            return Err(Usage(format!("{shown} has {length} bytes: a configuration has at most {LARGEST}")));
        }
        let text = std::fs::read_to_string(&path).map_err(cannot)?;
        let config = Self::parse(&text).map_err(|reason| Usage(format!("the configuration {shown}: {reason}")))?;
        Ok(Self { path: Some(path), ..config })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// A sentence without the file's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
        known(&table, &TOP, "")?;
        if let Some(toml::Value::Table(defaults)) = table.get("defaults") {
            known(defaults, &KEYS, "defaults.")?;
        }
        if let Some(toml::Value::Table(profiles)) = table.get("profiles") {
            for (name, profile) in profiles {
                if let toml::Value::Table(profile) = profile {
                    known(profile, &KEYS, &format!("profiles.{name}."))?;
                }
            }
        }
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
    }

    /// Names of all profiles, the built-in ones first.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let own = self.profiles.keys().map(String::as_str).filter(|name| !BUILT_IN.contains(name));
        BUILT_IN.into_iter().chain(own).collect()
    }
}

fn known(table: &toml::Table, keys: &[&str], place: &str) -> Result<(), String> {
    let Some(odd) = table.keys().find(|key| !keys.contains(&key.as_str())) else { return Ok(()) };
    let hint = nearest(odd, keys.iter().copied()).map(|key| format!(": did you mean `{key}`?")).unwrap_or_default();
    Err(format!("`{place}{odd}` means nothing{hint} (known here: {})", keys.join(", ")))
}

/// The name most like `word`, if one is near enough to have been meant.
#[must_use]
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, name) = names.map(|name| (distance(word, name), name)).min()?;
    (distance <= 1 + name.chars().count() / 3).then_some(name)
}

/// Letters to insert, drop or replace to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    // A key of a megabyte is not worth comparing.
    for (i, from) in a.chars().take(64).enumerate() {
        let mut next = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let swap = row.get(j).copied().unwrap_or(0) + usize::from(from != *to);
            let drop = row.get(j + 1).copied().unwrap_or(0) + 1;
            let insert = next.last().copied().unwrap_or(0) + 1;
            next.push(swap.min(drop).min(insert));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// What `config init` writes.
pub const EXAMPLE: &str = r#"# Starling's configuration. A flag wins over the environment, the environment over the profile, the profile over the defaults.
# `starling config show` tells every value and where it came from.

# The profile used where neither --network nor BT_NETWORK names one: finney, test, local, archive, or one of your own below.
# network = "finney"

# For all profiles that do not say otherwise.
[defaults]
# wallet = "default"
# hotkey = "default"
# wallet_path = "~/.bittensor/wallets"
# password_file = "/run/secrets/coldkey"
# timeout = 30

# A profile of your own, for example a node of your own with the public one as its stand-in. Naming it finney, test, local or
# archive changes that one.
# [profiles.mine]
# endpoints = ["ws://10.0.0.7:9944", "wss://entrypoint-finney.opentensor.ai:443"]
# genesis = "0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03"
# netuid = 9
# wallet = "validator"
# inclusion_timeout = 180
# relays = ["https://relay.example/"]
"#;

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
