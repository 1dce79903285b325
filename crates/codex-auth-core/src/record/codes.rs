//! Owns the numbers by which a record calls our enums. A number, once given, is never given to anything else.

use super::RecordError;
use crate::{Binding, DeniedBy, Hold, Reason, RestReason, Strategy};

macro_rules! numbered {
    ($($kind:ident { $($name:ident = $code:literal,)+ })+) => {
        $(impl Numbered for $kind {
            fn numbered(self) -> u8 {
                match self { $(Self::$name => $code,)+ }
            }

            fn of_number(code: u8) -> Result<Self, RecordError> {
                match code {
                    $($code => Ok(Self::$name),)+
                    _ => Err(RecordError::Damaged(concat!("an unknown ", stringify!($kind)))),
                }
            }
        })+
    };
}

/// An enum with numbers for its cases.
pub(super) trait Numbered: Sized {
    /// The number of this case.
    fn numbered(self) -> u8;
    /// The case with this number.
    fn of_number(code: u8) -> Result<Self, RecordError>;
}

numbered! {
    Strategy { Hybrid = 0, Sequential = 1, Manual = 2, RoundRobin = 3, Sticky = 4, DrainFirst = 5, }
    Reason {
        Pinned = 0, SameSession = 1, FirstInOrder = 2, MostHeadroom = 3, Selected = 4,
        WarmCache = 5, WorthMoving = 6, NextInTurn = 7, ExpiresFirst = 8, StartsWindow = 9,
    }
    Binding { Switch = 0, Run = 1, Project = 2, }
    RestReason { UsageLimit = 0, Auth = 1, Network = 2, Server = 3, }
    Hold { Paused = 0, Drained = 1, }
    DeniedBy { Policy = 0, Budget = 1, }
}
