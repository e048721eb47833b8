package sbom_test

import (
	"bytes"
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
	in := input()
	data, err := sbom.SPDXIndex(sbom.IndexInput{Image: "base", Digest: in.Digest, Release: "13", Created: in.Created, Tool: in.Tool,
		Platforms: []sbom.PlatformDigest{{Platform: in.Platform, Digest: in.Digest, Packages: in.Packages}, {Platform: spec.Platform{Arch: "arm64"}, Digest: in.Digest, Packages: in.Packages}}})
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
	if len(doc.Packages) != 7 {
		t.Errorf("it reads %d packages, want 7", len(doc.Packages))
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
