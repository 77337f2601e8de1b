//! The parameters of a site, from a file that an overlay adds to the initramfs. A module of its own,
//! because the rest of this crate is pure.

use std::{fs, io, io::ErrorKind, path::Path};

/// One parameter per line, `#` starts a comment. The kernel command line follows and overrides it.
pub const SITE_FILE: &str = "/etc/ocidd/parameters";

/// Reads the parameters of a site file; none if it does not exist.
pub fn read_site_file(file: &Path) -> io::Result<Vec<String>> {
    let text = String::from_utf8(read(file)?).map_err(|error| {
        io::Error::new(ErrorKind::InvalidData, format!("not valid UTF-8: {error}"))
    })?;
    Ok(parse_site_file(&text))
}

/// Like [`read_site_file`], for init: a wrong byte must not disable the other parameters.
pub fn read_site_file_lossy(file: &Path) -> io::Result<Vec<String>> {
    Ok(parse_site_file(&String::from_utf8_lossy(&read(file)?)))
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    match fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

fn parse_site_file(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_parameter_per_line_and_ignores_comments() {
        let text =
            "# rack 7\n\n  ocidd.after=halt  \n\t# ocidd.ntp=off\nocidd.on_error=reboot,5\r\n";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("parameters");
        assert!(read_site_file(&file).unwrap().is_empty());
        fs::write(&file, text).unwrap();
        let expected = ["ocidd.after=halt", "ocidd.on_error=reboot,5"];
        assert_eq!(read_site_file(&file).unwrap(), expected);
        fs::write(&file, b"wait\n\xff").unwrap();
        assert_eq!(read_site_file(&file).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn only_init_reads_a_file_that_is_not_utf_8() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("parameters");
        fs::write(&file, b"ocidd.after=halt\n# \xff\n").unwrap();
        assert_eq!(read_site_file_lossy(&file).unwrap(), ["ocidd.after=halt"]);
        assert_eq!(read_site_file(&file).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
