//! What a trial leaves while it runs, and for good where it is killed: pods, images, a folder. All of it bears marks, so that
//! whoever comes next removes it, and nothing else: an image that was there before has no such mark, whatever its name is.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::{FILES, LABEL};
use crate::cri::{Cri, CriError};
use crate::facts::Layout;
use crate::options::Options;
use crate::spec;
use crate::system::{Live, System, Tree};

/// The largest that an image of a trial is, in bytes: larger ones are not even asked for their label.
const MAX_IMAGE: u64 = 64 << 10;

/// Removes what a trial left that was killed; nothing while one runs, which does so itself, and nothing where no containerd
/// answers. How many pods and images it was.
///
/// # Errors
/// With what containerd says.
pub fn clear_left(system: &Live, options: &Options) -> Result<usize, super::TrialError> {
    let tree = system.tree();
    if !system.is_live() {
        return Ok(0);
    }
    let layout = Layout::detect(tree, options.containerd_config.as_deref(), options.restart.as_ref());
    let Ok(mut cri) = system.block_on(Cri::connect(&layout.socket)) else { return Ok(0) };
    let Some(lock) = lock(tree).map_err(super::TrialError::Folder)? else { return Ok(0) };
    let cleared = system.block_on(clear(&mut cri));
    let removed = remove_folder(tree);
    drop(lock);
    let count = cleared?;
    removed.map_err(super::TrialError::Folder)?;
    Ok(count)
}

/// The right to run a trial; `None` where another process has it.
pub(super) fn lock(tree: &Tree) -> io::Result<Option<OwnedFd>> {
    let folder = Path::new(spec::TRIAL_DIR);
    tree.make_folder(folder)?;
    tree.lock(folder)
}

/// Makes the folder anew, empty, for nobody else to look into. Under the lock.
pub(super) fn make_folder(tree: &Tree) -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    remove_folder(tree)?;
    let folder = files();
    tree.about_to("make a folder")?;
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

/// Removes it with all that is in it. Under the lock.
pub(super) fn remove_folder(tree: &Tree) -> io::Result<()> {
    tree.about_to("remove a folder")?;
    match fs::remove_dir_all(files()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A trial runs on the running system only, and so below no other root.
fn files() -> PathBuf {
    Path::new(spec::TRIAL_DIR).join(FILES)
}

/// Removes pods and images. Under the lock.
pub(super) async fn clear(cri: &mut Cri) -> Result<usize, CriError> {
    let pods = cri.sandboxes(LABEL).await?;
    for id in &pods {
        cri.remove_sandbox(id).await?;
    }
    let images = cri.labelled_images(spec::TRIAL_LABEL, MAX_IMAGE).await?;
    for id in &images {
        cri.remove_image(id).await?;
    }
    Ok(pods.len() + images.len())
}
