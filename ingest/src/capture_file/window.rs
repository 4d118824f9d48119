//! The part of a file that is being looked at.

use std::io::Read;

/// Bytes read at once.
const STEP: usize = 64 * 1024;

/// A window that slides over a stream: it grows to what is asked for, as the bytes come, and forgets what is consumed.
#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    /// Place of `start` in the stream.
    position: u64,
    is_at_end: bool,
    /// Why reading stopped before the end, if it did.
    failure: Option<std::io::Error>,
}

impl<R: Read> Window<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            position: 0,
            is_at_end: false,
            failure: None,
        }
    }

    /// Everything in the window.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Place of the window's first byte in the buffer; see [`Self::slice`].
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// `len` bytes of the buffer from `start`: consumed bytes stay readable until the next [`Self::fill`].
    pub(super) fn slice(&self, start: usize, len: usize) -> &[u8] {
        let rest = self.buffer.get(start..).unwrap_or_default();
        rest.get(..len).unwrap_or(rest)
    }

    /// Reads until the window holds `len` bytes; false if the stream ends (or fails) before.
    ///
    /// Memory grows with what was read, never with what was asked for.
    pub(super) fn fill(&mut self, len: usize) -> bool {
        while self.bytes().len() < len && !self.is_at_end {
            if self.start > 0 && self.start * 2 >= self.buffer.len() {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            let old_len = self.buffer.len();
            self.buffer.resize(old_len + STEP, 0);
            let read = match self.buffer.get_mut(old_len..) {
                Some(space) => read_some(&mut self.source, space),
                None => Ok(0),
            };
            let count = read.unwrap_or_else(|error| {
                self.failure = Some(error);
                0
            });
            self.buffer.truncate(old_len + count);
            self.is_at_end = count == 0;
        }
        self.bytes().len() >= len
    }

    /// Forgets the first `len` bytes of the window.
    pub(super) fn consume(&mut self, len: usize) {
        let len = len.min(self.bytes().len());
        self.start += len;
        self.position += len as u64;
    }

    /// How many bytes were consumed since the start of the stream.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Why reading stopped before the end of the stream, if it did.
    pub(super) fn failure(&self) -> Option<&std::io::Error> {
        self.failure.as_ref()
    }

    pub(super) fn source(&self) -> &R {
        &self.source
    }
}

fn read_some(source: &mut impl Read, space: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match source.read(space) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A stream that counts the bytes read from it.
#[derive(Debug)]
pub(super) struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R> Counted<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, count: 0 }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(space)?;
        self.count += count as u64;
        Ok(count)
    }
}
