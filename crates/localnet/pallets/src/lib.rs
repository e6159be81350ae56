//! starling-pallets
