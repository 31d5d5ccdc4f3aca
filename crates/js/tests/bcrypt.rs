//! Packages for bcrypt hash natively. The hashes were made by bcryptjs itself.

use bson::{Bson, bson};

use crate::packages::{InMemory, Shop, value};
use crate::pool;

/// Packages whose own functions only say that they were called.
const FILES: &str = "=== node_modules/bcryptjs/index.js
const own = (name) => () => name;
module.exports = { genSaltSync: () => '$2a$04$DCq7YPn5Rq63x1Lad4cll.', genSalt: own('genSalt'), hashSync: own('hashSync'), hash: own('hash'), compareSync: own('compareSync'), compare: own('compare') };
=== node_modules/bcrypt-nodejs/package.json
{ \"main\": \"./bCrypt.js\" }
=== node_modules/bcrypt-nodejs/bCrypt.js
module.exports = require('bcryptjs/other.js');
=== node_modules/bcryptjs/other.js
const own = (name) => () => name;
module.exports = { genSaltSync: () => '$2a$04$DCq7YPn5Rq63x1Lad4cll.', genSalt: own('genSalt'), hashSync: own('hashSync'), hash: own('hash'), compareSync: own('compareSync'), compare: own('compare') };
=== node_modules/bcrypt/package.json
{ \"main\": \"./bcrypt.js\" }
=== node_modules/bcrypt/bcrypt.js
throw new Error('no addon');
";

const HASH: &str = "$2a$04$DCq7YPn5Rq63x1Lad4cll.V212arh7HmBEQj/tjT9AzbAGCgFF0eW";

#[tokio::test(flavor = "multi_thread")]
async fn bcrypt_is_native_in_its_packages() {
    let (pool, shop) = (pool(), Shop::new(InMemory::new(FILES)));
    let hashes = "exports = () => ['password', 'é€😀', 'x'.repeat(100), 'a\\0b'].map((word) => ['$2a$04$DCq7YPn5Rq63x1Lad4cll.', '$2b$05$abcdefghijklmnopqrstuv', '$2$04$DCq7YPn5Rq63x1Lad4cll.'].map((salt) => require('bcryptjs').hashSync(word, salt).slice(-31)))";
    let wanted = bson!([
        [
            "V212arh7HmBEQj/tjT9AzbAGCgFF0eW",
            "WG29KuyeAicPCJODk1zjyGvyQUU2awu",
            "j7c35HYNYgohvILAiyy./2DolWC8jQC"
        ],
        [
            "zxz1lV/T1JtkvK1bpdWFkwu/3olHu0q",
            "ZFzd7lMh7wOWdSN4WG.DN8GtTfLp34C",
            "xD9xcx5HF1sZMDB9lXxdip29Oi1svNK"
        ],
        [
            "nJmTn/7Df9/c5/AzVmvwunbnvRmjrMC",
            "jf8SX2ahXLwp9w/B.Y5XdysS6yR576q",
            "nJmTn/7Df9/c5/AzVmvwunbnvRmjrMC"
        ],
        [
            "oK3axPfRiT9y4qd7zI904YlA3cUw8WC",
            "ZryQ3HLnGrTji8GGXkkAn2CuMsqqjDG",
            "7C0Gzt41ZqmuwrzdjB5fNVMfRAOwLPu"
        ],
    ]);
    assert_eq!(value(&pool, &shop, hashes).await, wanted);

    // Callbacks, promises, numbers for salts; what is unusual goes to the package.
    for (body, wanted) in [
        ("b.hash('password', 4)", bson!(HASH)),
        (
            "new Promise((done) => b.hash('password', 4, (e, h) => done([e, h])))",
            bson!([null, HASH]),
        ),
        ("b.compare('password', HASH)", bson!(true)),
        ("b.compare('Password', HASH)", bson!(false)),
        (
            "new Promise((done) => b.compare('password', HASH, (e, h) => done([e, h])))",
            bson!([null, true]),
        ),
        (
            "[b.compareSync('password', HASH), b.compareSync('passwore', HASH)]",
            bson!([true, false]),
        ),
        (
            "[b.hashSync('password', 4), b.hashSync(1, HASH), b.hashSync('a', 'b'), b.compareSync('a', 'b'), b.hash('a'), b.hash('a', 4, 'b'), b.compare('a', HASH, 1)]",
            bson!([
                HASH,
                "hashSync",
                "hashSync",
                "compareSync",
                "hash",
                "hash",
                "compare"
            ]),
        ),
        (
            "[n.hashSync('password'), n.hashSync('password', 4), n.hashSync('a', '$2b$05$abcdefghijklmnopqrstuv'), n.hash('a', null), n.compareSync('password', HASH), n.compare('password', HASH)]",
            bson!([HASH, "hashSync", "hashSync", "hash", true, "compare"]),
        ),
        (
            "new Promise((done) => n.hash('password', null, null, (e, h) => done([e, h])))",
            bson!([null, HASH]),
        ),
        // The native package itself.
        (
            "[k.hashSync('password', HASH.slice(0, 29)), k.compareSync(Buffer.from('password'), HASH), k.compareSync('a', 'b'), k.getRounds(HASH)]",
            bson!([HASH, true, false, 4]),
        ),
        (
            "k.hash('password', 4).then((h) => k.compare('password', h))",
            bson!(true),
        ),
        (
            "new Promise((done) => k.genSalt(5, (e, s) => done([e, s.slice(0, 7), s.length])))",
            bson!([null, "$2b$05$", 29]),
        ),
        (
            "k.hash('a').catch((e) => e.message)",
            bson!("data and salt arguments required"),
        ),
    ] {
        let source = format!(
            "exports = async () => {{ const b = require('bcryptjs'), n = require('bcrypt-nodejs'), k = require('bcrypt'), HASH = '{HASH}'; return {body} }}"
        );
        assert_eq!(value(&pool, &shop, &source).await, wanted, "{body}");
    }
    let whole = value(
        &pool,
        &shop,
        "exports = () => Object.keys(require('bcrypt')).length",
    )
    .await;
    assert_eq!(whole, Bson::Int32(7));
}
