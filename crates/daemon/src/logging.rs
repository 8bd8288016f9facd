//! Log lines on standard error, for people or as JSON.

use mithaq_api::config::{Log, LogFormat};
use tracing_subscriber::{EnvFilter, filter::ParseError};

/// Starts logging; later calls, as in tests, change nothing.
pub(crate) fn start(config: &Log) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(&config.filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
