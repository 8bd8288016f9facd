//! Bulk on its way into a connection.

use std::time::Instant;

use bytes::Bytes;
use mithaq_api::config::Link;
use mithaq_sync::Channel;

use super::*;
use crate::peer::{Pace, driver::End, streams::Streams};

/// A frame as large as its length says, which is all that streams look at.
const FRAME: &[u8] = &{
    let mut frame = [7; 60_003];
    // 60,000 as a varint.
    (frame[0], frame[1], frame[2]) = (0xe0, 0xd4, 0x03);
    frame
};

#[tokio::test(flavor = "multi_thread")]
async fn bulk_is_written_no_faster_than_its_link_carries_it() {
    let (a, b) = pair();
    let card = b.card();
    let accepting = async { b.endpoint.accept().await.unwrap().accept().unwrap().await.unwrap() };
    let (ours, theirs) = tokio::join!(a.connect(&b, &card), accepting);
    let pace = Pace::new(Some(&Link { rate: "8Mbit/s".parse().unwrap(), round_trip: None }));
    pace.note_carries(1_000_000);
    let (ours, pace, of_theirs) = (ours.unwrap(), Arc::new(pace), Arc::new(Pace::new(None)));
    // The side that dialled opens the control stream, which the other hears of by its first frame.
    let opening = async {
        let opened = Streams::open(&ours, true, &pace).await?;
        opened.0.queue(Channel::Control).send(Bytes::from_static(&[1, 7]));
        Ok::<_, End>(opened)
    };
    let (opened, taken) = tokio::join!(opening, Streams::open(&theirs, false, &of_theirs));
    let (ours, (mut reading, mut arrived)) = (opened.unwrap().0, taken.unwrap());
    reading.read_all(theirs);
    let begun = Instant::now();
    for _ in 0..2 {
        ours.queue(Channel::Backfill).send(Bytes::from_static(FRAME));
    }
    for _ in 0..2 {
        assert_eq!(arrived.backfill.recv().await.unwrap().len(), FRAME.len() - 3);
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(100), "a megabyte a second, and it took {took:?}");
}
