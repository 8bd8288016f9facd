//! Asking the daemon of a home.

use mithaq_api::{client::Client, home::Home};

use crate::failure::Failure;

/// A client of the home's control socket.
pub(crate) fn client(home: &Home) -> Result<Client, Failure> {
    let config = home.config()?;
    Ok(Client::new(home.control_socket(&config)?))
}

/// Waits for a future; the commands do one thing at a time.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(future);
    // A read of standard input may still be waiting, and nobody waits for it any more.
    runtime.shutdown_background();
    result
}
