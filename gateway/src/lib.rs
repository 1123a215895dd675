//! The HTTP edge and the command side: an OpenAI-compatible API whose every request is paid for with prepaid credits.
