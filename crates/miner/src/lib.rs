//! starling-miner
