package gate

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/build/elf"
	"github.com/hardstand/hardstand/build/license"
	"github.com/hardstand/hardstand/build/rootfs"
)

// Limits on a foreign image.
const (
	maxEntries   = 2_000_000
	maxProgram   = 256 << 20 // one ELF file, bytes
	maxStatus    = 64 << 20  // a package database, bytes
	maxCopyright = 8 << 20   // a copyright file, bytes
	maxKept      = 512 << 20 // databases and copyright files together, bytes
	maxSweeps    = 10_000    // whiteouts of whole directories, each of which looks at every path
)

// reader collects an image from its layers.
type reader struct {
	entries map[string]rootfs.Entry
	elf     map[string]*elf.Info
	kept    map[string][]byte // package databases and copyright files
	capable map[string]bool   // files with file capabilities
	size    int
	count   int
	sweeps  int
}

// Read makes an Image of the layers of any image, the lowest first, each an
// uncompressed tar stream. Whiteouts are applied. multiArch is Debian's name of
// the library directory, such as x86_64-linux-gnu, user what the image's config
// says.
func Read(layers []io.Reader, multiArch, user string) (*Image, error) {
	r := &reader{entries: map[string]rootfs.Entry{}, elf: map[string]*elf.Info{}, kept: map[string][]byte{}, capable: map[string]bool{}}
	for n, l := range layers {
		if err := r.layer(l); err != nil {
			return nil, fmt.Errorf("read layer %d: %w", n+1, err)
		}
	}
	return r.image(multiArch, user), nil
}

func (r *reader) layer(in io.Reader) error {
	fresh := map[string]bool{}
	for t := tar.NewReader(in); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if r.count++; r.count > maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		p := path.Clean(strings.TrimLeft(h.Name, "/"))
		if p == ".." || strings.HasPrefix(p, "../") {
			return fmt.Errorf("path %q leaves the root", h.Name)
		}
		if p == "." {
			continue
		}
		if deletes, err := r.whiteout(p, fresh); err != nil {
			return err
		} else if deletes {
			continue
		}
		if err := r.entry(p, h, t); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		fresh[p] = true
	}
}

// whiteout applies an entry that deletes what lower layers have
// (https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts).
func (r *reader) whiteout(p string, fresh map[string]bool) (bool, error) {
	dir, name := path.Split(p)
	dir = strings.TrimSuffix(dir, "/")
	hidden, ok := strings.CutPrefix(name, ".wh.")
	if !ok {
		return false, nil
	}
	at, opaque := path.Join(dir, hidden), hidden == ".wh..opq"
	if opaque {
		at = dir
	}
	old, exists := r.entries[at]
	if !opaque && exists && !fresh[at] {
		r.remove(at)
	}
	if !opaque && (!exists || old.Type != rootfs.Dir) {
		return true, nil
	}
	if r.sweeps++; r.sweeps > maxSweeps {
		return false, fmt.Errorf("more than %d whiteouts of directories", maxSweeps)
	}
	for other := range r.entries {
		if (at == "" || strings.HasPrefix(other, at+"/")) && !fresh[other] {
			r.remove(other)
		}
	}
	return true, nil
}

func (r *reader) remove(p string) {
	delete(r.entries, p)
	delete(r.elf, p)
	delete(r.capable, p)
	r.size -= len(r.kept[p])
	delete(r.kept, p)
}

func (r *reader) entry(p string, h *tar.Header, body io.Reader) error {
	old, had := r.entries[p]
	for d := path.Dir(p); d != "." && r.entries[d].Path == ""; d = path.Dir(d) {
		r.entries[d] = rootfs.Entry{Path: d, Type: rootfs.Dir, Mode: 0o755} // no layer describes it
	}
	e := rootfs.Entry{Path: p, Mode: uint32(h.Mode & 0o7777), UID: h.Uid, GID: h.Gid, Size: h.Size, ModTime: h.ModTime.Unix()}
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir:
		e.Type = rootfs.Dir
	case tar.TypeSymlink:
		e.Type, e.Link = rootfs.Symlink, h.Linkname
	case tar.TypeLink:
		e.Type, e.Link = rootfs.Hardlink, path.Clean(strings.TrimLeft(h.Linkname, "/"))
		if target, ok := r.entries[e.Link]; ok && target.Type == rootfs.File {
			e.Type, e.Mode, e.Size, e.Link = rootfs.File, target.Mode, target.Size, ""
			info, capable := r.elf[target.Path], r.capable[target.Path]
			r.remove(p)
			if info != nil {
				r.elf[p] = info
			}
			if capable {
				r.capable[p] = true
			}
			r.entries[p] = e
			return nil
		}
	default:
		return nil // devices and pipes
	}
	r.remove(p)
	if had && old.Type == rootfs.Dir && e.Type != rootfs.Dir {
		if r.sweeps++; r.sweeps > maxSweeps {
			return fmt.Errorf("more than %d directories replaced or deleted", maxSweeps)
		}
		for other := range r.entries {
			if strings.HasPrefix(other, p+"/") {
				r.remove(other)
			}
		}
	}
	r.entries[p] = e
	if e.Type != rootfs.File {
		return nil
	}
	for _, key := range []string{"SCHILY.xattr.security.capability", "LIBARCHIVE.xattr.security.capability"} {
		if h.PAXRecords[key] != "" {
			r.capable[p] = true
		}
	}
	return r.file(e, body)
}

// file keeps what the gates need of a file's contents.
func (r *reader) file(e rootfs.Entry, body io.Reader) error {
	if limit := keep(e.Path); limit > 0 {
		if e.Size > limit || int64(r.size)+e.Size > maxKept {
			return fmt.Errorf("%d bytes, at most %d, and %d together", e.Size, limit, maxKept)
		}
		data, err := io.ReadAll(io.LimitReader(body, limit))
		r.kept[e.Path] = data
		r.size += len(data)
		return err
	}
	if e.Size < 64 || e.Size > maxProgram {
		return nil
	}
	magic := make([]byte, len(elf.Magic))
	if _, err := io.ReadFull(body, magic); err != nil || string(magic) != elf.Magic {
		return err
	}
	data, err := io.ReadAll(io.MultiReader(bytes.NewReader(magic), io.LimitReader(body, maxProgram)))
	if err != nil {
		return err
	}
	// A damaged program is not this package's business: it needs nothing.
	if info, err := elf.Read(data); err == nil && info != nil {
		r.elf[e.Path] = info
	}
	return nil
}

// keep returns how large a file may be that is kept, or 0 for others.
func keep(p string) int64 {
	switch {
	case p == statusFile, path.Dir(p) == statusDir && path.Ext(p) != ".md5sums":
		return maxStatus
	case strings.HasPrefix(p, "usr/share/doc/") && path.Base(p) == "copyright":
		return maxCopyright
	}
	return 0
}

// Where Debian's images have their packages: of a system, and of images that
// are made of packages without dpkg.
const (
	statusFile = "var/lib/dpkg/status"
	statusDir  = "var/lib/dpkg/status.d"
)

func (r *reader) image(multiArch, user string) *Image {
	tree := rootfs.NewTree()
	img := &Image{User: user, Resolve: tree.Resolve, Capable: slices.Sorted(maps.Keys(r.capable))}
	for _, p := range slices.Sorted(maps.Keys(r.entries)) {
		img.Entries = append(img.Entries, r.entries[p])
		// Conflicts cannot be: each path is there once. A file below what is no
		// directory is unreachable, and stays out of the tree.
		_ = tree.Add(&rootfs.Segment{Entries: []rootfs.Entry{r.entries[p]}})
	}
	img.ELF = elf.Image{Files: r.elf, MultiArch: multiArch, Resolve: func(p string) (string, bool) {
		e, ok := tree.Resolve(p)
		return e.Path, ok
	}}
	for _, p := range slices.Sorted(maps.Keys(r.kept)) {
		if p == statusFile || path.Dir(p) == statusDir {
			img.Packages = append(img.Packages, r.packages(tree, r.kept[p])...)
		}
	}
	return img
}

// packages reads the installed packages of a database.
func (r *reader) packages(tree *rootfs.Tree, data []byte) []Package {
	var list []Package
	for stanza := range strings.SplitSeq(string(data), "\n\n") {
		p := Package{Stanza: []byte(strings.TrimSpace(stanza) + "\n")}
		installed := true
		for line := range strings.Lines(stanza) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch key {
			case "Package":
				p.Name = value
			case "Version":
				p.Version = value
			case "Status":
				installed = strings.HasSuffix(value, " installed")
			}
		}
		if p.Name == "" || !installed {
			continue
		}
		p.License = license.Info{Names: []string{license.Unknown}}
		if e, ok := tree.Resolve("usr/share/doc/" + p.Name + "/copyright"); ok && r.kept[e.Path] != nil {
			p.License = license.Parse(r.kept[e.Path])
		}
		list = append(list, p)
	}
	return list
}
