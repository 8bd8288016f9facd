//! HTTP/1.1 as a few lines, for unix sockets and TCP alike.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// How long a read may take: an answer that does not come fails the scenario.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Gets a path.
pub(crate) fn get(stream: impl Read + Write, path: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(head("GET", path, headers).as_bytes())?;
    answer(stream)
}

/// Posts a body.
pub(crate) fn post(mut stream: impl Read + Write, path: &str, body: &str) -> io::Result<Answer> {
    let length = body.len().to_string();
    stream.write_all(head("POST", path, &[("content-length", &length)]).as_bytes())?;
    // A server that has heard enough closes; its answer is there to be read.
    let _ = stream.write_all(body.as_bytes());
    answer(BufReader::new(stream))
}

/// Gets a path from a TCP listener.
pub(crate) fn get_tcp(address: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    get(stream, path, headers).unwrap()
}

/// Asks for a stream that does not end, and returns it behind its head.
pub(crate) fn open_stream(socket: &Path, path: &str) -> BufReader<UnixStream> {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(head("GET", path, &[]).as_bytes()).unwrap();
    let (status, _) = read_head(&mut stream).unwrap();
    assert_eq!(status, 200);
    stream
}

/// Posts a body of `bytes` blanks, whose length is told at the start or comes to light on the way.
pub(crate) fn post_endless(socket: &Path, path: &str, bytes: u64, length_is_told: bool) -> Answer {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let length = bytes.to_string();
    let header = match length_is_told {
        true => ("content-length", length.as_str()),
        false => ("transfer-encoding", "chunked"),
    };
    stream.write_all(head("POST", path, &[header]).as_bytes()).unwrap();
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..bytes >> 20 {
        let sent = match length_is_told {
            true => stream.write_all(&blanks),
            false => write!(stream, "{:x}\r\n", blanks.len())
                .and_then(|()| stream.write_all(&blanks))
                .and_then(|()| stream.write_all(b"\r\n")),
        };
        // A server that has heard enough closes; its answer is there to be read.
        if sent.is_err() {
            break;
        }
    }
    answer(BufReader::new(stream)).unwrap()
}

fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head + "\r\n"
}

fn answer(mut stream: impl BufRead) -> io::Result<Answer> {
    let (status, headers) = read_head(&mut stream)?;
    let mut answer = Answer { status, headers, body: Vec::new() };
    if answer.header("transfer-encoding") == Some("chunked") {
        while read_chunk(&mut stream, &mut answer.body)? {}
    } else if let Some(length) = answer.header("content-length") {
        let length = length.parse().map_err(io::Error::other)?;
        stream.take(length).read_to_end(&mut answer.body)?;
    } else {
        stream.read_to_end(&mut answer.body)?;
    }
    Ok(answer)
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}

fn read_head(stream: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let status = read_line(stream)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status line"))?;
    let mut headers = Vec::new();
    loop {
        match read_line(stream)?.split_once(':') {
            Some((name, value)) => headers.push((name.to_lowercase(), value.trim().to_owned())),
            None => return Ok((status, headers)),
        }
    }
}

/// Reads a chunk; says whether it was not the last.
fn read_chunk(stream: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<bool> {
    let length = u64::from_str_radix(&read_line(stream)?, 16).map_err(io::Error::other)?;
    stream.by_ref().take(length).read_to_end(body)?;
    read_line(stream)?;
    Ok(length > 0)
}
