//! Suricata's command socket: what came and went of datasets, without a reload.
//!
//! The protocol is JSON both ways: first the version, then a command at a time, each of which is answered.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use mithaq_api::http::Problem;
use mithaq_core::code::Code;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Changes, Key, suricata};

/// The longest that an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest command: Suricata hangs up at 4,096 bytes.
const COMMAND_BYTES_MAX: usize = 4_000;

/// The longest answer.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The most changes that are told; for more, loading the sets anew is quicker.
pub(super) const CHANGES_MAX: usize = 10_000;

#[derive(Deserialize)]
struct Answer {
    r#return: String,
    #[serde(default)]
    message: Value,
}

/// Tells Suricata what came and went; returns how many of the changes it could not be told. Blocks.
pub(super) fn tell(socket: &Path, source: &str, changes: &Changes) -> Result<usize, Problem> {
    let problem = |what: String| Problem::new(Code::EXPORT_SOCKET, format!("{}: {what}", socket.display()));
    let failed = |error: io::Error| problem(error.to_string());
    let commands: Vec<_> = changes
        .removed
        .iter()
        .map(|key| command("dataset-remove", source, key))
        .chain(changes.added.iter().map(|key| command("dataset-add", source, key)))
        .collect();
    if commands.is_empty() || commands.len() > CHANGES_MAX {
        return Ok(commands.len());
    }
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(TIMEOUT)).and_then(|()| stream.set_write_timeout(Some(TIMEOUT))).map_err(failed)?;
    let mut untold = 0;
    for text in std::iter::once(Some(json!({ "version": "0.1" }).to_string())).chain(commands) {
        let Some(text) = text.filter(|text| text.len() <= COMMAND_BYTES_MAX) else {
            untold += 1;
            continue;
        };
        let answer = ask(&mut stream, &text).map_err(failed)?;
        if answer.r#return != "OK" {
            return Err(problem(format!("{text} was answered with {} {}", answer.r#return, answer.message)));
        }
    }
    Ok(untold)
}

/// The command for a change, if its set is one that the socket knows.
fn command(name: &str, source: &str, key: &Key) -> Option<String> {
    let arguments = json!({
        "setname": suricata::set_name(source, key.list),
        "settype": suricata::set_type(key.list)?,
        "datavalue": suricata::data(key),
    });
    Some(json!({ "command": name, "arguments": arguments }).to_string())
}

fn ask(stream: &mut UnixStream, text: &str) -> io::Result<Answer> {
    stream.write_all(text.as_bytes())?;
    let mut answers = serde_json::Deserializer::from_reader(stream.take(ANSWER_BYTES_MAX)).into_iter();
    let answer = answers.next().ok_or(io::ErrorKind::UnexpectedEof)?;
    answer.map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    /// Suricata as its documentation tells it: an answer for each thing that is read.
    fn serve(listener: UnixListener, refuse: &'static str) -> thread::JoinHandle<Vec<String>> {
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
                let value: Value = serde_json::from_str(&text).unwrap();
                let is_refused = !refuse.is_empty() && text.contains(refuse);
                heard.push(
                    value["command"].as_str().unwrap_or("version").to_owned() + " " + &value["arguments"].to_string(),
                );
                let answer = if is_refused {
                    json!({"return": "NOK", "message": "set not found"})
                } else {
                    json!({"return": "OK"})
                };
                stream.write_all(answer.to_string().as_bytes()).unwrap();
            }
            heard
        })
    }

    fn key(list: &'static str, text: &str) -> Key {
        Key { list, text: text.to_owned() }
    }

    fn changes() -> Changes {
        Changes {
            added: vec![key("domains", "evil.example"), key("urls", &"x".repeat(5_000)), key("sha1", "00")],
            removed: vec![key("ips", "198.51.100.7")],
        }
    }

    #[test]
    fn what_went_is_told_before_what_came() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let suricata = serve(UnixListener::bind(&path).unwrap(), "");
        // One value is too long for the socket, and its set of SHA-1 does not exist there.
        assert_eq!(tell(&path, "mithaq", &changes()).unwrap(), 2);
        assert_eq!(
            suricata.join().unwrap(),
            [
                "version null",
                r#"dataset-remove {"datavalue":"198.51.100.7","setname":"mithaq-ips","settype":"ip"}"#,
                r#"dataset-add {"datavalue":"ZXZpbC5leGFtcGxl","setname":"mithaq-domains","settype":"string"}"#,
            ]
        );
    }

    #[test]
    fn a_refusal_and_a_missing_socket_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let problem = tell(&path, "mithaq", &changes()).unwrap_err();
        assert_eq!(problem.code, "MQ-6053");
        let suricata = serve(UnixListener::bind(&path).unwrap(), "dataset-remove");
        let problem = tell(&path, "mithaq", &changes()).unwrap_err();
        assert!(problem.message.contains("mithaq-ips") && problem.message.contains("set not found"), "{problem:?}");
        assert_eq!(suricata.join().unwrap().len(), 2);
    }
}
