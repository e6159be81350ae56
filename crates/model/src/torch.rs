//! What tch does not wrap: deterministic algorithms, loading CUDA at run time, copies without a detour, the card's memory.
//!
//! The only `unsafe` of the project. It calls exported C++ members of the pinned libtorch 2.11.0 by their mangled names, which is
//! one reason why the version is pinned; a build against another libtorch fails to link rather than misbehave.
#![allow(unsafe_code)]

use std::ffi::c_void;

use tch::{Kind, TchError, Tensor};

unsafe extern "C" {
    #[link_name = "_ZN2at13globalContextEv"]
    fn global_context() -> *mut c_void;
    #[link_name = "_ZN2at7Context26setDeterministicAlgorithmsEbb"]
    fn set_deterministic_algorithms(context: *mut c_void, on: bool, warn_only: bool);
    #[link_name = "_ZN2at7Context18setAllowTF32CuBLASEb"]
    fn set_allow_tf32_cublas(context: *mut c_void, on: bool);
    #[link_name = "_ZN2at7Context17setAllowTF32CuDNNEb"]
    fn set_allow_tf32_cudnn(context: *mut c_void, on: bool);
    #[link_name = "_ZN2at7Context21setDeterministicCuDNNEb"]
    fn set_deterministic_cudnn(context: *mut c_void, on: bool);
    #[link_name = "_ZN2at7Context17setBenchmarkCuDNNEb"]
    fn set_benchmark_cudnn(context: *mut c_void, on: bool);
    // The second argument allows split-K, which is fixed for a shape and a card.
    #[link_name = "_ZN2at7Context27setAllowBF16ReductionCuBLASEbb"]
    fn set_allow_bf16_reduction(context: *mut c_void, on: bool, split_k: bool);
    #[link_name = "_ZN2at7Context27setAllowFP16ReductionCuBLASEbb"]
    fn set_allow_fp16_reduction(context: *mut c_void, on: bool, split_k: bool);
}

/// Deterministic kernels on and strict; TF32 and sums in reduced precision off.
pub(crate) fn deterministic() {
    // SAFETY: `globalContext` returns a reference to a static that lives as long as the process, and the setters only store
    // flags in it. Names and signatures are those of libtorch 2.11.0.
    unsafe {
        let context = global_context();
        set_deterministic_algorithms(context, true, false);
        set_deterministic_cudnn(context, true);
        set_benchmark_cudnn(context, false);
        set_allow_tf32_cublas(context, false);
        set_allow_tf32_cudnn(context, false);
        set_allow_bf16_reduction(context, false, true);
        set_allow_fp16_reduction(context, false, true);
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

/// Free and total memory of the current card, bytes; none where CUDA's runtime has not been loaded.
pub(crate) fn cuda_memory() -> Option<(u64, u64)> {
    type MemGetInfo = unsafe extern "C" fn(*mut usize, *mut usize) -> i32;
    let this = libloading::os::unix::Library::this();
    let (mut free, mut total) = (0usize, 0usize);
    // SAFETY: CUDA's runtime API has had this function with this signature since its first version; both pointers are valid.
    let code = unsafe {
        let get: libloading::os::unix::Symbol<MemGetInfo> = this.get(b"cudaMemGetInfo\0").ok()?;
        get(&raw mut free, &raw mut total)
    };
    (code == 0).then_some((free as u64, total as u64))
}

/// A tensor on the host that borrows memory for the time of `with`.
fn over<T>(
    data: *const u8,
    length: usize,
    size: &[i64],
    kind: Kind,
    with: impl FnOnce(Tensor) -> Result<T, TchError>,
) -> Result<T, TchError> {
    let elements = size.iter().try_fold(1i64, |n, d| n.checked_mul(*d)).and_then(|n| usize::try_from(n).ok());
    if elements.and_then(|n| n.checked_mul(kind.elt_size_in_bytes())) != Some(length) {
        return Err(TchError::Shape(format!("{length} bytes are not a tensor {size:?} of {kind:?}")));
    }
    let mut strides = vec![1i64; size.len()];
    for i in (1..size.len()).rev() {
        strides[i - 1] = strides[i] * size[i].max(1);
    }
    // SAFETY: the memory holds exactly the tensor's elements (checked above) and outlives `with`, which consumes the tensor;
    // both callers give `with` closures that keep no other reference to it.
    with(unsafe { Tensor::f_from_blob(data, size, &strides, kind, tch::Device::Cpu)? })
}

/// Copy little-endian elements to a device.
pub(crate) fn copy_in(data: &[u8], size: &[i64], kind: Kind, device: tch::Device) -> Result<Tensor, TchError> {
    over(data.as_ptr(), data.len(), size, kind, |borrowed| {
        let mut own = Tensor::f_empty(size, (kind, device))?;
        own.f_copy_(&borrowed)?;
        Ok(own)
    })
}

/// Copy a tensor's elements from its device into `data`, row-major.
pub(crate) fn copy_out(tensor: &Tensor, data: &mut [u8]) -> Result<(), TchError> {
    over(data.as_mut_ptr(), data.len(), &tensor.size(), tensor.f_kind()?, |mut borrowed| borrowed.f_copy_(tensor))
}
