use firedrill_faults::Target;
use firedrill_undo::Quantity;
use serde_json::json;

use crate::drill::{Drill, compile};
use crate::places::OwnMount;

const DISK: &str = "infrastructure.disk-fill";
const INODES: &str = "infrastructure.inodes";
const MIB: u64 = 1 << 20;

#[test]
fn bytes_and_levels_are_what_statvfs_says_and_are_given_back() {
    let Some(mount) = OwnMount::tmpfs("size=32m") else {
        return;
    };
    let before = mount.space();
    for (arguments, expected) in [
        (json!({"path": mount.path(), "bytes": "8MiB"}), 8 * MIB),
        (json!({"path": mount.path(), "percent": 75}), 24 * MIB),
        (
            json!({"path": mount.path(), "percent": 100, "reserve": 0}),
            32 * MIB,
        ),
    ] {
        let placed = Drill::begin().apply(DISK, &arguments, Target::Host);
        let taken = before.available_bytes - mount.space().available_bytes;
        let figure = placed.figure(Quantity::DiskHeld);
        eprintln!("disk: asked {expected}, statvfs says {taken}, we say {figure}");
        assert!(taken.abs_diff(expected) <= 64 << 10, "{taken}");
        assert!((figure.achieved - taken as f64).abs() <= (64 << 10) as f64);
        assert_eq!(std::fs::read_dir(mount.path()).unwrap().count(), 0);
        placed.revert();
        assert_eq!(mount.space(), before);
    }
}

#[test]
fn the_reserve_is_never_taken() {
    let Some(mount) = OwnMount::tmpfs("size=32m,nr_inodes=400") else {
        return;
    };
    let host = [Target::Host];
    for (fault, arguments) in [
        (DISK, json!({"path": mount.path(), "bytes": "31MiB"})),
        (
            DISK,
            json!({"path": mount.path(), "bytes": "20MiB", "reserve": "16MiB"}),
        ),
        (DISK, json!({"path": mount.path(), "percent": 100})),
        (INODES, json!({"path": mount.path(), "count": 399})),
        (INODES, json!({"path": mount.path(), "percent": 100})),
    ] {
        let error = compile(fault, &arguments, &host).unwrap_err();
        assert!(error.to_string().contains("beside the reserve"), "{error}");
    }
}

#[test]
fn inodes_are_what_statvfs_says_and_are_given_back() {
    let Some(mount) = OwnMount::tmpfs("size=32m,nr_inodes=400") else {
        return;
    };
    let before = mount.space();
    for (arguments, expected) in [
        (json!({"path": mount.path(), "count": 100}), 100),
        (
            json!({"path": mount.path(), "percent": 50}),
            200 - (400 - before.inodes_free),
        ),
    ] {
        let placed = Drill::begin().apply(INODES, &arguments, Target::Host);
        let taken = before.inodes_free - mount.space().inodes_free;
        assert_eq!(taken, expected);
        assert_eq!(
            placed.figure(Quantity::InodesHeld).achieved,
            expected as f64
        );
        placed.revert();
        assert_eq!(mount.space(), before);
    }
}

#[test]
fn inodes_of_the_reserve_stay_free() {
    let Some(mount) = OwnMount::tmpfs("size=32m,nr_inodes=400") else {
        return;
    };
    let free = mount.space().inodes_free;
    let take = |reserve: u64| json!({"path": mount.path(), "count": free - 50, "reserve": reserve});
    let refused = compile(INODES, &take(51), &[Target::Host]).unwrap_err();
    assert!(
        refused.to_string().contains("beside the reserve of 51"),
        "{refused}"
    );
    let placed = Drill::begin().apply(INODES, &take(50), Target::Host);
    assert_eq!(mount.space().inodes_free, 50);
    placed.revert();
    assert_eq!(mount.space().inodes_free, free);
}

#[test]
fn a_full_disk_stays_full_for_whoever_writes_until_the_undo() {
    let Some(mount) = OwnMount::tmpfs("size=16m") else {
        return;
    };
    let full = json!({"path": mount.path(), "percent": 100, "reserve": 0});
    let placed = Drill::begin().apply(DISK, &full, Target::Host);
    let file = format!("{}/file", mount.path());
    let refused = std::fs::write(&file, [1; 8192]).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::StorageFull);
    placed.revert();
    std::fs::write(&file, [1; 8192]).unwrap();
}
