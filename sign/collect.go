package sign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// collector gathers evidence about one digest from several reads at once.
type collector struct {
	src    Source
	digest v1.Hash
	opts   VerifyOptions

	// bundlesRead is closed when every referrer has been read.
	bundlesRead chan struct{}

	mu       sync.Mutex
	evidence []Evidence
	rejected []Rejected
	// envelopes are blobs that need not be fetched: one signature serves both
	// forms of an attestation, and the bundle holds it. Not used where the
	// caller asks about the stored forms themselves.
	envelopes map[v1.Hash][]byte
}

// collect fills the report with what is attached to the digest. Reading errors
// are errors: what could not be read might have been the proof.
func (r *Report) collect(ctx context.Context, src Source, opts VerifyOptions) error {
	c := &collector{src: src, digest: r.Digest, opts: opts, bundlesRead: make(chan struct{})}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.legacy(ctx, SignatureTag(r.Digest), maxSignature, c.legacySignature) })
	group.Go(func() error { return c.legacy(ctx, AttestationTag(r.Digest), maxAttestation, c.legacyAttestation) })
	group.Go(func() error {
		defer close(c.bundlesRead)
		return c.referrers(ctx)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	c.sort()
	for _, e := range c.evidence {
		if e.PredicateType == PredicateSignature {
			r.Signatures = append(r.Signatures, e)
		} else {
			r.Attestations = append(r.Attestations, e)
		}
	}
	r.Rejected = c.rejected
	return nil
}

// sort makes reports of the same image equal, however the reads were scheduled.
func (c *collector) sort() {
	slices.SortStableFunc(c.evidence, func(a, b Evidence) int {
		return strings.Compare(string(a.Form)+a.PredicateType+a.Manifest.Hex, string(b.Form)+b.PredicateType+b.Manifest.Hex)
	})
	slices.SortStableFunc(c.rejected, func(a, b Rejected) int {
		return strings.Compare(string(a.Form)+a.Manifest.Hex+a.Reason, string(b.Form)+b.Manifest.Hex+b.Reason)
	})
}

func (c *collector) accept(e Evidence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.Built = builtAt(e.PredicateType, e.Statement.Predicate)
	c.evidence = append(c.evidence, e)
}

func (c *collector) reject(form Form, manifest v1.Hash, predicateType string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := asRejection(err)
	c.rejected = append(c.rejected, Rejected{
		Form: form, Manifest: manifest, PredicateType: clip(predicateType), Code: r.code, Reason: r.reason,
	})
}

// legacy reads the manifest of a .sig or .att tag and checks each of its layers.
func (c *collector) legacy(ctx context.Context, tag string, limit int64, check func(context.Context, Layer) (Evidence, error)) error {
	m, err := c.src.Tagged(ctx, tag)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", tag, err)
	}
	digest, err := hashAs("sha256", m.Raw)
	if err != nil {
		return err
	}
	descriptors, err := layersOf(m)
	if err != nil {
		c.reject(FormLegacy, digest, "", err)
		return nil
	}
	if tag == AttestationTag(c.digest) && len(c.opts.Forms) == 0 {
		<-c.bundlesRead
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for _, d := range descriptors {
		group.Go(func() error { return c.legacyLayer(ctx, digest, d, limit, check) })
	}
	return group.Wait()
}

func (c *collector) legacyLayer(ctx context.Context, manifest v1.Hash, d v1.Descriptor, limit int64, check func(context.Context, Layer) (Evidence, error)) error {
	layer, err := c.readLayer(ctx, d, limit)
	if err == nil {
		var e Evidence
		if e, err = check(ctx, layer); err == nil {
			e.Form, e.Manifest, e.Layer = FormLegacy, manifest, layer
			c.accept(e)
			return nil
		}
	}
	if isRejection(err) {
		c.reject(FormLegacy, manifest, d.Annotations[annotationPredicateType], err)
		return nil
	}
	return err
}

// referrers checks every manifest that names the digest as its subject. The
// list's own artifact types are not used: some registries leave them out.
func (c *collector) referrers(ctx context.Context) error {
	list, err := c.src.Referrers(ctx, c.digest)
	if err != nil {
		return fmt.Errorf("list referrers of %s: %w", c.digest, err)
	}
	if len(list) > maxReferrers {
		return fmt.Errorf("list referrers of %s: more than %d", c.digest, maxReferrers)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for _, d := range list {
		group.Go(func() error { return c.referrer(ctx, d) })
	}
	return group.Wait()
}

// referrerManifest takes the manifest from its descriptor, where that embeds
// it: OCI image-spec, "Embedded Content". Where the caller asks about the stored
// forms themselves, only what is stored counts.
func (c *collector) referrerManifest(ctx context.Context, d v1.Descriptor) (Manifest, error) {
	if len(d.Data) > 0 && len(c.opts.Forms) == 0 && checkDigest(d.Data, d.Digest) == nil {
		return Manifest{MediaType: d.MediaType, Raw: d.Data}, nil
	}
	return c.src.Manifest(ctx, d.Digest)
}

func (c *collector) referrer(ctx context.Context, d v1.Descriptor) error {
	digest := d.Digest
	m, err := c.referrerManifest(ctx, d)
	if errors.Is(err, ErrNotFound) {
		// A list that outlived its entry, as after a careless clean-up.
		c.reject(FormBundle, digest, "", reject(CodeForeign, "listed as a referrer but not there"))
		return nil
	}
	if err != nil {
		return err
	}
	if err := checkDigest(m.Raw, digest); err != nil {
		return err
	}
	predicateType, err := c.bundle(ctx, digest, m)
	if err != nil && isRejection(err) {
		c.reject(FormBundle, digest, predicateType, err)
		return nil
	}
	return err
}

func isRejection(err error) bool {
	var r *rejection
	return errors.As(err, &r)
}

// bundle checks one referrer; the predicate type it returns is a claim only.
func (c *collector) bundle(ctx context.Context, digest v1.Hash, m Manifest) (string, error) {
	var man v1.Manifest
	if err := json.Unmarshal(m.Raw, &man); err != nil {
		return "", reject(CodeForeign, "a referrer that is not a manifest: %v", err)
	}
	claimed := man.Annotations["dev.sigstore.bundle.predicateType"]
	if man.Subject == nil || man.Subject.Digest != c.digest {
		return claimed, reject(CodeOtherImage, "listed as a referrer but names another subject")
	}
	if len(man.Layers) != 1 || man.Layers[0].MediaType != MediaTypeBundle {
		return claimed, reject(CodeForeign, "a referrer that is not a sigstore bundle v0.3: %s", artifactType(man))
	}
	layer, err := c.readLayer(ctx, man.Layers[0], maxAttestation)
	if err != nil {
		return claimed, err
	}
	e, err := verifyBundle(layer.Data, c.digest, c.opts)
	if err != nil {
		return claimed, err
	}
	e.Form, e.Manifest, e.Layer, e.Raw = FormBundle, digest, layer, m.Raw
	if err := c.keepEnvelope(&e); err != nil {
		return claimed, err
	}
	c.accept(e)
	return claimed, nil
}

// keepEnvelope remembers a bundle's envelope by its digest.
func (c *collector) keepEnvelope(e *Evidence) error {
	data := e.envelope
	e.envelope = nil
	if len(c.opts.Forms) > 0 || data == nil {
		return nil
	}
	digest, err := hashAs("sha256", data)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.envelopes == nil {
		c.envelopes = map[v1.Hash][]byte{}
	}
	c.envelopes[digest] = data
	return nil
}

func (c *collector) envelope(digest v1.Hash) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, ok := c.envelopes[digest]
	return data, ok
}

func artifactType(m v1.Manifest) string {
	if m.Config.MediaType == "" {
		return "unknown type"
	}
	return clip(string(m.Config.MediaType))
}

// readLayer fetches the blob of a signature artifact. Its absence or a size
// beyond the limit is a reason to reject, since whoever may push can cause it;
// a failing registry is an error.
func (c *collector) readLayer(ctx context.Context, d v1.Descriptor, limit int64) (Layer, error) {
	if d.Size < 0 || d.Size > limit {
		return Layer{}, reject(CodeForeign, "a blob of %d bytes, limit %d", d.Size, limit)
	}
	if data, ok := c.envelope(d.Digest); ok {
		return Layer{MediaType: d.MediaType, Data: data, Annotations: d.Annotations}, nil
	}
	data, err := readBlob(ctx, c.src, d.Digest, limit)
	if errors.Is(err, ErrNotFound) {
		return Layer{}, reject(CodeTampered, "its blob %s is missing", d.Digest)
	}
	if err != nil {
		return Layer{}, err
	}
	return Layer{MediaType: d.MediaType, Data: data, Annotations: d.Annotations}, nil
}

func layersOf(m Manifest) ([]v1.Descriptor, error) {
	if !m.MediaType.IsImage() {
		return nil, reject(CodeForeign, "the tag names a %s, not a manifest of signatures", clip(string(m.MediaType)))
	}
	var man v1.Manifest
	if err := json.Unmarshal(m.Raw, &man); err != nil {
		return nil, reject(CodeForeign, "the manifest of signatures does not parse: %v", err)
	}
	if len(man.Layers) > maxLayers {
		return nil, reject(CodeForeign, "the manifest holds more than %d signatures", maxLayers)
	}
	return man.Layers, nil
}
