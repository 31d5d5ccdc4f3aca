//! `crypto`: vectors, keys of every kind there and back, and broken ones.

use node::{NodeError, Value, call};

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn bytes(bytes: impl AsRef<[u8]>) -> Value {
    Value::Bytes(bytes.as_ref().to_vec())
}

fn number(n: u32) -> Value {
    Value::Number(n.into())
}

fn hex(value: Value) -> String {
    match value {
        Value::Bytes(bytes) => hex::encode(bytes),
        other => panic!("{other:?}"),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn field(value: &Value, name: &str) -> Value {
    let Value::Map(fields) = value else {
        panic!("{value:?}")
    };
    let found = fields.iter().find(|(field, _)| field == name);
    found.unwrap_or_else(|| panic!("no {name}")).1.clone()
}

#[test]
fn published_vectors() {
    let hash = |name: &str| hex(call("crypto.hash", &[text(name), bytes("abc")]).unwrap());
    for (name, expected) in [
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),
        ("SHA1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "RSA-SHA256",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            "sha3-256",
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
        ),
        ("ripemd160", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        (
            "blake2s256",
            "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982",
        ),
    ] {
        assert_eq!(hash(name), expected, "{name}");
    }
    // RFC 4231, RFC 6070, RFC 7914, RFC 5869, RFC 3394.
    let mac = [text("sha256"), bytes([0x0b; 20]), bytes("Hi There")];
    assert_eq!(
        hex(call("crypto.hmac", &mac).unwrap()),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    );
    let derived = [
        text("sha1"),
        bytes("password"),
        bytes("salt"),
        number(4096),
        number(20),
    ];
    assert_eq!(
        hex(call("crypto.pbkdf2", &derived).unwrap()),
        "4b007901b765489abead49d926f721d065a429c1"
    );
    let derived = [
        bytes(""),
        bytes(""),
        number(16),
        number(1),
        number(1),
        number(64),
    ];
    assert_eq!(
        hex(call("crypto.scrypt", &derived).unwrap()),
        "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442\
         fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"
    );
    let derived = [
        text("sha256"),
        bytes([0x0b; 22]),
        bytes(unhex("000102030405060708090a0b0c")),
        bytes(unhex("f0f1f2f3f4f5f6f7f8f9")),
        number(42),
    ];
    assert_eq!(
        hex(call("crypto.hkdf", &derived).unwrap()),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    );
    let wrapped = [
        text("aes128-wrap"),
        Value::Bool(true),
        bytes(unhex("000102030405060708090a0b0c0d0e0f")),
        bytes([0xa6; 8]),
        bytes(unhex("00112233445566778899aabbccddeeff")),
    ];
    assert_eq!(
        hex(call("crypto.cipher.wrap", &wrapped).unwrap()),
        "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"
    );
}

fn generated() -> Vec<(&'static str, Value)> {
    let make = |kind: &'static str, options: &[Value]| {
        let arguments = [&[text(kind)], options].concat();
        (kind, call("crypto.key.generate", &arguments).unwrap())
    };
    vec![
        make("rsa", &[number(1024), number(65537)]),
        make("ec", &[text("P-256")]),
        make("ec", &[text("secp384r1")]),
        make("ec", &[text("P-521")]),
        make("ec", &[text("secp256k1")]),
        make("ed25519", &[]),
        make("x25519", &[]),
    ]
}

#[test]
fn keys_of_every_kind_there_and_back() {
    for (kind, key) in generated() {
        let der = field(&key, "der");
        let public = field(
            &call("crypto.key.public", std::slice::from_ref(&der)).unwrap(),
            "der",
        );
        for (half, der, types) in [
            ("private", &der, ["pkcs8", "sec1", "pkcs1"]),
            ("public", &public, ["spki", "spki", "pkcs1"]),
        ] {
            for kind_of_der in types {
                for format in ["pem", "der", "jwk"] {
                    let arguments = [der.clone(), text(format), text(kind_of_der)];
                    let exported = match call("crypto.key.export", &arguments) {
                        Ok(Value::Text(pem)) => bytes(pem),
                        Ok(exported) => exported,
                        Err(NodeError { code, .. }) => {
                            assert_eq!(code, "ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS");
                            continue;
                        }
                    };
                    let arguments = [text(half), exported, text(format), text(kind_of_der)];
                    let back = call("crypto.key.import", &arguments).unwrap();
                    assert_eq!(field(&back, "der"), *der, "{kind} {format} {kind_of_der}");
                }
            }
        }
        for (kind_of_der, cipher) in [
            ("pkcs8", "aes-256-cbc"),
            ("pkcs8", "des-ede3-cbc"),
            ("pkcs1", "aes128"),
            ("sec1", "aes-192-cbc"),
        ] {
            let arguments = [
                der.clone(),
                text("pem"),
                text(kind_of_der),
                text(cipher),
                bytes("secret"),
            ];
            let Ok(Value::Text(pem)) = call("crypto.key.export", &arguments) else {
                continue;
            };
            let read = |passphrase: Value| {
                call(
                    "crypto.key.import",
                    &[
                        text("private"),
                        bytes(&pem),
                        text("pem"),
                        Value::Undefined,
                        passphrase,
                    ],
                )
            };
            assert_eq!(field(&read(bytes("secret")).unwrap(), "der"), der, "{pem}");
            assert!(read(bytes("Secret")).is_err(), "{pem}");
            assert_eq!(
                read(Value::Undefined).unwrap_err().code,
                "ERR_MISSING_PASSPHRASE"
            );
        }
    }
}

#[test]
fn broken_keys_are_errors() {
    // Bytes of each key changed, and beginnings of it: an error or
    // another key, whose uses are errors or not, but never a panic.
    for (kind, key) in generated() {
        let Value::Bytes(der) = field(&key, "der") else {
            panic!()
        };
        let public = field(&call("crypto.key.public", &[bytes(&der)]).unwrap(), "der");
        let step = if kind == "rsa" { 61 } else { 7 };
        for at in (0..der.len()).step_by(step) {
            for change in [0x01, 0x80, 0xff] {
                let mut broken = der.clone();
                broken[at] ^= change;
                for broken in [broken, der[..at].to_vec()] {
                    for how in ["pkcs8", "sec1", "pkcs1", "spki"] {
                        for half in ["private", "public"] {
                            let arguments = [text(half), bytes(&broken), text("der"), text(how)];
                            let _ = call("crypto.key.import", &arguments);
                        }
                    }
                    let hash = if kind == "ed25519" {
                        Value::Undefined
                    } else {
                        text("sha256")
                    };
                    let sign = [hash.clone(), bytes("data"), bytes(&broken)];
                    if let Ok(signature) = call("crypto.sign", &sign) {
                        let verify = [
                            hash,
                            bytes("data"),
                            public.clone(),
                            Value::Undefined,
                            Value::Undefined,
                            Value::Undefined,
                            signature,
                        ];
                        let _ = call("crypto.verify", &verify);
                    }
                    let _ = call("crypto.dh", &[bytes(&broken), public.clone()]);
                }
            }
        }
    }
}

#[test]
fn hostile_sizes_are_refused() {
    let huge = Value::Number(1e18);
    assert!(call("crypto.random", std::slice::from_ref(&huge)).is_err());
    assert!(call("crypto.random", &[Value::Number(f64::NAN)]).is_err());
    assert!(call("crypto.random", &[Value::Number(-1.0)]).is_err());
    for (n, r, p) in [
        (1u32 << 30, 8u32, 1u32),
        (3, 8, 1),
        (0, 0, 0),
        (16, 1 << 29, 1 << 29),
        (16, 0, 1),
    ] {
        let arguments = [
            bytes("p"),
            bytes("s"),
            number(n),
            number(r),
            number(p),
            number(64),
        ];
        assert!(call("crypto.scrypt", &arguments).is_err(), "{n} {r} {p}");
    }
    let generate = [text("rsa"), number(16384), number(65537)];
    assert!(call("crypto.key.generate", &generate).is_err());
    // Lengths that nobody uses: an error, or a key of this length.
    for bits in [0, 1, 512, 1023, 1025, 1030, 1042] {
        let generate = [text("rsa"), number(bits), number(65537)];
        if let Ok(key) = call("crypto.key.generate", &generate) {
            let length = field(&field(&key, "details"), "modulusLength");
            assert_eq!(length, number(bits));
            let sign = [text("sha256"), bytes("data"), field(&key, "der")];
            assert!(call("crypto.sign", &sign).is_ok());
        }
    }
    for exponent in [0, 1, 2, 4] {
        let generate = [text("rsa"), number(1024), number(exponent)];
        assert!(
            call("crypto.key.generate", &generate).is_err(),
            "{exponent}"
        );
    }
    for position in [1e12, 2.0f64.powi(39)] {
        let arguments = [
            text("chacha20-poly1305"),
            Value::Bool(true),
            bytes([0; 32]),
            bytes([0; 12]),
            Value::Number(position),
            bytes("data"),
        ];
        assert!(call("crypto.cipher.run", &arguments).is_err());
    }
    // Every cipher with keys and vectors of every length.
    for name in [
        "aes-128-cbc",
        "aes-256-gcm",
        "aes-192-ctr",
        "aes-128-cfb",
        "aes-128-cfb8",
        "aes-128-ofb",
        "aes-128-ecb",
        "des-ede3-cbc",
        "des-ede",
        "des-cbc",
        "chacha20",
        "chacha20-poly1305",
        "aes256-wrap",
        "aes",
        "aes-1",
        "",
    ] {
        for key in 0..40 {
            for iv in 0..20 {
                let (key, iv) = (bytes(vec![1; key]), bytes(vec![2; iv]));
                let _ = call(
                    "crypto.cipher.run",
                    &[
                        text(name),
                        Value::Bool(false),
                        key.clone(),
                        iv.clone(),
                        number(5),
                        bytes([3; 32]),
                    ],
                );
                let _ = call(
                    "crypto.cipher.tag",
                    &[text(name), key.clone(), iv.clone(), bytes("a"), bytes("b")],
                );
                let _ = call(
                    "crypto.cipher.wrap",
                    &[text(name), Value::Bool(false), key, iv, bytes([3; 32])],
                );
            }
        }
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

#[test]
fn whatever_is_passed_is_an_error_or_a_value() {
    let names = [
        "equal",
        "hash",
        "hash.info",
        "hmac",
        "pbkdf2",
        "scrypt",
        "hkdf",
        "bytesToKey",
        "cipher.info",
        "cipher.run",
        "cipher.tag",
        "cipher.wrap",
        "key.import",
        "key.export",
        "key.point",
        "key.public",
        "certificate",
        "dh",
        "sign",
        "verify",
        "rsa",
        "nothing",
    ];
    let words = [
        "",
        "sha256",
        "md5",
        "sha3-512",
        "blake2b512",
        "aes-128-cbc",
        "aes-256-gcm",
        "aes-128-ctr",
        "aes-128-cfb8",
        "aes-192-ofb",
        "des3",
        "chacha20",
        "chacha20-poly1305",
        "aes128-wrap",
        "private",
        "public",
        "pem",
        "der",
        "jwk",
        "pkcs1",
        "pkcs8",
        "sec1",
        "spki",
        "P-256",
        "secp521r1",
        "publicEncrypt",
        "privateDecrypt",
        "privateEncrypt",
        "publicDecrypt",
        "-----BEGIN ",
        "é\u{0}",
    ];
    let mut values = vec![
        Value::Undefined,
        Value::Null,
        Value::Bool(true),
        Value::Bool(false),
        Value::List(vec![Value::Null]),
        Value::Map(vec![
            ("kty".to_owned(), text("EC")),
            ("d".to_owned(), text("AA")),
        ]),
    ];
    values.extend(words.map(text));
    values.extend(
        [
            -1.0,
            0.0,
            0.5,
            1.0,
            2.0,
            3.0,
            4.0,
            6.0,
            16.0,
            64.0,
            200.0,
            f64::NAN,
            f64::INFINITY,
        ]
        .map(Value::Number),
    );
    for length in [0, 1, 7, 8, 12, 15, 16, 17, 24, 32, 33, 48, 64, 65, 128, 200] {
        values.push(bytes(vec![0; length]));
        values.push(bytes(vec![0xff; length]));
    }
    for (_, key) in generated() {
        let der = field(&key, "der");
        values.push(field(
            &call("crypto.key.public", std::slice::from_ref(&der)).unwrap(),
            "der",
        ));
        values.push(call("crypto.key.export", &[der.clone(), text("jwk")]).unwrap());
        if let Value::Text(pem) = call(
            "crypto.key.export",
            &[der.clone(), text("pem"), text("pkcs8")],
        )
        .unwrap()
        {
            values.push(bytes(pem));
        }
        values.push(der);
    }
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut answers = 0;
    for _ in 0..40_000 {
        let name = names[dice.roll(names.len())];
        let count = dice.roll(8);
        let arguments: Vec<Value> = (0..count)
            .map(|_| values[dice.roll(values.len())].clone())
            .collect();
        answers += usize::from(call(&format!("crypto.{name}"), &arguments).is_ok());
    }
    assert!(answers > 100, "{answers}");
}

#[test]
fn broken_certificates_are_errors() {
    let pem = include_bytes!("certificate.pem");
    let whole = call("crypto.certificate", &[bytes(pem)]).unwrap();
    let Value::Bytes(raw) = field(&whole, "raw") else {
        panic!()
    };
    assert_eq!(call("crypto.certificate", &[bytes(&raw)]).unwrap(), whole);
    for at in 0..raw.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut broken = raw.clone();
            broken[at] ^= change;
            let _ = call("crypto.certificate", &[bytes(&broken)]);
        }
        assert!(
            call("crypto.certificate", &[bytes(&raw[..at])]).is_err(),
            "{at}"
        );
    }
}
