//! `utils.crypto` and `utils.jwt`: the documentation's vectors, what Node made
//! (`service_crypto.json`), and what must be refused.

use bson::{Bson, doc};

use crate::{thrown, value};

/// A function over `keys`, `tokens` and `signatures` of the file.
fn function(body: &str) -> String {
    let made = include_str!("service_crypto.json");
    format!("exports = () => {{ const {{ keys, tokens, signatures }} = {made}; {body} }}")
}

/// The token of the documentation.
const TOKEN: &str = "'eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvZSBTY2htb2UiLCJpYXQiOjE1NjU3MjEyMjMxODd9.-QL15ldu2BYuJokNWT6YRiwZQIiIpvq6Kyv-C6qslNdNiUVxo8zqLJZ1iEkNf2yZKMIrQuMCtIC1tzd2H31AxA'";

#[tokio::test]
async fn documented_tokens_and_messages() {
    let encoded = format!(
        "exports = () => utils.jwt.encode('HS512', {{ sub: '1234567890', name: 'Joe Schmoe', iat: 1565721223187 }}, 'SuperSecret') === {TOKEN}"
    );
    assert_eq!(value(&encoded).await, Bson::Boolean(true));
    let decoded =
        format!("exports = () => utils.jwt.decode({TOKEN}, 'SuperSecret', false, ['HS512'])");
    let payload = doc! { "sub": "1234567890", "name": "Joe Schmoe", "iat": Bson::Double(1_565_721_223_187.0) };
    assert_eq!(value(&decoded).await, payload.clone().into());
    let both = format!("exports = () => utils.jwt.decode({TOKEN}, 'SuperSecret', true)");
    assert_eq!(
        value(&both).await,
        doc! { "header": { "alg": "HS512", "typ": "JWT" }, "payload": payload }.into()
    );
    let opened = "exports = () => utils.crypto.decrypt('aes', BSON.Binary.fromBase64('WPBuIvJ6Bity43Uh822dW8QlVYVJaFUiDeUjlTiJXzptUuTYIKPlXekBQAJb'), '603082712271C525E087BD999A4E0738').text()";
    assert_eq!(value(opened).await, Bson::from("MongoDB is great!"));
}

#[tokio::test]
async fn messages_and_signatures_there_and_back() {
    for body in [
        "return [16, 24, 32].every((n) => { const key = 'k'.repeat(n); return utils.crypto.decrypt('aes', utils.crypto.encrypt('aes', 'é!', key), key).text() === 'é!' })",
        "const e = () => utils.crypto.encrypt('aes', '', 'k'.repeat(16)); return e().value().length === 28 && e().toHex() !== e().toHex()",
        "return ['pss', 'pkcs1v15'].every((how) => utils.crypto.verify('rsa', 'MongoDB is great!', keys.rsa_pkcs1_public, BSON.Binary.fromBase64(signatures[how]), how))",
        "return utils.crypto.sign('rsa', 'MongoDB is great!', keys.rsa_pkcs1, 'pkcs1v15').toBase64() === signatures.pkcs1v15",
        "const s = utils.crypto.sign('rsa', 'a', keys.rsa_pkcs1); return utils.crypto.verify('rsa', 'a', keys.rsa_pkcs1_public, s) && !utils.crypto.verify('rsa', 'b', keys.rsa_pkcs1_public, s) && !utils.crypto.verify('rsa', 'a', keys.rsa_pkcs1_public, s, 'pkcs1v15')",
        "return Object.entries(tokens).every(([name, token]) => { const key = name.startsWith('ES') ? (name === 'ES256' ? keys.p256_public : keys.p521_public) : keys.rsa_public; return utils.jwt.decode(token, key).sub === 'a' })",
        "return utils.jwt.encode('RS256', { sub: 'a', n: 1 }, keys.rsa) === tokens.RS256",
        "return ['HS256', 'HS384', 'HS512'].every((alg) => utils.jwt.decode(utils.jwt.encode(alg, { a: 1 }, 'secret'), 'secret', true, [alg]).header.alg === alg)",
        "return [['RS384', 'rsa'], ['RS512', 'rsa'], ['PS256', 'rsa'], ['PS384', 'rsa'], ['ES256', 'p256'], ['ES384', 'p384'], ['ES512', 'p521']].every(([alg, key]) => utils.jwt.decode(utils.jwt.encode(alg, { a: 1 }, keys[key]), keys[`${key}_public`]).a === 1)",
        "const { header } = utils.jwt.decode(utils.jwt.encode('HS256', {}, 's', { kid: '1', typ: 'at+jwt', alg: 'none' }), 's', true); return JSON.stringify(header) === '{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"1\"}'",
    ] {
        assert_eq!(value(&function(body)).await, Bson::Boolean(true), "{body}");
    }
    // Numbers of a payload are doubles.
    let numbers = "return utils.jwt.decode(utils.jwt.encode('HS256', { a: 1, b: -0.5, c: [2 ** 53] }, 's'), 's')";
    assert_eq!(
        value(&function(numbers)).await,
        doc! { "a": 1.0, "b": -0.5, "c": [9_007_199_254_740_992.0] }.into()
    );
}

#[tokio::test]
async fn what_is_refused() {
    let token = "utils.jwt.encode('HS256', { a: 1 }, 'secret')";
    for (body, wanted) in [
        (format!("utils.jwt.decode({token}, 'Secret')"), "the token's signature is invalid"),
        (format!("utils.jwt.decode({token}.replace('.eyJhIjoxfQ.', '.eyJhIjoyfQ.'), 'secret')"), "the token's signature is invalid"),
        (format!("utils.jwt.decode({token}.slice(0, -43), 'secret')"), "the token's signature is invalid"),
        (format!("utils.jwt.decode({token}, 'secret', false, ['HS512'])"), "signing method HS256 is invalid"),
        (format!("utils.jwt.decode({token}, 'secret', false, [])"), "signing method HS256 is invalid"),
        // A public key that everybody knows is no secret.
        ("utils.jwt.decode(utils.jwt.encode('HS256', {}, 'x'), keys.rsa_public)".to_owned(), "the key cannot be used with signing method HS256"),
        ("utils.jwt.encode('HS256', {}, keys.rsa_public)".to_owned(), "the key cannot be used with signing method HS256"),
        ("utils.jwt.decode('eyJhbGciOiJub25lIn0.e30.', '')".to_owned(), "signing method none is not supported"),
        ("utils.jwt.decode('eyJhbGciOiJub25lIn0.e30.', 'secret', false, ['none'])".to_owned(), "signing method none is not supported"),
        ("utils.jwt.decode(tokens.ES256, keys.p384_public)".to_owned(), "the key cannot be used with signing method ES256"),
        ("utils.jwt.decode(tokens.ES256, keys.rsa_public)".to_owned(), "the key cannot be used with signing method ES256"),
        ("utils.jwt.encode('RS256', {}, keys.rsa_public)".to_owned(), "the key cannot be used with signing method RS256"),
        ("utils.jwt.decode(utils.jwt.encode('HS256', { exp: 1e9 }, 's'), 's')".to_owned(), "the token is expired"),
        ("utils.jwt.decode(utils.jwt.encode('HS256', { nbf: 1e11 }, 's'), 's')".to_owned(), "the token is not valid yet"),
        ("utils.crypto.hmac('a', 'b', 'md5', 'hex')".to_owned(), "unknown hash function 'md5'"),
        ("utils.jwt.encode('XS256', {}, 'a')".to_owned(), "signing method XS256 is not supported"),
        ("utils.jwt.encode('HS256', 'a', 'a')".to_owned(), "the payload must be an object"),
        ("utils.jwt.decode('a.b', 'a')".to_owned(), "the token is malformed"),
        ("utils.jwt.decode('a.b.c', 'a')".to_owned(), "the token is malformed"),
        ("utils.crypto.encrypt('des', 'a', 'k'.repeat(16))".to_owned(), "unsupported encryption type 'des'"),
        ("utils.crypto.encrypt('aes', 'a', 'short')".to_owned(), "the key must have 16, 24 or 32 bytes"),
        ("utils.crypto.decrypt('aes', BSON.Binary.fromText('a'), 'k'.repeat(16))".to_owned(), "the message is too short to be encrypted"),
        ("utils.crypto.decrypt('aes', utils.crypto.encrypt('aes', 'a', 'k'.repeat(16)), 'l'.repeat(16))".to_owned(), "the message is not encrypted with this key"),
        ("utils.crypto.sign('rsa', 'a', keys.p256)".to_owned(), "the private key is not an RSA key in PEM"),
        ("utils.crypto.sign('rsa', 'a', keys.rsa, 'x')".to_owned(), "unsupported signature scheme 'x'"),
        ("utils.crypto.hash('md4', 'a')".to_owned(), "unknown hash function 'md4'"),
        ("utils.crypto.hmac('a', 'b', 'sha256', 'utf8')".to_owned(), "unsupported output format 'utf8'"),
    ] {
        let message = thrown(&function(&format!("return {body}"))).await;
        assert!(message.ends_with(wanted), "{body}: {message}");
    }
}

#[tokio::test]
async fn keys_keep_their_secrets() {
    for body in [
        "const k = c.createSecretKey('secret', 'utf8'); return Reflect.ownKeys(k).length === 0 && JSON.stringify(k) === '{}'",
        "const k = c.createPrivateKey(keys.p256); return Reflect.ownKeys(k).length === 0 && JSON.stringify(k) === '{}'",
        "const h = c.createHmac('sha256', 'secret'); return !JSON.stringify(h).includes('secret') && Reflect.ownKeys(h).every((key) => key === '_options')",
        // Nobody makes a key of parts that are not a key's.
        "try { new c.KeyObject('secret', { type: 'secret', secret: new Uint8Array(1) }); return false } catch (e) { return e.code === 'ERR_INVALID_ARG_TYPE' }",
        "try { Object.create(c.KeyObject.prototype).type; return false } catch (e) { return e instanceof TypeError }",
        "const k = c.createSecretKey('ab', 'utf8'); k.export().fill(0); return k.export().toString() === 'ab'",
        "const b = Buffer.from('ab'), k = c.createSecretKey(b); b.fill(0); return k.export().toString() === 'ab'",
    ] {
        let source = function(&format!("const c = require('crypto'); {body}"));
        assert_eq!(value(&source).await, Bson::Boolean(true), "{body}");
    }
}
