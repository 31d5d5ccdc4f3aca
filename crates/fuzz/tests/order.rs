//! The order of values: with itself, and with that of a real mongod.

use std::cmp::Ordering;

use bson::raw::RawBsonRef;
use bson::{Bson, RawBson, doc, rawdoc};
use fuzz::drive;
use fuzz::generate::{Area, Program, nested};
use fuzz::random::Random;
use mql::collation::Collation;
use mql::order::compare_with;
use mql::{key, tuple};

use super::{compared, from_environment};

fn raw(value: &Bson) -> RawBson {
    RawBson::try_from(value.clone()).expect("a value")
}

fn collations() -> Vec<Option<Collation>> {
    let mut all = vec![None];
    for strength in 1..=3 {
        let wanted = rawdoc! { "locale": "en", "strength": strength };
        all.push(Collation::parse(&wanted).expect("a collation"));
    }
    all
}

fn key_of(value: RawBsonRef<'_>, collation: Option<&Collation>) -> Vec<u8> {
    let mut key = Vec::new();
    key::encode_with(value, collation, &mut key);
    key
}

/// A value, its key, and both within another.
struct Made {
    value: Bson,
    raw: RawBson,
    key: Vec<u8>,
    inside: RawBson,
    inside_key: Vec<u8>,
}

impl Made {
    fn new(value: &Bson, collation: Option<&Collation>) -> Self {
        let inside = raw(&Bson::from(doc! { "x": [value.clone()], "y": 1 }));
        let value = value.clone();
        let alone = raw(&value);
        Self {
            key: key_of(alone.as_raw_bson_ref(), collation),
            inside_key: key_of(inside.as_raw_bson_ref(), collation),
            value,
            raw: alone,
            inside,
        }
    }

    fn compare(&self, other: &Self, collation: Option<&Collation>) -> Ordering {
        let (mine, theirs) = (self.raw.as_raw_bson_ref(), other.raw.as_raw_bson_ref());
        compare_with(mine, theirs, collation)
    }

    /// The order of two, which is the same from the other side, of their keys, of
    /// those downwards, and within others.
    fn ordered(&self, other: &Self, collation: Option<&Collation>) -> Ordering {
        let shown = || format!("{:?} and {:?}", self.value, other.value);
        let order = self.compare(other, collation);
        let back = other.compare(self, collation).reverse();
        assert_eq!(order, back, "{}", shown());
        assert_eq!(self.key.cmp(&other.key), order, "keys of {}", shown());
        let down = |key: &[u8]| -> Vec<u8> {
            let mut key = key.to_vec();
            key::invert(&mut key, 0);
            key
        };
        let downwards = down(&other.key).cmp(&down(&self.key));
        assert_eq!(downwards, order, "keys downwards of {}", shown());
        let mine = self.inside.as_raw_bson_ref();
        let inside = compare_with(mine, other.inside.as_raw_bson_ref(), collation);
        assert_eq!(inside, order, "in others {}", shown());
        let inside = self.inside_key.cmp(&other.inside_key);
        assert_eq!(inside, order, "keys in others of {}", shown());
        order
    }
}

/// Every pair of a family has one order, no three go in a circle, and the bytes of
/// their keys have the same one. `BACKSTITCH_FUZZ_FAMILIES` asks for more.
#[test]
fn values_have_one_order_and_their_keys_the_same() {
    let collations = collations();
    let mut equal = 0;
    for seed in 0..from_environment("BACKSTITCH_FUZZ_FAMILIES", 200) {
        let collation = collations[seed as usize % collations.len()].as_ref();
        let values = nested::family(&mut Random::new(seed), 12);
        let all: Vec<Made> = values.iter().map(|v| Made::new(v, collation)).collect();
        for (at, first) in all.iter().enumerate() {
            assert!(first.ordered(first, collation).is_eq(), "{:?}", first.value);
            for (other, second) in all.iter().enumerate() {
                let order = first.ordered(second, collation);
                equal += usize::from(at != other && order.is_eq());
                let mut rest = all.iter().filter(|_| order.is_le());
                let circle = rest.find(|third| {
                    second.compare(third, collation).is_le()
                        && first.compare(third, collation).is_gt()
                });
                let three = (
                    &first.value,
                    &second.value,
                    circle.map(|third| &third.value),
                );
                assert!(circle.is_none(), "{seed}: {three:?} go in a circle");
            }
        }
    }
    assert!(equal > 250, "{equal} equal pairs are too few");
}

/// No key of a part is the beginning of another's, so that what follows decides
/// only among equal ones.
#[test]
fn keys_of_several_parts_are_compared_part_by_part() {
    for seed in 0..from_environment("BACKSTITCH_FUZZ_FAMILIES", 200) {
        let r = &mut Random::new(!seed);
        let values = nested::family(r, 8);
        let fields = values.iter().map(raw).collect::<Vec<_>>();
        let key = |parts: [(usize, bool); 2]| {
            let mut key = Vec::new();
            for (part, descending) in parts {
                let field = tuple::Field::Value(fields[part].as_raw_bson_ref());
                field.encode(descending, None, &mut key);
            }
            key
        };
        let compare = |a: usize, b: usize, descending: bool| {
            let (a, b) = (fields[a].as_raw_bson_ref(), fields[b].as_raw_bson_ref());
            let order = compare_with(a, b, None);
            if descending { order.reverse() } else { order }
        };
        for _ in 0..200 {
            let places = [(); 4].map(|()| r.below(fields.len()));
            let down = [r.one_in(2), r.one_in(2)];
            let one = key([(places[0], down[0]), (places[1], down[1])]);
            let other = key([(places[2], down[0]), (places[3], down[1])]);
            let expected: Ordering = compare(places[0], places[2], down[0])
                .then_with(|| compare(places[1], places[3], down[1]));
            assert_eq!(
                one.cmp(&other),
                expected,
                "{seed}: {values:?} at {places:?}"
            );
        }
    }
}

/// Sorts, queries, groups, distinct values, sets, joins, updates and indexes over
/// values of every type in each other. `BACKSTITCH_FUZZ_ORDER` asks for more.
#[tokio::test(flavor = "multi_thread")]
async fn values_have_the_order_of_a_mongod() {
    let operations = from_environment("BACKSTITCH_FUZZ_ORDER", 4000) as usize;
    let from = from_environment("BACKSTITCH_FUZZ_FROM", 0);
    let tally = drive::compare(operations, move |n| Program::of(Area::Order, from + n)).await;
    let Some(tally) = tally else {
        println!("left out: no mongod (BACKSTITCH_MONGOD, MONGODB_URI or PATH)");
        return;
    };
    assert!(tally.ran >= operations);
    compared::judge(&tally, 0);
}
