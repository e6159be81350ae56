//! starling-orchestrator
