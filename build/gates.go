package build

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/build/gate"
	"github.com/hardstand/hardstand/build/license"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
)

// checkGates judges the tree before the decoys are in it: they have the names
// of shells.
func (img *Image) checkGates(d *spec.Definition, debs, all []*segment) error {
	i := &gate.Image{
		Entries: img.Tree.Entries(), Resolve: img.Tree.Resolve, ELF: *img.elfImage(all), User: img.user(d),
		Owner: func(p string) string {
			_, owner, _ := img.Tree.Lookup(p)
			if owner == baseOwner {
				return "" // a package of it, which its database does not say
			}
			return owner
		},
	}
	i.ELF.Supplier = func(file, library string) string { return img.supplier(d.Debian.Suite, file, library) }
	for n, p := range img.Packages {
		i.Packages = append(i.Packages, gate.Package{Name: p.Name, Version: p.Version, License: img.licenseOf(p.Name, debs[n], debs)})
		img.Licenses[p.Name] = i.Packages[n].License
	}
	if img.base != nil {
		i.Packages, i.Capable = append(i.Packages, img.base.gate.Packages...), img.base.gate.Capable
	}
	findings := slices.Concat(gate.SetID(i), gate.WorldWritable(i), gate.MergedUsr(i), gate.Shell(i), gate.Denied(i, d.Deny), gate.Libraries(i))
	if !d.Bare {
		findings = append(findings, gate.Root(i)...)
	}
	if l := d.Licenses; l != nil {
		findings = append(findings, gate.Licenses(i, l.Allow, l.Deny)...)
	}
	var errs []error
	for _, f := range findings {
		if d.Exempt[f.Gate] == "" {
			errs = append(errs, f)
		}
	}
	return errors.Join(errs...)
}

// licenseOf reads what the copyright file of a package said. The documentation
// of one package may be a link to another's.
func (img *Image) licenseOf(name string, own *segment, debs []*segment) license.Info {
	e, ok := img.Tree.Resolve("usr/share/doc/" + name + "/copyright")
	if !ok {
		return license.Info{Names: []string{license.Unknown}}
	}
	_, owner, _ := img.Tree.Lookup(e.Path)
	for _, s := range append([]*segment{own}, debs...) {
		if s.Name == owner && s.License != nil && s.LicenseFile == e.Path {
			return *s.License
		}
	}
	return license.Info{Names: []string{license.Unknown}}
}

// noteUnused reports what the definition says of this image and the image has
// no use for.
func (img *Image) noteUnused(d *spec.Definition, debs []*segment) {
	for _, pattern := range d.Drop {
		used := slices.ContainsFunc(debs, func(s *segment) bool { return slices.Contains(s.Patterns, pattern) })
		if !used && d.Own(pattern) {
			img.Notes = append(img.Notes, fmt.Sprintf("drop %s: no package has such a path", pattern))
		}
	}
	for _, name := range d.IgnoreDepends {
		used := slices.ContainsFunc(img.Packages, func(p *spec.Package) bool {
			return slices.ContainsFunc(p.Ignored, func(relation string) bool { return mentions(relation, name) })
		})
		if !used && d.Own(name) {
			img.Notes = append(img.Notes, fmt.Sprintf("ignore-depends %s: no package depends on it", name))
		}
	}
}

// mentions reports whether a relation such as "debconf (>= 0.5) | debconf-2.0"
// names a package, by itself or as what it provides.
func mentions(relation, name string) bool {
	for alternative := range strings.SplitSeq(relation, "|") {
		first, _, _ := strings.Cut(strings.TrimSpace(alternative), " ")
		if first, _, _ = strings.Cut(first, ":"); first == name { // as in "python3:any"
			return true
		}
	}
	return false
}

// copyrightFile is where a package's own copyright file is.
func copyrightFile(name string) string { return "usr/share/doc/" + name + "/copyright" }

// compatible adds what another project's images have where ours differ.
func compatible(d *spec.Definition) []rootfs.Content {
	if d.Compat != "distroless" {
		return nil
	}
	release, suite := spec.Releases[d.Debian.Suite], d.Debian.Suite
	text := fmt.Sprintf("PRETTY_NAME=\"Distroless\"\nNAME=\"Debian GNU/Linux\"\nID=\"debian\"\nVERSION_ID=\"%[1]s\"\nVERSION=\"Debian GNU/Linux %[1]s (%[2]s)\"\n"+
		"HOME_URL=\"https://github.com/hardstand/hardstand\"\nSUPPORT_URL=\"https://github.com/hardstand/hardstand/blob/main/README.md\"\n"+
		"BUG_REPORT_URL=\"https://github.com/hardstand/hardstand/issues\"\n", release, suite)
	return []rootfs.Content{
		{Entry: rootfs.Entry{Path: "usr/lib/os-release", Mode: 0o555}, Data: []byte(text)},
		{Entry: rootfs.Entry{Path: "etc/os-release", Type: rootfs.Symlink, Mode: 0o777, Link: "../usr/lib/os-release"}},
	}
}

// compatDrop are the patterns that make room for what compatible adds.
func compatDrop(d *spec.Definition) []string {
	if d.Compat != "distroless" {
		return nil
	}
	return []string{"usr/lib/os-release", "etc/os-release"}
}
