//! Server-sent events, framed as the HTML standard says: lines end with LF, CR LF or CR, an event ends with a blank
//! line. What one read returned has no meaning: it may hold half an event, or many.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// An event that has not ended by then is none.
const LONGEST_EVENT: usize = 64 * 1024 * 1024;

/// Cuts a stream of bytes into events. The events, put together, are the bytes again.
#[derive(Debug, Default)]
pub struct Framer {
    /// The beginning of an event whose end has not come.
    begun: BytesMut,
    /// What was read last, as far as it is not cut yet.
    read: Bytes,
    /// So much of `read` was looked at.
    looked_at: usize,
    /// The line that is being read has characters.
    in_line: bool,
    /// Any line before it had.
    in_event: bool,
    /// The last byte was a CR: an LF after it belongs to the same line end.
    after_cr: bool,
}

/// An event without an end, longer than can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Framer {
    /// Takes what was read. What came before must have been cut first.
    pub fn push(&mut self, read: Bytes) {
        debug_assert!(self.read.is_empty());
        self.read = read;
        self.looked_at = 0;
    }

    /// The next whole event, its blank line included; `None` if more must be read.
    ///
    /// # Errors
    /// When the event is too long.
    pub fn cut(&mut self) -> Result<Option<Bytes>, TooLong> {
        match self.end() {
            Some(end) => {
                self.looked_at = 0;
                let tail = self.read.split_to(end);
                if self.begun.is_empty() {
                    return Ok(Some(tail));
                }
                self.begun.extend_from_slice(&tail);
                Ok(Some(self.begun.split().freeze()))
            }
            None => {
                self.begun.extend_from_slice(&self.read);
                self.read = Bytes::new();
                self.looked_at = 0;
                if self.begun.len() > LONGEST_EVENT { Err(TooLong) } else { Ok(None) }
            }
        }
    }

    /// What has come of an event that has not ended.
    pub fn rest(&self) -> &[u8] {
        &self.begun
    }

    /// Where in `read` the event ends.
    fn end(&mut self) -> Option<usize> {
        while self.looked_at < self.read.len() {
            let unseen = &self.read[self.looked_at..];
            if std::mem::take(&mut self.after_cr) && unseen[0] == b'\n' {
                self.looked_at += 1;
                continue;
            }
            let Some(line) = memchr2(b'\n', b'\r', unseen) else {
                self.in_line = true;
                self.looked_at = self.read.len();
                return None;
            };
            self.after_cr = unseen[line] == b'\r';
            let mut ended = self.looked_at + line + 1;
            let blank = line == 0 && !self.in_line;
            self.in_line = false;
            if !blank {
                self.in_event = true;
            } else if std::mem::take(&mut self.in_event) {
                // An LF that is already here goes with its CR.
                if self.after_cr && self.read.get(ended) == Some(&b'\n') {
                    self.after_cr = false;
                    ended += 1;
                }
                return Some(ended);
            }
            self.looked_at = ended;
        }
        None
    }
}

/// What an event carries.
#[derive(Debug, PartialEq, Eq)]
pub enum Data {
    /// No data: a comment, a keep-alive.
    None,
    /// The data is this part of the event's bytes.
    At(std::ops::Range<usize>),
    /// Several lines of data, put together.
    Joined(Vec<u8>),
}

/// The data of an event.
pub fn data(event: &[u8]) -> Data {
    let mut found = Data::None;
    let mut at = 0;
    while at < event.len() {
        let line = memchr2(b'\n', b'\r', &event[at..]).unwrap_or(event.len() - at);
        if let Some(value) = event[at..at + line].strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let end = at + line;
            found = match found {
                Data::None => Data::At(end - value.len()..end),
                Data::At(first) => Data::Joined([&event[first], b"\n", value].concat()),
                Data::Joined(mut lines) => {
                    lines.push(b'\n');
                    lines.extend_from_slice(value);
                    Data::Joined(lines)
                }
            };
        }
        at += line + 1;
    }
    found
}

/// The line of an event that names its type, with its end; empty where there is none.
pub fn name_line(event: &[u8]) -> &[u8] {
    let mut at = 0;
    while at < event.len() {
        let line = memchr2(b'\n', b'\r', &event[at..]).unwrap_or(event.len() - at);
        let end = (at + line + 1).min(event.len());
        if event[at..].starts_with(b"event:") {
            return &event[at..end];
        }
        at = end;
    }
    &[]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut framer = Framer::default();
        let mut events = Vec::new();
        for piece in pieces {
            framer.push(Bytes::copy_from_slice(piece));
            while let Some(event) = framer.cut().unwrap() {
                events.push(event.to_vec());
            }
        }
        (events, framer.rest().to_vec())
    }

    fn text(event: &[u8]) -> Option<Vec<u8>> {
        match data(event) {
            Data::None => None,
            Data::At(range) => Some(event[range].to_vec()),
            Data::Joined(lines) => Some(lines),
        }
    }

    #[test]
    fn data_is_found_in_every_dress() {
        assert_eq!(text(b"data: {}\n\n").unwrap(), b"{}");
        assert_eq!(text(b"event: x\r\ndata:{}\r\n\r\n").unwrap(), b"{}");
        assert_eq!(text(b"data: a\rdata: b\r\r").unwrap(), b"a\nb");
        assert_eq!(text(b"\ndata: a\n\n").unwrap(), b"a");
        assert_eq!(text(b"data:\n\n").unwrap(), b"");
        assert_eq!(text(b": keep-alive\n\n"), None);
        assert_eq!(text(b"database: 1\n\n"), None);
    }

    #[test]
    fn the_type_of_an_event_is_found() {
        assert_eq!(name_line(b": c\nevent: x\ndata: 1\n\n"), b"event: x\n");
        assert_eq!(name_line(b"data: event:\n\n"), b"");
    }

    #[test]
    fn half_an_event_waits_for_its_end() {
        let (events, rest) = cut(&[b"data: 1\n", b"\nda", b"ta: 2\r\n\r", b"\ndata: 3"]);
        assert_eq!(events, [b"data: 1\n\n".to_vec(), b"data: 2\r\n\r".to_vec()]);
        assert_eq!(rest, b"\ndata: 3");
    }

    /// The standard's way, line by line over the whole text.
    fn reference(all: &[u8]) -> Vec<Vec<u8>> {
        let text = String::from_utf8(all.to_vec()).unwrap().replace("\r\n", "\n").replace('\r', "\n");
        let mut events = Vec::new();
        let mut lines: Vec<&str> = Vec::new();
        let ended = text.rsplit_once('\n').map_or("", |(ended, _)| ended);
        for line in ended.split('\n') {
            if !line.is_empty() {
                lines.push(line);
                continue;
            }
            let data: Vec<&str> = lines.drain(..).filter_map(|line| line.strip_prefix("data:")).collect();
            if !data.is_empty() {
                let data: Vec<&str> = data.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
                events.push(data.join("\n").into_bytes());
            }
        }
        events
    }

    proptest! {
        #[test]
        fn reads_are_of_no_meaning(
            parts in prop::collection::vec(prop::sample::select(vec!["data: a", "data:b", ":c", "\n", "\r", "\r\n", "x"]), 0..30),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let all = parts.concat().into_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len() + 1)).collect();
            at.extend([0, all.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &all[pair[0]..pair[1]]).collect();
            let (events, rest) = cut(&pieces);
            let mut together = events.concat();
            together.extend_from_slice(&rest);
            prop_assert_eq!(&together, &all);
            let data: Vec<Vec<u8>> = events.iter().filter_map(|event| text(event)).collect();
            prop_assert_eq!(data, reference(&all));
        }
    }
}
