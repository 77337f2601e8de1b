//! Asks on the console for missing parameters and for the confirmation.

use std::io::{BufRead, Write};

use anyhow::Context as _;
use oci::{reference::Image, size::Rounded};
use params::Options;

use crate::{disk::probe::FoundDisk, plan::parse_image, report::diagnostic::Diagnostic};

type Result<T> = std::result::Result<T, Diagnostic>;

/// A console with an operator.
#[derive(Debug)]
pub struct Console<R, W> {
    pub input: R,
    pub output: W,
}

impl<R: BufRead, W: Write> Console<R, W> {
    /// Asks for a missing image or disk. A disk that is selected here must be confirmed too: `wait` is
    /// set. `read_disks` is called only if the list is shown.
    pub fn complete(
        &mut self,
        options: &mut Options,
        read_disks: impl FnOnce() -> Vec<FoundDisk>,
    ) -> Result<()> {
        if parse_image(options)?.is_none() {
            self.ask_image(options)?;
        }
        if options.disk.is_none() {
            options.disk = Some(self.ask_disk(&read_disks())?);
            options.wait = true;
        }
        Ok(())
    }

    /// True only for `yes`.
    pub fn confirm(&mut self, image: &Image, disk: &str, disks: &[FoundDisk]) -> Result<bool> {
        writeln!(self.output, "Everything on {disk} will be overwritten with {image}:")?;
        for found in disks.iter().filter(|found| found.path == disk) {
            write!(self.output, "{found}")?;
        }
        Ok(self.ask("Type 'yes' to continue: ")? == "yes")
    }

    fn ask_image(&mut self, options: &mut Options) -> Result<()> {
        writeln!(self.output, "No image is given (oci.tag, oci.blob).")?;
        loop {
            let answer = self.ask(
                "Image, as registry/repository:tag, or oci.blob=registry/repository@sha256:…: ",
            )?;
            (options.tag, options.blob) = match answer.strip_prefix("oci.blob=") {
                Some(blob) => (None, Some(blob.to_owned())),
                None => (Some(answer.strip_prefix("oci.tag=").unwrap_or(&answer).to_owned()), None),
            };
            match parse_image(options) {
                Ok(_) => return Ok(()),
                Err(problem) => writeln!(self.output, "{problem}")?,
            }
        }
    }

    fn ask_disk(&mut self, disks: &[FoundDisk]) -> Result<String> {
        writeln!(self.output, "No target disk is given (dd.of). Disks of this machine:")?;
        for (number, disk) in disks.iter().enumerate() {
            write!(self.output, "{:>3}) {disk}", number + 1)?;
        }
        if disks.is_empty() {
            writeln!(self.output, "  none (check that the kernel contains the driver)")?;
        }
        loop {
            let answer = self.ask("Disk, by number or path: ")?;
            let by_number =
                answer.parse::<usize>().ok().and_then(|number| disks.get(number.checked_sub(1)?));
            if let Some(disk) = by_number.or_else(|| disks.iter().find(|disk| disk.path == answer))
            {
                return Ok(disk.path.clone());
            }
            if answer.starts_with('/') {
                return Ok(answer);
            }
            writeln!(self.output, "'{answer}' is neither a listed disk nor a path")?;
        }
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        loop {
            write!(self.output, "{question}")?;
            self.output.flush()?;
            let mut line = String::new();
            let length = self.input.read_line(&mut line);
            if length.context("reading the answer from the console")? == 0 {
                let question = question.trim_end_matches([':', ' ']);
                return Err(Diagnostic::new(
                    format!("no answer on the console to '{question}'"),
                    "set image and disk as parameters, without wait",
                ));
            }
            if !line.trim().is_empty() {
                return Ok(line.trim().to_owned());
            }
        }
    }
}

impl std::fmt::Display for FoundDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}  {}  {}", self.path, Rounded(self.size_bytes), self.transport)?;
        for (label, text) in [("", &self.model), ("serial ", &self.serial)] {
            if let Some(text) = text {
                write!(f, "  {label}{text}")?;
            }
        }
        let partitions: Vec<String> = self
            .partitions
            .iter()
            .map(|(name, size_bytes)| format!("{name} {}", Rounded(*size_bytes)))
            .collect();
        match partitions.len() {
            0 => f.write_str("  no partitions")?,
            _ => write!(f, "  partitions: {}", partitions.join(", "))?,
        }
        if !self.holders.is_empty() {
            write!(f, "  in use: {}", self.holders.join(", "))?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disks() -> Vec<FoundDisk> {
        let partition = ("sda1".to_owned(), 1 << 20);
        let sda = FoundDisk {
            path: "/dev/sda".to_owned(),
            size_bytes: 4 << 30,
            model: Some("DISK".to_owned()),
            serial: Some("S1".to_owned()),
            transport: "sata",
            partitions: vec![partition],
            holders: vec!["/dev/sda1 is swap".to_owned()],
            ..FoundDisk::default()
        };
        let vdb = FoundDisk {
            path: "/dev/vdb".to_owned(),
            size_bytes: 1 << 40,
            transport: "virtio",
            ..FoundDisk::default()
        };
        vec![sda, vdb]
    }

    /// Runs `complete` with typed answers; returns the result and the screen.
    fn complete(mut options: Options, typed: &str) -> (Result<Options>, String) {
        let mut console = Console { input: typed.as_bytes(), output: Vec::new() };
        let outcome = console.complete(&mut options, disks).map(|()| options);
        (outcome, String::from_utf8(console.output).unwrap())
    }

    #[test]
    fn asks_nothing_if_nothing_is_missing() {
        let options = Options {
            tag: Some("r.example/os:1".to_owned()),
            disk: Some("/dev/vda".to_owned()),
            ..Options::default()
        };
        let (completed, screen) = complete(options.clone(), "");
        assert_eq!((completed.unwrap(), screen.as_str()), (options, ""));
    }

    #[test]
    fn lists_disks_and_accepts_a_number_or_a_path() {
        for (answer, disk) in
            [("2", "/dev/vdb"), ("/dev/sda", "/dev/sda"), ("/tmp/disk.raw", "/tmp/disk.raw")]
        {
            let (completed, screen) =
                complete(Options::default(), &format!("r.example/os:1\n{answer}\n"));
            let completed = completed.unwrap();
            assert_eq!(
                (completed.disk.as_deref(), completed.tag.as_deref()),
                (Some(disk), Some("r.example/os:1"))
            );
            assert!(completed.wait, "a selected disk is confirmed");
            assert!(
                screen.contains("  1) /dev/sda  4 GiB  sata  DISK  serial S1  partitions: sda1 1 MiB  in use: /dev/sda1 is swap\n"),
                "{screen}"
            );
            assert!(screen.contains("  2) /dev/vdb  1 TiB  virtio  no partitions\n"), "{screen}");
        }
    }

    #[test]
    fn asks_again_after_an_invalid_answer() {
        let (completed, screen) =
            complete(Options::default(), "os\n\nr.example/os:1\n0\n3\nsda\n1\n");
        assert_eq!(completed.unwrap().disk.as_deref(), Some("/dev/sda"));
        assert!(screen.contains("'os' does not name a registry"), "{screen}");
        assert_eq!(screen.matches("is neither a listed disk nor a path").count(), 3, "{screen}");
    }

    #[test]
    fn a_closed_console_is_an_error_not_a_loop() {
        let (completed, _) = complete(Options::default(), "r.example/os:1\n");
        assert!(
            completed
                .unwrap_err()
                .to_string()
                .contains("no answer on the console to 'Disk, by number or path'")
        );
    }

    #[test]
    fn only_yes_confirms() {
        let image = Image::Manifest("r.example/os:1".parse().unwrap());
        for (typed, confirmed) in [
            ("yes\n", true),
            (" yes \n", true),
            ("y\n", false),
            ("YES\n", false),
            ("no\n", false),
            ("yes please\n", false),
        ] {
            let mut console = Console { input: typed.as_bytes(), output: Vec::new() };
            assert_eq!(
                console.confirm(&image, "/dev/sda", &disks()).unwrap(),
                confirmed,
                "{typed}"
            );
            assert!(String::from_utf8(console.output).unwrap().contains("/dev/sda  4 GiB"));
        }
    }
}
