//! The shape that a receipt log and a BLAKE3 blob have in common: which nodes of a Merkle tree over `size` leaves are siblings.
//!
//! Both are the tree of RFC 6962, section 2.1 (and of the BLAKE3 paper, section 2.1): the left part of a node is the largest power
//! of two of leaves that is smaller than the whole. Counted by levels that means: at level `l` node `i` stands above the leaves
//! `i·2^l .. min((i+1)·2^l, size)`, nodes are joined in pairs, and a last node without a partner moves up as it is.
//! Invariant: whoever makes a proof and whoever checks it walk through [`climb`], so they agree on every node and its order.

/// Walk from `known` nodes at level 0 (leaf index and what the caller carries for it) up to the top, and return what arrives.
///
/// `known` must be strictly increasing and below `size`. A node that is neither known nor joined from known ones is asked of
/// `sibling(level, index)`, left before right, lower levels first. The work is at most `known.len()` joins for each of the
/// log2(size) levels. Without any known node, nothing arrives.
pub(crate) fn climb<T, E>(
    size: u64,
    mut known: Vec<(u64, T)>,
    mut sibling: impl FnMut(u32, u64) -> Result<T, E>,
    join: impl Fn(T, T) -> T,
) -> Result<Option<T>, E> {
    let mut last = size.saturating_sub(1);
    let mut level = 0;
    while last > 0 {
        let mut above = Vec::with_capacity(known.len());
        let mut rest = known.into_iter().peekable();
        while let Some((i, node)) = rest.next() {
            let node = if i % 2 == 1 {
                join(sibling(level, i - 1)?, node)
            } else if i == last {
                node
            } else if let Some((_, right)) = rest.next_if(|(j, _)| *j == i + 1) {
                join(node, right)
            } else {
                join(node, sibling(level, i + 1)?)
            };
            above.push((i / 2, node));
        }
        known = above;
        last /= 2;
        level += 1;
    }
    Ok(known.pop().map(|(_, node)| node))
}
