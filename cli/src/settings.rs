//! From flags, environment and configuration to what a command works with.
//!
//! Invariant: for every value a flag wins over the environment, the environment over the profile, the profile over the default; where
//! each came from is kept, for `starling config show`. Names of the environment: chain.md 7.

use std::{fmt, path::PathBuf};

use clap::Args;

use crate::{
    config::{Config, Values, built_in, nearest},
    exit::Usage,
};

/// Seconds from sending to finality, where the chain is not on this machine: a dozen public blocks.
const INCLUSION: u64 = 180;

/// Options of every subcommand, as they were typed.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Flags {
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Send nothing: show the call, its fee, the chain's rules for it, and the bytes to sign elsewhere.
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// The chain: finney, test, local, archive, a profile of the configuration, or a URL [env: BT_NETWORK] [default: local].
    #[arg(long, global = true, value_name = "NAME|URL")]
    pub network: Option<String>,
    /// The chain's endpoint; several, comma-separated or repeated, stand in for each other [env: BT_CHAIN_ENDPOINT] [default: the
    /// network's].
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',')]
    pub endpoint: Vec<String>,
    /// Seconds to wait for an answer of the chain before giving up [default: 30].
    #[arg(long, global = true, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Folder of the wallets [env: BT_WALLET_PATH] [default: ~/.bittensor/wallets].
    #[arg(long, global = true, value_name = "DIR")]
    pub wallet_path: Option<String>,
    /// Name of the wallet (coldkey) [env: BT_WALLET_NAME] [default: default].
    #[arg(long, global = true, value_name = "NAME")]
    pub wallet: Option<String>,
    /// Name of the hotkey within the wallet [env: BT_WALLET_HOTKEY] [default: default].
    #[arg(long, global = true, value_name = "NAME")]
    pub hotkey: Option<String>,
    /// File whose first line is the password of an encrypted key.
    #[arg(long, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Open descriptor whose first line is the password of an encrypted key.
    #[arg(long, global = true, value_name = "N", conflicts_with = "password_file")]
    pub password_fd: Option<u32>,
    /// Say more on stderr; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What a command works with: every value decided.
#[derive(Clone, Debug)]
pub struct Global {
    /// Print the result as JSON.
    pub json: bool,
    /// Send nothing.
    pub dry_run: bool,
    /// Websocket addresses, the preferred one first; at least one.
    pub endpoints: Vec<String>,
    /// Hash of the chain's block 0, where it is known.
    pub genesis: Option<[u8; 32]>,
    /// Seconds to wait for an answer.
    pub timeout: u64,
    /// Seconds from sending a transaction until it is final.
    pub inclusion_timeout: u64,
    /// Folder of the wallets; may begin with `~`.
    pub wallet_path: String,
    /// Name of the wallet.
    pub wallet: String,
    /// Name of the hotkey within it.
    pub hotkey: String,
    /// File whose first line is a password.
    pub password_file: Option<PathBuf>,
    /// Descriptor whose first line is a password.
    pub password_fd: Option<u32>,
    /// Relays for peers behind a NAT, by URL, where a command names none.
    pub relays: Vec<String>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This flag.
    Flag(&'static str),
    /// This variable of the environment.
    Env(&'static str),
    /// The file's part for this profile.
    Profile(String),
    /// The file, for all profiles.
    Defaults,
    /// The file's choice of a profile.
    File,
    /// The built-in profile of this name.
    Network(String),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "{name}"),
            Self::Env(name) => write!(f, "${name}"),
            Self::Profile(name) => write!(f, "[profiles.{name}]"),
            Self::Defaults => write!(f, "[defaults]"),
            Self::File => write!(f, "the configuration"),
            Self::Network(name) => write!(f, "network {name}"),
            Self::Default => write!(f, "default"),
        }
    }
}

/// One value as a person reads it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its key in the file.
    pub name: &'static str,
    /// Itself; `None` if there is none.
    pub value: Option<String>,
    /// Who said so.
    pub from: Origin,
}

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// All layers below the flags.
struct Layers<'a> {
    env: Env<'a>,
    /// Name and content of the chosen profile in the file.
    profile: (String, Values),
    built_in: Values,
    defaults: Values,
    shown: Vec<Shown>,
}

impl Layers<'_> {
    /// The first who says something.
    fn pick<T: Clone>(
        &mut self,
        name: &'static str,
        flag: (&'static str, Option<T>),
        variables: &[&'static str],
        read: impl Fn(&str) -> Result<T, String>,
        of: impl Fn(&Values) -> Option<T>,
        show: impl Fn(&T) -> String,
    ) -> Result<Option<T>, Usage> {
        let mut found = flag.1.map(|value| (value, Origin::Flag(flag.0)));
        if found.is_none() {
            for variable in variables {
                if let Some(text) = (self.env)(variable) {
                    let value = read(&text).map_err(|reason| Usage(format!("${variable}: {reason}")))?;
                    found = Some((value, Origin::Env(variable)));
                    break;
                }
            }
        }
        let found = found
            .or_else(|| of(&self.profile.1).map(|value| (value, Origin::Profile(self.profile.0.clone()))))
            .or_else(|| of(&self.built_in).map(|value| (value, Origin::Network(self.profile.0.clone()))))
            .or_else(|| of(&self.defaults).map(|value| (value, Origin::Defaults)));
        let from = found.as_ref().map_or(Origin::Default, |(_, from)| from.clone());
        self.shown.push(Shown { name, value: found.as_ref().map(|(value, _)| show(value)), from });
        Ok(found.map(|(value, _)| value))
    }

    /// Says the default where nobody said anything.
    fn or<T>(&mut self, value: Option<T>, default: T, show: impl Fn(&T) -> String) -> T {
        value.unwrap_or_else(|| {
            if let Some(shown) = self.shown.last_mut() {
                shown.value = Some(show(&default));
            }
            default
        })
    }
}

fn text(given: &str) -> Result<String, String> {
    Ok(given.to_owned())
}

/// The environment, where an empty variable is none.
fn environment(key: &str) -> Option<String> {
    std::env::var(key).ok().filter(|value| !value.is_empty())
}

const NETWORK: [&str; 2] = ["BT_NETWORK", "BT_SUBTENSOR_NETWORK"];
const ENDPOINT: [&str; 2] = ["BT_CHAIN_ENDPOINT", "BT_SUBTENSOR_CHAIN_ENDPOINT"];

impl Flags {
    /// Decides every value.
    ///
    /// # Errors
    /// [`Usage`] that names the value and where it came from.
    pub fn resolve(&self) -> Result<Global, Usage> {
        Ok(self.decide(&Config::load(&environment)?, &environment)?.0)
    }

    /// As [`Flags::resolve`], with where each value came from.
    ///
    /// # Errors
    /// As [`Flags::resolve`].
    pub fn explain(&self) -> Result<(Config, Global, Vec<Shown>), Usage> {
        let config = Config::load(&environment)?;
        let (global, shown) = self.decide(&config, &environment)?;
        Ok((config, global, shown))
    }

    /// With the file and the environment as arguments.
    pub(crate) fn decide(&self, config: &Config, env: Env<'_>) -> Result<(Global, Vec<Shown>), Usage> {
        let (network, from) = choose(self.network.as_deref(), config, env);
        // A URL for a name is an endpoint without a profile.
        let url = is_url(&network).then(|| network.clone());
        let own = config.profiles.get(&network);
        let base = built_in(&network);
        if own.is_none() && base.is_none() && url.is_none() {
            let near = nearest(&network, config.names().into_iter());
            let near = near.map(|name| format!(" Did you mean `{name}`?")).unwrap_or_default();
            return Err(Usage(format!(
                "no network is called `{network}` (from {from}): there are {}, and what [profiles] of the configuration adds.{near}",
                config.names().join(", ")
            )));
        }
        // An endpoint in the environment belongs to the network that the environment means, not to one named by hand.
        let variables: &[&'static str] = if matches!(from, Origin::Flag(_)) { &[] } else { &ENDPOINT };
        let flag = match &url {
            Some(url) if self.endpoint.is_empty() && matches!(from, Origin::Flag(_)) => {
                ("--network", Some(vec![url.clone()]))
            }
            _ => ("--endpoint", Some(self.endpoint.clone()).filter(|urls| !urls.is_empty())),
        };
        let base = Values { endpoints: url.map(|url| vec![url]), ..Values::default() }.under(base.unwrap_or_default());
        let mut layers = Layers {
            env,
            profile: (network.clone(), own.cloned().unwrap_or_default()),
            built_in: base,
            defaults: config.defaults.clone(),
            shown: vec![Shown { name: "network", value: Some(network.clone()), from: from.clone() }],
        };
        let list = |urls: &Vec<String>| urls.join(", ");
        let split = |text: &str| Ok(text.split(',').map(|url| url.trim().to_owned()).collect());
        let endpoints =
            layers.pick("endpoints", flag, variables, split, |v| v.endpoints.clone(), list)?.unwrap_or_default();
        let from_endpoints = layers.shown.last().map(|shown| shown.from.clone()).unwrap_or(Origin::Default);
        if endpoints.is_empty() {
            return Err(Usage(format!("network {network} has no endpoints: give its profile some, or say --endpoint")));
        }
        if let Some(odd) = endpoints.iter().find(|url| !is_url(url)) {
            return Err(Usage(format!(
                "`{odd}` (from {from_endpoints}) is no chain endpoint: it starts with ws:// or wss://"
            )));
        }
        // The genesis is the network's. Endpoints from elsewhere may be of any chain.
        let same = matches!(from_endpoints, Origin::Profile(_) | Origin::Network(_));
        let of = |v: &Values| if same { v.genesis.clone() } else { None };
        let genesis = layers.pick("genesis", ("", None), &[], text, of, String::clone)?;
        let genesis = genesis.map(|hash| hash_of(&hash)).transpose()?;
        layers.pick("netuid", ("--netuid", None), &[], |_| Err(String::new()), |v| v.netuid, u16::to_string)?;
        let seconds = |text: &str| text.parse::<u64>().map_err(|_| format!("`{text}` is no number of seconds"));
        let timeout = layers.pick(
            "timeout",
            ("--timeout", self.timeout),
            &["STARLING_TIMEOUT"],
            seconds,
            |v| v.timeout,
            u64::to_string,
        )?;
        let timeout = layers.or(timeout, 30, u64::to_string).max(1);
        let inclusion =
            layers.pick("inclusion_timeout", ("", None), &[], seconds, |v| v.inclusion_timeout, u64::to_string)?;
        // A chain on this machine makes its blocks in less than a second.
        let usual = if endpoints.iter().all(|url| is_here(url)) { timeout } else { timeout.max(INCLUSION) };
        let inclusion_timeout = layers.or(inclusion, usual, u64::to_string).max(1);
        let path = layers.pick(
            "wallet_path",
            ("--wallet-path", self.wallet_path.clone()),
            &["BT_WALLET_PATH"],
            text,
            |v| v.wallet_path.clone(),
            String::clone,
        )?;
        let wallet_path = layers.or(path, "~/.bittensor/wallets".to_owned(), String::clone);
        let wallet = layers.pick(
            "wallet",
            ("--wallet", self.wallet.clone()),
            &["BT_WALLET_NAME", "BT_WALLET"],
            text,
            |v| v.wallet.clone(),
            String::clone,
        )?;
        let wallet = layers.or(wallet, "default".to_owned(), String::clone);
        let hotkey = layers.pick(
            "hotkey",
            ("--hotkey", self.hotkey.clone()),
            &["BT_WALLET_HOTKEY"],
            text,
            |v| v.hotkey.clone(),
            String::clone,
        )?;
        let hotkey = layers.or(hotkey, "default".to_owned(), String::clone);
        let file = self.password_file.as_ref().map(|path| path.display().to_string());
        // Of the ways to give a password the nearest one counts: a descriptor on the command line beats a file in the configuration.
        let of = |v: &Values| if self.password_fd.is_some() { None } else { v.password_file.clone() };
        let password_file = layers.pick("password_file", ("--password-file", file), &[], text, of, String::clone)?;
        let relays =
            layers.pick("relays", ("--relay", None), &["STARLING_RELAY"], split, |v| v.relays.clone(), list)?;
        let global = Global {
            json: self.json,
            dry_run: self.dry_run,
            endpoints,
            genesis,
            timeout,
            inclusion_timeout,
            wallet_path,
            wallet,
            hotkey,
            password_file: password_file.map(PathBuf::from),
            password_fd: self.password_fd,
            relays: relays.unwrap_or_default(),
        };
        Ok((global, layers.shown))
    }
}

impl Values {
    /// Fills what is missing from `other`.
    fn under(self, other: Self) -> Self {
        Self {
            endpoints: self.endpoints.or(other.endpoints),
            genesis: self.genesis.or(other.genesis),
            netuid: self.netuid.or(other.netuid),
            timeout: self.timeout.or(other.timeout),
            inclusion_timeout: self.inclusion_timeout.or(other.inclusion_timeout),
            wallet_path: self.wallet_path.or(other.wallet_path),
            wallet: self.wallet.or(other.wallet),
            hotkey: self.hotkey.or(other.hotkey),
            password_file: self.password_file.or(other.password_file),
            relays: self.relays.or(other.relays),
        }
    }
}

/// The profile's name and who chose it.
fn choose(flag: Option<&str>, config: &Config, env: Env<'_>) -> (String, Origin) {
    if let Some(name) = flag {
        return (name.to_owned(), Origin::Flag("--network"));
    }
    for variable in NETWORK {
        if let Some(name) = env(variable) {
            return (name, Origin::Env(variable));
        }
    }
    match &config.network {
        Some(name) => (name.clone(), Origin::File),
        None => ("local".to_owned(), Origin::Default),
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("ws://") || text.starts_with("wss://")
}

/// True for an address of this machine.
pub(crate) fn is_here(url: &str) -> bool {
    ["ws://127.", "ws://localhost", "ws://[::1]"].iter().any(|start| url.starts_with(start))
}

fn hash_of(text: &str) -> Result<[u8; 32], Usage> {
    let bytes =
        text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok()).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        Usage(format!("genesis = \"{text}\" in the configuration is no block hash: 0x and 64 hex digits"))
    })
}

/// The subnet of the profile that the command line will choose, found before it is parsed. A configuration that cannot be read is told
/// later, by the command that needs it.
pub(crate) fn netuid_of_profile() -> Option<u16> {
    let config = Config::load(&environment).ok()?;
    config.path.as_ref()?;
    let mut flag = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.strip_prefix("--network") {
            Some("") => flag = words.next(),
            Some(rest) if rest.starts_with('=') => flag = rest.get(1..).map(str::to_owned),
            _ => {}
        }
    }
    let (network, _) = choose(flag.as_deref(), &config, &environment);
    config.profiles.get(&network).and_then(|profile| profile.netuid).or(config.defaults.netuid)
}

/// The same command line, on which `netuid` may be left out.
pub(crate) fn netuid_known(command: clap::Command, netuid: u16) -> clap::Command {
    let last = command.get_positionals().last().map(|arg| arg.get_id().clone());
    command
        .mut_args(|arg| {
            // Leaked: clap keeps such texts for the life of the process.
            // A positional before others cannot be left out: nobody could tell which was meant.
            let may = arg.get_id() == "netuid" && (!arg.is_positional() || last.as_ref() == Some(arg.get_id()));
            if may { arg.required(false).default_value(&*netuid.to_string().leak()) } else { arg }
        })
        .mut_subcommands(|sub| netuid_known(sub, netuid))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
