//! Where tensors are computed: the options that every computing command has.

use clap::Args;
use starling_model::CUBLAS_WORKSPACE;

/// Device and threads.
#[derive(Clone, Debug, Args)]
pub struct Compute {
    /// cpu or cuda:N; for cuda put the lib folder of a torch 2.11.0 with CUDA into LD_LIBRARY_PATH.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Threads that compute and hash. One is right where several processes share a machine.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: u16,
}

impl Compute {
    /// Become this program again with what cuBLAS reads from the environment before its first product; returns at once where it
    /// is there, or no card is asked for. Called before any thread is started.
    ///
    /// # Errors
    /// If the program cannot be started again.
    pub fn prepare(&self) -> std::io::Result<()> {
        use std::os::unix::process::CommandExt;
        let (key, value) = CUBLAS_WORKSPACE;
        if !self.device.starts_with("cuda") || std::env::var_os(key).is_some() {
            return Ok(());
        }
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| "starling-swarm".into());
        Err(std::process::Command::new("/proc/self/exe").arg0(name).args(arguments).env(key, value).exec())
    }
}
