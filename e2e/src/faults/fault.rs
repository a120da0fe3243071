//! The faults, and which of them may happen together.

/// Something bad that happens, and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    KillHandler,
    KillProxy(usize),
    KillAgent,
    StopHandler,
    StopProxy(usize),
    StopAgent,
    RemoveSocket,
    NoRoom,
    NoInodes,
    ReadOnly,
    Emptied,
    Replaced,
    Overflow,
    NoDescriptors(usize),
    HandlerNoDescriptors,
    NoMemory(usize),
    HandlerNoMemory,
}

/// What a fault concerns: two faults of one do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    Handler,
    Proxy(usize),
    Agent,
    Directory,
    Proxies,
}

impl Fault {
    /// All there are, with so many proxies; those that need room that can be used up only where it can.
    pub(super) fn all(proxies: usize, own_file_system: bool) -> Vec<Self> {
        use Fault::*;
        let mut all = vec![
            KillHandler,
            KillHandler,
            KillAgent,
            StopHandler,
            StopAgent,
            RemoveSocket,
            ReadOnly,
            Emptied,
            Replaced,
            Overflow,
            HandlerNoDescriptors,
            HandlerNoMemory,
        ];
        for number in 0..proxies {
            all.extend([KillProxy(number), StopProxy(number), NoDescriptors(number), NoMemory(number)]);
        }
        if own_file_system {
            all.extend([NoRoom, NoInodes]);
        }
        all
    }

    pub(super) fn victim(self) -> Victim {
        use Fault::*;
        match self {
            KillHandler | StopHandler | HandlerNoDescriptors | HandlerNoMemory => Victim::Handler,
            KillProxy(number) | StopProxy(number) | NoDescriptors(number) | NoMemory(number) => {
                Victim::Proxy(number)
            }
            KillAgent | StopAgent | RemoveSocket => Victim::Agent,
            NoRoom | NoInodes | ReadOnly | Emptied | Replaced => Victim::Directory,
            Overflow => Victim::Proxies,
        }
    }

    /// For tables.
    pub(super) fn name(self) -> &'static str {
        use Fault::*;
        match self {
            KillHandler => "kill -9 and restart: handler",
            KillProxy(_) => "kill -9 and restart: proxy",
            KillAgent => "kill -9 and restart: agent",
            StopHandler => "SIGSTOP and SIGCONT: handler",
            StopProxy(_) => "SIGSTOP and SIGCONT: proxy",
            StopAgent => "SIGSTOP and SIGCONT: agent",
            RemoveSocket => "agent's socket removed and made anew",
            NoRoom => "exchange full: no room",
            NoInodes => "exchange full: no inodes",
            ReadOnly => "exchange read-only",
            Emptied => "exchange emptied",
            Replaced => "exchange deleted and made anew",
            Overflow => "inotify queue overflows",
            NoDescriptors(_) => "proxy without a free descriptor",
            HandlerNoDescriptors => "handler without a free descriptor",
            NoMemory(_) => "proxy that gets no more memory",
            HandlerNoMemory => "handler that gets no more memory",
        }
    }
}

impl Victim {
    /// Whether faults of both may happen at once.
    pub(super) fn goes_with(self, other: Self) -> bool {
        let proxies = |victim| matches!(victim, Victim::Proxy(_) | Victim::Proxies);
        self != other
            && !(self == Victim::Proxies && proxies(other) || other == Victim::Proxies && proxies(self))
    }
}
