package sbom

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
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
	root := cdxComponent{
		Type: "container", BOMRef: "image", Name: in.Image, Version: in.Digest, PURL: imagePURL(in),
		Hashes: []cdxHash{{"SHA-256", strings.TrimPrefix(in.Digest, "sha256:")}},
	}
	b := cdxBOM{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: cdxMetadata{
			Timestamp: in.Created.UTC().Format(time.RFC3339), Component: root,
			Tools: cdxTools{[]cdxComponent{{Type: "application", Name: in.Tool}}},
		},
	}
	contains := cdxDependency{Ref: root.BOMRef}
	within := map[string]*cdxDependency{}
	add := func(c cdxComponent) {
		b.Components = append(b.Components, c)
		contains.DependsOn = append(contains.DependsOn, c.BOMRef)
	}
	for _, p := range in.Packages {
		c := cdxComponent{
			Type: "library", BOMRef: "deb-" + p.Name, Name: p.Name, Version: p.Version, PURL: DebPURL(p, in.Release),
			Supplier: &cdxSupplier{supplierOf(p)}, Hashes: []cdxHash{{"SHA-256", p.SHA256}},
			Properties: []cdxProperty{{"hardstand:source", p.Source + "@" + p.SourceVersion}},
		}
		if n := in.Dropped[p.Name]; n > 0 {
			c.Properties = append(c.Properties, cdxProperty{"hardstand:dropped-paths", fmt.Sprint(n)})
		}
		if e := in.Effects[p.Name]; e != "" {
			c.Properties = append(c.Properties, cdxProperty{"hardstand:effect", e})
		}
		if l := in.Licenses[p.Name]; l.Expression != "" {
			c.Licenses = []cdxLicense{{l.Expression}}
		}
		add(c)
	}
	holds := map[string]bool{}
	for _, o := range in.Components {
		holds[o.Within] = true
	}
	for _, o := range in.Components {
		c := cdxComponent{Type: "library", BOMRef: "component-" + o.id(), Name: o.Name, Version: o.Version, PURL: o.PURL}
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
		if holds[o.Name] && o.Within == "" {
			within[o.Name] = &cdxDependency{Ref: c.BOMRef}
		}
		if holder := within[o.Within]; holder != nil {
			b.Components, holder.DependsOn = append(b.Components, c), append(holder.DependsOn, c.BOMRef)
			continue
		}
		add(c)
	}
	b.Dependencies = []cdxDependency{contains}
	for _, name := range slices.Sorted(maps.Keys(within)) {
		b.Dependencies = append(b.Dependencies, *within[name])
	}
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
