//! Which machine this is, from what the driver and the kernel say.

use std::process::Command;

use serde_json::{Value, json};

/// Dense bf16 peak of a card by its maker's data sheet, floating-point operations per second.
const PEAKS: [(&str, f64); 14] = [
    ("H200", 989.4e12),
    ("H100 PCIe", 756e12),
    ("H100 NVL", 835e12),
    ("H100", 989.4e12),
    ("GH200", 989.4e12),
    ("B200", 2250e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("L40", 181e12),
    ("L4", 121e12),
    ("A10G", 70e12),
    ("RTX 5090", 209.5e12),
    ("RTX 4090", 165.2e12),
    ("RTX 3090", 71e12),
];

/// Peak of the card with this name.
pub fn peak(name: &str) -> Option<f64> {
    PEAKS.iter().find(|(part, _)| name.contains(part)).map(|(_, peak)| *peak)
}

fn query(fields: &str) -> Option<Vec<String>> {
    let done = Command::new("nvidia-smi")
        .args([&format!("--query-gpu={fields}"), "--format=csv,noheader,nounits"])
        .output()
        .ok()
        .filter(|done| done.status.success())?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    Some(text.lines().next()?.split(',').map(|f| f.trim().to_owned()).collect())
}

/// Name, memory, driver and compute capability of the first card.
pub fn card() -> Value {
    let Some(found) = query("name,memory.total,driver_version,compute_cap") else {
        return json!({ "name": "unknown: nvidia-smi does not answer" });
    };
    let field = |i: usize| found.get(i).cloned().unwrap_or_default();
    json!({
        "name": field(0),
        "memory_mib": field(1).parse::<u64>().ok(),
        "driver": field(2),
        "compute_capability": field(3),
        "peak_bf16_tflops": peak(&field(0)).map(|p| p / 1e12),
    })
}

/// Name of the first card.
pub fn name() -> String {
    query("name").and_then(|f| f.into_iter().next()).unwrap_or_default()
}

/// True if the card multiplies bf16 itself (compute capability 8.0 and later); true if nobody knows.
pub fn has_bf16() -> bool {
    let capability = query("compute_cap").and_then(|f| f.first()?.parse::<f64>().ok());
    capability.is_none_or(|c| c >= 8.0)
}

/// The processor's name.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|l| l.strip_prefix("model name").and_then(|l| l.split_once(':')));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}
