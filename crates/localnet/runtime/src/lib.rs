//! starling-runtime
