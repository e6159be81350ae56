//! starling-commitment
