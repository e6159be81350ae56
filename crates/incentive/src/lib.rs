//! starling-incentive
