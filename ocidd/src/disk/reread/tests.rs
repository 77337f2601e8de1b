//! Rereading with a simulated busy disk, and with a real loop device if one can be created.

use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;

use super::*;
use crate::disk::tests::loop_device::LoopDevice;

fn busy() -> Result<(), RereadError> {
    Err(RereadError::Busy { disk: "/dev/vda".into(), tries: TRIES })
}

#[test]
fn retries_a_busy_disk_ten_times() {
    for (busy_for, tries, outcome) in
        [(0, 1, true), (3, 4, true), (9, 10, true), (10, 10, false), (99, 10, false)]
    {
        let (mut asked, mut slept) = (0, Duration::ZERO);
        let once = |_: &Path| {
            asked += 1;
            if asked <= busy_for { busy() } else { Ok(()) }
        };
        let answer = retry_while_busy(Path::new("/dev/vda"), once, |pause| slept += pause);
        assert_eq!((answer.is_ok(), asked), (outcome, tries), "busy for {busy_for}");
        assert_eq!(slept, Duration::from_millis(200) * (tries - 1), "busy for {busy_for}");
    }
    assert_eq!(
        busy().unwrap_err().to_string(),
        "'/dev/vda' is still in use after 10 tries, the kernel keeps the old partition table"
    );
}

#[test]
fn reports_another_error_at_once() {
    let mut asked = 0;
    let once = |_: &Path| {
        asked += 1;
        Err(RereadError::NotADisk { disk: "x".into() })
    };
    assert!(retry_while_busy(Path::new("x"), once, |_| panic!("no reason to wait")).is_err());
    assert_eq!(asked, 1);
}

#[test]
fn reports_what_is_not_a_disk() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let sys = Path::new("/sys");
    let error = reread(file.path(), sys).unwrap_err();
    assert!(matches!(error, RereadError::NotADisk { .. }), "{error}");
    let error = reread(Path::new("/dev/no-such-disk"), sys).unwrap_err();
    assert_eq!(
        format!("{:#}", anyhow::Error::new(error)),
        "opening '/dev/no-such-disk' to read its partition table again: No such file or directory (os error 2)"
    );
}

#[test]
fn the_kernel_reads_the_table_of_a_real_disk_again_unless_it_is_held() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(4 << 20).unwrap();
    let sys = Path::new("/sys");
    let Some(device) = LoopDevice::new(file.path(), 512) else {
        // Without the right to make a disk there is none to read either, and that is said.
        let unreadable = Path::new("/dev/loop-control");
        let error = format!("{:#}", anyhow::Error::new(reread(unreadable, sys).unwrap_err()));
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
    let error = retry_while_busy(disk, reread_once, |_| ()).unwrap_err();
    assert!(matches!(error, RereadError::Busy { .. }), "{error}");
    drop(held);
    retry_while_busy(disk, reread_once, |_| ()).unwrap();
}
