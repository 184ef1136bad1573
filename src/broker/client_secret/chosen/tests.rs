//! Hashes that are known, from the specifications and from other programs, and what must not be taken for one.

use super::*;

fn parsed(text: &str) -> ChosenHash {
    ChosenHash::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn refused(text: &str) -> HashRefused {
    ChosenHash::parse(text).expect_err(text)
}

/// Made by `doveadm pw -s SCHEME -p 'Sesam, öffne dich 7'` of Dovecot 2.3.
const DOVECOT: [&str; 7] = [
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$W+oux08HPZ1RdVk/L/bsvw$Ar7WTGRkEuVC0Q1Nj8AD132SrSrX3gx6cfNOkqrWSco",
    "{BLF-CRYPT}$2y$05$94z2JXE7KM1fTuR8JY4YUuoypy6v/2YusfNo6D6m/jtUdsUgg5iW6",
    "{SHA512-CRYPT}$6$3wkk38rEE3hIJFW4$HlI3SBj0It1m74PBshbz1bEuAD9O6Cd0Z48WOvICy.rTumRYeiWGuqSJL8ZN3pzo1BkzjnFae8k8VvHjQPYuA/",
    "{SHA256-CRYPT}$5$rt136irURghD0S1j$/QefCRrUbm6InhQC258wcTWGI1hoYtuB0toBywk1/m2",
    "{SSHA}IJd5DJ6PC0Qes8v1l+YGU3ZK7syxyKH6",
    "{SSHA256}Zm8TU9QG+onBCetCbUER0qoMKsCc5atOluA0YbqwnC8TmNDF",
    "{SSHA512}QSHg53Sov+yU4YhIclcyTlq1jpKk9Mx3Wxh1mTdw6y2V7xbjxKG1WVxPgFzRCETSNZa/YKGAH1SIGdjSVd9f5/p1+10=",
];

/// From "Unix crypt using SHA-256 and SHA-512" 0.6, as its reference implementation and glibc print them.
const SHA_CRYPT: [(&str, &str); 8] = [
    ("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    ("Hello world!", "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"),
    ("This is just a test", "$5$rounds=5000$toolongsaltstrin$Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5"),
    ("the minimum number is still observed", "$5$rounds=1000$roundstoolow$yfvwcWrQ8l/K0DAWyuPMDNHpIVlTQebY9l/gL972bIC"),
    (
        "Hello world!",
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    ),
    (
        "Hello world!",
        "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
    ),
    (
        "we have a short salt string but not a short password",
        "$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0",
    ),
    (
        "a short string",
        "$6$rounds=123456$asaltof16chars..$BtCwjqMJGx5hrJhZywWvt0RLE8uZ4oPwcelCjmw2kSYu.Ec6ycULevoBK25fs2xXgMNrCzIMVcgEJAstJeonj1",
    ),
];

/// From the test vectors of OpenBSD's bcrypt and of jBCrypt, of low cost.
const BCRYPT: [(&str, &str); 5] = [
    ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
    ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
    ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
    ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    (
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored",
        "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
    ),
];

#[test]
fn what_dovecot_made_is_checked_with_and_without_its_schemes() {
    let (right, wrong) = (Secret::new("Sesam, öffne dich 7"), Secret::new("Sesam, öffne dich 8"));
    for text in DOVECOT {
        let (scheme, rest) = text.split_at(text.find('}').unwrap() + 1);
        let mut forms = vec![text.to_owned(), format!(" {}{rest}\n", scheme.to_lowercase())];
        if rest.starts_with('$') {
            forms.push(rest.to_owned());
        }
        if rest.starts_with("$2") || rest.starts_with("$5") || rest.starts_with("$6") {
            forms.push(format!("{{CRYPT}}{rest}"));
        }
        for form in forms {
            let hash = parsed(&form);
            assert!(hash.proves(&right), "{form}");
            assert!(!hash.proves(&wrong) && !hash.proves(&Secret::new("")), "{form}");
            assert_eq!(parsed(hash.as_str()), hash, "as it stands in a record");
            assert!(!format!("{hash:?}").contains(&rest[8..]), "{hash:?}");
        }
    }
}

#[test]
fn sha_crypt_is_as_specified() {
    for (password, text) in SHA_CRYPT {
        let hash = parsed(text);
        assert!(hash.proves(&Secret::new(password)), "{text}");
        assert!(!hash.proves(&Secret::new(format!("{password} "))), "{text}");
    }
}

#[test]
fn bcrypt_is_as_others_have_it_under_each_of_its_names() {
    for (password, text) in BCRYPT {
        for minor in ["2a", "2b", "2y"] {
            let text = text.replacen("2a", minor, 1);
            let hash = parsed(&text);
            assert!(hash.proves(&Secret::new(password)), "{text}");
            assert!(!hash.proves(&Secret::new(format!("x{password}"))), "{text}");
        }
    }
}

/// RFC 9106 gives its vectors with a key and associated data, which no stored hash has: those of the reference implementation
/// (phc-winner-argon2, `test.c`) are the ones without.
#[test]
fn argon2id_is_as_its_reference_implementation_has_it() {
    for (password, text) in [
        ("password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"),
        ("password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"),
        ("password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"),
        ("differentpassword", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94"),
    ] {
        let hash = parsed(text);
        assert!(hash.proves(&Secret::new(password)), "{text}");
        assert!(!hash.proves(&Secret::new("passwore")), "{text}");
    }
}

#[test]
fn what_is_made_here_can_be_checked_here() {
    let text = ChosenHash::make(&Secret::new("hunter2"), b"0123456789abcdef");
    let hash = parsed(&text);
    assert!(hash.proves(&Secret::new("hunter2")) && !hash.proves(&Secret::new("hunter3")));
    assert!(hash.costs_enough() && hash.as_str() == text);
    assert_eq!(parsed(NOBODY), ChosenHash::nobody(), "it costs what it says");
    assert!(!ChosenHash::nobody().proves(&Secret::new("nobody knows it")));
}

#[test]
fn a_hash_that_would_cost_too_much_is_refused() {
    let argon2 =
        |params: &str| format!("$argon2id$v=19${params}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc");
    let sha = |rounds: &str| SHA_CRYPT[1].1.replace("10000", rounds);
    for text in [
        argon2("m=2097152,t=1,p=4"),
        argon2("m=131073,t=1,p=1"),
        argon2("m=65536,t=9,p=1"),
        argon2("m=1024,t=4294967295,p=1"),
        argon2("m=1024,t=1,p=17"),
        BCRYPT[1].1.replace("$06$", "$14$"),
        BCRYPT[1].1.replace("$06$", "$31$"),
        sha("1000001"),
        sha("999999999"),
        sha("99999999999999999999999"),
    ] {
        let why = refused(&text);
        assert!(matches!(why, HashRefused::TooCostly { .. }), "{text}: {why}");
    }
    let why = refused(&BCRYPT[1].1.replace("$06$", "$14$")).to_string();
    assert_eq!(
        why,
        "it costs too much to check: its cost is 14, and no more than 13 is allowed; let a new one be made"
    );
    for text in [argon2("m=131072,t=4,p=4"), BCRYPT[1].1.replace("$06$", "$13$"), sha("1000000")] {
        parsed(&text);
    }
}

#[test]
fn what_is_damaged_is_refused_and_never_quoted() {
    // Argon2id may be of any length: what is missing of it is seen when it proves nothing.
    for text in DOVECOT[1..].iter().copied().chain(SHA_CRYPT.map(|(_, text)| text)).chain(BCRYPT.map(|(_, text)| text))
    {
        let begin = text.find('}').map_or(0, |at| at + 1);
        for damaged in [
            text[..text.len() - 3].to_owned(),
            format!("{text}x"),
            format!("{text}$"),
            format!("{}*{}", &text[..text.len() - 4], &text[text.len() - 3..]),
            format!("{}ü{}", &text[..begin + 10], &text[begin + 11..]),
            format!("{} {}", &text[..begin + 10], &text[begin + 10..]),
            text[..begin + 9].to_owned(),
        ] {
            let why = refused(&damaged).to_string();
            assert!(!why.contains(&damaged[damaged.len() - 9..]), "{damaged}: {why}");
        }
    }
    for text in [
        "$2b$+5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$5$rounds=$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
        "$5$rounds=10$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
        "$5$rounds=-1$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
        "$5$$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
        "$5$saltstring$",
        "$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=0,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAAAA",
        "{SSHA}",
        // A digest without a salt.
        "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
    ] {
        assert!(matches!(refused(text), HashRefused::Damaged(_)), "{text}");
    }
}

#[test]
fn what_is_no_salted_hash_is_not_known() {
    for text in [
        "",
        "hunter2",
        "$",
        "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
        "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
        "rN7MI83RlIzPY",
        "{PLAIN}hunter2",
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "{MD5}X03MO1qnZdYdgyfeuILPmQ==",
        "{CRYPT}rN7MI83RlIzPY",
        "{CRYPT}$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "{SHA512-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        "{BLF-CRYPT}{SSHA}eJ6KEIjkUqAMpAT1twwd4l50VdjhZ9bu",
    ] {
        assert_eq!(refused(text), HashRefused::Unknown, "{text}");
    }
    assert_eq!(refused(&"x".repeat(100_000)), HashRefused::Unknown);
}
