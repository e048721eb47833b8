package inventory

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// program reads a Go program. Something else is ok == false.
func program(r io.ReaderAt) (*debug.BuildInfo, bool, error) {
	info, err := buildinfo.Read(r)
	if err != nil {
		// The package has no error to compare with for "not a Go program".
		if strings.Contains(err.Error(), "not a Go executable") || strings.Contains(err.Error(), "unrecognized file format") {
			return nil, false, nil
		}
		return nil, false, err
	}
	return info, true, nil
}

// addProgram lists the modules of a program.
func (v *Inventory) addProgram(info *debug.BuildInfo, r io.ReaderAt, layer, path string) {
	p := Program{Path: path, Layer: layer, Main: info.Path, GoVersion: info.GoVersion, Stripped: stripped(r), Settings: map[string]string{}}
	for _, s := range info.Settings {
		p.Settings[s.Key] = s.Value
	}
	add := func(module, version string) {
		v.Packages = append(v.Packages, Package{
			Ecosystem: "Go", Name: module, Version: strings.TrimPrefix(version, "v"), PURL: goPURL(module, version), Layer: layer, Path: path,
		})
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Version == "" {
			v.note("%s: the module %s is built from a directory and has no version to judge", path, m.Path)
			continue
		}
		add(m.Path, m.Version)
		p.Modules = append(p.Modules, m.Path+"@"+m.Version)
	}
	if version := info.Main.Version; info.Main.Path != "" && version != "" && version != "(devel)" {
		add(info.Main.Path, version)
	}
	if version, ok := goVersion(info.GoVersion); ok {
		v.Packages = append(v.Packages, Package{
			Ecosystem: "Go", Name: "stdlib", Version: version, PURL: goPURL("stdlib", version), Layer: layer, Path: path,
		})
	} else {
		v.problem("%s: its Go version %q is no release, so its standard library cannot be judged", path, info.GoVersion)
	}
	slices.Sort(p.Modules)
	v.Programs = append(v.Programs, p)
}

// stripped reports whether a program has no symbol table.
func stripped(r io.ReaderAt) bool {
	f, err := elf.NewFile(r)
	if err != nil {
		return true
	}
	defer f.Close() //nolint:errcheck // nothing to close but a reader
	return f.Section(".symtab") == nil
}

// goVersion turns "go1.26.3" and "go1.27rc1 X:nocoverageredesign" into what
// the database compares: 1.26.3, 1.27.0-rc.1.
func goVersion(s string) (string, bool) {
	s = strings.TrimPrefix(s, "go")
	s, _, _ = strings.Cut(s, " ")
	s, _, _ = strings.Cut(s, "-") // a vendor's suffix
	pre := ""
	for _, kind := range []string{"rc", "beta"} {
		if head, n, ok := strings.Cut(s, kind); ok {
			s, pre = head, "-"+kind+"."+n
		}
	}
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return "", false
	}
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return "", false
		}
	}
	if len(parts) == 2 {
		s += ".0"
	}
	return s + pre, true
}

// addModule lists what a go.mod file requires.
func (v *Inventory) addModule(data []byte, path string) error {
	f, err := modfile.Parse(path, data, nil)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	replaced := map[string]*modfile.Replace{}
	for _, r := range f.Replace {
		replaced[r.Old.Path+"@"+r.Old.Version] = r
	}
	for _, r := range f.Require {
		m := r.Mod
		to := replaced[m.Path+"@"+m.Version]
		if to == nil {
			to = replaced[m.Path+"@"]
		}
		if to != nil {
			m = to.New
		}
		if m.Version == "" {
			v.note("%s: %s is replaced by a directory and has no version to judge", path, r.Mod.Path)
			continue
		}
		v.Packages = append(v.Packages, Package{
			Ecosystem: "Go", Name: m.Path, Version: strings.TrimPrefix(m.Version, "v"), PURL: goPURL(m.Path, m.Version), Path: path,
		})
	}
	v.note("%s: which standard library is used is decided by the compiler; scan the program to judge it", path)
	return nil
}

// isELF looks at the first bytes of a file.
func isELF(head []byte) bool { return bytes.HasPrefix(head, []byte(elf.ELFMAG)) }
