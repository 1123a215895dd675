use std::io::{ErrorKind, Write};

use anyhow::Result;

/// Prints what may be long. Whoever reads it may have seen enough (`| head`): that is no failure.
pub(super) fn show(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
