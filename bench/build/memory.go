//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/hardstand/hardstand/build/spec"
)

// memory is what a build of many packages takes at its peak.
type memory struct {
	Packages int     `json:"packages"`
	Bytes    int64   `json:"bytes"` // of the packages
	Peak     int64   `json:"peak_kb"`
	Wall     float64 `json:"wall_ms"`
}

// memory builds images of 10, 50 and 200 packages, each of a few megabytes and
// all in the cache, on two platforms. A hand-made lock names them: what is
// measured is composing, not resolving.
func (b *bench) memory(ctx context.Context) ([]memory, error) {
	var list []memory
	for _, n := range []int{10, 50, 200} {
		m, err := b.memoryOf(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("build %d packages: %w", n, err)
		}
		list = append(list, m)
	}
	return list, nil
}

func (b *bench) memoryOf(ctx context.Context, n int) (memory, error) {
	if err := b.fresh("")(); err != nil {
		return memory{}, err
	}
	m := memory{Packages: n}
	platforms := []spec.Platform{{Arch: "amd64"}, {Arch: "arm64"}}
	d := &spec.Definition{Name: "many", Debian: spec.Debian{Suite: suite}, Platforms: platforms}
	text := "name: many\nplatforms: [linux/amd64, linux/arm64]\npackages:\n"
	var locked []*spec.Package
	for i := range n {
		p, err := b.makeDeb(ctx, fmt.Sprintf("many-%03d", i))
		if err != nil {
			return memory{}, err
		}
		locked, d.Packages, text = append(locked, p), append(d.Packages, p.Name), text+"  - "+p.Name+"\n"
		m.Bytes += p.Size
	}
	l := &spec.Lock{Version: spec.LockVersion, Name: "many", Definition: spec.DigestOf(d.LockInput()), Platforms: map[string][]*spec.Package{}}
	for _, p := range platforms {
		l.Platforms[p.String()] = locked
	}
	err := os.WriteFile(b.path("many.yaml"), []byte(text), 0o600)
	if err == nil {
		err = os.WriteFile(b.path("many.lock.json"), l.Format(), 0o600)
	}
	if err != nil {
		return memory{}, err
	}
	u, err := execute(ctx, b.env("cold"), b.build(b.path("many.yaml"), "out", "--locked", "--offline"))
	m.Peak, m.Wall = u.peak, u.wall
	return m, err
}

// makeDeb writes a package of 3 MB of text-like data into the cache.
func (b *bench) makeDeb(ctx context.Context, name string) (*spec.Package, error) {
	stanza := fmt.Sprintf("Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: many\n", name)
	body := append([]byte(name), noise()...)
	control, err := packed(ctx, "./control", []byte(stanza))
	if err != nil {
		return nil, err
	}
	data, err := packed(ctx, "./usr/share/"+name, body)
	if err != nil {
		return nil, err
	}
	var deb bytes.Buffer
	deb.WriteString("!<arch>\n")
	for _, member := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.xz", control}, {"data.tar.xz", data}} {
		fmt.Fprintf(&deb, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", member.name, 0, 0, 0, "100644", len(member.data))
		deb.Write(member.data)
		if len(member.data)%2 == 1 {
			deb.WriteByte('\n')
		}
	}
	sum := sha256.Sum256(deb.Bytes())
	digest := hex.EncodeToString(sum[:])
	file := b.path("cold", "hardstand", "blobs", digest)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	return &spec.Package{
		Name: name, Version: "1", Architecture: "all", Source: name, SourceVersion: "1", Suite: suite, Archive: "debian",
		Path: "pool/main/m/" + name + ".deb", SHA256: digest, Size: int64(deb.Len()), For: "many",
	}, os.WriteFile(file, deb.Bytes(), 0o600)
}

// noise is 3 MB that compress to about a fifth.
var noise = sync.OnceValue(func() []byte {
	random := rand.New(rand.NewPCG(1, 2))
	block := make([]byte, 512<<10)
	for i := range block {
		block[i] = byte(' ' + random.IntN(24))
	}
	return bytes.Repeat(block, 6)
})

// packed makes a .tar.xz of one file.
func packed(ctx context.Context, name string, data []byte) ([]byte, error) {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
		return nil, err
	}
	if _, err := t.Write(data); err != nil {
		return nil, err
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "xz", "-1", "-c")
	cmd.Stdin = &b
	return cmd.Output()
}
