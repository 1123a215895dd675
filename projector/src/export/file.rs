use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A file that is there as a whole or not at all: written under another name, flushed to the disk, renamed. Dropped before that,
/// it leaves nothing; after a kill, the next export of the same day writes over what is left.
pub(super) struct Partial {
    path: PathBuf,
    partial: PathBuf,
    is_done: bool,
}

impl Partial {
    /// A new one, and where to write it.
    pub(super) fn create(path: PathBuf) -> io::Result<(Self, File)> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A pattern like usage-*.parquet does not find it.
        let partial = path.with_file_name(format!(".{name}.partial"));
        let file = File::create(&partial)?;
        Ok((Self { path, partial, is_done: false }, file))
    }

    /// Gives it its name; its size in bytes.
    pub(super) fn finish(mut self, file: &File) -> io::Result<u64> {
        file.sync_all()?;
        std::fs::rename(&self.partial, &self.path)?;
        self.is_done = true;
        Ok(file.metadata()?.len())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_done {
            // What is left is a partial file under a name that nobody reads.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

/// Names in a folder are on the disk when this returns.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
