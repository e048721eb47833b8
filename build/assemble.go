package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/build/apt"
	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/license"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/provenance"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/sbom"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/canary/alert"
)

// SourceURL is what images say they come from.
const SourceURL = "https://github.com/hardstand/hardstand"

// Options configures Assemble. Cache and Archive are required.
type Options struct {
	Cache     *cache.Cache
	Archive   *apt.Archive
	Platforms []spec.Platform // a choice of the definition's; nil means all
	Format    oci.Format      // empty means oci.OCI
	// Created is what the images say they were created at. Zero means the
	// date of the newest file in them, which is the same on every machine.
	Created time.Time
	// Canary is the master secret that decoys' keys are derived from. It is
	// required when the definition has decoys.
	Canary alert.Master
	// Files are added on top, owned as they say; of a wrapped program, say.
	Files []rootfs.Content
	// FilesFor gives further files for one platform.
	FilesFor map[spec.Platform][]rootfs.Content
	// Components describes Files for the SBOM, and ComponentsFor FilesFor.
	Components    []sbom.Component
	ComponentsFor map[spec.Platform][]sbom.Component
	Version       string // of hardstand, for the SBOM
	// Program identifies the running code. Results are remembered under it;
	// empty means that they are not remembered.
	Program string
	// Debs are the files of the definition's own packages, by SHA-256. One that
	// the cache holds is not read.
	Debs map[string]string
	// Begin, unless nil, is called before work that the cache does not spare.
	Begin func()
	// Progress is told of finished work, from several goroutines; nil is silence.
	Progress func(Step)
	// Base is the verified image that the definition starts from, if it does.
	Base   *Base
	Rehash bool // hash every byte taken from the cache, however often it was
	// Hold bounds what of the packages is kept in memory between unpacking them
	// and writing layers, in bytes; what does not fit is read again. Zero means 40
	// MiB, less than zero nothing.
	Hold int64
	// Shared lets compositions with one cache use what another of them made
	// without looking for it. Nil is for one that is alone.
	Shared *Shared

	by    codec // of layers
	store *store
	room  *atomic.Int64 // for blocks that are held in memory, bytes
	turns chan struct{} // of packages that are unpacked at once
	ahead *sync.WaitGroup
}

// Shared is what the compositions of several images have in common. Its zero
// value is ready; it must not be copied.
type Shared struct {
	made  sync.Map // of *segment and layerRecord, by key
	whole sync.Map // files of blobs that have been hashed, by digest
}

// Step is how far the composing of one platform's image has come.
type Step struct {
	Platform    spec.Platform
	What        string // packages or layers
	Done, Total int
}

func (o Options) report(s Step) {
	if o.Progress != nil {
		o.Progress(s)
	}
}

// Result is what Assemble made.
type Result struct {
	Index  v1.ImageIndex
	Images []*Image // in the order of the platforms
	// Provenance is the SLSA predicate of the index.
	Provenance []byte
	Claims     []Claim   // all of the above that can be attested
	Created    time.Time // of the newest image
	Recalled   bool      // the cache remembered the whole result

	holds func(path string, d cache.Digest) bool
}

// Holds reports whether a file has the content of a digest, hashing it only if
// it changed since that was found out.
func (r *Result) Holds(path string, h v1.Hash) bool { return r.holds(path, cache.Digest(h.Hex)) }

// Image is one platform's image and what is known about it.
type Image struct {
	Platform spec.Platform
	Image    v1.Image
	Digest   v1.Hash
	Size     int64 // compressed layers, bytes
	Packages []*spec.Package
	Tree     *rootfs.Tree // nil in a recalled result
	// The SBOMs, and the SLSA provenance predicate, without white space.
	SPDX, CycloneDX, Provenance []byte

	Register  *Register           // nil without decoys and tokens
	Unhandled map[string][]string // package to maintainer scripts that nothing stands in for
	Effects   map[string]string   // package to what stands in for its scripts
	Licenses  map[string]license.Info
	Notes     []string // what the definition says in vain
	Created   time.Time

	base        *baseImage // nil without
	components  []sbom.Component
	contents    sbom.Input // what the documents were made of
	layers      []oci.Layer
	environment map[string]string // on account of the packages
}

// maxPlatforms is how many platforms are composed at once, which bounds memory.
const maxPlatforms = 2

// ErrStaleLock is wrapped when a lock was made for another definition.
var ErrStaleLock = errors.New("the lock does not fit the definition: run hardstand lock")

// Assemble composes the images that a lock pins, without looking at any index.
func Assemble(ctx context.Context, d *spec.Definition, l *spec.Lock, o Options) (*Result, error) {
	if !l.Matches(d) {
		return nil, fmt.Errorf("build %s: %w", d.Name, ErrStaleLock)
	}
	if err := o.Base.fits(d); err != nil {
		return nil, fmt.Errorf("build %s: %w", d.Name, err)
	}
	if err := l.Check(d); err != nil {
		return nil, fmt.Errorf("build %s: %w", d.Name, err)
	}
	if o.Format == "" {
		o.Format = oci.OCI
	}
	o.by = codecOf(d)
	var err error
	if o.Platforms, err = choosePlatforms(d, o.Platforms); err != nil {
		return nil, err
	}
	if l.Only != nil {
		for _, p := range o.Platforms {
			if !slices.Contains(l.Only, p) {
				return nil, fmt.Errorf("build %s for %s: %w", d.Name, p, ErrStaleLock)
			}
		}
	}
	if o.Program == "" {
		return assemble(ctx, d, l, o)
	}
	key, err := recallKey(d, l, o)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", d.Name, err)
	}
	r, err := recall(l, o, key)
	if !errors.Is(err, errNotRecalled) {
		return r, err
	}
	if r, err = assemble(ctx, d, l, o); err != nil {
		return nil, err
	}
	return r, r.remember(o.Cache, key)
}

// assemble makes a result of segments.
func assemble(ctx context.Context, d *spec.Definition, l *spec.Lock, o Options) (*Result, error) {
	if o.Begin != nil {
		o.Begin()
	}
	o.room = &atomic.Int64{}
	o.room.Store(cmp.Or(o.Hold, defaultHold))
	o.turns = make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))
	o.ahead = &sync.WaitGroup{}
	defer o.ahead.Wait()
	if o.Shared == nil {
		o.Shared = &Shared{}
	}
	o.store = &store{Cache: o.Cache, by: o.by, blob: o.blob, made: &o.Shared.made, whole: &o.Shared.whole}
	defer o.store.release()
	r := &Result{Images: make([]*Image, len(o.Platforms)), holds: o.Cache.Holds}
	var g errgroup.Group
	g.SetLimit(maxPlatforms)
	errs := make([]error, len(o.Platforms))
	for i, p := range o.Platforms {
		g.Go(func() error {
			r.Images[i], errs[i] = assembleWhole(ctx, d, l, o, p)
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs, in the order of the platforms
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("build %s for %s: %w", d.Name, o.Platforms[i], err)
		}
	}
	entries := make([]oci.PlatformImage, len(r.Images))
	for i, img := range r.Images {
		entries[i] = oci.PlatformImage{Platform: img.Platform, Image: img.Image}
	}
	r.Created = r.newest()
	var err error
	if r.Index, err = oci.NewIndex(o.Format, entries, annotations(d, r.Created)); err != nil {
		return nil, err
	}
	return r, r.describe(d, l, o)
}

// prove writes the provenance of the index and of each image.
func (r *Result) prove(d *spec.Definition, l *spec.Lock, o Options) error {
	in := provenance.Input{Base: o.Base.evidence(), Definition: d, Lock: l, Epoch: o.Created, Encoder: o.by.encoder, Version: o.Version, Programs: map[string]string{}}
	var err error
	for _, img := range r.Images {
		one := in
		one.Platforms, one.Programs = []spec.Platform{img.Platform}, map[string]string{}
		for _, c := range img.components {
			if c.SHA256 == "" || c.Container {
				continue // part of another component, or a dependency of its own
			}
			name := c.Name + " for " + img.Platform.String()
			one.Programs[name], in.Programs[name] = c.SHA256, c.SHA256
		}
		in.Platforms = append(in.Platforms, img.Platform)
		if img.Provenance, err = provenance.Predicate(one); err != nil {
			return err
		}
	}
	r.Provenance, err = provenance.Predicate(in)
	return err
}

// choosePlatforms gives the chosen platforms once each, in the definition's
// order, so that the index does not depend on how they were asked for.
func choosePlatforms(d *spec.Definition, chosen []spec.Platform) ([]spec.Platform, error) {
	if len(chosen) == 0 {
		return d.Platforms, nil
	}
	for _, p := range chosen {
		if !slices.Contains(d.Platforms, p) {
			return nil, fmt.Errorf("build %s: the definition has no platform %s", d.Name, p)
		}
	}
	var list []spec.Platform
	for _, p := range d.Platforms {
		if slices.Contains(chosen, p) {
			list = append(list, p)
		}
	}
	return list, nil
}

// assembleWhole assembles again for as long as the cache turns out to have
// lost something: each attempt finds at least one damaged blob.
func assembleWhole(ctx context.Context, d *spec.Definition, l *spec.Lock, o Options, p spec.Platform) (*Image, error) {
	for attempt := 0; ; attempt++ {
		img, err := assembleImage(ctx, d, l, o, p)
		if !errors.Is(err, errCacheLost) || attempt > 4*len(l.Platforms[p.String()])+20 {
			return img, err
		}
	}
}

func assembleImage(ctx context.Context, d *spec.Definition, l *spec.Lock, o Options, p spec.Platform) (_ *Image, err error) {
	img := &Image{Platform: p, Packages: l.Platforms[p.String()], Tree: rootfs.NewTree(),
		Unhandled: map[string][]string{}, Effects: map[string]string{}, environment: map[string]string{}, Licenses: map[string]license.Info{}}
	if err := img.startFrom(ctx, d, o); err != nil {
		return nil, err
	}
	debs, err := debSegments(ctx, d, o, p, img.Packages)
	defer func() {
		if err != nil {
			o.store.saveAll(debs)
		}
	}()
	if err != nil {
		return nil, err
	}
	newest := img.base.newest()
	var errs []error
	for i, s := range debs {
		newest = max(newest, s.Newest)
		errs = append(errs, img.Tree.Add(s.Segment))
		img.note(img.Packages[i].Name, s)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if newest == 0 && len(debs) == 0 && !d.Debian.Snapshot.IsZero() {
		newest = d.Debian.Snapshot.Unix() // nothing else in the image has a date
	}
	img.Created = time.Unix(newest, 0).UTC()
	if !o.Created.IsZero() {
		img.Created = o.Created.UTC()
	}
	img.noteUnused(d, debs)
	groups := groupDebs(img.Packages, debs, d.Added)
	given := img.base.components(d, o.Base)
	// The aliases of merged /usr come with the configuration, and the loader
	// needs them: so the check follows.
	config, components, err := configGroup(ctx, d, o, img, debs, newest)
	if err != nil {
		return nil, err
	}
	if len(config.segments) > 0 {
		groups = append(groups, config)
	}
	components = append(given, components...)
	app, err := appGroup(ctx, o, img, newest)
	if err != nil {
		return nil, err
	}
	if len(app.segments) > 0 {
		groups, components = append(groups, app), slices.Concat(components, o.Components, o.ComponentsFor[img.Platform])
	}
	if err := img.checkGates(d, debs, slices.Concat(debs, config.segments, app.segments)); err != nil {
		return nil, err
	}
	if d.Canary != nil {
		wait, err := img.writeEarly(ctx, d, o, groups)
		if err != nil {
			return nil, err
		}
		defer wait()
		g, component, err := canaryGroup(ctx, d, o, img, groups, newest)
		if err != nil {
			return nil, err
		}
		groups, components = append(groups, g), append(components, component...)
	}
	return img, img.finish(ctx, d, o, arrange(groups, d.Layers), debs, components)
}

// maxPackages is how many packages are fetched, or wait to be unpacked, at once.
const maxPackages = 8

// debSegments transforms the packages, a few at a time, in the lock's order. With
// an error come those that there are.
func debSegments(ctx context.Context, d *spec.Definition, o Options, platform spec.Platform, packages []*spec.Package) ([]*segment, error) {
	drop := slices.Sorted(slices.Values(append(compatDrop(d), d.Drop...)))
	segments, errs := make([]*segment, len(packages)), make([]error, len(packages))
	// Platforms share the work on a package, so one package's failure must not
	// cancel the others: the group has no context of its own.
	var g errgroup.Group
	g.SetLimit(maxPackages)
	var done atomic.Int64
	// The large ones get their turns first, and the programs last.
	before := make(chan struct{})
	close(before)
	for _, p := range bySize(packages) {
		at, next := before, make(chan struct{})
		before = next
		g.Go(func() error {
			<-at
			close(next)
			segments[p.at], errs[p.at] = debSegment(ctx, o, p.Package, drop)
			o.report(Step{platform, "packages", int(done.Add(1)), len(packages)})
			return nil
		})
	}
	o.ahead.Go(func() {
		<-before
		o.turns <- struct{}{}
		readAhead(d, platform)
		<-o.turns
	})
	_ = g.Wait() // the errors are in errs, in the lock's order
	for _, err := range errs {
		if err != nil {
			return segments, err
		}
	}
	return segments, nil
}

type placed struct {
	*spec.Package
	at int
}

// bySize puts the largest packages first, because the last to finish decides.
func bySize(packages []*spec.Package) []placed {
	list := make([]placed, len(packages))
	for i, p := range packages {
		list[i] = placed{p, i}
	}
	slices.SortStableFunc(list, func(a, b placed) int { return int(b.Size - a.Size) })
	return list
}

// writeEarly starts to write the layers that do not depend on the decoys, while
// those are made. finish finds them written, or waits for them.
func (img *Image) writeEarly(ctx context.Context, d *spec.Definition, o Options, groups []group) (wait func(), err error) {
	var work errgroup.Group
	wait = func() { _ = work.Wait() } // finish has the error too
	if d.Layers != 0 && d.Layers < defaultLayers {
		return wait, nil // the decoys share a layer
	}
	// The last comes first: it has the probe, which takes longest.
	for _, g := range slices.Backward(arrange(groups, d.Layers)) {
		p, err := o.store.plan(img.Tree, g)
		if err != nil {
			return wait, err
		}
		work.Go(func() error {
			_, err := o.store.write(ctx, p)
			return err
		})
	}
	return wait, nil
}

// finish strings the layers together and makes the image and its SBOM.
func (img *Image) finish(ctx context.Context, d *spec.Definition, o Options, groups []group, debs []*segment, components []sbom.Component) error {
	below := img.base.below()
	layers := make([]oci.Layer, len(below)+len(groups))
	for i, l := range below {
		layers[i] = l
		img.Size += l.Size
	}
	var work errgroup.Group
	var done atomic.Int64
	for i, g := range groups {
		p, err := o.store.plan(img.Tree, g)
		if err != nil {
			return err
		}
		work.Go(func() (err error) {
			layers[len(below)+i], err = o.store.write(ctx, p)
			o.report(Step{img.Platform, "layers", int(done.Add(1)), len(groups)})
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for _, l := range layers[len(below):] {
		img.Size += l.Size
	}
	var err error
	img.layers = layers
	img.Image, err = oci.NewImage(o.Format, configOf(d, img), layers, annotations(d, img.Created))
	if err != nil {
		return err
	}
	if img.Digest, err = img.Image.Digest(); err != nil {
		return err
	}
	img.components = components
	in := sbom.Input{
		Image: d.Name, Platform: img.Platform, Release: spec.Releases[d.Debian.Suite], Codename: d.Debian.Suite,
		Digest: img.Digest.String(), Created: img.Created, Tool: "hardstand-" + o.Version, Packages: img.Packages,
		Suppliers: map[string]string{}, Dropped: map[string]int{}, Components: components,
		Patterns: map[string][]string{}, Effects: img.Effects, Licenses: img.Licenses,
	}
	for i, p := range img.Packages {
		in.Suppliers[p.Name], in.Dropped[p.Name], in.Patterns[p.Name] = debs[i].Maintainer, debs[i].Dropped, debs[i].Patterns
	}
	img.contents = in
	var documents errgroup.Group
	documents.Go(func() (err error) {
		img.SPDX, err = sbom.SPDX(in)
		return err
	})
	img.CycloneDX, err = sbom.CycloneDX(in)
	return cmp.Or(err, documents.Wait())
}
