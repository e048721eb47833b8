package build

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/build/provenance"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
)

// Claim is something said about an index or an image, not yet signed.
type Claim struct {
	Subject       v1.Hash
	PredicateType string
	Predicate     []byte // JSON without white space
}

// Statement gives the in-toto statement v1 of the claim, one line of JSON.
func (c Claim) Statement() []byte {
	// By hand, because encoding a document again takes longer than building a
	// small image.
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{%q:%q}}],"predicateType":%q,"predicate":%s}`,
		c.Subject.Algorithm, c.Subject.Hex, c.PredicateType, c.Predicate)
}

// describe writes what can be said of the images and of their index.
func (r *Result) describe(d *spec.Definition, l *spec.Lock, o Options) error {
	digest, err := r.Index.Digest()
	if err != nil {
		return err
	}
	if err := r.prove(d, l, o); err != nil {
		return err
	}
	in := sbom.IndexInput{
		Image: d.Name, Tool: "hardstand-" + o.Version, Digest: digest.String(), Created: r.Created,
	}
	for _, img := range r.Images {
		in.Platforms = append(in.Platforms, img.contents)
		r.Claims = append(r.Claims,
			Claim{img.Digest, sbom.SPDXType, img.SPDX}, Claim{img.Digest, sbom.CycloneDXType, img.CycloneDX},
			Claim{img.Digest, provenance.PredicateType, img.Provenance})
	}
	doc, err := sbom.SPDXIndex(in)
	if err != nil {
		return err
	}
	bom, err := sbom.CycloneDXIndex(in)
	if err != nil {
		return err
	}
	r.Claims = append(r.Claims, Claim{digest, sbom.SPDXType, doc}, Claim{digest, sbom.CycloneDXType, bom}, Claim{digest, provenance.PredicateType, r.Provenance})
	for i, c := range r.Claims {
		var b bytes.Buffer
		if err := json.Compact(&b, c.Predicate); err != nil {
			return fmt.Errorf("write %s: %w", c.PredicateType, err)
		}
		r.Claims[i].Predicate = b.Bytes()
	}
	r.distribute()
	return nil
}

// newest is the date of the newest of the images.
func (r *Result) newest() time.Time {
	var t time.Time
	for _, img := range r.Images {
		if img.Created.After(t) {
			t = img.Created
		}
	}
	return t
}
