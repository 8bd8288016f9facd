//! Sessions that must not be: other versions, other agreements, no answer.

use std::time::Duration;

use bytes::Bytes;
use mithaq_core::{code::Code, id::AgreementId};
use mithaq_sync::{Input, Session, wire::Kind};

use crate::{
    fixtures::{at, setup},
    lone::{Lone, hello},
    pair::{Pair, World},
};

#[test]
fn other_agreements_close_both_sides_with_the_same_code() {
    let mut pair = Pair::new(World::default());
    pair.connect();
    let mut other = setup(2, &pair.nodes[0].cert, None);
    other.agreement = AgreementId::from_bytes([0xbb; 32]);
    pair.cut();
    let ours = setup(1, &pair.nodes[1].cert, None);
    pair.nodes[0].session = Some(Session::new(ours, at(pair.now)));
    pair.nodes[1].session = Some(Session::new(other, at(pair.now)));
    pair.give(0, Input::Tick);
    pair.give(1, Input::Tick);
    pair.run();
    for node in &pair.nodes {
        let fault = node.closed.as_ref().unwrap();
        assert_eq!(fault.code(), Code::AGREEMENT_MISMATCH);
        let message = fault.message();
        assert!(message.contains("aaaaaaaa") && message.contains("bbbbbbbb"), "{message}");
        assert!(!node.established);
    }
}

#[test]
fn another_version_is_named() {
    let mut lone = Lone::new();
    lone.receive(Kind::Hello(mithaq_sync::wire::Hello { protocol: 2, ..hello() }));
    let fault = lone.assert_closed(Code::INCOMPATIBLE);
    assert_eq!(fault.message(), "the peer speaks protocol version 2, we speak 1");
}

#[test]
fn another_version_is_named_even_if_the_rest_of_its_hello_is_strange() {
    let mut lone = Lone::new();
    lone.receive(Kind::Hello(mithaq_sync::wire::Hello { protocol: 3, agreement: Bytes::new(), ..Default::default() }));
    lone.assert_closed(Code::INCOMPATIBLE);
}

#[test]
fn a_peer_that_says_nothing_is_left_after_ten_seconds() {
    let mut lone = Lone::new();
    lone.now = Duration::from_secs(10);
    lone.give(Input::Tick);
    assert!(lone.take_all().is_empty());
    lone.now = Duration::from_millis(10_001);
    lone.give(Input::Tick);
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn a_peer_that_says_hello_and_no_more_is_left_too() {
    let mut lone = Lone::greeted();
    lone.give(Input::JournalOpened { after: 0, head: 0 });
    lone.take_all();
    lone.now = Duration::from_secs(11);
    lone.give(Input::Tick);
    lone.assert_closed(Code::MISBEHAVED);
}
