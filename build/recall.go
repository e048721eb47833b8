package build

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/build/provenance"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
)

// A finished result is remembered under everything that it was made of, so that
// building the same again is looking it up: the record is authenticated, and
// each layer must be the file that was hashed when it was stored or last used.

// recalled is the head of a remembered result. Documents follow it: of each
// image config and manifest, then the claims' predicates, then the index.
type recalled struct {
	Created time.Time       `json:"created"`
	Images  []recalledImage `json:"images"`
	Claims  []recalledClaim `json:"claims"`
	Sizes   []int           `json:"sizes"` // of the documents, bytes
}

type recalledImage struct {
	Created   time.Time           `json:"created"`
	Layers    []oci.Layer         `json:"layers"`
	Register  *Register           `json:"register,omitempty"`
	Unhandled map[string][]string `json:"unhandled,omitempty"`
	Effects   map[string]string   `json:"effects,omitempty"`
	Notes     []string            `json:"notes,omitempty"`
}

type recalledClaim struct {
	Subject v1.Hash `json:"subject"`
	Type    string  `json:"type"`
}

// recallKey covers everything that decides what a result is.
func recallKey(d *spec.Definition, l *spec.Lock, o Options) (cache.Digest, error) {
	embedded, err := payload.Digest()
	if err != nil {
		embedded = "none" // the programs are missed where they are needed
	}
	h := sha256.New()
	for _, p := range o.Platforms {
		for _, c := range append(slices.Clone(o.Files), o.FilesFor[p]...) {
			meta, err := json.Marshal(c.Entry)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%s %d:%s%d:", p, len(meta), meta, len(c.Data))
			h.Write(c.Data)
		}
		meta, err := json.Marshal(slices.Concat(o.Components, o.ComponentsFor[p]))
		if err != nil {
			return "", err
		}
		h.Write(meta)
	}
	secret := ""
	if d.Canary != nil && !o.Canary.IsZero() {
		secret = hex.EncodeToString(o.Canary.Derive("cache", 32, "result"))
	}
	parts := []string{"result", transformVersion, o.by.encoder, o.Version, o.Program, string(embedded), string(d.Canonical()), string(l.Format()),
		fmt.Sprint(o.Platforms), string(o.Format), fmt.Sprint(o.Created.Unix(), o.Created.IsZero()), secret, string(cache.HashOf(h))}
	if o.Base != nil { // its digest is in the definition
		parts = append(parts, o.Base.SignedBy...)
	}
	return cache.Key(parts...), nil
}

// remember stores a result.
func (r *Result) remember(c *cache.Cache, key cache.Digest) error {
	head := recalled{Created: r.Created}
	var docs [][]byte
	for _, img := range r.Images {
		config, err := img.Image.RawConfigFile()
		if err != nil {
			return err
		}
		manifest, err := img.Image.RawManifest()
		if err != nil {
			return err
		}
		docs = append(docs, config, manifest)
		head.Images = append(head.Images, recalledImage{img.Created, img.layers, img.Register, img.Unhandled, img.Effects, img.Notes})
	}
	for _, claim := range r.Claims {
		head.Claims = append(head.Claims, recalledClaim{claim.Subject, claim.PredicateType})
		docs = append(docs, claim.Predicate)
	}
	index, err := r.Index.RawManifest()
	if err != nil {
		return err
	}
	docs = append(docs, index)
	for _, doc := range docs {
		head.Sizes = append(head.Sizes, len(doc))
	}
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	return c.PutRecord(key, append(append(out, text...), slices.Concat(docs...)...))
}

// errNotRecalled says that a result must be made: it is not remembered, or its
// layers are gone.
var errNotRecalled = errors.New("the result is not in the cache")

// recall finds a result and makes sure that its layers are there.
func recall(l *spec.Lock, o Options, key cache.Digest) (*Result, error) {
	data, err := o.Cache.Record(key)
	if err != nil || len(data) < 4 {
		return nil, errNotRecalled
	}
	n, rest := int(binary.BigEndian.Uint32(data)), data[4:]
	var head recalled
	if n > len(rest) || json.Unmarshal(rest[:n], &head) != nil || len(head.Images) != len(o.Platforms) {
		return nil, errNotRecalled
	}
	docs, rest := make([][]byte, 0, len(head.Sizes)), rest[n:]
	for _, size := range head.Sizes {
		if size < 0 || size > len(rest) {
			return nil, errNotRecalled
		}
		docs, rest = append(docs, rest[:size:size]), rest[size:]
	}
	if len(docs) != 2*len(head.Images)+len(head.Claims)+1 {
		return nil, errNotRecalled
	}
	return head.result(l, o, docs)
}

func (head recalled) result(l *spec.Lock, o Options, docs [][]byte) (*Result, error) {
	r := &Result{Created: head.Created, Recalled: true, holds: o.Cache.Holds}
	if err := head.find(o); err != nil {
		return nil, errNotRecalled
	}
	images := make([]v1.Image, len(head.Images))
	for i, ri := range head.Images {
		p := o.Platforms[i]
		img := &Image{
			Platform: p, Packages: l.Platforms[p.String()], Created: ri.Created,
			Register: ri.Register, Unhandled: ri.Unhandled, Effects: ri.Effects, Notes: ri.Notes, layers: ri.Layers,
		}
		var err error
		if img.Image, err = oci.Restore(o.Format, docs[2*i], docs[2*i+1], ri.Layers); err != nil {
			return nil, err
		}
		if img.Digest, err = img.Image.Digest(); err != nil {
			return nil, err
		}
		for _, layer := range ri.Layers {
			img.Size += layer.Size
		}
		r.Images, images[i] = append(r.Images, img), img.Image
	}
	docs = docs[2*len(head.Images):]
	for i, c := range head.Claims {
		r.Claims = append(r.Claims, Claim{c.Subject, c.Type, docs[i]})
	}
	r.distribute()
	var err error
	r.Index, err = oci.RestoreIndex(o.Format, docs[len(docs)-1], images)
	return r, err
}

// find makes sure that the layers are there.
func (head recalled) find(o Options) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, img := range head.Images {
		for i := range img.Layers {
			g.Go(func() (err error) {
				img.Layers[i].Path, err = o.blob(cache.Digest(img.Layers[i].Digest.Hex))
				return err
			})
		}
	}
	return g.Wait()
}

// blob finds a finished blob, hashing it if need be.
func (o Options) blob(d cache.Digest) (string, error) {
	if o.Rehash {
		return o.Cache.File(d)
	}
	return o.Cache.Sealed(d)
}

// distribute gives each image the claims about it.
func (r *Result) distribute() {
	for _, c := range r.Claims {
		for _, img := range r.Images {
			if img.Digest != c.Subject {
				continue
			}
			switch c.PredicateType {
			case sbom.SPDXType:
				img.SPDX = c.Predicate
			case sbom.CycloneDXType:
				img.CycloneDX = c.Predicate
			case provenance.PredicateType:
				img.Provenance = c.Predicate
			}
		}
	}
}
