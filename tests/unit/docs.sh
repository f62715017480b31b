#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The documentation builds: rustdoc reports nothing about the workspace, and each relative link of a Markdown file leads to a
# file or directory in the repository, as does each path that a document or a comment names. The fields in formats.md are those
# of the schemas, and all documents use the addresses of one example fleet. Run in the build root
# (tests/vm/build -- tests/unit/docs.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The readers of these pages work on the code, so links to private items are intended.
RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --quiet --locked --offline --no-deps --workspace --document-private-items

broken=0
while IFS=: read -r file target; do
    path=${target%%#*}
    case $path in
        '' | *://* | mailto:*) continue ;;
    esac
    if [ ! -e "$(dirname "$file")/$path" ]; then
        printf '%s: a link to %s, which does not exist\n' "$file" "$path"
        broken=1
    fi
done < <(find . -name '*.md' -not -path './target/*' -not -path './build/*' -not -path './out/*' -print0 |
    xargs -0 grep -oHE '\]\([^) ]+' | sed 's/:\](/:/')
docs/fields --check || broken=1
python3 -B tests/unit/ghosts.py || broken=1

# production.md defines the address plan; 198.51.100.0/24 are clients from anywhere.
if grep -HnoE '\b[0-9]{1,3}(\.[0-9]{1,3}){3}\b' README.md docs/*.md |
    grep -vE ':(192\.168\.(40|41|50)\.[0-9]+|10\.10\.10\.1[01]|127\.[0-9.]+|198\.51\.100\.[0-9]+|0\.0\.0\.0)$'; then
    echo "these addresses do not belong to the example fleet in docs/production.md"
    broken=1
fi
if grep -HnoE '\b(fd[0-9a-f]{2}|2001:db8):[0-9a-f:]+' README.md docs/*.md | grep -vE ':(fd00:(10|40|41|50)::|2001:db8:)'; then
    echo "these addresses do not belong to the example fleet in docs/production.md"
    broken=1
fi
grep -qF '[GLB Director](https://github.com/github/glb-director)' README.md || { echo "README.md does not say what GLB is"; broken=1; }
exit $broken
