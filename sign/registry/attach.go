package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/sign"
)

// attachment is what one image gets attached.
type attachment struct {
	subject    v1.Descriptor
	envelopes  []sign.Layer // layers of the .att manifest
	signatures []sign.Layer // layers of the .sig manifest
	bundles    []bundle     // the signature's bundle first
}

// bundle is a sigstore bundle and the manifest that refers it to its subject.
type bundle struct {
	predicateType string
	layer         sign.Layer
	manifest      sign.Manifest
}

func (a attachment) empty() bool {
	return len(a.envelopes)+len(a.signatures)+len(a.bundles) == 0
}

var emptyConfig = sign.Layer{MediaType: "application/vnd.oci.empty.v1+json", Data: []byte("{}")}

// newBundle writes the manifest of cosign's specs/BUNDLE_SPEC.md.
func newBundle(subject v1.Descriptor, predicateType string, data []byte) (bundle, error) {
	layer := sign.Layer{MediaType: sign.MediaTypeBundle, Data: data}
	config, err := describe(emptyConfig)
	if err != nil {
		return bundle{}, err
	}
	content, err := describe(layer)
	if err != nil {
		return bundle{}, err
	}
	raw, err := json.Marshal(struct {
		v1.Manifest
		ArtifactType string `json:"artifactType"`
	}{v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        config,
		Layers:        []v1.Descriptor{content},
		Subject:       &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: map[string]string{
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": predicateType,
		},
	}, string(sign.MediaTypeBundle)})
	if err != nil {
		return bundle{}, fmt.Errorf("encode bundle manifest: %w", err)
	}
	return bundle{predicateType, layer, sign.Manifest{MediaType: types.OCIManifestSchema1, Raw: raw}}, nil
}

func describe(l sign.Layer) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(l.Data))
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: l.MediaType, Digest: digest, Size: size, Annotations: l.Annotations}, nil
}

// writers serialises attachment per digest inside this process: the legacy tags
// and the stand-in for the referrers API are read, changed and written back.
var writers sync.Map // of registry/repository@digest to *sync.Mutex

func lockFor(name string) *sync.Mutex {
	m, _ := writers.LoadOrStore(name, &sync.Mutex{})
	return m.(*sync.Mutex)
}

// attach writes everything in the order that never shows a verifier an
// attestation in a form in which the signature is still missing: blobs, which
// nothing names yet, then .att, .sig, the signature's bundle, other bundles.
func (r *Repository) attach(ctx context.Context, a attachment) error {
	if a.empty() {
		return nil
	}
	lock := lockFor(r.name.Digest(a.subject.Digest.String()).String())
	lock.Lock()
	defer lock.Unlock()
	if err := r.uploadAll(ctx, a); err != nil {
		return err
	}
	if err := r.appendLegacy(ctx, sign.AttestationTag(a.subject.Digest), a.envelopes); err != nil {
		return err
	}
	if err := r.appendLegacy(ctx, sign.SignatureTag(a.subject.Digest), a.signatures); err != nil {
		return err
	}
	return r.appendBundles(ctx, a)
}

func (r *Repository) uploadAll(ctx context.Context, a attachment) error {
	var layers []sign.Layer
	layers = append(layers, a.envelopes...)
	layers = append(layers, a.signatures...)
	for _, b := range a.bundles {
		layers = append(layers, b.layer)
	}
	for _, list := range [][]sign.Layer{a.envelopes, a.signatures} {
		if len(list) == 0 {
			continue
		}
		config, err := legacyConfig(nil, list)
		if err != nil {
			return err
		}
		layers = append(layers, config)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.remote.jobs())
	if len(a.bundles) > 0 {
		group.Go(func() error { return r.uploadEmptyConfig(ctx) })
	}
	for _, l := range layers {
		group.Go(func() error { return r.uploadLayer(ctx, l) })
	}
	return group.Wait()
}

func (r *Repository) uploadLayer(ctx context.Context, l sign.Layer) error {
	s, err := bytesOf(l)
	if err != nil {
		return err
	}
	return r.uploadNew(ctx, s)
}

// uploadEmptyConfig sends what all bundles share, once.
func (r *Repository) uploadEmptyConfig(ctx context.Context) error {
	r.empty.mu.Lock()
	defer r.empty.mu.Unlock()
	if r.empty.sent {
		return nil
	}
	s, err := bytesOf(emptyConfig)
	if err != nil {
		return err
	}
	err = r.uploadMissing(ctx, s)
	r.empty.sent = err == nil
	return err
}

// rounds bounds how often a lost update is repeated. Each round that is lost to
// another writer is one that the other has won.
const rounds = 20

// appendLegacy adds layers to the manifest under a legacy tag and reads it back
// until they are there: another writer may have replaced it in between.
func (r *Repository) appendLegacy(ctx context.Context, tag string, layers []sign.Layer) error {
	if len(layers) == 0 {
		return nil
	}
	for round := 1; round <= rounds; round++ {
		existing, err := r.legacyLayers(ctx, tag)
		if err != nil {
			return fmt.Errorf("append to %s: %w", tag, err)
		}
		merged, changed, err := mergeLayers(existing, layers)
		if err != nil {
			return fmt.Errorf("append to %s: %w", tag, err)
		}
		if !changed {
			return nil
		}
		if round > 1 {
			if err := sleep(ctx, pause(r.remote.backoff()/8, min(round, 4))); err != nil {
				return err
			}
		}
		if err := r.putLegacy(ctx, tag, merged, len(existing) > 0); err != nil {
			return err
		}
	}
	return fmt.Errorf("append to %s: other writers replaced it %d times in a row", tag, rounds)
}

func (r *Repository) legacyLayers(ctx context.Context, tag string) ([]v1.Descriptor, error) {
	m, err := r.Tagged(ctx, tag)
	if errors.Is(err, sign.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var man v1.Manifest
	if err := json.Unmarshal(m.Raw, &man); err != nil || !m.MediaType.IsImage() {
		return nil, fmt.Errorf("the tag names something that is no manifest of signatures (%s)", m.MediaType)
	}
	return man.Layers, nil
}

func mergeLayers(existing []v1.Descriptor, layers []sign.Layer) (merged []v1.Descriptor, changed bool, err error) {
	merged = slices.Clone(existing)
	for _, l := range layers {
		d, err := describe(l)
		if err != nil {
			return nil, false, err
		}
		same := func(e v1.Descriptor) bool {
			return e.Digest == d.Digest && maps.Equal(e.Annotations, d.Annotations)
		}
		if !slices.ContainsFunc(merged, same) {
			merged, changed = append(merged, d), true
		}
	}
	return merged, changed, nil
}

// legacyConfig is the configuration that cosign writes: an image configuration
// that lists the layers and nothing else.
func legacyConfig(existing []v1.Descriptor, added []sign.Layer) (sign.Layer, error) {
	layers, _, err := mergeLayers(existing, added)
	if err != nil {
		return sign.Layer{}, err
	}
	config := v1.ConfigFile{RootFS: v1.RootFS{Type: "layers"}}
	for _, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.Digest)
	}
	data, err := json.Marshal(config)
	if err != nil {
		return sign.Layer{}, fmt.Errorf("encode configuration of signatures: %w", err)
	}
	return sign.Layer{MediaType: types.OCIConfigJSON, Data: data}, nil
}

// putLegacy writes a manifest of signatures. Its configuration is there already
// if nothing was there before the layers that are being added.
func (r *Repository) putLegacy(ctx context.Context, tag string, layers []v1.Descriptor, newConfig bool) error {
	blob, err := legacyConfig(layers, nil)
	if err != nil {
		return fmt.Errorf("write %s: %w", tag, err)
	}
	desc, err := describe(blob)
	if err != nil {
		return fmt.Errorf("write %s: %w", tag, err)
	}
	if newConfig {
		if err := r.uploadLayer(ctx, blob); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: desc, Layers: layers})
	if err != nil {
		return fmt.Errorf("write %s: encode manifest: %w", tag, err)
	}
	m := sign.Manifest{MediaType: types.OCIManifestSchema1, Raw: raw}
	err = r.repeat(ctx, func() error { return r.put(ctx, tag, m, nil) })
	if refusesOverwrite(err) {
		return &RegistryRefusedError{Tag: tag, Cause: err}
	}
	return err
}

// appendBundles writes the signature's bundle, then the others side by side, and
// then makes sure that the list of referrers has them all.
func (r *Repository) appendBundles(ctx context.Context, a attachment) error {
	if len(a.bundles) == 0 {
		return nil
	}
	if err := r.putDigest(ctx, a.bundles[0].manifest); err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(r.remote.jobs())
	for _, b := range a.bundles[1:] {
		group.Go(func() error { return r.putDigest(gctx, b.manifest) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var wanted []v1.Descriptor
	for _, b := range a.bundles {
		d, err := describe(sign.Layer{MediaType: b.manifest.MediaType, Data: b.manifest.Raw})
		if err != nil {
			return err
		}
		d.ArtifactType = string(sign.MediaTypeBundle)
		d.Data = b.manifest.Raw // where the list is kept here, its readers have one request less for each
		d.Annotations = map[string]string{
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": b.predicateType,
		}
		wanted = append(wanted, d)
	}
	return r.listReferrers(ctx, a.subject.Digest, wanted)
}

// listReferrers checks that the registry lists the bundles. Where it has no
// referrers API, the list is kept here, in one write for all of them, and read
// back until it is complete: other writers do the same at the same time.
func (r *Repository) listReferrers(ctx context.Context, subject v1.Hash, wanted []v1.Descriptor) error {
	for round := 1; round <= rounds; round++ {
		listed, api, err := r.referrers(ctx, subject)
		if err != nil {
			return fmt.Errorf("list referrers of %s: %w", subject, err)
		}
		missing := without(wanted, listed)
		if len(missing) == 0 {
			return nil
		}
		if round > 1 || api {
			if err := sleep(ctx, pause(r.remote.backoff()/8, min(round, 4))); err != nil {
				return err
			}
		}
		if api {
			continue // a registry that keeps the list itself may take a moment
		}
		if err := r.putReferrers(ctx, subject, append(listed, missing...)); err != nil {
			return err
		}
	}
	return fmt.Errorf("list referrers of %s: the registry still does not list what was attached", subject)
}

func without(wanted, listed []v1.Descriptor) []v1.Descriptor {
	var missing []v1.Descriptor
	for _, w := range wanted {
		if !slices.ContainsFunc(listed, func(l v1.Descriptor) bool { return l.Digest == w.Digest }) {
			missing = append(missing, w)
		}
	}
	return missing
}

func (r *Repository) putReferrers(ctx context.Context, subject v1.Hash, list []v1.Descriptor) error {
	sort.Slice(list, func(i, j int) bool { return list[i].Digest.Hex < list[j].Digest.Hex })
	raw, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: list})
	if err != nil {
		return fmt.Errorf("encode list of referrers: %w", err)
	}
	tag := sign.ReferrersTag(subject)
	m := sign.Manifest{MediaType: types.OCIImageIndex, Raw: raw}
	err = r.repeat(ctx, func() error { return r.put(ctx, tag, m, nil) })
	if refusesOverwrite(err) {
		return &RegistryRefusedError{Tag: tag, Cause: err}
	}
	return err
}
