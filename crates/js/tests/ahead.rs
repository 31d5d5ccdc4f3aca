//! Modules that are loaded ahead of a function's calls: nobody can tell, but by
//! the time that it takes.

use bson::{Bson, bson};
use js::Pool;

use crate::frozen::narrow;
use crate::packages::{InMemory, Shop, using, value};
use crate::{pool, until};

const FILES: &str = "\
=== node_modules/plain/index.js
let n = 0;
exports.next = () => ++n;
exports.made = performance.now();
=== node_modules/deep/index.js
exports.plain = require('plain');
exports.emitter = new (require('events'))();
exports.bytes = Buffer.from('deep');
=== node_modules/lucky/index.js
exports.seed = Math.random();
=== node_modules/unique/index.js
exports.id = require('crypto').randomUUID();
=== node_modules/patching/index.js
Array.prototype.last = function () { return this[this.length - 1]; };
=== node_modules/global/index.js
globalThis.installed = true;
=== node_modules/ticking/index.js
setInterval(() => {}, 1000);
=== node_modules/talking/index.js
console.log('loaded');
=== node_modules/rejecting/index.js
Promise.reject(new Error('nobody cares'));
";

/// Until nothing is loaded ahead any more.
pub(crate) async fn settled(pool: &Pool) {
    until(|| !pool.preparing()).await;
}

const USES: &str = "exports = () => {
  const deep = require('deep');
  const seen = [deep.plain.next(), deep.emitter.seen ?? 0, globalThis.mine ?? 0, deep.bytes.toString()];
  deep.emitter.seen = globalThis.mine = 1;
  deep.bytes[0] = 0;
  deep.emitter.on('x', () => {});
  return [seen, deep.emitter.listenerCount('x'), deep.plain.made];
}";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_requires_is_in_its_realm_and_nothing_else_is() {
    let pool = pool();
    let shop = Shop::new(InMemory::new(FILES));
    let made = |value: Bson| {
        let list = value.as_array().unwrap().clone();
        assert_eq!(list[..2], [bson!([1, 0, 0, "deep"]), bson!(1)]);
        list[2].as_f64().unwrap()
    };
    let first = made(value(&pool, &shop, USES).await);
    settled(&pool).await;
    assert_eq!(pool.prepared(), 1);
    let second = made(value(&pool, &shop, USES).await);
    assert_ne!(first, second);
    for _ in 0..5 {
        // The module was made once, and is as it was made.
        assert_eq!(made(value(&pool, &shop, USES).await), second);
    }
    // Another function has another realm.
    let other =
        "exports = () => { const { next, made } = require('plain'); return [next(), made] }";
    let other = value(&pool, &shop, other).await;
    assert_ne!(other.as_array().unwrap()[1].as_f64().unwrap(), second);
    // Workers that start later take the image over.
    let calls = (0..8).map(|_| {
        let (pool, shop) = (pool.clone(), shop.clone());
        tokio::spawn(async move { value(&pool, &shop, USES).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(made(call.await.unwrap()), second);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_from_call_to_call_is_not_loaded_ahead() {
    for package in [
        "lucky",
        "unique",
        "patching",
        "global",
        "ticking",
        "talking",
        "rejecting",
    ] {
        let pool = pool();
        let shop = Shop::new(InMemory::new(FILES));
        let source = format!(
            "exports = () => {{ const before = [typeof installed, typeof [].last];
               const loaded = require('{package}');
               setTimeout(() => process.exitCode, 0);
               clearInterval(1);
               return [before, loaded.seed ?? loaded.id ?? null] }}"
        );
        let mut call = using(&source);
        call.limits.time_ms = 300;
        let _ = pool.call(call, shop.clone()).await;
        settled(&pool).await;
        assert_eq!(pool.prepared(), 0, "{package}");
        if matches!(package, "ticking" | "rejecting") {
            continue;
        }
        let first = value(&pool, &shop, &source).await;
        let second = value(&pool, &shop, &source).await;
        let fresh = bson!(["undefined", "undefined"]);
        assert_eq!(first.as_array().unwrap()[0], fresh, "{package}");
        assert_eq!(second.as_array().unwrap()[0], fresh, "{package}");
        if matches!(package, "lucky" | "unique") {
            assert_ne!(first, second);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_with_modules_give_up_their_workers_too() {
    let pool = narrow(1);
    let shop = Shop::new(InMemory::new(FILES));
    let source = "exports = async () => {
      const deep = require('deep');
      deep.plain.next();
      await new Promise((resolve) => setTimeout(resolve, 1500));
      return [deep.plain.next(), require('deep') === deep, require('plain').next()];
    }";
    assert_eq!(value(&pool, &shop, source).await, bson!([2, true, 3]));
    settled(&pool).await;
    let calls = (0..12).map(|_| {
        let (pool, shop) = (pool.clone(), shop.clone());
        tokio::spawn(async move { value(&pool, &shop, source).await })
    });
    let calls: Vec<_> = calls.collect();
    until(|| pool.frozen() >= 3).await;
    for call in calls {
        assert_eq!(call.await.unwrap(), bson!([2, true, 3]));
    }
}
