package sbom_test

import (
	"bytes"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
)

// Other people's libraries read what is written here.

func TestSPDXReadsElsewhere(t *testing.T) {
	data, err := sbom.SPDX(input())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := spdxjson.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	if len(doc.Packages) != 4 {
		t.Errorf("it reads %d packages, want 4", len(doc.Packages))
	}
}

func TestIndexSPDXReadsElsewhere(t *testing.T) {
	data, err := sbom.SPDXIndex(index())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := spdxjson.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	if len(doc.Packages) != 9 {
		t.Errorf("it reads %d packages, want 9", len(doc.Packages))
	}
	if text := string(data); strings.Count(text, "3 paths of this package are left out of the image by its definition: usr/share/zoneinfo/right/**") != 2 || strings.Count(text, `"name": "hardstand-probe"`) != 2 {
		t.Errorf("it does not say of both platforms what was left out and what was added: %s", data)
	}
}

// index is one of two platforms.
func index() sbom.IndexInput {
	in, other := input(), input()
	other.Platform = spec.Platform{Arch: "arm64"}
	return sbom.IndexInput{Image: "base", Digest: in.Digest, Created: in.Created, Tool: in.Tool, Platforms: []sbom.Input{in, other}}
}

func TestIndexCycloneDXReadsElsewhere(t *testing.T) {
	data, err := sbom.CycloneDXIndex(index())
	if err != nil {
		t.Fatal(err)
	}
	var b cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&b); err != nil {
		t.Fatal(err)
	}
	refs := map[string]bool{b.Metadata.Component.BOMRef: true}
	purls := 0
	for _, img := range *b.Components {
		refs[img.BOMRef] = true
		for _, c := range *img.Components {
			if refs[c.BOMRef] {
				t.Errorf("%s stands twice", c.BOMRef)
			}
			refs[c.BOMRef] = true
			if strings.Contains(c.PackageURL, "distro=debian-13") {
				purls++
			}
			if c.Name == "tzdata" && (len(*c.Properties) != 3 || (*c.Properties)[2].Value != "usr/share/zoneinfo/right/**") {
				t.Errorf("what was left out of tzdata: %+v", *c.Properties)
			}
		}
	}
	if len(refs) != 9 || purls != 4 {
		t.Errorf("it names %d components, %d of them Debian packages", len(refs), purls)
	}
	for _, d := range *b.Dependencies {
		for _, to := range append(*d.Dependencies, d.Ref) {
			if !refs[to] {
				t.Errorf("%s depends on %s, which is not there", d.Ref, to)
			}
		}
	}
	if err := cdx.NewBOMEncoder(&bytes.Buffer{}, cdx.BOMFileFormatJSON).EncodeVersion(&b, cdx.SpecVersion1_6); err != nil {
		t.Error(err)
	}
}

func TestCycloneDXReadsElsewhere(t *testing.T) {
	data, err := sbom.CycloneDX(input())
	if err != nil {
		t.Fatal(err)
	}
	again, err := sbom.CycloneDX(input())
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("the same input gives other bytes: %v", err)
	}
	var b cdx.BOM
	dec := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON)
	if err := dec.Decode(&b); err != nil {
		t.Fatal(err)
	}
	if b.SpecVersion != cdx.SpecVersion1_6 || len(*b.Components) != 3 || (*b.Components)[1].PackageURL != sbom.DebPURL(input().Packages[1], "13") {
		t.Errorf("it reads %+v", b)
	}
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).EncodeVersion(&b, cdx.SpecVersion1_6); err != nil {
		t.Error(err)
	}
}

// Two programs may be compiled with the same module: each has it as its own
// part, and every package says who supplied it, or that nobody knows.
func TestProgramsAndTheirParts(t *testing.T) {
	in := input()
	in.Components = nil
	for _, name := range []string{"probe", "tools"} {
		in.Components = append(in.Components, sbom.Component{Name: name, Version: "v1.2.3", Supplier: "hardstand", License: "Apache-2.0", SHA256: strings.Repeat("0a", 32)},
			sbom.GoModule(name, "stdlib", "1.26.1"), sbom.GoModule(name, "example.org/m", "v1.0.0+incompatible"))
	}
	data, err := sbom.SPDX(in)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := spdxjson.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	parts := map[string]int{}
	for _, p := range doc.Packages {
		if p.PackageSupplier == nil || p.PackageSupplier.Supplier == "" {
			t.Errorf("%s has no supplier", p.PackageName)
		}
		parts[p.PackageName]++
	}
	if parts["stdlib"] != 2 || parts["example.org/m"] != 2 {
		t.Errorf("it reads %v", parts)
	}
	if data, err = sbom.CycloneDX(in); err != nil {
		t.Fatal(err)
	}
	var b cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&b); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range *b.Components {
		if seen[c.BOMRef] {
			t.Errorf("%s stands twice", c.BOMRef)
		}
		seen[c.BOMRef] = true
	}
	for _, d := range *b.Dependencies {
		if d.Ref == "component-probe" && len(*d.Dependencies) == 2 {
			return
		}
	}
	t.Errorf("the probe has no parts: %+v", b.Dependencies)
}
