//! The two things tch does not wrap: deterministic algorithms, and loading CUDA at run time (torch.md 0.4 and 4).
//!
//! The only `unsafe` of the project. It calls exported C++ members of the pinned libtorch 2.11.0 by their mangled names, which is
//! one reason why the version is pinned; a build against another libtorch fails to link rather than misbehave.
#![allow(unsafe_code)]

use std::ffi::c_void;

unsafe extern "C" {
    #[link_name = "_ZN2at13globalContextEv"]
    fn global_context() -> *mut c_void;
    #[link_name = "_ZN2at7Context26setDeterministicAlgorithmsEbb"]
    fn set_deterministic_algorithms(context: *mut c_void, on: bool, warn_only: bool);
    #[link_name = "_ZN2at7Context18setAllowTF32CuBLASEb"]
    fn set_allow_tf32_cublas(context: *mut c_void, on: bool);
    #[link_name = "_ZN2at7Context17setAllowTF32CuDNNEb"]
    fn set_allow_tf32_cudnn(context: *mut c_void, on: bool);
}

/// Deterministic kernels on, TF32 off.
pub(crate) fn deterministic() {
    // SAFETY: `globalContext` returns a reference to a static that lives as long as the process, and the setters only store
    // flags in it. Names and signatures are those of libtorch 2.11.0.
    unsafe {
        let context = global_context();
        set_deterministic_algorithms(context, true, false);
        set_allow_tf32_cublas(context, false);
        set_allow_tf32_cudnn(context, false);
    }
}

/// Make CUDA known to libtorch.
pub(crate) fn load_cuda() -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: loading runs the library's initialisers, which register CUDA's kernels; it is the person's own torch.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            // Registered kernels must stay for the life of the process.
            std::mem::forget(library);
            Ok(())
        }
        Err(error) => Err(format!(
            "libtorch_cuda.so of torch 2.11.0 cannot be loaded ({error}): set LD_LIBRARY_PATH to the lib folder of a torch with CUDA"
        )),
    }
}
