//! Sample worlds for `stagegate demo` and for the tests.
