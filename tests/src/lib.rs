//! Whole-system tests of CareKey.
