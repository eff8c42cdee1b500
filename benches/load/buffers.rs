//! A connection that is never waited for: what was read and not yet used, what is to be written and
//! did not go out yet.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

const READ_AT_ONCE: usize = 64 * 1024;
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A connection with its buffers.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    used: usize,
    filled: usize,
    /// What is to be sent.
    pub out: Vec<u8>,
    is_drained: bool,
}

impl Connection {
    /// Connects, and asks to be told when there is something to read or room to write.
    pub fn open(address: SocketAddr, registry: &Registry, token: usize) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect_timeout(&address, CONNECT_WITHIN)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        let input = vec![0; 2 * READ_AT_ONCE];
        Ok(Self { stream, input, used: 0, filled: 0, out: Vec::new(), is_drained: false })
    }

    /// Reads once; whether there was anything. What is not drained must be read again: nobody says
    /// a second time that it is there.
    pub fn read(&mut self) -> io::Result<bool> {
        if self.input.len() - self.filled < READ_AT_ONCE {
            self.input.copy_within(self.used..self.filled, 0);
            self.filled -= self.used;
            self.used = 0;
            if self.input.len() - self.filled < READ_AT_ONCE {
                self.input.resize(self.filled + 2 * READ_AT_ONCE, 0);
            }
        }
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.filled += count;
                // Less than there was room for: a further read would find nothing.
                self.is_drained = self.filled < self.input.len();
                Ok(true)
            }
            Err(error) if may_be_repeated(&error) => {
                self.is_drained = true;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the last read took all.
    pub fn is_drained(&self) -> bool {
        self.is_drained
    }

    /// What was read and not yet used.
    pub fn unused(&self) -> &[u8] {
        &self.input[self.used..self.filled]
    }

    /// Takes bytes as used.
    pub fn consume(&mut self, count: usize) {
        self.used += count;
        if self.used == self.filled {
            (self.used, self.filled) = (0, 0);
        }
    }

    /// Writes as much as goes out now.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        while written < self.out.len() {
            match self.stream.write(&self.out[written..]) {
                Ok(count) => written += count,
                Err(error) if may_be_repeated(&error) => break,
                Err(error) => return Err(error),
            }
        }
        self.out.drain(..written);
        Ok(())
    }
}

fn may_be_repeated(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
