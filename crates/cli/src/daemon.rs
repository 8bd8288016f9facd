//! Asking the daemon of a home.

use mithaq_api::{
    client::{Client, ClientError},
    home::Home,
    http::Reloaded,
};

use crate::{console::Console, failure::Failure};

/// A client of the home's control socket.
pub(crate) fn client(home: &Home) -> Result<Client, Failure> {
    let config = home.config()?;
    Ok(Client::new(home.control_socket(&config)?))
}

/// Tells a daemon that runs to read card, keys and peers again, and says whether one did; without one, the next start
/// finds them.
pub(crate) fn reload(home: &Home, console: &mut Console) -> Result<bool, Failure> {
    let answer = client(home).and_then(|client| block_on(async { Ok(client.post::<Reloaded>("/v1/reload").await?) }));
    match answer {
        Ok(_) => Ok(true),
        Err(Failure::Client(ClientError::Unreachable { .. })) => Ok(false),
        Err(failure) => {
            console.note(format_args!("the daemon did not take it up: {}: {}", failure.code(), failure.message()))?;
            Ok(false)
        }
    }
}

/// Waits for a future; the commands do one thing at a time.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(future);
    // A read of standard input may still be waiting, and nobody waits for it any more.
    runtime.shutdown_background();
    result
}
