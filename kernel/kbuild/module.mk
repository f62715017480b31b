# SPDX-License-Identifier: GPL-2.0
#
# How one module is built; included by its Kbuild file, which sets GLB_MODULE. Three crates make a module:
#
#   core/lib.rs   glb_core     the engine, no unsafe
#   glue/lib.rs   glb_kernel   wrappers of the kernel's C API, on bindings made here and on shim/
#   main.rs       the module
#
# The first two are libraries whose objects are linked into the module.

obj-m := $(GLB_MODULE).o
# A .c and a .h each. The .h is what bindgen reads.
glb_shim := base genl net net/named packet sockets/conntrack sockets/decap sockets/here sockets/syn_ack sockets/tcp sockets/udp strip out/cut out/encap out/path out/rewrite \
	out/route
$(GLB_MODULE)-y := main.o core/lib.o glue/lib.o $(glb_shim:%=shim/%.o)

ccflags-y += -I$(src)/uapi -I$(src)/shim
# What is taken for granted is checked where it is used (shim/checks.h): `make modules CHECKS=1`.
ccflags-$(GLB_CHECKS) += -DGLB_CHECKS

# Kbuild passes no_std itself; the crates say it too, for cargo and for the reader.
rustflags-y += -L $(obj) -Wmissing_docs -Wunused -Aunused_attributes -Aunused_features -Wrust_2018_idioms

RUSTFLAGS_core/lib.o += --crate-name glb_core --emit=metadata=$(obj)/libglb_core.rmeta
RUSTFLAGS_glue/lib.o += --crate-name glb_kernel --emit=metadata=$(obj)/libglb_kernel.rmeta --extern glb_core
RUSTFLAGS_main.o += --crate-name $(GLB_MODULE) --extern glb_core --extern glb_kernel

$(obj)/main.o: $(obj)/core/lib.o $(obj)/glue/lib.o
$(obj)/glue/lib.o: $(obj)/core/lib.o $(obj)/glue/bindings_generated.rs

# --- bindings ----------------------------------------------------------------------------------------
# The kernel crate's bindings have no netfilter, sockets or routes. Only what is named in glue/bindings.list
# is generated here; the types that both know come from the kernel crate, so they stay one type.

# Options of gcc that libclang does not know, as the kernel's own rust/Makefile filters them.
glb_skip_c_flags := -mno-fp-ret-in-387 -mpreferred-stack-boundary=% -mskip-rax-setup \
	-mgeneral-regs-only -msign-return-address=% -mindirect-branch=thunk-extern \
	-mindirect-branch-register -mfunction-return=thunk-extern -mrecord-mcount -mabi=lp64 \
	-mindirect-branch-cs-prefix -mstack-protector-guard% -mtraceback=no -mno-string \
	-mno-pointers-to-nested-functions -mno-strict-align -mstrict-align -mdirect-extern-access \
	-mexplicit-relocs -mno-check-zero-division -fconserve-stack -falign-jumps=% -falign-loops=% \
	-femit-struct-debug-baseonly -fno-ipa-cp-clone -fno-ipa-sra -fno-partial-inlining \
	-fplugin-arg-% -fno-reorder-blocks -fno-allow-store-data-races -fasan-shadow-offset=% \
	-fzero-call-used-regs=% -fno-stack-clash-protection -fno-inline-functions-called-once \
	-fsanitize=bounds-strict -fstrict-flex-arrays=% -fmin-function-alignment=% \
	-fzero-init-padding-bits=% -mno-fdpic -fdiagnostics-show-context \
	-fdiagnostics-show-context=% --param=% --param asan-% -fno-isolate-erroneous-paths-dereference

quiet_cmd_glb_bindgen = BINDGEN $(quiet_modtag) $@
      cmd_glb_bindgen = $(BINDGEN) $< $(shell sed -e '/^\#/d' $(src)/glue/bindings.list) \
	--no-recursive-allowlist --rust-target 1.85 --use-core --ctypes-prefix kernel::ffi \
	--no-layout-tests --no-doc-comments --no-debug '.*' --enable-function-attribute-detection \
	--raw-line 'pub(crate) use kernel::bindings::*;' -o $@ \
	-- $(filter-out $(glb_skip_c_flags),$(c_flags)) -w --target=x86_64-linux-gnu -fno-builtin \
	-D__BINDGEN__ -DMODULE

$(obj)/glue/bindings_generated.rs: $(src)/glue/bindings.h $(glb_shim:%=$(src)/shim/%.h) $(src)/glue/bindings.list FORCE
	$(call if_changed_dep,glb_bindgen)

targets += glue/bindings_generated.rs
clean-files += glue/bindings_generated.rs libglb_core.rmeta libglb_kernel.rmeta
