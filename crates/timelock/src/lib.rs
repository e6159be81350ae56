//! Timelocked weights (in the making).
