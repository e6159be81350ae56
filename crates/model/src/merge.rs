//! The outer step on a shard: plain f32 loops in uid order, so that every machine gets the same bits (design D11).

use starling_protocol::config::OuterConfig;

/// DiLoCo's Nesterov step (training.md 4.2) on one shard. `contributions` are the shard's weights of each contributor in uid
/// order, each as long as `previous` and `momentum`. Returns new weights and new momentum.
///
/// ```text
/// Δ = mean(previous − contribution);  v = μ v + Δ;  new = previous − η (Δ + μ v)
/// ```
#[must_use]
pub fn outer_shard(
    previous: &[f32],
    momentum: &[f32],
    contributions: &[&[f32]],
    outer: &OuterConfig,
) -> (Vec<f32>, Vec<f32>) {
    let count = contributions.len().max(1) as f32;
    let mut weights = Vec::with_capacity(previous.len());
    let mut velocity = Vec::with_capacity(previous.len());
    for (i, (p, m)) in previous.iter().zip(momentum).enumerate() {
        let mut sum = 0f32;
        for c in contributions {
            sum += p - c.get(i).copied().unwrap_or(*p);
        }
        let delta = sum / count;
        let v = outer.momentum * m + delta;
        velocity.push(v);
        weights.push(p - outer.learning_rate * (delta + outer.momentum * v));
    }
    (weights, velocity)
}
