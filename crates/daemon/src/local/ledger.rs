//! The ledger as operators read it on the control socket.

use axum::{extract::State, response::Response};
use mithaq_api::http::{
    LEDGER_LIMIT_DEFAULT, LEDGER_LIMIT_MAX, LEDGER_PROOF_SCHEMA, LedgerEntry, LedgerKind, LedgerProof,
    LedgerProofQuery, LedgerQuery, LedgerReceipt, LedgerReport, LedgerReportQuery, LedgerReportRow, Problem,
};
use mithaq_core::{
    code::Code,
    id::{CertId, TreeHash},
    ledger::{Disclosure, Entry},
    merkle::nodes::inclusion_proof,
};
use mithaq_store::StoreError;

use super::{
    answer::{self, Ask, Failed, blocking},
    control::Control,
    lookup,
};
use crate::{
    ledger::{self, Ledger},
    node::Node,
};

/// How many entries are read at a time for a report.
const ROWS: usize = 256;

/// Entries, the newest unless told where to begin.
pub(super) async fn entries(State(control): State<Control>, Ask(query): Ask<LedgerQuery>) -> Result<Response, Failed> {
    let limit = query.limit.unwrap_or(LEDGER_LIMIT_DEFAULT);
    if !(1..=LEDGER_LIMIT_MAX).contains(&limit) {
        return Err(Failed::bad_request(format!("limit is 1 to {LEDGER_LIMIT_MAX}")));
    }
    let node = control.node;
    let read = blocking(move || {
        let mut lines = Vec::new();
        for (name, peer) in ledgers(&node, query.peer.as_deref())? {
            let ledger = Ledger::new(&node, peer);
            let size = ledger.frontier()?.size();
            let first = query.after.map_or(size.saturating_sub(limit as u64), |after| after.saturating_add(1));
            lines.extend(
                ledger.entries(first, limit)?.into_iter().filter_map(|(index, entry)| line(&name, index, entry)),
            );
        }
        Ok::<_, Failed>(lines)
    });
    Ok(answer::lines(read.await??))
}

/// The ledgers to look at, by the names of their peers.
fn ledgers(node: &Node, name: Option<&str>) -> Result<Vec<(String, CertId)>, Failed> {
    let mut named: Vec<_> = ledger::peers(node)?.into_iter().map(|peer| (node.name_of(peer), peer)).collect();
    named.sort();
    match name {
        None => Ok(named),
        Some(name) => Ok(vec![(name.to_owned(), peer_of(node, name, &named)?)]),
    }
}

/// A peer that we have, or had: its ledger outlives it.
fn peer_of(node: &Node, name: &str, ledgers: &[(String, CertId)]) -> Result<CertId, Failed> {
    let known = ledgers.iter().find(|(known, _)| known == name).map(|(_, peer)| *peer);
    let known = known.or_else(|| node.peer_named(name).map(|entry| entry.cert()));
    known.ok_or_else(|| lookup::no_such_peer(node, name))
}

fn line(peer: &str, index: u64, entry: Entry) -> Option<LedgerEntry> {
    let at = entry.at();
    let peer = peer.to_owned();
    Some(match entry {
        Entry::Receipt(signed) => {
            let receipts = signed.receipt().entries().iter();
            let receipts =
                receipts.map(|entry| LedgerReceipt { release: entry.release, status: entry.status }).collect();
            let agreement = signed.receipt().journal().agreement;
            LedgerEntry { peer, index, kind: LedgerKind::Receipt, at, agreement, release: None, rule: None, receipts }
        }
        Entry::Disclosure(Disclosure { release, agreement, rule, .. }) => LedgerEntry {
            peer,
            index,
            kind: LedgerKind::Disclosure,
            at,
            agreement,
            release: Some(release),
            rule: Some(rule),
            receipts: Vec::new(),
        },
        _ => return None,
    })
}

/// Reads and hashes all entries.
pub(super) async fn verify(State(control): State<Control>) -> Result<Response, Failed> {
    let check = blocking(move || ledger::audit(&control.node)).await??;
    Ok(answer::json(&check))
}

/// The proof that a release was disclosed to a peer.
pub(super) async fn proof(
    State(control): State<Control>,
    Ask(query): Ask<LedgerProofQuery>,
) -> Result<Response, Failed> {
    let proof = blocking(move || prove(&control.node, &query)).await??;
    Ok(answer::json(&proof))
}

fn prove(node: &Node, query: &LedgerProofQuery) -> Result<LedgerProof, Failed> {
    let (name, peer) = ledgers(node, Some(&query.peer))?.swap_remove(0);
    let ledger = Ledger::new(node, peer);
    let Some(place) = ledger.place(query.release)? else {
        return Err(Failed::not_found(format!("release {} was never disclosed to {name}", query.release)));
    };
    let damaged = || StoreError::Corrupt { what: format!("the ledger towards {name}") };
    let unsigned =
        || Problem::new(Code::NOT_FOUND, "the entry is not covered by a signed checkpoint yet: try again in a moment");
    let checkpoint = ledger.ours()?.ok_or_else(unsigned)?;
    let (size, root) = (checkpoint.checkpoint().size, checkpoint.checkpoint().root);
    let path = inclusion_proof(&ledger, place.entry, size)?.ok_or_else(unsigned)?;
    Ok(LedgerProof {
        schema: LEDGER_PROOF_SCHEMA.to_owned(),
        entry: String::from_utf8(ledger.leaf(place.entry)?).map_err(|_| damaged())?,
        peer: name,
        index: place.entry,
        size,
        root,
        path: path.into_iter().map(TreeHash::from_bytes).collect(),
        checkpoint: checkpoint.note().to_string(),
    })
}

/// What a peer was given in a month.
pub(super) async fn report(
    State(control): State<Control>,
    Ask(query): Ask<LedgerReportQuery>,
) -> Result<Response, Failed> {
    let report = blocking(move || report_of(&control.node, query)).await??;
    Ok(answer::json(&report))
}

fn report_of(node: &Node, query: LedgerReportQuery) -> Result<LedgerReport, Failed> {
    if !is_month(&query.month) {
        return Err(Failed::bad_request("month is of the form YYYY-MM, such as 2026-11"));
    }
    let (name, peer) = ledgers(node, Some(&query.peer))?.swap_remove(0);
    let ledger = Ledger::new(node, peer);
    let frontier = ledger.frontier()?;
    let mut rows = Vec::new();
    for first in (0..frontier.size()).step_by(ROWS) {
        for (index, entry) in ledger.entries(first, ROWS)? {
            if let Entry::Disclosure(disclosure) = entry
                && disclosure.at.to_string().starts_with(&query.month)
            {
                rows.push(row(node, &ledger, index, disclosure)?);
            }
        }
    }
    let head = ledger.head(name.clone())?;
    Ok(LedgerReport { peer: name, cert: peer, month: query.month, head, rows })
}

fn is_month(text: &str) -> bool {
    let parts = text.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2);
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    parts.is_some_and(|(year, month)| {
        is_number(year) && is_number(month) && month.parse::<u8>().is_ok_and(|month| (1..=12).contains(&month))
    })
}

fn row(node: &Node, ledger: &Ledger<'_>, index: u64, disclosure: Disclosure) -> Result<LedgerReportRow, StoreError> {
    let Disclosure { release, agreement, rule, at } = disclosure;
    let manifest = node.store.release(release)?.and_then(|(_, release)| release.stored_manifest().ok());
    let receipt = ledger.place(release)?.and_then(|place| place.receipt);
    Ok(LedgerReportRow {
        index,
        at,
        release,
        agreement,
        rule,
        label: manifest.as_ref().map(|manifest| manifest.label.to_string()),
        objects: manifest.as_ref().map(|manifest| manifest.objects),
        status: receipt.map(|receipt| receipt.status),
        status_at: receipt.map(|receipt| receipt.at),
    })
}
