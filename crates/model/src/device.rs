//! Where tensors are computed, by how many threads, and the switches that make results repeatable (design D8, D11).

use std::{
    fmt,
    str::FromStr,
    sync::{Once, OnceLock},
};

use starling_commitment::{Canonical, DType, TensorError};

use crate::ModelError;

/// `cpu` or `cuda:N`, with deterministic kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device(tch::Device);

/// What cuBLAS must find in `CUBLAS_WORKSPACE_CONFIG` before its first product, or libtorch refuses the product as one that may
/// give other bits each time.
pub const CUBLAS_WORKSPACE: (&str, &str) = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8");

/// Below this many bytes other threads cost more than they help.
const PARALLEL: u64 = 1 << 20;

static THREADS: OnceLock<usize> = OnceLock::new();
static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();

impl Device {
    /// The processor.
    pub const CPU: Self = Self(tch::Device::Cpu);

    /// Open a device by name. `cuda:N` loads the person's own `libtorch_cuda.so` (put its folder into `LD_LIBRARY_PATH`), and wants
    /// [`CUBLAS_WORKSPACE`] in the environment.
    ///
    /// # Errors
    /// [`ModelError::Device`] says what is missing.
    pub fn open(name: &str) -> Result<Self, ModelError> {
        Self::open_with(name, 1)
    }

    /// As [`Device::open`], computing and hashing with `threads` threads. The first call of a process decides: libtorch takes the
    /// number once.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn open_with(name: &str, threads: usize) -> Result<Self, ModelError> {
        let device: Self = name.parse()?;
        let _ = THREADS.set(threads.clamp(1, 1024));
        prepare();
        if let tch::Device::Cuda(index) = device.0 {
            let no = |reason: String| ModelError::Device { asked: name.to_owned(), reason };
            crate::torch::load_cuda().map_err(no)?;
            let count = tch::Cuda::device_count();
            if index as i64 >= count {
                return Err(no(format!("libtorch sees {count} CUDA devices")));
            }
            let (key, value) = CUBLAS_WORKSPACE;
            let set = std::env::var(key).unwrap_or_default();
            if set != value && set != ":16:8" {
                return Err(no(format!("{key} is `{set}`, results would differ from run to run: set {key}={value}")));
            }
        }
        Ok(device)
    }

    /// True for a graphics card.
    #[must_use]
    pub fn is_cuda(&self) -> bool {
        matches!(self.0, tch::Device::Cuda(_))
    }

    /// Wait until everything that was given to the device is done.
    pub fn synchronize(&self) {
        if let tch::Device::Cuda(index) = self.0 {
            tch::Cuda::synchronize(index as i64);
        }
    }

    /// Free and total memory of a card, bytes.
    #[must_use]
    pub fn memory(&self) -> Option<(u64, u64)> {
        if self.is_cuda() { crate::torch::cuda_memory() } else { None }
    }

    pub(crate) fn torch(&self) -> tch::Device {
        self.0
    }

    /// Canonical bytes that `fill` writes, hashed by as many threads as this process was told to use.
    pub(crate) fn commit(
        &self,
        dtype: DType,
        shape: &[u64],
        fill: impl FnOnce(&mut [u8]) -> Result<(), ModelError>,
    ) -> Result<Canonical, ModelError> {
        let large = starling_commitment::blob_length(dtype, shape).is_ok_and(|n| n >= PARALLEL);
        match pool().filter(|_| large) {
            Some(pool) => Canonical::build_parallel(pool, dtype, shape, fill),
            None => Canonical::build(dtype, shape, fill),
        }
    }
}

impl From<TensorError> for ModelError {
    fn from(source: TensorError) -> Self {
        Self::Tensor { what: "a result", source }
    }
}

fn threads() -> usize {
    *THREADS.get_or_init(|| 1)
}

/// Threads that hash; none where one thread does everything, or where the system gives none.
fn pool() -> Option<&'static rayon::ThreadPool> {
    let start = || match threads() {
        1 => None,
        n => rayon::ThreadPoolBuilder::new().num_threads(n).thread_name(|i| format!("hash-{i}")).build().ok(),
    };
    POOL.get_or_init(start).as_ref()
}

/// The number of threads and deterministic algorithms; done once.
pub(crate) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tch::set_num_threads(i32::try_from(threads()).unwrap_or(1));
        tch::set_num_interop_threads(1);
        crate::torch::deterministic();
    });
}

impl FromStr for Device {
    type Err = ModelError;
    fn from_str(name: &str) -> Result<Self, ModelError> {
        let bad = || ModelError::Device { asked: name.to_owned(), reason: "write cpu or cuda:N".into() };
        match name.split_once(':') {
            None if name == "cpu" => Ok(Self(tch::Device::Cpu)),
            None if name == "cuda" => Ok(Self(tch::Device::Cuda(0))),
            Some(("cuda", index)) => index.parse().map(|i| Self(tch::Device::Cuda(i))).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            tch::Device::Cuda(i) => write!(f, "cuda:{i}"),
            _ => f.write_str("cpu"),
        }
    }
}
