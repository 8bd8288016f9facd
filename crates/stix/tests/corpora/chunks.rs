//! Real inputs in chunks: what comes of them is what comes of them as a whole.

use crate::folder::corpora;
use mithaq_stix::{
    Entry, Reader,
    bundle::stream::{Part, Splitter},
    json::JsonError,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

const SIZES: [usize; 3] = [997, 65_536, 1 << 30];

/// What is compared of an entry.
fn short(item: Result<Entry<'_>, JsonError>) -> String {
    match item {
        Ok(Entry { index, offset, object: Ok(object), .. }) => {
            format!("{index} {offset} {} {:?}", object.id(), object.canonical())
        }
        Ok(Entry { index, offset, object: Err(error), id_hint }) => format!("{index} {offset} {error:?} {id_hint:?}"),
        Err(error) => format!("{error:?}"),
    }
}

fn check(path: &Path, text: &[u8]) -> usize {
    let read: Vec<_> = Reader::new(text).map(short).collect();
    for size in SIZES {
        let mut read = read.iter();
        let mut splitter = Splitter::default();
        let mut chunks = text.chunks(size).peekable();
        while let Some(chunk) = chunks.next() {
            splitter.feed(chunk);
            if chunks.peek().is_none() {
                splitter.end();
            }
            while let Some(part) = splitter.next_part() {
                let entry = match part {
                    Ok(Part::Object(object)) => Some(Ok(object.entry())),
                    Ok(Part::Bundle(envelope)) => envelope.entry().map(Ok),
                    Err(error) => Some(Err(error)),
                };
                if let Some(entry) = entry {
                    assert_eq!(Some(&short(entry)), read.next(), "{} in chunks of {size}", path.display());
                }
            }
        }
        assert_eq!(read.next(), None, "{} in chunks of {size}", path.display());
    }
    read.len()
}

fn all_files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all_files(&path, out) } else { out.push(path) }
    }
}

#[test]
fn every_corpus_is_read_in_chunks_as_it_is_read_whole() {
    let Some(folder) = corpora() else { return };
    let mut files = Vec::new();
    all_files(&folder, &mut files);
    files.sort();
    let entries: usize = files.iter().map(|file| check(file, &fs::read(file).unwrap())).sum();
    // Files that are no JSON at all are inputs too.
    assert!(files.len() > 100 && entries > 20_000, "{} files, {entries} entries", files.len());
}
