//! starling-model
