//! What happens to records and files when the world is unkind.

use super::*;

#[test]
fn a_second_record_of_an_id_is_lost_and_the_others_are_not() {
    let scratch = Scratch::new();
    let (ledger, said) = start(&scratch.db());
    for id in ["a", "b", "a", "c"] {
        ledger.record(entry(id));
    }
    ledger.close();
    assert_eq!((ledger.lost(), ledger.failing()), (1, false));
    assert_eq!(rows(&scratch.db()), Some(3));
    assert_eq!(*said.lock().unwrap(), [""; 0]);
}

#[test]
fn a_locked_database_delays_nobody_and_recording_resumes() {
    let scratch = Scratch::new();
    write(&scratch.db(), []);
    let other = Connection::open(scratch.db()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let (ledger, said) = start(&scratch.db());
    until("it is noticed", || ledger.failing());
    // The lock is held until all are handed over: who waited for it would wait for ever.
    let sent = QUEUE_RECORDS_MAX as u64 + 5000;
    for number in 0..sent {
        ledger.record(entry(&format!("id{number}")));
    }
    let lost = ledger.lost();
    // The writer may have a batch in hand by then.
    let fewest = 5000 - writer::BATCH_ROWS_MAX as u64;
    assert!((fewest..=5000).contains(&lost), "the queue holds its part, the rest is lost: {lost}");

    other.execute_batch("COMMIT").unwrap();
    until("it works again", || !ledger.failing());
    ledger.close();
    assert_eq!(rows(&scratch.db()), Some((sent - lost) as i64));
    let said = said.lock().unwrap();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("locked; requests go on"), "{said:?}");
    assert!(said[1].contains(&format!("recording again; {lost} records lost")), "{said:?}");
}

#[test]
fn records_that_come_faster_than_the_disk_takes_them_wait_for_it() {
    let scratch = Scratch::new();
    let (ledger, _said) = start(&scratch.db());
    let sent = 5 * QUEUE_RECORDS_MAX;
    for number in 0..sent {
        ledger.record(entry(&format!("id{number}")));
    }
    // A disk that stops for longer than anybody waits may take some.
    let lost = ledger.lost() as usize;
    assert!(lost < sent / 100, "{lost} of {sent} are lost");
    ledger.close();
    assert_eq!(rows(&scratch.db()), Some((sent - lost) as i64));
}

#[test]
fn a_damaged_file_is_moved_aside_and_recording_goes_on() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.db().parent().unwrap()).unwrap();
    fs::write(scratch.db(), "this is no database".repeat(500)).unwrap();
    let (ledger, said) = start(&scratch.db());
    ledger.record(entry("a"));
    ledger.close();
    assert_eq!((ledger.lost(), rows(&scratch.db())), (0, Some(1)));
    let aside: Vec<PathBuf> = beside(&scratch.db(), ".corrupt-");
    assert_eq!(aside.len(), 1);
    assert!(fs::read_to_string(&aside[0]).unwrap().starts_with("this is no database"));
    let said = said.lock().unwrap();
    assert!(said.len() == 1 && said[0].contains("moved to"), "{said:?}");
}

#[test]
fn a_file_damaged_again_at_once_stays_where_it_is() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.db().parent().unwrap()).unwrap();
    fs::write(scratch.db(), "damaged").unwrap();
    let (ledger, _) = start(&scratch.db());
    ledger.record(entry("a"));
    until("a row in a new file", || rows(&scratch.db()) == Some(1));
    let new = scratch.db().with_file_name("new.db");
    fs::write(&new, "damaged again").unwrap();
    fs::rename(&new, scratch.db()).unwrap();
    ledger.record(entry("b"));
    until("it is noticed", || ledger.failing());
    ledger.close();
    assert_eq!(ledger.lost(), 1);
    assert!(fs::read(scratch.db()).unwrap() == b"damaged again");
}

#[test]
fn damage_during_work_is_noticed_too() {
    let scratch = Scratch::new();
    write(&scratch.db(), (0..2000).map(|number| entry(&format!("id{number}"))));
    // A header that is fine, and pages that are not.
    let mut bytes = fs::read(scratch.db()).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(scratch.db(), bytes).unwrap();
    write(&scratch.db(), [entry("after")]);
    assert_eq!(rows(&scratch.db()), Some(1));
    assert_eq!(beside(&scratch.db(), ".corrupt-").len(), 1);
}

/// SQLite keeps what it has not yet moved into the database in a log beside it, and would apply
/// the log of the old file to the new one.
#[test]
fn a_deleted_or_replaced_file_takes_no_row_of_the_old_one() {
    check(|path| fs::remove_dir_all(path.parent().unwrap()).unwrap(), &["b"]);
    check(|path| fs::remove_file(path).unwrap(), &["b"]);
    let replace = |path: &Path| {
        let other = path.with_file_name("other.db");
        write(&other, [entry("other")]);
        fs::rename(other, path).unwrap();
    };
    check(replace, &["other", "b"]);

    #[track_caller]
    fn check(harm: fn(&Path), ids: &[&str]) {
        let scratch = Scratch::new();
        let (ledger, said) = start(&scratch.db());
        ledger.record(entry("a"));
        until("a row", || rows(&scratch.db()) == Some(1));
        harm(&scratch.db());
        ledger.record(entry("b"));
        ledger.close();
        assert_eq!(read(&scratch.db(), "SELECT request_id FROM requests ORDER BY id"), ids);
        assert_eq!((ledger.lost(), said.lock().unwrap().len()), (0, 0));
    }
}

#[test]
fn a_log_without_its_database_is_not_taken_for_the_new_ones() {
    let scratch = Scratch::new();
    let (ledger, _) = start(&scratch.db());
    ledger.record(entry("a"));
    until("a row", || rows(&scratch.db()) == Some(1));
    // As after a killed process and a deleted file.
    let copy = scratch.0.join("copy.db");
    fs::copy(scratch.db().with_file_name("monitor.db-wal"), scratch.0.join("copy.db-wal")).unwrap();
    ledger.close();
    write(&copy, [entry("b")]);
    assert_eq!(read(&copy, "SELECT request_id FROM requests"), ["b"]);
    assert_eq!(beside(&copy, ".corrupt-").len(), 1, "it is kept");
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let scratch = Scratch::new();
    let file = |name: &str, sql: &str| {
        let path = scratch.0.join(name);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    };
    let foreign = file("foreign.db", "CREATE TABLE notes (text TEXT)");
    let newer = scratch.0.join("newer.db");
    write(&newer, []);
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let link = scratch.0.join("link.db");
    symlink(&foreign, &link).unwrap();
    check(&foreign, "is not a database of tokenpak's");
    let known = schema::VERSION;
    check(
        &newer,
        &format!("has schema 99, this tokenpak knows up to {known}; use a newer tokenpak"),
    );
    let notes = scratch.0.join("notes.txt");
    fs::write(&notes, "buy milk\n".repeat(100)).unwrap();
    check(&notes, "is damaged or not a database; requests go on");
    check(&link, "is a symbolic link");
    check(&scratch.0, "unable to open database file");
    check(Path::new("/proc/tokenpak/monitor.db"), "");

    #[track_caller]
    fn check(path: &Path, why: &str) {
        let before = fs::read(path).ok();
        let (ledger, said) = start(path);
        ledger.record(entry("a"));
        ledger.close();
        assert_eq!((ledger.lost(), ledger.failing()), (1, true));
        let said = said.lock().unwrap();
        assert!(
            said.len() == 1 && said[0].starts_with(&format!("{}: {why}", path.display())),
            "{said:?}"
        );
        assert_eq!(fs::read(path).ok(), before);
        assert_eq!(beside(path, ".corrupt-"), [""; 0].map(PathBuf::from));
    }
}
