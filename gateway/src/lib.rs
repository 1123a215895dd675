//! The HTTP edge and the command side: an OpenAI-compatible API whose every request is paid for with prepaid credits.

/// The money side: callers, limits, holds and their settlement.
pub mod till;
