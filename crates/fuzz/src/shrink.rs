//! Making a case small: commands, documents, fields and elements are left out,
//! and values made simple, as long as the same difference shows.

use bson::{Bson, Document};

use crate::answer::Difference;
use crate::generate::{Area, Program};
use crate::run::{Side, record, replay};
use crate::tally::Divergence;

/// Tries of one case.
const TRIES: usize = 250;

/// Makes a divergence's case small, as far as the server lives.
pub async fn shrink(ours: &Side, theirs: &Side, divergence: &Divergence) -> Divergence {
    let mut best = divergence.clone();
    if divergence.how == Difference::Events {
        return best;
    }
    let mut tries = TRIES;
    match shows(ours, theirs, &best.case, best.how).await {
        Ok(Some(text)) => best.text = text,
        // It takes more than the documents of that moment.
        Ok(None) => {
            best.text.push_str("\n  (not shown by the case alone)");
            return best;
        }
        Err(_) => return best,
    }
    loop {
        let mut smaller = false;
        let mut at = 0;
        // Candidates change when one is taken, so they are asked by number.
        while let Some(candidate) = nth(&best.case, at) {
            if tries == 0 {
                return best;
            }
            tries -= 1;
            match shows(ours, theirs, &candidate, best.how).await {
                Ok(Some(text)) => {
                    best.case = candidate;
                    best.text = text;
                    smaller = true;
                }
                Ok(None) => at += 1,
                // A candidate was its end.
                Err(_) => return best,
            }
        }
        if !smaller {
            return best;
        }
    }
}

/// What is different at the last command, if the case still shows it.
async fn shows(
    ours: &Side,
    theirs: &Side,
    case: &[Document],
    how: Difference,
) -> Result<Option<String>, String> {
    let program = Program {
        area: Area::Mixed,
        seed: 0,
        commands: case.to_vec(),
        watched: false,
    };
    let recorded = record(theirs, &program).await?;
    let tally = replay(ours, &recorded).await;
    let mut found = tally.different.into_iter();
    let found = found.find(|found| found.how == how && found.step + 1 == case.len());
    Ok(found.map(|found| found.text))
}

/// The `n`th way to make a case smaller.
fn nth(case: &[Document], n: usize) -> Option<Vec<Document>> {
    let mut left = n;
    // Whole commands, but not the last.
    if left + 1 < case.len() {
        let mut smaller = case.to_vec();
        smaller.remove(left);
        return Some(smaller);
    }
    left -= case.len() - 1;
    // One document of many.
    for (at, command) in case.iter().enumerate() {
        if let Ok(documents) = command.get_array("documents")
            && documents.len() > 1
        {
            if let Some(one) = documents.get(left) {
                let mut smaller = case.to_vec();
                smaller[at].insert("documents", vec![one.clone()]);
                return Some(smaller);
            }
            left -= documents.len();
        }
    }
    for at in (0..case.len()).rev() {
        let mut command = case[at].clone();
        let mut first = true;
        if smaller_document(&mut command, &mut left, &mut first) {
            let mut smaller = case.to_vec();
            smaller[at] = command;
            return Some(smaller);
        }
    }
    None
}

/// Makes the change number `left`, counted down; true when made. The first
/// field of a command stays.
fn smaller_document(document: &mut Document, left: &mut usize, first: &mut bool) -> bool {
    let names: Vec<String> = document.keys().cloned().collect();
    for name in names {
        if std::mem::take(first) {
            continue;
        }
        if *left == 0 {
            document.remove(&name);
            return true;
        }
        *left -= 1;
        if let Some(value) = document.get_mut(&name)
            && smaller_value(value, left)
        {
            return true;
        }
    }
    false
}

fn smaller_value(value: &mut Bson, left: &mut usize) -> bool {
    let inner: Vec<Bson> = match value {
        Bson::Document(document) => document.iter().map(|(_, value)| value.clone()).collect(),
        Bson::Array(values) => values.clone(),
        Bson::Int32(1) | Bson::Boolean(_) | Bson::Null => Vec::new(),
        Bson::String(text) if text.starts_with('$') || text.len() < 2 => Vec::new(),
        _ => vec![Bson::Int32(1)],
    };
    // What it holds, in its place.
    if *left < inner.len() {
        *value = inner[*left].clone();
        return true;
    }
    *left -= inner.len();
    match value {
        Bson::Document(document) => smaller_document(document, left, &mut false),
        Bson::Array(values) => {
            for at in 0..values.len() {
                if *left == 0 {
                    values.remove(at);
                    return true;
                }
                *left -= 1;
                if smaller_value(&mut values[at], left) {
                    return true;
                }
            }
            false
        }
        _ => false,
    }
}
