//! Rereading with a simulated busy disk, and with a real loop device if one can be created.

use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;

use super::*;
use crate::disk::tests::loop_device::LoopDevice;

fn busy() -> io::Result<()> {
    Err(ErrorKind::ResourceBusy.into())
}

#[test]
fn retries_a_busy_disk_ten_times() {
    for (busy_for, tries, outcome) in
        [(0, 1, true), (3, 4, true), (9, 10, true), (10, 10, false), (99, 10, false)]
    {
        let (mut asked, mut slept) = (0, Duration::ZERO);
        let once = || {
            asked += 1;
            if asked <= busy_for { busy() } else { Ok(()) }
        };
        let answer = retry_while_busy(once, |pause| slept += pause);
        assert_eq!((answer.is_ok(), asked), (outcome, tries), "busy for {busy_for}");
        assert_eq!(slept, Duration::from_millis(200) * (tries - 1), "busy for {busy_for}");
    }
    assert_eq!(
        retry_while_busy(busy, |_| ()).unwrap_err().to_string(),
        "it is still in use after 10 tries"
    );
}

#[test]
fn reports_another_error_at_once() {
    let mut asked = 0;
    let once = || {
        asked += 1;
        Err(Error::other("not a block device"))
    };
    assert!(retry_while_busy(once, |_| panic!("no reason to wait")).is_err());
    assert_eq!(asked, 1);
}

#[test]
fn reports_what_is_not_a_disk() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (path, reason) in [
        (file.path(), "not a block device"),
        (Path::new("/dev/no-such-disk"), "No such file or directory (os error 2)"),
    ] {
        let error = format!("{:#}", reread(path, Path::new("/sys")).unwrap_err());
        let doing = format!("reading the new partition table of '{}'", path.display());
        assert_eq!(error, format!("{doing}: {reason}"));
    }
}

#[test]
fn the_kernel_reads_the_table_of_a_real_disk_again_unless_it_is_held() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(4 << 20).unwrap();
    let sys = Path::new("/sys");
    let Some(device) = LoopDevice::new(file.path(), 512) else {
        // Without the right to make a disk there is none to read either, and that is said.
        let unreadable = Path::new("/dev/loop-control");
        let error = format!("{:#}", reread(unreadable, sys).unwrap_err());
        assert!(error.contains("/dev/loop-control"), "{error}");
        return;
    };
    let disk = Path::new(&device.path);
    assert_eq!(reread(disk, sys).unwrap(), Vec::<String>::new());
    // One partition of 1 MiB from 1 MiB on: record 1 of an MBR.
    let mut sector = [0; 512];
    sector[446 + 4] = 0x83;
    sector[446 + 8..446 + 16].copy_from_slice(&[0, 8, 0, 0, 0, 8, 0, 0]);
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    std::fs::OpenOptions::new()
        .write(true)
        .open(disk)
        .and_then(|disk| {
            std::os::unix::fs::FileExt::write_all_at(&disk, &sector, 0)?;
            disk.sync_all()
        })
        .unwrap();
    let number = device.path.strip_prefix("/dev/").unwrap();
    let seen = reread(disk, sys).unwrap();
    // A kernel without MBR support (CONFIG_MSDOS_PARTITION) sees nothing. /proc/partitions is another's word for what there is.
    let listed = std::fs::read_to_string("/proc/partitions").unwrap();
    let listed = listed.split_whitespace().filter(|word| word.starts_with(&format!("{number}p")));
    assert_eq!(seen, listed.collect::<Vec<_>>());

    let flags = i32::try_from(OFlags::EXCL.bits()).unwrap();
    let held = std::fs::OpenOptions::new().write(true).custom_flags(flags).open(disk).unwrap();
    let error = retry_while_busy(|| reread_once(disk), |_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy, "{error}");
    drop(held);
    retry_while_busy(|| reread_once(disk), |_| ()).unwrap();
}
