//! starling-e2e
