#!/bin/sh
# Generates the Go code of the control API. `generate.sh --check` writes nothing and fails when the committed code is not
# what the .proto gives. Needs Debian's protobuf-compiler; the plug-ins are the versions that go.mod pins.
set -eu
cd "$(dirname "$0")"

if ! command -v protoc >/dev/null; then
	echo "api/generate.sh: protoc is missing; install it with: apt-get install protobuf-compiler" >&2
	exit 1
fi
out=.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
[ "${1:-}" = --check ] && mkdir "$scratch/out" && out=$scratch/out

go build -o "$scratch" google.golang.org/protobuf/cmd/protoc-gen-go connectrpc.com/connect/cmd/protoc-gen-connect-go
PATH=$scratch:$PATH protoc --proto_path=. \
	--go_out="$out" --go_opt=paths=source_relative \
	--connect-go_out="$out" --connect-go_opt=paths=source_relative,simple \
	sluice/v1/sluice.proto

# The header names the protoc that ran; another patch release of it is no drift.
if [ "$out" != . ]; then
	for f in sluice/v1/sluice.pb.go sluice/v1/sluicev1connect/sluice.connect.go; do
		if ! diff -u -I '^// 	protoc  *v' "$f" "$out/$f"; then
			echo "api/$f is not what sluice.proto gives; run api/generate.sh and commit the result" >&2
			exit 1
		fi
	done
fi
