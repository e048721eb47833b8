// Package debtest builds Debian packages and a signed archive in memory, for
// tests only. It writes formats with its own code, so that a reader is tested
// against the format and not against itself.
package debtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5" //nolint:gosec // the md5sums file of a package is MD5 by definition
	"fmt"
	"io"
	"os/exec"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Epoch is the modification time of every file in a test package.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Package describes a binary package. The zero values give an architecture
// "amd64" package at version 1.0 with nothing in it.
type Package struct {
	Name         string
	Version      string
	Architecture string
	Fields       string            // further control fields, one a line
	Files        map[string]string // path relative to the root to contents; 0644
	Headers      []tar.Header      // further raw data.tar entries, written in order
	Bodies       map[string]string // contents for Headers
	Scripts      map[string]string // maintainer scripts
	Compression  string            // "gz" (default), "xz", "zst" or "none"
}

func (p Package) withDefaults() Package {
	if p.Version == "" {
		p.Version = "1.0"
	}
	if p.Architecture == "" {
		p.Architecture = "amd64"
	}
	if p.Compression == "" {
		p.Compression = "gz"
	}
	return p
}

// Control returns the package's control stanza, ending in a newline.
func (p Package) Control() string {
	p = p.withDefaults()
	s := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Test <test@example.org>\n", p.Name, p.Version, p.Architecture)
	if f := strings.TrimSpace(p.Fields); f != "" {
		s += f + "\n"
	}
	return s + "Description: test package\n"
}

// Build returns the .deb file.
func (p Package) Build(t testing.TB) []byte {
	t.Helper()
	p = p.withDefaults()
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	Member(&b, "debian-binary", []byte("2.0\n"))
	Member(&b, "control.tar"+suffix(p.Compression), Compress(t, p.Compression, p.controlTar(t)))
	Member(&b, "data.tar"+suffix(p.Compression), Compress(t, p.Compression, p.dataTar(t)))
	return b.Bytes()
}

// Member appends an ar member.
func Member(b *bytes.Buffer, name string, data []byte) {
	fmt.Fprintf(b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, Epoch.Unix(), 0, 0, "100644", len(data))
	b.Write(data)
	if len(data)%2 == 1 {
		b.WriteByte('\n')
	}
}

func suffix(compression string) string {
	if compression == "none" {
		return ""
	}
	return "." + compression
}

// Compress compresses data as a package member of the given kind. xz uses the
// xz program, because there is no encoder in Go worth a dependency here.
func Compress(t testing.TB, kind string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch kind {
	case "none":
		return data
	case "gz":
		w = gzip.NewWriter(&b)
	case "zst":
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	case "xz":
		cmd := exec.Command("xz", "--format=xz", "--stdout")
		cmd.Stdin, cmd.Stdout = bytes.NewReader(data), &b
		if err := cmd.Run(); err != nil {
			t.Fatalf("xz (Debian package xz-utils): %v", err)
		}
		return b.Bytes()
	default:
		t.Fatalf("unknown compression %q", kind)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (p Package) controlTar(t testing.TB) []byte {
	files := map[string]string{"./control": p.Control()}
	for name, script := range p.Scripts {
		files["./"+name] = script
	}
	var sums strings.Builder
	for _, name := range sortedKeys(p.Files) {
		fmt.Fprintf(&sums, "%x  %s\n", md5.Sum([]byte(p.Files[name])), name) //nolint:gosec // see the import
	}
	if sums.Len() > 0 {
		files["./md5sums"] = sums.String()
	}
	return Tar(t, files, nil, nil)
}

func (p Package) dataTar(t testing.TB) []byte {
	files := map[string]string{}
	for name, body := range p.Files {
		files["./"+name] = body
	}
	return Tar(t, files, p.Headers, p.Bodies)
}

// Tar writes the parent directories and files in order of their names, then
// the headers as they are given.
func Tar(t testing.TB, files map[string]string, headers []tar.Header, bodies map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	write := func(h tar.Header, body string) {
		if h.ModTime.IsZero() {
			h.ModTime = Epoch
		}
		if h.Typeflag == tar.TypeReg && h.Size == 0 {
			h.Size = int64(len(body))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	made := map[string]bool{}
	for _, name := range sortedKeys(files) {
		parts := strings.Split(name, "/")
		for i := 1; i < len(parts); i++ {
			dir := strings.Join(parts[:i], "/") + "/"
			if !made[dir] {
				made[dir] = true
				write(tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}, "")
			}
		}
		write(tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, files[name])
	}
	for _, h := range headers {
		write(h, bodies[h.Name])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
