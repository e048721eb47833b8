// Package elf checks that the programs of an image find their libraries: it
// reads what an ELF file needs and follows the needs through a file tree as
// the dynamic loader would.
//
// Search order: ld.so(8), without LD_LIBRARY_PATH and /etc/ld.so.conf, which
// the images do not have.
package elf

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Info is what matters of an ELF file.
type Info struct {
	Machine string   `json:"machine"`          // such as EM_X86_64
	Interp  string   `json:"interp,omitempty"` // the loader it asks for
	Soname  string   `json:"soname,omitempty"`
	Needed  []string `json:"needed,omitempty"`
	RPath   []string `json:"rpath,omitempty"`
	RunPath []string `json:"runpath,omitempty"`
}

// Magic starts every ELF file.
const Magic = "\x7fELF"

// Read returns what a file needs, or nil for a file that is no ELF program or
// library.
func Read(data []byte) (*Info, error) { return ReadAt(bytes.NewReader(data)) }

// ReadAt is Read for a file that is not in memory.
func ReadAt(r io.ReaderAt) (*Info, error) {
	magic := make([]byte, len(Magic))
	if n, err := r.ReadAt(magic, 0); string(magic[:n]) != Magic {
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read ELF: %w", err)
		}
		return nil, nil
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("read ELF: %w", err)
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return nil, nil
	}
	info := &Info{Machine: f.Machine.String()}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz > 0 && p.Filesz < 4096 {
			b := make([]byte, p.Filesz)
			if _, err := p.ReadAt(b, 0); err != nil {
				return nil, fmt.Errorf("read ELF interpreter: %w", err)
			}
			info.Interp = string(bytes.TrimRight(b, "\x00"))
		}
	}
	if f.SectionByType(elf.SHT_DYNAMIC) == nil {
		return info, nil
	}
	if info.Needed, err = f.DynString(elf.DT_NEEDED); err != nil {
		return nil, fmt.Errorf("read ELF needs: %w", err)
	}
	for tag, list := range map[elf.DynTag]*[]string{elf.DT_RPATH: &info.RPath, elf.DT_RUNPATH: &info.RunPath} {
		values, err := f.DynString(tag)
		if err != nil {
			return nil, fmt.Errorf("read ELF search path: %w", err)
		}
		for _, v := range values {
			*list = append(*list, strings.Split(v, ":")...)
		}
	}
	if names, err := f.DynString(elf.DT_SONAME); err == nil && len(names) > 0 {
		info.Soname = names[0]
	}
	return info, nil
}

// Image is a file tree as the loader sees it.
type Image struct {
	// Files holds the ELF files by their path relative to the root.
	Files map[string]*Info
	// Resolve follows symlinks from a path to the path of a file.
	Resolve func(string) (string, bool)
	// MultiArch is Debian's name of the library directory, such as
	// x86_64-linux-gnu.
	MultiArch string
	// Loaded names libraries that programs load themselves before anything
	// asks for them, from wherever they are in the image.
	Loaded []string
	// Supplier names the package that should have a library that a file needs.
	// Nil stands for Package.
	Supplier func(file, library string) string
}

// Missing is a need that nothing in the image meets.
type Missing struct {
	File    string // who needs it, relative to the root
	Library string // what
	Package string // of Debian that should have it
}

// String says what is missing and what to do.
func (m Missing) String() string {
	return fmt.Sprintf("/%s needs %s, which is not in the image: add the package %s", m.File, m.Library, m.Package)
}

// Check returns the needs that nothing meets, in order.
func (i *Image) Check() []Missing {
	var missing []Missing
	misses := func(file, library string) {
		m := Missing{file, library, Package(library)}
		if i.Supplier != nil {
			m.Package = i.Supplier(file, library)
		}
		missing = append(missing, m)
	}
	for file, info := range i.Files {
		if info.Interp != "" {
			if _, ok := i.Resolve(info.Interp); !ok {
				misses(file, info.Interp)
			}
		}
		for _, name := range info.Needed {
			if !i.find(file, info, name) {
				misses(file, name)
			}
		}
	}
	slices.SortFunc(missing, func(a, b Missing) int {
		return strings.Compare(a.File+"\x00"+a.Library, b.File+"\x00"+b.Library)
	})
	return missing
}

func (i *Image) find(file string, info *Info, name string) bool {
	if strings.ContainsRune(name, '/') {
		_, ok := i.Resolve(name)
		return ok
	}
	dirs := slices.Concat(info.RPath, info.RunPath, i.systemDirs(), []string{"/lib", "/lib64"})
	for _, dir := range dirs {
		dir = strings.NewReplacer("$ORIGIN", "/"+path.Dir(file), "${ORIGIN}", "/"+path.Dir(file)).Replace(dir)
		target, ok := i.Resolve(path.Join(dir, name))
		if !ok {
			continue
		}
		if found := i.Files[target]; found != nil && found.Machine == info.Machine {
			return true
		}
	}
	return slices.Contains(i.Loaded, name) && i.has(name, info.Machine)
}

func (i *Image) has(soname, machine string) bool {
	for _, info := range i.Files {
		if info.Soname == soname && info.Machine == machine {
			return true
		}
	}
	return false
}

// systemDirs are the directories that the loader always looks in, under merged
// /usr.
func (i *Image) systemDirs() []string {
	dirs := []string{"/usr/lib", "/usr/lib64"}
	if i.MultiArch != "" {
		dirs = append([]string{"/usr/lib/" + i.MultiArch}, dirs...)
	}
	return dirs
}
