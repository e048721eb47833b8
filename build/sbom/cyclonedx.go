package sbom

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hardstand/hardstand/build/spec"
)

type cdxBOM struct {
	Format       string          `json:"bomFormat"`
	SpecVersion  string          `json:"specVersion"`
	SerialNumber string          `json:"serialNumber,omitempty"`
	Version      int             `json:"version"`
	Metadata     cdxMetadata     `json:"metadata"`
	Components   []cdxComponent  `json:"components"`
	Dependencies []cdxDependency `json:"dependencies"`
}

type cdxMetadata struct {
	Timestamp string       `json:"timestamp"`
	Tools     cdxTools     `json:"tools"`
	Component cdxComponent `json:"component"`
}

type cdxTools struct {
	Components []cdxComponent `json:"components"`
}

type cdxComponent struct {
	Type       string        `json:"type"`
	BOMRef     string        `json:"bom-ref,omitempty"`
	Name       string        `json:"name"`
	Version    string        `json:"version,omitempty"`
	Supplier   *cdxSupplier  `json:"supplier,omitempty"`
	Hashes     []cdxHash     `json:"hashes,omitempty"`
	Licenses   []cdxLicense  `json:"licenses,omitempty"`
	PURL       string        `json:"purl,omitempty"`
	Properties []cdxProperty `json:"properties,omitempty"`
	// Components are what an image of an index holds.
	Components []cdxComponent `json:"components,omitempty"`
}

type cdxSupplier struct {
	Name string `json:"name"`
}

type cdxHash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type cdxLicense struct {
	Expression string `json:"expression"`
}

type cdxProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type cdxDependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// CycloneDX returns the document in CycloneDX 1.6.
func CycloneDX(in Input) ([]byte, error) {
	root := container("image", in.Image, in.Digest, imagePURL(in))
	b := newBOM(root, in.Created, in.Tool)
	b.Components, b.Dependencies = contentsOf(in, root.BOMRef, "")
	return b.finish()
}

func newBOM(root cdxComponent, created time.Time, tool string) *cdxBOM {
	return &cdxBOM{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1, Components: []cdxComponent{},
		Metadata: cdxMetadata{
			Timestamp: created.UTC().Format(time.RFC3339), Component: root,
			Tools: cdxTools{[]cdxComponent{{Type: "application", Name: tool}}},
		},
	}
}

func container(id, name, digest, purl string) cdxComponent {
	return cdxComponent{
		Type: "container", BOMRef: id, Name: name, Version: digest, PURL: purl,
		Hashes: []cdxHash{{"SHA-256", strings.TrimPrefix(digest, "sha256:")}},
	}
}

// contentsOf gives what an image holds and who contains whom. The references
// begin with prefix.
func contentsOf(in Input, image, prefix string) ([]cdxComponent, []cdxDependency) {
	var list []cdxComponent
	contains := cdxDependency{Ref: image}
	for _, p := range in.Packages {
		c := debComponent(in, p)
		c.BOMRef = prefix + "deb-" + p.Name
		list, contains.DependsOn = append(list, c), append(contains.DependsOn, c.BOMRef)
	}
	holds := map[string]bool{}
	for _, o := range in.Components {
		holds[o.Within] = true
	}
	within := map[string]*cdxDependency{}
	for _, o := range in.Components {
		c := otherComponent(o)
		c.BOMRef = prefix + "component-" + o.id()
		if holds[o.Name] && o.Within == "" {
			within[o.Name] = &cdxDependency{Ref: c.BOMRef}
		}
		holder := &contains
		if w := within[o.Within]; w != nil {
			holder = w
		}
		list, holder.DependsOn = append(list, c), append(holder.DependsOn, c.BOMRef)
	}
	dependencies := []cdxDependency{contains}
	for _, name := range slices.Sorted(maps.Keys(within)) {
		dependencies = append(dependencies, *within[name])
	}
	return list, dependencies
}

func debComponent(in Input, p *spec.Package) cdxComponent {
	c := cdxComponent{
		Type: "library", Name: p.Name, Version: p.Version, PURL: DebPURL(p, in.Release),
		Supplier: &cdxSupplier{supplierOf(p)}, Hashes: []cdxHash{{"SHA-256", p.SHA256}},
		Properties: []cdxProperty{{"hardstand:source", p.Source + "@" + p.SourceVersion}},
	}
	if n := in.Dropped[p.Name]; n > 0 {
		c.Properties = append(c.Properties, cdxProperty{"hardstand:dropped-paths", fmt.Sprint(n)})
	}
	for _, pattern := range in.Patterns[p.Name] {
		c.Properties = append(c.Properties, cdxProperty{"hardstand:dropped", pattern})
	}
	if e := in.Effects[p.Name]; e != "" {
		c.Properties = append(c.Properties, cdxProperty{"hardstand:effect", e})
	}
	if l := in.Licenses[p.Name]; l.Expression != "" {
		c.Licenses = []cdxLicense{{l.Expression}}
	}
	return c
}

func otherComponent(o Component) cdxComponent {
	c := cdxComponent{Type: "library", Name: o.Name, Version: o.Version, PURL: o.PURL}
	if o.SHA256 != "" {
		c.Type, c.Hashes = "application", []cdxHash{{"SHA-256", o.SHA256}}
	}
	if o.License != noAssertion {
		c.Licenses = []cdxLicense{{o.License}}
	}
	if o.Supplier != "" {
		c.Supplier = &cdxSupplier{o.Supplier}
	}
	if o.Container {
		c.Type = "container"
	}
	return c
}

// finish gives a document a serial number of its own and writes it.
func (b *cdxBOM) finish() ([]byte, error) {
	unnamed, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("write CycloneDX: %w", err)
	}
	b.SerialNumber = serial(sha256.Sum256(unnamed))
	return json.MarshalIndent(b, "", " ")
}

// serial makes a UUID (RFC 9562, version 8) of a digest: the same document has
// the same serial number.
func serial(sum [32]byte) string {
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
