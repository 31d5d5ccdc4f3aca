// Keys of tests, and what Node made with them.
const RSA = "-----BEGIN PRIVATE KEY-----\nMIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBAL7SYhKkpAU79ru4\nEGGgwuAhUDRMcgzhebzW13vIwBGl1tYbUVNSYmwrdRPm3EY24S/iIldhY5qFgcEb\n+NRKF0MEUOf/hXRazlnAD16FIpd68oZPCMrcyI7tfliN+komrpYRjfVYJeJiaJaf\nKzzNar/yTnM0JfOyH6FBfW21qYghAgMBAAECgYEArDRiCx8HYi3eGUQfjGsu0mNd\n5QSD/DnSyec8aVoecw6tVWUrvDzh02pYatBxQvAtwi+Z/C9IWt9W3HWo1bPTTrfr\nS/gvyZ7moZvF1MDbFHUGMgbp55AmyV7f46uPHkuYDmQsAE26Nc7FraWmLVMF4/ZT\nGuJzGoHQ2RP3o2WNrd0CQQDxlJIegawIq6Z1OIHLG3GPpx4GvzxXs8iIVl2aHksG\nQ35xS0aDBBaXNR+Rq5qYJ0JcTwRCUSeDV5yTjRyIzkD/AkEAyjY0YygBEHv111X/\nFDVcsP/7sE488v0b3fRgwtcRK0XNabyyXaMvc/m5uRtSKQ+JJpYhAOCLmQBAC6bd\nhpcW3wJBAI1reOJs7KWivm4upyScKy16GkS+3HdG4qSVUnQvOaIwDqwJ8fwuf38C\n9TkUaQqbKOjaxNaBpYzo09s4pzSa8UcCQQCgMab48sU9GOcey9sDWG7xLipnduPk\nIE6GXMaXNKg+XtMntDyd39yFBU5z7cf+DXe64O6OclVFRaR3Vp9is6mDAkBvNgPK\nBqizvdyrOJipSzM9DmDvEjRNtDlSMIKk/OjKEp/GpBXZ0SK3JD4yG/bz0ekp7rZb\nYrigXC7LhhPyhKuB\n-----END PRIVATE KEY-----\n";
const RSA_PUBLIC = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC+0mISpKQFO/a7uBBhoMLgIVA0\nTHIM4Xm81td7yMARpdbWG1FTUmJsK3UT5txGNuEv4iJXYWOahYHBG/jUShdDBFDn\n/4V0Ws5ZwA9ehSKXevKGTwjK3MiO7X5YjfpKJq6WEY31WCXiYmiWnys8zWq/8k5z\nNCXzsh+hQX1ttamIIQIDAQAB\n-----END PUBLIC KEY-----\n";
const RSA_LOCKED = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIC3TBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQImSICs49Dae0CAggA\nMAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBBiJ/fkZ3syYDmRAfmOOZn+BIIC\ngL03iZITQAvlRNDIcg8ZjYmC+v87QDsOjim7f9+2sSj6iw/yVXOVrio+0XuOYzDo\nr3IBzgkAfDhn5J+qmY5fI89+ovftdgfYVNEE+eJvb3muoDeVUS1Ll2EdAT7jXgdk\nJUliw9qn1twJ8pj8+1PT+Q4zXcrUQrxHZUHZoWq/4xUuLJjsRZq/FI2I74CF2eYz\nP1rnUzBmTv/m6BQcBk+RpAU3B7ZRFQGjYI1f5/FX74RDWpDOtlNb8TjrRFol1ETF\ndXi9P09ZZjoWLk3LzP4+cOZjc3xL+EU12abMHt5RiraZHD20v7ajknQbzrZt5qDp\nukLUoi0g/NmGr3tZvhh4xE3UpcI/4G2HkqBX8cWiSiQAZ9PZbDa2sDDF1e+eJ+Vr\nibHpAPUp5kaRL3hPP4+0nzNKgJnZEO+bf4YIcgciVWn2YcDUFG6EcVOUI15wCBTr\nvnLV5ryGZz6qgkBrVr5bkHqYVXUvSpuwXim2IyvmEcaZQ+IbYXMN1IeIzult9pzl\npbN7jJHu2D/zvv6xWArUGfq5aZvXQcYeFvgDZGyUuAuQbgSGLmJUt0K1q80nYEhw\nCYFnQRi5jO69V+GEPJAFtEKTchdovcYCE3riwTL9xJYmlRuNY0ySCEw86iTjEyh6\no/joxIAooUohjO6YvehQ5ZAQtqbySdvnCPSrTKXbEsA72aZEefkYi01Epu4os0rJ\n0p14tDF/GerEzZhRmt/jVhs9+HPOl4oGnR77WuBGtAc2F4YeF5PwI3ATLKYx/70D\nAE4Mouu1L3ShHPfdq5XYly5eL9RaqqZZEofARg+yjZ40E9pITETBfzCamUpnK0VY\nH2kRnWRoraJIL4dHl4Ybhh0=\n-----END ENCRYPTED PRIVATE KEY-----\n";
const RSA_LEGACY = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,4CD2D369B4735B7EA29D707BE830E4D6\n\n9I9MWvqmEC8Z18VTZEfJGfFrCQ7Pl+cHatQHEwR/w9vxyIOnTQWf6iwCL5lLxh0p\nK6iAwlqeV/QtP+TyGyiilvKEzZKdvQLnmMEtktNRAb6+8r7XBVif6GzdWm9qvBnU\nWbAlJ7NfbHiwX8awDuLbQN5V29HeOq0gx+nSolhyfL3+J4dTfpmhpbekCW6+47Sn\noFk3WhW59TfZ6VOpE8Jm+rNtiETsV4+JIclbf2gvfxCp71DrezHu3UMb6c2isN5u\nH6ydiWUq/IfqHJ5nTWIBLncY+0uCau0BcVlCK+UES857VPuYym7PtqkedmYuJ1g+\nX2WMPz/YR24eRoj18hKwJybRL4vCPl2215qwOtxC4NoRKzVF1siZec2/Pe1ktENs\n/kmptQ4MfZKjCuEZze5eiQ4rjlJPlubmZlTUltTr56/hPAZC+rn7pSeD+mB8Asb+\nXkhuSca3lAkK/2O6efX2iRH0vOoOX7REb620q0rWIUPY8hth/4EngRAbS22r0DfA\nigBgGXauMoRy4PmKthswMR1kK5Wo1Zo3J2aQMgkm7Tmek7Tc/FE5C67yZA+rfZZv\ngBmt7c5DfLncrfrP/eByNG8UeLKD7fiH0DbW/zM25A9eCyshPB7UGJbu43h79RO/\nKVrwNDYVV+10F3cURh2RQV4t7BJWl/khHADmfZ50EJOZ47ATxI9BSUaPMEDrubbG\nZDz1luGHGSSmIwR2d/dnso03XkazhppjDYshOrH/lqCeD1sLk4o5kxpnwk3jLjZs\nKu0tfdCAdNPWAkhnyZtz2ioQ/E/S21cZve4Z5M5fIqkRPyIkMgCUMImLRLvHrlfm\n-----END RSA PRIVATE KEY-----\n";
const P256 = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIN6KivUqw3zUMFS1zJDNoMojF8SCpBwCld6KAaalBlMXoAoGCCqGSM49\nAwEHoUQDQgAEIAjc47ag+SWWPKsaouPJw9qWLryIEMYXwwM/JBQKkuub+7nseN0a\nLpfNYPWa+uVmALFBgXofOnl+LNZJHBacYQ==\n-----END EC PRIVATE KEY-----\n";
const P256_OTHER = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEl+jdGWcgupEBFrvlcZxy6l4Cr1hu\nvZbscQobh9g+Fnh+5+gMqSj/JpSq9RQGBRMW+t9sNsIpoqeFYktSC+MocQ==\n-----END PUBLIC KEY-----\n";
const P384 = "-----BEGIN PRIVATE KEY-----\nMIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDDxe6Lf/DLe6nNCK/+V\nwGFbxqG41lSbkLGrxQ26lSx8jOr0uhhlnrvxsfF4nwJVyMShZANiAAQIWJmQcM1B\niP+bEMQ766KqoHAwisXnrXwEOVV4cEVVNTnIdhOfEE6Yrtcskg60UyguBNiV24xX\ntJbz3NHNU0K2UKiKL82U2XIROx8jOi79RGWBbIb4kRA5g/Gbuwexu58=\n-----END PRIVATE KEY-----\n";
const P384_OTHER = "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEE1PZ6+iVEd5WDDabIPenDswv688rk3MY\nIU9rMZa8YiNhj39EJKzM4IPmLb6oDtnUj+LuvLOsTSBtPY5xXTAzWsOSK1/QjPn5\nKvjVFNRuGLgiU6lMv/GyJmmTRAy1Qnvv\n-----END PUBLIC KEY-----\n";
const P521 = "-----BEGIN PRIVATE KEY-----\nMIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBY0KVa9uL6kTq3Lk6\n929WOOgdUKfYSfaLpMjR94Tv5Jz85U/36qfHITc+xaNEQ2FU7bRKJ1w2wim07JSJ\nPVztfZChgYkDgYYABAHNfiilSNkT6fxUq72mMBGtMAiXqViaKJD81Cz7CkPAru0j\nQbg69MgU6Xa9NYYCVH1SICNSOUJuPNZgoqZYFeSgwQFROLs2rq8t4NE1nT7uVtOG\nMyRj71N5aec6Xenhnd71MX79lGGQjJ4hnCmZapfKRRzcyurKyfHWCWOIfiBDr4qm\neA==\n-----END PRIVATE KEY-----\n";
const P521_OTHER = "-----BEGIN PUBLIC KEY-----\nMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAYhMEZhEAJlllCEjVyet1YGckbjkW\nuvSalwoIa4Reb8V/k68JPJvhXtBvhoz50M2SWXvriOXOC84wM+vfHWJE/egBhN5l\nTu+h9VtyDeg/RUCjhukkDdHgc91+y2VVtq23BGUlOq6va7/TqP4l1bHZSvbs/B2p\njtu0mbs6Ppu6vTzZ3u4=\n-----END PUBLIC KEY-----\n";
const K256 = "-----BEGIN PRIVATE KEY-----\nMIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgB9qDo/SxlNxR1cN1sE05\nDUBHsu2hhwla0aDrCc1NSa2hRANCAAT19MOyKk4cEmy2bEFjf6EY4QKuuU+8Y56x\nWE3NMOs8+Fu433ayid7H5n2IpmKN3IsQ/9DMdoDxosfgRt/qf1HN\n-----END PRIVATE KEY-----\n";
const K256_OTHER = "-----BEGIN PUBLIC KEY-----\nMFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEoSqU1RdQ/PqR8soq5pnd7xk0abNeamUY\nQ+LmESopPBHiAb5hFU1kC0w19rbodz+aE3EMW6KaF6FmO/uvRj/Aiw==\n-----END PUBLIC KEY-----\n";
const ED25519 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIGa+jH9MTLA/dJYqhTCOmWgcYYx9Ys05hq6VMIQdgleL\n-----END PRIVATE KEY-----\n";
const X25519 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIEiDkeCVaZxGGuyfxrGeEu2BK4CXUijH6yprCAcRlQBk\n-----END PRIVATE KEY-----\n";
const X25519_OTHER = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAqMXgFBY7u/lSqXk7HiwV3q+2SVGETlx+qqn3KBZSczI=\n-----END PUBLIC KEY-----\n";
const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIICCDCCAXGgAwIBAgIUSyZHrD5TFAQbueGA/Zx9UemxQzgwDQYJKoZIhvcNAQEL\nBQAwFjEUMBIGA1UEAwwLZXhhbXBsZS5jb20wHhcNMjYxMTI2MDkzNzQyWhcNMzYx\nMTIzMDkzNzQyWjAWMRQwEgYDVQQDDAtleGFtcGxlLmNvbTCBnzANBgkqhkiG9w0B\nAQEFAAOBjQAwgYkCgYEAvtJiEqSkBTv2u7gQYaDC4CFQNExyDOF5vNbXe8jAEaXW\n1htRU1JibCt1E+bcRjbhL+IiV2FjmoWBwRv41EoXQwRQ5/+FdFrOWcAPXoUil3ry\nhk8IytzIju1+WI36SiaulhGN9Vgl4mJolp8rPM1qv/JOczQl87IfoUF9bbWpiCEC\nAwEAAaNTMFEwHQYDVR0OBBYEFDCljpBLax+ElYWm+PTLOo4k0z/7MB8GA1UdIwQY\nMBaAFDCljpBLax+ElYWm+PTLOo4k0z/7MA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZI\nhvcNAQELBQADgYEAtcth3rqXCkcROR2dLveEb6yNbXSAqyVL1GTtN9uAwKDS6TkI\nOJpi2nVdSNJ9pBv6enhjaqXXjBp63JzTX3tlELwV5dP+xBHlJe8oI8uJ7kcoLSCi\nUasRrPsDI3zK7b68+zhyg0GTeASiMGvHGR7tM6zQ0CRqdNq/kU7TwJQ8z4s=\n-----END CERTIFICATE-----\n";
const MADE = {
 "PSS": "moezziXM/B87ybrMAEDfXlh5VO0qBI1FYpDK2BsOviyhkbm5KjKlu00R9JZdLuyiykVYyFAtY41j/P1W/oZbUFAxGKurySkq0LKNMiP0G9iZVcSoirQqJfuCwCXOUQb5A63JTEH25P5nS8AFsX8fFZiTbSbawOTWNtk2Otkojs0=",
 "PSS20": "LJUMbLUROMeXonqxtFuN32f4gogkOnHdn5SOmJT9w2ia7OI+5SK+JJ+At9EJiSoWSmvBbJO2IyB8W0wrrEvHSv4pc1AdG3bcrfo78RYiSgBo8zoSGY5nwHqIRQEy3oq67kL/83fulIU/hGKmMbsB/x4eleeslhmpTDa0Q6TKli8=",
 "P256_sha1": "MEQCIESpsRNv2ZFCABS3f0jOuhIo7QMkMwhDT60yW4IsKMqAAiAqwxJQQbfIHbfqxbSx5rR6IBjkYo1kToWxIYbj27zQSA==",
 "P256_sha1_raw": "3jCI4PCth1Qr4LWIV1Dfyh4VjIc+9ayEqDnQyo2EBKDHrfY44Wf+7CevQfaYATnvjYmGan0whYN0+k/ccjm0Xw==",
 "P256_sha512": "MEUCIHaHbm4911xzNbhkaP3jYyH25QyovqNBolVTSY6YauF6AiEA/DB3k1bheuh1kYAe5DLSDVMRG1hWm13bmEkjHi6uE1s=",
 "P256_sha512_raw": "lt2Vujmtxv0r87tPfczYeoeOj8rVCUUMqi6O5W1TdaB+bpaWodSFZTTrF1yWgpcBe+yTrTY7EMbrurbC45lREA==",
 "P384_sha1": "MGUCMA6LvCZ3IsC+s+Gi3iB9/xwO1UHR7UYh90a1l6gZ2K80scck8tMESDCGN8I1NV3URgIxAJCcppGZ0GA/9qfipf2n+n318o6BSYeLhedYNEJ0Bls/rAKleoTclU1m1NgOwcGteQ==",
 "P384_sha1_raw": "9GuskOmzBX8pdmEV2eoHsBYN+8w3AysYw2UD5c6oOwn9BE7Sg9ziMryODDjpgMXCDUCHYMBAvBfdJD8iHPbi5gkiB78ZXI0+TJvYhRxMPQR0JUE1j3WrCC7XSlv0d8pr",
 "P384_sha512": "MGUCMA0Co+PIn5bHNTGkJjMDAIFtGiThS0ZG502z+JfGvJ6lr8ALYHIO7ucm74zXey3RsgIxAJ2sOGBKE/V1UKha68FR2f/Heww6Sm31I9elnFqq5t1zP3uUg0422ouDdIimSrbNzg==",
 "P384_sha512_raw": "eJhU0j6QHMpjb1MOgQhEmpWbtEob8r2fW2N2DMupfMbQTxkWkOrWkhTEvjwbXWbdTteLKNC3tev3NiF5pGyZyeQkwOOw9wX8mlkDt/y9YjFmOg3qNP6K//lg7bP/voC8",
 "P521_sha1": "MIGIAkIBHxLNeQxvsM408q8hpNpW74pAd+9WmOyzqtQh1jkztXxEAnGBCScbtds0DU2OjSR28bdKpADE2c4C8rGEKJfom20CQgFMqCPaiPf7UItMkOg/+0W78pzSM1aqja1K1btHWrsJXSdciPCLGWXUKt5DX+KHuBCStPbDWMAX+oGR4EVhzUJmEQ==",
 "P521_sha1_raw": "AeAdERfhTVfPL94s9VII0f5tBLGF1+y+jgTicvOJVXfaQn0ytsaxhhAH6zdW+PxfutH4ljSt7FWUjJIT2IJn6KKnAVi11zm6LxBeUBCDk5NUjnm9nlT/5bBMZcyzAL+rjmMBjccgQXMKtH95FMBZKkMx//WukjmgXQzrCkoYhc/1kqN1",
 "P521_sha512": "MIGHAkIBQr2n/+D19db4Jq3gECodP5FZoY/QVQnvfto8ch4qSREU4dfim6MqTZ2h3Py3fdpiH+gBqjlQiKCJj/d4BEkfysMCQRxVZEsK+oREB0Pmxmo+/0PYP/VNcfIPO5DtbUXPPTbqDALtQDb9sVuAhx5UJYebsugazzzrfj427Mi/0ZlmOPwt",
 "P521_sha512_raw": "AVvEYHgmP/oQqAuo21v4bx2BgXTAnHS66xDa2txxFHpEHsReY73Mwpxz1DpkSoGcr5FDRrdjPkWFL1fytkeElN0GAbKnq7y7F6EZSSd8aCn262GlwSE+/w1DbOkweUJ4o5vGSaw8dIjLwJ6Q+JYSyednAJtGDyE6JZX9sv4chFb6pYG+",
 "K256_sha1": "MEUCIQCd/TsC9sRGITZ6VLCdxXlYtvIVV7GCRcovk+j9cjiELAIgUzQvoDbuTBOAaNXkRUv6CndXY3pcErepB6vWzo0vcJY=",
 "K256_sha1_raw": "KqOv8i0l1ldUp3uJco4pmU1ZDtDJWiZnQvrc/Z4MytgwQhcmvjww4slFw1xRNlgA83COSxJaPWIGcqF5qXw6Aw==",
 "K256_sha512": "MEUCIQCxJ1o6izBoWs+facY6nab5dgwrcF7xxwb2HqybuVUGnwIgVRRALDLg1ItJyqMdSny4Cr167BbrmoeBvE5KSI7ZY5Q=",
 "K256_sha512_raw": "lXRM0CvLXE97w2l/S9Hh15EJpJPQkGMMXMftXPT5X2xsn1fDtTvXisR160NKc6Uk8szj5rAsKnOh0knUfVgIfg==",
 "OAEP": "hAKcj85mn02mzW3m7SoxMYYhN8932uMUG3rfpPyVKW8TCfvJZggXVcpci+mNz6VjkbAyVbQuQUa+2Gb8QYCo9DENgKygd2vi7d0+wBw+NCwnHDJEiM77tkbevRtmlUxPmpQFPvAEHUERLeiTzP7R9sHn5aTGjneIH2jHcwm93kE=",
 "OAEP256": "HPldyKbPznwd6Mtc2E2FJ48w9kT53AH3X6QokuxGsWAfxlODysnAMx0TGy6WB9t02bOXbq/qJm94KZRF+Wk2NLO9TFO3Uw2qIqWnqec/+6ox7u/l4G7dQt4t4+NJVV1F2weob34KmRHuNdXo/yGrNF1lm19o3l1yXmXEjmznWd8=",
 "RSA1": "M8xwSf/YHr/f/TbkIzykXFo/LJ/QzrOIl0tH511dcQAgHO+ezauqI6Wfqvq5VZ6QqQ95rrCXOMhm/t6AEEXIGpcdk/hC4lSageHZwI+rnLaqwkw7dqeKizDhePmx6U1i/zsy6dZvWVNQlukhsZuVNnvocVVpmIL91Vo4ABaR/Q8="
};
const c = require("crypto");
const B = (text) => Buffer.from(text);
const hex = (bytes) => Buffer.from(bytes).toString("hex");

// ---- Hashes.
for (const name of ["md5", "MD5", "sha1", "SHA-1", "sha224", "sha256", "SHA256", "RSA-SHA256", "sha384", "sha512", "sha512-256", "sha512-224",
  "sha3-224", "sha3-256", "sha3-384", "sha3-512", "ripemd160", "rmd160", "RSA-RIPEMD160", "blake2b512", "blake2s256", "sha2-256"]) {
  t(() => name + c.createHash(name).update("abc").update(B("déf")).digest("hex"));
}
for (const name of ["md5", "sha1", "sha256", "sha512", "sha3-256", "ripemd160", "blake2b512"]) {
  t(() => name + c.createHmac(name, "key".repeat(60)).update("abc").digest("base64"));
}
t(() => c.createHash("sha256").update("é", "latin1").digest());
t(() => c.createHash("sha256").update("6162", "hex").digest("base64url"));
t(() => c.createHash("sha256").update(new Uint16Array([1, 2])).update(new DataView(new ArrayBuffer(3))).digest("latin1"));
t(() => c.createHash("sha256").update("").digest("binary").length);
t(() => { const a = c.createHash("md5").update("a"); const b = a.copy(); b.update("b"); return [a.digest("hex"), b.digest("hex")]; });
t(() => { const a = c.createHash("md5"); a.digest(); return a.copy(); });
t(() => c.Hash("md5").update("a").digest("hex"));
t(() => c.createHash("md5") instanceof c.Hash);
t(() => c.createHmac("md5", "k") instanceof c.Hmac);
t(() => c.createHash("md5").constructor.name);
t(() => { const h = c.createHmac("md5", "k"); h.digest(); return h.digest(); });
t(() => { const h = c.createHmac("md5", "k"); h.digest(); return h.update("a"); });
t(() => { const b = B("abc"); const h = c.createHash("sha1").update(b); b.fill(0); return h.digest("hex"); });
t(() => c.createHmac("sha256", c.createSecretKey(B("key"))).update("a").digest("hex"));
t(() => c.createHmac("sha256", new Uint8Array([1, 2]).buffer).update("a").digest("hex"));
t(() => c.getHashes().includes("sha256") && c.getHashes().includes("RSA-SHA256"));
await t(() => new Promise((done) => { const h = c.createHash("sha256"); h.on("readable", () => { const d = h.read(); if (d) done(d.toString("hex")); }); h.write("a"); h.end("bc"); }));
await t(() => new Promise((done) => { const { PassThrough } = require("stream"); const p = new PassThrough(); const h = c.createHash("sha1"); h.setEncoding("hex"); p.pipe(h).on("data", done); p.end("abc"); }));
t(() => { const h = c.createHash("sha1"); h.write("abc"); h.end(); return h.digest("hex"); });
t(() => { const h = c.createHash("sha1"); return [typeof h.pipe, typeof h.on, h instanceof require("stream").Transform, h.writable]; });

for (const name of ["shake128", "SHAKE256"]) for (const outputLength of [undefined, 0, 5, 300]) t(() => [name, c.createHash(name, { outputLength }).update("abc").digest()]);
t(() => c.createHash("shake128").update("abc").copy({ outputLength: 3 }).digest("hex"));

// ---- Random numbers: their forms.
t(() => c.randomBytes(16).length + c.randomBytes(0).length);
t(() => c.randomBytes(8) instanceof Buffer);
await t(() => new Promise((done) => { c.randomBytes(5, (e, b) => done([e, b.length])); }));
t(() => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(c.randomUUID()));
t(() => { for (let i = 0; i < 200; i++) { const n = c.randomInt(3, 6); if (n < 3 || n > 5) return n; } return "fine"; });
await t(() => new Promise((done) => { c.randomInt(1, 2, (e, n) => done([e, n])); }));
t(() => { const b = Buffer.alloc(10); c.randomFillSync(b, 5); return [b.subarray(0, 5), b.subarray(5).some((x) => x !== 0)]; });
t(() => c.randomFillSync(new Uint32Array(4)).some((x) => x > 65535));
await t(() => new Promise((done) => { c.randomFill(Buffer.alloc(4), (e, b) => done([e, b.length])); }));
t(() => c.getRandomValues(new Uint8Array(4)).length);
t(() => c.timingSafeEqual(B("ab"), new Uint8Array([97, 98])));
t(() => c.timingSafeEqual(B("ab"), B("ac")));

// ---- Keys from passwords.
t(() => hex(c.pbkdf2Sync("pass", "salt", 10, 33, "sha512")));
t(() => hex(c.pbkdf2Sync("pass", B("salt"), 10, 20, "SHA1")));
t(() => hex(c.pbkdf2Sync("pass", "salt", 3, 20, "ripemd160")));
t(() => c.pbkdf2Sync("pass", "salt", 1, 0, "sha1"));
await t(() => new Promise((done) => { c.pbkdf2("p", "s", 1, 8, "sha256", (e, k) => done([e, k])); }));
t(() => hex(c.scryptSync("pass", "salt", 32)));
t(() => hex(c.scryptSync("pass", "salt", 32, { N: 16, r: 2, p: 3 })));
t(() => hex(c.scryptSync("pass", "salt", 32, { cost: 16, blockSize: 2, parallelization: 3 })));
await t(() => new Promise((done) => { c.scrypt("p", "s", 8, { N: 2 }, (e, k) => done([e, k])); }));
t(() => { const k = c.hkdfSync("sha256", "key", "salt", "info", 42); return [k instanceof ArrayBuffer, hex(k)]; });
t(() => hex(c.hkdfSync("sha512", c.createSecretKey(B("key")), B(""), B(""), 10)));
await t(() => new Promise((done) => { c.hkdf("sha1", "k", "s", "i", 8, (e, k) => done([e, hex(k)])); }));

// ---- Ciphers.
const TEXT = "The quick brown fox jumps over the lazy dog, é!";
for (const name of ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "AES-256-CBC", "aes128", "aes256", "aes-128-ctr", "aes-256-ctr", "aes-128-ecb",
  "aes-256-ecb", "aes-128-cfb", "aes-256-cfb8", "aes-128-ofb", "des-ede3-cbc", "des3", "des-ede3", "des-ede-cbc", "chacha20"]) {
  t(() => {
    const { keyLength, ivLength = 0 } = c.getCipherInfo(name);
    const key = Buffer.alloc(keyLength, "0123456789abcdefghijklmnopqrstuvwxyz"), iv = ivLength ? Buffer.alloc(ivLength, "xyz") : null;
    const e = c.createCipheriv(name, key, iv);
    const parts = [e.update(TEXT.slice(0, 7)), e.update(TEXT.slice(7, 9)), e.update(TEXT.slice(9)), e.final()];
    const d = c.createDecipheriv(name, key, iv);
    const all = Buffer.concat(parts);
    const back = [d.update(all.subarray(0, 17)), d.update(all.subarray(17)), d.final()];
    return [parts.map(hex), back.map((p) => p.length), Buffer.concat(back).toString() === TEXT];
  });
}
for (const [name, length] of [["aes-128-gcm", 12], ["aes-256-gcm", 12], ["aes-192-gcm", 16], ["aes-256-gcm", 1], ["chacha20-poly1305", 12]]) {
  t(() => {
    const key = Buffer.alloc(c.getCipherInfo(name).keyLength, "k0"), iv = Buffer.alloc(length, "iv");
    const options = name === "chacha20-poly1305" ? { authTagLength: 16 } : undefined;
    const e = c.createCipheriv(name, key, iv, options);
    e.setAAD(B("extra"), { plaintextLength: 60 });
    const sealed = e.update(TEXT, "utf8", "hex") + e.update("more", "utf8", "hex") + e.final("hex");
    const tag = e.getAuthTag();
    const open = (t2, aad) => {
      const d = c.createDecipheriv(name, key, iv, options);
      d.setAuthTag(t2);
      d.setAAD(B(aad), { plaintextLength: 60 });
      return d.update(sealed, "hex", "utf8") + d.final("utf8");
    };
    const bad = (f) => { try { return f(); } catch (error) { return error.message; } };
    const wrong = Buffer.from(tag);
    wrong[3] ^= 1;
    return [sealed, tag, open(tag, "extra"), bad(() => open(wrong, "extra")), bad(() => open(tag, "other"))];
  });
}
t(() => { const e = c.createCipheriv("aes-128-gcm", B("k".repeat(16)), B("i".repeat(12)), { authTagLength: 8 }); e.update("a"); e.final(); return e.getAuthTag(); });
t(() => { const e = c.createCipheriv("aes128-wrap", B("k".repeat(16)), Buffer.alloc(8, 0xa6)); return [e.update(B("x".repeat(24))), e.final()]; });
t(() => { const e = c.createCipheriv("aes-128-cbc", B("k".repeat(16)), B("i".repeat(16))); e.setAutoPadding(false); return [e.update("x".repeat(32)), e.final()]; });
t(() => { const e = c.createCipheriv("aes-128-cbc", "k".repeat(16), "i".repeat(16)); return [e.update("é", "utf8", "base64"), e.update("ab", "latin1", "base64"), e.final("base64")]; });
t(() => { const e = c.createCipheriv("aes-128-ctr", "k".repeat(16), "i".repeat(16)); return e.update("61", "hex", "latin1") + e.final("latin1"); });
t(() => { const e = c.createCipheriv("aes-128-ctr", "k".repeat(16), Buffer.alloc(16, 255)); return hex(e.update("x".repeat(50))); });
await t(() => new Promise((done) => { const e = c.createCipheriv("aes-128-cbc", "k".repeat(16), "i".repeat(16)); const out = []; e.on("data", (d) => out.push(d)); e.on("end", () => done(Buffer.concat(out))); e.write("hello"); e.end(" world"); }));
await t(() => new Promise((done) => { const e = c.createDecipheriv("aes-128-cbc", "k".repeat(16), "i".repeat(16)); e.on("error", done); e.on("data", () => {}); e.end("bad"); }));
t(() => c.createCipheriv("aes-128-cbc", c.createSecretKey(B("k".repeat(16))), "i".repeat(16)).final("hex"));
t(() => { const k = new Uint8Array(16).fill(1); const e = c.createCipheriv("aes-128-cbc", k, k); k.fill(2); return e.final("hex"); });
t(() => [c.createCipheriv("aes-128-cbc", "k".repeat(16), "i".repeat(16)).constructor.name, c.createDecipheriv("aes-128-cbc", "k".repeat(16), "i".repeat(16)) instanceof c.Decipheriv]);
t(() => hex(c.createCipher("aes-256-cbc", "password").update("x".repeat(16))));
t(() => hex(c.createCipher("des-ede3", "password").final()));
t(() => { const d = c.createDecipher("aes192", "a password"); return d.update(c.createCipher("aes192", "a password").update("some clear text data", "utf8", "hex"), "hex", "utf8"); });
for (const name of ["aes-128-cbc", "AES-256-GCM", "des3", "aes-256-ctr", "chacha20-poly1305", "aes256-wrap", "nope"]) {
  t(() => { const { nid, ...info } = c.getCipherInfo(name) ?? {}; return info; });
}
t(() => [c.getCipherInfo("aes-128-cbc", { keyLength: 5 }), c.getCipherInfo("aes-128-cbc", { ivLength: 5 }), c.getCipherInfo("aes-128-gcm", { ivLength: 5 })?.ivLength]);

// ---- Keys. The first try meets an error that OpenSSL still has from above.
try { c.createPrivateKey(RSA); } catch {}
const KEYS = { RSA, P256, P384, P521, K256, ED25519, X25519 };
for (const [name, pem] of Object.entries(KEYS)) {
  t(() => { const k = c.createPrivateKey(pem); return [name, k.type, k.asymmetricKeyType, k.asymmetricKeyDetails]; });
  t(() => { const k = c.createPublicKey(pem); return [name, k.type, k.asymmetricKeyType, k.asymmetricKeyDetails]; });
  for (const type of ["pkcs1", "pkcs8", "sec1"]) {
    for (const format of ["pem", "der", "jwk"]) t(() => [name, c.createPrivateKey(pem).export({ type, format })]);
  }
  for (const type of ["pkcs1", "spki"]) {
    for (const format of ["pem", "der", "jwk"]) t(() => [name, c.createPublicKey(pem).export({ type, format })]);
  }
  t(() => { const k = c.createPrivateKey(pem); return c.createPrivateKey({ key: k.export({ format: "jwk" }), format: "jwk" }).equals(k); });
  t(() => { const k = c.createPublicKey(pem); return c.createPublicKey({ key: k.export({ format: "jwk" }), format: "jwk" }).equals(k); });
  t(() => { const k = c.createPrivateKey(pem); const o = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "p" }; return c.createPrivateKey({ key: k.export(o), passphrase: B("p") }).equals(k); });
  t(() => { const k = c.createPrivateKey(pem); const o = { type: "pkcs8", format: "der", cipher: "aes128", passphrase: "p" }; return c.createPrivateKey({ key: k.export(o), format: "der", type: "pkcs8", passphrase: "p" }).equals(k); });
  t(() => c.createPublicKey(c.createPrivateKey(pem)).equals(c.createPublicKey(pem)));
}
t(() => c.createPrivateKey({ key: RSA_LOCKED, passphrase: "secret" }).equals(c.createPrivateKey(RSA)));
t(() => c.createPrivateKey({ key: RSA_LEGACY, passphrase: "secret" }).equals(c.createPrivateKey(RSA)));
t(() => c.createPrivateKey({ key: RSA_LOCKED, passphrase: "wrong" }));
t(() => c.createPublicKey(CERTIFICATE).equals(c.createPublicKey(RSA)));
t(() => c.createPublicKey(RSA_PUBLIC).equals(c.createPublicKey(RSA)));
t(() => c.createPrivateKey(RSA_PUBLIC));
t(() => c.createPrivateKey(`text before\n${RSA}\nafter`).type);
t(() => c.createPrivateKey(RSA.replace(/\n/g, "\r\n")).type);
t(() => c.createPublicKey(RSA_PUBLIC).export({ format: "pem", type: "spki" }) === RSA_PUBLIC);
t(() => c.createPrivateKey(B(P256)).export({ format: "pem", type: "sec1" }) === P256);
t(() => c.createPublicKey({ key: { kty: "EC", crv: "P-256", x: "AA", y: "AA" }, format: "jwk" }));
t(() => c.createPublicKey({ key: { kty: "RSA" }, format: "jwk" }));
t(() => { const k = c.createSecretKey("secret", "utf8"); return [k.type, k.symmetricKeySize, k.export(), k.export({ format: "jwk" }), k.asymmetricKeyType, k.equals(c.createSecretKey(B("secret"))), k.equals(c.createSecretKey(B("other")))]; });
t(() => [c.createSecretKey(B("a")) instanceof c.KeyObject, Object.prototype.toString.call(c.createSecretKey(B("a"))), c.createPrivateKey(RSA).constructor.name]);
t(() => c.KeyObject.from);
for (const [type, options] of [["rsa", { modulusLength: 1024 }], ["ec", { namedCurve: "secp256k1" }], ["ed25519"], ["x25519"]]) {
  t(() => { const { publicKey, privateKey } = c.generateKeyPairSync(type, options); return [publicKey.type, privateKey.type, c.createPublicKey(privateKey).equals(publicKey), privateKey.asymmetricKeyDetails]; });
}
t(() => { const { publicKey, privateKey } = c.generateKeyPairSync("ec", { namedCurve: "P-256", publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "der", cipher: "aes-128-cbc", passphrase: "x" } }); return [publicKey.length, Buffer.isBuffer(privateKey), c.createPrivateKey({ key: privateKey, format: "der", type: "pkcs8", passphrase: "x" }).type]; });
await t(() => new Promise((done) => { c.generateKeyPair("ed25519", (e, p, s) => done([e, p.type, s.type])); }));
await t(() => new Promise((done) => { c.generateKeyPair("ed25519", { publicKeyEncoding: { format: "jwk" } }, (e, p, s) => done([e, p.kty, s.type])); }));
t(() => c.generateKeySync("hmac", { length: 100 }).symmetricKeySize);

// ---- Signatures.
for (const hash of ["sha1", "sha256", "RSA-SHA384", "sha512", "md5", "ripemd160", "sha3-256"]) {
  t(() => [hash, c.createSign(hash).update("da").update("ta").sign(RSA, "base64")]);
  t(() => [hash, c.sign(hash, B("data"), RSA)]);
}
t(() => c.createSign("sha256").update("data").sign({ key: RSA_LOCKED, passphrase: "secret" }, "hex"));
t(() => c.createVerify("sha256").update("data").verify(RSA_PUBLIC, c.createSign("sha256").update("data").sign(RSA)));
t(() => c.createVerify("sha256").update("datA").verify(RSA_PUBLIC, c.createSign("sha256").update("data").sign(RSA)));
t(() => c.createVerify("sha256").update("data").verify(CERTIFICATE, c.createSign("sha256").update("data").sign(RSA, "base64"), "base64"));
for (const [name, padding] of [["PSS", { padding: 6 }], ["PSS20", { padding: 6, saltLength: 20 }], ["PSS", { padding: 6, saltLength: 20 }], ["PSS20", { padding: 6, saltLength: -1 }], ["PSS", {}]]) {
  t(() => [name, padding, c.verify("sha256", B("data"), { key: RSA_PUBLIC, ...padding }, Buffer.from(MADE[name], "base64"))]);
}
for (const salt of [undefined, -1, -2, 0, 20, 62, 63, 200]) {
  t(() => { const s = c.sign("sha256", B("data"), { key: RSA, padding: 6, saltLength: salt }); return [salt, s.length, c.verify("sha256", B("data"), { key: RSA_PUBLIC, padding: 6, saltLength: salt === -2 || salt === undefined ? 94 : salt === -1 ? 32 : salt }, s)]; });
}
t(() => c.sign("sha512", B("data"), { key: RSA, padding: 6, saltLength: -1 }).length);
for (const name of ["P256", "P384", "P521", "K256"]) {
  for (const hash of ["sha1", "sha512"]) {
    t(() => [name, hash, c.verify(hash, B("data"), KEYS[name], Buffer.from(MADE[`${name}_${hash}`], "base64"))]);
    t(() => [name, hash, c.verify(hash, B("datA"), KEYS[name], Buffer.from(MADE[`${name}_${hash}`], "base64"))]);
    t(() => [name, hash, c.verify(hash, B("data"), { key: KEYS[name], dsaEncoding: "ieee-p1363" }, Buffer.from(MADE[`${name}_${hash}_raw`], "base64"))]);
    t(() => [name, hash, c.verify(hash, B("data"), KEYS[name], Buffer.from(MADE[`${name}_${hash}_raw`], "base64"))]);
    t(() => { const s = c.createSign(hash).update("data").sign({ key: KEYS[name], dsaEncoding: "ieee-p1363" }); return [s.length, c.createVerify(hash).update("data").verify({ key: KEYS[name], dsaEncoding: "ieee-p1363" }, s)]; });
    t(() => { const s = c.sign(hash, B("data"), KEYS[name]); return c.verify(hash, B("data"), c.createPublicKey(KEYS[name]), s); });
  }
}
t(() => c.sign(null, B("data"), ED25519));
t(() => c.sign(undefined, B("data"), c.createPrivateKey(ED25519)));
t(() => c.verify(null, B("data"), ED25519, c.sign(null, B("data"), ED25519)));
t(() => c.verify(null, B("datA"), ED25519, c.sign(null, B("data"), ED25519)));
t(() => c.verify(null, B("data"), ED25519, B("short")));
t(() => c.verify(null, B("data"), P256, c.sign(null, B("data"), P256)));
await t(() => new Promise((done) => { c.sign("sha256", B("data"), RSA, (e, s) => done([e, s])); }));
await t(() => new Promise((done) => { c.verify("sha256", B("data"), RSA, B("x"), (e, s) => done([e, s])); }));
await t(() => new Promise((done) => { const s = c.createSign("sha256"); s.write("data"); s.end(() => done(s.sign(RSA, "hex"))); }));
t(() => c.createSign("sha256") instanceof c.Sign);
t(() => c.createVerify("RSA-SHA256").update("data").verify(RSA, "AAAA", "base64"));

// ---- Encryption with RSA.
t(() => c.privateDecrypt(RSA, Buffer.from(MADE.OAEP, "base64")).toString());
t(() => c.privateDecrypt({ key: RSA, oaepHash: "sha256", oaepLabel: B("l") }, Buffer.from(MADE.OAEP256, "base64")).toString());
t(() => c.privateDecrypt({ key: RSA, oaepHash: "sha256" }, Buffer.from(MADE.OAEP256, "base64")).toString());
t(() => c.privateDecrypt(RSA, c.publicEncrypt(RSA_PUBLIC, B("hello"))).toString());
t(() => c.privateEncrypt(RSA, B("hello")));
t(() => c.publicDecrypt(RSA_PUBLIC, c.privateEncrypt(RSA, B("hello"))).toString());
t(() => c.publicEncrypt({ key: RSA, padding: 3 }, Buffer.alloc(128, 7)));
t(() => c.privateDecrypt({ key: RSA, padding: 3 }, c.publicEncrypt({ key: RSA, padding: 3 }, Buffer.alloc(128, 7))));
t(() => c.publicEncrypt(RSA, Buffer.alloc(200)));
t(() => c.publicEncrypt({ key: RSA, padding: 3 }, B("short")));

// ---- Agreements.
for (const [mine, other] of [["P256", P256_OTHER], ["P384", P384_OTHER], ["P521", P521_OTHER], ["K256", K256_OTHER], ["X25519", X25519_OTHER]]) {
  t(() => [mine, c.diffieHellman({ privateKey: c.createPrivateKey(KEYS[mine]), publicKey: c.createPublicKey(other) })]);
}
t(() => c.diffieHellman({ privateKey: c.createPrivateKey(P256), publicKey: c.createPublicKey(ED25519) }));
t(() => { const a = c.createECDH("secp256k1"), b = c.createECDH("secp256k1"); a.generateKeys(); b.generateKeys(); return a.computeSecret(b.getPublicKey()).equals(b.computeSecret(a.getPublicKey("hex", "compressed"), "hex")); });
t(() => { const a = c.createECDH("prime256v1"); a.setPrivateKey("11".repeat(32), "hex"); return [a.getPublicKey("hex"), a.getPublicKey("hex", "compressed"), a.getPublicKey("base64", "hybrid"), a.getPrivateKey("hex")]; });
t(() => { const a = c.createECDH("prime256v1"); a.setPrivateKey("11".repeat(32), "hex"); return c.ECDH.convertKey(a.getPublicKey("hex", "compressed"), "prime256v1", "hex", "hex", "uncompressed"); });

// ---- Web cryptography.
const s = c.webcrypto.subtle;
const named = async (key) => [key.type, key.extractable, key.algorithm.name, key.algorithm.namedCurve, key.algorithm.hash?.name, key.usages];
await t(async () => hex(await s.digest("SHA-256", B("abc"))));
await t(async () => hex(await s.digest({ name: "sha-1" }, new Uint8Array([97, 98, 99]).buffer)));
await t(async () => s.digest("MD5", B("abc")));
await t(async () => { const k = await s.importKey("raw", B("key"), { name: "HMAC", hash: "SHA-256" }, true, ["sign", "verify"]); const m = await s.sign("HMAC", k, B("data")); return [hex(m), await s.verify("HMAC", k, m, B("data")), await s.verify("HMAC", k, m, B("datA")), await named(k), await s.exportKey("jwk", k)]; });
await t(async () => { const k = await s.importKey("raw", Buffer.alloc(32, 1), "AES-GCM", false, ["encrypt", "decrypt"]); const p = { name: "AES-GCM", iv: Buffer.alloc(12, 2), additionalData: B("x") }; const e = await s.encrypt(p, k, B("data")); return [hex(e), Buffer.from(await s.decrypt(p, k, e)).toString()]; });
await t(async () => { const k = await s.importKey("raw", Buffer.alloc(16, 1), "AES-CBC", false, ["encrypt", "decrypt"]); const p = { name: "AES-CBC", iv: Buffer.alloc(16, 2) }; const e = await s.encrypt(p, k, B("data")); return [hex(e), Buffer.from(await s.decrypt(p, k, e)).toString()]; });
await t(async () => { const k = await s.importKey("raw", Buffer.alloc(16, 1), "AES-CTR", false, ["encrypt"]); return hex(await s.encrypt({ name: "AES-CTR", counter: Buffer.alloc(16, 2), length: 64 }, k, B("data"))); });
await t(async () => { const k = await s.importKey("raw", B("password"), "PBKDF2", false, ["deriveBits", "deriveKey"]); const p = { name: "PBKDF2", salt: B("salt"), iterations: 5, hash: "SHA-512" }; const d = await s.deriveKey(p, k, { name: "AES-GCM", length: 256 }, true, ["encrypt"]); return [hex(await s.deriveBits(p, k, 128)), hex(await s.exportKey("raw", d))]; });
await t(async () => { const k = await s.importKey("raw", B("password"), "HKDF", false, ["deriveBits"]); return hex(await s.deriveBits({ name: "HKDF", salt: B("salt"), info: B("i"), hash: "SHA-256" }, k, 128)); });
await t(async () => { const k = await s.generateKey({ name: "ECDSA", namedCurve: "P-384" }, true, ["sign", "verify"]); const m = await s.sign({ name: "ECDSA", hash: "SHA-384" }, k.privateKey, B("d")); return [m.byteLength, await s.verify({ name: "ECDSA", hash: "SHA-384" }, k.publicKey, m, B("d")), await named(k.publicKey), await named(k.privateKey)]; });
await t(async () => { const k = await s.importKey("pkcs8", c.createPrivateKey(RSA).export({ type: "pkcs8", format: "der" }), { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, true, ["sign"]); return [hex(await s.sign("RSASSA-PKCS1-v1_5", k, B("data"))), await named(k), Object.keys(await s.exportKey("jwk", k)).sort()]; });
await t(async () => { const k = await s.importKey("spki", c.createPublicKey(RSA).export({ type: "spki", format: "der" }), { name: "RSA-PSS", hash: "SHA-256" }, true, ["verify"]); return s.verify({ name: "RSA-PSS", saltLength: 20 }, k, Buffer.from(MADE.PSS20, "base64"), B("data")); });
await t(async () => { const k = await s.importKey("jwk", c.createPrivateKey(RSA).export({ format: "jwk" }), { name: "RSA-OAEP", hash: "SHA-1" }, true, ["decrypt"]); return Buffer.from(await s.decrypt("RSA-OAEP", k, Buffer.from(MADE.OAEP, "base64"))).toString(); });
await t(async () => { const k = await s.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]); const o = await s.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]); const raw = await s.exportKey("raw", o.publicKey); const back = await s.importKey("raw", raw, { name: "ECDH", namedCurve: "P-256" }, true, []); return [raw.byteLength, hex(await s.deriveBits({ name: "ECDH", public: back }, k.privateKey, 256)) === hex(await s.deriveBits({ name: "ECDH", public: k.publicKey }, o.privateKey, 256))]; });
await t(async () => { const k = await s.generateKey({ name: "Ed25519" }, true, ["sign", "verify"]); const m = await s.sign("Ed25519", k.privateKey, B("d")); return [m.byteLength, await s.verify("Ed25519", k.publicKey, m, B("d"))]; });
await t(async () => { const w = await s.importKey("raw", Buffer.alloc(16, 1), "AES-KW", false, ["wrapKey", "unwrapKey"]); const k = await s.importKey("raw", Buffer.alloc(32, 3), "AES-CBC", true, ["encrypt"]); const x = await s.wrapKey("raw", k, w, "AES-KW"); const u = await s.unwrapKey("raw", x, w, "AES-KW", "AES-CBC", true, ["encrypt"]); return [hex(x), hex(await s.exportKey("raw", u))]; });
await t(async () => { const k = await s.importKey("raw", B("key"), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]); return s.verify("HMAC", k, B("a"), B("b")); });
await t(async () => { const k = await s.importKey("raw", B("key"), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]); return [c.KeyObject.from(k).type, c.createHmac("sha1", k).digest("hex")]; });
t(() => [typeof globalThis.crypto.subtle.digest, globalThis.crypto.randomUUID().length, String(globalThis.crypto), typeof CryptoKey, crypto.getRandomValues(new Uint8Array(2)).length]);
t(() => new CryptoKey());
t(() => { const { types } = require("util"); const k = c.createSecretKey(B("a")); return [types.isKeyObject(k), types.isKeyObject({}), types.isCryptoKey(k), types.isCryptoKey(null)]; });
await t(async () => { const k = await s.generateKey({ name: "HMAC", hash: "SHA-1" }, true, ["sign"]); return [require("util").types.isCryptoKey(k), k.algorithm.length]; });
t(() => { const { defaultCipherList, ...rest } = c.constants; return Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)); });
await t(() => require("util").promisify(c.randomBytes)(4).then((b) => b.length));
await t(() => require("util").promisify(c.generateKeyPair)("ed25519").then((k) => Object.keys(k)));
await t(() => require("util").promisify(c.scrypt)("a", "b", 8));
await t(() => require("util").promisify(c.pbkdf2)("a", "b", 2, 8, "sha1"));

// ---- Put together at random, the same each time: short hashes of what came out.
let seed = 12345;
const roll = (sides) => {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return (seed >>> 8) % sides;
};
const pick = (list) => list[roll(list.length)];
const some = (length) => Buffer.from(Array.from({ length }, () => roll(256)));
const brief = (...parts) => c.createHash("sha256").update(Buffer.concat(parts.map((part) => Buffer.from(part)))).digest("hex").slice(0, 8);
// Gives data in pieces.
const fed = (work, bytes) => {
  const out = [];
  for (let at = 0; at < bytes.length;) {
    const size = 1 + roll(40);
    out.push(work.update(bytes.subarray(at, at + size)));
    at += size;
  }
  return Buffer.concat(out);
};
for (const name of ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "aes-128-ctr", "aes-256-ctr", "aes-128-cfb", "aes-192-cfb8", "aes-256-ofb", "aes-128-ecb",
  "des-ede3-cbc", "des-ede3-cfb", "des-ede-cbc", "chacha20", "aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"]) {
  t(() => Array.from({ length: 25 }, () => {
    const { keyLength, ivLength = 0, mode } = c.getCipherInfo(name);
    const aead = mode === "gcm" || name === "chacha20-poly1305";
    const key = some(keyLength), iv = ivLength ? some(mode === "gcm" ? 1 + roll(40) : ivLength) : null, data = some(roll(200)), extra = some(roll(50));
    const options = aead ? { authTagLength: 16 } : undefined, pads = data.length % 16 !== 0 || roll(2) === 0;
    const e = c.createCipheriv(name, key, iv, options);
    if (aead) e.setAAD(extra, { plaintextLength: data.length });
    if (!pads) e.setAutoPadding(false);
    const sealed = Buffer.concat([fed(e, data), e.final()]), tag = aead ? e.getAuthTag() : "";
    const d = c.createDecipheriv(name, key, iv, options);
    if (aead) { d.setAuthTag(tag); d.setAAD(extra, { plaintextLength: data.length }); }
    if (!pads) d.setAutoPadding(false);
    const opened = Buffer.concat([fed(d, sealed), d.final()]);
    return brief(sealed, tag) + (opened.equals(data) ? "" : " differs");
  }).join(" "));
}
t(() => Array.from({ length: 60 }, () => { const h = c.createHash(pick(["md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "ripemd160", "blake2b512", "sha512-256"])); for (let n = roll(5); n > 0; n--) h.update(some(roll(300))); return brief(h.digest()); }).join(" "));
t(() => Array.from({ length: 60 }, () => { const h = c.createHmac(pick(["md5", "sha1", "sha256", "sha384", "sha512", "sha3-512", "ripemd160", "blake2s256"]), some(roll(300))); for (let n = roll(5); n > 0; n--) h.update(some(roll(300))); return brief(h.digest()); }).join(" "));
t(() => Array.from({ length: 30 }, () => brief(c.pbkdf2Sync(some(roll(100)), some(roll(40)), 1 + roll(20), roll(100), pick(["md5", "sha1", "sha256", "sha384", "sha512", "sha3-256"])))).join(" "));
t(() => Array.from({ length: 15 }, () => brief(c.scryptSync(some(roll(100)), some(roll(40)), roll(100), { N: 2 << roll(6), r: 1 + roll(8), p: 1 + roll(3) }))).join(" "));
t(() => Array.from({ length: 30 }, () => brief(c.hkdfSync(pick(["sha1", "sha256", "sha512"]), some(1 + roll(80)), some(roll(80)), some(roll(80)), 1 + roll(200)))).join(" "));
t(() => Array.from({ length: 20 }, () => brief(c.sign(pick(["md5", "sha1", "sha256", "sha384", "sha512", "sha3-384"]), some(roll(300)), RSA))).join(" "));
t(() => Array.from({ length: 20 }, () => { const data = some(roll(80)), o = { padding: pick([4, 4, 3]), oaepHash: pick(["sha1", "md5"]), oaepLabel: some(roll(20)) }; const input = o.padding === 3 ? Buffer.concat([Buffer.alloc(128 - data.length), data]) : data; return c.privateDecrypt({ key: RSA, ...o }, c.publicEncrypt({ key: RSA_PUBLIC, ...o }, input)).equals(input); }));
t(() => Array.from({ length: 20 }, () => { const curve = pick(["prime256v1", "secp384r1", "secp521r1", "secp256k1"]); const a = c.createECDH(curve), size = { prime256v1: 32, secp384r1: 48, secp521r1: 66, secp256k1: 32 }[curve]; const secret = some(size); secret[0] = 0; a.setPrivateKey(secret); return brief(a.getPublicKey(), a.getPublicKey(null, "compressed"), a.computeSecret(c.ECDH.convertKey(a.getPublicKey(), curve))); }).join(" "));

// ---- Certificates.
const CA = "-----BEGIN CERTIFICATE-----\nMIIByjCCAXCgAwIBAgIUOJLXmzoqqWiSg+S+cfe7B84IdTIwCgYIKoZIzj0EAwIw\nNDELMAkGA1UEBhMCREUxEzARBgNVBAoMClRlc3QsIEluYy4xEDAOBgNVBAMMB1Jv\nb3Qgw6kwHhcNMjYxMTI2MTAwMjA1WhcNMzYxMTIzMTAwMjA1WjA0MQswCQYDVQQG\nEwJERTETMBEGA1UECgwKVGVzdCwgSW5jLjEQMA4GA1UEAwwHUm9vdCDDqTBZMBMG\nByqGSM49AgEGCCqGSM49AwEHA0IABJffyYhQQRwemWJhT31u50dcD1zFvWknaATu\n2FZQvD/+uALXkKJBeIsVRN/JIwlg3QnLGi7L45QpeKUmb4MMLfCjYDBeMB0GA1Ud\nDgQWBBSxsfU3vcmUhImPac/Sv0pW9mlsAzAfBgNVHSMEGDAWgBSxsfU3vcmUhImP\nac/Sv0pW9mlsAzAPBgNVHRMBAf8EBTADAQH/MAsGA1UdDwQEAwIBBjAKBggqhkjO\nPQQDAgNIADBFAiEA7kHinUKqrTdDO5tQDIThXL+/72G0JJaxETMEo1HU0EACIHGB\n2+Q9HLAyW6twykqenU8nyEzmwv210Ij2wtOYaMx0\n-----END CERTIFICATE-----\n";
const LEAF = "-----BEGIN CERTIFICATE-----\nMIICVzCCAf2gAwIBAgIUENiIYq5Y7iARo1uSIRdzTUr5IJwwCgYIKoZIzj0EAwIw\nNDELMAkGA1UEBhMCREUxEzARBgNVBAoMClRlc3QsIEluYy4xEDAOBgNVBAMMB1Jv\nb3Qgw6kwHhcNMjYxMTI2MTAwMjA1WhcNMjcxMTI2MTAwMjA1WjAsMRQwEgYDVQQD\nDAtleGFtcGxlLmNvbTEUMBIGCSqGSIb3DQEJARYFYUBiLmMwgZ8wDQYJKoZIhvcN\nAQEBBQADgY0AMIGJAoGBAL7SYhKkpAU79ru4EGGgwuAhUDRMcgzhebzW13vIwBGl\n1tYbUVNSYmwrdRPm3EY24S/iIldhY5qFgcEb+NRKF0MEUOf/hXRazlnAD16FIpd6\n8oZPCMrcyI7tfliN+komrpYRjfVYJeJiaJafKzzNar/yTnM0JfOyH6FBfW21qYgh\nAgMBAAGjga0wgaowPgYDVR0RBDcwNYILZXhhbXBsZS5jb22CDSouZXhhbXBsZS5v\ncmeHBH8AAAGBBWFAYi5jhgpodHRwOi8veC95MB0GA1UdJQQWMBQGCCsGAQUFBwMB\nBggrBgEFBQcDAjAJBgNVHRMEAjAAMB0GA1UdDgQWBBQwpY6QS2sfhJWFpvj0yzqO\nJNM/+zAfBgNVHSMEGDAWgBSxsfU3vcmUhImPac/Sv0pW9mlsAzAKBggqhkjOPQQD\nAgNIADBFAiEAgF+mw0qPv63ZKSBmFOiEzXYMWDp7wAxZIS3hbR20mTECIGeRqbY0\n0uFT3rVtF/wq1eigI6/thv6tGRzO4ZhbMAFb\n-----END CERTIFICATE-----\n";
const MEMBERS = ["subject", "subjectAltName", "issuer", "infoAccess", "validFrom", "validTo", "fingerprint", "fingerprint256", "fingerprint512", "keyUsage", "serialNumber", "ca", "raw"];
for (const pem of [CA, LEAF, CERTIFICATE]) {
  const x = new c.X509Certificate(pem);
  for (const member of MEMBERS) t(() => [member, x[member]]);
  t(() => [x.toString() === pem, JSON.stringify(x) === JSON.stringify(pem), new c.X509Certificate(x.raw).fingerprint === x.fingerprint, x.publicKey.export({ type: "spki", format: "pem" })]);
}
t(() => { const { pubkey, ...rest } = new c.X509Certificate(LEAF).toLegacyObject(); return rest; });
t(() => { const ca = new c.X509Certificate(CA), leaf = new c.X509Certificate(LEAF); return [leaf.verify(ca.publicKey), leaf.verify(leaf.publicKey), ca.verify(ca.publicKey), leaf.checkIssued(ca), ca.checkIssued(leaf), leaf.checkPrivateKey(c.createPrivateKey(RSA)), ca.checkPrivateKey(c.createPrivateKey(RSA))]; });
t(() => { const x = new c.X509Certificate(CERTIFICATE); return x.verify(c.createPublicKey(RSA)); });
for (const host of ["example.com", "EXAMPLE.com", "a.example.org", "b.a.example.org", "example.org", "x", ""]) t(() => [host, new c.X509Certificate(LEAF).checkHost(host)]);
t(() => { const x = new c.X509Certificate(LEAF); return [x.checkEmail("a@b.c"), x.checkEmail("b@b.c"), x.checkIP("127.0.0.1"), x.checkIP("127.0.0.2")]; });
t(() => new c.X509Certificate(LEAF).verify("x"));
t(() => new c.X509Certificate(5));
t(() => new c.X509Certificate("x"));

// ---- Errors.
t(()=>c.createHash('nope'));
t(()=>c.createHash());
t(()=>c.createHash('md5').update(1));
t(()=>c.createHash('md5').update());
t(()=>{const h=c.createHash('md5');h.digest();h.update('a')});
t(()=>{const h=c.createHash('md5');h.digest();h.digest()});
t(()=>c.createHash('md5',{outputLength:5}).digest('hex'));
t(()=>c.createHmac('nope','a'));
t(()=>c.createHmac('md5'));
t(()=>c.createHmac('md5',null));
t(()=>c.createHmac(1,'a'));
t(()=>c.randomBytes(-1));
t(()=>c.randomBytes('a'));
t(()=>c.randomBytes(2**31));
t(()=>c.randomInt(0));
t(()=>c.randomInt(5,5));
t(()=>c.randomInt(1.5));
t(()=>c.randomInt(0,2**48));
t(()=>c.randomInt('a'));
t(()=>c.randomFillSync(1));
t(()=>c.randomFillSync(Buffer.alloc(5),6));
t(()=>c.randomFillSync(Buffer.alloc(5),2,9));
t(()=>c.timingSafeEqual(Buffer.from('a'),Buffer.from('bc')));
t(()=>c.timingSafeEqual('a','b'));
t(()=>c.pbkdf2Sync('a','b',0,5,'sha1'));
t(()=>c.pbkdf2Sync('a','b',1,5,'nope'));
t(()=>c.pbkdf2Sync('a','b',1,5));
t(()=>c.pbkdf2Sync('a','b',1,-5,'md5'));
t(()=>c.pbkdf2('a','b',1,5,'md5'));
t(()=>c.pbkdf2Sync(1,'b',1,5,'md5'))
t(()=>c.scryptSync('a','b',5,{N:3}));
t(()=>c.scryptSync('a','b',5,{N:2**20}));
t(()=>c.scryptSync('a','b',-5));
t(()=>c.scryptSync('a','b',0));
t(()=>c.scryptSync('a','b',5,{N:16,cost:16}));
t(()=>c.hkdfSync('nope','a','b','c',5));
t(()=>c.hkdfSync('sha1','a','b','c',255*21));
t(()=>c.hkdfSync('sha1','a','b','c'.repeat(1025),5));
t(()=>c.createCipheriv('nope','a','b'));
t(()=>c.createCipheriv('aes-128-cbc','a','b'));
t(()=>c.createCipheriv('aes-128-cbc','a'.repeat(16),'b'));
t(()=>c.createCipheriv('aes-128-cbc','a'.repeat(16),null));
t(()=>c.createCipheriv('aes-128-cbc','a'.repeat(16)));
t(()=>c.createCipheriv('aes-128-ecb','a'.repeat(16),'x'.repeat(16)).constructor.name);
t(()=>c.createCipheriv('aes-128-ecb','a'.repeat(16),'').update('a'));
t(()=>c.createCipheriv('aes-128-cbc',5,'b'));
t(()=>c.createCipheriv(5,5,'b'));
const mk=(n='aes-128-cbc',k=16,i=16)=>c.createCipheriv(n,'a'.repeat(k),'b'.repeat(i)), dk=(n='aes-128-cbc',k=16,i=16)=>c.createDecipheriv(n,'a'.repeat(k),'b'.repeat(i));
t(()=>{const x=mk();x.final();x.update('a')});
t(()=>{const x=mk();x.final();x.final()});
t(()=>mk().update(1));
t(()=>mk().getAuthTag());
t(()=>mk('aes-128-gcm',16,12).getAuthTag());
t(()=>dk().final());
t(()=>{const x=dk();x.update('abc');x.final()});
t(()=>{const x=dk();x.update('abc'.repeat(16));x.final()});
t(()=>dk('aes-128-gcm',16,12).final());
t(()=>dk('aes-128-gcm',16,12).setAuthTag(Buffer.alloc(3)));
t(()=>{const d=dk('aes-128-gcm',16,12);d.setAuthTag(Buffer.alloc(16));d.setAuthTag(Buffer.alloc(16))});
t(()=>{const d=dk('aes-128-gcm',16,12);d.setAuthTag(Buffer.alloc(16));d.final()});
t(()=>c.createCipheriv('aes-128-gcm','a'.repeat(16),''));
t(()=>{const x=mk();x.setAutoPadding(false);x.update('a');x.final()});
t(()=>mk().setAAD(Buffer.alloc(1)));
t(()=>c.createCipheriv('chacha20-poly1305','a'.repeat(32),'b'.repeat(12)).getAuthTag());
t(()=>c.createCipheriv('aes-128-gcm','a'.repeat(16),'b'.repeat(12),{authTagLength:3}));
t(()=>c.createSign('nope'));
t(()=>c.createSign());
t(()=>c.createSign('sha256').sign());
t(()=>c.createSign('sha256').sign('x'));
t(()=>c.createSign('sha256').sign(5));
t(()=>c.createSign('sha256').sign({}));
t(()=>c.createVerify('sha256').verify('x','y'));
t(()=>c.createPrivateKey('x'));
t(()=>c.createPrivateKey());
t(()=>c.createPublicKey('x'));
t(()=>c.createPublicKey({key:{kty:'x'},format:'jwk'}));
t(()=>c.createSecretKey());
t(()=>c.createSecretKey('').export());
t(()=>c.createSecretKey('ab').export());
t(()=>c.createSecretKey('ab','hex').export({format:'jwk'}));
t(()=>c.createPublicKey(c.createSecretKey('ab')));
t(()=>c.createPrivateKey({key:'x',format:'der'}));
t(()=>c.createPrivateKey({key:Buffer.from('x'),format:'der'}));
t(()=>c.createPrivateKey({key:'x',format:'zip'}));
t(()=>new c.KeyObject('x'));
t(()=>new c.KeyObject('secret',{}));
t(()=>c.KeyObject.from(1));
const kp=c.generateKeyPairSync('ec',{namedCurve:'P-256'});
t(()=>kp.privateKey.export());
t(()=>kp.privateKey.export({type:'x',format:'pem'}));
t(()=>kp.privateKey.export({type:'pkcs1',format:'pem'}));
t(()=>kp.publicKey.export({type:'pkcs8',format:'pem'}));
t(()=>kp.privateKey.export({format:'pem',type:'sec1',cipher:'x',passphrase:'a'}));
t(()=>kp.privateKey.export({format:'pem',type:'sec1',cipher:'aes128'}));
t(()=>kp.privateKey.asymmetricKeyDetails);
t(()=>kp.privateKey.export({format:'der',type:'sec1',cipher:'aes128',passphrase:'a'}));
t(()=>c.createPublicKey(kp.publicKey));
t(()=>c.createPrivateKey(kp.privateKey));
t(()=>c.sign('sha256','a',kp.publicKey));
t(()=>c.sign('nope',Buffer.from('a'),kp.privateKey));
t(()=>c.createSign('sha256').update('a').sign(kp.publicKey));
t(()=>c.sign('sha256',Buffer.from('a'),{key:kp.privateKey,dsaEncoding:'x'}));
t(()=>c.generateKeyPairSync('x'));
t(()=>c.generateKeyPairSync('rsa'));
t(()=>c.generateKeyPairSync('rsa',{}));
t(()=>c.generateKeyPairSync('ec',{namedCurve:'nope'}));
t(()=>c.generateKeyPairSync('ec',{}));
t(()=>c.generateKeyPairSync('ec',{namedCurve:'P-256',publicKeyEncoding:{}}));
t(()=>c.generateKeySync('hmac',{length:4}));
t(()=>c.generateKeySync('aes',{length:100}));
t(()=>c.generateKeySync('x',{length:100}));
t(()=>c.generateKeySync('aes',{length:128}).symmetricKeySize);
t(()=>c.diffieHellman({}));
t(()=>c.createECDH('nope'));
t(()=>c.createECDH('secp256k1').getPublicKey());
t(()=>c.createECDH('secp256k1').computeSecret('ab','hex'));
t(()=>c.webcrypto.constructor.name);
t(()=>c.publicEncrypt(kp.publicKey,Buffer.from('a')));
t(()=>c.getRandomValues(new Float32Array(2)));
t(()=>c.getRandomValues(Buffer.alloc(70000)));
t(()=>c.createHash('sha256').copy().digest('base64url'));
t(()=>c.createHash('sha256').digest('nope'));
t(()=>c.createHash('sha256').digest('buffer'));
t(()=>{const e=c.generateKeyPairSync('ed25519');return c.createSign('sha256').update('a').sign(e.privateKey)});
t(()=>{const e=c.generateKeyPairSync('ed25519');return c.sign('sha256',Buffer.from('a'),e.privateKey)});
