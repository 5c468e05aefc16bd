use std::cell::RefCell;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::primitive::Primitive;

/// Memory that can be told to fail.
#[derive(Clone, Default)]
struct Disk(Rc<RefCell<DiskState>>);

#[derive(Default)]
struct DiskState {
    bytes: Vec<u8>,
    full: bool,
    sync_fails: bool,
    syncs: usize,
}

impl Medium for Disk {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        let start = usize::try_from(offset).unwrap();
        let end = start + bytes.len();
        if end > disk.bytes.len() {
            if disk.full {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            disk.bytes.resize(end, 0);
        }
        disk.bytes[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        disk.syncs += 1;
        if disk.sync_fails {
            return Err(io::Error::other("the device is gone"));
        }
        Ok(())
    }
}

fn prepared(id: u64, word: &str) -> Record {
    Record::Prepared {
        id,
        effects: vec![Primitive::RunRollbacks {
            argv: vec![word.into()],
        }],
    }
}

fn log_on(disk: &Disk) -> Log<Disk> {
    Log::on(disk.clone(), Path::new("undo.log")).unwrap()
}

#[test]
fn what_was_appended_is_read_back() {
    let disk = Disk::default();
    let mut log = log_on(&disk);
    let records = [
        prepared(1, "one"),
        Record::Applied { id: 1 },
        Record::Done { id: 1 },
    ];
    for record in &records {
        log.append(record, Durability::Synced).unwrap();
    }
    assert_eq!(parse(&disk.0.borrow().bytes).records, records);
}

#[test]
fn a_failed_sync_poisons_the_log_and_is_never_retried() {
    let disk = Disk::default();
    let mut log = log_on(&disk);
    disk.0.borrow_mut().sync_fails = true;
    assert!(log.append(&prepared(1, "one"), Durability::Synced).is_err());
    disk.0.borrow_mut().sync_fails = false;
    let error = log
        .append(&prepared(2, "two"), Durability::Synced)
        .unwrap_err();
    assert!(matches!(error, LogError::Poisoned { .. }));
    assert_eq!(disk.0.borrow().syncs, 1);
}

#[test]
fn a_poisoned_log_still_takes_notes_of_an_undo() {
    let disk = Disk::default();
    let mut log = log_on(&disk);
    disk.0.borrow_mut().sync_fails = true;
    assert!(log.append(&prepared(1, "one"), Durability::Synced).is_err());
    log.append(&Record::Done { id: 1 }, Durability::Written)
        .unwrap();
    let records = parse(&disk.0.borrow().bytes).records;
    assert_eq!(records.last(), Some(&Record::Done { id: 1 }));
}

#[test]
fn a_full_disk_has_room_for_what_was_allocated() {
    let disk = Disk::default();
    let mut log = log_on(&disk);
    disk.0.borrow_mut().full = true;
    log.append(&prepared(1, "one"), Durability::Synced).unwrap();
    log.append(&Record::Done { id: 1 }, Durability::Synced)
        .unwrap();
    let large = "x".repeat(usize::try_from(CHUNK).unwrap());
    assert!(
        log.append(&prepared(2, &large), Durability::Synced)
            .is_err()
    );
    assert_eq!(parse(&disk.0.borrow().bytes).records.len(), 2);
}

#[test]
fn a_record_larger_than_a_chunk_is_allocated_first() {
    let disk = Disk::default();
    let mut log = log_on(&disk);
    let large = "x".repeat(3 * usize::try_from(CHUNK).unwrap());
    log.append(&prepared(1, &large), Durability::Synced)
        .unwrap();
    log.append(&Record::Done { id: 1 }, Durability::Synced)
        .unwrap();
    assert_eq!(parse(&disk.0.borrow().bytes).records.len(), 2);
}

#[test]
fn remains_of_an_overwritten_tail_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("undo.log");
    let mut log = Log::create(&path).unwrap();
    log.append(&prepared(1, "a"), Durability::Written).unwrap();
    let keep = parse(&std::fs::read(&path).unwrap()).length;
    // The third record stays whole, with the number that will be due again.
    log.append(&Record::Done { id: 7 }, Durability::Written)
        .unwrap();
    log.append(&Record::Done { id: 8 }, Durability::Written)
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[usize::try_from(keep).unwrap()] = b'z';
    std::fs::write(&path, &bytes).unwrap();
    let (mut log, contents) = Log::resume(&path).unwrap();
    assert_eq!(contents.records.len(), 1);
    log.append(&Record::Done { id: 1 }, Durability::Written)
        .unwrap();
    let records = read(&path).unwrap().records;
    assert_eq!(records, [prepared(1, "a"), Record::Done { id: 1 }]);
}

#[test]
fn the_checksum_is_the_common_one() {
    assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
}

proptest! {
    #[test]
    fn a_log_cut_anywhere_reads_as_its_whole_records(cut in 0_usize..2000, fill in any::<u8>()) {
        let disk = Disk::default();
        let mut log = log_on(&disk);
        let mut ends = vec![0];
        for id in 1..=8 {
            log.append(&prepared(id, &"w".repeat(usize::try_from(id).unwrap() * 9)),
                Durability::Written).unwrap();
            ends.push(usize::try_from(log.end).unwrap());
        }
        let mut bytes = disk.0.borrow().bytes.clone();
        let cut = cut.min(ends[8]);
        // A torn write leaves anything beyond the cut: zeros, or what was there before.
        for byte in &mut bytes[cut..ends[8]] {
            *byte = fill;
        }
        let whole = ends.iter().filter(|end| **end > 0 && **end <= cut).count();
        let contents = parse(&bytes);
        // The byte after the cut may by chance be the right one; no record is ever invented.
        prop_assert!(contents.records.len() >= whole);
        prop_assert!(contents.records.len() <= whole + 1);
        for (index, record) in contents.records.iter().enumerate() {
            let id = index as u64 + 1;
            prop_assert_eq!(record, &prepared(id, &"w".repeat(usize::try_from(id).unwrap() * 9)));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let contents = parse(&bytes);
        prop_assert!(contents.length <= bytes.len() as u64);
    }
}
