//! From an error to an exit code and a sentence on stderr.

use std::process::ExitCode;

use starling_chain::ChainError;

/// Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// The chain, or a rule checked before asking it, says no.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// The command line or the configuration asks for what cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The run ended without what it promised.
#[derive(Debug, thiserror::Error)]
#[error("the run did not keep its promises:\n{0}")]
pub struct PromiseBroken(pub String);

/// What was compared differs, and that was to be the exit code.
#[derive(Debug, thiserror::Error)]
#[error("they differ")]
pub struct Differs;

/// Print the error with its causes and choose the code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<Interrupted>() {
        return ExitCode::from(130);
    }
    // The result has said it.
    if error.is::<Differs>() {
        return ExitCode::FAILURE;
    }
    eprintln!("error: {error:#}");
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(chain) = cause.downcast_ref::<ChainError>() {
            return if chain.is_unreachable() { 3 } else { 4 };
        }
        if cause.is::<starling_wallet::WalletError>() {
            return 5;
        }
        if cause.is::<PromiseBroken>() {
            return 6;
        }
        if cause.is::<Usage>() {
            return 2;
        }
        if cause.is::<Refused>() {
            return 4;
        }
    }
    1
}
