// Package sbom describes an image's contents, in SPDX 2.3 and CycloneDX 1.6,
// made from the lock and the build, without reading the image again. The same
// input gives the same bytes.
//
// Formats: https://spdx.github.io/spdx-spec/v2.3/, ECMA-424, and the package
// URL specification for type "deb".
package sbom

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hardstand/hardstand/build/license"
	"github.com/hardstand/hardstand/build/spec"
)

// Component is something in the image that is no Debian package.
type Component struct {
	Name    string
	Version string
	SHA256  string // of the file, hexadecimal; empty for a part of another component
	PURL    string // may be empty
	License string // SPDX expression, or NOASSERTION
	Note    string
	// Supplier is the organisation that it came from, "" if that is not known.
	Supplier string
	// Container marks an image that this one starts from; Within says that the
	// component is in the one of this name, which stands before it.
	Container bool
	Within    string
}

// id tells components of one name apart: two programs may have a part in common.
func (c Component) id() string {
	if c.Within == "" {
		return c.Name
	}
	return c.Within + "-" + c.Name
}

// GoModule describes a module that a Go program was compiled with; the path
// "stdlib" is that of the standard library, by the version of its toolchain.
func GoModule(program, path, version string) Component {
	c := Component{Name: path, Version: version, License: noAssertion, Within: program, PURL: GoPURL(path, version)}
	if path == "stdlib" {
		c.Supplier, c.License, c.Note = "The Go Authors", "BSD-3-Clause", "the standard library of the Go toolchain"
	}
	return c
}

// GoPURL writes the package URL of a module, without a version if it has none.
func GoPURL(path, version string) string {
	if version == "" {
		return "pkg:golang/" + path
	}
	return "pkg:golang/" + path + "@" + escape(version)
}

// Input is what a document is made of.
type Input struct {
	Image     string
	Platform  spec.Platform
	Release   string // Debian version number, such as "13"
	Codename  string
	Digest    string // of the platform's manifest, "sha256:..."
	Created   time.Time
	Tool      string // such as "hardstand-1.2.3"
	Packages  []*spec.Package
	Suppliers map[string]string // package to Maintainer, "Name <address>"
	Dropped   map[string]int    // package to number of paths left out
	// Patterns are the definition's patterns that left paths out, by package.
	Patterns   map[string][]string
	Effects    map[string]string // package to what stands in for its scripts
	Licenses   map[string]license.Info
	Components []Component
}

type document struct {
	SPDXVersion   string         `json:"spdxVersion"`
	DataLicense   string         `json:"dataLicense"`
	SPDXID        string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	CreationInfo  creationInfo   `json:"creationInfo"`
	Packages      []pkg          `json:"packages"`
	Licenses      []extracted    `json:"hasExtractedLicensingInfos,omitempty"`
	Relationships []relationship `json:"relationships"`
}

// extracted is a licence that SPDX does not list.
type extracted struct {
	ID   string `json:"licenseId"`
	Name string `json:"name"`
	Text string `json:"extractedText"`
}

type creationInfo struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type pkg struct {
	SPDXID           string        `json:"SPDXID"`
	Name             string        `json:"name"`
	Version          string        `json:"versionInfo,omitempty"`
	Supplier         string        `json:"supplier,omitempty"`
	Originator       string        `json:"originator,omitempty"`
	DownloadLocation string        `json:"downloadLocation"`
	FilesAnalyzed    bool          `json:"filesAnalyzed"`
	Checksums        []checksum    `json:"checksums,omitempty"`
	SourceInfo       string        `json:"sourceInfo,omitempty"`
	LicenseConcluded string        `json:"licenseConcluded"`
	LicenseDeclared  string        `json:"licenseDeclared"`
	Copyright        string        `json:"copyrightText"`
	Comment          string        `json:"comment,omitempty"`
	ExternalRefs     []externalRef `json:"externalRefs,omitempty"`
	Purpose          string        `json:"primaryPackagePurpose,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type externalRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	Element string `json:"spdxElementId"`
	Related string `json:"relatedSpdxElement"`
	Type    string `json:"relationshipType"`
}

const noAssertion = "NOASSERTION"

// In-toto predicate types of the documents.
const (
	SPDXType      = "https://spdx.dev/Document"
	CycloneDXType = "https://cyclonedx.org/bom"
)

// SPDX returns the document.
func SPDX(in Input) ([]byte, error) {
	root := pkg{
		SPDXID: "SPDXRef-image", Name: in.Image, Version: in.Digest, Supplier: noAssertion, DownloadLocation: noAssertion, Purpose: "CONTAINER",
		LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, Copyright: noAssertion,
		ExternalRefs: []externalRef{purl(imagePURL(in))},
	}
	if h, ok := strings.CutPrefix(in.Digest, "sha256:"); ok {
		root.Checksums = []checksum{{"SHA256", h}}
	}
	d := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT",
		Name:          in.Image + " " + in.Platform.String(),
		CreationInfo:  creationInfo{in.Created.UTC().Format(time.RFC3339), []string{"Tool: " + in.Tool}},
		Packages:      []pkg{root},
		Relationships: []relationship{{"SPDXRef-DOCUMENT", root.SPDXID, "DESCRIBES"}},
	}
	d.Licenses = in.extract()
	d.contents(in, root.SPDXID, "SPDXRef-")
	return finish(d, in.Image)
}

// contents adds what an image holds. The identifiers begin with prefix.
func (d *document) contents(in Input, image, prefix string) {
	for _, p := range in.Packages {
		entry := debPackage(in, p)
		entry.SPDXID = prefix + "deb-" + ref(p.Name)
		d.add(image, entry)
	}
	for _, c := range in.Components {
		entry, holder := componentPackage(c), image
		entry.SPDXID = prefix + "component-" + ref(c.id())
		if c.Within != "" {
			holder = prefix + "component-" + ref(c.Within)
		}
		d.add(holder, entry)
	}
}

func (d *document) add(root string, p pkg) {
	d.Packages = append(d.Packages, p)
	d.Relationships = append(d.Relationships, relationship{root, p.SPDXID, "CONTAINS"})
}

func debPackage(in Input, p *spec.Package) pkg {
	out := pkg{
		Name: p.Name, Version: p.Version,
		DownloadLocation: noAssertion,
		Checksums:        []checksum{{"SHA256", p.SHA256}},
		SourceInfo:       fmt.Sprintf("built from the Debian source package %s %s", p.Source, p.SourceVersion),
		LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, Copyright: noAssertion,
		ExternalRefs: []externalRef{purl(DebPURL(p, in.Release))},
	}
	if m := in.Suppliers[p.Name]; m != "" {
		out.Originator = "Person: " + strings.NewReplacer("<", "(", ">", ")").Replace(m)
	}
	out.Comment = in.comment(p.Name)
	if l := in.Licenses[p.Name]; l.Expression != "" {
		out.LicenseDeclared = l.Expression
	}
	out.Supplier = "Organization: " + supplierOf(p)
	return out
}

// supplierOf names who is answerable for a package: the archive that it came
// from, not who says to maintain it.
func supplierOf(p *spec.Package) string {
	if p.Archive == spec.Local {
		return spec.Local
	}
	return "Debian"
}

// comment says how what is in the image differs from the package.
func (in Input) comment(name string) string {
	var parts []string
	if n := in.Dropped[name]; n > 0 {
		text := fmt.Sprintf("%d paths of this package are left out of the image by its definition", n)
		if list := in.Patterns[name]; len(list) > 0 {
			text += ": " + strings.Join(list, ", ")
		}
		parts = append(parts, text)
	}
	if e := in.Effects[name]; e != "" {
		parts = append(parts, "in place of its maintainer scripts: "+e)
	}
	return strings.Join(parts, "; ")
}

// extract lists the licences that SPDX does not, with where their texts are.
func (in Input) extract() []extracted {
	where := map[string][]string{}
	names := map[string]string{}
	for _, p := range in.Packages {
		l := in.Licenses[p.Name]
		for _, name := range l.Names {
			if id := license.SPDX(name); l.Expression != "" && strings.HasPrefix(id, license.RefPrefix) {
				where[id], names[id] = append(where[id], p.Name), name
			}
		}
	}
	var list []extracted
	for _, id := range slices.Sorted(maps.Keys(where)) {
		list = append(list, extracted{id, names[id], "The text is in the copyright file of " + strings.Join(where[id], ", ") + ", below /usr/share/doc."})
	}
	return list
}

func componentPackage(c Component) pkg {
	p := pkg{
		Name: c.Name, Version: c.Version, Supplier: noAssertion, DownloadLocation: noAssertion,
		LicenseConcluded: c.License, LicenseDeclared: c.License, Copyright: noAssertion, Comment: c.Note, Purpose: "LIBRARY",
	}
	if c.SHA256 != "" {
		p.Checksums, p.Purpose = []checksum{{"SHA256", c.SHA256}}, "APPLICATION"
	}
	if c.Container {
		p.Purpose = "CONTAINER"
	}
	if c.Supplier != "" {
		p.Supplier = "Organization: " + c.Supplier
	}
	if c.PURL != "" {
		p.ExternalRefs = []externalRef{purl(c.PURL)}
	}
	return p
}

func purl(locator string) externalRef {
	return externalRef{"PACKAGE-MANAGER", "purl", locator}
}

// DebPURL gives the package URL of a Debian package. release is the version
// number of the Debian release.
func DebPURL(p *spec.Package, release string) string {
	vendor := "debian"
	if p.Archive == spec.Local {
		vendor = spec.Local // Debian's advisories are not about it
	}
	s := fmt.Sprintf("pkg:deb/%s/%s@%s?arch=%s&distro=debian-%s", vendor, escape(p.Name), escape(p.Version), p.Architecture, release)
	if p.Source != p.Name || p.SourceVersion != p.Version {
		s += "&upstream=" + escape(p.Source)
		if p.SourceVersion != p.Version {
			s += escape("@" + p.SourceVersion)
		}
	}
	return s
}

// OCIPURL gives the package URL of an image, REGISTRY/REPOSITORY@DIGEST or
// oci:DIR@DIGEST, of which only the last element of the directory is told.
func OCIPURL(reference string) string {
	repository, digest, _ := strings.Cut(reference, "@")
	if dir, ok := strings.CutPrefix(repository, "oci:"); ok {
		return fmt.Sprintf("pkg:oci/%s@%s", escape(path.Base(dir)), escape(digest))
	}
	return fmt.Sprintf("pkg:oci/%s@%s?repository_url=%s", escape(path.Base(repository)), escape(digest), escape(repository))
}

func imagePURL(in Input) string {
	return fmt.Sprintf("pkg:oci/%s@%s?arch=%s", escape(in.Image), escape(in.Digest), in.Platform.Arch)
}

// escape percent-encodes everything but the characters that the package URL
// specification leaves as they are.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-_~:", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ref makes a name fit for an SPDX identifier: letters, digits, "." and "-".
func ref(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, s)
}
