// SPDX-License-Identifier: GPL-2.0

//! VPP's own test case: 100 flows to five servers, and what becomes of the table when weights change or a server leaves.

use super::*;
use std::string::String;
use std::vec;
use std::vec::Vec;

const SIZE: u32 = 1024;

/// Five servers of weight 100: the last number of the server's address in each row.
const TABLE: &str = "\
    0004314410314423034422413331430422020203132442044234112420141041\
    1403440203344432241320204011243011322012110120122232343122240431\
    2003443014441201223333332330230321113431040243114301321232301333\
    2411142043234341313400414332123321441233230041032122242234313002\
    1441103422111140001310324120003220333310114104304113120044122110\
    1104212403310102220203324413041223014031241000310342432340213301\
    3002341000311120222221002140104100421032402340343021311320340340\
    2232040401303413402121010310220402240333404030233213201200304212\
    1320330400430403413324441411412041414031332102213143144213241143\
    3324341414330220430344331220414402300013121101420311411013430121\
    3443003041412242122234241001404230311320320042102340200013421402\
    1142132342021111232122404404224421402122133433203331032241421010\
    4111003310304421440430212432401201011303410032424200241223441413\
    4032404340244321324232114202002034202034222330121344004413232423\
    0042142124312110041330040231143411413314121231324041204400403421\
    1410420003000124424033432340340123410324021132343422133203433014";

/// Hashes of the flows, by addresses and ports and by addresses alone.
const HASHES: [u32; 100] = [
    0xb776_79e2,
    0xe5f1_e84a,
    0x1279_5ab2,
    0x40fe_cb1a,
    0xf884_49b3,
    0xaa03_d81b,
    0x5d8b_6ae3,
    0x0f0c_fb4b,
    0x2892_1940,
    0x7a15_88e8,
    0x8d9d_3a10,
    0xdf1a_abb8,
    0x6760_2911,
    0x35e7_b8b9,
    0xc26f_0a41,
    0x90e8_9be9,
    0x1be6_4449,
    0x4961_d5e1,
    0xbee9_6719,
    0xec6e_f6b1,
    0x5414_7418,
    0x0693_e5b0,
    0xf11b_5748,
    0xa39c_c6e0,
    0x8402_24eb,
    0xd685_b543,
    0x210d_07bb,
    0x738a_9613,
    0xcbf0_14ba,
    0x9977_8512,
    0x6eff_37ea,
    0x3c78_a642,
    0xc33f_1688,
    0x91b8_8720,
    0x6630_35d8,
    0x34b7_a470,
    0x8ccd_26d9,
    0xde4a_b771,
    0x29c2_0589,
    0x7b45_9421,
    0x5cdb_762a,
    0x0e5c_e782,
    0xf9d4_557a,
    0xab53_c4d2,
    0x1329_467b,
    0x41ae_d7d3,
    0xb626_652b,
    0xe4a1_f483,
    0x472a_49ee,
    0x15ad_d846,
    0xe225_6abe,
    0xb0a2_fb16,
    0x08d8_79bf,
    0x5a5f_e817,
    0xadd7_5aef,
    0xff50_cb47,
    0xd8ce_294c,
    0x8a49_b8e4,
    0x7dc1_0a1c,
    0x2f46_9bb4,
    0x973c_191d,
    0xc5bb_88b5,
    0x3233_3a4d,
    0x60b4_abe5,
    0x5fe4_a736,
    0x0d63_369e,
    0xfaeb_8466,
    0xa86c_15ce,
    0x1016_9767,
    0x4291_06cf,
    0xb519_b437,
    0xe79e_259f,
    0xc000_c794,
    0x9287_563c,
    0x650f_e4c4,
    0x3788_756c,
    0x8ff2_f7c5,
    0xdd75_666d,
    0x2afd_d495,
    0x787a_453d,
    0xf374_9a9d,
    0xa1f3_0b35,
    0x567b_b9cd,
    0x04fc_2865,
    0xbc86_aacc,
    0xee01_3b64,
    0x1989_899c,
    0x4b0e_1834,
    0x6c90_fa3f,
    0x3e17_6b97,
    0xc99f_d96f,
    0x9b18_48c7,
    0x2362_ca6e,
    0x71e5_5bc6,
    0x866d_e93e,
    0xd4ea_7896,
    0x2bad_c85c,
    0x792a_59f4,
    0x8ea2_eb0c,
    0xdc25_7aa4,
];
const BY_ADDRESSES: [u32; 100] = [
    0x30e8_0663,
    0x95b4_5cee,
    0x7fbc_c588,
    0xdae0_9f05,
    0xae41_81b5,
    0x0b1d_db38,
    0xe115_425e,
    0x4449_18d3,
    0x0857_7f3e,
    0xad0b_25b3,
    0x4703_bcd5,
    0xe25f_e658,
    0x96fe_f8e8,
    0x33a2_a265,
    0xd9aa_3b03,
    0x7cf6_618e,
    0x4196_f4d9,
    0xe4ca_ae54,
    0x0ec2_3732,
    0xab9e_6dbf,
    0xdf3f_730f,
    0x7a63_2982,
    0x906b_b0e4,
    0x3537_ea69,
    0x7929_8d84,
    0xdc75_d709,
    0x367d_4e6f,
    0x9321_14e2,
    0xe780_0a52,
    0x42dc_50df,
    0xa8d4_c9b9,
    0x0d88_9334,
    0xd215_e317,
    0x7749_b99a,
    0x9d41_20fc,
    0x381d_7a71,
    0x4cbc_64c1,
    0xe9e0_3e4c,
    0x03e8_a72a,
    0xa6b4_fda7,
    0xeaaa_9a4a,
    0x4ff6_c0c7,
    0xa5fe_59a1,
    0x00a2_032c,
    0x7403_1d9c,
    0xd15f_4711,
    0x3b57_de77,
    0x9e0b_84fa,
    0xa36b_11ad,
    0x0637_4b20,
    0xec3f_d246,
    0x4963_88cb,
    0x3dc2_967b,
    0x989e_ccf6,
    0x7296_5590,
    0xd7ca_0f1d,
    0x9bd4_68f0,
    0x3e88_327d,
    0xd480_ab1b,
    0x71dc_f196,
    0x057d_ef26,
    0xa021_b5ab,
    0x4a29_2ccd,
    0xef75_7640,
    0xf0ff_ba7a,
    0x55a3_e0f7,
    0xbfab_7991,
    0x1af7_231c,
    0x6e56_3dac,
    0xcb0a_6721,
    0x2102_fe47,
    0x845e_a4ca,
    0xc840_c327,
    0x6d1c_99aa,
    0x8714_00cc,
    0x2248_5a41,
    0x56e9_44f1,
    0xf3b5_1e7c,
    0x19bd_871a,
    0xbce1_dd97,
    0x8181_48c0,
    0x24dd_124d,
    0xced5_8b2b,
    0x6b89_d1a6,
    0x1f28_cf16,
    0xba74_959b,
    0x507c_0cfd,
    0xf520_5670,
    0xb93e_319d,
    0x1c62_6b10,
    0xf66a_f276,
    0x5336_a8fb,
    0x2797_b64b,
    0x82cb_ecc6,
    0x68c3_75a0,
    0xcd9f_2f2d,
    0x1202_5f0e,
    0xb75e_0583,
    0x5d56_9ce5,
    0xf80a_c668,
];
/// The servers of these flows.
const SERVERS: &str =
    "2343110412400232324333420403311240024302242330132002010301420223141141413110213104401211341040132241";
const SERVERS_BY_ADDRESSES: &str =
    "0000124411012012340010123024030214334002300314030013322021200333422441423243103022032000041132022221";

fn server(number: u8, weight: u16) -> Server {
    Server {
        addr: Addr::V4([10, 0, 0, number]),
        weight,
    }
}

fn table(servers: &[Server]) -> Vec<u8> {
    let mut rows = vec![0xee; SIZE as usize];
    let mut cursors = vec![Cursor::default(); cursors_needed(servers)];
    let mut free = vec![0; super::super::words_needed(SIZE)];
    let room = (&mut cursors[..], &mut free[..]);
    build(SIZE, servers, &mut rows, room, &mut || ()).unwrap();
    rows
}

/// Five servers, or four.
fn servers(weight: u16, gone: Option<u8>) -> Vec<Server> {
    let left = (0..5).filter(|number| Some(*number) != gone);
    left.map(|number| server(number, weight)).collect()
}

/// The last number of the server's address in each row.
fn numbers(servers: &[Server]) -> String {
    let digit = |index: u8| match servers[usize::from(index)].addr {
        Addr::V4([.., number]) => char::from(b'0' + number),
        Addr::V6(_) => unreachable!("servers have IPv4 addresses"),
    };
    table(servers).into_iter().map(digit).collect()
}

#[test]
fn the_table_of_five_servers_row_for_row() {
    assert_eq!(numbers(&servers(100, None)), TABLE);
    let mut order = servers(100, None);
    order.reverse();
    assert_eq!(numbers(&order), TABLE);
    order.swap(1, 3);
    assert_eq!(numbers(&order), TABLE);
}

#[test]
fn a_hundred_flows() {
    let table = TABLE.as_bytes();
    for flow in 0..100u8 {
        let key = FlowKey {
            addrs: Addrs::V4 {
                src: [40, 0, 0, flow],
                dst: [90, 0, 0, flow],
            },
            src_port: 10_000 + u16::from(flow),
            dst_port: 20_000,
        };
        let number = usize::from(flow);
        for (by, hashes, servers) in [
            (By::Flow, HASHES, SERVERS),
            (By::Addresses, BY_ADDRESSES, SERVERS_BY_ADDRESSES),
        ] {
            let hash = flow_hash(&key, by);
            assert_eq!(hash, hashes[number], "{flow} {by:?}");
            let server = table[row(hash, SIZE) as usize];
            assert_eq!(server, servers.as_bytes()[number], "{flow} {by:?}");
        }
    }
}

#[test]
fn the_hash_is_that_of_the_instruction_for_every_word() {
    // Bit by bit, as the manual of the instruction defines it.
    let slow = |crc: u32, word: u64| {
        word.to_le_bytes().into_iter().fold(crc, |crc, byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
            })
        })
    };
    let mut word = 1u64;
    let mut crc = 0;
    for _ in 0..10_000 {
        word = xxhash(word);
        assert_eq!(crc32c(crc, word), slow(crc, word));
        crc = crc32c(crc, word);
    }
    // The check value of CRC-32C, which is defined with inversions: "123456789" in a word and a byte.
    let begun = crc32c(u32::MAX, u64::from_le_bytes(*b"12345678"));
    let ended = (0..8).fold(begun ^ u32::from(b'9'), |crc, _| {
        crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
    });
    assert_eq!(!ended, 0xe306_9283);
}

#[test]
fn ipv6_addresses_and_ports_are_five_words() {
    let src = core::array::from_fn(|i| i as u8);
    let dst = core::array::from_fn(|i| 0x80 | i as u8);
    let key = FlowKey {
        addrs: Addrs::V6 { src, dst },
        src_port: 0x1234,
        dst_port: 0x5678,
    };
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let addrs = [&src[..8], &src[8..], &dst[..8], &dst[8..]];
    let addrs = addrs.map(word).into_iter().fold(0, crc32c);
    assert_eq!(flow_hash(&key, By::Addresses), crc32c(addrs, 0));
    assert_eq!(flow_hash(&key, By::Flow), crc32c(addrs, 0x3412_7856));
}

#[test]
fn weights_are_replicas() {
    let counts = |weights: &[u16]| -> Vec<usize> {
        let servers: Vec<Server> = (0..).zip(weights).map(|(n, w)| server(n, *w)).collect();
        let rows = table(&servers);
        let count = |index| {
            rows.iter()
                .filter(|row| usize::from(**row) == index)
                .count()
        };
        (0..weights.len()).map(count).collect()
    };
    assert_eq!(counts(&[100, 100, 100, 100]), [256, 256, 256, 256]);
    assert_eq!(counts(&[50, 100, 100, 100]), [150, 292, 291, 291]);
    assert_eq!(counts(&[50, 0, 100, 100]), [208, 0, 408, 408]);
    assert_eq!(counts(&[100; 5]), [205, 205, 205, 205, 204]);
}

#[test]
fn moves_when_a_server_leaves() {
    for (weight, needless) in [(100, [132, 132, 130, 127, 133]), (1, [14, 12, 9, 14, 14])] {
        let before = numbers(&servers(weight, None));
        for (gone, needless) in (0..5).zip(needless) {
            let after = numbers(&servers(weight, Some(gone)));
            let gone = char::from(b'0' + gone);
            let moved = before.chars().zip(after.chars());
            let moved = moved.filter(|(old, new)| *old != gone && old != new);
            assert_eq!(moved.count(), needless, "weight {weight}, without {gone}");
        }
    }
}

#[test]
fn more_replicas_than_rows() {
    let many: Vec<Server> = (0..=255).map(|number| server(number, 1000)).collect();
    let rows = table(&many);
    let has = |index: &u8| rows.iter().filter(|row| *row == index).count();
    assert!((0..=255).all(|index| has(&index) == 4));
}

#[test]
fn what_cannot_be_built_is_refused() {
    assert_eq!(check(1024), Ok(()));
    assert_eq!(check(524_288), Ok(()));
    assert_eq!(check(1023), Err(SizeError::NotPowerOfTwo(1024)));
    assert_eq!(check(524_289), Err(SizeError::NotPowerOfTwo(524_288)));
    assert_eq!(check(1), Err(SizeError::TooSmall(2)));
    assert_eq!(check(0), Err(SizeError::TooSmall(2)));
    assert_eq!(check(1 << 20), Err(SizeError::TooLarge));
    assert_eq!(check(u32::MAX), Err(SizeError::TooLarge));
    let mut rows = vec![0; SIZE as usize];
    let (mut cursors, mut free) = (vec![Cursor::default(); 500], vec![0; 16]);
    let mut tried = |size: u32, servers: &[Server]| {
        let room = (&mut cursors[..], &mut free[..]);
        build(size, servers, &mut rows, room, &mut || ())
    };
    assert_eq!(tried(SIZE, &[]), Err(RowsError::NoBackend));
    assert_eq!(tried(SIZE, &servers(0, None)), Err(RowsError::NoBackend));
    assert_eq!(tried(SIZE, &servers(101, None)), Err(RowsError::Room));
    assert_eq!(tried(2 * SIZE, &servers(1, None)), Err(RowsError::Room));
    let heavy = [server(0, 1), server(1, 1001)];
    assert_eq!(tried(SIZE, &heavy), Err(RowsError::Weight(1)));
    assert_eq!(tried(SIZE, &[server(0, 1); 257]), Err(RowsError::Backends));
    let size = Err(RowsError::Size(SizeError::NotPowerOfTwo(1024)));
    assert_eq!(tried(1021, &servers(1, None)), size);
    assert_eq!(tried(2, &servers(1, None)), Ok(()));
}
