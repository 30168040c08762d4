//! Work on many things of the same kind by several threads.

/// More threads than these do not read files faster.
const MOST: usize = 4;

/// Does the same with each, and gives back what came of it in their order. A thread has at least
/// `few` of them; with fewer in all there is none but this one.
pub fn in_threads<T: Send, R: Send>(
    all: Vec<T>,
    few: usize,
    each: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = all.len().div_ceil(threads.min(MOST)).max(few);
    if all.len() <= share {
        return all.into_iter().map(each).collect();
    }
    let (mut left, each) = (all.into_iter(), &each);
    std::thread::scope(|scope| {
        let mut at_work = Vec::new();
        while left.len() > 0 {
            let some: Vec<T> = left.by_ref().take(share).collect();
            at_work.push(scope.spawn(move || some.into_iter().map(each).collect::<Vec<R>>()));
        }
        let ended = at_work.into_iter().flat_map(|one| match one.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ended.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_kept_however_many_there_are() {
        for many in [0, 1, 9, 10, 11, 1000] {
            let all: Vec<usize> = (0..many).collect();
            let doubled: Vec<usize> = all.iter().map(|one| one * 2).collect();
            assert_eq!(in_threads(all, 10, |one| one * 2), doubled);
        }
    }
}
