//! starling-wallet
