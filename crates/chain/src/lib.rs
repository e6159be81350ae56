//! starling-chain
