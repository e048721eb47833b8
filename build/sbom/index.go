package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/hardstand/hardstand/build/spec"
)

// IndexInput is what the document of an index is made of.
type IndexInput struct {
	Image     string
	Digest    string // of the index, "sha256:..."
	Release   string
	Created   time.Time
	Tool      string
	Platforms []PlatformDigest
}

// PlatformDigest is one image of an index.
type PlatformDigest struct {
	Platform spec.Platform
	Digest   string
	Packages []*spec.Package
}

// SPDXIndex returns the document of an index: the platforms' images as its
// variants, each with its Debian packages.
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
	for _, p := range in.Platforms {
		one := Input{Image: in.Image, Platform: p.Platform, Digest: p.Digest, Release: in.Release}
		id := "SPDXRef-image-" + ref(p.Platform.String())
		d.Packages = append(d.Packages, pkg{
			SPDXID: id, Name: in.Image + " " + p.Platform.String(), Version: p.Digest, Supplier: noAssertion, DownloadLocation: noAssertion, Purpose: "CONTAINER",
			LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, Copyright: noAssertion,
			Checksums:    []checksum{{"SHA256", strings.TrimPrefix(p.Digest, "sha256:")}},
			ExternalRefs: []externalRef{purl(imagePURL(one))},
		})
		d.Relationships = append(d.Relationships, relationship{id, root.SPDXID, "VARIANT_OF"})
		for _, deb := range p.Packages {
			entry := debPackage(one, deb)
			entry.SPDXID = "SPDXRef-" + ref(p.Platform.String()) + "-deb-" + ref(deb.Name)
			d.add(id, entry)
		}
	}
	return finish(d, in.Image)
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
