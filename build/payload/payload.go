// Package payload holds the programs that hardstand puts into images: the
// probe, the decoy program and the guard, each with and without its network half,
// for every platform that has it. `make payload` compiles them and puts them below bin, from
// where they are embedded, so that building an image needs no compiler.
package payload

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/spec"
)

//go:embed bin
var files embed.FS

// The programs.
const (
	Probe      = "probe"       // with TLS
	ProbePlain = "probe-plain" // without
	Decoy      = "decoy"       // reports over HTTPS and DNS
	DecoyPlain = "decoy-plain" // has no network code
	Guard      = "guard"       // amd64 and arm64 only; reports over HTTPS
	GuardPlain = "guard-plain" // has no network code
)

// Smaller are compiler flags that make the networked programs a twentieth
// smaller: no inlining in the standard library, but for the runtime and the
// arithmetic of cryptography, where it would cost time.
func Smaller() []string {
	return []string{"-gcflags=std=-l", "-gcflags=runtime/...=", "-gcflags=internal/...=", "-gcflags=crypto/internal/...="}
}

// maxProgram bounds an unpacked program, in bytes.
const maxProgram = 64 << 20

// Program describes an embedded program.
type Program struct {
	SHA256  cache.Digest `json:"sha256"` // of the unpacked program
	Size    int64        `json:"size"`
	Version string       `json:"version"` // of the module, as the build recorded it
}

// FileName is the name below bin of a program for a platform.
func FileName(name string, p spec.Platform) string {
	s := name + "-linux-" + p.Arch
	if p.Variant != "" {
		s += "-" + p.Variant
	}
	return s + ".zst"
}

var manifest = sync.OnceValues(func() (map[string]Program, error) {
	data, err := files.ReadFile("bin/manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("this hardstand was built without the programs for images: build it with make build")
	}
	if err != nil {
		return nil, err
	}
	var m map[string]Program
	return m, json.Unmarshal(data, &m)
})

// Digest is that of the manifest, which names every program by its own.
func Digest() (cache.Digest, error) {
	data, err := files.ReadFile("bin/manifest.json")
	if err != nil {
		return "", fmt.Errorf("read the list of programs: %w", err)
	}
	return cache.Sum(data), nil
}

// Choose returns the program that stands in for one on a platform: where the
// probe without TLS is not embedded, the probe with it, which can do more.
func Choose(name string, p spec.Platform) string {
	if m, err := manifest(); err == nil && name == ProbePlain {
		if _, ok := m[FileName(name, p)]; !ok {
			return Probe
		}
	}
	return name
}

// Lookup describes a program without unpacking it.
func Lookup(name string, p spec.Platform) (Program, error) {
	m, err := manifest()
	if err != nil {
		return Program{}, fmt.Errorf("find %s for %s: %w", name, p, err)
	}
	prog, ok := m[FileName(name, p)]
	if !ok {
		return Program{}, fmt.Errorf("find %s for %s: this hardstand was built without it; make build PLATFORMS=%s embeds it", name, p, p)
	}
	return prog, nil
}

// Read unpacks a program and checks its digest.
func Read(name string, p spec.Platform) ([]byte, error) {
	prog, err := Lookup(name, p)
	if err != nil {
		return nil, err
	}
	packed, err := files.ReadFile("bin/" + FileName(name, p))
	if err != nil {
		return nil, fmt.Errorf("read %s for %s: %w", name, p, err)
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxProgram))
	if err != nil {
		return nil, fmt.Errorf("read %s for %s: %w", name, p, err)
	}
	defer z.Close()
	data, err := z.DecodeAll(packed, make([]byte, 0, min(prog.Size, maxProgram)))
	if err != nil {
		return nil, fmt.Errorf("read %s for %s: %w", name, p, err)
	}
	if got := cache.Sum(data); got != prog.SHA256 {
		return nil, fmt.Errorf("read %s for %s: %w", name, p, cache.ErrDigest)
	}
	return data, nil
}
