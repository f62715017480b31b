#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The documentation builds: rustdoc has nothing to say about the workspace, and each relative link of a Markdown file leads
# to a file or directory that is in the repository. Run in the build root (tests/vm/build -- tests/unit/docs.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The documents are for who works on the code: links to what is private are meant.
RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --quiet --locked --offline --no-deps --workspace --document-private-items

broken=0
while IFS=: read -r file target; do
    path=${target%%#*}
    case $path in
        '' | *://* | mailto:*) continue ;;
    esac
    if [ ! -e "$(dirname "$file")/$path" ]; then
        printf '%s: a link to %s, which is not there\n' "$file" "$path"
        broken=1
    fi
done < <(find . -name '*.md' -not -path './target/*' -not -path './build/*' -not -path './out/*' -print0 |
    xargs -0 grep -oHE '\]\([^) ]+' | sed 's/:\](/:/')
exit $broken
