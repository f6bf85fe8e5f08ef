//! Writes the foreign sources; `mobile-bindings/generate.sh` calls it.

fn main() {
    uniffi::uniffi_bindgen_main();
}
