//! Bulk on its way into a connection.

use std::time::Instant;

use bytes::Bytes;
use mithaq_api::config::Link;

use super::*;
use crate::peer::{
    Pace,
    frames::{self, StreamError},
    meter::Meter,
};

#[tokio::test(flavor = "multi_thread")]
async fn bulk_is_written_no_faster_than_its_link_carries_it() {
    const FRAME_BYTES: usize = 60_000;
    let (a, b) = pair();
    let card = b.card();
    let accepting = async { b.endpoint.accept().await.unwrap().accept().unwrap().await.unwrap() };
    let (ours, theirs) = tokio::join!(a.connect(&b, &card), accepting);
    let pace = Pace::new(Some(&Link { rate: "8Mbit/s".parse().unwrap(), round_trip: None }));
    pace.note_carries(1_000_000);
    let (queue, waiting) = frames::queue();
    (0..2).for_each(|_| queue.send(Bytes::from_static(&[7; FRAME_BYTES])));
    drop(queue);
    let ours = ours.unwrap();
    let stream = ours.open_uni().await.unwrap();
    let begun = Instant::now();
    let writing = frames::write(stream, waiting, Vec::new(), Meter::new(Arc::new(pace)));
    let reading = async { theirs.accept_uni().await.unwrap().read_to_end(3 * FRAME_BYTES).await.unwrap() };
    let (ended, read) = tokio::join!(writing, reading);
    let took = begun.elapsed();
    assert!(matches!(ended, StreamError::Ended));
    assert_eq!(read, [7; 2 * FRAME_BYTES]);
    assert!(took >= Duration::from_millis(100), "a megabyte a second, and it took {took:?}");
}
