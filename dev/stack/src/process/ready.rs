//! How to know that a server is ready to serve.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::http;

/// The sign of readiness of a kind of server.
#[derive(Debug, Clone)]
pub enum Ready {
    /// `GET` of this URL answers 200.
    Http(String),
    /// nats-server greets on this port. It opens the port after JetStream has recovered its streams.
    NatsGreeting(u16),
    /// PostgreSQL's own note in its data folder says so.
    Postmaster(PathBuf),
}

impl Ready {
    /// Why it is not ready; `None` when it is. `pid` is the process that is asked.
    pub(super) fn lacks(&self, pid: u32) -> Option<String> {
        match self {
            Self::Http(url) => match http::get(url, Duration::from_secs(1)) {
                Ok((200, _)) => None,
                Ok((status, body)) => Some(format!("{url} answers {status}: {}", body.trim())),
                Err(error) => Some(format!("{url}: {error}")),
            },
            Self::NatsGreeting(port) => {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
                let greeting = TcpStream::connect_timeout(&address, Duration::from_secs(1)).and_then(|stream| {
                    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
                    let mut line = String::new();
                    BufReader::new(stream).read_line(&mut line).map(|_| line)
                });
                match greeting {
                    Ok(line) if line.starts_with("INFO ") => None,
                    Ok(line) => Some(format!("{address} greets with {line:?}")),
                    Err(error) => Some(format!("{address}: {error}")),
                }
            }
            Self::Postmaster(data) => {
                let note = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
                let lines: Vec<&str> = note.lines().map(str::trim).collect();
                let is_this_life = lines.first() == Some(&pid.to_string().as_str());
                let status = lines.get(7).copied().unwrap_or("starting");
                (!is_this_life || status != "ready").then(|| format!("PostgreSQL is {status}"))
            }
        }
    }
}
