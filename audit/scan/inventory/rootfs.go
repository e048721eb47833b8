package inventory

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"runtime/debug"
	"slices"
	"strings"
)

// Options shape what is read.
type Options struct {
	// Release stands in for os-release where that is missing, such as
	// "debian-13".
	Release string
	// Keep, if not nil, is handed every Go program that was found, for an
	// analysis of its code. It must not hold on to data.
	Keep func(path string, data []byte) error
}

// Where files of interest lie.
const (
	statusFile = "var/lib/dpkg/status"
	statusDir  = "var/lib/dpkg/status.d"
	infoDir    = "var/lib/dpkg/info"
	apkFile    = "lib/apk/db/installed"
	apkFileUsr = "usr/lib/apk/db/installed"
)

var releaseFiles = []string{"etc/os-release", "usr/lib/os-release"}

// rpmFiles mark a distribution whose package list cannot be read here.
var rpmFiles = []string{"var/lib/rpm/Packages", "var/lib/rpm/Packages.db", "var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db"}

// rootfs collects what matters of a file system's files, each under its path:
// a later file of a path takes the place of an earlier one.
type rootfs struct {
	options Options
	inv     *Inventory
	files   map[string]found
	elfs    map[string]bool   // programs and libraries that are not Go's
	foreign map[string]string // ecosystem that is not read, to an example
	modules bool              // read go.mod files, too
	buf     bytes.Buffer
	held    int64 // bytes of lists, all together
}

// maxHeld bounds what the package lists of one target have together, in bytes.
const maxHeld = 512 << 20

type found struct {
	layer string
	data  []byte           // of a list
	info  *debug.BuildInfo // of a program
	add   func(v *Inventory)
}

func newRootfs(inv *Inventory, o Options) *rootfs {
	return &rootfs{options: o, inv: inv, files: map[string]found{}, elfs: map[string]bool{}, foreign: map[string]string{}}
}

// wanted reports whether a file's whole content is a list to read.
func (r *rootfs) wanted(name string) bool {
	switch {
	case name == statusFile, name == apkFile, name == apkFileUsr, slices.Contains(releaseFiles, name):
		return true
	case path.Dir(name) == statusDir:
		return true
	case path.Dir(name) == infoDir:
		return strings.HasSuffix(name, ".list")
	case r.modules && path.Base(name) == "go.mod":
		return true
	}
	return false
}

// file looks at one regular file.
func (r *rootfs) file(name, layer string, size int64, body io.Reader) error {
	delete(r.files, name)
	delete(r.elfs, name)
	if r.wanted(name) {
		data, err := limited(body, MaxMetadata)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if r.held += int64(len(data)); r.held > maxHeld {
			return fmt.Errorf("read %s: the package lists have more than %d bytes together", name, int64(maxHeld))
		}
		r.files[name] = found{layer: layer, data: data}
		return nil
	}
	if slices.Contains(rpmFiles, name) {
		r.foreign["rpm"] = name
	}
	r.language(name)
	if size < 64 {
		return nil
	}
	var head [4]byte
	if _, err := io.ReadFull(body, head[:]); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if !isELF(head[:]) {
		return nil
	}
	if size > MaxProgram {
		r.inv.problem("%s: a program of %d bytes is not read; the limit is %d", name, size, MaxProgram)
		return nil
	}
	r.buf.Reset()
	r.buf.Write(head[:])
	if _, err := io.Copy(&r.buf, io.LimitReader(body, MaxProgram)); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return r.elf(name, layer, r.buf.Bytes())
}

func (r *rootfs) elf(name, layer string, data []byte) error {
	info, ok, err := program(bytes.NewReader(data))
	if err != nil {
		r.inv.problem("%s: it looks like a Go program and cannot be read: %v", name, err)
		return nil
	}
	if !ok {
		r.elfs[name] = true
		return nil
	}
	one := &Inventory{}
	one.addProgram(info, bytes.NewReader(data), layer, name)
	r.files[name] = found{layer: layer, info: info, add: func(v *Inventory) {
		v.Packages = append(v.Packages, one.Packages...)
		v.Programs = append(v.Programs, one.Programs...)
		v.Problems = append(v.Problems, one.Problems...)
		v.Notes = append(v.Notes, one.Notes...)
	}}
	if r.options.Keep != nil {
		return r.options.Keep(name, data)
	}
	return nil
}

// language notes packages of languages that are not read here.
func (r *rootfs) language(name string) {
	for _, l := range []struct{ kind, mark string }{
		{"npm", "node_modules/"}, {"PyPI", ".dist-info/METADATA"}, {"Maven", ".jar"}, {"RubyGems", ".gemspec"}, {"crates.io", "Cargo.lock"},
	} {
		if strings.Contains(name, l.mark) && r.foreign[l.kind] == "" {
			r.foreign[l.kind] = name
		}
	}
}

// close makes the inventory of what was collected.
func (r *rootfs) close() error {
	v := r.inv
	for _, name := range releaseFiles {
		if f, ok := r.files[name]; ok {
			v.OS = ParseRelease(f.data)
		}
	}
	if r.options.Release != "" {
		v.OS = ParseDistro("debian", r.options.Release)
	}
	names := make([]string, 0, len(r.files))
	for name := range r.files {
		names = append(names, name)
	}
	slices.Sort(names)
	owned, distribution := map[string]bool{}, 0
	for _, name := range names {
		f := r.files[name]
		before := len(v.Packages)
		if err := r.list(name, f, owned); err != nil {
			v.problem("%s: %v", name, err)
		}
		for i := before; i < len(v.Packages); i++ {
			v.Packages[i].Layer = f.layer
			if v.Packages[i].Path == "" {
				v.Packages[i].Path = name
			}
		}
		if f.info == nil && path.Base(name) != "go.mod" {
			distribution += len(v.Packages) - before
		}
	}
	r.remarks(owned, distribution)
	return v.finish()
}

// list reads one file that was collected.
func (r *rootfs) list(name string, f found, owned map[string]bool) error {
	v := r.inv
	switch {
	case f.add != nil:
		f.add(v)
	case path.Base(name) == "go.mod":
		return v.addModule(f.data, name)
	case name == apkFile, name == apkFileUsr:
		if v.OS.Ecosystem() == "" {
			return fmt.Errorf("os-release does not say which release this is: name it")
		}
		list, err := parseAPK(f.data, v.OS)
		v.Packages = append(v.Packages, list...)
		return err
	case strings.HasSuffix(name, ".md5sums"):
		for line := range strings.Lines(string(f.data)) {
			if _, file, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
				owned[unmerged(file)] = true
			}
		}
	case path.Dir(name) == infoDir:
		for line := range strings.Lines(string(f.data)) {
			owned[unmerged(strings.TrimSpace(line))] = true
		}
	case name == statusFile, path.Dir(name) == statusDir:
		return r.debs(f)
	}
	return nil
}

func (r *rootfs) debs(f found) error {
	list, err := parseStatus(f.data)
	if err != nil {
		return err
	}
	if len(list) > 0 && r.inv.OS.Ecosystem() == "" {
		return fmt.Errorf("os-release does not say which release this is (%q, version %q): name it", r.inv.OS.ID, r.inv.OS.Version)
	}
	for _, s := range list {
		r.inv.Packages = append(r.inv.Packages, s.deb(r.inv.OS))
	}
	return nil
}

// remarks says what the lists do not cover.
func (r *rootfs) remarks(owned map[string]bool, distribution int) {
	v := r.inv
	if v.OS.ID != "" && distribution == 0 && !r.modules {
		v.problem("os-release says that this is %s %s, but there is no list of its packages: scan the attested SBOM in place of the image", v.OS.ID, v.OS.Version)
	}
	kinds := make([]string, 0, len(r.foreign))
	for kind := range r.foreign {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		if kind == "rpm" {
			v.problem("%s: rpm databases are not read: scan an SBOM of this image", r.foreign[kind])
			continue
		}
		v.note("packages of %s are not looked for, and there are some (%s): scan an SBOM, too", kind, r.foreign[kind])
	}
	// Only their number: a report may be published, and decoys are among them.
	strangers := 0
	for name := range r.elfs {
		if !owned[unmerged(name)] {
			strangers++
		}
	}
	if strangers > 0 && !r.modules {
		v.note("%d programs and libraries belong to no package and are not Go's, so nothing is known of what is in them", strangers)
	}
}

// unmerged drops the differences of /usr merging from a path.
func unmerged(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path.Clean("/"+name), "/"), "usr/")
}

func limited(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return data, err
}
