//! The chain half of the command line, which both binaries share: one file per subcommand in `cmd/`.
//!
//! `starling` is this and nothing else, so that it starts in milliseconds; `starling-swarm` adds what needs libtorch and iroh. Nothing
//! here may name a dependency of the feature `swarm`: a binary links what is named (a test reads the binary).
//!
//! Contract: stdout carries the result and nothing else (with `--json`, JSON of a stable schema); stderr carries the rest. Exit
//! codes: 0 done, 1 failed, 2 wrong usage, 3 chain not reached in time, 4 refused (by the chain or by a rule), 5 wallet or
//! key file, 6 the run did not meet its promises, 130 interrupted.
#![doc(hidden)]

mod cmd;
pub mod config;
pub mod exit;
pub mod fuzzing;
pub mod output;
mod settings;

use std::{future::Future, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Subcommand};

pub use settings::{Flags, Global};

/// Subcommands of the chain half.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make and list wallets.
    Wallet(cmd::wallet::Wallet),
    /// A subnet's neurons.
    Metagraph(cmd::metagraph::Metagraph),
    /// One neuron in depth.
    Neuron(cmd::neuron::Neuron),
    /// A subnet's hyperparameters.
    Hyperparameters(cmd::hyperparameters::Hyperparameters),
    /// Balance of an account.
    Balance(cmd::balance::Balance),
    /// Found a subnet, start it, set its hyperparameters.
    Subnet(cmd::subnet::Subnet),
    /// Register the hotkey: by burning, by work, on the root network.
    Register(cmd::register::Register),
    /// What a registration costs, now and later.
    Cost(cmd::cost::Cost),
    /// Put stake in, take it out, move it, show it.
    Stake(cmd::stake::Stake),
    /// Send TAO to another account.
    Transfer(cmd::transfer::Transfer),
    /// Lend the hotkey's weight to others.
    Children(cmd::children::Children),
    /// Hotkeys that others stake to.
    Delegates(cmd::delegates::Delegates),
    /// What an account or a subnet says of itself.
    Identity(cmd::identity::Identity),
    /// What the hotkey keeps of others' dividends.
    Take(cmd::take::Take),
    /// Put another hotkey in the hotkey's place.
    SwapHotkey(cmd::swap::SwapHotkey),
    /// Announce the hotkey's address on chain.
    Axon(cmd::axon::Axon),
    /// Set and show weights.
    Weights(cmd::weights::Weights),
    /// Networks, endpoints and wallets to choose once instead of with each command.
    Config(cmd::config::Config),
    /// Is everything as it must be to earn? What to do if not.
    Doctor(cmd::doctor::Doctor),
    /// The shell's completions for this command line, on stdout.
    Completions {
        /// Whose.
        shell: clap_complete::Shell,
    },
    /// Write a man page per command into a folder.
    Man {
        /// The folder.
        folder: std::path::PathBuf,
    },
    /// Set and show commitments.
    Commitment(cmd::commitment::Commitment),
    /// Send what `--dry-run` showed and another machine signed.
    Extrinsic(cmd::extrinsic::Extrinsic),
    /// Run a local chain.
    #[cfg(feature = "localnet")]
    Localnet(cmd::localnet::Localnet),
}

impl Command {
    /// Run it. `whole` is the command line that completions and man pages are made of.
    ///
    /// # Errors
    /// What stands in the way, for [`exit::report`].
    pub async fn run(self, flags: &Flags, mut whole: clap::Command) -> anyhow::Result<()> {
        // These work even where the configuration does not.
        match self {
            Self::Config(c) => return c.run(flags),
            Self::Completions { shell } => {
                let mut bytes = Vec::new();
                clap_complete::generate(shell, &mut whole, "starling", &mut bytes);
                output::line(String::from_utf8_lossy(&bytes).trim_end());
                return Ok(());
            }
            Self::Man { folder } => {
                std::fs::create_dir_all(&folder)?;
                clap_mangen::generate_to(whole, &folder)?;
                output::line(&folder.display().to_string());
                return Ok(());
            }
            _ => {}
        }
        let global = &flags.resolve()?;
        match self.act(global).await {
            // Where a write stops when it is only rehearsed: the one place for all commands.
            Err(error) => cmd::extrinsic::show(global, error),
            done => done,
        }
    }

    /// How its log is written.
    #[must_use]
    pub fn log(&self) -> output::Log {
        match self {
            Self::Weights(c) if c.goes_on() => output::Log::Dated,
            #[cfg(feature = "localnet")]
            Self::Localnet(_) => output::Log::Dated,
            _ => output::Log::Sentences,
        }
    }

    async fn act(self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Wallet(c) => c.run(global),
            Self::Metagraph(c) => c.run(global).await,
            Self::Neuron(c) => c.run(global).await,
            Self::Delegates(c) => c.run(global).await,
            Self::Identity(c) => c.run(global).await,
            Self::Hyperparameters(c) => c.run(global).await,
            Self::Balance(c) => c.run(global).await,
            Self::Subnet(c) => c.run(global).await,
            Self::Register(c) => c.run(global).await,
            Self::Cost(c) => c.run(global).await,
            Self::Stake(c) => c.run(global).await,
            Self::Transfer(c) => c.run(global).await,
            Self::Children(c) => c.run(global).await,
            Self::Take(c) => c.run(global).await,
            Self::SwapHotkey(c) => c.run(global).await,
            Self::Axon(c) => c.run(global).await,
            Self::Weights(c) => c.run(global).await,
            Self::Commitment(c) => c.run(global).await,
            Self::Doctor(c) => c.run(global).await,
            Self::Extrinsic(c) => c.run(global).await,
            Self::Config(_) | Self::Completions { .. } | Self::Man { .. } => Ok(()),
            #[cfg(feature = "localnet")]
            Self::Localnet(c) => c.run(global).await,
        }
    }
}

/// Reads the command line. Where the profile names a subnet, `netuid` may be left out.
#[must_use]
pub fn parse<C: CommandFactory + FromArgMatches>() -> C {
    let command = match settings::netuid_of_profile() {
        Some(netuid) => settings::netuid_known(C::command(), netuid),
        None => C::command(),
    };
    C::from_arg_matches_mut(&mut command.get_matches()).unwrap_or_else(|error| error.format(&mut C::command()).exit())
}

/// Run a command to its end or to a signal, and answer the process's exit code.
pub fn run_to_the_end(verbose: u8, log: output::Log, command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    output::log_to_stderr(verbose, log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        tokio::select! {
            result = command => result,
            () = interrupted() => Err(exit::Interrupted.into()),
        }
    });
    // Actors that ignore the end (a blocked thread, say) must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}

/// Ctrl-C or a polite kill; never returns if signals cannot be listened to.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Subcommand as _};

    /// clap knows an argument by its id alone: one of a subcommand that is called as an option of all of them is read as that, and the
    /// program ends in a panic.
    #[test]
    fn no_argument_has_the_name_of_an_option_of_all_commands() {
        fn look(command: &clap::Command, path: &str, all: &[clap::Id]) {
            for argument in command.get_arguments() {
                assert!(!all.contains(argument.get_id()), "{path}: {}", argument.get_id());
            }
            for sub in command.get_subcommands() {
                look(sub, &format!("{path} {}", sub.get_name()), all);
            }
        }
        let flags = super::Flags::augment_args(clap::Command::new("flags"));
        let all: Vec<clap::Id> = flags.get_arguments().map(|argument| argument.get_id().clone()).collect();
        assert!(all.len() > 5);
        for sub in super::Command::augment_subcommands(clap::Command::new("starling")).get_subcommands() {
            look(sub, sub.get_name(), &all);
        }
    }
}
