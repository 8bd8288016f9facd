//! Where commands write and ask: the one way to standard output, standard error and standard input.
//!
//! Every line for people passes through [`Escaped`], so nothing that came from outside is obeyed by a terminal, whoever
//! forgot to think of it. JSON goes out as it is, but for a terminal, which gets the same JSON with escapes.

use std::{
    fmt::{self, Display},
    io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use anstyle::{AnsiColor, Style};
use mithaq_core::code::Code;
use serde::Serialize;

use crate::{
    failure::Failure,
    terminal::{Escaped, escape_json},
};

/// Titles and what matters.
pub(crate) const STRONG: Style = Style::new().bold();
/// What is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What deserves a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// As it is.
pub(crate) const PLAIN: Style = Style::new();

/// How often a person is asked again for the same thing.
pub(crate) const ATTEMPTS_MAX: usize = 3;

/// The program's output and input.
pub struct Console {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    input: Box<dyn BufRead>,
    interactive: bool,
    out_is_terminal: bool,
    out_is_styled: bool,
    err_is_styled: bool,
    json: bool,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("interactive", &self.interactive).field("json", &self.json).finish()
    }
}

impl Console {
    /// The console of this process; colours follow the terminal and `NO_COLOR`.
    #[must_use]
    pub fn of_process() -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let is_styled = |choice| choice != anstream::ColorChoice::Never;
        Self {
            interactive: io::stdin().is_terminal() && err.is_terminal(),
            out_is_terminal: out.is_terminal(),
            out_is_styled: is_styled(anstream::AutoStream::choice(&out)),
            err_is_styled: is_styled(anstream::AutoStream::choice(&err)),
            out: Box::new(BufWriter::new(out)),
            err: Box::new(err),
            input: Box::new(BufReader::new(io::stdin())),
            json: false,
        }
    }

    /// A console that keeps what is written and answers from `input`; without input nobody is there to ask.
    #[must_use]
    pub fn captured(input: Option<&str>) -> (Self, Captured) {
        let captured = Captured::default();
        let console = Self {
            out: Box::new(captured.out.clone()),
            err: Box::new(captured.err.clone()),
            input: Box::new(io::Cursor::new(input.unwrap_or_default().to_owned().into_bytes())),
            interactive: input.is_some(),
            out_is_terminal: false,
            out_is_styled: false,
            err_is_styled: false,
            json: false,
        };
        (console, captured)
    }

    /// Says whether standard output is for programs.
    pub(crate) fn set_json(&mut self, json: bool) {
        self.json = json;
    }

    /// Whether standard output is for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether there is a person who can be asked.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Writes a line for people.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        self.spans(&[(PLAIN, text.to_string())])
    }

    /// Writes a line for people in a style.
    pub(crate) fn styled(&mut self, style: Style, text: impl Display) -> Result<(), Failure> {
        self.spans(&[(style, text.to_string())])
    }

    /// Writes a line for people whose parts have styles of their own.
    pub(crate) fn spans(&mut self, spans: &[(Style, String)]) -> Result<(), Failure> {
        for (style, text) in spans {
            let style = if self.out_is_styled { *style } else { PLAIN };
            write!(self.out, "{style}{}{style:#}", Escaped(text))?;
        }
        Ok(self.out.write_all(b"\n")?)
    }

    /// Writes a line of JSON that is there already.
    pub(crate) fn json_line(&mut self, text: &[u8]) -> Result<(), Failure> {
        if self.out_is_terminal {
            self.out.write_all(escape_json(&String::from_utf8_lossy(text)).as_bytes())?;
        } else {
            self.out.write_all(text)?;
        }
        Ok(self.out.write_all(b"\n")?)
    }

    /// Writes a line of CSV that is there already, without its end.
    pub(crate) fn csv_line(&mut self, record: &str) -> Result<(), Failure> {
        if self.out_is_terminal {
            return self.line(record);
        }
        Ok(write!(self.out, "{record}\r\n")?)
    }

    /// Writes a piece of a document that is there already: as it is, but with escapes for a terminal.
    pub(crate) fn document(&mut self, text: &str) -> Result<(), Failure> {
        if !self.out_is_terminal {
            return Ok(self.out.write_all(text.as_bytes())?);
        }
        for line in text.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            write!(self.out, "{}{end}", Escaped(line))?;
        }
        Ok(())
    }

    /// Writes a part of a text that goes on to another program, with the end of its line; a terminal gets it escaped.
    pub(crate) fn text(&mut self, line: &str, end: &str) -> Result<(), Failure> {
        if self.out_is_terminal {
            return self.line(line);
        }
        Ok(write!(self.out, "{line}{end}")?)
    }

    /// Writes what the program itself is made of and holds nothing from outside.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.out.write_all(bytes)?)
    }

    /// Writes a value as a line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_vec(value).map_err(io::Error::from)?;
        self.json_line(&text)
    }

    /// Writes a line for people to standard error, so that it never mixes with what programs read.
    pub(crate) fn note(&mut self, text: impl Display) -> Result<(), Failure> {
        Ok(writeln!(self.err, "{}", Escaped(&text.to_string()))?)
    }

    /// Writes a value as a line of JSON to standard error, with escapes, for a person may be reading.
    pub(crate) fn json_note(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(io::Error::from)?;
        Ok(writeln!(self.err, "{}", escape_json(&text))?)
    }

    /// Hands on what was written so far.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// Asks a person; `None` at the end of the input.
    pub(crate) fn ask(&mut self, prompt: &str) -> Result<Option<String>, Failure> {
        self.out.flush()?;
        write!(self.err, "{} ", Escaped(prompt))?;
        self.err.flush()?;
        let mut line = String::new();
        match self.input.read_line(&mut line)? {
            0 => {
                // What is said next must not stand behind the question.
                writeln!(self.err)?;
                Ok(None)
            }
            _ => Ok(Some(line.trim().to_owned())),
        }
    }

    /// Asks a person for something that may not be empty.
    pub(crate) fn require(&mut self, what: &'static str, flag: &'static str, prompt: &str) -> Result<String, Failure> {
        let missing = || Failure::Missing { what, flag };
        if !self.interactive {
            return Err(missing());
        }
        for _ in 0..ATTEMPTS_MAX {
            let answer = self.ask(prompt)?.ok_or_else(missing)?;
            if !answer.is_empty() {
                return Ok(answer);
            }
        }
        Err(missing())
    }

    /// Prints help, which holds nothing from outside.
    pub(crate) fn help(&mut self, help: &clap::Error) -> Result<(), Failure> {
        let text = help.render();
        if self.out_is_styled {
            write!(self.out, "{}", text.ansi())?
        } else {
            write!(self.out, "{text}")?
        }
        self.flush()
    }

    /// Says what is wrong with the command line, which may hold what a script took from outside.
    pub(crate) fn usage(&mut self, error: &clap::Error) -> Result<(), Failure> {
        let text = error.render().to_string();
        if self.json {
            let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            self.json(&serde_json::json!({ "code": Code::BAD_REQUEST, "message": message }))?;
            self.flush()?;
        }
        text.lines().try_for_each(|line| self.note(line))
    }

    /// Reports a failure: the message and where to read more, and with `--json` an object for programs.
    pub(crate) fn report(&mut self, failure: &Failure) {
        if failure.is_quiet() {
            return;
        }
        let (code, message) = (failure.code(), failure.message());
        if self.json && !matches!(failure, Failure::Answered(_)) {
            // Whoever cannot be told on standard output is told on standard error.
            let _ = self.json(&serde_json::json!({ "code": code, "message": message }));
        }
        let _ = self.out.flush();
        let style = |style| if self.err_is_styled { style } else { PLAIN };
        let (bad, faint) = (style(BAD), style(FAINT));
        let _ = writeln!(self.err, "{bad}error:{bad:#} {code}: {}", Escaped(&message));
        if code.explain().is_some() && code != Code::BAD_REQUEST {
            let _ = writeln!(self.err, "{faint}help: mithaq explain {code}{faint:#}");
        }
    }
}

/// What a captured console has written.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    out: Shared,
    err: Shared,
}

impl Captured {
    /// Standard output so far.
    #[must_use]
    pub fn out(&self) -> String {
        self.out.text()
    }

    /// Standard error so far.
    #[must_use]
    pub fn err(&self) -> String {
        self.err.text()
    }
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_people_are_escaped_and_json_is_not_changed() {
        let (mut console, captured) = Console::captured(None);
        console.line("a\u{1b}[31mb").unwrap();
        console.json_line("{\"a\":\"\u{202e}\u{7f}\"}".as_bytes()).unwrap();
        assert_eq!(captured.out(), "a\\u{1b}[31mb\n{\"a\":\"\u{202e}\u{7f}\"}\n");
    }

    #[test]
    fn a_terminal_gets_json_with_escapes() {
        let (mut console, captured) = Console::captured(None);
        console.out_is_terminal = true;
        console.json_line("{\"a\":\"\u{202e}\u{9b}x\"}".as_bytes()).unwrap();
        assert_eq!(captured.out(), "{\"a\":\"\\u202e\\u009bx\"}\n");
    }

    #[test]
    fn failures_go_to_people_and_programs() {
        let (mut console, captured) = Console::captured(None);
        console.set_json(true);
        console.report(&Failure::OwnCard);
        assert!(captured.err().starts_with("error: MQ-3005: this card is our own"), "{}", captured.err());
        assert!(captured.err().ends_with("help: mithaq explain MQ-3005\n"));
        assert!(captured.out().starts_with("{\"code\":\"MQ-3005\",\"message\":\"this card"), "{}", captured.out());
    }

    #[test]
    fn nobody_is_asked_where_nobody_is() {
        let (mut console, _) = Console::captured(None);
        let failure = console.require("the name", "--name", "Name:").unwrap_err();
        assert_eq!(failure.exit(), crate::exit::Exit::Usage);
        let (mut console, captured) = Console::captured(Some("\n Qatar \n"));
        assert_eq!(console.require("the name", "--name", "Name:").unwrap(), "Qatar");
        assert_eq!(captured.err(), "Name: Name: ");
    }
}
