// Package gate judges the file tree of an image: who could gain rights in it,
// what could run a command, which packages and licences it has, whether its
// programs find their libraries. hardstand asks before an image is written;
// Read makes the same questions askable of images built elsewhere.
//
// It reads trees and streams, never the disk or the network, and decides
// nothing about exceptions: whoever asks does.
package gate

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/build/elf"
	"github.com/hardstand/hardstand/build/license"
	"github.com/hardstand/hardstand/build/rootfs"
)

// The names of the gates, as definitions and reports have them.
const (
	NameSetID         = "set-id"
	NameWorldWritable = "world-writable"
	NameMergedUsr     = "merged-usr"
	NameShell         = "shell"
	NameDenied        = "denied-package"
	NameLicense       = "license"
	NameLibrary       = "library"
	NameRoot          = "root"
)

// Image is a file tree as the gates see it.
type Image struct {
	Entries  []rootfs.Entry // in any order, each path once
	Owner    func(path string) string
	Resolve  func(path string) (rootfs.Entry, bool) // follows symlinks
	Packages []Package
	ELF      elf.Image
	User     string // that processes run as, as in an image's config
	// Capable are the paths of files with file capabilities (capabilities(7)).
	// Debian's packages have none: they come with images made elsewhere.
	Capable []string
}

// Package is a Debian package in an image.
type Package struct {
	Name, Version string
	License       license.Info
	Stanza        []byte // of the database of a foreign image, else nil
}

// Finding is one reason to refuse an image.
type Finding struct {
	Gate    string
	Path    string // relative to the root; may be empty
	Package string // may be empty
	Message string // a sentence for people, with what to do
}

// Error makes a Finding an error.
func (f Finding) Error() string { return f.Message }

// from says whose a path is.
func (i *Image) from(p string) (owner, prefix string) {
	if i.Owner != nil {
		owner = i.Owner(p)
	}
	if owner == "" {
		return "", ""
	}
	return owner, "package " + owner + ": "
}

func (i *Image) finding(gate, p, format string, args ...any) Finding {
	owner, prefix := i.from(p)
	return Finding{gate, p, owner, prefix + "/" + p + " " + fmt.Sprintf(format, args...)}
}

// SetID finds files that give whoever runs them other rights: by their mode,
// or by file capabilities.
func SetID(i *Image) []Finding {
	var list []Finding
	for _, p := range i.Capable {
		list = append(list, i.finding(NameSetID, p, "has file capabilities: drop it or do without the package"))
	}
	for _, e := range i.Entries {
		if e.Type == rootfs.File && e.Mode&0o6000 != 0 {
			list = append(list, i.finding(NameSetID, e.Path, "is set-id (mode %04o): drop it or do without the package", e.Mode))
		}
	}
	return list
}

// WorldWritable finds what anybody may change: files, and directories in which
// anybody may delete the files of others.
func WorldWritable(i *Image) []Finding {
	var list []Finding
	for _, e := range i.Entries {
		if e.Type == rootfs.File && e.Mode&0o002 != 0 || e.Type == rootfs.Dir && e.Mode&0o1002 == 0o002 {
			list = append(list, i.finding(NameWorldWritable, e.Path, "is writable by everyone (mode %04o): drop it or do without the package", e.Mode))
		}
	}
	return list
}

// MergedUsr finds directories of the root that should be links into /usr, and
// files below them. A tree without /usr has nothing to merge.
func MergedUsr(i *Image) []Finding {
	var list []Finding
	usr := slices.ContainsFunc(i.Entries, func(e rootfs.Entry) bool { return e.Path == "usr" || strings.HasPrefix(e.Path, "usr/") })
	for _, e := range i.Entries {
		first, _, below := strings.Cut(e.Path, "/")
		if !usr || !slices.Contains([]string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"}, first) {
			continue
		}
		if below || e.Type != rootfs.Symlink || strings.TrimPrefix(e.Link, "/") != "usr/"+first {
			list = append(list, i.finding(NameMergedUsr, e.Path, "stands where merged /usr has a link to /usr/%s: put it below /usr", first))
		}
	}
	return list
}

// shells are programs that run commands they are told.
var shells = []string{"sh", "ash", "bash", "rbash", "dash", "zsh", "ksh", "mksh", "lksh", "csh", "tcsh", "fish", "posh", "yash", "busybox", "toybox",
	"bash-static", "zsh-static", "zsh5", "rzsh", "ksh93", "mksh-static", "oksh", "rksh", "sash", "static-sh", "bsd-csh", "elvish", "xonsh", "pwsh"}

// Shell finds shells: programs of their names in directories of programs, links
// that lead to one, and ELF programs of their names wherever they are.
func Shell(i *Image) []Finding {
	var list []Finding
	for _, e := range i.Entries {
		dir, name := path.Split(e.Path)
		dir = strings.TrimSuffix(dir, "/")
		programs := path.Base(dir) == "bin" || path.Base(dir) == "sbin" || dir == "busybox" || i.ELF.Files[e.Path] != nil
		if !programs || !slices.Contains(shells, name) || e.Type == rootfs.Dir {
			continue
		}
		target := e
		if e.Type == rootfs.Symlink {
			var ok bool
			if target, ok = i.Resolve(e.Path); !ok {
				continue
			}
		}
		if target.Mode&0o111 != 0 || target.Type == rootfs.Hardlink {
			list = append(list, i.finding(NameShell, e.Path, "is a shell: drop it or do without the package"))
		}
	}
	return list
}

// Denied finds packages that must not be in the image.
func Denied(i *Image, names []string) []Finding {
	var list []Finding
	for _, p := range i.Packages {
		if slices.Contains(names, p.Name) {
			list = append(list, Finding{NameDenied, "", p.Name, fmt.Sprintf("package %s %s is denied and in the image", p.Name, p.Version)})
		}
	}
	return list
}

// Licenses finds packages whose licences a policy refuses: a name that a
// pattern of deny matches, or with allow, one that no pattern of it matches.
// Every name that a copyright file mentions counts, also of alternatives.
func Licenses(i *Image, allow, deny []string) []Finding {
	matches := func(patterns []string, name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok })
	}
	var list []Finding
	for _, p := range i.Packages {
		for _, name := range p.License.Names {
			switch {
			case matches(deny, name):
				list = append(list, Finding{NameLicense, "", p.Name, fmt.Sprintf("package %s: licence %s is denied", p.Name, name)})
			case len(allow) > 0 && !matches(allow, name):
				list = append(list, Finding{NameLicense, "", p.Name, fmt.Sprintf("package %s: licence %s is not among those allowed", p.Name, name)})
			}
		}
	}
	return list
}

// Libraries finds programs that would not start for want of a library.
func Libraries(i *Image) []Finding {
	var list []Finding
	for _, m := range i.ELF.Check() {
		owner, _ := i.from(m.File)
		list = append(list, Finding{NameLibrary, m.File, owner, m.String()})
	}
	return list
}

// Root finds an image whose processes run as root unless told otherwise.
func Root(i *Image) []Finding {
	user, _, _ := strings.Cut(i.User, ":")
	if user != "" && user != "0" && user != "root" {
		return nil
	}
	return []Finding{{Gate: NameRoot, Message: "the image runs as root: set another user"}}
}
