package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// IndexInput is what the documents of an index are made of.
type IndexInput struct {
	Image     string
	Digest    string // of the index, "sha256:..."
	Created   time.Time
	Tool      string
	Platforms []Input // what the document of each image is made of
}

// SPDXIndex returns the document of an index: the platforms' images as its
// variants, each with what it holds.
func SPDXIndex(in IndexInput) ([]byte, error) {
	root := pkg{
		SPDXID: "SPDXRef-index", Name: in.Image, Version: in.Digest, Supplier: noAssertion, DownloadLocation: noAssertion, Purpose: "CONTAINER",
		LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, Copyright: noAssertion,
		Checksums:    []checksum{{"SHA256", strings.TrimPrefix(in.Digest, "sha256:")}},
		ExternalRefs: []externalRef{purl(fmt.Sprintf("pkg:oci/%s@%s", escape(in.Image), escape(in.Digest)))},
	}
	d := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", Name: in.Image,
		CreationInfo:  creationInfo{in.Created.UTC().Format(time.RFC3339), []string{"Tool: " + in.Tool}},
		Packages:      []pkg{root},
		Relationships: []relationship{{"SPDXRef-DOCUMENT", root.SPDXID, "DESCRIBES"}},
	}
	licenses := map[string]extracted{}
	for _, p := range in.Platforms {
		prefix := ref(p.Platform.String())
		id := "SPDXRef-image-" + prefix
		d.Packages = append(d.Packages, pkg{
			SPDXID: id, Name: in.Image + " " + p.Platform.String(), Version: p.Digest, Supplier: noAssertion, DownloadLocation: noAssertion, Purpose: "CONTAINER",
			LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, Copyright: noAssertion,
			Checksums:    []checksum{{"SHA256", strings.TrimPrefix(p.Digest, "sha256:")}},
			ExternalRefs: []externalRef{purl(imagePURL(p))},
		})
		d.Relationships = append(d.Relationships, relationship{id, root.SPDXID, "VARIANT_OF"})
		d.contents(p, id, "SPDXRef-"+prefix+"-")
		for _, l := range p.extract() {
			licenses[l.ID] = l
		}
	}
	for _, id := range slices.Sorted(maps.Keys(licenses)) {
		d.Licenses = append(d.Licenses, licenses[id])
	}
	return finish(d, in.Image)
}

// CycloneDXIndex returns the document of an index: the platforms' images as its
// components, each with what it holds within.
func CycloneDXIndex(in IndexInput) ([]byte, error) {
	root := container("index", in.Image, in.Digest, fmt.Sprintf("pkg:oci/%s@%s", escape(in.Image), escape(in.Digest)))
	b := newBOM(root, in.Created, in.Tool)
	has := cdxDependency{Ref: root.BOMRef}
	var below []cdxDependency
	for _, p := range in.Platforms {
		prefix := ref(p.Platform.String()) + "-"
		img := container(prefix+"image", in.Image+" "+p.Platform.String(), p.Digest, imagePURL(p))
		var dependencies []cdxDependency
		img.Components, dependencies = contentsOf(p, img.BOMRef, prefix)
		b.Components, below = append(b.Components, img), append(below, dependencies...)
		has.DependsOn = append(has.DependsOn, img.BOMRef)
	}
	b.Dependencies = append([]cdxDependency{has}, below...)
	return b.finish()
}

// finish gives a document a namespace of its own and writes it.
func finish(d document, image string) ([]byte, error) {
	unnamed, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("write SPDX: %w", err)
	}
	sum := sha256.Sum256(unnamed)
	d.Namespace = fmt.Sprintf("https://github.com/hardstand/hardstand/spdx/%s/%s", url.PathEscape(image), hex.EncodeToString(sum[:]))
	return json.MarshalIndent(d, "", " ")
}
