//! starling-validator
