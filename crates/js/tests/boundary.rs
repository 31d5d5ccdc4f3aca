//! What crosses between the server and functions, at random, in both
//! directions. `BACKSTITCH_BOUNDARY_ROUNDS` makes a longer run.

use std::sync::Arc;
use std::sync::Mutex;

use bson::{Bson, Document, RawBson, RawDocumentBuf, doc};
use js::{BoxFuture, Entered, Frame, Host, HostError};

use crate::{World, call, compiled, pool, serves};

pub(crate) fn rounds() -> u64 {
    let rounds = std::env::var("BACKSTITCH_BOUNDARY_ROUNDS");
    rounds.map_or(400, |rounds| rounds.parse().unwrap())
}

/// A generator that a seed repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn text(&mut self) -> String {
        const PARTS: &[&str] = &[
            "a",
            "é",
            "\u{1f600}",
            "\0",
            "__proto__",
            "\"",
            "\\",
            "\u{2028}",
            "$oid",
            ".",
            "x",
            " ",
        ];
        let length = self.roll(6);
        (0..length)
            .map(|_| PARTS[self.roll(PARTS.len() as u64) as usize])
            .collect()
    }

    fn key(&mut self) -> String {
        const KEYS: &[&str] = &[
            "a",
            "b",
            "__proto__",
            "constructor",
            "toString",
            "then",
            "$oid",
            "_bsontype",
            "é",
            "length",
            "toJSON",
            "",
        ];
        KEYS[self.roll(KEYS.len() as u64) as usize].to_owned()
    }

    fn value(&mut self, depth: u64) -> Bson {
        match self.roll(if depth == 0 { 11 } else { 14 }) {
            0 => Bson::Null,
            1 => Bson::Boolean(self.roll(2) == 0),
            2 => Bson::Int32(self.roll(1 << 32) as u32 as i32),
            3 => Bson::Double(self.roll(1 << 40) as f64 / 1024.0 + 0.3),
            4 | 5 => Bson::String(self.text()),
            6 => {
                let (a, b) = (self.roll(u64::MAX).to_le_bytes(), self.roll(u64::MAX));
                let mut id = [0; 12];
                id[..8].copy_from_slice(&a);
                id[8..].copy_from_slice(&b.to_le_bytes()[..4]);
                Bson::ObjectId(bson::oid::ObjectId::from_bytes(id))
            }
            7 => Bson::DateTime(bson::DateTime::from_millis(self.roll(1 << 42) as i64)),
            8 => Bson::Binary(bson::Binary {
                subtype: bson::spec::BinarySubtype::Generic,
                bytes: (0..self.roll(50)).map(|_| self.roll(256) as u8).collect(),
            }),
            9 => Bson::Decimal128(format!("{}.5", self.roll(1 << 40)).parse().unwrap()),
            10 => Bson::MinKey,
            11 => Bson::Array((0..self.roll(5)).map(|_| self.value(depth - 1)).collect()),
            _ => Bson::Document(self.document(depth - 1)),
        }
    }

    fn document(&mut self, depth: u64) -> Document {
        let count = self.roll(5);
        (0..count)
            .map(|_| (self.key(), self.value(depth)))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_back_as_they_went() {
    let pool = pool();
    let code = compiled("exports = async (v) => { await null; return v }");
    for seed in 1..=rounds() {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let value = Bson::Document(doc! { "v": dice.value(4), "w": dice.value(3) });
        let mut call = call("exports = 0", vec![value.clone()]);
        call.code = code.clone();
        let outcome = pool.call(call, Arc::new(World::default())).await;
        assert_eq!(outcome.result, Ok(value), "seed {seed}");
    }
}

/// A host that answers anything.
struct Anything(Mutex<Dice>);

impl Host for Anything {
    fn call(
        &self,
        _: Frame,
        _: &str,
        _: RawDocumentBuf,
    ) -> BoxFuture<'_, Result<RawBson, HostError>> {
        let mut dice = self.0.lock().unwrap();
        let answer = match dice.roll(8) {
            0 => {
                let mut error = HostError::new(dice.text());
                error.name = dice.text();
                error.code = dice.key();
                Err(error)
            }
            1 => {
                let levels = dice.roll(190);
                let deep = (0..levels).fold(Bson::Int32(1), |inner, level| {
                    if level % 2 == 0 {
                        Bson::Array(vec![inner])
                    } else {
                        Bson::Document(doc! { "a": inner })
                    }
                });
                Ok(deep)
            }
            2 => Ok(Bson::String("x".repeat(dice.roll(1 << 22) as usize))),
            3 => Ok(Bson::Array(vec![dice.value(2); dice.roll(1000) as usize])),
            _ => Ok(dice.value(4)),
        };
        let answer = answer.map(|value| RawBson::try_from(value).unwrap_or(RawBson::Null));
        Box::pin(async { answer })
    }

    fn enter(&self, _: Frame, _: &str) -> BoxFuture<'_, Result<Entered, HostError>> {
        Box::pin(async { Err(HostError::new("there are no functions")) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_host_answers_a_function_gets_a_value_or_an_error() {
    let pool = pool();
    let code = compiled(
        "exports = async () => {
            const c = context.services.get('mongodb-atlas').db('d').collection('c');
            const ways = [
                () => c.findOne({}), () => c.find({}).toArray(), () => c.insertOne({ a: 1 }), () => c.count({}),
                () => c.aggregate([]).toArray(), () => c.updateOne({}, {}), () => c.distinct('a'), () => c.insertMany([{}]),
                () => context.values.get('x'), () => context.app, () => context.http.get({ url: 'http://a/' }),
                () => context.functions.execute('x'),
            ];
            let done = 0;
            for (const way of ways) { try { EJSON.stringify(await way()); } catch (e) { String(e?.message); } done++; }
            return [done, {}.polluted === undefined];
        }",
    );
    for seed in 1..=rounds() / 8 {
        let mut call = call("exports = 0", Vec::new());
        call.code = code.clone();
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let outcome = pool.call(call, Arc::new(Anything(Mutex::new(dice)))).await;
        assert_eq!(outcome.result, Ok(bson::bson!([12, true])), "seed {seed}");
    }
    serves(&pool, "any answers").await;
}
