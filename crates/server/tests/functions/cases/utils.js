// `utils.jwt`, `utils.crypto`, and Node's `crypto` beside them.
//- secret signing SuperSecret
//- values/signing.json
{"name":"signing","value":"signing","from_secret":true}
//- functions/run.js
exports = (code, ...args) => eval(code);
//- functions/keys.js
exports = () => ({"rsa": "-----BEGIN PRIVATE KEY-----\nMIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBAL7SYhKkpAU79ru4\nEGGgwuAhUDRMcgzhebzW13vIwBGl1tYbUVNSYmwrdRPm3EY24S/iIldhY5qFgcEb\n+NRKF0MEUOf/hXRazlnAD16FIpd68oZPCMrcyI7tfliN+komrpYRjfVYJeJiaJaf\nKzzNar/yTnM0JfOyH6FBfW21qYghAgMBAAECgYEArDRiCx8HYi3eGUQfjGsu0mNd\n5QSD/DnSyec8aVoecw6tVWUrvDzh02pYatBxQvAtwi+Z/C9IWt9W3HWo1bPTTrfr\nS/gvyZ7moZvF1MDbFHUGMgbp55AmyV7f46uPHkuYDmQsAE26Nc7FraWmLVMF4/ZT\nGuJzGoHQ2RP3o2WNrd0CQQDxlJIegawIq6Z1OIHLG3GPpx4GvzxXs8iIVl2aHksG\nQ35xS0aDBBaXNR+Rq5qYJ0JcTwRCUSeDV5yTjRyIzkD/AkEAyjY0YygBEHv111X/\nFDVcsP/7sE488v0b3fRgwtcRK0XNabyyXaMvc/m5uRtSKQ+JJpYhAOCLmQBAC6bd\nhpcW3wJBAI1reOJs7KWivm4upyScKy16GkS+3HdG4qSVUnQvOaIwDqwJ8fwuf38C\n9TkUaQqbKOjaxNaBpYzo09s4pzSa8UcCQQCgMab48sU9GOcey9sDWG7xLipnduPk\nIE6GXMaXNKg+XtMntDyd39yFBU5z7cf+DXe64O6OclVFRaR3Vp9is6mDAkBvNgPK\nBqizvdyrOJipSzM9DmDvEjRNtDlSMIKk/OjKEp/GpBXZ0SK3JD4yG/bz0ekp7rZb\nYrigXC7LhhPyhKuB\n-----END PRIVATE KEY-----\n", "rsa_public": "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC+0mISpKQFO/a7uBBhoMLgIVA0\nTHIM4Xm81td7yMARpdbWG1FTUmJsK3UT5txGNuEv4iJXYWOahYHBG/jUShdDBFDn\n/4V0Ws5ZwA9ehSKXevKGTwjK3MiO7X5YjfpKJq6WEY31WCXiYmiWnys8zWq/8k5z\nNCXzsh+hQX1ttamIIQIDAQAB\n-----END PUBLIC KEY-----\n", "rsa_pkcs1": "-----BEGIN RSA PRIVATE KEY-----\nMIICXgIBAAKBgQC+0mISpKQFO/a7uBBhoMLgIVA0THIM4Xm81td7yMARpdbWG1FT\nUmJsK3UT5txGNuEv4iJXYWOahYHBG/jUShdDBFDn/4V0Ws5ZwA9ehSKXevKGTwjK\n3MiO7X5YjfpKJq6WEY31WCXiYmiWnys8zWq/8k5zNCXzsh+hQX1ttamIIQIDAQAB\nAoGBAKw0YgsfB2It3hlEH4xrLtJjXeUEg/w50snnPGlaHnMOrVVlK7w84dNqWGrQ\ncULwLcIvmfwvSFrfVtx1qNWz006360v4L8me5qGbxdTA2xR1BjIG6eeQJsle3+Or\njx5LmA5kLABNujXOxa2lpi1TBeP2UxricxqB0NkT96Nlja3dAkEA8ZSSHoGsCKum\ndTiByxtxj6ceBr88V7PIiFZdmh5LBkN+cUtGgwQWlzUfkauamCdCXE8EQlEng1ec\nk40ciM5A/wJBAMo2NGMoARB79ddV/xQ1XLD/+7BOPPL9G930YMLXEStFzWm8sl2j\nL3P5ubkbUikPiSaWIQDgi5kAQAum3YaXFt8CQQCNa3jibOylor5uLqcknCstehpE\nvtx3RuKklVJ0LzmiMA6sCfH8Ln9/AvU5FGkKmyjo2sTWgaWM6NPbOKc0mvFHAkEA\noDGm+PLFPRjnHsvbA1hu8S4qZ3bj5CBOhlzGlzSoPl7TJ7Q8nd/chQVOc+3H/g13\nuuDujnJVRUWkd1afYrOpgwJAbzYDygaos73cqziYqUszPQ5g7xI0TbQ5UjCCpPzo\nyhKfxqQV2dEityQ+Mhv289HpKe62W2K4oFwuy4YT8oSrgQ==\n-----END RSA PRIVATE KEY-----\n", "rsa_pkcs1_public": "-----BEGIN RSA PUBLIC KEY-----\nMIGJAoGBAL7SYhKkpAU79ru4EGGgwuAhUDRMcgzhebzW13vIwBGl1tYbUVNSYmwr\ndRPm3EY24S/iIldhY5qFgcEb+NRKF0MEUOf/hXRazlnAD16FIpd68oZPCMrcyI7t\nfliN+komrpYRjfVYJeJiaJafKzzNar/yTnM0JfOyH6FBfW21qYghAgMBAAE=\n-----END RSA PUBLIC KEY-----\n", "p256": "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg3oqK9SrDfNQwVLXM\nkM2gyiMXxIKkHAKV3ooBpqUGUxehRANCAAQgCNzjtqD5JZY8qxqi48nD2pYuvIgQ\nxhfDAz8kFAqS65v7uex43Roul81g9Zr65WYAsUGBeh86eX4s1kkcFpxh\n-----END PRIVATE KEY-----\n", "p256_public": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIAjc47ag+SWWPKsaouPJw9qWLryI\nEMYXwwM/JBQKkuub+7nseN0aLpfNYPWa+uVmALFBgXofOnl+LNZJHBacYQ==\n-----END PUBLIC KEY-----\n"});
//= run ["utils.jwt.encode('HS512', { sub: '1234567890', name: 'Joe Schmoe', iat: 1565721223187 }, context.values.get('signing'))"]
//> "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvZSBTY2htb2UiLCJpYXQiOjE1NjU3MjEyMjMxODd9.-QL15ldu2BYuJokNWT6YRiwZQIiIpvq6Kyv-C6qslNdNiUVxo8zqLJZ1iEkNf2yZKMIrQuMCtIC1tzd2H31AxA"
//= run ["utils.jwt.decode(args[0], 'SuperSecret', false, ['HS512'])", "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvZSBTY2htb2UiLCJpYXQiOjE1NjU3MjEyMjMxODd9.-QL15ldu2BYuJokNWT6YRiwZQIiIpvq6Kyv-C6qslNdNiUVxo8zqLJZ1iEkNf2yZKMIrQuMCtIC1tzd2H31AxA"]
//> {"sub":"1234567890","name":"Joe Schmoe","iat":{"$numberDouble":"1565721223187.0"}}
//= run ["utils.jwt.decode(args[0], 'SuperSecret', true)", "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvZSBTY2htb2UiLCJpYXQiOjE1NjU3MjEyMjMxODd9.-QL15ldu2BYuJokNWT6YRiwZQIiIpvq6Kyv-C6qslNdNiUVxo8zqLJZ1iEkNf2yZKMIrQuMCtIC1tzd2H31AxA"]
//> {"header":{"alg":"HS512","typ":"JWT"},"payload":{"sub":"1234567890","name":"Joe Schmoe","iat":{"$numberDouble":"1565721223187.0"}}}
//= run ["utils.jwt.decode(args[0], 'SuperSecre')", "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvZSBTY2htb2UiLCJpYXQiOjE1NjU3MjEyMjMxODd9.-QL15ldu2BYuJokNWT6YRiwZQIiIpvq6Kyv-C6qslNdNiUVxo8zqLJZ1iEkNf2yZKMIrQuMCtIC1tzd2H31AxA"]
//! FunctionExecutionError: Error: the token's signature is invalid
//= run ["utils.jwt.decode(args[0], 'SuperSecret', false, ['HS256'])", "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvZSBTY2htb2UiLCJpYXQiOjE1NjU3MjEyMjMxODd9.-QL15ldu2BYuJokNWT6YRiwZQIiIpvq6Kyv-C6qslNdNiUVxo8zqLJZ1iEkNf2yZKMIrQuMCtIC1tzd2H31AxA"]
//! FunctionExecutionError: Error: signing method HS512 is invalid
//= run ["utils.jwt.decode('a.b.c', 'x')"]
//! FunctionExecutionError: Error: the token is malformed
//= run ["const k = context.functions.execute('keys'); ['RS256', 'PS384'].map((alg) => utils.jwt.decode(utils.jwt.encode(alg, { n: 1 }, k.rsa), k.rsa_public, false, [alg]))"]
//> [{"n":{"$numberDouble":"1.0"}},{"n":{"$numberDouble":"1.0"}}]
//= run ["const k = context.functions.execute('keys'); utils.jwt.decode(utils.jwt.encode('ES256', { a: 'b' }, k.p256, { kid: '7' }), k.p256_public, true)"]
//> {"header":{"alg":"ES256","typ":"JWT","kid":"7"},"payload":{"a":"b"}}
//= run ["const k = context.functions.execute('keys'); utils.jwt.decode(utils.jwt.encode('HS256', {}, 'x'), k.rsa_public)"]
//! FunctionExecutionError: Error: the key cannot be used with signing method HS256
//= run ["utils.crypto.decrypt('aes', BSON.Binary.fromBase64('WPBuIvJ6Bity43Uh822dW8QlVYVJaFUiDeUjlTiJXzptUuTYIKPlXekBQAJb'), '603082712271C525E087BD999A4E0738').text()"]
//> "MongoDB is great!"
//= run ["const sealed = utils.crypto.encrypt('aes', 'MongoDB is great!', '603082712271C525'); [sealed instanceof BSON.Binary, utils.crypto.decrypt('aes', sealed, '603082712271C525').text()]"]
//> [true,"MongoDB is great!"]
//= run ["utils.crypto.encrypt('aes', 'a', 'short')"]
//! FunctionExecutionError: TypeError: the key must have 16, 24 or 32 bytes
//= run ["const k = context.functions.execute('keys'); ['pss', 'pkcs1v15', undefined].map((how) => utils.crypto.verify('rsa', 'a', k.rsa_pkcs1_public, utils.crypto.sign('rsa', 'a', k.rsa_pkcs1, how), how))"]
//> [true,true,true]
//= run ["const k = context.functions.execute('keys'); utils.crypto.verify('rsa', 'a', k.rsa_pkcs1_public, utils.crypto.sign('rsa', 'b', k.rsa_pkcs1))"]
//> false
//= run ["const k = context.functions.execute('keys'); utils.crypto.sign('rsa', 'MongoDB is great!', k.rsa_pkcs1, 'pkcs1v15').toBase64()"]
//> "jja57KX37fFUV9w03Rh4Epj1h1h0Tei9vEdxmwbKc5U8N6oQt7I5ZEq24BghEhw3BTEvU+9P4U/KxvkBcgvNS6kns7a92eTrnLJ3OfMiGVU0GqcF/QPW+FBU8yve4pgDk75uAUFG8pwrfIM/LDp9bHV+cxIZ+y0bmuQ5q4cN8yg="
//= run ["[['sha1', 'hex'], ['sha256', 'base64'], ['sha512', 'hex']].map(([hash, format]) => utils.crypto.hmac('hello!', 'super-secret', hash, format).length)"]
//> [{"$numberInt":"40"},{"$numberInt":"44"},{"$numberInt":"128"}]
//= run ["['md5', 'sha1', 'sha256'].map((name) => utils.crypto.hash(name, BSON.Binary.fromText('hello!')).toHex().slice(0, 8))"]
//> ["5a8dd3ad","8f7d88e9","ce06092f"]
//= run ["utils.crypto.hash('sha0', 'hello!')"]
//! FunctionExecutionError: TypeError: unknown hash function 'sha0'
//= run ["utils.crypto.hash('sha256', 'hello!')"]
//> {"$binary":{"base64":"zgYJL7lI2f+sfRo3bkBLJrdXW8wR7gWkYV/vT+w6MIs=","subType":"00"}}
// Node's module.
//= run ["require('crypto').createHash('sha256').update('hello!').digest('base64')"]
//> "zgYJL7lI2f+sfRo3bkBLJrdXW8wR7gWkYV/vT+w6MIs="
//= run ["const c = require('crypto'), k = context.functions.execute('keys'); c.createVerify('RSA-SHA256').update('a').verify(k.rsa_public, c.createSign('RSA-SHA256').update('a').sign(k.rsa))"]
//> true
//= run ["const c = require('crypto'), d = c.createDecipheriv('aes-128-gcm', 'k'.repeat(16), 'n'.repeat(12)); d.setAuthTag(Buffer.alloc(16)); d.final()"]
//! FunctionExecutionError: Error: Unsupported state or unable to authenticate data
