//! Signatures and proofs; the published values are those of bbs-2023, whose tests are beside the suite.

use std::collections::BTreeMap;

use super::*;
use crate::random::SystemRandom;

const MESSAGES: [&[u8]; 4] = [b"", b"one", b"two", b"three"];

#[test]
fn fixed_point_is_what_it_says() {
    let (seed, dst) = ([API_ID, b"SIG_GENERATOR_SEED_"], [API_ID, b"SIG_GENERATOR_DST_"]);
    let state: [u8; 48] = hash::expand(&[API_ID, b"BP_MESSAGE_GENERATOR_SEED"], &seed);
    let next: [u8; 48] = hash::expand(&[&state, &octets(1)], &seed);
    assert_eq!(hash::hash_to_curve(&next, &dst).to_compressed(), P1);
    assert_eq!(point(&P1).unwrap().to_compressed(), P1);
}

#[test]
fn signs_and_proves() {
    let random: &dyn Random = &SystemRandom;
    let key = SecretKey::generate(random).unwrap();
    let public = key.public_key();
    for count in [0, 1, 4] {
        let messages = &MESSAGES[..count];
        let signature = key.sign(b"header", messages).unwrap();
        assert_eq!(Signature::from_bytes(&signature.to_bytes()).unwrap(), signature);
        signature.verify(public, b"header", messages).unwrap();
        for subset in 0..1_usize << count {
            let shown: Vec<usize> = (0..count).filter(|index| subset >> index & 1 == 1).collect();
            let proof = Proof::new(public, &signature, b"header", b"ph", messages, &shown, random).unwrap();
            let proof = Proof::from_bytes(&proof.to_bytes()).unwrap();
            assert_eq!(proof.hidden(), count - shown.len());
            let disclosed: BTreeMap<usize, &[u8]> =
                shown.iter().map(|index| (*index, messages[*index])).collect();
            proof.verify(public, b"header", b"ph", &disclosed).unwrap();
            let code = |key: &PublicKey, header: &[u8], ph: &[u8], disclosed: &BTreeMap<usize, &[u8]>| {
                proof.verify(key, header, ph, disclosed).unwrap_err().code()
            };
            assert_eq!(code(public, b"Header", b"ph", &disclosed), "signature_invalid");
            assert_eq!(code(public, b"header", b"Ph", &disclosed), "signature_invalid");
            let other = SecretKey::generate(random).unwrap();
            assert_eq!(code(other.public_key(), b"header", b"ph", &disclosed), "signature_invalid");
            for index in &shown {
                let mut changed = disclosed.clone();
                changed.insert(*index, b"changed");
                assert_eq!(code(public, b"header", b"ph", &changed), "signature_invalid");
            }
            let beyond = BTreeMap::from([(99, &b"x"[..])]);
            assert_eq!(code(public, b"header", b"ph", &beyond), "bbs_messages");
        }
    }
    let signature = key.sign(b"header", &MESSAGES).unwrap();
    let mut swapped = MESSAGES;
    swapped.swap(1, 2);
    for (header, messages) in [(&b"header"[..], &swapped[..]), (b"h", &MESSAGES), (b"header", &MESSAGES[..3])]
    {
        assert_eq!(signature.verify(public, header, messages).unwrap_err().code(), "signature_invalid");
    }
    let beyond = Proof::new(public, &signature, b"header", b"", &MESSAGES, &[4], random);
    assert_eq!(beyond.unwrap_err().code(), "bbs_messages");
    let many = vec![&b"m"[..]; MAX_MESSAGES + 1];
    assert_eq!(key.sign(b"", &many).unwrap_err().code(), "bbs_messages");
    assert_eq!(signature.verify(public, b"", &many).unwrap_err().code(), "bbs_messages");
}

#[test]
fn proofs_of_one_signature_are_unlike_each_other() {
    let random: &dyn Random = &SystemRandom;
    let key = SecretKey::generate(random).unwrap();
    let signature = key.sign(b"", &MESSAGES).unwrap();
    assert_eq!(key.sign(b"", &MESSAGES).unwrap(), signature);
    let proof =
        || Proof::new(key.public_key(), &signature, b"", b"", &MESSAGES, &[1], random).unwrap().to_bytes();
    let (one, two) = (proof(), proof());
    for (a, b) in one.chunks(16).zip(two.chunks(16)) {
        assert_ne!(a, b);
    }
    let signature = signature.to_bytes();
    for part in signature.chunks(16) {
        assert!(!one.windows(16).any(|window| window == part));
    }
}

#[test]
fn no_bit_can_change() {
    let random: &dyn Random = &SystemRandom;
    let key = SecretKey::generate(random).unwrap();
    let signature = key.sign(b"header", &MESSAGES[..2]).unwrap();
    let bytes = signature.to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let verify = |signature: Signature| signature.verify(key.public_key(), b"header", &MESSAGES[..2]);
        assert!(Signature::from_bytes(&flipped).and_then(verify).is_err(), "bit {bit}");
    }
    let proof =
        Proof::new(key.public_key(), &signature, b"header", b"ph", &MESSAGES[..2], &[0], random).unwrap();
    let bytes = proof.to_bytes();
    let disclosed = BTreeMap::from([(0, MESSAGES[0])]);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let verify = |proof: Proof| proof.verify(key.public_key(), b"header", b"ph", &disclosed);
        assert!(Proof::from_bytes(&flipped).and_then(verify).is_err(), "bit {bit}");
    }
}

#[test]
fn refuses_encodings() {
    let random: &dyn Random = &SystemRandom;
    let key = SecretKey::generate(random).unwrap();
    let order = [
        0x73, 0xed, 0xa7, 0x53, 0x29, 0x9d, 0x7d, 0x48, 0x33, 0x39, 0xd8, 0x08, 0x09, 0xa1, 0xd8, 0x05, 0x53,
        0xbd, 0xa4, 0x02, 0xff, 0xfe, 0x5b, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01,
    ];
    for bad in [[0; 32], order, [0xff; 32]] {
        assert_eq!(SecretKey::from_bytes(&bad).unwrap_err().code(), "private_key");
    }
    let infinity = |len: usize| [&[0xc0][..], &vec![0; len - 1]].concat();
    for bad in
        [vec![], vec![0x80; 95], vec![0x80; 96], infinity(96), key.public_key().to_bytes()[..95].to_vec()]
    {
        assert_eq!(PublicKey::from_bytes(&bad).unwrap_err().code(), "public_key");
    }
    let good = key.sign(b"", &MESSAGES).unwrap();
    let bytes = good.to_bytes();
    let signature = |a: &[u8], e: &[u8]| {
        let bytes: [u8; 80] = [a, e].concat().try_into().unwrap();
        Signature::from_bytes(&bytes).unwrap_err().code()
    };
    assert_eq!(signature(&infinity(48), &bytes[48..]), "bbs_signature");
    assert_eq!(signature(&[0x99; 48], &bytes[48..]), "bbs_signature");
    // On the curve, but outside the subgroup: x = 4.
    let mut outside = [0; 48];
    (outside[0], outside[47]) = (0x80, 4);
    assert!(bool::from(G1Affine::from_compressed_unchecked(&outside).is_some()));
    assert_eq!(signature(&outside, &bytes[48..]), "bbs_signature");
    assert_eq!(signature(&bytes[..48], &[0; 32]), "bbs_signature");
    assert_eq!(signature(&bytes[..48], &order), "bbs_signature");
    let proof = Proof::new(key.public_key(), &good, b"", b"", &MESSAGES, &[2], random).unwrap().to_bytes();
    let code = |bytes: &[u8]| Proof::from_bytes(bytes).unwrap_err().code();
    for len in (0..proof.len()).filter(|len| *len < 272 || len % 32 != 16) {
        assert_eq!(code(&proof[..len]), "bbs_proof", "{len}");
    }
    let with = |at: usize, part: &[u8]| [&proof[..at], part, &proof[at + part.len()..]].concat();
    for at in [0, 48, 96] {
        assert_eq!(code(&with(at, &infinity(48))), "bbs_proof");
        assert_eq!(code(&with(at, &outside)), "bbs_proof");
    }
    for at in (144..proof.len()).step_by(32) {
        assert_eq!(code(&with(at, &[0; 32])), "bbs_proof");
        assert_eq!(code(&with(at, &order)), "bbs_proof");
    }
}

/// The fixtures of draft-irtf-cfrg-bbs-signatures (decentralized-identity/bbs-signature, Apache-2.0): signature 4 and
/// proof 3, ten messages of which four are disclosed, with the scalars that were drawn.
#[test]
fn known_answers() {
    let unhex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    let messages = [
        "9872ad089e452c7b6e283dfac2a80d58e8d0ff71cc4d5e310a1debdda4a45f02",
        "c344136d9ab02da4dd5908bbba913ae6f58c2cc844b802a6f811f5fb075f9b80",
        "7372e9daa5ed31e6cd5c825eac1b855e84476a1d94932aa348e07b73",
        "77fe97eb97a1ebe2e81e4e3597a3ee740a66e9ef2412472c",
        "496694774c5604ab1b2544eababcf0f53278ff50",
        "515ae153e22aae04ad16f759e07237b4",
        "d183ddc6e2665aa4e2f088af",
        "ac55fb33a75909ed",
        "96012096",
        "",
    ]
    .map(unhex);
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let header = unhex("11223344556677889900aabbccddeeff");
    let presentation_header = unhex("bed231d880675ed101ead304512e043ade9958dd0241ea70b4b3957fba941501");
    let secret = unhex("60e55110f76883a13d030b2f6bd11883422d5abde717569fc0731f51237169fc");
    let key = SecretKey::from_bytes(&secret.try_into().unwrap()).unwrap();
    let public = unhex(concat!(
        "a820f230f6ae38503b86c70dc50b61c58a77e45c39ab25c0652bbaa8fa136f2851bd4781c9dcde39fc9d1d52c9e60268",
        "061e7d7632171d91aa8d460acee0e96f1e7c4cfb12d3ff9ab5d5dc91c277db75c845d649ef3c4f63aebc364cd55ded0c",
    ));
    assert_eq!(key.public_key().to_bytes(), *public);
    let signature = key.sign(&header, &messages).unwrap();
    let published = unhex(concat!(
        "8339b285a4acd89dec7777c09543a43e3cc60684b0a6f8ab335da4825c96e1463e28f8c5f4fd0641d19cec5920d3a8ff",
        "4bedb6c9691454597bbd298288abed3632078557b2ace7d44caed846e1a0a1e8",
    ));
    assert_eq!(signature.to_bytes(), *published);
    let scalars = [
        "44679831fe60eca50938ef0e812e2a9284ad7971b6932a38c7303538b712e457",
        "6481692f89086cce11779e847ff884db8eebb85a13e81b2d0c79d6c1062069d8",
        "721ce4c4c148a1d5826f326af6fd6ac2844f29533ba4127c3a43d222d51b7081",
        "1ecfaf5a079b0504b00a1f0d6fe8857291dd798291d7ad7454b398114393f37f",
        "0a4b3d59b34707bb9999bc6e2a6d382a2d2e214bff36ecd88639a14124b1622e",
        "7217411a9e329c7a5705e8db552274646e2949d62c288d7537dd62bc284715e4",
        "67d4d43660746759f598caac106a2b5f58ccd1c3eefaec31841a4f77d2548870",
        "715d965b1c3912d20505b381470ff1a528700b673e50ba89fd287e13171cc137",
        "4d3281a149674e58c9040fc7a10dd92cb9c7f76f6f0815a1afc3b09d74b92fe4",
        "438feebaa5894ca0da49992df2c97d872bf153eab07e08ff73b28131c46ff415",
        "602b723c8bbaec1b057d70f18269ae5e6de6197a5884967b03b933fa80006121",
    ];
    let mut scalars = scalars.into_iter().map(|text| scalar(&unhex(text).try_into().unwrap()).unwrap());
    let proof = Proof::with_scalars(
        key.public_key(),
        &signature,
        &header,
        &presentation_header,
        &messages,
        &[0, 2, 4, 6],
        || scalars.next().unwrap(),
    )
    .unwrap();
    let published = unhex(concat!(
        "a2ed608e8e12ed21abc2bf154e462d744a367c7f1f969bdbf784a2a134c7db2d340394223a5397a3011b1c340ebc4151",
        "99462ba6f31106d8a6da8b513b37a47afe93c9b3474d0d7a354b2edc1b88818b063332df774c141f7a07c48fe50d452f",
        "897739228c88afc797916dca01e8f03bd9c5375c7a7c59996e514bb952a436afd24457658acbaba5ddac2e693ac48135",
        "6918cd38025d86b28650e909defe9604a7259f44386b861608be742af7775a2e71a6070e5836f5f54dc43c60096834a5",
        "b6da295bf8f081f72b7cdf7f3b4347fb3ff19edaa9e74055c8ba46dbcb7594fb2b06633bb5324192eb9be91be0d33e45",
        "3b4d3127459de59a5e2193c900816f049a02cb9127dac894418105fa1641d5a206ec9c42177af9316f43341744147827",
        "6ca0303da8f941bf2e0222a43251cf5c2bf6eac1961890aa740534e519c1767e1223392a3a286b0f4d91f7f25217a786",
        "2b8fcc1810cdcfddde2a01c80fcc90b632585fec12dc4ae8fea1918e9ddeb9414623a457e88f53f545841f9d5dcb1f8e",
        "160d1560770aa79d65e2eca8edeaecb73fb7e995608b820c4a64de6313a370ba05dc25ed7c1d185192084963652f2870",
        "341bdaa4b1a37f8c06348f38a4f80c5a2650a21d59f09e8305dcd3fc3ac30e2a",
    ));
    assert_eq!(proof.to_bytes(), published);
    let disclosed = [0, 2, 4, 6].map(|index| (index, messages[index])).into();
    proof.verify(key.public_key(), &header, &presentation_header, &disclosed).unwrap();
    let first = unhex(
        "a9ec65b70a7fbe40c874c9eb041c2cb0a7af36ccec1bea48fa2ba4c2eb67ef7f9ecb17ed27d38d27cdeddff44c8137be",
    );
    assert_eq!(generators(3).unwrap()[0].to_compressed(), *first);
    let third = unhex(
        "b479263445f4d2108965a9086f9d1fdc8cde77d14a91c856769521ad3344754cc5ce90d9bc4c696dffbc9ef1d6ad1b62",
    );
    assert_eq!(generators(3).unwrap()[3].to_compressed(), *third);
}
