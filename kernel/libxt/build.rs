// SPDX-License-Identifier: GPL-2.0

//! Makes the bindings to libxtables from the headers of the machine that builds, because the structures
//! of libxtables belong to its version: an extension made from the headers of another one is refused.

use std::env;
use std::path::PathBuf;

/// The kernel's header that says what a rule carries.
const UAPI: &str = "../uapi";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=wrapper.h");
    println!("cargo:rerun-if-changed={UAPI}/xt_GLBREDIRECT.h");
    // The process that loads the extension has libxtables already; this names the version that is meant.
    println!("cargo:rustc-link-lib=dylib=xtables");

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let rust =
        bindgen::RustTarget::stable(85, 0).unwrap_or_else(|_| panic!("bindgen knows Rust 1.85"));
    let bindings = bindgen::Builder::default()
        .header("wrapper.h")
        .clang_arg(format!("-I{UAPI}"))
        .rust_target(rust)
        .rust_edition(bindgen::RustEdition::Edition2021)
        .use_core()
        .formatter(bindgen::Formatter::None)
        .generate_comments(false)
        .enable_function_attribute_detection()
        .derive_debug(false)
        .derive_default(true)
        .allowlist_recursively(true)
        .allowlist_function("xtables_register_targets|xtables_option_parse|fwrite")
        // For the tests, which play the program.
        .allowlist_function("xtables_init_all|xtables_find_target")
        .allowlist_type("xtables_target|xt_entry_target|xt_option_entry|xt_option_call|_xt_align")
        .allowlist_type("xt_glbredirect_info|xt_glbredirect_info_2|xt_glbredirect_prefix")
        .allowlist_var("XTABLES_VERSION|XT_GLBREDIRECT_.*|NFPROTO_UNSPEC|xt_params|stdout")
        .opaque_type("_IO_FILE")
        .generate_cstr(true)
        .generate()
        .unwrap_or_else(|error| {
            panic!("cannot read <xtables.h>: apt-get install libxtables-dev libclang-dev ({error})")
        });
    bindings
        .write_to_file(out.join("xtables.rs"))
        .expect("OUT_DIR is writable");
}
