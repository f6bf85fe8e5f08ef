//! Whether a credential was taken back: references to a status list, and the list itself.

pub mod bitstring_status_list;
pub mod reference;
pub mod token_status_list;
