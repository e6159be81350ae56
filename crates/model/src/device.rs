//! Where tensors are computed, and the switches that make results repeatable (design D8, D11; torch.md 0 and 4).

use std::{fmt, str::FromStr, sync::Once};

use crate::ModelError;

/// `cpu` or `cuda:N`, with deterministic kernels and one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device(pub(crate) tch::Device);

impl Device {
    /// The processor.
    pub const CPU: Self = Self(tch::Device::Cpu);

    /// Open a device by name. `cuda:N` loads the person's own `libtorch_cuda.so` (put its folder into `LD_LIBRARY_PATH`).
    /// Deterministic products on CUDA may need `CUBLAS_WORKSPACE_CONFIG=:4096:8` in the environment; libtorch says so where it does.
    ///
    /// # Errors
    /// [`ModelError::Device`] says what is missing.
    pub fn open(name: &str) -> Result<Self, ModelError> {
        let device: Self = name.parse()?;
        prepare();
        if let tch::Device::Cuda(index) = device.0 {
            let no = |reason: String| ModelError::Device { asked: name.to_owned(), reason };
            crate::torch::load_cuda().map_err(no)?;
            let count = tch::Cuda::device_count();
            if index as i64 >= count {
                return Err(no(format!("libtorch sees {count} CUDA devices")));
            }
        }
        Ok(device)
    }
}

/// One thread per process and deterministic algorithms; done once.
pub(crate) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tch::set_num_threads(1);
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
