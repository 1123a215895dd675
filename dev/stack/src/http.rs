//! Just enough HTTP to ask a server on this machine whether it is ready. HTTP/1.0, so that no answer comes in chunks.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Status and body of `GET url`. Only `http://host:port/path`.
///
/// # Errors
/// When there is no complete answer in `timeout`.
pub fn get(url: &str, timeout: Duration) -> Result<(u16, String)> {
    call("GET", url, timeout)
}

/// Status and body of `POST url` with an empty body.
///
/// # Errors
/// When there is no complete answer in `timeout`.
pub fn post(url: &str, timeout: Duration) -> Result<(u16, String)> {
    call("POST", url, timeout)
}

fn call(method: &str, url: &str, timeout: Duration) -> Result<(u16, String)> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url} does not begin with http://"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = host.to_socket_addrs()?.next().with_context(|| format!("{host} has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let request = format!("{method} /{path} HTTP/1.0\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("{url} gave no HTTP answer") };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.with_context(|| format!("{url} gave no HTTP status"))?, body.to_owned()))
}
