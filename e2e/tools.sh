#!/bin/sh
# Installs the pinned tools that end-to-end tests compare hardstand with, and
# prints the directory they are in. They are built once and kept outside the
# repository, in a folder named after their versions.
#
#   e2e/tools.sh [TOOL...]     default: cosign
set -eu
here=$(cd "$(dirname "$0")" && pwd)

install() { # NAME MODULE-PATH@VERSION [BINARY]
	version=${2##*@}
	dir=$cache/$1-$version
	if [ ! -x "$bin/$1-$version" ]; then
		mkdir -p "$dir" "$bin"
		(cd / && GOFLAGS="-mod=mod -trimpath" GOBIN=$dir go install "$2") >&2
		mv "$dir/${3:-$1}" "$bin/$1-$version"
	fi
	ln -sfn "$1-$version" "$bin/$1"
}

# Programs whose module replaces others can only be built in the module itself.
inside() { # NAME MODULE-PATH VERSION PACKAGE [MAIN-FILE-TO-PUT-THERE]
	if [ ! -x "$bin/$1-$3" ]; then
		mkdir -p "$cache" "$bin"
		source=$(cd / && GOFLAGS=-mod=mod go mod download -json "$2@$3" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
		work=$(mktemp -d "$cache/$1-XXXXXX")
		cp -r "$source/." "$work" && chmod -R u+w "$work"
		[ $# -lt 5 ] || { mkdir -p "$work/$4" && cp "$5" "$work/$4/"; }
		(cd "$work" && go build -tags hardstand_e2e -trimpath -ldflags '-s -w' -o "$bin/$1-$3" "$4") >&2
		rm -rf "$work"
	fi
	ln -sfn "$1-$3" "$bin/$1"
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/hardstand-tools
bin=$cache/bin
[ $# -gt 0 ] || set -- cosign
for tool; do
	case $tool in
	cosign) install cosign github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5 ;;
	fulcio) install fulcio github.com/sigstore/fulcio@v1.8.8 ;;
	rekor) install rekor github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix@v2.3.0 posix ;;
	timestamp-server) install timestamp-server github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server@v2.1.3 ;;
	policy-tester) inside policy-tester github.com/sigstore/policy-controller v0.13.1 ./cmd/tester ;;
	kyverno) inside kyverno github.com/kyverno/kyverno v1.19.1 ./cmd/cli/kubectl-kyverno ;;
	gatekeeper) inside gatekeeper github.com/open-policy-agent/gatekeeper/v3 v3.23.1 ./cmd/gatekeeper "$here/policy/testdata/gatekeeper/main.go" ;;
	actionlint) install actionlint github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 ;;
	containers)
		mkdir -p "$bin"
		(cd "$here/policy/containers" && GOWORK=off go build -tags containers_image_openpgp -o "$bin/containers" .) >&2
		;;
	*) echo "tools.sh: unknown tool $tool" >&2; exit 2 ;;
	esac
done
echo "$bin"
