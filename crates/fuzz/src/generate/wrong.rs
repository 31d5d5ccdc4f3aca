//! Commands with one mistake in them.

use bson::{Bson, Document};

use super::value::value;
use crate::random::Random;

/// Changes one place of a command: another type, another name, a field too
/// many or too few. Which command it is, and its collection, stay.
pub(super) fn spoil(r: &mut Random, mut command: Document) -> Document {
    let places = count(&Bson::Document(command.clone())) - 1;
    // The first place is the collection.
    let mut at = 1 + r.below(places.saturating_sub(1).max(1));
    spoil_in(r, &mut command, &mut at, true);
    command
}

fn count(value: &Bson) -> usize {
    1 + match value {
        Bson::Document(document) => document.iter().map(|(_, value)| count(value)).sum(),
        Bson::Array(values) => values.iter().map(count).sum(),
        _ => 0,
    }
}

/// Walks to place `at`, depth first, and changes it there. True when done.
fn spoil_in(r: &mut Random, document: &mut Document, at: &mut usize, top: bool) -> bool {
    let names: Vec<String> = document.keys().cloned().collect();
    for (index, name) in names.iter().enumerate() {
        if *at == 0 {
            if top && index == 0 {
                return true;
            }
            let mut changed = Document::new();
            for (other, value) in std::mem::take(document) {
                if other == *name {
                    change(r, &mut changed, other, value, top);
                } else {
                    changed.insert(other, value);
                }
            }
            *document = changed;
            return true;
        }
        *at -= 1;
        if let Some(value) = document.get_mut(name)
            && spoil_value(r, value, at)
        {
            return true;
        }
    }
    false
}

fn spoil_value(r: &mut Random, found: &mut Bson, at: &mut usize) -> bool {
    match found {
        Bson::Document(document) => spoil_in(r, document, at, false),
        Bson::Array(values) => {
            for element in values {
                if *at == 0 {
                    *element = value(r, 1);
                    return true;
                }
                *at -= 1;
                if spoil_value(r, element, at) {
                    return true;
                }
            }
            false
        }
        _ => false,
    }
}

fn change(r: &mut Random, into: &mut Document, name: String, old: Bson, top: bool) {
    match r.below(10) {
        // Another type.
        0..=4 => {
            into.insert(name, value(r, 1));
        }
        5 => {}
        6 => {
            into.insert(name, old);
            into.insert(r.text(&["zzz", "$zzz", "z.z", "", "$where2"]), value(r, 1));
        }
        7 if !top => {
            into.insert(
                r.text(&["$zzz", "$add", "$eq", "$set", "", "a..b", "$", ".a"]),
                old,
            );
        }
        8 => {
            into.insert(name, Bson::Array(vec![old]));
        }
        _ => {
            into.insert(
                name,
                Bson::Document([("x".to_owned(), old)].into_iter().collect()),
            );
        }
    }
}
