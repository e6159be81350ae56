//! starling-network
