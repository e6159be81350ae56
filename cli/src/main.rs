//! The `starling` binary: one file per subcommand in `cmd/`.
//!
//! Contract: stdout carries the result and nothing else (with `--json`, JSON of a stable schema); stderr carries the rest. Exit
//! codes: 0 done, 1 failed, 2 wrong usage, 3 chain not reached in time, 4 refused (by the chain or by a rule), 5 wallet or
//! key file, 6 the run did not meet its promises, 130 interrupted.

mod cmd;
mod exit;
mod output;

use clap::{Args, CommandFactory, Parser, Subcommand};

/// Strangers' machines train one language model together; validators check it; a chain pays.
#[derive(Debug, Parser)]
#[command(name = "starling", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every subcommand.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Print the result as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// The chain's endpoint.
    #[arg(long, global = true, env = "BT_CHAIN_ENDPOINT", default_value = "ws://127.0.0.1:9944", value_name = "URL")]
    endpoint: String,
    /// Seconds to wait for the chain before giving up.
    #[arg(long, global = true, default_value_t = 30, value_name = "SECONDS")]
    timeout: u64,
    /// Folder of the wallets.
    #[arg(long, global = true, env = "BT_WALLET_PATH", value_name = "DIR")]
    wallet_path: Option<std::path::PathBuf>,
    /// Name of the wallet (coldkey).
    #[arg(long, global = true, env = "BT_WALLET_NAME", default_value = "default", value_name = "NAME")]
    wallet: String,
    /// Name of the hotkey within the wallet.
    #[arg(long, global = true, env = "BT_WALLET_HOTKEY", default_value = "default", value_name = "NAME")]
    hotkey: String,
    /// File whose first line is the password of an encrypted key.
    #[arg(long, global = true, value_name = "FILE")]
    password_file: Option<std::path::PathBuf>,
    /// Open descriptor whose first line is the password of an encrypted key.
    #[arg(long, global = true, value_name = "N", conflicts_with = "password_file")]
    password_fd: Option<u32>,
    /// Say more on stderr; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make and list wallets.
    Wallet(cmd::wallet::Wallet),
    /// A subnet's neurons.
    Metagraph(cmd::metagraph::Metagraph),
    /// A subnet's hyperparameters.
    Hyperparameters(cmd::hyperparameters::Hyperparameters),
    /// Balance of an account.
    Balance(cmd::balance::Balance),
    /// Found a subnet, start it, set its hyperparameters.
    Subnet(cmd::subnet::Subnet),
    /// Register the hotkey on a subnet by burning.
    Register(cmd::register::Register),
    /// Stake TAO on the hotkey.
    Stake(cmd::stake::Stake),
    /// Announce the hotkey's address on chain.
    Axon(cmd::axon::Axon),
    /// Set and show weights.
    Weights(cmd::weights::Weights),
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
    /// Run a local chain.
    #[cfg(feature = "localnet")]
    Localnet(cmd::localnet::Localnet),
    /// Prepare a run: tokens and the one TOML.
    #[cfg(feature = "swarm")]
    Run(cmd::run::Run),
    /// Lead a run.
    #[cfg(feature = "swarm")]
    Orchestrator(cmd::orchestrator::Orchestrator),
    /// Compute a stage.
    #[cfg(feature = "swarm")]
    Miner(cmd::miner::Miner),
    /// Audit miners and set weights.
    #[cfg(feature = "swarm")]
    Validator(cmd::validator::Validator),
    /// Assemble, export and try a trained model.
    #[cfg(feature = "swarm")]
    Model(cmd::model::Model),
    /// The whole loop on this machine.
    #[cfg(all(feature = "swarm", feature = "localnet"))]
    Demo(cmd::demo::Demo),
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    output::log_to_stderr(cli.global.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no async runtime: {error}");
            return std::process::ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        tokio::select! {
            result = run(cli) => result,
            () = interrupted() => Err(exit::Interrupted.into()),
        }
    });
    // Actors that ignore the end (a blocked thread, say) must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let global = cli.global;
    match cli.command {
        Command::Wallet(c) => c.run(&global),
        Command::Metagraph(c) => c.run(&global).await,
        Command::Hyperparameters(c) => c.run(&global).await,
        Command::Balance(c) => c.run(&global).await,
        Command::Subnet(c) => c.run(&global).await,
        Command::Register(c) => c.run(&global).await,
        Command::Stake(c) => c.run(&global).await,
        Command::Axon(c) => c.run(&global).await,
        Command::Weights(c) => c.run(&global).await,
        Command::Commitment(c) => c.run(&global).await,
        Command::Doctor(c) => c.run(&global).await,
        Command::Completions { shell } => {
            let mut bytes = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "starling", &mut bytes);
            output::line(String::from_utf8_lossy(&bytes).trim_end());
            Ok(())
        }
        Command::Man { folder } => {
            std::fs::create_dir_all(&folder)?;
            clap_mangen::generate_to(Cli::command(), &folder)?;
            output::line(&folder.display().to_string());
            Ok(())
        }
        #[cfg(feature = "localnet")]
        Command::Localnet(c) => c.run(&global).await,
        #[cfg(feature = "swarm")]
        Command::Run(c) => c.run(&global).await,
        #[cfg(feature = "swarm")]
        Command::Orchestrator(c) => c.run(&global).await,
        #[cfg(feature = "swarm")]
        Command::Miner(c) => c.run(&global).await,
        #[cfg(feature = "swarm")]
        Command::Validator(c) => c.run(&global).await,
        #[cfg(feature = "swarm")]
        Command::Model(c) => c.run(&global),
        #[cfg(all(feature = "swarm", feature = "localnet"))]
        Command::Demo(c) => c.run(&global).await,
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
