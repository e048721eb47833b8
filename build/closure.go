package build

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/hardstand/hardstand/build/elf"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
)

// maxInspected bounds a program that is read for what it needs, in bytes.
const maxInspected = 256 << 20

// maxInspectedInMemory is how large a program may be to be read in memory, in
// bytes. A larger one is written to a file first.
const maxInspectedInMemory = 6 << 20

// inspector collects the ELF files that pass through a segment.
type inspector struct {
	scratch func() (*os.File, error) // makes a file without a name

	found map[string]*elf.Info
	path  string
	size  int64
	data  []byte
	large *os.File // in place of data
	is    bool
	errs  []error
}

// programBuffers are for inspectors, so that a package after the other needs no
// new one.
var programBuffers sync.Pool // of *[]byte

// file starts a file and finishes the one before.
func (i *inspector) file(e rootfs.Entry) io.Writer {
	i.finish()
	if e.Size < 64 || e.Size > maxInspected {
		return nil
	}
	i.path, i.size, i.is = e.Path, e.Size, true
	return i
}

// Write keeps the bytes of a file as long as it looks like ELF.
func (i *inspector) Write(p []byte) (int, error) {
	switch {
	case !i.is:
		return len(p), nil
	case i.large != nil:
		return i.large.Write(p)
	}
	if len(i.data)+len(p) > cap(i.data) {
		i.grow(len(p))
	}
	i.data = append(i.data, p...)
	n := min(len(i.data), len(elf.Magic))
	if i.is = string(i.data[:n]) == elf.Magic[:n]; i.is && n == len(elf.Magic) && i.size > maxInspectedInMemory {
		return len(p), i.spool()
	}
	return len(p), nil
}

// spool moves what there is of a large program to a file.
func (i *inspector) spool() (err error) {
	if i.large, err = i.scratch(); err != nil {
		return err
	}
	_, err = i.large.Write(i.data)
	return err
}

// grow makes room for the whole of a file that begins like a program, and for n
// bytes of any other.
func (i *inspector) grow(n int) {
	if b, ok := programBuffers.Get().(*[]byte); ok && i.data == nil {
		if i.data = (*b)[:0]; n <= cap(i.data) {
			return
		}
	}
	if len(i.data) >= len(elf.Magic) {
		n = max(n, int(i.size)-len(i.data))
	}
	i.data = slices.Grow(i.data, n)
}

func (i *inspector) finish() {
	if i.path != "" && i.is {
		info, err := i.read()
		if err != nil {
			i.errs = append(i.errs, fmt.Errorf("%s: %w", i.path, err))
		} else if info != nil {
			if i.found == nil {
				i.found = map[string]*elf.Info{}
			}
			i.found[i.path] = info
		}
	}
	i.close()
	i.path, i.data, i.is = "", i.data[:0], false
}

func (i *inspector) read() (*elf.Info, error) {
	if i.large != nil {
		return elf.ReadAt(i.large)
	}
	return elf.Read(i.data)
}

// close gives back what a file took that was not finished.
func (i *inspector) close() {
	if i.large != nil {
		_ = i.large.Close() // it has no name and nothing is kept of it
		i.large = nil
	}
}

func (i *inspector) done() (map[string]*elf.Info, error) {
	i.finish()
	if cap(i.data) > 0 {
		b := i.data
		programBuffers.Put(&b)
		i.data = nil
	}
	return i.found, errors.Join(i.errs...)
}

// multiArch maps platforms to Debian's library directories.
var multiArch = map[spec.Platform]string{
	{Arch: "amd64"}: "x86_64-linux-gnu", {Arch: "arm64"}: "aarch64-linux-gnu", {Arch: "arm", Variant: "v7"}: "arm-linux-gnueabihf",
	{Arch: "riscv64"}: "riscv64-linux-gnu", {Arch: "ppc64le"}: "powerpc64le-linux-gnu", {Arch: "s390x"}: "s390x-linux-gnu",
}

// elfImage is the image as the loader sees it.
func (img *Image) elfImage(segments []*segment) *elf.Image {
	i := &elf.Image{Files: map[string]*elf.Info{}, MultiArch: multiArch[img.Platform], Resolve: func(p string) (string, bool) {
		e, ok := img.Tree.Resolve(p)
		return e.Path, ok
	}}
	if img.base != nil {
		maps.Copy(i.Files, img.base.gate.ELF.Files)
	}
	for _, s := range segments {
		maps.Copy(i.Files, s.ELF)
		i.Loaded = append(i.Loaded, s.Loaded...)
	}
	return i
}

// supplier names the package that should have a library: what the package of
// the program that needs it depends on and the definition ignores, as far as
// its name fits, is surer than any convention.
func (img *Image) supplier(suite, file, library string) string {
	guess := elf.Package(library)
	if _, owner, _ := img.Tree.Lookup(file); owner != "" {
		for _, p := range img.Packages {
			if p.Name != owner {
				continue
			}
			for _, relation := range p.Ignored {
				for _, name := range []string{guess + "t64", guess} {
					if mentions(relation, name) {
						return name + ", which ignore-depends leaves out"
					}
				}
			}
		}
	}
	if !slices.Contains(timed, guess) || suite != "trixie" {
		return guess
	}
	return guess + "t64"
}

// timed are packages whose names end in "t64" since 64-bit times came to
// 32-bit platforms: those whose libraries are asked for most.
var timed = []string{"libssl3", "libglib2.0-0", "libreadline8", "libpng16-16", "libcurl4", "libgnutls30", "libdb5.3", "libhogweed6",
	"libnettle8", "libelf1", "libevent-2.1-7", "libtirpc3", "libcups2", "libaio1", "libarchive13", "libsnmp40", "libuv1", "libgpgme11"}
