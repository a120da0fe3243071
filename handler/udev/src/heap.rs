//! The module's heap: small pieces by size, from lists of free ones; what is large is left to std's.
//!
//! A look makes and gives back thousands of small texts, again and again the same ones. std's heap joins neighbours that
//! are free, which takes an engine that interprets longer than what the texts are for. Memory of a size stays with that
//! size: it is what the largest look so far needed, and a module gives none back in any case.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{NonNull, null_mut};

/// The smallest piece in bytes, and what every piece is aligned to. Each size is the double of the one before.
const SMALLEST: usize = 16;
/// How many sizes there are: up to 1 KiB.
const SIZES: usize = 7;
/// Taken from std at once, in bytes.
const BLOCK: usize = 16 * 1024;

/// The heap.
pub(crate) struct Heap {
    /// The first free piece of each size; each begins with the address of the next one.
    free: [Cell<Option<NonNull<Piece>>>; SIZES],
    /// What is left of the block that was taken last, and how many bytes.
    block: Cell<(*mut u8, usize)>,
}

struct Piece(Option<NonNull<Piece>>);

// SAFETY: a module has one thread.
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) const fn new() -> Self {
        Self { free: [const { Cell::new(None) }; SIZES], block: Cell::new((null_mut(), 0)) }
    }

    /// A further piece of a size; null where there is no memory.
    fn cut(&self, size: usize) -> *mut u8 {
        let bytes = SMALLEST << size;
        let (mut at, mut left) = self.block.get();
        if left < bytes {
            let Ok(block) = Layout::from_size_align(BLOCK, SMALLEST) else { return null_mut() };
            // SAFETY: a block has a length.
            (at, left) = (unsafe { System.alloc(block) }, BLOCK);
            if at.is_null() {
                return null_mut();
            }
        }
        // SAFETY: at least so many bytes of the block are left.
        self.block.set((unsafe { at.add(bytes) }, left - bytes));
        at
    }
}

/// Which size a piece has; `None` for what is large, or aligned otherwise.
fn size(layout: Layout) -> Option<usize> {
    let steps = layout.size().saturating_sub(1) / SMALLEST;
    let size = (usize::BITS - steps.leading_zeros()) as usize;
    (size < SIZES && layout.align() <= SMALLEST).then_some(size)
}

// SAFETY: a piece is at least as long as asked for, aligned, and handed out to one at a time: it comes from a block that is
// never given back, or from its list, into which only the giving back puts it. The rest is std's.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller has promised.
        let Some(size) = size(layout) else { return unsafe { System.alloc(layout) } };
        let Some(piece) = self.free[size].get() else { return self.cut(size) };
        // SAFETY: what is in the list was given back, and begins with the next one.
        self.free[size].set(unsafe { piece.read() }.0);
        piece.as_ptr().cast()
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller has promised; the layout is the one that it was handed out with.
        let Some(size) = size(layout) else { return unsafe { System.dealloc(pointer, layout) } };
        if let Some(piece) = NonNull::new(pointer.cast::<Piece>()) {
            // SAFETY: a piece has room for an address, is aligned, and nobody has it any more.
            unsafe { piece.write(Piece(self.free[size].get())) };
            self.free[size].set(Some(piece));
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, old: Layout, length: usize) -> *mut u8 {
        // SAFETY: the caller has promised that the length is one that a layout can have.
        let new = unsafe { Layout::from_size_align_unchecked(length, old.align()) };
        match (size(old), size(new)) {
            // SAFETY: as the caller has promised; both are std's.
            (None, None) => unsafe { System.realloc(pointer, old, length) },
            (before, after) if before == after => pointer,
            // SAFETY: as the caller has promised; both are at least as long as what is copied.
            _ => unsafe {
                let moved = self.alloc(new);
                if !moved.is_null() {
                    moved.copy_from_nonoverlapping(pointer, old.size().min(length));
                    self.dealloc(pointer, old);
                }
                moved
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn sizes_double_and_end() {
        let sizes = [1, 16, 17, 32, 33, 1023, 1024, 1025].map(|bytes| size(layout(bytes)));
        assert_eq!(sizes, [Some(0), Some(0), Some(1), Some(1), Some(2), Some(6), Some(6), None]);
        assert_eq!(size(Layout::from_size_align(16, 32).unwrap()), None);
    }

    #[test]
    fn pieces_keep_what_is_in_them() {
        let heap = Heap::new();
        let mut pieces: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut seed = 1_usize;
        for step in 0..20_000_usize {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (number, mark) = (seed >> 33, step as u8);
            let at = number % pieces.len().max(1);
            // SAFETY: each piece is in the list with its layout for as long as it is not given back.
            unsafe {
                match number % 4 {
                    0 if !pieces.is_empty() => {
                        let (piece, old, mark) = pieces.swap_remove(at);
                        assert!((0..old.size()).all(|i| *piece.add(i) == mark));
                        heap.dealloc(piece, old);
                    }
                    1 if !pieces.is_empty() => {
                        let (piece, old, mark) = pieces[at];
                        let new = layout(1 + number % 3000);
                        let moved = heap.realloc(piece, old, new.size());
                        assert!((0..old.size().min(new.size())).all(|i| *moved.add(i) == mark));
                        moved.write_bytes(mark, new.size());
                        pieces[at] = (moved, new, mark);
                    }
                    _ => {
                        let new = layout(1 + number % 1200);
                        let piece = heap.alloc(new);
                        assert!(!piece.is_null() && piece.addr() % SMALLEST == 0);
                        piece.write_bytes(mark, new.size());
                        pieces.push((piece, new, mark));
                    }
                }
            }
        }
        assert!(pieces.len() > 100);
    }
}
