//! starling-localnet
