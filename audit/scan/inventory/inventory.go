// Package inventory lists what is installed in an image, a directory, a
// program or a bill of materials, in the terms of vulnerability databases: the
// ecosystem, the package and the version that are compared. What it cannot
// read it says, because a package that nobody listed is one that nobody
// judged.
package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Limits on what is read.
const (
	MaxEntries  = 5_000_000 // files of an image or directory
	MaxUnpacked = 16 << 30  // bytes of an image's layers, unpacked
	MaxProgram  = 1 << 30   // bytes of one program
	MaxMetadata = 256 << 20 // bytes of one package list
	MaxSBOM     = 256 << 20 // bytes of one bill of materials
	MaxPackages = 1_000_000 // of one inventory
)

// Package is one installed package.
type Package struct {
	// Ecosystem, Name and Version are what a database knows: for Debian the
	// source package and its version, for Go the module without "v".
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	// Binary and BinaryVersion are what is installed, where that differs.
	Binary        string `json:"binary,omitempty"`
	BinaryVersion string `json:"binaryVersion,omitempty"`
	Arch          string `json:"arch,omitempty"`
	PURL          string `json:"purl"`
	Layer         string `json:"layer,omitempty"` // digest of the layer
	Path          string `json:"path,omitempty"`  // the list or program that names it
}

// Installed returns the name that a person knows the package by.
func (p Package) Installed() string { return cmp.Or(p.Binary, p.Name) }

// InstalledVersion returns the version that a person sees.
func (p Package) InstalledVersion() string { return cmp.Or(p.BinaryVersion, p.Version) }

// Program is a Go program that was found.
type Program struct {
	Path      string            `json:"path"`
	Layer     string            `json:"layer,omitempty"`
	Main      string            `json:"main"` // import path of its main package
	GoVersion string            `json:"go"`
	Stripped  bool              `json:"stripped"` // has no symbol table
	Settings  map[string]string `json:"-"`        // of the build
	Modules   []string          `json:"-"`        // "path@version", sorted
}

// Inventory is what was found.
type Inventory struct {
	Target   string    `json:"target"`
	Kind     string    `json:"kind"` // image, directory, program or sbom
	Digest   string    `json:"digest,omitempty"`
	Platform string    `json:"platform,omitempty"`
	OS       Release   `json:"os,omitzero"`
	Module   string    `json:"-"` // of a go.mod file that was the target
	Packages []Package `json:"packages"`
	Programs []Program `json:"programs,omitempty"`
	// Problems are what could not be read, so that the inventory is not whole.
	Problems []string `json:"problems,omitempty"`
	// Notes are what a reader should know about the inventory's limits.
	Notes []string `json:"notes,omitempty"`
}

// Ecosystems returns the ecosystems of the packages, each once.
func (v *Inventory) Ecosystems() []string {
	var list []string
	for _, p := range v.Packages {
		list = append(list, p.Ecosystem)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (v *Inventory) problem(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

func (v *Inventory) note(format string, args ...any) {
	v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
}

// finish orders the inventory and drops what is listed twice.
func (v *Inventory) finish() error {
	if len(v.Packages) > MaxPackages {
		return fmt.Errorf("list packages of %s: more than %d", v.Target, MaxPackages)
	}
	slices.SortFunc(v.Packages, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Binary, b.Binary),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.Path, b.Path))
	})
	v.Packages = slices.CompactFunc(v.Packages, func(a, b Package) bool {
		return a.PURL == b.PURL && a.Path == b.Path
	})
	slices.SortFunc(v.Programs, func(a, b Program) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(v.Problems)
	slices.Sort(v.Notes)
	return nil
}
